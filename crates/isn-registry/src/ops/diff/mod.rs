//! `isn diff`: reports how each image changed from one version to another, and why.

mod compare;
mod pictures;
mod side;

use std::collections::BTreeMap;
use std::fmt;

use crate::client::Client;
use crate::progress::Progress;
use crate::steps::unsigned;
use crate::transport;
use isn_format::class::ClassId;
use isn_format::digest::Digest;
use isn_format::error::Result;
use isn_format::ledger::Ledger;
use isn_format::split::Split;
use side::{Image, Side};

/// The differences between two versions.
pub struct DiffReport {
    /// The older version.
    pub old: Compared,
    /// The newer version.
    pub new: Compared,
    /// The number of images of each.
    pub images: (usize, usize),
    /// The images that differ, sorted by id.
    pub changes: Vec<Change>,
    /// Classes that only the newer one has.
    pub classes_added: Vec<ClassId>,
    /// Classes that only the older one has.
    pub classes_removed: Vec<ClassId>,
    /// Classes that both have, with another label or group: the id, the old name, the new name.
    pub classes_renamed: Vec<(ClassId, String, String)>,
    /// The labels of the classes, from the newer version if it has them, else from the older.
    pub labels: BTreeMap<ClassId, String>,
    /// Warnings for the user, for example why there are fewer pictures than asked for.
    pub warnings: Vec<String>,
    /// The parts of either version that no signature covers and on which the comparison relies.
    pub unsigned: &'static [&'static str],
}

/// What was compared, written as a pin: the version, or the path of its tree, then `#` and the dataset hash.
#[derive(Clone, Debug)]
pub struct Compared {
    /// `name@version`, or the path of a tree.
    pub name: String,
    /// The dataset hash.
    pub dataset: Digest,
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.name, self.dataset.prefixed())
    }
}

/// An image that differs.
pub struct Change {
    /// Its source id, or the stem of its file for trees, which do not have source ids.
    pub id: String,
    /// Where it was, if it existed.
    pub old: Option<Placement>,
    /// Where it is, if it still exists.
    pub new: Option<Placement>,
    /// For another encoding of the same source: whether both were encoded from the same pixels, if that is
    /// known.
    pub same_pixels: Option<bool>,
    /// What the newer version's ledger says about it, one line each.
    pub reasons: Vec<String>,
    /// The picture before and after, as JPEG thumbnails, if pictures were asked for and are available.
    pub pictures: (Option<Vec<u8>>, Option<Vec<u8>>),
}

/// Where an image is in a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Its path in the tree.
    pub path: String,
    /// Its class.
    pub class: ClassId,
    /// Its split.
    pub split: Split,
    /// The BLAKE3 hash of the file.
    pub blake3: Digest,
}

/// A way in which an image differs. It may differ in several ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It has a different class.
    Relabelled,
    /// It is in a different split.
    Moved,
    /// It has different bytes.
    Reencoded,
}

impl Kind {
    /// All kinds, in the order in which they are listed.
    pub const ALL: [Kind; 5] = [Kind::Added, Kind::Removed, Kind::Relabelled, Kind::Moved, Kind::Reencoded];

    /// Returns the written form: `added`, `re-encoded`.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Added => "added",
            Kind::Removed => "removed",
            Kind::Relabelled => "relabelled",
            Kind::Moved => "moved",
            Kind::Reencoded => "re-encoded",
        }
    }
}

impl Change {
    /// Whether it differs in this way.
    pub fn is(&self, kind: Kind) -> bool {
        match (&self.old, &self.new) {
            (None, _) => kind == Kind::Added,
            (_, None) => kind == Kind::Removed,
            (Some(old), Some(new)) => match kind {
                Kind::Added | Kind::Removed => false,
                Kind::Relabelled => old.class != new.class,
                Kind::Moved => old.split != new.split,
                Kind::Reencoded => old.blake3 != new.blake3,
            },
        }
    }
}

impl DiffReport {
    /// Whether there are no differences.
    pub fn is_same(&self) -> bool {
        self.changes.is_empty()
            && self.classes_added.is_empty()
            && self.classes_removed.is_empty()
            && self.classes_renamed.is_empty()
    }

    /// Returns the changes of one kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |change| change.is(kind))
    }
}

/// Compares two versions, each given as a reference or as the folder of a tree or build. At most `pictures`
/// changes get their pictures.
///
/// # Errors
/// `Error::Invalid` if one is neither a folder of a version nor a reference; `Error::Integrity`,
/// `Error::NotFound` or `Error::Network` if one cannot be read.
pub fn diff(
    client: &Client,
    old: &str,
    new: &str,
    pictures: usize,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<DiffReport> {
    let runtime = transport::runtime()?;
    let old = Side::open(&runtime, client, old)?;
    let new = Side::open(&runtime, client, new)?;
    // A tree does not have source ids, so stems are compared on both sides.
    let by_stem = old.is_tree() || new.is_tree();
    let ledger = new.ledger(&runtime)?;
    let mut warnings = old.warnings.clone();
    // One registry has the same warnings for both.
    warnings.extend(new.warnings.iter().filter(|warning| !old.warnings.contains(warning)).cloned());
    let unsigned = if old.unsigned.is_empty() { new.unsigned } else { old.unsigned };
    warnings.extend(unsigned::notice(unsigned));
    let mut changes = Vec::new();
    let (only_old, only_new) = compare::apart(&old.sums, &new.sums);
    let (before, after) = (old.images(&runtime, &only_old)?, new.images(&runtime, &only_new)?);
    for (id, before, after) in compare::pairs(&before, &after, by_stem) {
        let differs = match (before, after) {
            (Some(a), Some(b)) => (&a.class, a.split, a.blake3) != (&b.class, b.split, b.blake3),
            _ => true,
        };
        if !differs {
            continue;
        }
        let same_pixels = match (before, after) {
            (Some(a), Some(b)) if a.blake3 != b.blake3 => {
                old.pixels(a).zip(new.pixels(b)).map(|(before, after)| before == after)
            }
            _ => None,
        };
        let source = after.or(before).map_or(id, |image| image.source.as_str());
        let reasons = ledger.as_ref().map_or_else(Vec::new, |ledger| reasons(ledger, source));
        changes.push(Change {
            id: id.to_string(),
            old: before.map(Image::placement),
            new: after.map(Image::placement),
            same_pixels,
            reasons,
            pictures: (None, None),
        });
    }
    if pictures > 0 {
        let shown = changes.len().min(pictures);
        if shown < changes.len() {
            warnings.push(format!("{} of {} changes have pictures (--pictures)", shown, changes.len()));
        }
        warnings.extend(pictures::add(&runtime, &old, &new, &mut changes[..shown], jobs, progress)?);
    }
    let labels = |side: &Side| -> BTreeMap<ClassId, String> {
        let label = |class: &isn_format::class::Class| match &class.group {
            Some(group) => format!("{} ({group})", class.label),
            None => class.label.clone(),
        };
        side.classes.iter().map(|class| (class.id.clone(), label(class))).collect()
    };
    let (before, after) = (labels(&old), labels(&new));
    let only = |a: &BTreeMap<ClassId, String>, b: &BTreeMap<ClassId, String>| -> Vec<ClassId> {
        a.keys().filter(|id| !b.contains_key(*id)).cloned().collect()
    };
    let renamed = before.iter().filter_map(|(id, was)| {
        let is = after.get(id).filter(|is| *is != was)?;
        Some((id.clone(), was.clone(), is.clone()))
    });
    let names = |side: &Side| -> Vec<(ClassId, String)> {
        side.classes.iter().map(|class| (class.id.clone(), class.label.clone())).collect()
    };
    Ok(DiffReport {
        labels: names(&old).into_iter().chain(names(&new)).collect(),
        images: (old.sums.images().count(), new.sums.images().count()),
        classes_added: only(&after, &before),
        classes_removed: only(&before, &after),
        classes_renamed: renamed.collect(),
        old: old.what,
        new: new.what,
        changes,
        warnings,
        unsigned,
    })
}

/// Returns what reviewers decided about an image, or the label claims about it if there is no decision.
fn reasons(ledger: &Ledger, source: &str) -> Vec<String> {
    let with = |mut text: String, more: &str| {
        if !more.is_empty() {
            text += ": ";
            text += more;
        }
        text
    };
    let decided: Vec<String> = ledger
        .opinions(source)
        .into_iter()
        .map(|one| {
            let from = if one.source.is_empty() { String::new() } else { format!(", from {}", one.source) };
            with(format!("{} ({}, {}{from})", one.reason.as_str(), one.reviewer, one.date), &one.evidence)
        })
        .collect();
    if !decided.is_empty() {
        return decided;
    }
    let claimed = ledger.claims(source).map(|claim| {
        let classes: Vec<&str> = claim.says.classes().iter().map(ClassId::as_str).collect();
        let says = format!("{} claims {} {}", claim.source, claim.says.as_str(), classes.join(" "));
        with(says.trim_end().to_string(), &claim.evidence)
    });
    claimed.collect()
}

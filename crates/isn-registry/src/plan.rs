//! [`Plan`]: what a build will make of a source, decided before any image is decoded.

mod division;

use std::collections::HashSet;

use crate::source::ids::{Ids, Said};
use crate::source::{Source, SourceImage};
use isn_format::class::ClassId;
use isn_format::corrections::{Action, Corrections};
use isn_format::error::{Error, Mistake, Result, about, count};
use isn_format::ledger::policy::Settled;
use isn_format::pairs::Ties;
use isn_format::recipe::{Recipe, SplitPolicy};
use isn_format::rel_path::RelPath;
use isn_format::source_kind::SourceKind;
use isn_format::source_spec::{self, Names};
use isn_format::split::{Assignment, Assignments, Split};

use self::division::{Division, surplus};

/// The number of images of an earlier version, and not of the source, that a warning names.
const GONE_NAMED: usize = 5;

/// Every image of a version, with its place in the tree.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The images, sorted by the bytes of `path`, which is the order of `B3SUMS`.
    pub images: Vec<Planned>,
    /// The images that are left out, in the order of the source.
    pub removed: Vec<Removed>,
    /// The split of every image of the version, and of those that only an earlier version has.
    pub assignments: Assignments,
    /// Warnings for the curator, one line each.
    pub warnings: Vec<String>,
}

/// An image of the version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The image in the source, as an index of [`Source::images`].
    pub source: usize,
    /// Its class, after corrections.
    pub class: ClassId,
    /// Its split.
    pub split: Split,
    /// `split/class/stem.extension`.
    pub path: RelPath,
}

/// An image that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The image in the source, as an index of [`Source::images`].
    pub source: usize,
    /// The reason.
    pub cause: Cause,
}

/// Why an image is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A correction removes it.
    Correction,
    /// It is smaller than the recipe asks for, with `small = "drop"`.
    Small,
    /// Its class has enough without it.
    Surplus,
}

impl Plan {
    /// Plans the version that `recipe` and its ledger, as it is `settled`, make of `source`.
    ///
    /// `ties` and the assignments `previous` of an earlier version are those that the recipe names; groups
    /// are never divided, nor are pairs that are the same. `dropped` are the source ids of the images that
    /// `small = "drop"` leaves out, which count like removed ones.
    ///
    /// # Errors
    /// [`Error::Mistakes`] with every contradiction: decisions, groups and pairs of images that are not
    /// there, pairs about which reviewers differ, or that are different and in one group, relabels to the
    /// class that an image has, names that no path may have, images that would get the same path (with or
    /// without regard to case), and classes that are left without an image. [`Error::Invalid`] if `previous`
    /// is given and the recipe names no earlier version, or the reverse.
    pub fn new(
        recipe: &Recipe,
        settled: &Settled,
        source: &Source,
        ties: Ties<'_>,
        previous: Option<&Assignments>,
        dropped: &HashSet<String>,
    ) -> Result<Plan> {
        if recipe.split.previous.is_some() != previous.is_some() {
            let why = if previous.is_none() { "they are not given" } else { "the recipe names none" };
            return Err(Error::invalid("assignments of an earlier version", why));
        }
        let (ids, corrections) = (Ids::new(source), &settled.corrections);
        let Said { mut problems, mut warnings, claims } = ids.check(recipe, settled, ties);
        warnings.extend(claims);
        problems.extend(ties.problems(&recipe.split));
        let groups = &ties.joined();
        check_relabels(corrections, &ids, &mut problems);

        let (kept, removed): (Vec<_>, Vec<_>) = (0..source.images.len()).partition(|&at| {
            let id = &source.images[at].id;
            !is_removed(corrections, id) && !dropped.contains(id)
        });
        let mut removed: Vec<Removed> = removed
            .into_iter()
            .map(|at| {
                let by_ledger = is_removed(corrections, &source.images[at].id);
                Removed { source: at, cause: if by_ledger { Cause::Correction } else { Cause::Small } }
            })
            .collect();

        let division = Division { recipe, source, kept: &kept, groups, previous };
        let splits = division.splits(&mut problems);
        let mut images = Vec::with_capacity(kept.len());
        for (&at, &split) in kept.iter().zip(&splits) {
            let image = &source.images[at];
            let class = match corrections.get(&image.id).map(|correction| &correction.action) {
                Some(Action::Relabel(to)) => to.clone(),
                _ => image.class.clone(),
            };
            let stem = recipe.source.stem(&image.id);
            let path = format!("{split}/{class}/{stem}.{}", recipe.image.encode.extension());
            match path.parse::<RelPath>() {
                Ok(path) => images.push(Planned { source: at, class, split, path }),
                Err(why) => {
                    problems.push(format!("{}: rename or remove it{}", about(&image.path, why), hash(recipe)))
                }
            }
        }
        let surplus = surplus(recipe, source, &images, &recipe.balance);
        removed
            .extend(surplus.iter().map(|&at| Removed { source: images[at].source, cause: Cause::Surplus }));
        removed.sort_unstable_by_key(|removed| removed.source);
        let mut at = 0..;
        images.retain(|_| at.next().is_some_and(|at| !surplus.contains(&at)));
        images.sort_unstable_by(|a, b| a.path.cmp(&b.path).then(a.source.cmp(&b.source)));
        check_collisions(recipe, &images, source, &mut problems);
        warnings.extend(check_classes(recipe, source, &images, (corrections, &removed), &mut problems));
        let has = |split| images.iter().any(|image: &Planned| image.split == split);
        if recipe.needs_val() && has(Split::Train) && !has(Split::Val) {
            warnings.push(format!(
                "no image is in val, and `isn publish` requires {} of each class: raise [split] val, or set \
                 [gates] val_min = 0",
                recipe.gates.val_min
            ));
        }
        let draws = matches!(recipe.split.policy, SplitPolicy::Pool(_) | SplitPolicy::TopUp(_));
        if recipe.version.minor > 0 && draws && previous.is_none() {
            warnings.push(format!(
                "version {} names no earlier version ([split] previous): images may move from train to val",
                recipe.version
            ));
        }
        warnings.extend(previous.filter(|_| !source.is_part).and_then(|previous| gone(previous, source)));
        if !problems.is_empty() {
            let what = format!("the plan of {}", recipe.id());
            let mistakes = problems.into_iter().map(|why| Mistake { line: None, why }).collect();
            return Err(Error::Mistakes { what, mistakes });
        }
        let assignments = assignments(source, &kept, &splits, previous)?;
        Ok(Plan { images, removed, assignments, warnings })
    }
}

fn is_removed(corrections: &Corrections, id: &str) -> bool {
    corrections.get(id).is_some_and(|correction| correction.action == Action::Remove)
}

/// Reports relabels to the class that an image has.
fn check_relabels(corrections: &Corrections, ids: &Ids<'_>, problems: &mut Vec<String>) {
    for correction in corrections.iter() {
        let id = &correction.source_id;
        if let Action::Relabel(to) = &correction.action
            && ids.class_of(id) == Some(to)
        {
            problems.push(format!("corrections: {id} is of class {to} already: use keep"));
        }
    }
}

/// Proposes names that are always lawful, if the recipe's format has them.
fn hash(recipe: &Recipe) -> &'static str {
    match (recipe.source.names, recipe.source.ids, recipe.source.kind) {
        (Names::Keep, source_spec::Ids::Text, SourceKind::ImageFolder | SourceKind::List) => {
            ", or set [source] names = \"hash\" in the recipe"
        }
        _ => "",
    }
}

/// Reports images with the same path. `images` must be sorted by path.
fn check_collisions(recipe: &Recipe, images: &[Planned], source: &Source, problems: &mut Vec<String>) {
    let mut folded: Vec<(String, &Planned)> =
        images.iter().map(|image| (image.path.folded(), image)).collect();
    folded.sort_by(|a, b| a.0.cmp(&b.0));
    for pair in folded.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        let (a, b) = (pair[0].1, pair[1].1);
        let case = if a.path == b.path { "" } else { " apart from upper and lower case" };
        let (first, second) = (&source.images[a.source].path, &source.images[b.source].path);
        let rename = match hash(recipe) {
            "" => String::new(),
            or => format!(": rename one{or}"),
        };
        problems.push(format!("{first} and {second} would both be {}{case}{rename}", b.path));
    }
}

/// Says what became of the images and the other files of a class.
fn why_empty(
    recipe: &Recipe,
    source: &Source,
    (corrections, removed): (&Corrections, &[Removed]),
    class: &ClassId,
) -> Vec<String> {
    let of_class = || source.images.iter().enumerate().filter(|(_, image)| image.class == *class);
    let of = |cause: Cause| {
        removed.iter().filter(|one| one.cause == cause && source.images[one.source].class == *class).count()
    };
    let (all, small, by_ledger) = (of_class().count(), of(Cause::Small), of(Cause::Correction));
    let mut why = Vec::new();
    if small > 0 {
        let (of, size) = (count(all, "image"), recipe.image.size);
        why.push(format!(
            "{small} of its {of} {} smaller than {size} pixels, and [image] small = \"drop\" leaves them out",
            if small == 1 { "is" } else { "are" }
        ));
    }
    if by_ledger > 0 {
        why.push(format!("the ledger removes {by_ledger} of its {}", count(all, "image")));
    }
    let is_removed = |at: usize| removed.iter().any(|one| one.source == at);
    let is_relabelled = |(at, image): &(usize, &SourceImage)| {
        let correction = corrections.get(&image.id).map(|correction| &correction.action);
        matches!(correction, Some(Action::Relabel(_))) && !is_removed(*at)
    };
    let relabelled = of_class().filter(is_relabelled).count();
    if relabelled > 0 {
        why.push(format!("the ledger gives {relabelled} of its {} another class", count(all, "image")));
    }
    let left = source.left_out.iter().filter(|left| left.class.as_ref() == Some(class));
    why.extend(left.clone().next().map(|first| {
        let files = count(left.count(), "file");
        format!("{files} of its folder left out, such as {} ({})", first.path, first.why)
    }));
    why
}

/// Reports a class without any image as a problem. Returns a warning for a class without images in a split
/// that other classes have.
fn check_classes(
    recipe: &Recipe,
    source: &Source,
    images: &[Planned],
    changes: (&Corrections, &[Removed]),
    problems: &mut Vec<String>,
) -> Vec<String> {
    let present: HashSet<(Split, &ClassId)> =
        images.iter().map(|image| (image.split, &image.class)).collect();
    let splits: Vec<Split> =
        Split::ALL.into_iter().filter(|split| present.iter().any(|(other, _)| other == split)).collect();
    let mut warnings = Vec::new();
    for class in &recipe.classes {
        let lacks: Vec<Split> =
            splits.iter().copied().filter(|&split| !present.contains(&(split, &class.id))).collect();
        if lacks.len() == splits.len() {
            let why = why_empty(recipe, source, changes, &class.id).join("; ");
            let why = if why.is_empty() { why } else { format!(": {why}") };
            problems.push(format!("class {} ({}) has no image{why}", class.id, class.label));
            continue;
        }
        for split in lacks {
            warnings.push(format!(
                "class {} ({}) has no {split} image: torchvision would number the classes of {split}/ \
                differently from classes.csv",
                class.id, class.label
            ));
        }
    }
    warnings
}

/// Warns of images of the earlier version that the source lacks: under other names they are new ones.
fn gone(previous: &Assignments, source: &Source) -> Option<String> {
    let here: HashSet<&str> = source.images.iter().map(|image| image.id.as_str()).collect();
    let gone: Vec<&str> =
        previous.iter().map(|row| row.source_id.as_str()).filter(|id| !here.contains(id)).collect();
    let named: Vec<&str> = gone.iter().take(GONE_NAMED).copied().collect();
    let more = if gone.len() > named.len() { ", …" } else { "" };
    (!gone.is_empty()).then(|| {
        format!(
            "of the {1} of the earlier version, the source lacks {0}: {2}{more}. A renamed image is a new one, \
             which may get another split: give it its name back",
            gone.len(),
            count(previous.iter().len(), "image"),
            named.join(", ")
        )
    })
}

/// Returns what a later version inherits: the current split of each image, and the split in `previous` of
/// images that are gone, so that an image that comes back does not change splits.
fn assignments(
    source: &Source,
    kept: &[usize],
    splits: &[Split],
    previous: Option<&Assignments>,
) -> Result<Assignments> {
    let mut rows: Vec<Assignment> = kept
        .iter()
        .zip(splits)
        .map(|(&at, &split)| {
            let SourceImage { id, class, .. } = &source.images[at];
            Assignment { source_id: id.clone(), class: class.clone(), split }
        })
        .collect();
    if let Some(previous) = previous {
        let here: HashSet<&str> = kept.iter().map(|&at| source.images[at].id.as_str()).collect();
        rows.extend(previous.iter().filter(|row| !here.contains(row.source_id.as_str())).cloned());
    }
    // A source lists every id once, and the rows from `previous` have other ids.
    Assignments::new(rows).map_err(|id| Error::Internal(format!("two images have the source id {id}")))
}

#[cfg(test)]
mod tests;

//! `isn audit duplicates`: finds images that are there more than once: the same file, the same pixels, or a
//! copy that was saved again, resized, lightened, trimmed or mirrored. It also tells which of them are in
//! more than one split.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rayon::prelude::*;

use super::looks::look;
use super::subject::{Item, Subject};
use crate::audit::duplicates::{Pair, UnionFind, near_pairs};
use crate::audit::look::{Look, Seen, levels};
use crate::audit::phash::Hashes;
use crate::audit::similar::{Detail, SIMILAR, similarity};
use crate::parallel::in_order;
use crate::progress::{Progress, Unit};
use isn_format::digest::Digest;
use isn_format::error::{Error, Result};
use isn_format::groups::Groups;
use isn_format::text::is_formula;

/// The number of pairs that are compared at a time. Pairs that earlier batches have put into one group are
/// skipped.
const BATCH: usize = 512;

/// What counts as a copy.
#[derive(Clone, Copy, Debug)]
pub struct NearOptions {
    /// The maximum number of bits, of 64, in which two hashes may differ.
    pub distance: u32,
    /// The minimum similarity of the details, up to 1.
    pub similarity: f64,
}

impl Default for NearOptions {
    fn default() -> Self {
        NearOptions { distance: 8, similarity: SIMILAR }
    }
}

/// A pair whose similarity was confirmed on pixels.
#[derive(Clone, Copy, Debug)]
pub struct NearPair {
    /// The two images, and the distance of their hashes.
    pub pair: Pair,
    /// The similarity of their details.
    pub similarity: f64,
}

/// Two or more images that show one picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Their positions in [`Subject::images`], in order.
    pub places: Vec<usize>,
    /// The images.
    pub members: Vec<Item>,
}

impl Group {
    fn of(subject: &Subject, places: Vec<usize>) -> Group {
        let members = places.iter().map(|&at| subject.images[at].clone()).collect();
        Group { places, members }
    }

    /// Whether it has members in two splits, so that what is learnt from one leaks into the other.
    pub fn is_across_splits(&self) -> bool {
        self.members.iter().filter_map(|item| item.split).collect::<BTreeSet<_>>().len() > 1
    }

    /// Whether it has members of two classes, so that one of the labels is wrong or the picture shows both.
    pub fn is_across_classes(&self) -> bool {
        self.members.iter().filter_map(|item| item.class.as_ref()).collect::<BTreeSet<_>>().len() > 1
    }

    /// Returns the group's name: the smallest source id of its members.
    pub fn name(&self) -> &str {
        self.members.iter().map(|item| &*item.source_id).min().unwrap_or_default()
    }
}

/// The outcome of the search.
#[derive(Debug)]
pub struct DuplicatesReport {
    /// The number of images.
    pub images: usize,
    /// Groups with the same bytes or the same pixels.
    pub exact: Vec<Group>,
    /// Groups that contain near copies, together with exact copies of their members.
    pub near: Vec<Group>,
    /// The pairs that connect the groups of `near`. There may be more such pairs.
    pub pairs: Vec<NearPair>,
    /// All groups, exact and near. Every image is in at most one.
    pub groups: Vec<Group>,
    /// The number of images with too little contrast for near copies to be found.
    pub low_contrast: usize,
    /// The number of images that cannot be decoded, and were compared by their bytes alone.
    pub broken: usize,
}

impl DuplicatesReport {
    /// Returns the groups with members in two splits.
    pub fn cross_split(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter().filter(|group| group.is_across_splits())
    }

    /// Returns the groups with members of two classes.
    pub fn cross_class(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter().filter(|group| group.is_across_classes())
    }

    /// Returns the groups in the form that a recipe names: images of one group stay in one split.
    ///
    /// # Errors
    /// [`Error::Invalid`] if images of two groups have the same source id, or if a spreadsheet would run a
    /// source id as a formula: the file must hold the exact id, and people open it in spreadsheets.
    pub fn as_groups(&self) -> Result<Groups> {
        let members = self.groups.iter().flat_map(|group| &group.members);
        if let Some(item) = members.into_iter().find(|item| is_formula(&item.source_id)) {
            let why = "would be run as a formula by a spreadsheet, so it is not written: rename the image \
            or its folder";
            return Err(Error::invalid(&item.source_id, why));
        }
        let ids = |group: &Group| {
            let mut ids: Vec<String> = group.members.iter().map(|item| item.source_id.clone()).collect();
            ids.sort_unstable();
            ids.dedup();
            ids
        };
        Groups::new(self.groups.iter().map(ids))
            .map_err(|id| Error::invalid(id, "is the source id of two different pictures"))
    }
}

/// Finds the duplicates of a subject.
///
/// # Errors
/// [`Error::Integrity`] or [`Error::Network`] if an image of a version cannot be fetched; [`Error::Io`] if
/// threads cannot be started.
pub fn duplicates(
    subject: &Subject,
    options: NearOptions,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<DuplicatesReport> {
    let looks = look(subject, jobs, progress)?;
    among(subject, &looks, options, jobs, progress)
}

/// Finds the groups of duplicates that are in more than one split, which no release may have.
///
/// # Errors
/// Those of [`duplicates`].
pub fn leakage(subject: &Subject, jobs: usize, progress: &dyn Progress) -> Result<Vec<Group>> {
    let report = duplicates(subject, NearOptions::default(), jobs, progress)?;
    Ok(report.groups.into_iter().filter(Group::is_across_splits).collect())
}

/// Finds duplicates among images that have been decoded. The few images with near hashes are read again,
/// because keeping the levels of all images would take 4 kB each.
///
/// # Errors
/// Those of [`duplicates`].
pub fn among(
    subject: &Subject,
    looks: &[Look],
    options: NearOptions,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<DuplicatesReport> {
    let mut groups = UnionFind::new(looks.len());
    let mut by_digest: HashMap<(bool, Digest), usize> = HashMap::new();
    for (at, look) in looks.iter().enumerate() {
        let pixels = look.seen.as_ref().ok().map(|seen| (true, seen.pixels));
        // A file that could not be read has no bytes to compare.
        let bytes = (look.blake3 != Digest::of(b"")).then_some((false, look.blake3));
        for key in [bytes, pixels].into_iter().flatten() {
            groups.join(at, *by_digest.entry(key).or_insert(at));
        }
    }
    let exact = groups.groups();

    // One image of each exact group is enough.
    let hashes: Vec<Option<Hashes>> = (0..looks.len())
        .map(|at| seen(looks, at).filter(|_| groups.first(at) == at).and_then(|seen| seen.hashes))
        .collect();
    let pool = crate::parallel::pool(jobs)?;
    let mut candidates = pool.install(|| near_pairs(&hashes, options.distance));
    candidates.sort_unstable_by_key(|pair| (pair.distance, pair.a, pair.b));
    let levels = levels_of(subject, &candidates, jobs, progress)?;
    let mut pairs = Vec::new();
    for batch in candidates.chunks(BATCH) {
        // Pairs within one group need no more evidence. The resulting groups do not depend on the order.
        let open: Vec<Pair> =
            batch.iter().copied().filter(|pair| groups.first(pair.a) != groups.first(pair.b)).collect();
        let confirm = |pair: &Pair| confirm(&levels, pair, options.similarity);
        let confirmed: Vec<NearPair> = pool.install(|| open.par_iter().filter_map(confirm).collect());
        for near in confirmed {
            groups.join(near.pair.a, near.pair.b);
            pairs.push(near);
        }
    }
    pairs.sort_unstable_by_key(|near| near.pair);

    let has_near: BTreeSet<usize> = pairs.iter().map(|near| groups.first(near.pair.a)).collect();
    let all = groups.groups();
    let near = all.iter().filter(|places| has_near.contains(&places[0])).cloned();
    let near: Vec<Group> = near.map(|places| Group::of(subject, places)).collect();
    let in_all = |seen: fn(&Seen) -> bool| looks.iter().filter(|l| l.seen.as_ref().is_ok_and(seen)).count();
    Ok(DuplicatesReport {
        images: looks.len(),
        exact: exact.into_iter().map(|places| Group::of(subject, places)).collect(),
        near,
        pairs,
        groups: all.into_iter().map(|places| Group::of(subject, places)).collect(),
        low_contrast: in_all(|seen| seen.hashes.is_none()),
        broken: looks.iter().filter(|look| look.seen.is_err()).count(),
    })
}

fn seen(looks: &[Look], at: usize) -> Option<&Seen> {
    looks[at].seen.as_ref().ok()
}

/// Returns the levels of every image in a pair.
fn levels_of(
    subject: &Subject,
    pairs: &[Pair],
    jobs: usize,
    progress: &dyn Progress,
) -> Result<BTreeMap<usize, Vec<u8>>> {
    let mut wanted: Vec<usize> = pairs.iter().flat_map(|pair| [pair.a, pair.b]).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut found = BTreeMap::new();
    progress.begin("compare near copies", Unit::Images, wanted.len() as u64);
    let work = |(): &mut (), at: &usize| subject.read(*at).map(|bytes| levels(&bytes, subject.orientation));
    in_order(
        jobs,
        jobs * 8,
        &wanted,
        || (),
        work,
        |at, levels| {
            found.extend(levels?.map(|levels| (wanted[at], levels)));
            progress.advance(1);
            Ok::<(), Error>(())
        },
    )?;
    progress.end();
    Ok(found)
}

/// Compares the details of a pair in the orientation that their hashes suggest, and in the other one if that
/// does not match.
fn confirm(levels: &BTreeMap<usize, Vec<u8>>, pair: &Pair, enough: f64) -> Option<NearPair> {
    let (a, b) = (Detail::of(levels.get(&pair.a)?), Detail::of(levels.get(&pair.b)?));
    let lay = |mirrored: bool| {
        let similarity = if mirrored { similarity(&a, &b.mirrored()) } else { similarity(&a, &b) };
        NearPair { pair: Pair { mirrored, ..*pair }, similarity }
    };
    let first = lay(pair.mirrored);
    let near = if first.similarity >= enough { first } else { lay(!pair.mirrored) };
    (near.similarity >= enough).then_some(near)
}

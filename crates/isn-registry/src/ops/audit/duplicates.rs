//! `isn audit duplicates`: finds images that are there more than once: the same file, the same pixels, or a
//! copy that was saved again, resized, lightened, trimmed, framed, mirrored or turned. It also tells which of
//! them are in more than one split.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use rayon::prelude::*;

use super::different::{ByDigest, Different};
use super::looks::look;
use super::neighbours::Neighbours;
use super::subject::{Item, Subject};
use crate::audit::duplicates::{Candidate, candidates, guesses_about};
use crate::audit::look::{Look, Seen, levels};
use crate::audit::print::Print;
use crate::audit::similar::{Detail, SIMILAR, similarity};
use crate::parallel::in_order;
use crate::progress::{Progress, Unit};
use isn_format::digest::Digest;
use isn_format::error::{Error, Result};
use isn_format::groups::Groups;
use isn_format::pairs::{Judged, Pair};
use isn_format::text::is_formula;
use isn_format::union_find::UnionFind;

/// The number of pairs that are compared at a time. Pairs that earlier batches have put into one group are
/// skipped.
const BATCH: usize = 512;

/// The number of guesses about one pair that are tried, the nearest by their hashes.
const GUESSES: usize = 4;

/// What counts as a copy.
#[derive(Clone, Copy, Debug)]
pub struct NearOptions<'a> {
    /// The maximum number of bits, of 64, in which two hashes may differ.
    pub distance: u32,
    /// The minimum similarity of the details, up to 1.
    pub similarity: f64,
    /// Pairs that may be copies whatever their hashes are.
    pub neighbours: &'a [Neighbours],
}

impl Default for NearOptions<'_> {
    fn default() -> Self {
        NearOptions { distance: 11, similarity: SIMILAR, neighbours: &[] }
    }
}

/// A pair whose similarity was confirmed on pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NearPair {
    /// The first image, by its position in [`Subject::images`].
    pub a: usize,
    /// The second image, which comes after the first.
    pub b: usize,
    /// The number of bits in which the hashes differ by which it was found; of neighbours, more than the
    /// options allow.
    pub distance: u32,
    /// Whether the second is a mirror image of the first.
    pub mirrored: bool,
    /// By how many degrees the second is turned clockwise, after mirroring: 0, 90, 180 or 270.
    pub turned: u16,
    /// Whether one is the negative of the other.
    pub inverted: bool,
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
    /// The source ids of two members that nobody has found different, in two splits if the group is.
    pub pair: [String; 2],
}

impl Group {
    fn of(subject: &Subject, different: &Different, places: Vec<usize>) -> Group {
        let members = places.iter().map(|&at| subject.images[at].clone()).collect();
        let mut group = Group { places, members, pair: Default::default() };
        let is_across = group.is_across_splits();
        let split = |at: usize| subject.images[at].split;
        let with = |&one: &usize| {
            let others = group.places.iter().copied().filter(|&other| other > one);
            let mut apart = others.filter(|&other| !is_across || split(other) != split(one));
            apart.find(|&other| !different.has(one, other)).map(|other| [one, other])
        };
        if let Some(pair) = group.places.iter().find_map(with) {
            group.pair = pair.map(|at| subject.images[at].source_id.clone());
        }
        group
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
    /// Neighbours that are in no group together: those in two splits first, then the nearest.
    pub similar: Vec<Neighbours>,
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

    /// Returns the pair of the worst group whose pair nobody has judged yet, and of which no id is a formula
    /// to a spreadsheet, which a file of pairs does not take; `None` if there is none.
    pub fn to_judge(&self, judged: &Judged) -> Option<&[String; 2]> {
        let mut pairs = self.worst_first().into_iter().map(|group| &group.pair);
        pairs.find(|pair| !is_same(judged, pair) && !pair.iter().any(|id| is_formula(id)))
    }

    /// Returns all groups: first those in two splits, then those of two classes.
    pub fn worst_first(&self) -> Vec<&Group> {
        let mut groups: Vec<&Group> = self.groups.iter().collect();
        groups.sort_by_key(|group| (!group.is_across_splits(), !group.is_across_classes()));
        groups
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

/// Whether people found that two images are one picture.
pub fn is_same(judged: &Judged, [one, other]: &[String; 2]) -> bool {
    Pair::new(one, other).is_some_and(|pair| judged.same.contains(&pair))
}

/// Finds the duplicates of a subject.
///
/// # Errors
/// [`Error::Integrity`] or [`Error::Network`] if an image of a version cannot be fetched; [`Error::Io`] if
/// threads cannot be started.
pub fn duplicates(
    subject: &Subject,
    options: NearOptions<'_>,
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
    options: NearOptions<'_>,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<DuplicatesReport> {
    let mut groups = UnionFind::new(looks.len());
    let (different, mut by_digest) = (Different::of(subject), ByDigest::new());
    for (at, look) in looks.iter().enumerate() {
        let pixels = look.seen.as_ref().ok().map(|seen| (true, seen.pixels));
        // A file that could not be read has no bytes to compare.
        let bytes = (look.blake3 != Digest::of(b"")).then_some((false, look.blake3));
        for key in [bytes, pixels].into_iter().flatten() {
            different.join(&mut groups, by_digest.entry(key).or_default(), at);
        }
    }
    let exact = groups.groups();
    let copies: HashMap<usize, &[usize]> = exact.iter().map(|places| (places[0], &places[..])).collect();
    let of = |at: &usize| copies.get(at).copied().map_or_else(|| vec![*at], <[usize]>::to_vec);

    // One image of each exact group is enough.
    let prints: Vec<Option<&Print>> = (0..looks.len())
        .map(|at| seen(looks, at).filter(|_| groups.first(at) == at).and_then(|seen| seen.print.as_ref()))
        .collect();
    let pool = crate::parallel::pool(jobs)?;
    progress.begin("compare hashes", Unit::Images, looks.len() as u64);
    let mut found =
        pool.install(|| candidates(&prints, options.distance, |more| progress.advance(more as u64)));
    progress.end();
    add_neighbours(&mut found, &prints, options.neighbours, &mut groups);
    let mut guessed: Vec<&[Candidate]> = found.chunk_by(|a, b| places(a) == places(b)).collect();
    guessed.sort_by_key(|guesses| (guesses[0].distance, places(&guesses[0])));
    let levels = levels_of(subject, &found, jobs, progress)?;
    let mut pairs: Vec<NearPair> = Vec::new();
    progress.begin("compare pictures", Unit::Images, guessed.len() as u64);
    for batch in guessed.chunks(BATCH) {
        // Pairs within one group need no more evidence. The resulting groups do not depend on the order.
        let is_open = |guesses: &&[Candidate]| {
            let (a, b) = places(&guesses[0]);
            // Each has the same pixels as its copies, which may be in no such pair with the other.
            groups.first(a) != groups.first(b)
                && (!different.has(a, b) || different.unjudged(&of(&a), &of(&b)).is_some())
        };
        let open: Vec<&[Candidate]> = batch.iter().copied().filter(is_open).collect();
        let confirm = |guesses: &&[Candidate]| confirm(&prints, &levels, guesses, options.similarity);
        let confirmed: Vec<NearPair> = pool.install(|| open.par_iter().filter_map(confirm).collect());
        for near in confirmed {
            groups.join(near.a, near.b);
            pairs.push(near);
        }
        progress.advance(batch.len() as u64);
    }
    progress.end();
    pairs.sort_unstable_by_key(|near| (near.a, near.b));
    let similar = similar(subject, options.neighbours, &mut groups, &different);

    let has_near: BTreeSet<usize> = pairs.iter().map(|near| groups.first(near.a)).collect();
    let all = groups.groups();
    let near = all.iter().filter(|places| has_near.contains(&places[0])).cloned();
    let near: Vec<Group> = near.map(|places| Group::of(subject, &different, places)).collect();
    let in_all = |seen: fn(&Seen) -> bool| looks.iter().filter(|l| l.seen.as_ref().is_ok_and(seen)).count();
    Ok(DuplicatesReport {
        images: looks.len(),
        exact: exact.into_iter().map(|places| Group::of(subject, &different, places)).collect(),
        near,
        pairs,
        groups: all.into_iter().map(|places| Group::of(subject, &different, places)).collect(),
        similar,
        low_contrast: in_all(|seen| seen.print.is_none()),
        broken: looks.iter().filter(|look| look.seen.is_err()).count(),
    })
}

/// Adds guesses about neighbours that have none yet, of each group of exact copies about its first image.
fn add_neighbours(
    found: &mut Vec<Candidate>,
    prints: &[Option<&Print>],
    neighbours: &[Neighbours],
    groups: &mut UnionFind,
) {
    if neighbours.is_empty() {
        return;
    }
    let mut known: HashSet<(usize, usize)> = found.iter().map(places).collect();
    for pair in neighbours {
        let (a, b) = (groups.first(pair.a), groups.first(pair.b));
        if let (Some(one), Some(other)) = (prints[a], prints[b])
            && a != b
            && known.insert((a.min(b), a.max(b)))
        {
            found.extend(guesses_about((a as u32, one), (b as u32, other)));
        }
    }
    found.sort_by_key(|guess| (places(guess), guess.distance));
}

/// Returns the neighbours that are no copies, of two groups only the nearest: those in two splits first.
fn similar(
    subject: &Subject,
    neighbours: &[Neighbours],
    groups: &mut UnionFind,
    different: &Different,
) -> Vec<Neighbours> {
    let mut open: Vec<Neighbours> =
        neighbours.iter().filter(|pair| !different.has(pair.a, pair.b)).copied().collect();
    let split = |at: usize| subject.images[at].split;
    open.sort_by(|one, other| {
        let in_one = |pair: &Neighbours| split(pair.a) == split(pair.b);
        let nearer = other.cosine.total_cmp(&one.cosine).then((one.a, one.b).cmp(&(other.a, other.b)));
        in_one(one).cmp(&in_one(other)).then(nearer)
    });
    let mut told = HashSet::new();
    open.retain(|pair| {
        let (a, b) = (groups.first(pair.a), groups.first(pair.b));
        a != b && told.insert((a.min(b), a.max(b)))
    });
    open
}

fn seen(looks: &[Look], at: usize) -> Option<&Seen> {
    looks[at].seen.as_ref().ok()
}

/// The two images of a guess, in their order.
fn places(guess: &Candidate) -> (usize, usize) {
    (guess.one.min(guess.other) as usize, guess.one.max(guess.other) as usize)
}

/// Returns the levels of every image in a pair.
fn levels_of(
    subject: &Subject,
    pairs: &[Candidate],
    jobs: usize,
    progress: &dyn Progress,
) -> Result<BTreeMap<usize, Vec<u8>>> {
    let mut wanted: Vec<usize> = pairs.iter().map(places).flat_map(|(a, b)| [a, b]).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut found = BTreeMap::new();
    progress.begin("read near copies", Unit::Images, wanted.len() as u64);
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

/// Compares the details of two images in each way that was guessed, the nearest first, until they are
/// similar.
fn confirm(
    prints: &[Option<&Print>],
    levels: &BTreeMap<usize, Vec<u8>>,
    guesses: &[Candidate],
    enough: f64,
) -> Option<NearPair> {
    guesses.iter().take(GUESSES).find_map(|found| {
        let (one, other) = (found.one as usize, found.other as usize);
        let (a, b) = (Detail::of(levels.get(&one)?), Detail::of(levels.get(&other)?));
        let guess = found.guess;
        let a = if guess.inverted { a.turned(guess.turn).inverted() } else { a.turned(guess.turn) };
        let fit = guess.fit(prints[one]?, prints[other]?);
        let similarity = similarity(&a, &b, fit);
        // The images are told in their order, and a quarter turn the other way is another.
        let turn = if one < other { guess.turn } else { guess.turn.inverse() };
        let (mirrored, turned) = turn.as_degrees();
        let ((a, b), distance) = (places(found), found.distance);
        let near = NearPair { a, b, distance, mirrored, turned, inverted: guess.inverted, similarity };
        (similarity >= enough).then_some(near)
    })
}

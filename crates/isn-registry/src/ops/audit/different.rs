//! [`Different`]: the pairs of a subject's images that people found to be different pictures.

use std::collections::{HashMap, HashSet};

use super::subject::Subject;
use isn_format::digest::Digest;
use isn_format::union_find::UnionFind;

/// Pairs of images, by their positions in [`Subject::images`]: an image that looks like another one is no
/// copy of it if they are such a pair.
#[derive(Default)]
pub(super) struct Different {
    pairs: HashSet<(usize, usize)>,
    images: HashSet<usize>,
}

/// Images with the same bytes, or the same pixels.
#[derive(Default)]
pub(super) struct Alike {
    /// The first that is in no pair.
    first: Option<usize>,
    /// Those that are in one.
    judged: Vec<usize>,
}

/// Images by what they have in common: whether that is pixels, and its hash.
pub(super) type ByDigest = HashMap<(bool, Digest), Alike>;

impl Different {
    /// Finds the pairs of a subject. A source id that several images have, as guessed ones may be, names
    /// none.
    pub(super) fn of(subject: &Subject) -> Self {
        let mut different = Different::default();
        if subject.judged.different.is_empty() {
            return different;
        }
        let mut places: HashMap<&str, Option<usize>> = HashMap::new();
        for (at, item) in subject.images.iter().enumerate() {
            places.entry(&item.source_id).and_modify(|place| *place = None).or_insert(Some(at));
        }
        for pair in &subject.judged.different {
            let [one, other] = pair.ids().map(|id| places.get(id).copied().flatten());
            if let (Some(one), Some(other)) = (one, other) {
                different.pairs.insert((one.min(other), one.max(other)));
                different.images.extend([one, other]);
            }
        }
        different
    }

    /// Whether two images are such a pair.
    pub(super) fn has(&self, one: usize, other: usize) -> bool {
        self.pairs.contains(&(one.min(other), one.max(other)))
    }

    /// Joins an image with those before it that are like it, but for those that it is different from.
    pub(super) fn join(&self, groups: &mut UnionFind, alike: &mut Alike, at: usize) {
        let is_judged = self.images.contains(&at);
        if let Some(first) = alike.first {
            groups.join(first, at);
        }
        if is_judged || alike.first.is_none() {
            for &other in alike.judged.iter().filter(|&&other| !self.has(other, at)) {
                groups.join(other, at);
            }
        }
        match is_judged {
            true => alike.judged.push(at),
            false => drop(alike.first.get_or_insert(at)),
        }
    }

    /// Returns two images, one of each list, that are no such pair; `None` if all are.
    pub(super) fn unjudged(&self, some: &[usize], others: &[usize]) -> Option<(usize, usize)> {
        let all = some.iter().flat_map(|&one| others.iter().map(move |&other| (one, other)));
        all.into_iter().find(|&(one, other)| !self.has(one, other))
    }
}

//! [`NearPairs`]: the pairs of images that an audit takes for copies. The decisions are in a file of pairs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::SystemTime;

use maud::Markup;

use super::{Desk, Form, Found, Then, Work, page};
use isn_format::error::{Error, Result};
use isn_format::ledger::date::timestamp;
use isn_format::pairs::{Decision, Pair, Pairs, Reason, Says};
use isn_format::recipe::SplitSpec;
use isn_format::union_find::UnionFind;
use isn_registry::ops::audit::Subject;
use isn_registry::ops::audit::duplicates::NearPair;
use isn_registry::row_file;

/// Two images to decide on.
pub(super) struct Shown {
    /// Their source ids, in which the first need not be that of `a`.
    pub(super) pair: Pair,
    /// The first image, by its position in [`Subject::images`].
    pub(super) a: usize,
    /// The second image.
    pub(super) b: usize,
    /// How they were found.
    pub(super) how: How,
    /// Their group, by its position in [`NearPairs::groups`].
    pub(super) group: usize,
}

/// How a pair was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum How {
    /// By their pixels: also says how the second lies on the first.
    Near(NearPair),
    /// The same bytes, or the same pixels.
    Exact,
    /// By their embeddings, which have this cosine. Pixels do not tell that one is a copy.
    Similar(f32),
}

impl Shown {
    /// Returns how the second lies on the first, if pixels tell it.
    pub(super) fn near(&self) -> Option<&NearPair> {
        match &self.how {
            How::Near(near) => Some(near),
            How::Exact | How::Similar(_) => None,
        }
    }
}

/// The pairs to decide on, in order.
pub(super) struct NearPairs {
    pub(super) pairs: Vec<Shown>,
    /// Images that are joined by pairs, directly or through others, by their positions.
    pub(super) groups: Vec<Vec<usize>>,
    /// How the recipe divides the images, if they are those of its source.
    pub(super) division: Option<SplitSpec>,
}

/// What a form says.
pub(super) struct Said {
    says: Says,
    reason: Reason,
    note: String,
    /// Whether it is about all pairs of the group on which the reviewer has not decided.
    whole: bool,
}

/// What a group, or a pair, spoils: the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Harm {
    AcrossSplits,
    AcrossClasses,
    Within,
}

impl Harm {
    pub(super) fn of(subject: &Subject, places: &[usize]) -> Harm {
        let images = || places.iter().map(|&at| &subject.images[at]);
        if images().filter_map(|item| item.split).collect::<BTreeSet<_>>().len() > 1 {
            Harm::AcrossSplits
        } else if images().filter_map(|item| item.class.as_ref()).collect::<BTreeSet<_>>().len() > 1 {
            Harm::AcrossClasses
        } else {
            Harm::Within
        }
    }
}

impl NearPairs {
    /// Puts the pairs in their order: near copies, then exact ones, then what is only similar; of each,
    /// groups across splits, across classes, and the others, each as a whole. `written` is the file of
    /// decisions, and the reviewer.
    pub(super) fn find(
        subject: &Subject,
        found: Found,
        division: Option<SplitSpec>,
        written: (&Path, &str),
    ) -> Result<Self> {
        let near = found.near.into_iter().map(|near| (near.a, near.b, How::Near(near)));
        // Whoever is like the first member is like all.
        let exact = found.exact.iter().filter_map(|group| group.split_first());
        let exact =
            exact.flat_map(|(&first, others)| others.iter().map(move |&other| (first, other, How::Exact)));
        let similar = found.similar.into_iter().map(|pair| (pair.a, pair.b, How::Similar(pair.cosine)));
        let copies: Vec<_> = near.chain(exact).collect();
        let mut joined = UnionFind::new(subject.images.len());
        for &(a, b, _) in &copies {
            joined.join(a, b);
        }
        let mut groups = joined.groups();
        let by_first: BTreeMap<usize, usize> =
            groups.iter().enumerate().map(|(group, places)| (places[0], group)).collect();
        let mut pairs = Vec::new();
        let mut seen = BTreeSet::new();
        for (a, b, how) in copies.into_iter().chain(similar) {
            let [one, other] = [a, b].map(|at| subject.images[at].source_id.as_str());
            let pair = Pair::new(one, other).ok_or_else(|| {
                Error::invalid(one, "is the source id of two images: name the recipe with --recipe")
            })?;
            if !seen.insert(pair.clone()) {
                continue;
            }
            let group = match how {
                // Whoever is similar to a copy is none: it is decided on alone.
                How::Similar(_) => {
                    groups.push(vec![a, b]);
                    groups.len() - 1
                }
                How::Near(_) | How::Exact => by_first[&joined.first(a)],
            };
            pairs.push(Shown { pair, a, b, how, group });
        }
        if pairs.is_empty() {
            return Err(Error::invalid(found.what, "has no duplicates: there is nothing to review"));
        }
        let harm: Vec<Harm> = groups.iter().map(|places| Harm::of(subject, places)).collect();
        pairs.sort_by_cached_key(|shown| {
            let &Shown { a, b, group, .. } = shown;
            let kind = match shown.how {
                How::Near(_) => 0,
                How::Exact => 1,
                How::Similar(_) => 2,
            };
            (kind, harm[group], group, Harm::of(subject, &[a, b]), a, b)
        });
        let (path, reviewer) = written;
        let rows: Vec<Decision> =
            pairs.iter().map(|shown| row(&shown.pair, reviewer, (Says::Unsure, Reason::Other, ""))).collect();
        // Rows that could not be written are told before anybody decides.
        row_file::check::<Pairs>(path, &rows)?;
        Ok(NearPairs { pairs, groups, division })
    }
}

impl Work for NearPairs {
    type File = Pairs;
    type Said = Said;

    const NOUN: &'static str = "pairs";

    fn count(&self) -> usize {
        self.pairs.len()
    }

    fn is_decided(desk: &Desk<Self>, file: &Pairs, at: usize) -> bool {
        desk.has_decided(file, &desk.work.pairs[at].pair)
    }

    fn show(desk: &Desk<Self>, at: usize) -> (String, Markup) {
        (desk.work.pairs[at].pair.to_string(), page::pair(desk, at))
    }

    fn read(_: &Desk<Self>, form: &Form<'_>) -> Result<(Said, Then), &'static str> {
        let (says, usual, then) = match form.field("what").as_deref() {
            Some("same") => (Says::Same, Reason::Copy, Then::Next),
            Some("all") => (Says::Same, Reason::Copy, Then::NextUndecided),
            Some("different") => (Says::Different, Reason::LookAlike, Then::Next),
            Some("unsure") => (Says::Unsure, Reason::Other, Then::Next),
            Some("undo") => (Says::Withdraw, Reason::Other, Then::Stay),
            _ => return Err("same, all, different, unsure or undo"),
        };
        let reason = match form.reason() {
            Some(code) => Reason::of_code(&code).ok_or("no such reason")?,
            None => usual,
        };
        Ok((Said { says, reason, note: form.note(), whole: then == Then::NextUndecided }, then))
    }

    fn rows(desk: &Desk<Self>, at: usize, said: &Said, file: &Pairs) -> Vec<Decision> {
        let shown = &desk.work.pairs[at];
        let pairs: Vec<&Pair> = match said.says {
            _ if said.whole => desk.open_of_group(file, shown.group),
            // Nothing is left to take back.
            Says::Withdraw if !desk.has_decided(file, &shown.pair) => Vec::new(),
            _ => vec![&shown.pair],
        };
        let says = (said.says, said.reason, said.note.as_str());
        pairs.into_iter().map(|pair| row(pair, &desk.reviewer, says)).collect()
    }

    fn at_the_end(desk: &Desk<Self>, file: &Pairs) -> Markup {
        let differ = (0..desk.work.pairs.len()).filter(|&at| {
            let opinions = file.opinions(&desk.work.pairs[at].pair);
            differ(&opinions)
        });
        page::disputed(desk, &differ.collect::<Vec<_>>())
    }
}

impl Desk<NearPairs> {
    fn has_decided(&self, file: &Pairs, pair: &Pair) -> bool {
        file.opinions(pair).iter().any(|one| one.reviewer == self.reviewer)
    }

    /// Returns the pairs of a group on which this reviewer has not decided.
    pub(super) fn open_of_group(&self, file: &Pairs, group: usize) -> Vec<&Pair> {
        let of_group = self.work.pairs.iter().filter(|shown| shown.group == group).map(|shown| &shown.pair);
        of_group.filter(|pair| !self.has_decided(file, pair)).collect()
    }
}

/// Whether reviewers contradict each other, which stops a build. Those who are unsure do not.
pub(super) fn differ(opinions: &[&Decision]) -> bool {
    let firm: BTreeSet<&str> =
        opinions.iter().map(|one| one.says).filter(|&says| says != Says::Unsure).map(Says::as_str).collect();
    firm.len() > 1
}

fn row(pair: &Pair, reviewer: &str, (says, reason, note): (Says, Reason, &str)) -> Decision {
    Decision {
        pair: pair.clone(),
        says,
        reviewer: reviewer.into(),
        reason,
        date: timestamp(SystemTime::now()),
        evidence: note.into(),
    }
}

//! Decides which split each image gets, and which images a class has too many of.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::Slots;
use crate::source::{Source, SourceImage};
use isn_format::class::ClassId;
use isn_format::groups::Groups;
use isn_format::recipe::{Balance, Draw, Recipe, SplitPolicy};
use isn_format::split::{Assignments, Split, balance_key, draw_val, falls_below};

/// The inputs of a division.
pub(super) struct Division<'a> {
    pub(super) recipe: &'a Recipe,
    pub(super) source: &'a Source,
    /// The images that are not left out, as indexes of [`Source::images`].
    pub(super) kept: &'a [usize],
    pub(super) groups: &'a Groups,
    pub(super) previous: Option<&'a Assignments>,
}

/// The images of a class that the source does not set aside as test.
#[derive(Default)]
struct Pool {
    /// The number of images, including those that are left out.
    n: u64,
    /// The images that are kept, as positions in `kept`.
    positions: Vec<usize>,
}

impl<'a> Division<'a> {
    /// Returns the split of each image of `kept`.
    pub(super) fn splits(&self, problems: &mut Vec<String>) -> Vec<Split> {
        let mut splits = match (&self.recipe.split.policy, self.previous) {
            (_, Some(previous)) => self.inherited(previous, problems),
            (SplitPolicy::Keep, None) => self.images().map(|image| image.split).collect(),
            (SplitPolicy::Threshold(draw), None) => self.threshold(draw),
            (SplitPolicy::Pool(draw), None) => {
                self.quota(draw, |image| self.groups.of(image.id).map(|_| Split::Train), problems)
            }
            (SplitPolicy::TopUp(draw), None) => {
                let val: HashSet<&str> =
                    self.source.images.iter().filter(|i| i.split == Split::Val).map(|i| i.id).collect();
                let fixed = |image: SourceImage<'_>| match self.groups.of(image.id) {
                    Some(group) if group.iter().any(|id| val.contains(id.as_str())) => Some(Split::Val),
                    Some(_) => Some(Split::Train),
                    None => (image.split == Split::Val).then_some(Split::Val),
                };
                self.quota(draw, fixed, problems)
            }
        };
        self.unite(&mut splits, problems);
        splits
    }

    fn images(&self) -> impl Iterator<Item = SourceImage<'a>> {
        let source = self.source;
        self.kept.iter().map(move |&at| source.images.get(at))
    }

    fn image(&self, position: usize) -> SourceImage<'a> {
        self.source.images.get(self.kept[position])
    }

    /// Returns each image's split in an earlier version. A new image goes to train, where it does not change
    /// what models are compared on.
    fn inherited(&self, previous: &Assignments, problems: &mut Vec<String>) -> Vec<Split> {
        let mut inherited = |image: SourceImage<'_>| match previous.get(image.id) {
            Some(row) if row.class == image.class => row.split,
            Some(row) => {
                problems.push(format!(
                    "{} is of class {} in the source, and of {} in the earlier assignments",
                    image.path, image.class, row.class
                ));
                row.split
            }
            None if pooled(image) => Split::Train,
            None => image.split,
        };
        self.images().map(&mut inherited).collect()
    }

    /// Draws the split of each image by the key of its group, or by its own.
    fn threshold(&self, draw: &Draw) -> Vec<Split> {
        let split = |image: SourceImage<'_>| {
            let unit = self.groups.of(image.id).map_or(image.id, |group| group[0].as_str());
            match (pooled(image), falls_below(draw.val, &draw.salt, unit)) {
                (false, _) => image.split,
                (true, true) => Split::Val,
                (true, false) => Split::Train,
            }
        };
        self.images().map(split).collect()
    }

    /// Gives each class exactly as many val images as its quota: those that `fixed` puts there, and then
    /// those with the lowest keys among the images for which `fixed` returns nothing.
    fn quota(
        &self,
        draw: &Draw,
        fixed: impl Fn(SourceImage<'a>) -> Option<Split>,
        problems: &mut Vec<String>,
    ) -> Vec<Split> {
        let mut splits: Vec<Split> =
            self.images().map(|image| if pooled(image) { Split::Train } else { image.split }).collect();
        for (class, pool) in self.pools() {
            let mut quota = draw.val.quota(pool.n);
            let mut free = Vec::new();
            let grouped = pool.positions.iter().any(|&at| self.groups.of(self.image(at).id).is_some());
            for position in pool.positions {
                match fixed(self.image(position)) {
                    Some(split) => {
                        splits[position] = split;
                        quota = quota.saturating_sub(u64::from(split == Split::Val));
                    }
                    None => free.push(position),
                }
            }
            if quota > free.len() as u64 && grouped {
                problems.push(format!(
                    "class {class}: its val quota lacks {quota} images, and {} are in no group of near-duplicates: \
                     lower val, or use policy = \"threshold\"",
                    free.len()
                ));
            }
            let ids: Vec<&str> = free.iter().map(|&position| self.image(position).id).collect();
            for drawn in draw_val(&draw.salt, class, quota, &ids) {
                splits[free[drawn]] = Split::Val;
            }
        }
        splits
    }

    fn pools(&self) -> BTreeMap<&'a ClassId, Pool> {
        let mut pools: BTreeMap<&ClassId, Pool> = BTreeMap::new();
        for image in self.source.images.iter().filter(|image| pooled(*image)) {
            pools.entry(image.class).or_default().n += 1;
        }
        for (position, image) in self.images().enumerate().filter(|(_, image)| pooled(*image)) {
            pools.entry(image.class).or_default().positions.push(position);
        }
        pools
    }

    /// Moves groups that are in more than one split to train, since later versions may take images out of val
    /// but put none in. If the source itself divides a group, or has some of it in test, a person has to
    /// remove images.
    fn unite(&self, splits: &mut [Split], problems: &mut Vec<String>) {
        let mut by_group: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (position, image) in self.images().enumerate() {
            if let Some(group) = self.groups.of(image.id) {
                by_group.entry(&group[0]).or_default().push(position);
            }
        }
        for positions in by_group.into_values() {
            let sides: BTreeSet<Split> = positions.iter().map(|&position| splits[position]).collect();
            let keeps = matches!(self.recipe.split.policy, SplitPolicy::Keep) || sides.contains(&Split::Test);
            match sides.len() {
                0 | 1 => {}
                _ if keeps => {
                    let of =
                        |position: usize| format!("{} ({})", self.image(position).path, splits[position]);
                    let members: Vec<String> = positions.iter().map(|&position| of(position)).collect();
                    problems.push(format!(
                        "{} show one picture, and stay in more than one split: remove those of all splits \
                        but one in the ledger",
                        members.join(" and ")
                    ));
                }
                _ => positions.iter().for_each(|&position| splits[position] = Split::Train),
            }
        }
    }
}

/// Whether a draw decides an image's split. Images that the source sets aside as test stay there.
fn pooled(image: SourceImage<'_>) -> bool {
    image.split != Split::Test
}

/// Returns the images that exceed the caps of a class in a split, as positions in `slots`. Those with the
/// highest keys are surplus.
pub(super) fn surplus(recipe: &Recipe, source: &Source, slots: &Slots, balance: &Balance) -> HashSet<usize> {
    let mut surplus = HashSet::new();
    if balance.caps.is_empty() && !balance.equal {
        return surplus;
    }
    let mut by_cell: BTreeMap<(Split, &ClassId), Vec<usize>> = BTreeMap::new();
    for (at, slot) in slots.all.iter().enumerate() {
        by_cell.entry((slot.split, slots.class(*slot))).or_default().push(at);
    }
    let mut caps: HashMap<Split, usize> =
        balance.caps.iter().map(|(split, cap)| (*split, *cap as usize)).collect();
    if balance.equal {
        let splits: BTreeSet<Split> = by_cell.keys().map(|(split, _)| *split).collect();
        for split in splits {
            let count = |class: &ClassId| by_cell.get(&(split, class)).map_or(0, Vec::len);
            let smallest = recipe.classes.iter().map(|class| count(&class.id)).min().unwrap_or(0);
            let cap = caps.entry(split).or_insert(usize::MAX);
            *cap = smallest.min(*cap);
        }
    }
    for ((split, _), mut cell) in by_cell {
        let cap = caps.get(&split).copied().unwrap_or(usize::MAX);
        if cell.len() > cap {
            cell.sort_by_cached_key(|&at| {
                let id = source.images.id(slots.all[at].source as usize);
                balance_key(recipe.name.as_str(), id)
            });
            surplus.extend(cell.into_iter().skip(cap));
        }
    }
    surplus
}

//! [`Plan`]: what a build will make of a source, decided before any image is decoded.

mod division;

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use crate::source::ids::{Ids, Said};
use crate::source::{Source, SourceImage};
use isn_format::class::{ClassId, ClassNumbers};
use isn_format::corrections::{Action, Corrections};
use isn_format::description::Counts;
use isn_format::error::{Error, Mistake, Result, about, count};
use isn_format::ledger::policy::Settled;
use isn_format::pairs::Ties;
use isn_format::recipe::{Recipe, SplitPolicy};
use isn_format::rel_path::{RelPath, RelPathRef};
use isn_format::source_kind::SourceKind;
use isn_format::source_spec::{self, Names, SourceSpec};
use isn_format::split::{Assignment, Assignments, Split};
use isn_format::texts::Texts;

use self::division::{Division, surplus};

/// The number of images of an earlier version, and not of the source, that a warning names.
const GONE_NAMED: usize = 5;

/// Every image of a version, with its place in the tree.
#[derive(Clone, Debug)]
pub struct Plan {
    slots: Slots,
    /// The images that are left out, in the order of the source.
    pub removed: Vec<Removed>,
    /// The split of each image of the source that the ledger leaves in.
    splits: Vec<Option<Split>>,
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

/// The images of a plan, 12 bytes each: there may be millions. A path is made anew whenever it is needed.
#[derive(Clone, Debug)]
struct Slots {
    all: Vec<Slot>,
    classes: ClassNumbers,
    spec: SourceSpec,
    extension: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    source: u32,
    class: u32,
    split: Split,
}

impl Slots {
    fn class(&self, slot: Slot) -> &ClassId {
        self.classes.get(slot.class)
    }

    /// Returns the path of an image, which may not be a lawful one.
    fn path(&self, slot: Slot, source: &Source) -> String {
        let stem = self.spec.stem(source.images.id(slot.source as usize));
        format!("{}/{}/{stem}.{}", slot.split, self.class(slot), self.extension)
    }
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

        let (mut kept, mut removed) = (Vec::new(), Vec::new());
        for (at, id) in source.images.ids().enumerate() {
            match (is_removed(corrections, id), dropped.contains(id)) {
                (true, _) => removed.push(Removed { source: at, cause: Cause::Correction }),
                (false, true) => removed.push(Removed { source: at, cause: Cause::Small }),
                (false, false) => kept.push(at),
            }
        }

        let division = Division { recipe, source, kept: &kept, groups, previous };
        let splits = division.splits(&mut problems);
        let mut slots = Slots {
            all: Vec::with_capacity(kept.len()),
            classes: ClassNumbers::default(),
            spec: recipe.source.clone(),
            extension: recipe.image.encode.extension(),
        };
        let mut paths = Texts::default();
        for (&at, &split) in kept.iter().zip(&splits) {
            let image = source.images.get(at);
            let class = match corrections.get(image.id).map(|correction| &correction.action) {
                Some(Action::Relabel(to)) => to,
                _ => image.class,
            };
            let slot = Slot { source: at as u32, class: slots.classes.number(class), split };
            let path = slots.path(slot, source);
            match RelPathRef::new(&path) {
                Ok(_) if paths.push(&path) => slots.all.push(slot),
                Ok(_) => return Err(Error::invalid(recipe.id(), "has more images than a plan can hold")),
                Err(why) => problems.push(format!(
                    "{}: rename or remove it{}",
                    about(image.path, why),
                    hash_names(recipe)
                )),
            }
        }
        let surplus = surplus(recipe, source, &slots, &recipe.balance);
        removed.extend(
            surplus
                .iter()
                .map(|&at| Removed { source: slots.all[at].source as usize, cause: Cause::Surplus }),
        );
        removed.sort_unstable_by_key(|removed| removed.source);
        // By their paths.
        let mut order: Vec<u32> = (0..slots.all.len() as u32).collect();
        order.retain(|at| !surplus.contains(&(*at as usize)));
        let path = |at: u32| paths.get(at as usize);
        let place = |at: u32| slots.all[at as usize].source;
        order.sort_unstable_by(|a, b| path(*a).cmp(path(*b)).then(place(*a).cmp(&place(*b))));
        check_collisions(
            recipe,
            &order,
            path,
            |at| source.images.get(place(at) as usize).path,
            &mut problems,
        );
        slots.all = order.iter().map(|at| slots.all[*at as usize]).collect();
        drop((paths, order));
        warnings.extend(check_classes(recipe, source, &slots, (corrections, &removed), &mut problems));
        let has = |split| slots.all.iter().any(|slot| slot.split == split);
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
        let mut all = vec![None; source.images.len()];
        kept.iter().zip(&splits).for_each(|(&at, &split)| all[at] = Some(split));
        Ok(Plan { slots, removed, splits: all, warnings })
    }

    /// Returns what a later version inherits: the current split of each image, and the split in `previous` of
    /// images that are gone, so that an image that comes back does not change splits. `source` and `previous`
    /// are those that were planned.
    ///
    /// # Errors
    /// [`Error::Internal`] if it is another source.
    pub fn assignments(&self, source: &Source, previous: Option<&Assignments>) -> Result<Assignments> {
        let here = self.splits.len();
        if here != source.images.len() {
            return Err(Error::Internal("assignments of another source than was planned".into()));
        }
        // Numbers are sorted: a row of each of a million images would be another list of them. Those of
        // earlier assignments follow those of the source.
        let kept = || (0..here).filter(|at| self.splits[*at].is_some());
        let mut order: Vec<u32> = kept().map(|at| at as u32).collect();
        if let Some(previous) = previous {
            let is_here = marked(previous, kept().map(|at| source.images.id(at)));
            let gone = (here as u32..).zip(is_here).filter(|(_, is_here)| !is_here);
            order.extend(gone.map(|(at, _)| at));
        }
        let row = |at: u32| match (at as usize).checked_sub(here) {
            Some(at) => previous.map(|previous| previous.row(at)),
            None => {
                let SourceImage { id, class, .. } = source.images.get(at as usize);
                self.splits[at as usize].map(|split| Assignment { source_id: id, class, split })
            }
        };
        let id = |at: u32| match (at as usize).checked_sub(here) {
            Some(at) => previous.map_or("", |previous| previous.row(at).source_id),
            None => source.images.id(at as usize),
        };
        order.sort_unstable_by(|a, b| id(*a).cmp(id(*b)));
        // A source lists every id once, and the rows from `previous` have other ids.
        let rows = order.into_iter().filter_map(row);
        Assignments::of_sorted(rows)
            .map_err(|id| Error::Internal(format!("two images have the source id {id}")))
    }

    /// Returns the number of images.
    pub fn len(&self) -> usize {
        self.slots.all.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.slots.all.is_empty()
    }

    /// Returns the image with this number, which must be below [`Plan::len`]. Images are sorted by the bytes
    /// of their paths, which is the order of `B3SUMS`. `source` is the source that was planned.
    ///
    /// # Errors
    /// [`Error::Internal`] if it is another source.
    pub fn image(&self, at: usize, source: &Source) -> Result<Planned> {
        let slot = self.slots.all[at];
        let path = self.slots.path(slot, source);
        Ok(Planned {
            source: slot.source as usize,
            class: self.slots.class(slot).clone(),
            split: slot.split,
            path: path.parse().map_err(|e| Error::Internal(format!("{e}")))?,
        })
    }

    /// Returns the image in the source of the image with this number, as an index of [`Source::images`].
    pub fn source_of(&self, at: usize) -> usize {
        self.slots.all[at].source as usize
    }

    /// Returns the split of each image.
    pub fn splits(&self) -> impl ExactSizeIterator<Item = Split> {
        self.slots.all.iter().map(|slot| slot.split)
    }

    /// Returns the number of images of each class in each split.
    pub fn counts(&self) -> Counts {
        let mut counts: BTreeMap<(Split, u32), u64> = BTreeMap::new();
        self.slots.all.iter().for_each(|slot| *counts.entry((slot.split, slot.class)).or_default() += 1);
        let mut named = Counts::new();
        for ((split, class), images) in counts {
            named.entry(split).or_default().insert(self.slots.classes.get(class).clone(), images);
        }
        named
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
fn hash_names(recipe: &Recipe) -> &'static str {
    match (recipe.source.names, recipe.source.ids, recipe.source.kind) {
        (Names::Keep, source_spec::Ids::Text, SourceKind::ImageFolder | SourceKind::List) => {
            ", or set [source] names = \"hash\" in the recipe"
        }
        _ => "",
    }
}

/// Reports images with the same path. `order` must be sorted by `path`; `shown` is the path in the source.
fn check_collisions<'t>(
    recipe: &Recipe,
    order: &[u32],
    path: impl Fn(u32) -> &'t str,
    shown: impl Fn(u32) -> &'t str,
    problems: &mut Vec<String>,
) {
    let folded = |at: usize| path(order[at]).to_ascii_lowercase();
    // Numbers are sorted: all paths in lower case would be as large as the plan.
    let hashes = RandomState::new();
    let hash = |at: usize| {
        let mut hasher = hashes.build_hasher();
        path(order[at]).bytes().for_each(|byte| hasher.write_u8(byte.to_ascii_lowercase()));
        hasher.finish()
    };
    let mut by_hash: Vec<(u64, u32)> = (0..order.len()).map(|at| (hash(at), at as u32)).collect();
    by_hash.sort_unstable();
    let mut alike: Vec<(String, usize)> = by_hash
        .chunk_by(|a, b| a.0 == b.0)
        .filter(|alike| alike.len() > 1)
        .flat_map(|alike| alike.iter().map(|(_, at)| (folded(*at as usize), *at as usize)))
        .collect();
    alike.sort_unstable();
    for pair in alike.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        let (a, b) = (order[pair[0].1], order[pair[1].1]);
        let case = if path(a) == path(b) { "" } else { " apart from upper and lower case" };
        let rename = match hash_names(recipe) {
            "" => String::new(),
            or => format!(": rename one{or}"),
        };
        problems.push(format!("{} and {} would both be {}{case}{rename}", shown(a), shown(b), path(b)));
    }
}

/// Says what became of the images and the other files of a class.
fn why_empty(
    recipe: &Recipe,
    source: &Source,
    (corrections, removed): (&Corrections, &[Removed]),
    class: &ClassId,
) -> Vec<String> {
    let of_class = || source.images.iter().enumerate().filter(|(_, image)| image.class == class);
    let of = |cause: Cause| {
        removed.iter().filter(|one| one.cause == cause && source.images.class(one.source) == class).count()
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
    let is_relabelled = |(at, image): &(usize, SourceImage<'_>)| {
        let correction = corrections.get(image.id).map(|correction| &correction.action);
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
    slots: &Slots,
    changes: (&Corrections, &[Removed]),
    problems: &mut Vec<String>,
) -> Vec<String> {
    let present: HashSet<(Split, u32)> = slots.all.iter().map(|slot| (slot.split, slot.class)).collect();
    let present: HashSet<(Split, &ClassId)> =
        present.into_iter().map(|(split, class)| (split, slots.classes.get(class))).collect();
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
    let is_here = marked(previous, source.images.ids());
    let gone: Vec<&str> = previous
        .iter()
        .zip(&is_here)
        .filter(|(_, is_here)| !**is_here)
        .map(|(row, _)| row.source_id)
        .collect();
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

/// Returns of each image of `previous` whether it is among these ids.
fn marked<'s>(previous: &Assignments, ids: impl Iterator<Item = &'s str>) -> Vec<bool> {
    let mut marks = vec![false; previous.iter().len()];
    ids.filter_map(|id| previous.find(id)).for_each(|at| marks[at] = true);
    marks
}

#[cfg(test)]
mod tests;

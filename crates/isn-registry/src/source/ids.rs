//! [`Ids`]: checks that what is said of images by their source ids is about images of a source, and finds the
//! ids that were probably meant.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};

use super::{Source, SourceImage, image_stem};
use isn_format::class::ClassId;
use isn_format::error::count;
use isn_format::ledger::policy::Settled;
use isn_format::pairs::{Pair, Ties};
use isn_format::recipe::{Edition, Recipe};
use isn_format::source_spec::nfc;

/// The maximum number of ids of one table that are told: all its rows may have the same mistake.
const TOLD: usize = 20;

/// The images of a source, by their ids.
pub(crate) struct Ids<'s> {
    source: &'s Source,
    by_id: OnceCell<HashMap<&'s str, SourceImage<'s>>>,
    /// By the last segment of the id, upper and lower case alike.
    by_name: OnceCell<HashMap<String, Vec<SourceImage<'s>>>>,
}

/// What is wrong with the ids that a ledger and groups have, in words.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// What stops a build.
    pub(crate) problems: Vec<String>,
    /// What has no effect, and does not stop one.
    pub(crate) warnings: Vec<String>,
    /// That no claim is about an image of the source, or that some have nearly the ids of images.
    pub(crate) claims: Vec<String>,
}

/// What decides about images by their source ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Table {
    /// The decisions of the ledger.
    Ledger,
    /// The rows of the groups.
    Groups,
    /// The decisions about pairs.
    Pairs,
}

impl Table {
    /// What messages begin with, and the file.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Table::Ledger => ("corrections", "the ledger"),
            Table::Groups => ("groups", "the groups"),
            Table::Pairs => ("pairs", "the pairs"),
        }
    }
}

impl<'s> Ids<'s> {
    pub(crate) fn new(source: &'s Source) -> Self {
        Ids { source, by_id: OnceCell::new(), by_name: OnceCell::new() }
    }

    fn by_id(&self) -> &HashMap<&'s str, SourceImage<'s>> {
        let all = || self.source.images.iter().map(|image| (image.id, image)).collect();
        self.by_id.get_or_init(all)
    }

    /// Whether an image has this id.
    fn has(&self, id: &str) -> bool {
        self.by_id().contains_key(id)
    }

    /// Returns the class in the source of the image with this id.
    pub(crate) fn class_of(&self, id: &str) -> Option<&'s ClassId> {
        self.by_id().get(id).map(|image| image.class)
    }

    /// Returns the ids, at most two, of which this one is probably another form: the path of the image, with
    /// or without its extension, less or more of the path than the id has, or other letters' case.
    fn near(&self, id: &str) -> Vec<&'s str> {
        let by_name = self.by_name.get_or_init(|| {
            let mut all: HashMap<String, Vec<SourceImage<'_>>> = HashMap::new();
            for image in self.source.images.iter() {
                all.entry(name_of(image.id)).or_default().push(image);
            }
            all
        });
        let path = image_stem(id).unwrap_or(id);
        let names = [id, path].into_iter().filter_map(|path| by_name.get(&name_of(path)));
        let mut images: Vec<SourceImage<'s>> = names.flatten().copied().collect();
        images.dedup_by_key(|image| image.id);
        let exact = images.iter().find(|image| image.path == id || image_stem(image.path) == Some(path));
        if let Some(exact) = exact {
            return vec![exact.id];
        }
        images.retain(|image| [id, path].iter().any(|path| is_part(image.id, path)));
        images.into_iter().map(|image| image.id).take(2).collect()
    }

    /// Checks that decisions, groups and pairs are about images of the source, and whether any claim is. What
    /// is said of the rest of a source that is known to be a part is no mistake.
    pub(crate) fn check(&self, recipe: &Recipe, settled: &Settled, ties: Ties<'_>) -> Said {
        let absent = settled.absent.iter().map(String::as_str);
        let (firm, unsure): (Vec<&str>, Vec<&str>) =
            absent.partition(|id| settled.corrections.get(id).is_some());
        let grouped: Vec<&str> = ties.groups.iter().flatten().map(String::as_str).collect();
        let paired: BTreeSet<&str> = ties.judged.pairs().flat_map(Pair::ids).collect();
        let (of_groups, of_pairs) = (grouped.len(), paired.len());
        let in_groups = grouped.into_iter().filter(|id| !self.has(id)).collect();
        let in_pairs = paired.into_iter().filter(|id| !self.has(id)).collect();
        let mut said = Said { claims: self.claims(settled).into_iter().collect(), ..Said::default() };
        // Version 1 refuses firm decisions alone.
        for (table, ids, all, since) in [
            (Table::Ledger, firm, settled.decided, Edition::One),
            (Table::Ledger, unsure, settled.decided, Edition::Two),
            (Table::Groups, in_groups, of_groups, Edition::Two),
            (Table::Pairs, in_pairs, of_pairs, Edition::Two),
        ] {
            match self.source.is_part || recipe.edition < since {
                true => said.warnings.extend(self.warning(table, &ids, all)),
                false => said.problems.extend(self.problems(table, &ids)),
            }
        }
        said
    }

    /// Says of each id that no image has it, and which one is probably meant.
    fn problems(&self, table: Table, absent: &[&str]) -> Vec<String> {
        let (what, file) = table.words();
        let is = self.source.kind.id_is();
        let line = |id: &&str| {
            let why = format!("{what}: no image of the source has the id {id}: an id is {is}");
            match self.near(id)[..] {
                [] => format!("{why}. Correct that row of {file}"),
                [one] => format!("{why}. Change it to {one} in {file}"),
                [one, other, ..] => format!("{why}. Change it to {one} or {other} in {file}"),
            }
        };
        let more = absent.len().saturating_sub(TOLD);
        let more = (more > 0).then(|| format!("{what}: {} more that no image has", count(more, "source id")));
        absent.iter().take(TOLD).map(line).chain(more).collect()
    }

    /// Says how many of the ids in a table, `all` together, no image has; `None` if each is one's.
    fn warning(&self, table: Table, absent: &[&str], all: usize) -> Option<String> {
        let (what, file) = table.words();
        let source = if self.source.is_part { "the source, which is a part," } else { "the source" };
        Some(format!(
            "{what}: {source} has no image for {} of the {} in {file}, without effect; the first is {}",
            absent.len(),
            count(all, "source id"),
            self.told(absent.first()?),
        ))
    }

    /// Says that no claim is about an image of the source, or that some have ids that are only like those of
    /// images. Claims about other images are no mistake.
    fn claims(&self, settled: &Settled) -> Option<String> {
        let first = settled.elsewhere.first()?;
        if settled.claims.here == 0 {
            return Some(format!(
                "claims: none of the {} in the ledger is about an image of the source; the first is about {}",
                settled.claims.all,
                self.told(first),
            ));
        }
        let slips: Vec<&str> =
            settled.elsewhere.iter().map(String::as_str).filter(|id| !self.near(id).is_empty()).collect();
        Some(format!(
            "claims: the ids of {} in the ledger are only like those of the source, without effect; the first is {}",
            count(slips.len(), "image"),
            self.told(slips.first()?),
        ))
    }

    /// An id that no image has, with the one that is probably meant.
    fn told(&self, id: &str) -> String {
        match self.near(id)[..] {
            [] => format!("{id}, and an id is {}", self.source.kind.id_is()),
            [one] => format!("{id}, and the source has {one}"),
            [one, other, ..] => format!("{id}, and the source has {one} and {other}"),
        }
    }
}

/// Returns the last segment of an id or path, in lower case.
fn name_of(path: &str) -> String {
    nfc(path.rsplit('/').next().unwrap_or(path)).to_lowercase()
}

/// Whether one of two paths ends with the other, after a `/`, upper and lower case apart.
fn is_part(a: &str, b: &str) -> bool {
    let (a, b) = (nfc(a).to_lowercase(), nfc(b).to_lowercase());
    let ends = |long: &str, short: &str| {
        long == short || long.strip_suffix(short).is_some_and(|rest| rest.ends_with('/'))
    };
    ends(&a, &b) || ends(&b, &a)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Position;
    use isn_format::source_kind::SourceKind;
    use isn_format::split::Split;

    fn source(ids: &[&str]) -> Source {
        let class = "ant".parse().unwrap();
        let paths: Vec<String> =
            ids.iter().map(|id| format!("{}.JPG", id.replace("train/", "Training/"))).collect();
        let images = ids.iter().zip(&paths).map(|(id, path)| SourceImage {
            id,
            class: &class,
            split: Split::Train,
            path,
            len: 1,
            modified_ns: 0,
            position: Position::File,
        });
        Source::of_images(SourceKind::ImageFolder, images)
    }

    #[test]
    fn the_id_that_was_meant_is_found() {
        let source = source(&["train/ant/a_1", "val/ant/b", "train/ant/b", "train/bee/c.d", "train/é"]);
        let ids = Ids::new(&source);
        assert!(ids.has("val/ant/b") && !ids.has("ant/b"));
        for (id, near) in [
            ("a_1", &["train/ant/a_1"][..]),
            ("ant/a_1", &["train/ant/a_1"]),
            ("a_1.jpeg", &["train/ant/a_1"]),
            ("Training/ant/a_1.JPG", &["train/ant/a_1"]),
            ("Training/ant/a_1", &["train/ant/a_1"]),
            ("raw/train/ant/a_1", &["train/ant/a_1"]),
            ("train/Ant/A_1", &["train/ant/a_1"]),
            ("ant/b", &["val/ant/b", "train/ant/b"]),
            ("bee/c.d", &["train/bee/c.d"]),
            ("e\u{301}", &["train/é"]),
            // Another image: no more than the name is the same.
            ("train/cat/a_1", &[]),
            ("nt/a_1", &[]),
            ("a_2", &[]),
        ] {
            assert_eq!(ids.near(id), near, "{id}");
        }
    }
}

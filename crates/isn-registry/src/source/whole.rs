//! Counts the images of a source, and compares them with those that the whole source has.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::Source;
use isn_format::class::ClassId;
use isn_format::ilsvrc2012;
use isn_format::recipe::Recipe;
use isn_format::source_kind::SourceKind;
use isn_format::split::Split;

/// The images of a class in a split.
#[derive(Debug, Serialize)]
pub struct Count {
    /// The class.
    pub class: ClassId,
    /// The split in the source.
    pub split: Split,
    /// The number of images found.
    pub found: u64,
    /// The number that ImageNet has, that the recipe expects, or that a list has, if some of it is missing;
    /// `None` for a source whose numbers are not known.
    pub expected: Option<u64>,
    /// The number of images that are missing.
    pub missing: u64,
    /// The number of images too many.
    pub extra: u64,
    /// The source ids of the missing images, if they are known. Of train images, only the number is known.
    pub missing_ids: Vec<String>,
}

impl Count {
    /// Says what is missing or too much; `None` if nothing is.
    pub(crate) fn finding(&self) -> Option<String> {
        let expected = self.expected.filter(|_| self.missing + self.extra > 0)?;
        let ids = match self.missing_ids.as_slice() {
            [] => String::new(),
            [id] => format!("; {id} is missing"),
            [id, others @ ..] => format!("; {id} and {} others are missing", others.len()),
        };
        let place = format!("{}/{}", self.split.as_str(), self.class.as_str());
        Some(format!("{place}: {} images, and the whole source has {expected}{ids}", self.found))
    }
}

/// Names each class and split with images missing or too many, and the rows of a list without an image.
pub(crate) fn findings(recipe: &Recipe, source: &Source) -> Vec<String> {
    let counts = counts(recipe, source);
    counts.iter().filter_map(Count::finding).chain(source.absent_rows.iter().cloned()).collect()
}

/// Counts the images of each class in each split.
pub(crate) fn counts(recipe: &Recipe, source: &Source) -> Vec<Count> {
    let splits: &[Split] = match recipe.source.kind {
        SourceKind::Ilsvrc2012 => &[Split::Train, Split::Val],
        SourceKind::ImageFolder | SourceKind::List => &Split::ALL,
    };
    let val = || source.images.iter().filter(|image| image.split == Split::Val).map(|image| image.id);
    let there: HashSet<&str> = match recipe.source.kind {
        SourceKind::Ilsvrc2012 => val().collect(),
        SourceKind::ImageFolder | SourceKind::List => HashSet::new(),
    };
    let mut all: HashMap<(&ClassId, Split), u64> = HashMap::new();
    for image in source.images.iter() {
        *all.entry((image.class, image.split)).or_default() += 1;
    }
    let mut absent: HashMap<(&ClassId, Split), Vec<String>> = HashMap::new();
    for image in &source.absent {
        absent.entry((&image.class, image.split)).or_default().push(image.id.clone());
    }
    let mut counts = Vec::new();
    for class in &recipe.classes {
        for &split in splits {
            let found = all.get(&(&class.id, split)).copied().unwrap_or_default();
            let missing_ids = match (recipe.source.kind, split) {
                (SourceKind::Ilsvrc2012, Split::Val) => {
                    let ids = ilsvrc2012::val_ids(class.id.as_str());
                    ids.filter(|id| !there.contains(id.as_str())).collect()
                }
                _ => absent.remove(&(&class.id, split)).unwrap_or_default(),
            };
            let mut expected = recipe.expected(&class.id, split);
            if !missing_ids.is_empty() {
                expected = expected.max(Some(found + missing_ids.len() as u64));
            }
            if found == 0 && expected.is_none() {
                continue;
            }
            counts.push(Count {
                class: class.id.clone(),
                split,
                found,
                expected,
                missing: expected.unwrap_or(found).saturating_sub(found),
                extra: found.saturating_sub(expected.unwrap_or(found)),
                missing_ids,
            });
        }
    }
    counts
}

//! `isn audit balance`: counts the images of each class in each split, and estimates how much an accuracy
//! measured on a split can tell.

use std::collections::BTreeMap;

use super::subject::{Item, Subject};
use crate::audit::resolution::{mcnemar_smallest, wilson_half_width};
use isn_format::class::ClassId;
use isn_format::split::Split;

/// The accuracies for which half-widths are given.
pub const ACCURACIES: [f64; 3] = [0.5, 0.9, 0.95];

/// The images of one split, or all images if there are no splits.
#[derive(Clone, Debug)]
pub struct SplitBalance {
    /// The split.
    pub split: Option<Split>,
    /// The number of its images.
    pub images: u64,
    /// The smallest and the largest number of images of a class. A class that only other splits have counts
    /// as 0.
    pub range: (u64, u64),
    /// Half the width of the 95% confidence interval of an accuracy on the whole split, for each of
    /// [`ACCURACIES`].
    pub half_widths: [f64; 3],
    /// The same for the accuracy on its smallest class that has images.
    pub class_half_widths: [f64; 3],
    /// The smallest difference in accuracy between two models that the split can detect.
    pub smallest_difference: Option<f64>,
}

/// The number of images of each class.
#[derive(Clone, Debug)]
pub struct BalanceReport {
    /// The number of images.
    pub images: u64,
    /// The number of images whose class is not known.
    pub without_class: u64,
    /// The number of images by class and split, including zeros.
    pub classes: BTreeMap<ClassId, BTreeMap<Option<Split>, u64>>,
    /// The splits, in their usual order.
    pub splits: Vec<SplitBalance>,
    /// The assumed share of images on which exactly one of two models is right.
    pub discordance: f64,
}

impl BalanceReport {
    /// Returns the number of images of a class in all splits.
    pub(crate) fn of_class(&self, class: &ClassId) -> u64 {
        self.classes.get(class).map_or(0, |splits| splits.values().sum())
    }

    /// Returns how many times as many images the largest class has as the smallest. `None` without classes.
    pub fn imbalance(&self) -> Option<f64> {
        let totals = || self.classes.keys().map(|class| self.of_class(class));
        Some(totals().max()? as f64 / totals().min()? as f64)
    }
}

/// Counts the images of a subject without reading them.
pub fn balance(subject: &Subject, discordance: f64) -> BalanceReport {
    of_items(&subject.images, discordance)
}

fn of_items(items: &[Item], discordance: f64) -> BalanceReport {
    let mut splits: Vec<Option<Split>> = items.iter().map(|item| item.split).collect();
    splits.sort_unstable();
    splits.dedup();
    let none: BTreeMap<Option<Split>, u64> = splits.iter().map(|&split| (split, 0)).collect();
    let mut classes: BTreeMap<ClassId, BTreeMap<Option<Split>, u64>> = BTreeMap::new();
    for item in items {
        if let Some(class) = &item.class {
            *classes.entry(class.clone()).or_insert_with(|| none.clone()).entry(item.split).or_default() += 1;
        }
    }
    let of_split = |&split: &Option<Split>| {
        let images = items.iter().filter(|item| item.split == split).count() as u64;
        let counts = || classes.values().map(move |splits| splits[&split]);
        let smallest = counts().filter(|&count| count > 0).min().unwrap_or(0);
        SplitBalance {
            split,
            images,
            range: (counts().min().unwrap_or(0), counts().max().unwrap_or(0)),
            half_widths: ACCURACIES.map(|p| wilson_half_width(p, images)),
            class_half_widths: ACCURACIES.map(|p| wilson_half_width(p, smallest)),
            smallest_difference: mcnemar_smallest(images, discordance),
        }
    };
    BalanceReport {
        images: items.len() as u64,
        without_class: items.iter().filter(|item| item.class.is_none()).count() as u64,
        splits: splits.iter().map(of_split).collect(),
        classes,
        discordance,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_that_a_split_lacks_counts_as_none() {
        let item = |class: &str, split| Item {
            path: String::new(),
            class: class.parse().ok(),
            split: Some(split),
            source_id: String::new(),
        };
        let items = [
            item("a", Split::Train),
            item("a", Split::Val),
            item("b", Split::Train),
            item("b", Split::Train),
        ];
        let report = of_items(&items, 0.1);
        let [train, val] = &report.splits[..] else { panic!() };
        assert_eq!((train.images, train.range), (3, (1, 2)));
        assert_eq!((val.images, val.range), (1, (0, 1)));
        assert_eq!(report.imbalance(), Some(1.0));
        assert_eq!(report.of_class(&"b".parse().unwrap()), 2);
        assert_eq!(val.class_half_widths, val.half_widths);
    }
}

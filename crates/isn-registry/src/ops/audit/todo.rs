//! What a curator does first: the findings of `isn audit all`, in the order of what they spoil.

use std::collections::BTreeMap;

use serde::Serialize;

use super::balance::BalanceReport;
use super::duplicates::{DuplicatesReport, Group};
use super::images::ImagesReport;
use crate::audit::health::Remark;
use isn_format::error::count;
use isn_format::split::Split;

/// A kind of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// Copies are in several splits: a model is tested on what it has learnt.
    Leakage,
    /// Images cannot be decoded: a build refuses them.
    Broken,
    /// Copies have several classes: a label is wrong, or the picture shows both.
    TwoClasses,
    /// A split lacks classes that others have.
    NoImage,
    /// Images show nothing.
    Blank,
    /// Copies are in one class and one split: they count twice.
    Copies,
    /// Images have few pixels.
    Tiny,
    /// An EXIF orientation turns images.
    Turned,
    /// Images are very wide or very tall.
    Extreme,
    /// Images have no colour.
    Grey,
}

impl Finding {
    /// Returns its name in `--json`, and on a page.
    pub fn as_str(self) -> &'static str {
        match self {
            Finding::Leakage => "leakage",
            Finding::Broken => "broken",
            Finding::TwoClasses => "two-classes",
            Finding::NoImage => "no-image",
            Finding::Blank => "blank",
            Finding::Copies => "copies",
            Finding::Tiny => "tiny",
            Finding::Turned => "turned",
            Finding::Extreme => "extreme",
            Finding::Grey => "grey",
        }
    }

    /// The remark that images of this kind have, if it is one.
    pub(super) fn remark(self) -> Option<Remark> {
        match self {
            Finding::Broken => Some(Remark::Broken),
            Finding::Blank => Some(Remark::Blank),
            Finding::Tiny => Some(Remark::Tiny),
            Finding::Extreme => Some(Remark::Extreme),
            Finding::Grey => Some(Remark::Grey),
            Finding::Leakage | Finding::TwoClasses | Finding::NoImage | Finding::Copies | Finding::Turned => {
                None
            }
        }
    }

    /// What a person does about it.
    fn next(self) -> &'static str {
        match self {
            Finding::Leakage => {
                "a model would be tested on pictures that it has learnt: write them to a file (--groups \
                 groups.csv), and name that in the recipe ([split] groups), so that a build keeps each group in \
                 one split"
            }
            Finding::Broken => {
                "repair the files, or decide: isn ledger add LEDGER ID remove --reason broken --reviewer NAME"
            }
            Finding::TwoClasses => {
                "one label is wrong, or the picture shows both: look at them, and relabel or remove images in \
                 the ledger (isn ledger add --help)"
            }
            Finding::NoImage => {
                "no score on that split tells of these classes: add images, or draw the splits again"
            }
            Finding::Blank => {
                "look at them, and take out what shows nothing: isn ledger add LEDGER ID remove --reason blank \
                 --reviewer NAME"
            }
            Finding::Copies => {
                "each picture counts several times: remove all but one of a group, or leave them"
            }
            Finding::Tiny => "`small` in the recipe says whether a build enlarges, keeps or drops them",
            Finding::Turned => "`exif_orientation` in the recipe says whether a build turns them",
            Finding::Extreme => "a square crop shows little of them: look at them",
            Finding::Grey => "look whether they are photographs of their classes",
        }
    }
}

/// Something that a person should do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Todo {
    /// The kind of finding.
    pub finding: Finding,
    /// How many groups, images or classes it is about.
    pub count: usize,
    /// What was found, in words.
    pub what: String,
    /// What to do about it.
    pub next: &'static str,
}

/// Returns what was found, what spoils most first.
pub fn todo(copies: &DuplicatesReport, remarks: &ImagesReport, counts: &BalanceReport) -> Vec<Todo> {
    let mut all = Vec::new();
    let mut add = |finding: Finding, count: usize, what: String| {
        if count > 0 {
            all.push(Todo { finding, count, what, next: finding.next() });
        }
    };
    for finding in [Finding::Leakage, Finding::TwoClasses, Finding::Copies] {
        let n = groups(copies, finding).count();
        let groups = count(n, "group");
        let what = match finding {
            Finding::Leakage => format!("{groups} of copies in more than one split"),
            Finding::TwoClasses => format!("{groups} of copies in one split, of more than one class"),
            _ => format!("{groups} of copies in one class and one split"),
        };
        add(finding, n, what);
    }
    let found = remarks.counts();
    for finding in [Finding::Broken, Finding::Blank, Finding::Tiny, Finding::Extreme, Finding::Grey] {
        let n = finding.remark().map_or(0, |remark| found[&remark]);
        let images = count(n, "image");
        let what = match finding {
            Finding::Broken => format!("{images} that cannot be decoded"),
            Finding::Blank => format!("{images} in which there is almost nothing to see"),
            Finding::Tiny => format!("{images} of few pixels"),
            Finding::Extreme => format!("{images}, very wide or very tall"),
            _ => format!("{images} without colour"),
        };
        add(finding, n, what);
    }
    let turned = remarks.turned().count();
    add(Finding::Turned, turned, format!("{} turned by EXIF orientation", count(turned, "image")));
    let lacking = lacking(counts);
    let classes: usize = lacking.values().sum();
    let of_splits =
        lacking.into_iter().map(|(split, n)| format!("{} without an image in {split}", classes_of(n)));
    add(Finding::NoImage, classes, of_splits.collect::<Vec<_>>().join(", "));
    all.sort_by_key(|todo| todo.finding);
    all
}

fn classes_of(n: usize) -> String {
    if n == 1 { "1 class".into() } else { format!("{n} classes") }
}

/// The groups of copies of one kind. None is of two.
pub(super) fn groups(report: &DuplicatesReport, finding: Finding) -> impl Iterator<Item = &Group> {
    let kind = |group: &Group| match (group.is_across_splits(), group.is_across_classes()) {
        (true, _) => Finding::Leakage,
        (false, true) => Finding::TwoClasses,
        (false, false) => Finding::Copies,
    };
    report.groups.iter().filter(move |group| kind(group) == finding)
}

/// How many classes each split lacks.
fn lacking(counts: &BalanceReport) -> BTreeMap<Split, usize> {
    let mut lacking = BTreeMap::new();
    let splits = counts.classes.values().flatten();
    for (split, _) in splits.filter(|(_, n)| **n == 0).filter_map(|(split, n)| Some(((*split)?, n))) {
        *lacking.entry(split).or_default() += 1;
    }
    lacking
}

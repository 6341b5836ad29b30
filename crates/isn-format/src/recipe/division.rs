//! `[split]` and `[balance]`: how images are divided into splits, and how many of each class are kept.

use std::str::FromStr;

use toml::de::DeValue;

use super::table::{Field, Table};
use super::{Edition, file_beside};
use crate::class::check_label;
use crate::dataset_ref::Version;
use crate::digest::Digest;
use crate::split::{Fraction, Split};

/// `[split]`: how images are divided into splits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitSpec {
    /// How images get their split, unless an earlier version has assigned it.
    pub policy: SplitPolicy,
    /// The earlier version whose assignments stay as they are.
    pub previous: Option<Earlier>,
    /// The name of the file of groups that must not be divided, in the recipe's folder.
    pub groups: Option<String>,
    /// The name of the file of pairs that people have judged, in the recipe's folder.
    pub pairs: Option<String>,
}

/// How a recipe names an earlier version, whose assignments it takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// By its number: a released version of the same dataset.
    Version(Version),
    /// By the hash of its assignments.
    Assignments(Digest),
}

impl FromStr for Earlier {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let version = || text.parse().ok().map(Earlier::Version);
        let assignments = || Digest::from_prefixed(text).ok().map(Earlier::Assignments);
        version().or_else(assignments).ok_or(
            "expected a version, for example \"1.0\", or \"b3:\" and the 64 hex digits of its assignments",
        )
    }
}

/// How images get their split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SplitPolicy {
    /// Images keep the split that they have in the source.
    Keep,
    /// The train and val images of a class in the source are pooled and divided again, to an exact quota.
    Pool(Draw),
    /// Like `Pool`, but each image is decided separately: its split never depends on other images.
    Threshold(Draw),
    /// The source's val images stay in val, and train images are added to them up to the quota.
    TopUp(Draw),
}

/// The parameters by which val images are drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    /// The part of a class's images that becomes val.
    pub val: Fraction,
    /// Any text: another salt gives another draw.
    pub salt: String,
}

impl SplitPolicy {
    /// Returns the parameters of its draw, if it makes one.
    pub fn draw(&self) -> Option<&Draw> {
        match self {
            SplitPolicy::Keep => None,
            SplitPolicy::Pool(draw) | SplitPolicy::Threshold(draw) | SplitPolicy::TopUp(draw) => Some(draw),
        }
    }
}

/// `[balance]`: the maximum number of images per class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// The maximum number of images per class, by split.
    pub caps: Vec<(Split, u32)>,
    /// Whether all classes are reduced in each split to the number of images of the smallest.
    pub equal: bool,
}

/// `version` is the one that the recipe makes.
pub(super) fn split(
    field: &Field<'_, '_>,
    edition: Option<Edition>,
    version: Option<Version>,
) -> Option<SplitSpec> {
    let table = field.table("[split]", &["policy", "val", "salt", "previous", "groups", "pairs"])?;
    table.refuse_unless_two(edition, &["pairs"]);
    let policy = table.need("policy")?;
    let drawn: Option<fn(Draw) -> SplitPolicy> = policy.choice(&[
        ("keep", None),
        ("pool", Some(SplitPolicy::Pool as fn(Draw) -> SplitPolicy)),
        ("threshold", Some(SplitPolicy::Threshold)),
        ("top-up", Some(SplitPolicy::TopUp)),
    ])?;
    let file = |key| table.get(key).map_or(Some(None), |field| file_beside(&field).map(Some));
    let (groups, pairs) = (file("groups"), file("pairs"));
    let (groups, pairs) = (groups?, pairs?);
    let Some(drawn) = drawn else {
        for key in ["val", "salt", "previous"] {
            if let Some(field) = table.get(key) {
                field.wrong("does not go with policy = \"keep\"");
            }
        }
        return Some(SplitSpec { policy: SplitPolicy::Keep, previous: None, groups, pairs });
    };
    let val = table.need("val").and_then(|field| fraction(&field));
    let salt = table.need("salt").and_then(|field| field.text(check_label));
    let previous = table.get("previous").and_then(|field| earlier(&field, edition, version));
    Some(SplitSpec { policy: drawn(Draw { val: val?, salt: salt?.into() }), previous, groups, pairs })
}

pub(super) fn balance(field: &Field<'_, '_>) -> Option<Balance> {
    const CAPS: [(&str, Split); 3] = [("train", Split::Train), ("val", Split::Val), ("test", Split::Test)];
    let table: Table<'_, '_> = field.table("[balance]", &["train", "val", "test", "equal"])?;
    let mut caps = Vec::new();
    for (key, split) in CAPS {
        if let Some(field) = table.get(key) {
            caps.push((split, field.number(1..=u32::MAX)?));
        }
    }
    let equal = match table.get("equal") {
        Some(field) => field.flag()?,
        None => false,
    };
    Some(Balance { caps, equal })
}

fn earlier(field: &Field<'_, '_>, edition: Option<Edition>, version: Option<Version>) -> Option<Earlier> {
    let earlier = field.parse()?;
    if let Earlier::Version(named) = earlier {
        if edition == Some(Edition::One) {
            field.wrong("is a version, which needs format = \"isn-recipe/2\"");
        }
        if version.is_some_and(|version| version <= named) {
            field.wrong(format_args!("must be an earlier version: {named} is not"));
        }
    }
    Some(earlier)
}

/// Parses the digits as they are written: no binary float is ever involved.
pub(super) fn fraction(field: &Field<'_, '_>) -> Option<Fraction> {
    let text = match field.value {
        DeValue::Float(number) => number.as_str(),
        DeValue::Integer(number) => number.as_str(),
        _ => {
            field.wrong("must be a number, for example 0.2");
            return None;
        }
    };
    text.parse().map_err(|error| field.wrong(format_args!("is wrong: {error}"))).ok()
}

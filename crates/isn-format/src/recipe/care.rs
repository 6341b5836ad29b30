//! `[corrections]` and `[gates]`: how claims become corrections, and what prevents a version from being
//! published.

use std::collections::BTreeSet;

use super::Edition;
use super::division::fraction;
use super::file_beside;
use super::table::Field;
use crate::class::check_label;
use crate::key::PublicKey;
use crate::ledger::policy::{Policy, Rule, Several};
use crate::split::Fraction;

/// The maximum number of keys that `[gates] rebuilt` names.
const MAX_KEYS: usize = 32;

/// `[corrections]`: the ledger, and how it becomes corrections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorrectionsSpec {
    /// The file name of the ledger, in the recipe's folder.
    pub file: String,
    /// How its claims become corrections.
    pub policy: Policy,
}

/// `[gates]`: the conditions for publishing a version. The defaults apply to what a recipe does not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gates {
    /// Whether the same picture must not be in two splits.
    pub leakage: bool,
    /// The minimum number of val images of each class, if there are any val images or the recipe
    /// [needs them](super::Recipe::needs_val).
    pub val_min: u32,
    /// The minimum and maximum part of each class's images that is val, if there are any val images.
    pub val_range: Option<(Fraction, Fraction)>,
    /// Who must have stated that they built the version.
    pub rebuilt: Option<Rebuilders>,
}

/// Who must have stated that they built a version, before it may be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuilders {
    /// The keys that count.
    pub keys: Vec<PublicKey>,
    /// How many of them must have stated it, at least 1 and at most all.
    pub needed: usize,
}

impl Default for Gates {
    fn default() -> Self {
        Gates { leakage: true, val_min: 1, val_range: None, rebuilt: None }
    }
}

pub(super) fn corrections(field: &Field<'_, '_>, edition: Option<Edition>) -> Option<CorrectionsSpec> {
    let table = field.table("[corrections]", &["file", "agree", "net", "several", "together"])?;
    table.refuse_unless_two(edition, &["net"]);
    let file = table.need("file").and_then(|field| file_beside(&field));
    let count = |field: &Field<'_, '_>| field.number(1..=100);
    let rule = match (table.get("agree"), table.get("net")) {
        (None, None) => Some(Rule::Never),
        (Some(agree), None) => count(&agree).map(Rule::Agree),
        (None, Some(net)) => count(&net).map(Rule::Net),
        (Some(_), Some(net)) => {
            net.wrong("stands beside agree: one of the two decides");
            None
        }
    };
    let several = match table.get("several") {
        Some(field) => field.choice(&[("keep", Several::Keep), ("remove", Several::Remove)]),
        None => Some(Several::Keep),
    };
    let together = match table.get("together") {
        Some(field) => field.elements().and_then(|groups| {
            let groups = groups.iter().map(|group| field.element(group));
            groups.map(|group| lines(&group)).collect::<Option<Vec<_>>>()
        }),
        None => Some(Vec::new()),
    };
    Some(CorrectionsSpec {
        file: file?,
        policy: Policy { rule: rule?, several: several?, together: together? },
    })
}

/// Reads a list of one-line texts.
fn lines(field: &Field<'_, '_>) -> Option<Vec<String>> {
    let elements = field.elements()?;
    elements.iter().map(|line| field.element(line).text(check_label).map(Into::into)).collect()
}

pub(super) fn gates(field: &Field<'_, '_>, edition: Option<Edition>) -> Option<Gates> {
    let defaults = Gates::default();
    let table = field.table("[gates]", &["leakage", "val_min", "val_range", "rebuilt"])?;
    table.refuse_unless_two(edition, &["rebuilt"]);
    let leakage = match table.get("leakage") {
        Some(field) => field.choice(&[("refuse", true), ("allow", false)])?,
        None => defaults.leakage,
    };
    let val_min = match table.get("val_min") {
        Some(field) => field.number(0..=u32::MAX)?,
        None => defaults.val_min,
    };
    let val_range = match table.get("val_range") {
        Some(field) => match field.elements()? {
            [low, high] => Some((fraction(&field.element(low))?, fraction(&field.element(high))?)),
            _ => {
                field.wrong("must be two fractions, for example [0.1, 0.3]");
                return None;
            }
        },
        None => defaults.val_range,
    };
    let rebuilt = match table.get("rebuilt") {
        Some(field) => Some(rebuilders(&field)?),
        None => defaults.rebuilt,
    };
    Some(Gates { leakage, val_min, val_range, rebuilt })
}

/// `{ keys = ["ssh-ed25519 …", …], needed = 2 }`.
fn rebuilders(field: &Field<'_, '_>) -> Option<Rebuilders> {
    let table = field.table("[gates] rebuilt", &["keys", "needed"])?;
    let (list, needed) = (table.need("keys"), table.need("needed"));
    let needed = needed.and_then(|field| Some((field.number(1..=MAX_KEYS as u32)? as usize, field)));
    let (list, (needed, of)) = (list?, needed?);
    let keys = list.elements()?.iter().map(|key| list.element(key).parse()).collect::<Option<Vec<_>>>()?;
    let distinct: BTreeSet<&PublicKey> = keys.iter().collect();
    if distinct.len() < keys.len() {
        list.wrong("names a key twice");
        return None;
    }
    if keys.len() > MAX_KEYS {
        list.wrong(format_args!("names more than {MAX_KEYS} keys"));
        return None;
    }
    if needed > keys.len() {
        of.wrong(format_args!("is more than there are keys: {}", keys.len()));
        return None;
    }
    Some(Rebuilders { keys, needed })
}

//! `[corrections]` and `[gates]`: how claims become corrections, and what prevents a version from being
//! published.

use super::Edition;
use super::division::fraction;
use super::file_beside;
use super::table::Field;
use crate::class::check_label;
use crate::ledger::policy::{Policy, Rule, Several};
use crate::split::Fraction;

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
}

impl Default for Gates {
    fn default() -> Self {
        Gates { leakage: true, val_min: 1, val_range: None }
    }
}

pub(super) fn corrections(field: &Field<'_, '_>, edition: Option<Edition>) -> Option<CorrectionsSpec> {
    let known: &[&str] = match edition {
        Some(Edition::Two) => &["file", "agree", "net", "several", "together"],
        _ => &["file", "agree", "several", "together"],
    };
    let table = field.table("[corrections]", known)?;
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

pub(super) fn gates(field: &Field<'_, '_>) -> Option<Gates> {
    let defaults = Gates::default();
    let table = field.table("[gates]", &["leakage", "val_min", "val_range"])?;
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
    Some(Gates { leakage, val_min, val_range })
}

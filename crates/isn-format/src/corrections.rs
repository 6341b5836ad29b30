//! [`Corrections`]: what happens to single images and why, as a policy derives it from a ledger.

use std::collections::BTreeMap;
use std::fmt;

use crate::class::ClassId;
use crate::ledger::{Claim, Decision};

/// The corrections of a version, sorted by source id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Corrections {
    by_id: BTreeMap<String, Correction>,
}

/// What happens to one image, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// The image.
    pub source_id: String,
    /// What happens to it.
    pub action: Action,
    /// The evidence for it.
    pub because: Because,
}

/// What happens to an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is left out.
    Remove,
    /// It gets another class of the dataset and stays in its split.
    Relabel(ClassId),
    /// It stays as it is: it was reviewed and found right.
    Keep,
}

/// The evidence for a correction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Because {
    /// The decisions of reviewers who agree; at least one.
    Reviewed(Vec<Decision>),
    /// Independent claims that agree; at least one.
    Claims(Vec<Claim>),
}

impl Correction {
    /// The classes that are right for the image besides its own: those of the last decision to keep it.
    pub fn also(&self) -> &[ClassId] {
        match &self.because {
            Because::Reviewed(decisions) if self.action == Action::Keep => {
                decisions.last().map_or(&[], |last| last.verdict.classes())
            }
            _ => &[],
        }
    }
}

impl Corrections {
    /// Adds a correction, and replaces the image's earlier one.
    pub fn insert(&mut self, correction: Correction) {
        self.by_id.insert(correction.source_id.clone(), correction);
    }

    /// Returns the correction of an image.
    pub fn get(&self, source_id: &str) -> Option<&Correction> {
        self.by_id.get(source_id)
    }

    /// Iterates over all corrections, sorted by source id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Correction> {
        self.by_id.values()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Remove => f.write_str("remove"),
            Action::Relabel(to) => write!(f, "relabel to {to}"),
            Action::Keep => f.write_str("keep"),
        }
    }
}

/// In words, for people: `wrong-label: bare red head (Ann, 2026-11-24)`, `real says n01608432; mturk says …`.
impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = Vec::new();
        match self {
            Because::Reviewed(decisions) => {
                for Decision { reason, evidence, reviewer, date, .. } in decisions {
                    let evidence = if evidence.is_empty() { String::new() } else { format!(": {evidence}") };
                    said.push(format!("{}{evidence} ({reviewer}, {date})", reason.as_str()));
                }
            }
            Because::Claims(claims) => {
                said.extend(claims.iter().map(|claim| format!("{} says {}", claim.source, claim.says)));
            }
        }
        f.write_str(&said.join("; "))
    }
}

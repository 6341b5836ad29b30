//! [`Corrections`]: what becomes of single images, and because of what: what a ledger comes to under a policy.

use std::collections::BTreeMap;
use std::fmt;

use crate::class::ClassId;
use crate::ledger::{Claim, Decision};

/// The corrections of a version, sorted by source id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Corrections {
    by_id: BTreeMap<String, Correction>,
}

/// What becomes of one image, and because of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// The image.
    pub source_id: String,
    /// What becomes of it.
    pub action: Action,
    /// What that rests on.
    pub because: Because,
}

/// What becomes of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is left out.
    Remove,
    /// It gets another class of the dataset, and stays in its split.
    Relabel(ClassId),
    /// It stays as it is: it was looked at and found right.
    Keep,
}

/// What a correction rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Because {
    /// Reviewers who say the same; at least one.
    Reviewed(Vec<Decision>),
    /// Independent claims that say the same; at least one.
    Claims(Vec<Claim>),
}

impl Corrections {
    /// Takes a correction in; the one that the image had before is forgotten.
    pub fn insert(&mut self, correction: Correction) {
        self.by_id.insert(correction.source_id.clone(), correction);
    }

    /// The correction of an image.
    pub fn get(&self, source_id: &str) -> Option<&Correction> {
        self.by_id.get(source_id)
    }

    /// All, sorted by source id.
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

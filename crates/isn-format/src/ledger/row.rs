//! The rows of a ledger, and the values of their fields.

use std::fmt;

use crate::class::ClassId;
use crate::rows::codes;

/// A row of a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Row {
    /// A label claim: somebody says what an image shows.
    Claim(Claim),
    /// A decision: a person says what happens to an image.
    Decision(Decision),
}

/// A label claim: what a paper, a study or an audit says that an image shows. Evidence, not yet a decision.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The image.
    pub source_id: String,
    /// What the image is said to show.
    pub says: Says,
    /// Who says so: `real`, `mturk`, `shankar`, `audit-labels`, …
    pub source: String,
    /// When: `YYYY-MM-DD` or `YYYY-MM-DDTHH:MM:SSZ`.
    pub date: String,
    /// The grounds, on one line; may be empty.
    pub evidence: String,
}

/// What an image shows, according to a claim.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Says {
    /// This class, which need not be one of the dataset.
    Label(ClassId),
    /// Several classes: these, if they are known.
    Several(Vec<ClassId>),
    /// No class at all.
    None,
    /// Unknown: the image does not show it clearly.
    Unclear,
}

/// What a person decided about an image.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decision {
    /// The image.
    pub source_id: String,
    /// What happens to it.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// Where this comes from besides the reviewer; may be empty.
    pub source: String,
    /// Who decided.
    pub reviewer: String,
    /// When: `YYYY-MM-DD` or `YYYY-MM-DDTHH:MM:SSZ`.
    pub date: String,
    /// The grounds in words, on one line; may be empty.
    pub evidence: String,
}

/// What happens to an image, according to a reviewer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It stays as it is. These classes are right as well as its own.
    Keep(Vec<ClassId>),
    /// It is left out.
    Remove,
    /// It gets another class of the dataset.
    Relabel(ClassId),
    /// The reviewer cannot tell.
    Unsure,
    /// The reviewer withdraws an earlier decision.
    Withdraw,
}

codes! {
    /// The reason for a decision: a code, so that corrections can be counted.
    Reason {
        /// It shows another class.
        WrongLabel = "wrong-label",
        /// It shows no class of the dataset.
        NoneOfThese = "none-of-these",
        /// It shows several classes.
        Several = "several",
        /// The same picture already exists.
        Duplicate = "duplicate",
        /// The same picture is in another split.
        Leakage = "leakage",
        /// The file cannot be decoded.
        Broken = "broken",
        /// There is nothing in it.
        Blank = "blank",
        /// It is too small, too blurred or too dark.
        Unusable = "unusable",
        /// The label is right.
        Correct = "correct",
        /// People would disagree.
        Ambiguous = "ambiguous",
        /// See the evidence.
        Other = "other",
    }
}

impl Row {
    /// Returns the source id of the image.
    pub fn source_id(&self) -> &str {
        match self {
            Row::Claim(claim) => &claim.source_id,
            Row::Decision(decision) => &decision.source_id,
        }
    }

    /// Returns the claim, if this is one.
    pub fn claim(&self) -> Option<&Claim> {
        match self {
            Row::Claim(claim) => Some(claim),
            Row::Decision(_) => None,
        }
    }

    /// Returns the decision, if this is one.
    pub fn decision(&self) -> Option<&Decision> {
        match self {
            Row::Decision(decision) => Some(decision),
            Row::Claim(_) => None,
        }
    }
}

impl Says {
    /// Returns `label`, `several`, `none` or `unclear`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Says::Label(_) => "label",
            Says::Several(_) => "several",
            Says::None => "none",
            Says::Unclear => "unclear",
        }
    }

    /// Returns the classes that it names.
    pub fn classes(&self) -> &[ClassId] {
        match self {
            Says::Label(class) => std::slice::from_ref(class),
            Says::Several(classes) => classes,
            Says::None | Says::Unclear => &[],
        }
    }
}

impl Verdict {
    /// Returns `keep`, `remove`, `relabel`, `unsure` or `withdraw`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Verdict::Keep(_) => "keep",
            Verdict::Remove => "remove",
            Verdict::Relabel(_) => "relabel",
            Verdict::Unsure => "unsure",
            Verdict::Withdraw => "withdraw",
        }
    }

    /// Whether both do the same to the image. Two who keep it agree, whatever else is right.
    pub fn agrees(&self, other: &Verdict) -> bool {
        self == other || matches!((self, other), (Verdict::Keep(_), Verdict::Keep(_)))
    }

    /// Returns the class of a relabel, the other classes that are right of a keep, and no class otherwise.
    pub fn classes(&self) -> &[ClassId] {
        match self {
            Verdict::Keep(classes) => classes,
            Verdict::Relabel(class) => std::slice::from_ref(class),
            _ => &[],
        }
    }
}

impl fmt::Display for Says {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Says::Label(class) => write!(f, "{class}"),
            Says::Several(classes) if classes.is_empty() => f.write_str("several"),
            Says::Several(classes) => write!(f, "several: {}", spaced(classes)),
            Says::None => f.write_str("none of them"),
            Says::Unclear => f.write_str("unclear"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Relabel(class) => write!(f, "relabel to {class}"),
            Verdict::Keep(classes) if !classes.is_empty() => write!(f, "keep, also {}", spaced(classes)),
            other => f.write_str(other.as_str()),
        }
    }
}

/// Joins ids with spaces.
pub(super) fn spaced(classes: &[ClassId]) -> String {
    classes.iter().map(ClassId::as_str).collect::<Vec<_>>().join(" ")
}

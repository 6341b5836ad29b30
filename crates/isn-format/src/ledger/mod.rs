//! [`Ledger`]: label claims about single images, and the decisions that people made. Rows are only ever
//! added; a [`policy::Policy`] derives [`crate::corrections::Corrections`] from them.

pub mod date;
mod file;
pub mod import;
pub mod policy;
mod row;

use std::collections::{BTreeMap, HashMap};

pub use self::file::{HEADER, OLD_HEADER};
pub use self::row::{Claim, Decision, Reason, Row, Says, Verdict};

/// The maximum length of a ledger or of a list of label claims, in bytes: enough for ten million rows.
pub const MAX_LEN: u64 = 1 << 30;

/// All rows of a ledger, in the order of the file. Of the rows of one claimant or reviewer about an image,
/// the last counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    rows: Vec<Row>,
    /// The positions in `rows` of an image's rows, in the order of the file.
    by_id: HashMap<String, Vec<usize>>,
}

impl Ledger {
    /// Creates a ledger of these rows.
    pub fn new(rows: Vec<Row>) -> Self {
        let mut ledger = Ledger::default();
        rows.into_iter().for_each(|row| ledger.push(row));
        ledger
    }

    fn push(&mut self, row: Row) {
        self.by_id.entry(row.source_id().to_owned()).or_default().push(self.rows.len());
        self.rows.push(row);
    }

    /// Returns the rows, in the order of the file.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the images that have rows, sorted by the bytes of their ids.
    pub fn source_ids(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = self.by_id.keys().map(String::as_str).collect();
        ids.sort_unstable();
        ids
    }

    fn of(&self, source_id: &str) -> impl Iterator<Item = (usize, &Row)> {
        self.by_id.get(source_id).into_iter().flatten().map(|&at| (at, &self.rows[at]))
    }

    /// Returns the current claim of each source about an image, which is its last one, in the order of the
    /// file.
    pub fn claims(&self, source_id: &str) -> impl Iterator<Item = &Claim> {
        let claims = self.of(source_id).filter_map(|(at, row)| row.claim().map(|claim| (at, claim)));
        let last: BTreeMap<&str, (usize, &Claim)> =
            claims.map(|(at, claim)| (claim.source.as_str(), (at, claim))).collect();
        in_file_order(last).into_iter()
    }

    /// Returns the current decision of each reviewer about an image, which is the last one unless it was
    /// withdrawn, in the order of the file.
    pub fn opinions(&self, source_id: &str) -> Vec<&Decision> {
        let decisions = self.of(source_id).filter_map(|(at, row)| row.decision().map(|one| (at, one)));
        let mut last: BTreeMap<&str, (usize, &Decision)> = BTreeMap::new();
        for (at, decision) in decisions {
            match decision.verdict {
                Verdict::Withdraw => drop(last.remove(decision.reviewer.as_str())),
                _ => drop(last.insert(&decision.reviewer, (at, decision))),
            }
        }
        in_file_order(last)
    }

    /// Returns the images about which reviewers currently disagree, sorted by the bytes of their ids.
    /// Reviewers who are unsure do not count.
    pub fn conflicts(&self) -> Vec<Conflict<'_>> {
        let ids = self.source_ids().into_iter();
        ids.filter_map(|source_id| {
            let mut opinions = self.opinions(source_id);
            opinions.retain(|decision| decision.verdict != Verdict::Unsure);
            let differ = opinions.windows(2).any(|pair| !pair[0].verdict.agrees(&pair[1].verdict));
            differ.then_some(Conflict { source_id, opinions })
        })
        .collect()
    }

    /// Returns this ledger followed by the rows of `other` that it does not have; a row that `other` has
    /// twice counts twice. This merges two reviewers' copies of one ledger and keeps the order of the rows of
    /// each.
    pub fn merge(&self, other: &Ledger) -> Ledger {
        let mut here: HashMap<&Row, usize> = HashMap::new();
        self.rows.iter().for_each(|row| *here.entry(row).or_default() += 1);
        let mut merged = self.clone();
        for row in &other.rows {
            match here.get_mut(row) {
                Some(count) if *count > 0 => *count -= 1,
                _ => merged.push(row.clone()),
            }
        }
        merged
    }
}

fn in_file_order<T>(of: BTreeMap<&str, (usize, T)>) -> Vec<T> {
    let mut rows: Vec<(usize, T)> = of.into_values().collect();
    rows.sort_by_key(|(at, _)| *at);
    rows.into_iter().map(|(_, row)| row).collect()
}

/// Reviewers who disagree about an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict<'l> {
    /// The image.
    pub source_id: &'l str,
    /// The decision of each; not all are the same.
    pub opinions: Vec<&'l Decision>,
}

#[cfg(test)]
mod tests;

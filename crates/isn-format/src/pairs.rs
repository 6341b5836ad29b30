//! [`Pairs`]: what people found about two images that look alike (`pairs.csv`). Rows are only ever added.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;

use crate::error::Result;
use crate::groups::Groups;
use crate::recipe::SplitSpec;
use crate::rows::{self, FileRow, RowFile, codes};

/// The maximum length of the file, in bytes: enough for ten million rows.
pub const MAX_LEN: u64 = 1 << 30;

/// The first line of the file.
pub const HEADER: &str = "kind,first,second,says,reviewer,reason,date,evidence";

/// Two images of a source: the one whose id is lower by its bytes is the first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    first: String,
    second: String,
}

impl Pair {
    /// Makes a pair of two source ids, in any order; `None` if they are of one image.
    pub fn new(one: &str, other: &str) -> Option<Self> {
        let (first, second) = if one < other { (one, other) } else { (other, one) };
        (first != second).then(|| Pair { first: first.into(), second: second.into() })
    }

    /// Returns the lower source id.
    pub fn first(&self) -> &str {
        &self.first
    }

    /// Returns the higher source id.
    pub fn second(&self) -> &str {
        &self.second
    }

    /// Returns both source ids.
    pub fn ids(&self) -> [&str; 2] {
        [&self.first, &self.second]
    }
}

/// For messages: `a and b`.
impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} and {}", self.first, self.second)
    }
}

/// What a person decided about a pair: a row of the file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decision {
    /// The images.
    pub pair: Pair,
    /// What they are to each other.
    pub says: Says,
    /// Who decided.
    pub reviewer: String,
    /// Why.
    pub reason: Reason,
    /// When: `YYYY-MM-DD` or `YYYY-MM-DDTHH:MM:SSZ`.
    pub date: String,
    /// The grounds in words, on one line; may be empty.
    pub evidence: String,
}

codes! {
    /// What two images are to each other, according to a reviewer.
    Says {
        /// One picture, or copies of one: the two must not be in two splits.
        Same = "same",
        /// Two pictures, which may be in two splits.
        Different = "different",
        /// The reviewer cannot tell.
        Unsure = "unsure",
        /// The reviewer withdraws an earlier decision.
        Withdraw = "withdraw",
    }
}

codes! {
    /// The reason for a decision: a code, so that decisions can be counted.
    Reason {
        /// One is a copy of the other.
        Copy = "copy",
        /// One is a part of the other.
        Crop = "crop",
        /// Both are of one series of photographs.
        Burst = "burst",
        /// Both show the same object.
        SameObject = "same-object",
        /// They only look alike.
        LookAlike = "look-alike",
        /// See the evidence.
        Other = "other",
    }
}

/// All rows of a file of pairs, in its order. Of the decisions of one reviewer about a pair, the last counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs {
    rows: Vec<Decision>,
    /// The positions in `rows` of a pair's rows, in the order of the file.
    by_pair: HashMap<Pair, Vec<usize>>,
}

/// What the decisions about pairs come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// The pairs that are one picture, or copies of one.
    pub same: BTreeSet<Pair>,
    /// The pairs that are two pictures.
    pub different: BTreeSet<Pair>,
    /// The pairs about which every reviewer is unsure: as if nobody had judged them.
    pub open: BTreeSet<Pair>,
    /// That reviewers differ, which makes the file unusable: one line a pair.
    pub problems: Vec<String>,
}

impl Judged {
    /// Returns the pairs that somebody judged and did not withdraw; those about which reviewers differ are in
    /// `problems` alone.
    pub fn pairs(&self) -> impl Iterator<Item = &Pair> {
        self.same.iter().chain(&self.different).chain(&self.open)
    }
}

impl Pairs {
    /// Creates pairs of these decisions.
    pub fn new(rows: Vec<Decision>) -> Self {
        let mut pairs = Pairs::default();
        rows.into_iter().for_each(|row| pairs.push(row));
        pairs
    }

    fn push(&mut self, row: Decision) {
        self.by_pair.entry(row.pair.clone()).or_default().push(self.rows.len());
        self.rows.push(row);
    }

    /// Reads the file: UTF-8 CSV (RFC 4180) with the header [`HEADER`].
    ///
    /// # Errors
    /// [`Error::Mistakes`](crate::error::Error::Mistakes), naming `what`, with every mistake and its line.
    pub fn parse(what: &str, bytes: &[u8]) -> Result<Self> {
        let mut pairs = Pairs::default();
        rows::read(what, bytes, &[HEADER], |_, fields, _, wrong| {
            if let Some(row) = row(fields, wrong) {
                pairs.push(row);
            }
        })?;
        Ok(pairs)
    }

    /// Returns the bytes of the file: header, rows, LF line ends, minimal quoting.
    pub fn to_csv(&self) -> Vec<u8> {
        RowFile::to_csv(self)
    }

    /// Returns the decisions, in the order of the file.
    pub fn rows(&self) -> &[Decision] {
        &self.rows
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the pairs that have rows, sorted by the bytes of their ids.
    pub fn pairs(&self) -> Vec<&Pair> {
        let mut pairs: Vec<&Pair> = self.by_pair.keys().collect();
        pairs.sort_unstable();
        pairs
    }

    /// Returns the current decision of each reviewer about a pair, which is the last one unless it was
    /// withdrawn, in the order of the file.
    pub fn opinions(&self, pair: &Pair) -> Vec<&Decision> {
        let mut last: BTreeMap<&str, usize> = BTreeMap::new();
        for &at in self.by_pair.get(pair).into_iter().flatten() {
            let row = &self.rows[at];
            match row.says {
                Says::Withdraw => last.remove(row.reviewer.as_str()),
                _ => last.insert(&row.reviewer, at),
            };
        }
        let mut places: Vec<usize> = last.into_values().collect();
        places.sort_unstable();
        places.into_iter().map(|at| &self.rows[at]).collect()
    }

    /// Derives what the decisions come to. Reviewers who are unsure do not count beside others.
    pub fn judge(&self) -> Judged {
        let mut judged = Judged::default();
        for pair in self.pairs() {
            let opinions = self.opinions(pair);
            let firm: Vec<_> = opinions.iter().filter(|one| one.says != Says::Unsure).collect();
            let Some(first) = firm.first() else {
                if !opinions.is_empty() {
                    judged.open.insert(pair.clone());
                }
                continue;
            };
            if firm.iter().any(|other| other.says != first.says) {
                let said: Vec<String> =
                    firm.iter().map(|one| format!("{} says {}", one.reviewer, one.says.as_str())).collect();
                judged.problems.push(format!("{pair}: the reviewers differ: {}", said.join(", ")));
            } else if first.says == Says::Same {
                judged.same.insert(pair.clone());
            } else {
                judged.different.insert(pair.clone());
            }
        }
        judged
    }
}

/// What says of images that they belong together.
#[derive(Clone, Copy, Debug)]
pub struct Ties<'a> {
    /// The groups that the recipe names.
    pub groups: &'a Groups,
    /// What its pairs come to.
    pub judged: &'a Judged,
}

impl Ties<'_> {
    /// Returns the groups, with the pairs that are the same; those that share an image are one.
    pub fn joined(&self) -> Groups {
        self.groups.joined(&self.judged.same)
    }

    /// Returns what is wrong with the pairs by themselves: reviewers who differ, and pairs that are different
    /// and in one group.
    pub fn problems(&self, spec: &SplitSpec) -> Vec<String> {
        let name = |file: &Option<String>, usual: &str| file.clone().unwrap_or_else(|| usual.into());
        let (groups, pairs) = (name(&spec.groups, "groups.csv"), name(&spec.pairs, "pairs.csv"));
        let contradictions = self.contradictions(&groups, &pairs);
        let problems = self.judged.problems.iter().cloned().chain(contradictions);
        problems.map(|problem| format!("pairs: {problem}")).collect()
    }

    /// Returns a line for each pair that is different although both are in one group, of the file or by
    /// pairs that are the same. `of_groups` and `of_pairs` are what messages call the files.
    fn contradictions(&self, of_groups: &str, of_pairs: &str) -> Vec<String> {
        let (groups, joined) = (self.groups, self.joined());
        let shared = |groups: &Groups, pair: &Pair| {
            groups.of(pair.first()).is_some_and(|ids| ids.iter().any(|id| id == pair.second()))
        };
        let line = |pair: &Pair| {
            let file = if shared(groups, pair) { of_groups } else { of_pairs };
            let undo = match shared(groups, pair) {
                true => format!("take one of the two out of {of_groups}"),
                false => format!("withdraw one of the decisions that join them ({})", self.way(pair)),
            };
            format!(
                "{pair}: are different by {of_pairs}, and in one group by {file}: {undo}, or withdraw that they are \
                 different"
            )
        };
        self.judged.different.iter().filter(|pair| shared(&joined, pair)).map(line).collect()
    }

    /// Returns the pairs that are the same on a shortest way between two images that groups and such pairs
    /// join, in words.
    fn way(&self, pair: &Pair) -> String {
        let mut beside: HashMap<&str, Vec<&Pair>> = HashMap::new();
        for one in &self.judged.same {
            one.ids().into_iter().for_each(|id| beside.entry(id).or_default().push(one));
        }
        // By which pair an image was reached, and from which image; `None` of the members of one group.
        let mut reached: HashMap<&str, (Option<&Pair>, &str)> = HashMap::new();
        let mut next = VecDeque::from([pair.first()]);
        reached.insert(pair.first(), (None, pair.first()));
        while let Some(at) = next.pop_front() {
            let by_pairs = beside.get(at).into_iter().flatten();
            let by_pairs = by_pairs.flat_map(|by| by.ids().map(|id| (Some(*by), id)));
            let in_group = self.groups.of(at).into_iter().flatten().map(|id| (None, id.as_str()));
            for (by, id) in by_pairs.chain(in_group) {
                reached.entry(id).or_insert_with(|| {
                    next.push_back(id);
                    (by, at)
                });
            }
        }
        let (mut at, mut way) = (pair.second(), Vec::new());
        while let Some((by, from)) = reached.get(at).copied().filter(|_| at != pair.first()) {
            way.extend(by.map(Pair::to_string));
            at = from;
        }
        way.reverse();
        way.join("; ")
    }
}

impl RowFile for Pairs {
    type Row = Decision;

    const NOUN: &'static str = "file of pairs";
    const HEADER: &'static str = HEADER;
    const MAX_LEN: u64 = MAX_LEN;

    fn new(rows: Vec<Decision>) -> Self {
        Pairs::new(rows)
    }

    fn rows(&self) -> &[Decision] {
        &self.rows
    }

    fn parse(what: &str, bytes: &[u8]) -> Result<Self> {
        Pairs::parse(what, bytes)
    }
}

impl FileRow for Decision {
    fn to_csv(&self) -> String {
        let Decision { pair, says, reviewer, reason, date, evidence } = self;
        let (says, reason) = (says.as_str(), reason.as_str());
        rows::line(["decision", &pair.first, &pair.second, says, reviewer, reason, date, evidence])
    }

    fn about(&self) -> String {
        self.pair.to_string()
    }

    fn texts(&self) -> Vec<(&'static str, &str)> {
        vec![
            ("first", &self.pair.first),
            ("second", &self.pair.second),
            ("reviewer", &self.reviewer),
            ("evidence", &self.evidence),
        ]
    }
}

fn row(fields: &[&str], wrong: &mut Vec<String>) -> Option<Decision> {
    let &[kind, first, second, says, reviewer, reason, date, evidence] = fields else { return None };
    if kind != "decision" {
        wrong.push(format!("kind '{kind}' is not decision"));
    }
    for (name, field) in [("first", first), ("second", second), ("reviewer", reviewer)] {
        rows::needed(name, field, wrong);
    }
    let pair = Pair::new(first, second);
    match &pair {
        None if !first.is_empty() => wrong.push(format!("{first} makes no pair with itself")),
        Some(pair) if pair.first != first && !second.is_empty() => {
            wrong.push(format!("first must be the lower id by bytes: {second} goes before {first}"));
        }
        _ => {}
    }
    let says = Says::of_field("says", says, wrong);
    let reason = Reason::of_field("reason", reason, wrong);
    rows::dated(date, wrong);
    let [reviewer, date, evidence] = [reviewer, date, evidence].map(str::to_owned);
    Some(Decision { pair: pair?, says: says?, reviewer, reason: reason?, date, evidence })
}

#[cfg(test)]
mod tests;

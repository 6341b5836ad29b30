//! [`Groups`]: images that show the same or nearly the same picture and must therefore stay in one split
//! (`groups.csv`).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::class::csv_field;
use crate::error::{Error, Mistake, Result};
use crate::pairs::Pair;
use crate::union_find::UnionFind;

/// Groups of two or more images, as an audit finds and a curator confirms them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    /// The position in `members` of an image's group.
    by_id: HashMap<String, usize>,
    /// The source ids of each group, sorted.
    members: Vec<Vec<String>>,
}

/// The maximum length of the file, in bytes: enough for ten million images.
pub const MAX_LEN: u64 = 1 << 30;

/// The first line of the file.
pub const HEADER: &str = "source_id,group";

impl Groups {
    /// Creates groups from lists of source ids; a group of one image is left out.
    ///
    /// # Errors
    /// The id of an image that is in two groups, or twice in one.
    pub fn new(groups: impl IntoIterator<Item = Vec<String>>) -> Result<Self, String> {
        let mut members: Vec<Vec<String>> = groups.into_iter().filter(|group| group.len() > 1).collect();
        members.iter_mut().for_each(|group| group.sort_unstable());
        members.sort_unstable();
        let mut by_id = HashMap::new();
        for (at, id) in members.iter().enumerate().flat_map(|(at, ids)| ids.iter().map(move |id| (at, id))) {
            if by_id.insert(id.clone(), at).is_some() {
                return Err(id.clone());
            }
        }
        Ok(Groups { by_id, members })
    }

    /// Reads the file: UTF-8 CSV with the header [`HEADER`]; the images of a group have the same text in
    /// `group`.
    ///
    /// # Errors
    /// [`Error::Mistakes`], naming `what`, with every mistake and its line.
    pub fn parse(what: &str, bytes: &[u8]) -> Result<Self> {
        let mut mistakes = Vec::new();
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut first_line: HashMap<String, usize> = HashMap::new();
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
        let mut header = false;
        for (at, record) in reader.records().enumerate() {
            let mut wrong = |line: usize, why: String| mistakes.push(Mistake { line: Some(line), why });
            let record = match record {
                Ok(record) => record,
                Err(_) => {
                    wrong(at + 1, "is not UTF-8".into());
                    header = true;
                    continue;
                }
            };
            let line = record.position().map_or(at + 1, |p| p.line() as usize);
            if !header {
                header = true;
                if record != HEADER.split(',').collect::<Vec<_>>() {
                    wrong(line, format!("the header must be {HEADER}"));
                }
                continue;
            }
            let (2, Some(id), Some(group)) = (record.len(), record.get(0), record.get(1)) else {
                wrong(line, format!("has {} of 2 fields: {HEADER}", record.len()));
                continue;
            };
            if id.is_empty() || group.is_empty() {
                wrong(line, "source_id and group must not be empty".into());
            } else if let Some(first) = first_line.insert(id.into(), line) {
                wrong(line, format!("{id} is already at line {first}: an image can be in one group only"));
            } else {
                groups.entry(group.into()).or_default().push(id.into());
            }
        }
        if !header {
            mistakes.push(Mistake { line: Some(1), why: format!("the header must be {HEADER}") });
        }
        if !mistakes.is_empty() {
            return Err(Error::Mistakes { what: what.into(), mistakes });
        }
        Groups::new(groups.into_values()).map_err(|id| Error::Internal(format!("{id} is in two groups")))
    }

    /// Returns the bytes of the file: sorted by source id; a group has the id of its first image as its name.
    pub fn to_csv(&self) -> Vec<u8> {
        let mut rows: Vec<(&str, &str)> =
            self.members.iter().flat_map(|ids| ids.iter().map(|id| (id.as_str(), ids[0].as_str()))).collect();
        rows.sort_unstable();
        let mut out = format!("{HEADER}\n");
        for (id, group) in rows {
            out += &format!("{},{}\n", csv_field(id), csv_field(group));
        }
        out.into_bytes()
    }

    /// Returns these groups and pairs as groups: those that share an image are one.
    pub fn joined<'p>(&self, pairs: impl IntoIterator<Item = &'p Pair>) -> Groups {
        let pairs: Vec<[&str; 2]> = pairs.into_iter().map(Pair::ids).collect();
        let grouped = self.members.iter().flatten().map(String::as_str);
        let ids: BTreeSet<&str> = grouped.chain(pairs.iter().flatten().copied()).collect();
        let places: HashMap<&str, usize> = ids.iter().enumerate().map(|(at, id)| (*id, at)).collect();
        let mut joined = UnionFind::new(ids.len());
        for members in &self.members {
            for two in members.windows(2) {
                joined.join(places[two[0].as_str()], places[two[1].as_str()]);
            }
        }
        for [one, other] in &pairs {
            joined.join(places[one], places[other]);
        }
        let ids: Vec<&str> = ids.into_iter().collect();
        let members = joined.groups().into_iter();
        let members = members.map(|group| group.into_iter().map(|at| ids[at].to_owned()).collect());
        // Each image is in one group.
        Groups::new(members).unwrap_or_default()
    }

    /// Returns the members of an image's group, sorted by the bytes of their ids, or `None` if it is in no
    /// group.
    pub fn of(&self, source_id: &str) -> Option<&[String]> {
        self.by_id.get(source_id).map(|&at| self.members[at].as_slice())
    }

    /// Iterates over the groups; each is sorted.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[String]> {
        self.members.iter().map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_reads_back_and_has_one_spelling() {
        let groups =
            Groups::new([vec!["b,c".into(), "a".into()], vec!["z".into()], vec!["e".into(), "d".into()]]);
        let groups = groups.unwrap();
        let text = "source_id,group\na,a\n\"b,c\",a\nd,d\ne,d\n";
        assert_eq!(String::from_utf8(groups.to_csv()).unwrap(), text);
        assert_eq!(Groups::parse("g", text.as_bytes()).unwrap(), groups);
        assert_eq!(groups.of("b,c").unwrap(), ["a", "b,c"]);
        assert!(groups.of("z").is_none() && groups.iter().len() == 2);
        assert_eq!(
            Groups::new([vec!["a".into(), "b".into()], vec!["b".into(), "c".into()]]),
            Err("b".into())
        );
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let told = |text: &str| match Groups::parse("g", text.as_bytes()).unwrap_err() {
            Error::Mistakes { mistakes, .. } => mistakes.iter().map(ToString::to_string).collect::<Vec<_>>(),
            other => panic!("{other}"),
        };
        assert_eq!(
            told("source_id,group\na,1\na,2\nb\n,3\n"),
            [
                "line 3: a is already at line 2: an image can be in one group only",
                "line 4 has 1 of 2 fields: source_id,group",
                "line 5: source_id and group must not be empty"
            ]
        );
        assert_eq!(told(""), ["line 1: the header must be source_id,group"]);
        assert_eq!(told("id,group\n"), ["line 1: the header must be source_id,group"]);
    }

    #[test]
    fn groups_and_pairs_that_share_an_image_are_one() {
        let groups = Groups::new([vec!["a".into(), "b".into()], vec!["e".into(), "f".into()]]).unwrap();
        let pairs = [("b", "c"), ("d", "c"), ("g", "h"), ("x", "y"), ("h", "y"), ("a", "d")];
        let pairs = pairs.map(|(one, other)| Pair::new(one, other).unwrap());
        for turn in 0..pairs.len() {
            let turned = pairs.iter().cycle().skip(turn).take(pairs.len());
            let joined = groups.joined(turned);
            let told: Vec<_> = joined.iter().map(|ids| ids.concat()).collect();
            assert_eq!(told, ["abcd", "ef", "ghxy"]);
        }
        assert_eq!(groups.joined([]), groups);
        // A long chain takes no long ways.
        let ids: Vec<String> = (0..20_000).map(|n| format!("{n:06}")).collect();
        let chain: Vec<Pair> = ids.windows(2).rev().map(|two| Pair::new(&two[0], &two[1]).unwrap()).collect();
        assert_eq!(Groups::default().joined(&chain).of("000007").unwrap(), ids);
    }
}

//! [`grow`]: adds entries to an index, and says which files that makes.

use std::collections::BTreeMap;

use super::node::{Child, LEAF};
use super::{File, Node, Place, Row, Subject, Top, path_of};
use crate::digest::Digest;
use crate::error::{Error, Result};

/// The root of an index: what a note says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    /// The number of the last entry in it, and 1; 0 if there is none.
    pub through: u64,
    /// The BLAKE3 of its first file.
    pub hash: Digest,
}

impl Root {
    /// The first file.
    pub fn file(&self) -> File {
        File::Top { through: self.through }
    }
}

type News = BTreeMap<Subject, Vec<Place>>;

/// Adds entries, each with what it is about, in the order of the log, to the index with the root `base`, or
/// to an empty one. Calls `read` for the files that it needs of it, at most one for each level and name, and
/// `write` with every file that is new, those that others refer to first. Returns the new root, which
/// depends on the entries alone, not on how they were divided into calls.
///
/// # Errors
/// [`Error::Integrity`] if a file is not the one that `base` leads to, or the entries are not later than
/// those in it; also whatever `read` and `write` return.
pub fn grow(
    base: Option<Root>,
    entries: impl IntoIterator<Item = (Subject, Place)>,
    read: &mut dyn FnMut(&File) -> Result<Vec<u8>>,
    write: &mut dyn FnMut(File, Vec<u8>) -> Result<()>,
) -> Result<Root> {
    let mut news = News::new();
    let mut through = base.map_or(0, |base| base.through);
    for (subject, place) in entries {
        if place.index < through {
            return Err(Error::Internal(format!("entry {} comes late to the index of names", place.index)));
        }
        through = place.index + 1;
        news.entry(subject).or_default().push(place);
    }
    let top = match base {
        None => Top::empty(),
        Some(base) => {
            let bytes = read(&base.file())?;
            Top::parse(&bytes, &base.hash).map_err(|why| damaged(&base.file(), why))?
        }
    };
    let mut grown = Grown { read, write };
    let mut log = top.log;
    grown.push_all(&mut log, news.remove(&Subject::Log).unwrap_or_default())?;
    let node = if news.is_empty() { top.node } else { grown.node(top.node, &[], news)? };
    let top = Top { log, node };
    let root = Root { through: top.through(), hash: Digest::of(&top.to_bytes()) };
    if base != Some(root) {
        (grown.write)(root.file(), top.to_bytes())?;
    }
    Ok(root)
}

struct Grown<'a> {
    read: &'a mut dyn FnMut(&File) -> Result<Vec<u8>>,
    write: &'a mut dyn FnMut(File, Vec<u8>) -> Result<()>,
}

impl Grown<'_> {
    fn push_all(&mut self, row: &mut Row, places: Vec<Place>) -> Result<()> {
        let mut blocks = Vec::new();
        for place in places {
            row.push(place, |level, index, bytes| blocks.push((level, index, bytes)));
        }
        for (level, index, bytes) in blocks {
            (self.write)(File::Block { of: row.subject().clone(), level, index }, bytes)?;
        }
        Ok(())
    }

    /// Returns the node with these entries too.
    fn node(&mut self, node: Node, prefix: &[u8], news: News) -> Result<Node> {
        match node {
            Node::Leaf(rows) => {
                let mut rows: BTreeMap<Subject, Row> =
                    rows.into_iter().map(|row| (row.subject().clone(), row)).collect();
                for (subject, places) in news {
                    let row = rows.entry(subject.clone()).or_insert_with(|| Row::new(subject));
                    self.push_all(row, places)?;
                }
                self.of_rows(rows.into_values().collect(), prefix)
            }
            Node::Branch(children) => {
                let mut children: BTreeMap<u8, Child> = children.into_iter().collect();
                let mut below: BTreeMap<u8, News> = BTreeMap::new();
                for (subject, places) in news {
                    below.entry(digit_of(&subject, prefix)).or_default().insert(subject, places);
                }
                for (digit, news) in below {
                    let prefix = [prefix, &[digit]].concat();
                    let child = match children.get(&digit) {
                        Some(Child { through, hash }) => {
                            let file = File::Node { prefix: prefix.clone(), through: *through };
                            let bytes = (self.read)(&file)?;
                            Node::parse(&bytes, &prefix, hash).map_err(|why| damaged(&file, why))?
                        }
                        None => Node::Leaf(Vec::new()),
                    };
                    let child = self.node(child, &prefix, news)?;
                    children.insert(digit, self.keep(&child, prefix)?);
                }
                Ok(Node::Branch(children.into_iter().collect()))
            }
        }
    }

    /// Returns the node with these rows: a leaf if there are few.
    fn of_rows(&mut self, rows: Vec<Row>, prefix: &[u8]) -> Result<Node> {
        if rows.len() <= LEAF {
            return Ok(Node::Leaf(rows));
        }
        let mut below: BTreeMap<u8, Vec<Row>> = BTreeMap::new();
        for row in rows {
            below.entry(digit_of(row.subject(), prefix)).or_default().push(row);
        }
        let mut children = Vec::new();
        for (digit, rows) in below {
            let prefix = [prefix, &[digit]].concat();
            let child = self.of_rows(rows, &prefix)?;
            children.push((digit, self.keep(&child, prefix)?));
        }
        Ok(Node::Branch(children))
    }

    fn keep(&mut self, node: &Node, prefix: Vec<u8>) -> Result<Child> {
        let mut bytes = Vec::new();
        node.write(&mut bytes);
        let child = Child { through: node.through(), hash: Digest::of(&bytes) };
        (self.write)(File::Node { prefix, through: child.through }, bytes)?;
        Ok(child)
    }
}

/// The digit of the name's BLAKE3 that follows the prefix. No two names have one BLAKE3, so a leaf is met
/// before it ends.
fn digit_of(subject: &Subject, prefix: &[u8]) -> u8 {
    match subject {
        Subject::Name(name) => path_of(name).get(prefix.len()).copied().unwrap_or(0),
        Subject::Log => 0,
    }
}

fn damaged(file: &File, why: &str) -> Error {
    Error::integrity(format!("{file:?}"), why)
}

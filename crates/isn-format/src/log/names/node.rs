//! [`Node`]: a leaf or a branch of the index. [`Top`]: its first file, with the changes of the log's key and
//! the node that all names are below.

use super::row::{MAX_ROW, Row, take};
use super::{DIGITS, File, Subject, path_of};
use crate::dataset_ref::Name;
use crate::digest::Digest;

/// The most names of a leaf.
pub(super) const LEAF: usize = 64;
/// The maximum length of a file of the index, in bytes.
pub const MAX_FILE: u64 = (2 + (LEAF + 1) * MAX_ROW) as u64;

// The first byte of each kind of file; that of a block is 2.
const IS_LEAF: u8 = 0;
const IS_BRANCH: u8 = 1;
const IS_TOP: u8 = 3;

/// A node: all names whose BLAKE3 begin with its prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// Up to 64 names, sorted.
    Leaf(Vec<Row>),
    /// More of them: the nodes below it, by the next digit of their prefix.
    Branch(Vec<(u8, Child)>),
}

/// A node below a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Child {
    /// The number of the last entry in it, and 1.
    pub through: u64,
    /// The BLAKE3 of its file.
    pub hash: Digest,
}

/// The first file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Top {
    /// The changes of the log's key.
    pub log: Row,
    /// All names.
    pub node: Node,
}

/// What a node says about a name.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// Its entries.
    Row(&'a Row),
    /// There is none.
    Nothing,
    /// The file of the node that says more, and its BLAKE3.
    Below(File, Digest),
}

impl Node {
    /// Reads the file of a node; the hash must be that in the node above it.
    ///
    /// # Errors
    /// The reason, if it is not that file or is malformed.
    pub fn parse(bytes: &[u8], prefix: &[u8], hash: &Digest) -> Result<Self, &'static str> {
        check(bytes, hash)?;
        let mut rest = bytes;
        let node = Node::read(&mut rest, prefix).filter(|_| rest.is_empty());
        node.ok_or("is not a node of an index of names")
    }

    /// Returns what the node with this prefix says about a name below it.
    pub fn find(&self, name: &Name, prefix: &[u8]) -> Found<'_> {
        match self {
            Node::Leaf(rows) => {
                let of = |row: &Row| matches!(row.subject(), Subject::Name(one) if one == name);
                rows.iter().find(|row| of(row)).map_or(Found::Nothing, Found::Row)
            }
            Node::Branch(children) => {
                let Some(next) = path_of(name).get(prefix.len()).copied() else { return Found::Nothing };
                match children.binary_search_by_key(&next, |(digit, _)| *digit) {
                    Ok(at) => {
                        let (prefix, child) = ([prefix, &[next]].concat(), children[at].1);
                        Found::Below(File::Node { prefix, through: child.through }, child.hash)
                    }
                    Err(_) => Found::Nothing,
                }
            }
        }
    }

    pub(super) fn through(&self) -> u64 {
        match self {
            Node::Leaf(rows) => rows.iter().map(Row::through).max().unwrap_or(0),
            Node::Branch(children) => children.iter().map(|(_, child)| child.through).max().unwrap_or(0),
        }
    }

    pub(super) fn write(&self, to: &mut Vec<u8>) {
        match self {
            Node::Leaf(rows) => {
                to.extend([IS_LEAF, rows.len() as u8]);
                rows.iter().for_each(|row| row.write(to));
            }
            Node::Branch(children) => {
                to.extend([IS_BRANCH, (children.len() - 1) as u8]);
                for (digit, Child { through, hash }) in children {
                    to.push(*digit);
                    to.extend_from_slice(&through.to_be_bytes());
                    to.extend_from_slice(hash.as_bytes());
                }
            }
        }
    }

    fn read(from: &mut &[u8], prefix: &[u8]) -> Option<Self> {
        let [kind, number] = take(from)?;
        match kind {
            IS_LEAF => {
                let rows = (0..number).map(|_| Row::read(from)).collect::<Option<Vec<_>>>()?;
                let is_here = |row: &Row| match row.subject() {
                    Subject::Name(name) => path_of(name).starts_with(prefix),
                    Subject::Log => false,
                };
                let is_sorted = rows.windows(2).all(|two| two[0].subject() < two[1].subject());
                // Only that of all names may be empty.
                let is_one = rows.len() <= LEAF && (prefix.is_empty() || !rows.is_empty());
                (is_one && is_sorted && rows.iter().all(is_here)).then_some(Node::Leaf(rows))
            }
            IS_BRANCH if prefix.len() < DIGITS && number < 16 => {
                let child = |from: &mut &[u8]| {
                    let [digit] = take(from)?;
                    let through = u64::from_be_bytes(take(from)?);
                    (digit < 16).then_some(())?;
                    Some((digit, Child { through, hash: Digest::from_bytes(take(from)?) }))
                };
                let children = (0..=number).map(|_| child(from)).collect::<Option<Vec<_>>>()?;
                children.windows(2).all(|two| two[0].0 < two[1].0).then_some(Node::Branch(children))
            }
            _ => None,
        }
    }
}

impl Top {
    /// Before the first entry.
    pub(super) fn empty() -> Self {
        Top { log: Row::new(Subject::Log), node: Node::Leaf(Vec::new()) }
    }

    /// Reads the first file; the hash must be that in the note.
    ///
    /// # Errors
    /// The reason, if it is not that file or is malformed.
    pub fn parse(bytes: &[u8], hash: &Digest) -> Result<Self, &'static str> {
        check(bytes, hash)?;
        let mut rest = bytes.strip_prefix(&[IS_TOP]).ok_or("is not the first file of an index of names")?;
        let read = |rest: &mut &[u8]| {
            let log = Row::read(rest).filter(|row| *row.subject() == Subject::Log)?;
            Some(Top { log, node: Node::read(rest, &[])? })
        };
        let top = read(&mut rest).filter(|_| rest.is_empty());
        top.ok_or("is not the first file of an index of names")
    }

    pub(super) fn through(&self) -> u64 {
        self.log.through().max(self.node.through())
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![IS_TOP];
        self.log.write(&mut bytes);
        self.node.write(&mut bytes);
        bytes
    }
}

/// The hash is compared first: what is parsed was written by whoever wrote the note.
fn check(bytes: &[u8], hash: &Digest) -> Result<(), &'static str> {
    if bytes.len() as u64 > MAX_FILE {
        return Err("is too long for a file of an index of names");
    }
    if Digest::of(bytes) == *hash { Ok(()) } else { Err("does not have the hash that is signed") }
}

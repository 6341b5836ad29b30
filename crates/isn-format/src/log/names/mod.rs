//! The index of names: which of a log's entries are about a name, so that who asks for one name need not
//! replay the entries about all others. docs/format.md, "Index of names", defines it;
//! docs/log-at-scale.md says why it is so.
//!
//! It is a tree over the hex digits of the BLAKE3 of the names, whose shape depends on the names alone. The
//! log's key signs its root together with the checkpoint's size and root. It follows from the entries, so
//! whoever replays the log makes the same bytes.
//!
//! | file | noun |
//! |---|---|
//! | `row.rs` | [`Row`]: the entries about one name, in blocks of 256 |
//! | `node.rs` | [`Node`]: a leaf with rows, or a branch; [`Top`]: the first file |
//! | `grow.rs` | [`grow()`]: adds entries, and says which files that makes |
//! | `note.rs` | [`SignedNames`]: the note that the log's key signs |

mod grow;
mod node;
mod note;
mod row;

use crate::dataset_ref::Name;
use crate::digest::Digest;

pub use grow::{Root, grow};
pub use node::{Found, MAX_FILE, Node, Top};
pub use note::{MAX_NOTE, SignedNames};
pub use row::{Place, Row};

/// What an entry is about, by its first two lines alone: neither its signatures nor its effect count, so an
/// isn that knows more kinds of statements makes the same index.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The log itself: a change of its key.
    Log,
    /// A name.
    Name(Name),
}

impl Subject {
    /// Returns what an entry is about; `None` if it is about nothing.
    pub fn of(entry: &[u8]) -> Option<Self> {
        let (first, rest) = split_line(entry)?;
        let named = split_line(rest).and_then(|(second, _)| {
            std::str::from_utf8(second.strip_prefix(b"name ")?).ok()?.parse().ok().map(Subject::Name)
        });
        named.or_else(|| (first == b"isn/v1 logkey").then_some(Subject::Log))
    }

    /// The text of the subject in a row: empty for the log itself.
    fn text(&self) -> &str {
        match self {
            Subject::Log => "",
            Subject::Name(name) => name.as_str(),
        }
    }
}

/// A file of the index.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum File {
    /// The first one, after `through` entries.
    Top {
        /// The number of the last entry in it, and 1; 0 if there is none.
        through: u64,
    },
    /// A node below it.
    Node {
        /// The first hex digits of the BLAKE3 of the names in it, each as a number.
        prefix: Vec<u8>,
        /// The number of the last entry in it, and 1.
        through: u64,
    },
    /// A full block of what a row has; it never changes.
    Block {
        /// Whose row it is.
        of: Subject,
        /// 0 for places of entries, 1 for the hashes of 256 blocks of level 0, and so on.
        level: u8,
        /// Its number in its level.
        index: u64,
    },
}

/// The number of digits of a path in the tree.
const DIGITS: usize = 64;

/// Returns the path of a name in the tree: the digits of its BLAKE3.
fn path_of(name: &Name) -> [u8; DIGITS] {
    let hash = Digest::of(name.as_str().as_bytes());
    std::array::from_fn(|at| (hash.as_bytes()[at / 2] >> (4 * (1 - at % 2))) & 15)
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&b| b == b'\n')?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

#[cfg(test)]
mod tests;

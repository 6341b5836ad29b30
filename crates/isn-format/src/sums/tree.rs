//! [`SumsTree`]: BLAKE3's tree over a `B3SUMS`, by which a part of that file is shown to be in it without the
//! rest.

use std::io::{self, Write};
use std::ops::Range;

use blake3::hazmat::{
    ChainingValue, HasherExt as _, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root,
};

use super::{LineRef, MAX_SUMS, Sums};
use crate::digest::Digest;
use crate::error::{Error, Result};

/// The bytes of `B3SUMS` under one value of the tree that is stored: a power of two of BLAKE3's chunks.
pub const GROUP: u64 = 16 << 10;

/// The values of BLAKE3's tree over each 16 KiB of a `B3SUMS`, which give its BLAKE3: the dataset hash.
///
/// ```
/// use isn_format::digest::Digest;
/// use isn_format::sums::{Sums, SumsTree};
///
/// # let text = std::fs::read("../../tests/vectors/version-1/tree/B3SUMS")?;
/// let sums = Sums::parse("B3SUMS", &text)?;
/// let tree = SumsTree::of(&sums);
/// assert_eq!((tree.root(), tree.len()), (Digest::of(&text), text.len() as u64));
/// tree.check("B3SUMS", 0, &text)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SumsTree {
    length: u64,
    /// The chaining value of each group; of a single group its hash.
    groups: Vec<ChainingValue>,
}

impl SumsTree {
    /// Computes the tree of a `B3SUMS`.
    pub fn of(sums: &Sums) -> Self {
        let mut groups = TreeWriter::default();
        // Writing to memory does not fail.
        let _ = sums.write_to(&mut groups);
        groups.finish()
    }

    /// Returns the maximum stored length of the tree of a `B3SUMS` with this many images, in bytes.
    pub fn max_len(images: u64) -> u64 {
        8 + 32 * (images.saturating_add(1).saturating_mul(super::MAX_LINE) / GROUP + 1)
    }

    /// Returns the bytes to store.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.length.to_le_bytes()[..], self.groups.as_flattened()].concat()
    }

    /// Reads a tree, and checks that its root is the dataset hash.
    ///
    /// # Errors
    /// [`Error::Integrity`], naming `what`, if it is not.
    pub fn parse(what: &str, bytes: &[u8], dataset: &Digest) -> Result<Self> {
        let tree = Self::read(what, bytes)?;
        match tree.root() == *dataset {
            true => Ok(tree),
            false => Err(Error::integrity(what, "is not of the dataset hash")),
        }
    }

    /// Reads a tree, of whatever dataset hash.
    pub(crate) fn read(what: &str, bytes: &[u8]) -> Result<Self> {
        let refuse = |why: &str| Error::integrity(what, why);
        let (length, rest) = bytes.split_first_chunk().ok_or_else(|| refuse("is too short"))?;
        let (groups, rest) = rest.as_chunks();
        let tree = SumsTree { length: u64::from_le_bytes(*length), groups: groups.to_vec() };
        if !(1..=MAX_SUMS).contains(&tree.length)
            || !rest.is_empty()
            || tree.length.div_ceil(GROUP) != tree.groups.len() as u64
        {
            return Err(refuse("does not have the length that it says"));
        }
        Ok(tree)
    }

    /// Returns the BLAKE3 of the whole.
    pub fn root(&self) -> Digest {
        if let [only] = self.groups.as_slice() {
            return Digest::from_bytes(*only);
        }
        let left = left_subtree_len(self.length);
        let (left, right) = (self.value(0..left), self.value(left..self.length));
        Digest::from_bytes(*merge_subtrees_root(&left, &right, Mode::Hash).as_bytes())
    }

    /// Returns the length of `B3SUMS`, in bytes.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether there is nothing; no `B3SUMS` is empty.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Returns the value of a node of the tree over whole groups, other than the root.
    pub(super) fn value(&self, bytes: Range<u64>) -> ChainingValue {
        if bytes.end - bytes.start <= GROUP {
            return self.groups[(bytes.start / GROUP) as usize];
        }
        let middle = bytes.start + left_subtree_len(bytes.end - bytes.start);
        let (left, right) = (self.value(bytes.start..middle), self.value(middle..bytes.end));
        merge_subtrees_non_root(&left, &right, Mode::Hash)
    }

    /// Returns the groups that have some of these bytes, as a range of bytes.
    pub fn around(&self, bytes: Range<u64>) -> Range<u64> {
        let end = bytes.end.min(self.length);
        bytes.start.min(end) / GROUP * GROUP..end.div_ceil(GROUP).saturating_mul(GROUP).min(self.length)
    }

    /// Checks the text of `B3SUMS` from byte `at` on, as far as it covers whole groups. Returns which bytes
    /// those are.
    ///
    /// # Errors
    /// [`Error::Integrity`], naming `what`, if it is another text.
    pub fn check(&self, what: &str, at: u64, text: &[u8]) -> Result<Range<u64>> {
        let end = at.saturating_add(text.len() as u64);
        let refuse = |why: String| Error::integrity(what, why);
        if end > self.length {
            return Err(refuse(format!("has lines beyond the {} bytes of B3SUMS", self.length)));
        }
        let first = at.next_multiple_of(GROUP);
        let last = if end == self.length { end } else { end / GROUP * GROUP };
        let mut begin = first;
        while begin < last {
            let end = (begin + GROUP).min(last);
            let bytes = &text[(begin - at) as usize..(end - at) as usize];
            let found =
                if self.length <= GROUP { *blake3::hash(bytes).as_bytes() } else { value(begin, bytes) };
            if found != self.groups[(begin / GROUP) as usize] {
                let why = format!("does not give bytes {begin} to {end} of the B3SUMS of the dataset hash");
                return Err(refuse(why));
            }
            begin = end;
        }
        Ok(first.min(last)..last)
    }
}

/// Returns the value of the node over these bytes, which begin at `offset`.
pub(super) fn value(offset: u64, bytes: &[u8]) -> ChainingValue {
    blake3::Hasher::new().set_input_offset(offset).update(bytes).finalize_non_root()
}

/// The tree of what is written to it.
#[derive(Default)]
pub(crate) struct TreeWriter {
    hasher: blake3::Hasher,
    /// How many bytes of the current group have been hashed.
    filled: u64,
    groups: Vec<ChainingValue>,
}

impl TreeWriter {
    /// Appends a line.
    pub(crate) fn push(&mut self, line: LineRef<'_>) {
        let mut text = Vec::new();
        line.push_to(&mut text);
        // Writing to memory does not fail.
        let _ = self.write_all(&text);
    }

    pub(crate) fn finish(mut self) -> SumsTree {
        let length = self.groups.len() as u64 * GROUP + self.filled;
        self.groups.push(match self.groups.is_empty() {
            true => *self.hasher.finalize().as_bytes(),
            false => self.hasher.finalize_non_root(),
        });
        SumsTree { length, groups: self.groups }
    }
}

impl Write for TreeWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.filled == GROUP {
            self.groups.push(self.hasher.finalize_non_root());
            self.hasher = blake3::Hasher::new();
            self.hasher.set_input_offset(self.groups.len() as u64 * GROUP);
            self.filled = 0;
        }
        let taken = bytes.len().min((GROUP - self.filled) as usize);
        self.hasher.update(&bytes[..taken]);
        self.filled += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

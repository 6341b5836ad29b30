//! [`TarIndex`]: the contents of a tar file with their offsets, kept in the cache so that its headers are
//! walked only once. The format is JSON lines: a header with the file's path, length and time; for each
//! archive that was walked (the file itself, then archives in it) a line with its name and number of members,
//! and the members; and last the keyed BLAKE3 hash of all lines before. The key is the user's own, because a
//! cache may be shared, and whoever sets where an image begins chooses the image. An index that is malformed,
//! or of another file or user, is ignored.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::walk::Member;
use crate::files;
use crate::source::container::Stamp;
use isn_format::digest::Digest;
use isn_format::error::Result;

const FORMAT: &str = "isn-tar-index/2";

#[derive(PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    path: PathBuf,
    length: u64,
    modified_ns: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    archive: String,
    members: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    blake3: Digest,
}

/// Where indexes are kept, and the key that authenticates them.
#[derive(Clone)]
pub struct Indexes {
    folder: PathBuf,
    key: [u8; 32],
}

impl fmt::Debug for Indexes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Indexes").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Indexes {
    /// Keeps indexes in `folder`. Only indexes written with `key` are used.
    pub fn new(folder: impl Into<PathBuf>, key: [u8; 32]) -> Self {
        Indexes { folder: folder.into(), key }
    }

    /// Returns the path of the index of the file at `path`.
    pub(super) fn path_of(&self, path: &Path) -> PathBuf {
        self.folder.join(file_name(path))
    }

    fn sum(&self, lines: &[u8]) -> Digest {
        Digest::of_hasher(blake3::Hasher::new_keyed(&self.key).update(lines))
    }
}

/// The archives of a tar file that were walked: the file itself under the name `""`, archives in it under
/// theirs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TarIndex {
    sections: BTreeMap<String, Vec<Member>>,
}

impl TarIndex {
    pub(super) fn get(&self, archive: &str) -> Option<&[Member]> {
        self.sections.get(archive).map(Vec::as_slice)
    }

    pub(super) fn insert(&mut self, archive: &str, members: Vec<Member>) {
        self.sections.insert(archive.into(), members);
    }

    /// Returns the bytes to keep; `None` if JSON cannot represent the path or time.
    fn to_bytes(&self, indexes: &Indexes, path: &Path, stamp: Stamp) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut push = |line: Vec<u8>| {
            bytes.extend(line);
            bytes.push(b'\n');
        };
        push(serde_json::to_vec(&header(path, stamp)?).ok()?);
        for (archive, members) in &self.sections {
            let section = Section { archive: archive.clone(), members: members.len() };
            push(serde_json::to_vec(&section).ok()?);
            members.iter().try_for_each(|member| {
                push(serde_json::to_vec(member).ok()?);
                Some(())
            })?;
        }
        let end = End { blake3: indexes.sum(&bytes) };
        bytes.extend(serde_json::to_vec(&end).ok()?);
        bytes.push(b'\n');
        Some(bytes)
    }

    /// Parses the index of the file at `path`. Returns `None` if `bytes` are not such an index, or the file
    /// has another stamp.
    pub(super) fn parse(indexes: &Indexes, bytes: &[u8], path: &Path, stamp: Stamp) -> Option<Self> {
        let body = bytes.strip_suffix(b"\n")?;
        let last = body.iter().rposition(|byte| *byte == b'\n')? + 1;
        let end: End = serde_json::from_slice(&body[last..]).ok()?;
        if end.blake3 != indexes.sum(&bytes[..last]) {
            return None;
        }
        let mut lines = bytes[..last - 1].split(|byte| *byte == b'\n');
        let found: Header = serde_json::from_slice(lines.next()?).ok()?;
        if found != header(path, stamp)? {
            return None;
        }
        let mut index = TarIndex::default();
        while let Some(line) = lines.next() {
            let Section { archive, members: count } = serde_json::from_slice(line).ok()?;
            let mut members = Vec::new();
            for _ in 0..count {
                let member: Member = serde_json::from_slice(lines.next()?).ok()?;
                member.offset.checked_add(member.length).filter(|end| *end <= stamp.length)?;
                members.push(member);
            }
            index.insert(&archive, members);
        }
        Some(index)
    }

    /// Writes the index. It may be lost, since it can be made again.
    pub(super) fn keep(&self, indexes: &Indexes, path: &Path, stamp: Stamp) -> Result<()> {
        let Some(bytes) = self.to_bytes(indexes, path, stamp) else { return Ok(()) };
        // The folder must be the cache's own, not one reached through a symlink.
        files::keep(files::parent(&indexes.folder), &indexes.path_of(path), &bytes)
    }
}

fn file_name(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    format!("{}.jsonl", Digest::of(path.as_os_str().as_encoded_bytes()))
}

fn header(path: &Path, stamp: Stamp) -> Option<Header> {
    Some(Header {
        format: FORMAT.into(),
        path: std::path::absolute(path).ok()?,
        length: stamp.length,
        modified_ns: i64::try_from(stamp.modified_ns).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indexes() -> Indexes {
        Indexes::new("sources", [7; 32])
    }

    fn sample() -> (TarIndex, Stamp) {
        let mut index = TarIndex::default();
        let member = |name: &str, offset| Member { name: name.into(), offset, length: 100 };
        index.insert("", vec![member("n01440764.tar", 512), member("n01614925.tar", 4096)]);
        index.insert("n01440764.tar", vec![member("n01440764_1.JPEG", 1024)]);
        index.insert("n01614925.tar", Vec::new());
        (index, Stamp { length: 10_000, modified_ns: 1_700_000_000_123_456_789 })
    }

    #[test]
    fn it_reads_back_for_the_very_file_alone() {
        let (index, stamp) = sample();
        let bytes = index.to_bytes(&indexes(), Path::new("/data/a.tar"), stamp).unwrap();
        assert_eq!(TarIndex::parse(&indexes(), &bytes, Path::new("/data/a.tar"), stamp), Some(index));
        assert_eq!(TarIndex::parse(&indexes(), &bytes, Path::new("/data/b.tar"), stamp), None);
        for other in [Stamp { length: 10_001, ..stamp }, Stamp { modified_ns: 1, ..stamp }] {
            assert_eq!(TarIndex::parse(&indexes(), &bytes, Path::new("/data/a.tar"), other), None);
        }
        // This one was written with another key.
        let others = Indexes::new("sources", [8; 32]);
        assert_eq!(TarIndex::parse(&others, &bytes, Path::new("/data/a.tar"), stamp), None);
    }

    #[test]
    fn a_damaged_one_is_none() {
        let (index, stamp) = sample();
        let path = Path::new("/data/a.tar");
        let bytes = index.to_bytes(&indexes(), path, stamp).unwrap();
        for end in 0..bytes.len() {
            assert_eq!(TarIndex::parse(&indexes(), &bytes[..end], path, stamp), None, "cut at {end}");
        }
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 4;
            assert_eq!(TarIndex::parse(&indexes(), &flipped, path, stamp), None, "flipped at {at}");
        }
        let mut far = index;
        far.insert("x", vec![Member { name: "x".into(), offset: u64::MAX, length: 2 }]);
        assert_eq!(
            TarIndex::parse(&indexes(), &far.to_bytes(&indexes(), path, stamp).unwrap(), path, stamp),
            None
        );
    }
}

//! The registry that is compiled into the binary, so that a fresh machine can pull `demobirds` offline.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use super::{AtHand, Body, BoxFuture, Transport, Whole};
use isn_format::error::Result;

/// The files of a registry that is compiled into a program. This library has none of its own, so by default
/// there are none.
#[derive(Clone, Copy, Default)]
pub struct Bundled {
    /// The path and bytes of each file, sorted by path.
    files: &'static [(&'static str, &'static [u8])],
}

impl Bundled {
    /// A registry of the given paths and bytes, which must be sorted by path.
    pub const fn new(files: &'static [(&'static str, &'static [u8])]) -> Self {
        Bundled { files }
    }

    /// The folder `registry/` of the repository, as the command bundles it.
    #[cfg(test)]
    pub(crate) fn of_the_repository() -> Self {
        static FILES: std::sync::LazyLock<Vec<(String, Vec<u8>)>> = std::sync::LazyLock::new(|| {
            let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../registry"));
            let read = |(path, _)| {
                let bytes = std::fs::read(folder.join(&path)).unwrap();
                (path, bytes)
            };
            let mut files: Vec<_> = crate::files::walk(folder).unwrap().into_iter().map(read).collect();
            files.sort();
            files
        });
        Bundled::new(
            FILES.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect::<Vec<_>>().leak(),
        )
    }

    /// Returns the paths of the files, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &'static str> {
        self.files.iter().map(|(path, _)| *path)
    }

    /// Returns the bytes of a file.
    pub fn file(&self, path: &str) -> Option<&'static [u8]> {
        let at = self.files.binary_search_by(|(name, _)| (*name).cmp(path)).ok()?;
        Some(self.files[at].1)
    }
}

impl fmt::Debug for Bundled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bundled({} files)", self.files.len())
    }
}

impl Transport for Bundled {
    fn locate(&self, path: &str) -> String {
        format!("bundled registry: {path}")
    }

    fn at_hand(&self, path: &str) -> Option<AtHand> {
        self.file(path).map(AtHand::Memory)
    }

    fn open<'a>(&'a self, path: &'a str, range: Option<Range<u64>>) -> BoxFuture<'a, Result<Option<Body>>> {
        Box::pin(async move {
            let Some(bytes) = self.file(path) else { return Ok(None) };
            let length = bytes.len() as u64;
            let range = range.map_or(0..length, |range| range.start.min(length)..range.end.min(length));
            let part = &bytes[range.start as usize..range.end.max(range.start) as usize];
            Ok(Some(Whole::body(range.start, Bytes::from_static(part))))
        })
    }
}

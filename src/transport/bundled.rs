//! The registry that is compiled into the binary, so that a fresh machine can pull `demobirds` offline.

use std::ops::Range;

use bytes::Bytes;

use super::{AtHand, Body, BoxFuture, Transport, Whole};
use crate::error::Result;

mod files {
    // `FILES: &[(&str, &[u8])]`, every file of `registry/` sorted by path: written by build.rs.
    include!(concat!(env!("OUT_DIR"), "/bundled.rs"));
}

/// The compiled-in files.
#[derive(Debug, Default)]
pub struct Bundled;

impl Bundled {
    /// The bytes of a file.
    pub fn file(path: &str) -> Option<&'static [u8]> {
        let at = files::FILES.binary_search_by(|(name, _)| (*name).cmp(path)).ok()?;
        Some(files::FILES[at].1)
    }
}

impl Transport for Bundled {
    fn locate(&self, path: &str) -> String {
        format!("bundled registry: {path}")
    }

    fn at_hand(&self, path: &str) -> Option<AtHand> {
        Self::file(path).map(AtHand::Memory)
    }

    fn open<'a>(&'a self, path: &'a str, range: Option<Range<u64>>) -> BoxFuture<'a, Result<Option<Body>>> {
        Box::pin(async move {
            let Some(bytes) = Self::file(path) else { return Ok(None) };
            let length = bytes.len() as u64;
            let range = range.map_or(0..length, |range| range.start.min(length)..range.end.min(length));
            let part = &bytes[range.start as usize..range.end.max(range.start) as usize];
            Ok(Some(Whole::body(range.start, Bytes::from_static(part))))
        })
    }
}

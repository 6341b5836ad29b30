//! A registry in a local folder.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Take};
use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};

use super::{AtHand, Body, BoxFuture, Chunks, Transport, trace};
use crate::files;
use isn_format::error::{Error, NetworkKind, Result};

/// How many bytes to read at a time: several images, and little compared with the memory of a pull.
const CHUNK: usize = 256 << 10;

/// A registry in a folder.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// The registry in the folder `root`.
    pub fn new(root: &Path) -> Self {
        Folder { root: root.to_path_buf() }
    }
}

struct FileChunks {
    file: Take<File>,
    path: PathBuf,
    traced: trace::Request,
}

impl Chunks for FileChunks {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>>> {
        Box::pin(async move {
            let mut chunk = BytesMut::zeroed(CHUNK);
            let read = self.file.read(&mut chunk).map_err(Error::io("read", &self.path));
            let read = read.map_err(|e| unreadable(&self.path, e))?;
            chunk.truncate(read);
            self.traced.moved(read as u64);
            Ok((read > 0).then(|| chunk.freeze()))
        })
    }
}

impl Transport for Folder {
    fn locate(&self, path: &str) -> String {
        self.root.join(path).display().to_string()
    }

    fn at_hand(&self, path: &str) -> Option<AtHand> {
        Some(self.root.join(path)).filter(|path| files::open(path).is_ok()).map(AtHand::File)
    }

    fn open<'a>(&'a self, path: &'a str, range: Option<Range<u64>>) -> BoxFuture<'a, Result<Option<Body>>> {
        Box::pin(async move {
            let traced = trace::Request::new("READ", &self.locate(path));
            let path = self.root.join(path);
            let refuse = |e| unreadable(&path, e);
            let Some(mut file) = files::if_there(files::open(&path)).map_err(refuse)? else {
                return Ok(None);
            };
            let Range { start, end } = range.unwrap_or(0..u64::MAX);
            file.seek(SeekFrom::Start(start)).map_err(Error::io("read", &path)).map_err(refuse)?;
            let file = file.take(end.saturating_sub(start));
            let chunks = Box::new(FileChunks { file, path, traced });
            Ok(Some(Body { offset: start, ignores_range: false, chunks }))
        })
    }
}

/// A registry in a folder that is gone or cannot be read.
#[derive(Debug)]
pub struct Gone(Folder);

impl Gone {
    /// The registry that was in the folder `root`.
    pub fn new(root: &Path) -> Self {
        Gone(Folder::new(root))
    }
}

impl Transport for Gone {
    fn locate(&self, path: &str) -> String {
        self.0.locate(path)
    }

    fn open<'a>(&'a self, path: &'a str, _: Option<Range<u64>>) -> BoxFuture<'a, Result<Option<Body>>> {
        let why = format!("is not in the cache, and there is no folder {}", self.0.root.display());
        let gone = Error::network(NetworkKind::Gone, self.locate(path), why);
        Box::pin(async move { Err(gone) })
    }
}

/// A file that is there and cannot be read is no answer, as of a server that has a fault: another place may
/// have it.
pub fn unreadable(path: &Path, error: Error) -> Error {
    let (url, kind) = (path.display().to_string(), NetworkKind::Unreadable);
    match error {
        // No other location would help with that.
        Error::Io { ref source, .. } if files::is_out_of_files(source) => error,
        Error::Io { ref source, .. } if source.kind() == ErrorKind::IsADirectory => {
            Error::network(NetworkKind::NoFile, url, "is a folder, where a file must be")
        }
        Error::Io { source, .. } => {
            let source = Some(Box::from(source));
            Error::Network { url, why: "cannot be read".into(), kind, source }
        }
        Error::Invalid { why, .. } => Error::network(NetworkKind::NoFile, url, why),
        error => error,
    }
}

//! [`Transport`]: reads the files of a registry, wherever they are: in a [`folder`], over [`http`], in a
//! bucket (feature `cloud`), or [`bundled`] in the binary. A transport moves bytes without interpreting them;
//! nothing that it returns is trusted.

pub mod access;
pub(crate) mod ahead;
#[cfg(feature = "cloud")]
pub mod bucket;
pub mod bundled;
mod failure;
pub mod folder;
pub mod http;
pub(crate) mod pace;
pub mod probe;
mod response;
pub(crate) mod trace;
pub mod upload;

use std::future::Future;
use std::ops::Range;
use std::path::PathBuf;
use std::pin::Pin;

use bytes::{Buf, Bytes};

use isn_format::error::{Error, NetworkKind, Result};

pub use access::Access;
use pace::Patience;

/// The return type of an async trait method.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Reads files by their `/`-separated paths in a registry.
pub trait Transport: Send + Sync {
    /// The location of the file `path`, for messages.
    fn locate(&self, path: &str) -> String;

    /// Opens a file, from `range.start` on if a range is given; returns `None` if there is no such file. A
    /// transport may ignore the range: [`Body::offset`] says where the bytes begin, and
    /// [`Body::ignores_range`] that they are the whole file.
    ///
    /// # Errors
    /// [`Error::Network`] if the file cannot be reached or read.
    fn open<'a>(&'a self, path: &'a str, range: Option<Range<u64>>) -> BoxFuture<'a, Result<Option<Body>>>;

    /// What is known so far of how ranges are answered.
    fn ranges(&self) -> Ranges {
        Ranges::Sent
    }

    /// Returns where a file can be read in place, if it can.
    fn at_hand(&self, path: &str) -> Option<AtHand> {
        let _ = path;
        None
    }
}

/// How a transport answers a request for a range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ranges {
    /// Nothing that it sent so far has shown it.
    #[default]
    Unknown,
    /// With the range, as far as is known.
    Sent,
    /// With the whole file. Ranges are not asked for any more.
    Ignored,
}

/// A file that is on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AtHand {
    /// In a file of its own.
    File(PathBuf),
    /// In the binary.
    Memory(&'static [u8]),
}

/// The bytes of a file, as they arrive.
pub struct Body {
    /// The offset of the first byte in the file.
    pub offset: u64,
    /// Whether these are all bytes of the file, although a range was wanted.
    pub ignores_range: bool,
    /// The bytes.
    pub chunks: Box<dyn Chunks>,
}

/// A stream of bytes.
pub trait Chunks: Send {
    /// Returns the next bytes; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Network`] if the connection breaks or is too slow.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>>>;
}

/// Bytes that are in memory already.
pub(crate) struct Whole(Option<Bytes>);

impl Whole {
    pub(crate) fn body(offset: u64, bytes: Bytes) -> Body {
        Body { offset, ignores_range: false, chunks: Box::new(Whole(Some(bytes))) }
    }
}

impl Chunks for Whole {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>>> {
        let bytes = self.0.take();
        Box::pin(async move { Ok(bytes) })
    }
}

/// How many times in a row a transfer may break without progress before it fails; each time it resumes.
const ATTEMPTS: u32 = 4;

/// Reads a whole file of at most `cap` bytes; returns `None` if there is none.
///
/// # Errors
/// As `read_from`.
pub async fn read(transport: &dyn Transport, path: &str, cap: u64) -> Result<Option<Vec<u8>>> {
    read_from(transport, path, 0, cap).await
}

/// Reads a file of at most `cap` bytes from byte `offset` on; returns `None` if there is none. Resumes when a
/// connection breaks.
///
/// # Errors
/// [`Error::Network`] if the file cannot be reached or read; [`Error::Integrity`] if it is longer.
pub(crate) async fn read_from(
    transport: &dyn Transport,
    path: &str,
    offset: u64,
    cap: u64,
) -> Result<Option<Vec<u8>>> {
    let (mut bytes, mut patience) = (Vec::new(), Patience::new(ATTEMPTS));
    loop {
        let before = bytes.len();
        let from = offset + before as u64;
        // One byte more than allowed, so that a file that is too long is noticed.
        let range = (from > 0).then(|| from..cap.saturating_add(1).max(from + 1));
        let Some(body) = transport.open(path, range).await? else { return Ok(None) };
        match read_body(transport, path, body, from, cap, &mut bytes).await {
            Err(Error::Network { .. }) if patience.after((bytes.len() - before) as u64) => {}
            ended => return ended.map(|()| Some(bytes)),
        }
    }
}

/// Reads a range of a file, or as much of it as there is; returns `None` if there is no file. Resumes when a
/// connection breaks.
///
/// # Errors
/// [`Error::Network`] if the file cannot be reached or read.
pub(crate) async fn read_range(
    transport: &dyn Transport,
    path: &str,
    range: Range<u64>,
) -> Result<Option<Vec<u8>>> {
    let (mut bytes, mut patience) = (Vec::new(), Patience::new(ATTEMPTS));
    loop {
        let before = bytes.len();
        let left = range.start + before as u64..range.end;
        let Some(body) = transport.open(path, Some(left.clone())).await? else { return Ok(None) };
        match read_some(transport, path, body, left, &mut bytes).await {
            Err(Error::Network { .. }) if patience.after((bytes.len() - before) as u64) => {}
            ended => return ended.map(|()| Some(bytes)),
        }
    }
}

/// Appends the bytes of `body` that are in `range`, and reads no further.
async fn read_some(
    transport: &dyn Transport,
    path: &str,
    mut body: Body,
    range: Range<u64>,
    bytes: &mut Vec<u8>,
) -> Result<()> {
    let mut at = body.offset;
    if at > range.start {
        let why = format!("sent bytes from {at}, asked from {}", range.start);
        return Err(Error::network(NetworkKind::Broken, transport.locate(path), why));
    }
    while at < range.end {
        let Some(chunk) = body.chunks.next().await? else { break };
        let end = at + chunk.len() as u64;
        let (from, to) = (range.start.clamp(at, end), range.end.clamp(at, end));
        bytes.extend_from_slice(&chunk[(from - at) as usize..(to - at) as usize]);
        at = end;
    }
    Ok(())
}

/// Appends the bytes of `body` from offset `from` on. A transport may ignore a range; the bytes before it are
/// skipped.
async fn read_body(
    transport: &dyn Transport,
    path: &str,
    mut body: Body,
    from: u64,
    cap: u64,
    bytes: &mut Vec<u8>,
) -> Result<()> {
    let mut skip = from.checked_sub(body.offset).ok_or_else(|| {
        Error::network(
            NetworkKind::Broken,
            transport.locate(path),
            format!("sent bytes from {}, asked from {from}", body.offset),
        )
    })?;
    let most = cap.saturating_sub(from).saturating_add(bytes.len() as u64);
    while let Some(mut chunk) = body.chunks.next().await? {
        let passed = skip.min(chunk.len() as u64);
        skip -= passed;
        chunk.advance(passed as usize);
        if bytes.len() as u64 + chunk.len() as u64 > most {
            return Err(Error::integrity(transport.locate(path), format!("is longer than {cap} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(())
}

/// Whether a location is a bucket.
pub(crate) fn is_bucket(location: &str) -> bool {
    ["s3://", "gs://", "az://"].iter().any(|scheme| location.starts_with(scheme))
}

/// Returns the error for a bucket in a build without the feature `cloud`.
#[cfg(not(feature = "cloud"))]
pub(crate) fn no_buckets(location: &str) -> Error {
    let why = "is a bucket, which this isn was built without: build it with `cargo build --release \
               --features cloud`";
    Error::invalid(format!("registry {location}"), why)
}

/// Returns a runtime for transports. One thread is enough, since decoding and writing have threads of their
/// own.
///
/// # Errors
/// [`Error::Io`] if the system has no file descriptors left for it.
pub fn runtime() -> Result<tokio::runtime::Runtime> {
    // The runtime would panic if it could not open its file descriptors, so this tests whether there are
    // enough.
    #[cfg(unix)]
    let spare = (0..4).map(|_| std::os::unix::net::UnixStream::pair()).collect::<std::io::Result<Vec<_>>>();
    #[cfg(unix)]
    drop(spare.map_err(Error::io("prepare", "the network"))?);
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().map_err(Error::io("prepare", "the network"))
}

//! [`Transport`]: how the files of a registry are read, wherever they are: [`folder`], [`http`], a bucket (feature
//! `cloud`), or [`bundled`] in the binary. It moves bytes and knows nothing of what they mean; nothing that it returns is trusted.

pub mod access;
#[cfg(feature = "cloud")]
pub mod bucket;
pub mod bundled;
mod failure;
pub mod folder;
pub mod http;
pub(crate) mod pace;
pub mod probe;
mod response;
pub mod upload;

use std::future::Future;
use std::ops::Range;
use std::path::PathBuf;
use std::pin::Pin;

use bytes::{Buf, Bytes};

use isn_format::error::{Error, NetworkKind, Result};

pub use access::Access;
use pace::Patience;

/// What an async trait method returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Reads files by their `/`-separated path in a registry.
pub trait Transport: Send + Sync {
    /// For messages: where `path` is.
    fn locate(&self, path: &str) -> String;

    /// Opens a file, from `range.start` on if a range is given; `None` if there is no such file. A transport may
    /// ignore the range: [`Body::offset`] says where the bytes begin.
    fn open<'a>(&'a self, path: &'a str, range: Option<Range<u64>>) -> BoxFuture<'a, Result<Option<Body>>>;

    /// Where a file can be read in place, if it can.
    fn at_hand(&self, path: &str) -> Option<AtHand> {
        let _ = path;
        None
    }
}

/// A file that is on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AtHand {
    /// In a file of its own.
    File(PathBuf),
    /// In the binary.
    Memory(&'static [u8]),
}

/// The bytes of a file as they arrive.
pub struct Body {
    /// Where in the file the first byte stands.
    pub offset: u64,
    /// The bytes.
    pub chunks: Box<dyn Chunks>,
}

/// A stream of bytes.
pub trait Chunks: Send {
    /// The next bytes, `None` at the end.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>>>;
}

/// Bytes that are at hand.
pub(crate) struct Whole(Option<Bytes>);

impl Whole {
    pub(crate) fn body(offset: u64, bytes: Bytes) -> Body {
        Body { offset, chunks: Box::new(Whole(Some(bytes))) }
    }
}

impl Chunks for Whole {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>>> {
        let bytes = self.0.take();
        Box::pin(async move { Ok(bytes) })
    }
}

/// How often a file is read on from where its bytes stopped coming, without getting on in between.
const ATTEMPTS: u32 = 4;

/// Reads a whole file of at most `cap` bytes; `None` if there is none.
pub async fn read(transport: &dyn Transport, path: &str, cap: u64) -> Result<Option<Vec<u8>>> {
    read_from(transport, path, 0, cap).await
}

/// Reads a file of at most `cap` bytes from byte `offset` on; `None` if there is none. A connection that breaks off does
/// not cost what came before.
pub async fn read_from(
    transport: &dyn Transport,
    path: &str,
    offset: u64,
    cap: u64,
) -> Result<Option<Vec<u8>>> {
    let (mut bytes, mut patience) = (Vec::new(), Patience::new(ATTEMPTS));
    loop {
        let before = bytes.len();
        let from = offset + before as u64;
        // One byte more than may be there, so that what is too long is seen to be.
        let range = (from > 0).then(|| from..cap.saturating_add(1).max(from + 1));
        let Some(body) = transport.open(path, range).await? else { return Ok(None) };
        match read_body(transport, path, body, from, cap, &mut bytes).await {
            Err(Error::Network { .. }) if patience.after((bytes.len() - before) as u64) => {}
            ended => return ended.map(|()| Some(bytes)),
        }
    }
}

/// Adds the bytes of `body` from `from` on; a transport may ignore a range, and what stands before is passed over.
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

/// Whether a location is a bucket's.
pub fn is_bucket(location: &str) -> bool {
    ["s3://", "gs://", "az://"].iter().any(|scheme| location.starts_with(scheme))
}

/// Why a bucket cannot be reached by this isn.
#[cfg(not(feature = "cloud"))]
pub fn no_buckets(location: &str) -> Error {
    let why = "is a bucket, which this isn was built without: build it with `cargo build --release --features cloud`";
    Error::invalid(format!("registry {location}"), why)
}

/// What drives transports: one thread, since the work beside the network is done by threads of its own.
pub fn runtime() -> Result<tokio::runtime::Runtime> {
    // It panics where it cannot open all that it needs.
    #[cfg(unix)]
    let spare = (0..4).map(|_| std::os::unix::net::UnixStream::pair()).collect::<std::io::Result<Vec<_>>>();
    #[cfg(unix)]
    drop(spare.map_err(Error::io("prepare", "the network"))?);
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().map_err(Error::io("prepare", "the network"))
}

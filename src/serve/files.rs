//! Serves the registry's files: by their only spelling, never from outside the folder, with ETags that
//! identify their bytes.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hyper::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderValue,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{HeaderMap, Method, StatusCode};

use super::body::FileBody;
use super::conditions::{Part, is_known, part};
use super::direct::Lane;
use super::limits::Share;
use super::{busy, text};
use isn_format::digest::Digest;
use isn_format::error::{Error, Result};
use isn_registry::registry::layout::{self, Public};

/// A file of at most this length, in bytes, is read at once, and its ETag is its hash.
const SMALL: u64 = 64 << 10;

/// The folder to serve.
#[derive(Debug)]
pub(super) struct Files {
    /// The path with all symlinks resolved.
    root: PathBuf,
}

/// A file as it was when it was opened.
struct Found {
    etag: String,
    length: u64,
    content: Content,
}

enum Content {
    Small(Bytes),
    Large(File),
}

impl Files {
    pub(super) fn new(root: &Path) -> Result<Self> {
        let root = root.canonicalize().map_err(Error::io("open", root))?;
        Ok(Files { root })
    }

    /// Answers a request for `path`, which begins with `/`, within the `share` of its client. Large files go
    /// over the `lane`, if there is one.
    pub(super) async fn answer(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        share: &Share,
        lane: Option<Arc<Lane>>,
    ) -> Response {
        let path = path.strip_prefix('/').unwrap_or(path);
        let Some(public) = layout::public(path) else { return text(StatusCode::NOT_FOUND, "not found") };
        if method != Method::GET && method != Method::HEAD {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "files are read with GET and HEAD");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        let Some(permit) = share.file() else { return busy() };
        let (root, file) = (self.root.clone(), self.root.join(path));
        let found = tokio::task::spawn_blocking(move || find(&root, &file, public)).await;
        let found = match found.map_err(io::Error::other).flatten() {
            Ok(Some(found)) => found,
            Ok(None) => return text(StatusCode::NOT_FOUND, "not found"),
            Err(_) => return text(StatusCode::INTERNAL_SERVER_ERROR, "the file cannot be read"),
        };
        let mut response = Response::new(Body::empty());
        let out = response.headers_mut();
        let cache = match public {
            Public::Object(_) | Public::FullTile => "public, max-age=31536000, immutable",
            Public::Other => "no-cache",
        };
        out.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
        out.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        out.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Ok(etag) = HeaderValue::from_str(&found.etag) {
            out.insert(ETAG, etag);
        }
        if is_known(headers, &found.etag) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        out.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(path)));
        let length = found.length;
        // Only GET has ranges.
        let part = if method == Method::GET { part(headers, &found.etag, length) } else { Part::Whole };
        let (status, range) = match part {
            Part::Whole => (StatusCode::OK, 0..length),
            Part::Bytes(range) => {
                let said = format!("bytes {}-{}/{length}", range.start, range.end - 1);
                out.extend(HeaderValue::try_from(said).map(|said| (CONTENT_RANGE, said)));
                (StatusCode::PARTIAL_CONTENT, range)
            }
            Part::Unsatisfiable => {
                let said = HeaderValue::try_from(format!("bytes */{length}"));
                let mut response =
                    text(StatusCode::RANGE_NOT_SATISFIABLE, "the range begins after the end of the file");
                response.headers_mut().extend(said.map(|said| (CONTENT_RANGE, said)));
                return response;
            }
        };
        out.insert(CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
        *response.status_mut() = status;
        if method == Method::GET {
            *response.body_mut() = match found.content {
                Content::Small(bytes) => Body::from(bytes.slice(range.start as usize..range.end as usize)),
                Content::Large(file) => Body::new(FileBody::new(file, range, lane, Some(permit))),
            };
        }
        response
    }
}

/// Opens a file below `root`; returns `None` if there is none, or if a symlink leads to a file that is not
/// public. Anything else in its place is an error, since a reader would take `None` for an answer.
fn find(root: &Path, path: &Path, public: Public) -> io::Result<Option<Found>> {
    let Some(path) = public_place(root, path)? else { return Ok(None) };
    // Checked before opening, since opening a pipe would wait for a writer.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("is not a file"));
    }
    let mut file = File::open(&path)?;
    let about = file.metadata()?;
    if about.len() <= SMALL {
        let mut bytes = Vec::new();
        (&mut file).take(SMALL + 1).read_to_end(&mut bytes)?;
        // If the file has grown since, it is treated as a large one.
        if bytes.len() as u64 <= SMALL {
            let etag = match public {
                Public::Object(digest) => format!("\"{digest}\""),
                _ => format!("\"{}\"", Digest::of(&bytes)),
            };
            return Ok(Some(Found {
                etag,
                length: bytes.len() as u64,
                content: Content::Small(bytes.into()),
            }));
        }
    }
    let about = file.metadata()?;
    let etag = match public {
        Public::Object(digest) => format!("\"{digest}\""),
        _ => {
            let modified = about.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            format!("\"{:x}-{:x}\"", about.len(), modified.as_nanos())
        }
    };
    Ok(Some(Found { etag, length: about.len(), content: Content::Large(file) }))
}

/// Returns where a file below `root`, which is canonical, really is; `None` if there is none, or if it is in
/// no public place of the registry.
///
/// # Errors
/// Fails if it cannot be looked at, or if a symlink leads nowhere: were its disk mounted, the file might be
/// there.
pub(super) fn public_place(root: &Path, path: &Path) -> io::Result<Option<PathBuf>> {
    let is_public = |path: &Path| path.to_str().and_then(layout::public).is_some();
    match path.canonicalize() {
        Ok(path) => Ok(path.strip_prefix(root).is_ok_and(is_public).then_some(path)),
        Err(e) if leads_nowhere(&e) && !is_by_link(root, path) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Whether the way from `root` to `path` ends at a symlink.
fn is_by_link(root: &Path, path: &Path) -> bool {
    let mut way = path.ancestors().take_while(|place| *place != root);
    way.find_map(|place| place.symlink_metadata().ok()).is_some_and(|about| about.is_symlink())
}

/// Whether the error means that there is no such file, rather than one that cannot be read.
fn leads_nowhere(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | InvalidFilename)
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "json" => "application/json",
        "zst" => "application/zstd",
        "csv" => "text/csv; charset=utf-8",
        "toml" => "application/toml",
        "md" => "text/markdown; charset=utf-8",
        _ if path.starts_with("log/tile/") => "application/octet-stream",
        _ if path.starts_with("attestations/") && !path.ends_with("/checkpoint") => {
            "application/octet-stream"
        }
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types() {
        for (path, expected) in [
            ("registry.json", "application/json"),
            ("objects/ab/ab.tar.zst", "application/zstd"),
            ("objects/ab/ab.jsonl.zst", "application/zstd"),
            ("releases/birds/1.0", "text/plain; charset=utf-8"),
            ("releases/birds/versions", "text/plain; charset=utf-8"),
            ("log/tile/0/000", "application/octet-stream"),
            ("log/tile/entries/000.p/7", "application/octet-stream"),
            ("log/checkpoint", "text/plain; charset=utf-8"),
            ("attestations/tile/entries/000.p/7", "application/octet-stream"),
            ("attestations/versions/birds/1.0", "application/octet-stream"),
            ("attestations/checkpoint", "text/plain; charset=utf-8"),
        ] {
            assert_eq!(content_type(path), expected, "{path}");
        }
    }
}

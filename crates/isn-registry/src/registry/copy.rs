//! What a mirror needs of a registry beyond what a reader needs: objects as streams, and files byte for byte.

use std::io::Write;

use bytes::Buf;

use super::locations::Location;
use super::{MAX_HINT, Registry, layout};
use crate::transport::pace::Patience;
use isn_format::digest::Digest;
use isn_format::error::{Error, Result};
use isn_format::log::{TILE_WIDTH, bundle};
use isn_format::object::{ObjectKind, ObjectRef};

/// How many times in a row a transfer may break without progress before it fails; each time it resumes.
const ATTEMPTS: u32 = 4;

impl Registry {
    /// Writes an object to `to`, and checks its hash at the end. After an error, discard what was written.
    ///
    /// # Errors
    /// [`Error::Integrity`] if the object is missing or damaged; [`Error::Network`] if it cannot be read;
    /// also fails if a write fails.
    pub(crate) async fn copy_object(
        &self,
        kind: ObjectKind,
        object: &ObjectRef,
        to: &mut (dyn Write + Send),
    ) -> Result<()> {
        match self.copy_from(&self.own, kind, object, to).await? {
            true => Ok(()),
            false => Err(self.missing_object(kind, &object.blake3)),
        }
    }

    /// As [`Registry::copy_object`], from one location; returns `false` if the object is not there.
    pub(super) async fn copy_from(
        &self,
        location: &Location,
        kind: ObjectKind,
        object: &ObjectRef,
        to: &mut (dyn Write + Send),
    ) -> Result<bool> {
        let path = layout::object(kind, &object.blake3);
        let what = || format!("{} {}", kind.noun(), location.transport.locate(&path));
        let (mut hasher, mut length) = (blake3::Hasher::new(), 0);
        let mut patience = Patience::new(ATTEMPTS);
        'open: while length < object.length || length == 0 {
            let range = (length > 0).then_some(length..object.length);
            let Some(body) = location.transport.open(&path, range).await? else {
                return Ok(false);
            };
            let (mut chunks, before) = (body.chunks, length);
            // A transport may ignore the range; the bytes before it are skipped.
            let mut skip = length.saturating_sub(body.offset);
            loop {
                let mut chunk = match chunks.next().await {
                    Ok(Some(chunk)) => chunk,
                    Ok(None) => break,
                    Err(Error::Network { .. }) if patience.after(length - before) => continue 'open,
                    Err(e) => return Err(e),
                };
                let passed = skip.min(chunk.len() as u64);
                skip -= passed;
                chunk.advance(passed as usize);
                length += chunk.len() as u64;
                if length > object.length {
                    return Err(Error::integrity(what(), format!("is longer than {} bytes", object.length)));
                }
                hasher.update(&chunk);
                to.write_all(&chunk).map_err(Error::io("write", "a temporary file"))?;
            }
            if length < object.length || object.length == 0 {
                break;
            }
        }
        self.count(length as usize);
        let found = ObjectRef { blake3: Digest::of_hasher(&hasher), length };
        if found == *object {
            return Ok(true);
        }
        let why = format!(
            "is damaged: {} bytes long and of BLAKE3 {}, expected {} of {}",
            found.length, found.blake3, object.length, object.blake3
        );
        Err(Error::integrity(what(), why))
    }

    /// Reads a small file, byte for byte; returns `None` if there is none.
    ///
    /// # Errors
    /// Fails if it cannot be read or is too long.
    pub async fn file(&self, path: &str) -> Result<Option<Vec<u8>>> {
        self.read(path, MAX_HINT).await
    }

    /// Returns the bundle of exactly `width` entries, even if the registry has a longer one by now.
    ///
    /// # Errors
    /// [`Error::Trust`] if the bundle is missing or damaged; also fails if it cannot be read.
    pub(crate) async fn exact_bundle(&self, log: layout::Log, index: u64, width: u64) -> Result<Vec<u8>> {
        let bytes = self.bundle(log, index, width, 0).await.map_err(super::log::left_out)?;
        let what = || self.place(&log.entries(index, width));
        let entries = bundle::read(&bytes, width.min(TILE_WIDTH))
            .map_err(|why| Error::trust(what(), format!("is damaged: it {why}")))?;
        entries.iter().try_fold(Vec::new(), |mut all, entry| {
            bundle::push(&mut all, entry)?;
            Ok(all)
        })
    }
}

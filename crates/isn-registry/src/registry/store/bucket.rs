//! A registry in a bucket.
//!
//! There is no lock. Two writers are kept apart because the store creates a file only if there is none
//! (`If-None-Match`), and replaces one only while it is still the one that was read (`If-Match`). A store
//! that cannot do so is refused.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::stream::FuturesUnordered;
use object_store::{Error as Failure, GetOptions, ObjectStoreExt, PutMode, PutPayload, UpdateVersion};

use super::{Change, Store};
use crate::files;
use crate::registry::{Registry, layout};
use crate::transport::bucket::{Bucket, location};
use crate::transport::{self, Transport};
use isn_format::digest::Digest;
use isn_format::error::{Error, NetworkKind, Result};
use isn_format::object::ObjectRef;

/// The prefix of the name of the file that is written to test the store.
const PROBE: &str = ".isn-probe-";
/// The prefix of names that isn uses beside those of a registry.
const HIDDEN: &str = ".isn-";
/// The length of a part of a large object, in bytes: S3 requires at least 5 MiB and at most 10,000 parts.
const PART: usize = 8 << 20;
/// The maximum number of parts under way at once.
const PARTS: usize = 4;
/// How many times to retry a change to a file that others change at the same time.
const ATTEMPTS: u32 = 60;
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A bucket, or what is below a prefix in one.
pub struct BucketStore {
    bucket: Bucket,
    runtime: tokio::runtime::Runtime,
    is_probed: OnceLock<()>,
}

impl BucketStore {
    /// A store over the bucket, not tested yet.
    ///
    /// # Errors
    /// Fails if no runtime can be started.
    pub fn new(bucket: Bucket) -> Result<Self> {
        Ok(BucketStore { bucket, runtime: transport::runtime()?, is_probed: OnceLock::new() })
    }

    fn write(&self, path: &str, bytes: Bytes, mode: PutMode) -> Result<Result<UpdateVersion, Failure>> {
        let (store, at) = (self.bucket.store()?, location(path)?);
        let put = store.put_opts(&at, PutPayload::from_bytes(bytes), mode.into());
        Ok(self.runtime.block_on(put).map(UpdateVersion::from))
    }

    fn get(&self, path: &str) -> Result<Option<(Vec<u8>, UpdateVersion)>> {
        let (store, at) = (self.bucket.store()?, location(path)?);
        self.runtime.block_on(async {
            let found = match store.get_opts(&at, GetOptions::new()).await {
                Ok(found) => found,
                Err(Failure::NotFound { .. }) => return Ok(None),
                Err(e) => return Err(self.bucket.failed(path, &e)),
            };
            let most = layout::max_len(path);
            if found.meta.size > most {
                let why = format!("is longer than {most} bytes");
                return Err(Error::integrity(self.bucket.locate(path), why));
            }
            let version =
                UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
            let bytes = found.bytes().await.map_err(|e| self.bucket.failed(path, &e))?;
            Ok(Some((bytes.into(), version)))
        })
    }

    fn pause(attempt: u32) {
        // Writers that were in each other's way must not all return at the same time.
        let pause = FIRST_PAUSE.saturating_mul(1 << attempt.min(10)).min(LONGEST_PAUSE);
        std::thread::sleep(pause.mul_f64(0.5 + fastrand::f64()));
    }

    /// Tests the conditional writes that keep writers apart, and leaves nothing behind.
    fn probe(&self) -> Result<()> {
        let path = format!("{PROBE}{:016x}", fastrand::u64(..));
        let tried = self.try_conditions(&path);
        self.remove(&path)?;
        tried
    }

    fn try_conditions(&self, path: &str) -> Result<()> {
        let refuse = |what: &str| {
            let why = format!(
                "cannot be written to: its store {what}, so two publishers at once could overwrite each \
                 other. Publish to a folder and copy that with the store's own tools, log/checkpoint last; \
                 or use a store with conditional writes: S3 itself, R2, Google, Azure"
            );
            Err(Error::invalid(format!("registry {}", self.bucket.url()), why))
        };
        let failed = |e: Failure| self.bucket.failed(path, &e);
        let unknown =
            |e: &Failure| matches!(e, Failure::NotImplemented { .. } | Failure::NotSupported { .. });
        let first = match self.write(path, "1".into(), PutMode::Create)? {
            Ok(version) => version,
            Err(e) if unknown(&e) => return refuse("does not support conditional creates"),
            Err(e) => return Err(failed(e)),
        };
        match self.write(path, "2".into(), PutMode::Create)? {
            Ok(_) => return refuse("ignores If-None-Match, which creates a file only if there is none"),
            Err(Failure::AlreadyExists { .. } | Failure::Precondition { .. }) => {}
            Err(e) if unknown(&e) => return refuse("does not support conditional creates"),
            Err(e) => return Err(failed(e)),
        }
        match self.write(path, "3".into(), PutMode::Update(first.clone()))? {
            Ok(_) => {}
            Err(e) if unknown(&e) => return refuse("does not support conditional updates"),
            Err(e) => return Err(failed(e)),
        }
        match self.write(path, "4".into(), PutMode::Update(first))? {
            Ok(_) => refuse("ignores If-Match, which replaces a file only while it is the one that was read"),
            Err(e) if is_in_the_way(&e) => Ok(()),
            Err(e) if unknown(&e) => refuse("does not support conditional updates"),
            Err(e) => Err(failed(e)),
        }
    }

    /// Sends a large object in parts. It appears when all of them are there, and only if its hash is right.
    async fn put_parts(&self, path: &str, mut file: File, from: &Path, object: &ObjectRef) -> Result<()> {
        let failed = |e: Failure| self.bucket.failed(path, &e);
        let mut upload = self.bucket.store()?.put_multipart(&location(path)?).await.map_err(failed)?;
        let sent = async {
            let (mut hasher, mut length) = (blake3::Hasher::new(), 0);
            let mut sending = FuturesUnordered::new();
            loop {
                let part = read_part(&mut file, from)?;
                if part.is_empty() {
                    break;
                }
                hasher.update(&part);
                length += part.len() as u64;
                sending.push(upload.put_part(PutPayload::from_bytes(part)));
                if sending.len() == PARTS {
                    sending.try_next().await.map_err(failed)?;
                }
            }
            while sending.try_next().await.map_err(failed)?.is_some() {}
            check(from, object, &ObjectRef { blake3: Digest::of_hasher(&hasher), length })
        };
        match sent.await {
            Ok(()) => upload.complete().await.map(drop).map_err(failed),
            Err(e) => {
                // What cannot be aborted now, the store removes if its owner has set a rule for incomplete
                // uploads.
                let _ = upload.abort().await;
                Err(e)
            }
        }
    }
}

impl Store for BucketStore {
    fn name(&self) -> &str {
        self.bucket.url()
    }

    fn locate(&self, path: &str) -> String {
        self.bucket.locate(path)
    }

    fn registry(&self) -> Result<Registry> {
        Ok(Registry::over(self.bucket.url().into(), Box::new(self.bucket.clone())))
    }

    fn is_free(&self) -> Result<bool> {
        let store = self.bucket.store()?;
        let there = self.runtime.block_on(store.list_with_delimiter(None));
        let there = there.map_err(|e| self.bucket.failed("", &e))?;
        let files = there.objects.iter().map(|file| &file.location);
        let is_ours =
            |path: &object_store::path::Path| path.filename().is_some_and(|n| n.starts_with(HIDDEN));
        Ok(there.common_prefixes.iter().chain(files).all(is_ours))
    }

    fn begin(&self) -> Result<Option<files::Lock>> {
        if self.is_probed.get().is_none() {
            self.probe()?;
            let _ = self.is_probed.set(());
        }
        Ok(None)
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.get(path)?.map(|(bytes, _)| bytes))
    }

    fn length(&self, path: &str) -> Result<Option<u64>> {
        let (store, at) = (self.bucket.store()?, location(path)?);
        match self.runtime.block_on(store.head(&at)) {
            Ok(about) => Ok(Some(about.size)),
            Err(Failure::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.bucket.failed(path, &e)),
        }
    }

    fn create_new(&self, path: &str, bytes: &[u8]) -> Result<bool> {
        for attempt in 0..ATTEMPTS {
            match self.write(path, Bytes::copy_from_slice(bytes), PutMode::Create)? {
                Ok(_) => return Ok(true),
                Err(e) if is_in_the_way(&e) => match self.read(path)? {
                    // It may be ours, from a request whose answer was lost.
                    Some(there) => return Ok(there == bytes),
                    // Another writer is creating it: S3 refuses both for a moment.
                    None => Self::pause(attempt),
                },
                Err(e) => return Err(self.bucket.failed(path, &e)),
            }
        }
        Err(self.is_busy(path))
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()> {
        match self.write(path, Bytes::copy_from_slice(bytes), PutMode::Overwrite)? {
            Ok(_) => Ok(()),
            Err(e) => Err(self.bucket.failed(path, &e)),
        }
    }

    fn update(&self, path: &str, change: Change<'_>) -> Result<()> {
        for attempt in 0..ATTEMPTS {
            let (there, mode) = match self.get(path)? {
                Some((bytes, version)) => (Some(bytes), PutMode::Update(version)),
                None => (None, PutMode::Create),
            };
            let Some(bytes) = change(there.as_deref())? else { return Ok(()) };
            match self.write(path, bytes.into(), mode)? {
                Ok(_) => return Ok(()),
                Err(e) if is_in_the_way(&e) => Self::pause(attempt),
                Err(e) => return Err(self.bucket.failed(path, &e)),
            }
        }
        Err(self.is_busy(path))
    }

    fn put(&self, path: &str, from: &Path, object: &ObjectRef) -> Result<()> {
        let mut file = files::open(from)?;
        if object.length > PART as u64 {
            self.runtime.block_on(self.put_parts(path, file, from, object))?;
        } else {
            let bytes = read_part(&mut file, from)?;
            check(from, object, &ObjectRef::of(&bytes))?;
            let written = self.write(path, bytes, PutMode::Overwrite)?;
            written.map_err(|e| self.bucket.failed(path, &e))?;
        }
        self.check(path, object)
    }

    fn settle(&self, _: &[String]) -> Result<()> {
        Ok(())
    }

    fn check(&self, path: &str, object: &ObjectRef) -> Result<()> {
        match self.length(path)? {
            Some(length) if length == object.length => Ok(()),
            Some(length) => {
                let why = format!("is damaged: {length} bytes, expected {}", object.length);
                Err(Error::integrity(self.locate(path), why))
            }
            None => Err(Error::integrity(self.locate(path), "is missing")),
        }
    }

    fn list(&self, folder: &str) -> Result<Vec<(String, u64)>> {
        let store = self.bucket.store()?;
        let prefix = if folder.is_empty() { None } else { Some(location(folder)?) };
        let listed = store.list(prefix.as_ref()).map_ok(|file| (file.location.to_string(), file.size));
        let mut found: Vec<(String, u64)> =
            self.runtime.block_on(listed.try_collect()).map_err(|e| self.bucket.failed(folder, &e))?;
        found.retain(|(path, _)| !path.starts_with(PROBE));
        found.sort();
        Ok(found)
    }

    fn remove(&self, path: &str) -> Result<()> {
        let (store, at) = (self.bucket.store()?, location(path)?);
        match self.runtime.block_on(store.delete(&at)) {
            Ok(()) | Err(Failure::NotFound { .. }) => Ok(()),
            Err(e) => Err(self.bucket.failed(path, &e)),
        }
    }

    fn remove_folder(&self, _: &str) -> Result<bool> {
        Ok(true)
    }
}

impl BucketStore {
    fn is_busy(&self, path: &str) -> Error {
        let why = format!("was changed by others during each of {ATTEMPTS} attempts to change it");
        Error::network(NetworkKind::Broken, self.locate(path), why)
    }
}

/// Whether another writer was faster.
fn is_in_the_way(e: &Failure) -> bool {
    matches!(e, Failure::AlreadyExists { .. } | Failure::Precondition { .. } | Failure::NotModified { .. })
}

/// The next [`PART`] bytes of a file, fewer at its end.
fn read_part(file: &mut File, from: &Path) -> Result<Bytes> {
    let mut part = Vec::new();
    file.take(PART as u64).read_to_end(&mut part).map_err(Error::io("read", from))?;
    Ok(part.into())
}

fn check(from: &Path, object: &ObjectRef, found: &ObjectRef) -> Result<()> {
    if found == object {
        return Ok(());
    }
    let why = format!(
        "is damaged: {} bytes of BLAKE3 {}, expected {} of {}",
        found.length, found.blake3, object.length, object.blake3
    );
    Err(Error::integrity(from.display(), why))
}

//! Writes to a registry. Objects come first and the release last, so that what a reader can find is complete.
//! A lock, where there is one, separates two writers; the log's entry is created exclusively even without it.

use std::cmp::Ordering;
use std::io::Read;
use std::path::Path;

use super::append::log_to_write;
use super::store::Store;
use super::{About, FORMAT, MAX_HINT, has_lost_about, layout, no_registry};
use crate::files;
use crate::transport;
use crate::trust::Known;
use isn_format::dataset_ref::{Version, VersionId};
use isn_format::digest::Digest;
use isn_format::error::{Error, Missing, Result, There};
use isn_format::log::{LogKey, LogSigner};
use isn_format::object::{ObjectKind, ObjectRef};
use isn_format::statement::ReleaseStatement;

const BUFFER: usize = 1 << 20;

/// A registry open for writing; a folder is locked.
pub struct RegistryWriter {
    store: Box<dyn Store>,
    lock: Option<files::Lock>,
}

impl RegistryWriter {
    /// Turns an empty location into a registry with an empty log, whose key `new_signer` creates; gives a log
    /// to a registry that has none. Returns `false` if there was nothing to do.
    ///
    /// # Errors
    /// [`Error::Exists`] if the location is neither empty nor a registry; [`Error::Trust`] if it has a log
    /// that `registry.json` does not name; [`Error::Conflict`] if somebody else has just made it a registry;
    /// also fails if a file cannot be read or written.
    pub fn init(
        store: &dyn Store,
        description: &str,
        new_signer: impl FnOnce() -> Result<LogSigner>,
    ) -> Result<bool> {
        match read_about(store)? {
            None => check_free(store)?,
            Some(about) if about.log_key.is_none() => check_no_log(store)?,
            Some(_) => return Ok(false),
        }
        let _lock = store.begin()?;
        let there = read_about(store)?;
        if there.as_ref().is_some_and(|about| about.log_key.is_some()) {
            return Ok(false);
        }
        let log_key = Some(new_signer()?.log_key().clone());
        // The first writer that opens an empty log writes its checkpoint, so this one file is all.
        match there {
            Some(about) => store.replace(layout::REGISTRY_JSON, &to_bytes(&About { log_key, ..about })?)?,
            None => {
                let about = About {
                    format: FORMAT.into(),
                    description: description.into(),
                    log_key,
                    attestations: false,
                };
                if !store.create_new(layout::REGISTRY_JSON, &to_bytes(&about)?)? {
                    let what = format!("making {} a registry", store.name());
                    return Err(Error::Conflict { what, why: "has become one meanwhile".into() });
                }
            }
        }
        Ok(true)
    }

    /// Opens the registry in `store` for writing; where there is a lock, waits for another writer.
    ///
    /// # Errors
    /// As [`Store::begin`].
    pub fn open(store: Box<dyn Store>) -> Result<Self> {
        let lock = store.begin()?;
        Ok(RegistryWriter { store, lock })
    }

    /// As [`RegistryWriter::open`], for a location that must already be a registry and show the log that the
    /// user knows.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it is not a registry; also as [`log_to_write`] and [`Store::begin`].
    pub(crate) fn open_existing(store: Box<dyn Store>, known: Known<'_>) -> Result<Self> {
        match log_to_write(store.as_ref(), known)? {
            Some(_) => RegistryWriter::open(store),
            None => Err(no_registry_in(store.as_ref())),
        }
    }

    /// The store of the registry.
    pub fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// Whether other writers are locked out.
    pub(crate) fn is_locked(&self) -> bool {
        self.lock.is_some()
    }

    /// Writes to `registry.json` that there is an attestation log.
    ///
    /// # Errors
    /// As [`RegistryWriter::set_log_key`].
    pub(crate) fn set_attests(&self) -> Result<()> {
        self.change_about(|about| About { attestations: true, ..about })
    }

    /// Writes a new log key to `registry.json`.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no `registry.json`; also fails if it is not well-formed, or cannot be
    /// written.
    pub(crate) fn set_log_key(&self, key: &LogKey) -> Result<()> {
        self.change_about(|about| About { log_key: Some(key.clone()), ..about })
    }

    fn change_about(&self, change: impl Fn(About) -> About) -> Result<()> {
        let path = layout::REGISTRY_JSON;
        self.store.update(path, &mut |there| {
            let there = there.ok_or_else(|| Error::not_found(Missing::Object, path, self.store.name()))?;
            let about = About::parse(&self.store.locate(path), there)?;
            let changed = change(about.clone());
            if changed == about { Ok(None) } else { to_bytes(&changed).map(Some) }
        })
    }

    /// Checks that the objects that describe a version are in the registry, before its release goes into the
    /// log.
    ///
    /// # Errors
    /// [`Error::Integrity`] if an object is missing or damaged; [`Error::Trust`] if the manifest is of
    /// another version than the release.
    pub(crate) fn check_objects(&self, release: &ReleaseStatement) -> Result<()> {
        let registry = self.store.registry()?;
        let manifest = ObjectRef { blake3: release.manifest, length: release.manifest_len };
        let described = transport::runtime()?.block_on(async {
            let snapshot = registry.describe(manifest, Vec::new()).await?;
            registry.check_blocks(&snapshot).await.map(|()| snapshot.head.manifest)
        })?;
        if (described.id(), described.dataset) == (release.id.clone(), release.dataset) {
            return Ok(());
        }
        let what = format!("the release of {}", release.id);
        Err(Error::trust(
            what,
            "states another dataset, version or hash than its manifest: two versions are mixed",
        ))
    }

    /// Copies an object from the file `from`, unless it is there. Returns `true` if it was copied.
    ///
    /// # Errors
    /// [`Error::Integrity`] if the file, or what is there, is not the object; also fails if it cannot be read
    /// or written.
    pub(crate) fn put_object(&self, kind: ObjectKind, object: &ObjectRef, from: &Path) -> Result<bool> {
        let path = layout::object(kind, &object.blake3);
        if self.store.length(&path)?.is_some() {
            self.store.check(&path, object)?;
            return Ok(false);
        }
        self.store.put(&path, from, object)?;
        Ok(true)
    }

    /// Returns once the objects of a version are on disk; to be called before anything in the log refers to
    /// them.
    ///
    /// # Errors
    /// As [`Store::settle`].
    pub fn settle(&self, objects: &[(ObjectKind, ObjectRef)]) -> Result<()> {
        let paths = objects.iter().map(|(kind, object)| layout::object(*kind, &object.blake3));
        self.store.settle(&paths.collect::<Vec<_>>())
    }

    /// Adds a pack to the list of packs of a manifest.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the list would be too long; also fails if it cannot be read or written.
    pub(crate) fn add_pack(&self, manifest: &Digest, pack: &Digest) -> Result<()> {
        self.add_line(&layout::packs(manifest), &pack.to_string(), |a, b| a.cmp(b))
    }

    /// Marks a version as rebuild-only by an empty list of packs. Changes nothing if there is a list already.
    ///
    /// # Errors
    /// As [`Store::create_new`].
    pub(crate) fn mark_rebuild_only(&self, manifest: &Digest) -> Result<()> {
        self.store.create_new(&layout::packs(manifest), b"").map(drop)
    }

    /// Checks that no other file is in the place of a release that is about to go into the log, and that the
    /// lists have room for it.
    ///
    /// # Errors
    /// [`Error::Trust`] if another release is there; [`Error::Invalid`] if a list is full; also fails if a
    /// file cannot be read.
    pub(crate) fn check_unlisted(&self, release: &ReleaseStatement, signed: &[u8]) -> Result<()> {
        let (name, version) = (&release.id.name, release.id.version.to_string());
        for (path, line) in
            [(layout::versions(name), version.as_str()), (layout::NAMES.into(), name.as_str())]
        {
            let there = self.store.read(&path)?.unwrap_or_default();
            with_line(&self.store.locate(&path), &there, line, |_, _| Ordering::Equal)?;
        }
        let path = layout::release(&release.id);
        match self.store.read(&path)? {
            Some(there) if there != signed => {
                let why = "is there, but the log has no such release: it was not published here. Check \
                           what it is, and move it elsewhere";
                Err(Error::trust(self.store.locate(&path), why))
            }
            _ => Ok(()),
        }
    }

    /// Writes the files by which readers find a release that is in the log: the signed statement, the pin,
    /// and the lists of versions and names.
    ///
    /// # Errors
    /// [`Error::Trust`] if another release is there; [`Error::Invalid`] if a list is full; also fails if a
    /// file cannot be read or written.
    pub(crate) fn list_release(&self, release: &ReleaseStatement, signed: &[u8]) -> Result<()> {
        let path = layout::release(&release.id);
        if !self.store.create_new(&path, signed)? && self.store.read(&path)?.as_deref() != Some(signed) {
            let why = "was replaced: it is not the release in the log. Move it away, and run the command \
                       again, which writes the one in the log";
            return Err(Error::trust(self.store.locate(&path), why));
        }
        // If two versions have the same dataset hash, the pin keeps leading to the first one.
        let pin = format!("{} {}\n", release.id.name, release.id.version);
        self.store.create_new(&layout::pin(&release.dataset), pin.as_bytes())?;
        self.add_version(&release.id)
    }

    /// Adds a version to the list of versions, and its name to the list of names.
    fn add_version(&self, VersionId { name, version }: &VersionId) -> Result<()> {
        let numerically = |a: &str, b: &str| a.parse::<Version>().ok().cmp(&b.parse::<Version>().ok());
        self.add_line(&layout::versions(name), &version.to_string(), numerically)?;
        self.add_line(layout::NAMES, name.as_str(), |a, b| a.cmp(b))
    }

    /// Adds a line to a sorted list, unless the list has it.
    fn add_line(&self, path: &str, line: &str, order: impl Fn(&str, &str) -> Ordering) -> Result<()> {
        let what = self.store.locate(path);
        self.store.update(path, &mut |there| with_line(&what, there.unwrap_or_default(), line, &order))
    }
}

/// Returns a sorted list with one more line; `None` if the list has that line. Fails if the list would be
/// longer than readers accept.
fn with_line(
    what: &str,
    list: &[u8],
    line: &str,
    order: impl Fn(&str, &str) -> Ordering,
) -> Result<Option<Vec<u8>>> {
    let list = String::from_utf8_lossy(list);
    let mut lines: Vec<&str> = list.lines().filter(|line| !line.is_empty()).collect();
    if lines.contains(&line) {
        return Ok(None);
    }
    lines.push(line);
    lines.sort_by(|a, b| order(a, b));
    let list = lines.join("\n") + "\n";
    if list.len() as u64 > MAX_HINT {
        return Err(Error::invalid(
            what,
            format!("has no room for {line}: a list has {MAX_HINT} bytes at most"),
        ));
    }
    Ok(Some(list.into_bytes()))
}

/// Checks that [`RegistryWriter::init`] could make a registry here.
///
/// # Errors
/// [`Error::Exists`] if something is there already; [`Error::NotFound`] if it is a registry that has lost its
/// `registry.json`; also fails if the location cannot be listed.
pub(crate) fn check_free(store: &dyn Store) -> Result<()> {
    if store.is_free()? {
        return Ok(());
    }
    if store.folder().is_some_and(has_lost_about) {
        return Err(no_registry_in(store));
    }
    let kind = if transport::is_bucket(store.name()) { "bucket" } else { "folder" };
    Err(Error::exists(
        There::Place,
        format!("{kind} {}", store.name()),
        format!(" and is neither empty nor a registry (it has no {})", layout::REGISTRY_JSON),
    ))
}

/// Returns the error that there is no registry to write to.
pub(super) fn no_registry_in(store: &dyn Store) -> Error {
    match store.folder() {
        Some(root) => no_registry(root),
        None => Error::not_found(Missing::Registry, layout::REGISTRY_JSON, store.name()),
    }
}

/// Checks that a location whose `registry.json` names no log has none: a second log would not be the same
/// one.
///
/// # Errors
/// [`Error::Trust`] if it has a log; also fails if it cannot be read.
pub(crate) fn check_no_log(store: &dyn Store) -> Result<()> {
    if store.length(layout::CHECKPOINT)?.is_none() {
        return Ok(());
    }
    let why = format!(
        "is there, and {} does not say by which key: it lost that line, or was replaced. Restore the \
         original",
        layout::REGISTRY_JSON
    );
    Err(Error::trust(store.locate(layout::CHECKPOINT), why))
}

/// Reads `registry.json`; returns `None` if there is none.
///
/// # Errors
/// As [`About::parse`]; also fails if it cannot be read.
pub(crate) fn read_about(store: &dyn Store) -> Result<Option<About>> {
    let there = store.read(layout::REGISTRY_JSON)?;
    there.map(|bytes| About::parse(&store.locate(layout::REGISTRY_JSON), &bytes)).transpose()
}

fn to_bytes(about: &About) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(about).map_err(|e| Error::Internal(e.to_string()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Checks that a file contains the object, without holding it in memory.
///
/// # Errors
/// [`Error::Integrity`] if it has another hash or length; also fails if it cannot be read.
pub(crate) fn check_file(path: &Path, object: &ObjectRef) -> Result<()> {
    check_bytes(&mut files::open(path)?, path, object)
}

/// As [`check_file`], for an open file; errors call it `path`.
///
/// # Errors
/// As [`check_file`].
pub(crate) fn check_bytes(file: &mut std::fs::File, path: &Path, object: &ObjectRef) -> Result<()> {
    let refuse = |why: String| Err(Error::integrity(path.display(), format!("is damaged: {why}")));
    // Before it is read: a sparse file could keep the reader busy for days.
    let length = file.metadata().map_err(Error::io("look at", path))?.len();
    if length != object.length {
        return refuse(format!("it has {length} bytes, expected {}", object.length));
    }
    let (mut hasher, mut buffer) = (blake3::Hasher::new(), vec![0; BUFFER]);
    loop {
        match file.read(&mut buffer).map_err(Error::io("read", path))? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        };
    }
    let found = Digest::of_hasher(&hasher);
    if found != object.blake3 {
        return refuse(format!("its BLAKE3 is {found}, expected {}", object.blake3));
    }
    Ok(())
}

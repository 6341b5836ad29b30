//! [`Registry`]: turns a reference into the verified description of a version, a [`Snapshot`]. A registry is
//! static files, with the same layout ([`layout`]) in a folder, over HTTP and in the binary. `locations`
//! finds objects, [`segment`] plans requests for images, [`fetch`] makes them, [`publish`] writes.

pub(crate) mod ahead;
pub mod append;
pub(crate) mod attestations;
mod audit;
mod blocks;
pub(crate) mod build;
mod copy;
pub mod fetch;
mod frames;
mod keeper;
pub mod layout;
mod lists;
mod locations;
pub mod log;
pub(crate) mod names;
pub mod one_name;
pub mod publish;
mod recipes;
pub mod segment;
mod snapshot;
pub mod store;
pub(crate) mod work;

pub use attestations::{Outcome, outcomes};
pub use lists::Packs;
pub use snapshot::{Head, Snapshot, UNSIGNED};

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use ahead::Trail;
use locations::{Complaints, Location};
use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::files;
use crate::transport::ahead::Ahead;
use crate::transport::folder::Folder;
use crate::transport::http::Http;
use crate::transport::{self, Access, Transport};
use crate::trust::RegistryId;
use crate::url;
use isn_format::dataset_ref::{DatasetRef, Name, Version, VersionId};
use isn_format::description::Description;
use isn_format::digest::Digest;
use isn_format::error::{At, Error, Missing, Result};
use isn_format::index::{Index, Sources};
use isn_format::key::PublicKey;
use isn_format::log::LogKey;
use isn_format::manifest::{self, Manifest};
use isn_format::object::{ObjectKind, ObjectRef};
use isn_format::release::{Release, SignedRelease, Standing};
use isn_format::statement;

/// The name of the registry in the binary.
pub const BUNDLED: &str = "bundled";
/// The maximum length of a hint file, in bytes: hints are short lists of names.
pub const MAX_HINT: u64 = 4 << 20;
/// The maximum length of what keys state to have built of a version, in bytes: some three hundred statements.
pub(crate) const MAX_BUILT: u64 = 256 << 10;
/// The format of `registry.json`.
pub const FORMAT: &str = "isn-registry/1";

/// The contents of `registry.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// [`FORMAT`].
    pub format: String,
    /// A description for people.
    pub description: String,
    /// The key of its log, as a vkey, which clients are told to trust and pin at first contact. `None` in
    /// registries that were written before there were logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_key: Option<LogKey>,
    /// Whether it has an attestation log: a hint, so that no reader asks in vain.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub attestations: bool,
}

impl About {
    /// Parses a `registry.json`; errors call it `what`.
    ///
    /// # Errors
    /// [`Error::Integrity`] if it is not the JSON of a registry; [`Error::Invalid`] for another format, which
    /// a newer isn may know.
    pub fn parse(what: &str, bytes: &[u8]) -> Result<Self> {
        /// Read first, to tell a newer format from a broken one.
        #[derive(Deserialize)]
        struct Header {
            format: String,
        }
        let refuse = |e: serde_json::Error| {
            Error::integrity(what, format!("is not the JSON of a registry: {e}")).at(At::Registry)
        };
        let Header { format } = serde_json::from_slice(bytes).map_err(refuse)?;
        if format != FORMAT {
            let why = format!("has format '{format}', this isn reads {FORMAT}: a newer isn may");
            return Err(Error::invalid(what, why));
        }
        serde_json::from_slice(bytes).map_err(refuse)
    }
}

/// A registry, with its mirrors and the cache, open for reading.
///
/// ```
/// use isn_registry::registry::Registry;
/// use isn_registry::transport::{Access, runtime};
///
/// let registry = Registry::open("../../registry", &Access::default())?;
/// // A reference with a hash needs no trusted key.
/// let pin = "demobirds@1.0#b3:2a470dfd86048a024c838852321c5f0d12366410cba289fc262d7c3135d3b9a8";
/// let version = runtime()?.block_on(registry.snapshot(&pin.parse()?, &[]))?;
/// assert_eq!((version.head.manifest.pin().to_string(), version.classes().len()), (pin.into(), 5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Registry {
    /// `None` for the registry in the binary.
    id: Option<RegistryId>,
    name: String,
    own: Location,
    /// Other locations that may have the same objects.
    mirrors: Vec<Location>,
    cache: Option<Cache>,
    /// Whether nothing is kept in the cache.
    only_reads_cache: bool,
    keeps_nothing: AtomicBool,
    /// Why bytes of a shard could not be kept in the cache.
    unkept: Mutex<Option<String>>,
    complaints: Complaints,
    fetched: AtomicU64,
    /// Whether it is a folder that cannot be reached.
    is_gone: bool,
    /// Whether it was opened without a network.
    is_offline: bool,
    /// Whether its `registry.json`, when it was last read, said that it has an attestation log.
    attests: AtomicBool,
    /// Its own location, if that is distant enough to be asked early.
    ahead: Option<Ahead>,
    trail: OnceLock<Trail>,
}

/// Whether a location is the URL of a web server.
pub fn is_url(location: &str) -> bool {
    location.starts_with("http://") || location.starts_with("https://")
}

/// Returns the error that a folder without `registry.json` is not a registry, by what it is instead.
pub fn no_registry(root: &Path) -> Error {
    let kind = if files::is_absent(root) {
        return Error::not_found(Missing::Location, root.display(), "");
    } else if !root.is_dir() {
        // A file does not become a registry.
        Missing::RegistryInFile
    } else if files::is_tree(root) {
        Missing::RegistryInTree
    } else if root.join(layout::MANIFEST_JSON).is_file() {
        Missing::RegistryInBuild
    } else if has_lost_about(root) {
        Missing::RegistryJson
    } else {
        Missing::Registry
    };
    Error::not_found(kind, layout::REGISTRY_JSON, root.display())
}

/// Whether a folder without `registry.json` is a registry by its other files: a log, or a list of names. What
/// is not yet a whole mirror is none.
pub fn has_lost_about(root: &Path) -> bool {
    let has = |path| !files::is_absent(&root.join(path));
    (has(layout::CHECKPOINT) || has(layout::NAMES)) && !has(layout::REGISTRY_JSON) && !has(layout::MIRRORING)
}

#[cfg(feature = "cloud")]
fn open_bucket(id: &RegistryId, access: &Access) -> Result<Box<dyn Transport>> {
    Ok(Box::new(transport::bucket::Bucket::new(id.as_str(), access)?))
}

#[cfg(not(feature = "cloud"))]
fn open_bucket(id: &RegistryId, _: &Access) -> Result<Box<dyn Transport>> {
    Err(transport::no_buckets(id.as_str()))
}

/// Returns the folder that a location names; `None` if it is a URL or the bundled registry.
pub(crate) fn folder_of(location: &str) -> Option<&Path> {
    (location != BUNDLED && url::split(location) == Ok(None)).then(|| Path::new(location))
}

impl Registry {
    /// Opens the registry at `location`: `bundled`, an `http(s)://` URL, a bucket or a folder.
    ///
    /// # Errors
    /// [`Error::NotFound`] if a folder is not a registry; [`Error::Invalid`] if `location` is none of these,
    /// or the access settings are not valid.
    pub fn open(location: &str, access: &Access) -> Result<Self> {
        if location == BUNDLED {
            return Ok(Self::over(BUNDLED.into(), Box::new(access.bundled)));
        }
        let id: RegistryId = location.parse()?;
        let transport: Box<dyn Transport> = if is_url(id.as_str()) {
            Box::new(Http::new(id.as_str(), access)?)
        } else if transport::is_bucket(id.as_str()) {
            open_bucket(&id, access)?
        } else {
            let root = PathBuf::from(location);
            // What is there and cannot be read is not missing.
            if files::is_absent(&root.join(layout::REGISTRY_JSON)) {
                return Err(no_registry(&root));
            }
            return Self::of_folder(&root, access);
        };
        let (is_offline, ahead) = (access.offline, Ahead::new(transport));
        let registry = Self::over(id.to_string(), Box::new(ahead.clone()));
        Ok(Registry { id: Some(id.clone()), is_offline, ahead: Some(ahead), ..registry })
    }

    /// Opens a folder as a registry, even without its `registry.json`: what is left can be checked.
    ///
    /// # Errors
    /// Fails if the path has no absolute form.
    pub(crate) fn of_folder(root: &Path, access: &Access) -> Result<Self> {
        let id: RegistryId = root.to_string_lossy().parse()?;
        let is_offline = access.offline;
        let transport = Box::new(Folder::new(root));
        Ok(Registry { id: Some(id.clone()), is_offline, ..Self::over(id.to_string(), transport) })
    }

    /// Opens what `transport` reads as the registry `name`, for which no key is trusted.
    pub fn over(name: String, transport: Box<dyn Transport>) -> Self {
        Registry {
            id: None,
            own: Location::new(name.clone(), transport),
            name,
            mirrors: Vec::new(),
            cache: None,
            only_reads_cache: false,
            keeps_nothing: AtomicBool::new(false),
            unkept: Mutex::default(),
            complaints: Complaints::default(),
            fetched: AtomicU64::new(0),
            is_gone: false,
            is_offline: false,
            attests: AtomicBool::new(false),
            ahead: None,
            trail: OnceLock::new(),
        }
    }

    /// The identity that trust is kept under; `None` for the registry in the binary.
    pub fn id(&self) -> Option<&RegistryId> {
        self.id.as_ref()
    }

    /// `bundled`, or the identity as text.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of bytes read so far.
    pub fn fetched_bytes(&self) -> u64 {
        self.fetched.load(Ordering::Relaxed) + self.ahead.as_ref().map_or(0, Ahead::unread)
    }

    /// Reads `registry.json`, which is unsigned.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none; [`Error::Integrity`] if it is damaged; [`Error::Invalid`] if it
    /// is of another format, or a web page instead; also fails if it cannot be read.
    pub async fn about(&self) -> Result<About> {
        self.about_file().await.map(|(about, _)| about)
    }

    /// As [`Registry::about`], but returns the bytes of the file too.
    ///
    /// # Errors
    /// As [`Registry::about`].
    pub(crate) async fn about_file(&self) -> Result<(About, Vec<u8>)> {
        let bytes = self.read(layout::REGISTRY_JSON, MAX_HINT).await?;
        let bytes = bytes.ok_or_else(|| match folder_of(&self.name).filter(|_| self.id.is_some()) {
            Some(root) => no_registry(root),
            None => Error::not_found(Missing::Registry, layout::REGISTRY_JSON, &self.name),
        })?;
        let place = self.place(layout::REGISTRY_JSON);
        if bytes.trim_ascii_start().starts_with(b"<") {
            let why = "is a web page, not JSON: this address is not that of a registry";
            return Err(Error::invalid(place, why));
        }
        let about = About::parse(&place, &bytes)?;
        self.attests.store(about.attestations, Ordering::Relaxed);
        Ok((about, bytes))
    }

    /// The names of all datasets, sorted: a hint.
    ///
    /// # Errors
    /// Fails if the list cannot be read; [`Error::Integrity`] if it is not well-formed.
    pub async fn names(&self) -> Result<Vec<Name>> {
        self.hint(layout::NAMES).await
    }

    /// The versions of a dataset, sorted: a hint.
    ///
    /// # Errors
    /// As [`Registry::names`].
    pub async fn versions(&self, name: &Name) -> Result<Vec<Version>> {
        self.hint(&layout::versions(name)).await
    }

    /// Returns the version that a reference means in this registry, and the dataset hash that it must have,
    /// if the reference gives one.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Unreleased`] if there is no such version; also fails if a hint cannot
    /// be read or is not well-formed.
    pub(crate) async fn resolve(&self, reference: &DatasetRef) -> Result<(VersionId, Option<Digest>)> {
        match reference {
            DatasetRef::Version(id, pin) => Ok((id.clone(), *pin)),
            DatasetRef::Newest(name) => match self.versions(name).await?.pop() {
                Some(version) => Ok((VersionId { name: name.clone(), version }, None)),
                None => Err(self.missing(reference, name).await?),
            },
            DatasetRef::Pin(pin) => {
                let path = layout::pin(pin);
                let hint = self.read(&path, MAX_HINT).await?;
                let hint = hint.ok_or_else(|| Error::not_found(Missing::Version, reference, &self.name))?;
                let text = String::from_utf8_lossy(&hint);
                let named = text.trim_end().split_once(' ');
                let named =
                    named.and_then(|(name, version)| Some((name.parse().ok()?, version.parse().ok()?)));
                let (name, version) = named.ok_or_else(|| {
                    Error::integrity(self.own.transport.locate(&path), "is not a name and a version")
                })?;
                Ok((VersionId { name, version }, Some(*pin)))
            }
        }
    }

    /// Returns the release of a version, not verified; `None` if the registry has none.
    ///
    /// # Errors
    /// Fails if the release cannot be read or is not well-formed.
    pub(crate) async fn signed_release(&self, id: &VersionId) -> Result<Option<SignedRelease>> {
        let Some(bytes) = self.release_file(id).await? else { return Ok(None) };
        SignedRelease::parse(&self.place_of_release(id), bytes).map(Some)
    }

    /// Returns the bytes of a version's release; `None` if the registry has none.
    ///
    /// # Errors
    /// Fails if the release cannot be read or is too long.
    pub(crate) async fn release_file(&self, id: &VersionId) -> Result<Option<Vec<u8>>> {
        self.read(&layout::release(id), statement::MAX_LEN as u64).await
    }

    /// The location of a version's release, for messages.
    pub(crate) fn place_of_release(&self, id: &VersionId) -> String {
        self.place(&layout::release(id))
    }

    /// Returns the release that `reference` means, verified by a key in `trusted` or, if the reference has a
    /// pin, by the pin alone.
    ///
    /// # Errors
    /// [`Error::UnknownSigner`] if no trusted key signed it; [`Error::Integrity`] if it has another dataset
    /// hash than the pin; also as `Registry::resolve`.
    pub async fn release(&self, reference: &DatasetRef, trusted: &[PublicKey]) -> Result<Release> {
        let (id, pin) = self.resolve(reference).await?;
        let Some(signed) = self.signed_release(&id).await? else {
            return Err(self.missing(reference, &id.name).await?);
        };
        let release = match (signed.verify(&self.name, trusted), pin) {
            (Err(Error::UnknownSigner { .. }), Some(pin)) => signed.verify_pinned(&pin)?,
            (verified, _) => verified?,
        };
        let release = release.expect(&id)?;
        if let Some(pin) = pin.filter(|pin| *pin != release.dataset()) {
            let why = format!("has dataset hash b3:{}, but the pin says b3:{pin}", release.dataset());
            let what = self.own.transport.locate(&layout::release(&id));
            return Err(Error::integrity(what, why).at(At::Reference));
        }
        Ok(release)
    }

    /// Returns the verified description of the version that `reference` means.
    ///
    /// # Errors
    /// As [`Registry::release`] and `Registry::describe_release`.
    pub async fn snapshot(&self, reference: &DatasetRef, trusted: &[PublicKey]) -> Result<Snapshot> {
        self.describe_release(&self.release(reference, trusted).await?).await
    }

    /// As [`Registry::snapshot`], from a release that is at hand.
    ///
    /// # Errors
    /// As [`Registry::head_of_release`] and [`Registry::complete`].
    pub(crate) async fn describe_release(&self, release: &Release) -> Result<Snapshot> {
        self.complete(self.head_of_release(release).await?).await
    }

    /// Reads the manifest of a release.
    ///
    /// # Errors
    /// [`Error::Trust`] if the manifest is of another version than the release; also as [`Registry::head`].
    pub(crate) async fn head_of_release(&self, release: &Release) -> Result<Head> {
        let (signed_by, logged) = match release.standing() {
            Standing::Pinned => (Vec::new(), None),
            Standing::Trusted => (release.signers().to_vec(), None),
            Standing::Logged(position) => (release.signers().to_vec(), Some(position.clone())),
        };
        let reference = ObjectRef { blake3: release.manifest(), length: release.manifest_len() };
        let head = Head { logged, ..self.head(reference, signed_by).await? };
        let manifest = &head.manifest;
        if (&manifest.id(), manifest.dataset) != (release.id(), release.dataset()) {
            let what = self.locate(ObjectKind::Manifest, &reference.blake3);
            let why = "names another dataset, version or hash than its release: two versions are mixed";
            return Err(Error::trust(what, why));
        }
        if head.signed_by.is_empty() {
            head.check_unsigned(&self.locate(ObjectKind::Manifest, &reference.blake3))?;
        }
        Ok(head)
    }

    /// Reads the manifest of a version, and checks it against its hash.
    ///
    /// # Errors
    /// [`Error::Integrity`] if it is missing, damaged, too long, or that of a part; also fails if it cannot
    /// be read.
    pub async fn head(&self, manifest_ref: ObjectRef, signed_by: Vec<PublicKey>) -> Result<Head> {
        let head = self.head_of_build(manifest_ref, signed_by).await?;
        if head.manifest.is_part {
            let what = self.locate(ObjectKind::Manifest, &manifest_ref.blake3);
            let why = "is of what was built from a part of its source, which nobody can release";
            return Err(Error::integrity(what, why));
        }
        Ok(head)
    }

    /// As [`Registry::head`], also of a part.
    ///
    /// # Errors
    /// As [`Registry::head`].
    pub(crate) async fn head_of_build(
        &self,
        manifest_ref: ObjectRef,
        signed_by: Vec<PublicKey>,
    ) -> Result<Head> {
        let what = self.locate(ObjectKind::Manifest, &manifest_ref.blake3);
        if manifest_ref.length > manifest::MAX_LEN {
            let why = format!("is said to have {} bytes: too many", manifest_ref.length);
            return Err(Error::integrity(what, why));
        }
        self.look_ahead_from(&manifest_ref);
        let manifest = Manifest::parse(&what, &self.object(ObjectKind::Manifest, &manifest_ref).await?)?;
        let (logged, warnings, withdrawn) = (None, Vec::new(), None);
        Ok(Head { signed_by, logged, is_own: false, warnings, withdrawn, manifest_ref, manifest })
    }

    /// Reads a version from its manifest down, and checks every object against its hash and the others.
    ///
    /// # Errors
    /// As [`Registry::head`] and [`Registry::complete`].
    pub async fn describe(&self, manifest_ref: ObjectRef, signed_by: Vec<PublicKey>) -> Result<Snapshot> {
        self.complete(self.head(manifest_ref, signed_by).await?).await
    }

    /// Reads what a manifest lists, and checks every object against its hash and the others.
    ///
    /// # Errors
    /// [`Error::Integrity`] if an object is missing, damaged, or does not agree with the others; also fails
    /// if it cannot be read.
    pub async fn complete(&self, head: Head) -> Result<Snapshot> {
        if let Some(blocks) = head.manifest.objects.blocks {
            return self.whole_of_blocks(head, blocks).await;
        }
        let manifest = &head.manifest;
        let objects = &manifest.objects;
        // Concurrently, since each costs a round trip.
        let (index_bytes, classes_csv) = tokio::try_join!(
            self.object(ObjectKind::Index, &objects.index),
            self.object(ObjectKind::Classes, &objects.classes)
        )?;
        let index_what = self.locate(ObjectKind::Index, &objects.index.blake3);
        let classes_what = self.locate(ObjectKind::Classes, &objects.classes.blake3);
        let index = match head.signed_by.is_empty() {
            true => Index::parse(&index_what, &index_bytes, manifest, &Digest::of(&classes_csv))?,
            false => Index::parse_signed(&index_what, &index_bytes, manifest)?,
        };
        drop(index_bytes);
        let description = Description::new((&index_what, index), (&classes_what, classes_csv), manifest)?;
        Ok(Snapshot { head, description, blocks: None })
    }

    /// Reads what the images of a version were made from.
    ///
    /// # Errors
    /// [`Error::Integrity`] or [`Error::Network`] if that cannot be read.
    pub async fn sources(&self, snapshot: &Snapshot) -> Result<Sources> {
        self.sources_where(snapshot, |_| true).await
    }

    /// As [`Registry::sources`], of the images in these rows, which are sorted.
    ///
    /// # Errors
    /// As [`Registry::sources`].
    pub(crate) async fn sources_of(&self, snapshot: &Snapshot, rows: &[usize]) -> Result<Sources> {
        self.sources_where(snapshot, |row| rows.binary_search(&row).is_ok()).await
    }

    async fn sources_where(&self, snapshot: &Snapshot, wanted: impl Fn(usize) -> bool) -> Result<Sources> {
        if let Some((blocks, read)) = snapshot.head.manifest.objects.blocks.zip(snapshot.blocks.as_ref()) {
            return self.sources_of_blocks(&blocks, read, wanted).await;
        }
        let object = &snapshot.head.manifest.objects.index;
        let bytes = self.object(ObjectKind::Index, object).await?;
        Sources::parse(&self.locate(ObjectKind::Index, &object.blake3), &bytes, snapshot.index(), wanted)
    }

    fn count(&self, bytes: usize) {
        self.fetched.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Whether objects are also looked for at other locations.
    pub(crate) fn has_mirrors(&self) -> bool {
        !self.mirrors.is_empty()
    }

    /// Reads a small file whole; `None` if there is none.
    async fn read(&self, path: &str, cap: u64) -> Result<Option<Vec<u8>>> {
        self.read_at(&self.own, path, cap).await
    }

    async fn read_at(&self, location: &Location, path: &str, cap: u64) -> Result<Option<Vec<u8>>> {
        let bytes = transport::read(location.transport.as_ref(), path, cap).await?;
        self.count(bytes.as_ref().map_or(0, Vec::len));
        Ok(bytes)
    }

    /// Reads a list with one item a line; sorted, without duplicates. An absent file is an empty list.
    async fn hint<T: std::str::FromStr<Err: std::fmt::Display> + Ord>(&self, path: &str) -> Result<Vec<T>> {
        self.hint_of(&self.own, path).await
    }

    async fn hint_of<T: std::str::FromStr<Err: std::fmt::Display> + Ord>(
        &self,
        location: &Location,
        path: &str,
    ) -> Result<Vec<T>> {
        let Some(bytes) = self.read_at(location, path, MAX_HINT).await? else { return Ok(Vec::new()) };
        let refuse = |why: &dyn std::fmt::Display| Error::integrity(location.transport.locate(path), why);
        let text = String::from_utf8(bytes).map_err(|e| refuse(&e))?;
        let parse = |line: &str| line.parse::<T>().map_err(|e| refuse(&e));
        let mut items = text.lines().map(parse).collect::<Result<Vec<T>>>()?;
        items.sort();
        items.dedup();
        Ok(items)
    }

    /// Returns the error for an absent release: there is no such version, or only a recipe of it.
    ///
    /// # Errors
    /// Fails if the list of versions or the recipe cannot be read.
    pub async fn missing(&self, reference: &DatasetRef, name: &Name) -> Result<Error> {
        let path = layout::recipe(name);
        let versions = self.versions(name).await?;
        let is_awaited = versions.is_empty() && self.read(&path, layout::max_len(&path)).await?.is_some();
        Ok(if is_awaited {
            Error::Unreleased { reference: reference.clone(), registry: self.name.clone() }
        } else {
            Error::not_found(Missing::Version, reference, format!("registry {}", self.name)).near(versions)
        })
    }
}

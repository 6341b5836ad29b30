//! [`Registry`]: from a reference to the verified description of a version. A registry is static files, the same
//! in a folder, over HTTP and in the binary; their layout is [`layout`]'s alone. `places` finds objects, [`segment`]
//! plans requests for images, [`fetch`] makes them, [`publish`] writes.

pub mod append;
mod audit;
mod copy;
pub mod fetch;
pub mod layout;
mod lists;
pub mod log;
mod places;
pub mod publish;
pub mod segment;
pub mod store;

pub use lists::{Packs, Tried};

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use places::{Complaints, Place};
use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::files;
use crate::transport::folder::Folder;
use crate::transport::http::Http;
use crate::transport::{self, Access, Transport};
use crate::trust::RegistryId;
use isn_format::class::Class;
use isn_format::dataset_ref::{DatasetRef, Name, Version};
use isn_format::description::Description;
use isn_format::digest::Digest;
use isn_format::error::{Error, Missing, Result};
use isn_format::index::Index;
use isn_format::key::PublicKey;
use isn_format::log::LogKey;
use isn_format::manifest::{self, Manifest};
use isn_format::object::{ObjectKind, ObjectRef};
use isn_format::release::{LogPosition, Release, SignedRelease, Standing};
use isn_format::statement;
use isn_format::tree::Sums;

/// What the registry in the binary is called.
pub const BUNDLED: &str = "bundled";
/// Hint files are short lists of names: more than this is no hint.
pub const MAX_HINT: u64 = 4 << 20;
/// No metadata object is larger, whatever a manifest claims: 2 GiB is an index of some ten million images.
const MAX_METADATA: u64 = 2 << 30;
/// The index of a version that only a pin vouches for: some two million images.
const MAX_UNSIGNED_INDEX: u64 = 256 << 20;
/// Any other metadata object of one.
const MAX_UNSIGNED: u64 = 64 << 20;

/// What a dataset hash does not vouch for: of a version that only a pin leads to, nobody does. As `--json` calls it.
pub const UNSIGNED: [&str; 16] = [
    "name",
    "version",
    "title",
    "description",
    "licence",
    "authors",
    "citation",
    "source",
    "pipeline",
    "recipe",
    "corrections",
    "width",
    "height",
    "pixels",
    "source_id",
    "source_blake3",
];

/// The format of `registry.json`.
pub const FORMAT: &str = "isn-registry/1";

/// The contents of `registry.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// [`FORMAT`].
    pub format: String,
    /// For people.
    pub description: String,
    /// The key of its log, as a vkey: what a client is told to trust, and pins at first contact. `None` in registries
    /// that were written before there were logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_key: Option<LogKey>,
}

impl About {
    /// Reads a `registry.json`, called `what` in errors.
    pub fn parse(what: &str, bytes: &[u8]) -> Result<Self> {
        let about: About = serde_json::from_slice(bytes).map_err(|e| Error::invalid(what, e))?;
        if about.format != FORMAT {
            let why = format!("has format '{}', this isn reads {FORMAT}: a newer isn may", about.format);
            return Err(Error::invalid(what, why));
        }
        Ok(about)
    }
}

/// A place that has releases.
pub struct Registry {
    /// `None` for the one in the binary.
    id: Option<RegistryId>,
    name: String,
    own: Place,
    /// Other places that may have the same objects.
    mirrors: Vec<Place>,
    cache: Option<Cache>,
    keeps_nothing: AtomicBool,
    complaints: Complaints,
    fetched: AtomicU64,
}

/// A version, from the release down to `B3SUMS`: all of it checked against the release's hashes and each other.
pub struct Snapshot {
    /// What it is, and who vouches for it.
    pub head: Head,
    description: Description<Index>,
}

impl Snapshot {
    /// The images.
    pub fn index(&self) -> &Index {
        self.description.rows()
    }

    /// The classes, sorted by id.
    pub fn classes(&self) -> &[Class] {
        self.description.classes()
    }

    /// The exact bytes of `classes.csv`.
    pub fn classes_csv(&self) -> &[u8] {
        self.description.classes_csv()
    }

    /// `B3SUMS`.
    pub fn sums(&self) -> &Sums {
        self.description.sums()
    }
}

/// A version's manifest and who vouches for it: a [`Snapshot`] without what it lists.
pub struct Head {
    /// The keys that signed the release and count: trusted ones, or the name's owners in a trusted log. If there are
    /// none, the version was reached by a pin, and only the tree is authenticated.
    pub signed_by: Vec<PublicKey>,
    /// Where in the log the release stands, if that was checked.
    pub logged: Option<LogPosition>,
    /// What the user should hear: that the version is yanked, that the mirror is behind.
    pub warnings: Vec<String>,
    /// Why the owners have withdrawn it, if they have: what is missing then is no damage.
    pub withdrawn: Option<String>,
    /// The manifest's hash and length.
    pub manifest_ref: ObjectRef,
    /// The manifest.
    pub manifest: Manifest,
}

impl Head {
    /// What of the version nobody vouches for whom the user believes: [`UNSIGNED`], or nothing.
    pub fn unsigned(&self) -> &'static [&'static str] {
        if self.signed_by.is_empty() { &UNSIGNED } else { &[] }
    }

    /// Refuses a manifest that only a pin leads to, if it asks for more than a stranger may: what is brought before the
    /// dataset hash can speak is held in memory.
    fn check_unsigned(&self, what: &str) -> Result<()> {
        for (kind, object) in self.manifest.objects.all() {
            let cap = if kind == ObjectKind::Index { MAX_UNSIGNED_INDEX } else { MAX_UNSIGNED };
            if object.length > cap {
                let (noun, length) = (kind.noun(), object.length);
                let why =
                    format!("asks for {length} bytes of {noun}: too many, where nobody you trust signed it");
                return Err(Error::integrity(what, why));
            }
        }
        Ok(())
    }
}

/// Whether a location is a web server's.
pub fn is_url(location: &str) -> bool {
    location.starts_with("http://") || location.starts_with("https://")
}

#[cfg(feature = "cloud")]
fn open_bucket(id: &RegistryId, access: &Access) -> Result<Box<dyn Transport>> {
    Ok(Box::new(transport::bucket::Bucket::new(id.as_str(), access)?))
}

#[cfg(not(feature = "cloud"))]
fn open_bucket(id: &RegistryId, _: &Access) -> Result<Box<dyn Transport>> {
    Err(transport::no_buckets(id.as_str()))
}

impl Registry {
    /// Opens the registry at `location`: `bundled`, an `http(s)://` URL, a bucket or a folder.
    pub fn open(location: &str, access: &Access) -> Result<Self> {
        if location == BUNDLED {
            return Ok(Self::over(BUNDLED.into(), Box::new(access.bundled)));
        }
        let id: RegistryId = location.parse()?;
        let transport: Box<dyn Transport> = if is_url(id.as_str()) {
            Box::new(Http::new(id.as_str(), access)?)
        } else if transport::is_bucket(id.as_str()) {
            open_bucket(&id, access)?
        } else if location.contains("://") {
            let what = format!("registry {location}");
            return Err(Error::invalid(
                what,
                "is neither a folder nor an http(s)://, s3://, gs:// or az:// URL",
            ));
        } else {
            let root = PathBuf::from(location);
            // What is there and cannot be read is not missing.
            if files::is_absent(&root.join(layout::REGISTRY_JSON)) {
                return Err(Error::not_found(Missing::Registry, layout::REGISTRY_JSON, root.display()));
            }
            Box::new(Folder::new(&root))
        };
        Ok(Registry { id: Some(id.clone()), ..Self::over(id.to_string(), transport) })
    }

    /// What `transport` shows, called `name`: no key is trusted for it.
    pub fn over(name: String, transport: Box<dyn Transport>) -> Self {
        Registry {
            id: None,
            own: Place::new(name.clone(), transport),
            name,
            mirrors: Vec::new(),
            cache: None,
            keeps_nothing: AtomicBool::new(false),
            complaints: Complaints::default(),
            fetched: AtomicU64::new(0),
        }
    }

    /// What trust is kept by; `None` for the registry in the binary.
    pub fn id(&self) -> Option<&RegistryId> {
        self.id.as_ref()
    }

    /// `bundled`, or the identity as text.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many bytes were read from it so far.
    pub fn fetched_bytes(&self) -> u64 {
        self.fetched.load(Ordering::Relaxed)
    }

    /// What it says of itself, unsigned.
    pub async fn about(&self) -> Result<About> {
        self.about_file().await.map(|(about, _)| about)
    }

    /// The same, with the bytes that say it.
    pub async fn about_file(&self) -> Result<(About, Vec<u8>)> {
        let bytes = self.read(layout::REGISTRY_JSON, MAX_HINT).await?;
        let bytes =
            bytes.ok_or_else(|| Error::not_found(Missing::Registry, layout::REGISTRY_JSON, &self.name))?;
        Ok((About::parse(&self.place(layout::REGISTRY_JSON), &bytes)?, bytes))
    }

    /// The names of all datasets, sorted: a hint.
    pub async fn names(&self) -> Result<Vec<Name>> {
        self.hint(layout::NAMES).await
    }

    /// The versions of a dataset, sorted: a hint.
    pub async fn versions(&self, name: &Name) -> Result<Vec<Version>> {
        self.hint(&layout::versions(name)).await
    }

    /// The version that a reference means here, and the dataset hash that it must have, if the reference says.
    pub async fn resolve(&self, reference: &DatasetRef) -> Result<(Name, Version, Option<Digest>)> {
        match reference {
            DatasetRef::Version(name, version, pin) => Ok((name.clone(), *version, *pin)),
            DatasetRef::Newest(name) => match self.versions(name).await?.pop() {
                Some(version) => Ok((name.clone(), version, None)),
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
                Ok((name, version, Some(*pin)))
            }
        }
    }

    /// The release of a version, as it stands here: not verified.
    pub async fn signed_release(&self, name: &Name, version: Version) -> Result<Option<SignedRelease>> {
        let Some(bytes) = self.release_file(name, version).await? else { return Ok(None) };
        SignedRelease::parse(&self.place_of_release(name, version), bytes).map(Some)
    }

    /// The bytes of a version's release, as they stand here.
    pub async fn release_file(&self, name: &Name, version: Version) -> Result<Option<Vec<u8>>> {
        self.read(&layout::release(name, version), statement::MAX_LEN as u64).await
    }

    /// Where a version's release is, for messages.
    pub fn place_of_release(&self, name: &Name, version: Version) -> String {
        self.place(&layout::release(name, version))
    }

    /// The release that `reference` means, verified: by a key in `trusted`, or, where the reference has a pin, by
    /// the pin alone.
    pub async fn release(&self, reference: &DatasetRef, trusted: &[PublicKey]) -> Result<Release> {
        let (name, version, pin) = self.resolve(reference).await?;
        let Some(signed) = self.signed_release(&name, version).await? else {
            return Err(self.missing(reference, &name).await?);
        };
        let release = match (signed.verify(&self.name, trusted), pin) {
            (Err(Error::UnknownSigner { .. }), Some(pin)) => signed.verify_pinned(&pin)?,
            (verified, _) => verified?,
        };
        let release = release.expect(&name, version)?;
        if let Some(pin) = pin.filter(|pin| *pin != release.dataset()) {
            let why = format!("has dataset hash b3:{}, but the pin says b3:{pin}", release.dataset());
            let what = self.own.transport.locate(&layout::release(&name, version));
            return Err(Error::integrity(what, why));
        }
        Ok(release)
    }

    /// All that describes the version that `reference` means, verified.
    pub async fn snapshot(&self, reference: &DatasetRef, trusted: &[PublicKey]) -> Result<Snapshot> {
        self.describe_release(&self.release(reference, trusted).await?).await
    }

    /// As [`Registry::snapshot`], from a release that is at hand.
    pub async fn describe_release(&self, release: &Release) -> Result<Snapshot> {
        self.complete(self.head_of_release(release).await?).await
    }

    /// The manifest of a release.
    pub async fn head_of_release(&self, release: &Release) -> Result<Head> {
        let (signed_by, logged) = match release.standing() {
            Standing::Pinned => (Vec::new(), None),
            Standing::Trusted => (release.signers().to_vec(), None),
            Standing::Logged(position) => (release.signers().to_vec(), Some(position.clone())),
        };
        let reference = ObjectRef { blake3: release.manifest(), length: release.manifest_len() };
        let head = Head { logged, ..self.head(reference, signed_by).await? };
        let manifest = &head.manifest;
        let named = (&manifest.name, manifest.version, manifest.dataset);
        if named != (release.name(), release.version(), release.dataset()) {
            let what = self.locate(ObjectKind::Manifest, &reference.blake3);
            let why = "names another dataset, version or hash than its release: two versions are mixed";
            return Err(Error::trust(what, why));
        }
        if head.signed_by.is_empty() {
            head.check_unsigned(&self.locate(ObjectKind::Manifest, &reference.blake3))?;
        }
        Ok(head)
    }

    /// A manifest, checked against its hash.
    pub async fn head(&self, manifest_ref: ObjectRef, signed_by: Vec<PublicKey>) -> Result<Head> {
        let what = self.locate(ObjectKind::Manifest, &manifest_ref.blake3);
        if manifest_ref.length > manifest::MAX_LEN {
            let why = format!("is said to have {} bytes: too many", manifest_ref.length);
            return Err(Error::integrity(what, why));
        }
        let manifest = Manifest::parse(&what, &self.object(ObjectKind::Manifest, &manifest_ref).await?)?;
        let (logged, warnings, withdrawn) = (None, Vec::new(), None);
        Ok(Head { signed_by, logged, warnings, withdrawn, manifest_ref, manifest })
    }

    /// A version from its manifest down: every object checked against its hash and the others.
    pub async fn describe(&self, manifest_ref: ObjectRef, signed_by: Vec<PublicKey>) -> Result<Snapshot> {
        self.complete(self.head(manifest_ref, signed_by).await?).await
    }

    /// What a manifest lists, every object checked against its hash and the others.
    pub async fn complete(&self, head: Head) -> Result<Snapshot> {
        let manifest = &head.manifest;
        let objects = &manifest.objects;
        // At once: on a long way each costs a round trip.
        let (index_bytes, classes_csv) = tokio::try_join!(
            self.object(ObjectKind::Index, &objects.index),
            self.object(ObjectKind::Classes, &objects.classes)
        )?;
        let index_what = self.locate(ObjectKind::Index, &objects.index.blake3);
        let classes_what = self.locate(ObjectKind::Classes, &objects.classes.blake3);
        let index = Index::parse(&index_what, &index_bytes, manifest, &Digest::of(&classes_csv))?;
        drop(index_bytes);
        let description = Description::new((&index_what, index), (&classes_what, classes_csv), manifest)?;
        Ok(Snapshot { head, description })
    }

    fn count(&self, bytes: usize) {
        self.fetched.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Whether other places are asked for objects, too.
    pub fn has_mirrors(&self) -> bool {
        !self.mirrors.is_empty()
    }

    /// Reads a small file whole.
    async fn read(&self, path: &str, cap: u64) -> Result<Option<Vec<u8>>> {
        self.read_at(&self.own, path, cap).await
    }

    async fn read_at(&self, place: &Place, path: &str, cap: u64) -> Result<Option<Vec<u8>>> {
        let bytes = transport::read(place.transport.as_ref(), path, cap).await?;
        self.count(bytes.as_ref().map_or(0, Vec::len));
        Ok(bytes)
    }

    /// A list, one item a line; sorted and without repetition. An absent file is an empty list.
    async fn hint<T: std::str::FromStr<Err: std::fmt::Display> + Ord>(&self, path: &str) -> Result<Vec<T>> {
        self.hint_of(&self.own, path).await
    }

    async fn hint_of<T: std::str::FromStr<Err: std::fmt::Display> + Ord>(
        &self,
        place: &Place,
        path: &str,
    ) -> Result<Vec<T>> {
        let Some(bytes) = self.read_at(place, path, MAX_HINT).await? else { return Ok(Vec::new()) };
        let refuse = |why: &dyn std::fmt::Display| Error::integrity(place.transport.locate(path), why);
        let text = String::from_utf8(bytes).map_err(|e| refuse(&e))?;
        let parse = |line: &str| line.parse::<T>().map_err(|e| refuse(&e));
        let mut items = text.lines().map(parse).collect::<Result<Vec<T>>>()?;
        items.sort();
        items.dedup();
        Ok(items)
    }

    /// Why there is no release: nobody knows the name, or only its recipe is here.
    pub async fn missing(&self, reference: &DatasetRef, name: &Name) -> Result<Error> {
        let path = layout::recipe(name);
        let versions = self.versions(name).await?;
        let is_awaited = versions.is_empty() && self.read(&path, MAX_HINT).await?.is_some();
        Ok(if is_awaited {
            Error::Unreleased { reference: reference.clone(), recipe: format!("registry/{path}") }
        } else {
            Error::not_found(Missing::Version, reference, format!("registry {}", self.name)).near(versions)
        })
    }
}

//! [`BuildOutput`]: the build output that a publish starts from.

use std::path::{Path, PathBuf};

use super::scratch::Scratch;
use crate::files;
use crate::progress::{Progress, Unit};
use crate::registry::layout::MANIFEST_JSON;
use crate::registry::publish::check_file;
use crate::registry::{Registry, Snapshot, layout};
use crate::steps::objects::objects_of;
use crate::transport::{self, folder::Folder};
use isn_format::digest::Digest;
use isn_format::error::{At, Error, Result};
use isn_format::manifest::{self, Manifest};
use isn_format::object::{ObjectKind, ObjectRef};
use isn_format::pack::Pack;

/// A build output: its version, and all objects with their files.
pub(super) struct BuildOutput {
    pub(super) build: PathBuf,
    /// The build, read as if it were a registry.
    pub(super) store: Registry,
    /// The description of the version.
    pub(super) snapshot: Snapshot,
    pub(super) packs: Vec<(Digest, Pack)>,
    pub(super) objects: Vec<StoredObject>,
    /// Whether the images are not published.
    pub(super) rebuild_only: bool,
    /// Holds the files of `objects` that were made for this registry.
    pub(super) scratch: Option<Scratch>,
}

/// An object, and the file that contains it.
pub(super) struct StoredObject {
    pub(super) kind: ObjectKind,
    pub(super) object: ObjectRef,
    pub(super) file: PathBuf,
}

impl BuildOutput {
    /// Reads a build output and checks every object in it against its hash.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `build` is not the output of a build; [`Error::Integrity`] if an object is
    /// damaged.
    pub(super) fn read(build: &Path, progress: &dyn Progress) -> Result<Self> {
        Self::read_checked(build, progress).map_err(|e| e.at(At::Build))
    }

    fn read_checked(build: &Path, progress: &dyn Progress) -> Result<Self> {
        let manifest_path = build.join(MANIFEST_JSON);
        let Some(bytes) = files::read_capped_if_there(&manifest_path, manifest::MAX_LEN)? else {
            let why = match build.exists() {
                true => format!("is not a build output: it has no {MANIFEST_JSON}; `isn build` makes one"),
                false => "does not exist".into(),
            };
            return Err(Error::invalid(build.display(), why));
        };
        let manifest_ref = ObjectRef::of(&bytes);
        let store = Registry::over(build.display().to_string(), Box::new(Folder::new(build)));
        let runtime = transport::runtime()?;
        let snapshot = runtime.block_on(store.describe(manifest_ref, Vec::new()))?;
        let packs = files::read_capped(&build.join(layout::packs(&manifest_ref.blake3)), u64::MAX)?;
        let mut packs: Vec<Digest> = String::from_utf8_lossy(&packs)
            .lines()
            .map(|line| line.parse().map_err(|e| Error::invalid(build.display(), e)))
            .collect::<Result<_>>()?;
        packs.sort();
        packs.dedup();

        let objects = objects_of(&store, &snapshot, Some(&packs))?.into_iter().map(|(kind, object)| {
            let file = build.join(layout::object(kind, &object.blake3));
            StoredObject { kind, object, file }
        });
        let objects = objects.collect();
        let parsed = runtime.block_on(store.packs(&snapshot))?;
        let packs = packs.into_iter().zip(parsed.into_packs()).collect();
        let build = build.to_path_buf();
        let output =
            BuildOutput { build, store, snapshot, packs, objects, rebuild_only: false, scratch: None };
        progress.begin("check", Unit::Bytes, output.bytes());
        for stored in &output.objects {
            check_file(&stored.file, &stored.object)?;
            progress.advance(stored.object.length);
        }
        progress.end();
        Ok(output)
    }

    /// Returns the manifest of the version.
    pub(super) fn manifest(&self) -> &Manifest {
        &self.snapshot.head.manifest
    }

    /// Returns the hash of the manifest.
    pub(super) fn manifest_digest(&self) -> &Digest {
        &self.snapshot.head.manifest_ref.blake3
    }

    /// Returns the file of one of the objects.
    pub(super) fn path_of(&self, kind: ObjectKind, object: &ObjectRef) -> Result<&Path> {
        let found = self.objects.iter().find(|stored| stored.kind == kind && stored.object == *object);
        found.map(|stored| stored.file.as_path()).ok_or_else(|| {
            Error::integrity(self.build.display(), format!("has no {} {}", kind.noun(), object.blake3))
                .at(At::Build)
        })
    }

    /// Drops the images if `rebuild_only`.
    pub(super) fn rebuild_only(mut self, rebuild_only: bool) -> Self {
        if rebuild_only {
            self.objects.retain(|stored| !matches!(stored.kind, ObjectKind::Shard | ObjectKind::Pack));
            self.packs.clear();
            self.rebuild_only = true;
        }
        self
    }

    /// The sum of the objects' lengths, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.objects.iter().map(|stored| stored.object.length).sum()
    }
}

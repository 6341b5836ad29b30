//! [`BuildOutput`]: the build output that a publish starts from.

use std::path::{Path, PathBuf};

use tokio::runtime::Runtime;

use super::scratch::Scratch;
use crate::files;
use crate::progress::{Progress, Unit};
use crate::registry::layout::{MANIFEST_JSON, REGISTRY_JSON};
use crate::registry::publish::check_file;
use crate::registry::{MAX_HINT, Packs, Registry, Snapshot, build, has_lost_about, layout};
use crate::steps::objects::objects_of;
use crate::transport;
use isn_format::digest::Digest;
use isn_format::error::{At, Error, Missing, Result};
use isn_format::index::{Images, Sources};
use isn_format::manifest::Manifest;
use isn_format::object::{ObjectKind, ObjectRef};
use isn_format::pack::Pack;
use isn_format::text::shell_word;

/// A build output: its version, and all objects with their files.
pub(super) struct BuildOutput {
    pub(super) build: PathBuf,
    /// The build, read as if it were a registry.
    pub(super) store: Registry,
    /// The description of the version.
    pub(super) snapshot: Snapshot,
    /// The packs, which were checked. What they list is read again where it is needed: it is large.
    pub(super) packs: Vec<Digest>,
    pub(super) objects: Vec<StoredObject>,
    /// Whether the images are not published.
    pub(super) rebuild_only: bool,
    /// Holds the files of `objects` that were made for this registry.
    pub(super) scratch: Option<Scratch>,
}

/// Checks that `build` is the output of a build, without reading its objects.
///
/// # Errors
/// [`Error::NotFound`] if nothing is there; [`Error::Invalid`] if it is something else; [`Error::Io`] if that
/// cannot be seen.
pub fn check_build(build: &Path) -> Result<()> {
    open(build).map(drop)
}

fn open(build: &Path) -> Result<(Registry, ObjectRef)> {
    if files::is_absent(&build.join(MANIFEST_JSON)) {
        if files::is_absent(build) {
            return Err(Error::not_found(Missing::File, build.display(), ""));
        }
        return Err(Error::invalid(build.display(), no_build(build)));
    }
    build::open(build)
}

/// Returns what a folder without `manifest.json` is instead of a build, and what to do with it.
fn no_build(root: &Path) -> String {
    let name = shell_word(root.display());
    if root.is_file() {
        "is a file, not a build output: `isn build` makes one, a folder".into()
    } else if files::is_tree(root) {
        format!(
            "is a tree, not a build output: `isn verify {name}` checks it. `isn build` makes one, from a \
             recipe and the source images"
        )
    } else if has_lost_about(root) {
        format!("is a registry that has lost its {REGISTRY_JSON}: `isn verify {name}` checks its other files")
    } else if !files::is_absent(&root.join(REGISTRY_JSON)) {
        format!(
            "is a registry, not a build output: `isn list --registry {name}` shows its versions, and `isn \
             mirror {name} NEW-DIR` copies it"
        )
    } else {
        format!("is not a build output: it has no {MANIFEST_JSON}; `isn build` makes one")
    }
}

/// Whether an object says where images are, or has some.
pub(super) fn is_storage(kind: ObjectKind) -> bool {
    matches!(kind, ObjectKind::Shard | ObjectKind::Pack | ObjectKind::Places)
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
    /// damaged or missing; [`Error::Io`] if one cannot be read.
    pub(super) fn read(build: &Path, progress: &dyn Progress) -> Result<Self> {
        Self::read_checked(build, progress).map_err(build::of_build)
    }

    fn read_checked(build: &Path, progress: &dyn Progress) -> Result<Self> {
        let (store, manifest_ref) = open(build)?;
        let runtime = transport::runtime()?;
        let head = runtime.block_on(store.head_of_build(manifest_ref, Vec::new()))?;
        if head.manifest.is_part {
            let why = "was built from a part of its source, and has no version: build it from the whole source to publish it";
            return Err(Error::invalid(build.display(), why));
        }
        let snapshot = runtime.block_on(store.complete(head))?;
        runtime.block_on(store.check_blocks(&snapshot))?;
        let list = build.join(layout::packs(&manifest_ref.blake3));
        let packs = files::read_capped(&list, MAX_HINT)?;
        let mut packs: Vec<Digest> = String::from_utf8_lossy(&packs)
            .lines()
            .map(|line| line.parse().map_err(|e| Error::integrity(list.display(), e)))
            .collect::<Result<_>>()?;
        packs.sort();
        packs.dedup();

        let objects = objects_of(&store, &snapshot, Some(&packs))?.into_iter().map(|(kind, object)| {
            let file = build.join(layout::object(kind, &object.blake3));
            StoredObject { kind, object, file }
        });
        let objects = objects.collect();
        let all = Images::all(snapshot.index());
        drop(runtime.block_on(store.packs(&snapshot, &all))?);
        drop(all);
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

    /// Returns what the packs list.
    pub(super) fn listed(&self, runtime: &Runtime) -> Result<Vec<Pack>> {
        let all = Images::all(self.snapshot.index());
        runtime
            .block_on(self.store.packs(&self.snapshot, &all))
            .map(Packs::into_packs)
            .map_err(build::of_build)
    }

    /// Reads what the images were made from. It is large, and read where it is needed.
    pub(super) fn sources(&self, runtime: &Runtime) -> Result<Sources> {
        runtime.block_on(self.store.sources(&self.snapshot)).map_err(build::of_build)
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
            self.objects.retain(|stored| !is_storage(stored.kind));
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

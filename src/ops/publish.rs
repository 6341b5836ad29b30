//! `isn publish`: a build output becomes a signed release in a folder registry. Objects come first and the release
//! last; everything written is read back.

use std::collections::HashSet;
use std::path::Path;

use super::verify::store::MANIFEST_JSON;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::files;
use crate::key::Signer;
use crate::manifest::Manifest;
use crate::object::{ObjectKind, ObjectRef};
use crate::pack::Pack;
use crate::progress::{Progress, Unit};
use crate::registry::publish::{FolderWriter, check_file};
use crate::registry::{Registry, layout};
use crate::release::{self, SignedRelease, Statement};
use crate::transport::folder::Folder;

/// What a new registry says of itself.
pub const DESCRIPTION: &str = "A registry of image-classification datasets, written by isn";

/// What to publish.
pub struct PublishOptions<'a> {
    /// The output of a build.
    pub build: &'a Path,
    /// The registry's folder; made if it is absent or empty.
    pub registry: &'a Path,
    /// Check and say what would be done, and write nothing.
    pub dry_run: bool,
}

/// What was published.
pub struct PublishReport {
    /// What the release says.
    pub statement: Statement,
    /// `name@version#b3:…`.
    pub pin: String,
    /// `SHA256:…` of the key that signed.
    pub signer: String,
    /// How many objects the version has.
    pub objects: usize,
    /// How many of them were not in the registry.
    pub new_objects: usize,
    /// The sum of their lengths, in bytes.
    pub new_bytes: u64,
    /// Whether the very same release was there already.
    pub was_there: bool,
    /// Whether the folder became a registry.
    pub new_registry: bool,
}

/// A build output: its version and all objects with their files.
struct BuildOutput {
    manifest: Manifest,
    manifest_ref: ObjectRef,
    packs: Vec<Digest>,
    objects: Vec<(ObjectKind, ObjectRef)>,
}

/// Publishes a build output, signed by `signer`.
pub fn publish(
    options: &PublishOptions<'_>,
    signer: &dyn Signer,
    progress: &dyn Progress,
) -> Result<PublishReport> {
    let output = read_build(options.build, progress)?;
    let manifest = &output.manifest;
    let statement = Statement {
        name: manifest.name.clone(),
        version: manifest.version,
        dataset: manifest.dataset,
        manifest: output.manifest_ref.blake3,
        manifest_len: output.manifest_ref.length,
    };
    let is_registry = options.registry.join(layout::REGISTRY_JSON).exists();
    let mut report = PublishReport {
        pin: manifest.pin(),
        signer: signer.public_key().fingerprint(),
        objects: output.objects.len(),
        new_objects: 0,
        new_bytes: 0,
        was_there: false,
        new_registry: !is_registry,
        statement,
    };
    let path_of = |kind, object: &ObjectRef| layout::object(kind, &object.blake3);
    if options.dry_run {
        if is_registry {
            report.was_there = is_published(options.registry, &report.statement)?;
        } else if !files::is_absent_or_empty(options.registry)? {
            FolderWriter::init(options.registry, DESCRIPTION)?;
        }
        for (kind, object) in &output.objects {
            if !options.registry.join(path_of(*kind, object)).exists() {
                report.new_objects += 1;
                report.new_bytes += object.length;
            }
        }
        return Ok(report);
    }
    if is_registry && is_published(options.registry, &report.statement)? {
        report.was_there = true;
    }
    // Signed before anything is written: a wrong passphrase must not leave half a version behind.
    let signed = release::sign(&report.statement, signer)?;

    FolderWriter::init(options.registry, DESCRIPTION)?;
    let writer = FolderWriter::open(options.registry)?;
    progress.begin("publish", Unit::Bytes, output.objects.iter().map(|(_, object)| object.length).sum());
    for (kind, object) in &output.objects {
        if writer.put_object(*kind, object, &options.build.join(path_of(*kind, object)))? {
            report.new_objects += 1;
            report.new_bytes += object.length;
        }
        progress.advance(object.length);
    }
    progress.end();
    for pack in &output.packs {
        writer.add_pack(&output.manifest_ref.blake3, pack)?;
    }
    writer.add_pin(&manifest.dataset, &manifest.name, manifest.version)?;
    if !report.was_there && !writer.create_release(&manifest.name, manifest.version, &signed)? {
        report.was_there = is_published(options.registry, &report.statement)?;
    }
    writer.add_version(&manifest.name, manifest.version)?;
    Ok(report)
}

/// Whether this very statement is released already; another one under the same name and version is an error.
fn is_published(registry: &Path, statement: &Statement) -> Result<bool> {
    let path = registry.join(layout::release(&statement.name, statement.version));
    let Some(bytes) = files::read_if_there(&path)? else { return Ok(false) };
    let there = SignedRelease::parse(&path.display().to_string(), bytes)?.verify_self_signed()?;
    let same = (there.dataset(), there.manifest()) == (statement.dataset, statement.manifest);
    if !same {
        let what = format!("{}@{}", statement.name, statement.version);
        let why = if there.dataset() == statement.dataset {
            ", of the same dataset hash but another manifest".into()
        } else {
            format!(" with dataset hash b3:{}, this build has b3:{}", there.dataset(), statement.dataset)
        };
        return Err(Error::Exists { what: format!("release {what}"), why });
    }
    Ok(true)
}

/// Reads a build output and checks every object in it against its hash.
fn read_build(build: &Path, progress: &dyn Progress) -> Result<BuildOutput> {
    let manifest_path = build.join(MANIFEST_JSON);
    let Some(bytes) = files::read_if_there(&manifest_path)? else {
        return Err(Error::invalid(
            build.display(),
            format!("is not a build output: it has no {MANIFEST_JSON}"),
        ));
    };
    let manifest_ref = ObjectRef::of(&bytes);
    let store = Registry::over(build.display().to_string(), Box::new(Folder::new(build)));
    let runtime = crate::transport::runtime()?;
    let snapshot = runtime.block_on(store.describe(manifest_ref, Vec::new()))?;
    let packs: Vec<Digest> = files::read_text(&build.join(layout::packs(&manifest_ref.blake3)))?
        .lines()
        .map(|line| line.parse().map_err(|e| Error::invalid(build.display(), e)))
        .collect::<Result<_>>()?;

    let named = &snapshot.manifest.objects;
    let mut objects = vec![
        (ObjectKind::Manifest, manifest_ref),
        (ObjectKind::Index, named.index),
        (ObjectKind::Classes, named.classes),
        (ObjectKind::Recipe, named.recipe),
        (ObjectKind::Splits, named.assignments),
    ];
    objects.extend(named.corrections.map(|corrections| (ObjectKind::Corrections, corrections)));
    let mut packed: HashSet<Digest> = HashSet::new();
    for digest in &packs {
        let path = build.join(layout::object(ObjectKind::Pack, digest));
        let bytes = files::read(&path)?;
        let pack = Pack::parse(&path.display().to_string(), &bytes, snapshot.manifest.images)?;
        packed.extend(pack.entries.iter().map(|entry| entry.blake3));
        objects.extend(pack.shards.iter().map(|shard| (ObjectKind::Shard, *shard)));
        objects.push((ObjectKind::Pack, ObjectRef { blake3: *digest, length: bytes.len() as u64 }));
    }
    // The list of packs has no hash of its own: what it leads to must be all the images.
    if let Some(row) = snapshot.index.rows().iter().find(|row| !packed.contains(&row.blake3)) {
        let what = build.join(layout::packs(&manifest_ref.blake3));
        return Err(Error::integrity(what.display(), format!("leads to no pack that has {}", row.path)));
    }
    progress.begin("check", Unit::Bytes, objects.iter().map(|(_, object)| object.length).sum());
    for (kind, object) in &objects {
        check_file(&build.join(layout::object(*kind, &object.blake3)), object)?;
        progress.advance(object.length);
    }
    progress.end();
    Ok(BuildOutput { manifest: snapshot.manifest, manifest_ref, packs, objects })
}

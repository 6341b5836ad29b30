//! `isn publish`: publishes a build output as a signed release in a registry. Objects are written first and
//! the log's entry last, and everything written is read back.

mod build_output;
mod gates;
mod release;
mod repack;
mod scratch;
mod send;

use std::path::Path;

pub use build_output::check_build;
pub use send::{SendOptions, send};

use self::build_output::{BuildOutput, StoredObject};
use self::release::{Lack, Signed};
use super::registry::DESCRIPTION;
use crate::files;
use crate::progress::{Progress, Unit};
use crate::registry::append::{OwnLog, log_to_write};
use crate::registry::folder_of;
use crate::registry::layout;
use crate::registry::log::WitnessPolicy;
use crate::registry::publish::{RegistryWriter, check_free};
use crate::registry::store::Store;
use crate::steps::submit::{Fate, collect, collected_in};
use crate::transport::runtime;
use crate::trust::Known;
use isn_format::dataset_ref::DatasetRef;
use isn_format::error::{Breach, Error, Overlap, Result};
use isn_format::key::{PublicKey, Signer};
use isn_format::log::{History, LogKey};
use isn_format::object::ObjectKind;
use isn_format::statement::{ReleaseStatement, SignedStatement, Statement};

/// What to publish.
pub struct PublishOptions<'a> {
    /// The output of a build.
    pub build: &'a Path,
    /// Check and report what would be done, but write nothing.
    pub dry_run: bool,
    /// Write the release to this file, to be signed by others too, even if the keys at hand are enough.
    pub out: Option<&'a Path>,
    /// Publish what describes the version, without images.
    pub rebuild_only: bool,
}

/// The outcome of a publish.
pub struct PublishReport {
    /// The statement of the release.
    pub statement: ReleaseStatement,
    /// The pin of the version.
    pub pin: DatasetRef,
    /// The fingerprints `SHA256:…` of the keys that signed.
    pub signers: Vec<String>,
    /// The number of objects of the version.
    pub objects: usize,
    /// The number of objects that were new to the registry.
    pub new_objects: usize,
    /// The sum of their lengths, in bytes.
    pub new_bytes: u64,
    /// Whether the same release was in the log already.
    pub was_there: bool,
    /// Whether the version was published without images.
    pub rebuild_only: bool,
    /// Whether its images are added to what was published without them.
    pub adds_images: bool,
    /// Whether the location became a registry.
    pub new_registry: bool,
    /// Whether the keys have claimed the name.
    pub new_name: bool,
    /// The log's key; `None` if this was a dry run and there is no log yet.
    pub log_key: Option<LogKey>,
    /// Where the release went; `None` after a dry run.
    pub fate: Option<Fate>,
}

impl PublishReport {
    /// The report of a publish that has done nothing yet.
    fn new(output: &BuildOutput, keys: &[PublicKey]) -> Self {
        let (manifest, manifest_ref) = (output.manifest(), output.snapshot.head.manifest_ref);
        PublishReport {
            statement: ReleaseStatement {
                id: manifest.id(),
                dataset: manifest.dataset,
                manifest: manifest_ref.blake3,
                manifest_len: manifest_ref.length,
            },
            pin: manifest.pin(),
            signers: keys.iter().map(PublicKey::fingerprint).collect(),
            objects: output.objects.len(),
            new_objects: 0,
            new_bytes: 0,
            was_there: false,
            rebuild_only: output.rebuild_only,
            adds_images: false,
            new_registry: false,
            new_name: false,
            log_key: None,
            fate: None,
        }
    }
}

/// Publishes a build output, signed by `signers`, to the registry in `store`. An empty location becomes a
/// registry. A name that nobody owns is first claimed for the signers.
///
/// # Errors
/// `Error::Gates` if a gate stops the version; `Error::Exists` if the version was released with another
/// hash; `Error::Refused` if the keys may not release it; `Error::Invalid` or `Error::Integrity` if the
/// build is damaged; `Error::OtherLog` or `Error::Trust` if the registry's log is not as remembered;
/// `Error::Key` if a key cannot sign; `Error::Io` or `Error::Network` if the registry cannot be written
/// to.
pub fn publish(
    options: &PublishOptions<'_>,
    store: Box<dyn Store>,
    signers: &[Box<dyn Signer>],
    known: Known<'_>,
    progress: &dyn Progress,
) -> Result<PublishReport> {
    if let Some(registry) = folder_of(store.name())
        && matches!(files::overlap(registry, options.build), Some(Overlap::Is | Overlap::IsIn))
    {
        files::check_apart(registry, "the build", options.build)?;
    }
    let there = log_to_write(store.as_ref(), known)?;
    let is_registry = there.is_some();
    if !is_registry {
        check_free(store.as_ref())?;
        check_outside(store.as_ref(), options.out)?;
    }
    let output = BuildOutput::read(options.build, progress)?;
    let gates = gates::check(&output, progress)?;
    let before = there.map_or(Ok(None), |log| log_before(store.as_ref(), &log))?;
    let registry = store.registry()?;
    gates::follows(&output, &gates, &runtime()?, &registry, before.as_ref())?;
    gates::rebuilt(&output, &gates, &runtime()?, (&registry, before.as_ref()), progress)?;
    let output = output.rebuild_only(options.rebuild_only);
    let keys: Vec<PublicKey> = signers.iter().map(|signer| *signer.public_key()).collect();
    let log_key = before.as_ref().map(|history| history.key());
    let mut report =
        PublishReport { new_registry: !is_registry, log_key, ..PublishReport::new(&output, &keys) };
    let lack = Lack::of(before.as_ref(), &report.statement, &keys)?;
    report.was_there = matches!(lack, Lack::Nothing(_));
    if report.was_there {
        let has_no_images = runtime()?.block_on(registry.is_rebuild_only(output.manifest_digest()))?;
        report.adds_images = has_no_images && !options.rebuild_only;
        report.rebuild_only = has_no_images && options.rebuild_only;
        let owners = before.as_ref().and_then(|history| history.dataset(&report.statement.id.name));
        let is_owner = owners.is_some_and(|dataset| keys.iter().any(|key| dataset.owners.keys.contains(key)));
        if report.adds_images && !is_owner {
            return Err(Error::Refused {
                what: format!("the release of {}", report.statement.id),
                why: "is published there without images, and only a key of its owners can add them".into(),
                breach: Breach::Stranger,
            });
        }
    }
    if matches!(lack, Lack::Release { missing, .. } if missing > 0 || options.out.is_some()) {
        collected_in(&Statement::Release(report.statement.clone()), options.out)?;
    }
    report.new_name = lack.claims();
    let output = reuse_shards(output, store.as_ref(), before.as_ref())?;
    report.objects = output.objects.len();
    if options.dry_run {
        for stored in &output.objects {
            if store.length(&layout::object(stored.kind, &stored.object.blake3))?.is_none() {
                report.new_objects += 1;
                report.new_bytes += stored.object.length;
            }
        }
        return Ok(report);
    }
    let signed = Signed::new(&lack, &report.statement, signers)?;

    RegistryWriter::init(store.as_ref(), DESCRIPTION, || known.logs.new_signer(None))?;
    let writer = RegistryWriter::open(store)?;
    let log = OwnLog::open(&writer, known)?;
    let history = log.view()?.replica.history().clone();
    log.signer(&history.key())?;
    report.log_key = Some(history.key());
    progress.begin("publish", Unit::Bytes, output.bytes());
    for StoredObject { kind, object, file } in &output.objects {
        if writer.put_object(*kind, object, file)? {
            report.new_objects += 1;
            report.new_bytes += object.length;
        }
        progress.advance(object.length);
    }
    writer.settle(&output.objects.iter().map(|stored| (stored.kind, stored.object)).collect::<Vec<_>>())?;
    progress.end();
    for pack in &output.packs {
        writer.add_pack(output.manifest_digest(), pack)?;
    }
    if output.rebuild_only {
        writer.mark_rebuild_only(output.manifest_digest())?;
    }
    // Another writer may have changed the log meanwhile.
    report.fate = Some(match Lack::of(Some(&history), &report.statement, &keys)? {
        Lack::Nothing(index) => {
            (report.was_there, report.new_name) = (true, false);
            let entry = log.entry(index, &log.view()?)?;
            writer.list_release(&report.statement, &entry)?;
            Fate::Logged(index)
        }
        lack @ Lack::Release { missing, .. } => {
            report.new_name = lack.claims();
            let (claim, release) = signed.needed(&lack)?;
            if missing > 0 || options.out.is_some() {
                if let Some(claim) = claim {
                    log.append(&[claim])?;
                }
                collect(&release, missing, options.out)?.fate
            } else {
                writer.check_unlisted(&report.statement, release.bytes())?;
                let bytes = release.bytes().to_vec();
                let statements: Vec<SignedStatement> = claim.into_iter().chain([release]).collect();
                let first = log.append(&statements)?.first;
                writer.list_release(&report.statement, &bytes)?;
                Fate::Logged(first + statements.len() as u64 - 1)
            }
        }
    });
    Ok(report)
}

/// Refuses a file for the statement at or in the folder that is to become the registry.
fn check_outside(store: &dyn Store, out: Option<&Path>) -> Result<()> {
    match store.folder().zip(out) {
        Some((folder, out)) if matches!(files::overlap(out, folder), Some(Overlap::Is | Overlap::IsIn)) => {
            let why = "is in the registry that is to be made: name a file outside it";
            Err(Error::invalid(format!("--statement {}", out.display()), why))
        }
        _ => Ok(()),
    }
}

/// Repacks the build so that it uses the shards that the registry has already.
fn reuse_shards(output: BuildOutput, store: &dyn Store, history: Option<&History>) -> Result<BuildOutput> {
    let runtime = crate::transport::runtime()?;
    repack::reuse(&runtime, output, &store.registry()?, history, |shard| {
        Ok(store.length(&layout::object(ObjectKind::Shard, &shard.blake3))? == Some(shard.length))
    })
}

/// Reads the current log of a registry without remembering it. Returns `None` if it is empty.
fn log_before(store: &dyn Store, log: &LogKey) -> Result<Option<History>> {
    let registry = store.registry()?;
    let policy = WitnessPolicy::default();
    let view = crate::transport::runtime()?.block_on(registry.sync_log(log, None, &policy))?;
    Ok(view.map(|view| view.replica.history().clone()))
}

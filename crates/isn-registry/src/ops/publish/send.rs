//! `isn publish` to a server: does what [`super::publish`] does to a folder through `isn serve`, which has
//! the log's key and checks everything again.

use serde::Deserialize;
use serde_json::json;

use super::build_output::{BuildOutput, StoredObject};
use super::release::{Lack, Signed};
use super::{PublishReport, gates, repack};
use crate::progress::{Progress, Unit};
use crate::registry::log::WitnessPolicy;
use crate::registry::{Registry, layout};
use crate::steps::submit::Fate;
use crate::transport::upload::Upload;
use crate::transport::{Access, runtime};
use crate::trust::{Known, RegistryId};
use isn_format::error::{Error, NetworkKind, Result, count};
use isn_format::key::{PublicKey, Signer};
use isn_format::log::LogKey;
use isn_format::object::ObjectKind;
use isn_format::statement::ReleaseStatement;

/// What to send, and where to.
pub struct SendOptions<'a> {
    /// The output of a build.
    pub build: &'a std::path::Path,
    /// The registry's URL.
    pub registry: &'a RegistryId,
    /// How to use the network, with the token that lets its user publish.
    pub access: &'a Access,
    /// Report what would be done, but send nothing.
    pub dry_run: bool,
    /// Send what describes the version, without images.
    pub rebuild_only: bool,
}

/// The server's answer about the statements.
#[derive(Deserialize)]
struct Answer {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    entry: u64,
}

/// Publishes a build output to a server, signed by `signers`, who must be as many as the name needs.
///
/// # Errors
/// [`Error::Denied`] or [`Error::Token`] if the server refuses; [`Error::Network`] if it does not answer, or
/// its log does not have the release afterwards; [`Error::Invalid`] if signatures are missing; otherwise
/// those of [`super::publish`].
pub fn send(
    options: &SendOptions<'_>,
    signers: &[Box<dyn Signer>],
    user: Known<'_>,
    progress: &dyn Progress,
) -> Result<PublishReport> {
    let url = options.registry.as_str();
    let upload = Upload::new(url, options.access)?;
    let runtime = runtime()?;
    let registry = Registry::open(url, options.access)?;
    let claimed = match runtime.block_on(registry.about()) {
        Err(Error::NotFound { .. }) if user.log_of(options.registry).is_some() => None,
        about => about?.log_key,
    };
    // The log is checked before anything is signed, because whoever has a signed statement can use it
    // anywhere.
    let log_key = user.log_to_write(options.registry, claimed.as_ref())?;
    let output = BuildOutput::read(options.build, progress)?;
    let gates = gates::check(&output, progress)?;
    let log_key = log_key.ok_or_else(|| Error::invalid(url, "has no log, which every release must be in"))?;
    let (known, policy) = (user.logs.log(&log_key), WitnessPolicy::default());
    let read_log = |log_key: &LogKey| {
        let view = runtime.block_on(registry.sync_log(log_key, Some(&known), &policy))?;
        let Some(view) = view else { return Ok(None) };
        if let Some(behind) = &view.behind {
            return Err(Error::trust(format!("registry {url}"), behind));
        }
        if let Some(claimed) = claimed.as_ref()
            && !runtime.block_on(registry.is_known_by(claimed, &view))?
        {
            return Err(Error::OtherLog {
                registry: url.into(),
                known: log_key.to_string(),
                other: Some(claimed.to_string()),
            });
        }
        user.logs.note_place(url, log_key)?;
        Ok(Some(view))
    };
    let view = read_log(&log_key)?;
    let history = view.as_ref().map(|view| view.replica.history());
    gates::follows(&output, &gates, &runtime, &registry, history)?;
    gates::rebuilt(&output, &gates, &runtime, (&registry, history), progress)?;
    let output = output.rebuild_only(options.rebuild_only);
    let log_key = Some(history.map_or(log_key, |history| history.key()));
    let keys: Vec<PublicKey> = signers.iter().map(|signer| *signer.public_key()).collect();
    let mut report = PublishReport { log_key, ..PublishReport::new(&output, &keys) };
    let lack = Lack::of(history, &report.statement, &keys)?;
    match &lack {
        &Lack::Nothing(index) => {
            report.was_there = true;
            report.fate = (!options.dry_run).then_some(Fate::Logged(index));
            if let (Some(view), false) = (&view, options.dry_run) {
                let entry = runtime.block_on(registry.log_entry(index, view))?;
                // Listing the release is the last step of a publish, which may have been interrupted before
                // it.
                if !runtime.block_on(is_listed(&registry, &report.statement, &entry))? {
                    let body = json!({ "statements": [String::from_utf8_lossy(&entry)] });
                    runtime.block_on(upload.submit(body.to_string().into_bytes()))?;
                }
            }
            return Ok(report);
        }
        Lack::Release { missing: 0, .. } => report.new_name = lack.claims(),
        Lack::Release { missing, .. } => {
            let needed = count(*missing, "signature");
            let why = format!("needs {needed} more: publish where the registry's folder is");
            return Err(Error::invalid(format!("the release of {}", report.pin), why));
        }
    }
    // Signing comes before sending, so that a wrong passphrase leaves nothing behind.
    let signed = match options.dry_run {
        true => None,
        false => Some(Signed::new(&lack, &report.statement, signers)?),
    };
    // This uses the same runtime: a connection from another runtime would never make progress here.
    let output = repack::reuse(&runtime, output, &registry, history, |shard| {
        runtime.block_on(upload.has(&layout::object(ObjectKind::Shard, &shard.blake3)))
    })?;
    report.objects = output.objects.len();
    progress.begin("send", Unit::Bytes, output.bytes());
    for StoredObject { kind, object, file } in &output.objects {
        let path = layout::object(*kind, &object.blake3);
        if !runtime.block_on(upload.has(&path))? {
            if signed.is_some() {
                runtime.block_on(upload.put(&path, file, object.length))?;
            }
            report.new_objects += 1;
            report.new_bytes += object.length;
        }
        progress.advance(object.length);
    }
    progress.end();
    let Some(signed) = signed else { return Ok(report) };
    let (claim, release) = signed.needed(&lack)?;
    let statements: Vec<_> = claim.into_iter().chain([release]).collect();
    let texts = statements.iter().map(|statement| String::from_utf8_lossy(statement.bytes()));
    let mut body = json!({ "statements": texts.collect::<Vec<_>>(), "packs": output.packs });
    if output.rebuild_only {
        body["rebuild_only"] = json!(true);
    }
    let answer = runtime.block_on(upload.submit(body.to_string().into_bytes()))?;
    let unclear = |why: String| Error::network(NetworkKind::Broken, url, why);
    let answer: Answer =
        serde_json::from_slice(&answer).map_err(|e| unclear(format!("sends an invalid answer: {e}")))?;
    // Only the log is trusted, not the answer.
    let view = read_log(known.anchor())?;
    let released = view.as_ref().and_then(|view| {
        let (_, released) = view.replica.history().release(&report.statement.id)?;
        (released.manifest == report.statement.manifest).then_some(released.index)
    });
    let last = answer.entries.last().map(|entry| entry.entry);
    match released {
        Some(index) if last == Some(index) => {
            report.fate = Some(Fate::Logged(index));
            Ok(report)
        }
        _ => Err(unclear("says that it took the release, but its log does not have it".into())),
    }
}

/// Whether a release, which the log has as `entry`, is also in the lists.
async fn is_listed(registry: &Registry, release: &ReleaseStatement, entry: &[u8]) -> Result<bool> {
    let ReleaseStatement { id, dataset, .. } = release;
    Ok(registry.release_file(id).await?.as_deref() == Some(entry)
        && registry.file(&layout::pin(dataset)).await?.is_some()
        && registry.versions(&id.name).await?.contains(&id.version)
        && registry.names().await?.contains(&id.name))
}

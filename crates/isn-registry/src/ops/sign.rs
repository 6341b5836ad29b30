//! `isn sign` and `isn append`: collect signatures from people on different machines in one statement file,
//! and append the statement to the log.

use std::path::Path;

use crate::files;
use crate::registry::Registry;
use crate::registry::append::OwnLog;
use crate::registry::log::WitnessPolicy;
use crate::registry::publish::RegistryWriter;
use crate::registry::store::Store;
use crate::steps::attestations::Planned;
use crate::steps::submit::{Fate, Submitted, no_statement, read_statement};
use crate::transport::upload::Upload;
use crate::transport::{Access, runtime};
use crate::trust::{Known, RegistryId};
use isn_format::error::{Error, NetworkKind, Result};
use isn_format::key::{PublicKey, Signer};
use isn_format::statement::{MAX_LEN, SignedStatement, Statement};
use serde_json::json;

/// A statement file and its signers.
pub struct SignReport {
    /// The statement.
    pub statement: Statement,
    /// The signers, the new one last.
    pub signers: Vec<PublicKey>,
}

/// Adds a signature to the statement in `file`, which may have none yet.
///
/// # Errors
/// [`Error::Invalid`] if the file is not a statement; [`Error::Trust`] if it has a wrong signature;
/// [`Error::Key`] if the key cannot sign; [`Error::Io`] if the file cannot be read or written.
pub fn sign(file: &Path, signer: &dyn Signer) -> Result<SignReport> {
    let what = file.display().to_string();
    let bytes = files::read_beside(file, MAX_LEN as u64)?;
    let has_signatures = bytes.windows(2).any(|pair| pair == b"\n\n");
    let signed = if has_signatures {
        let there = SignedStatement::parse(&what, bytes).map_err(no_statement)?;
        there.attested()?;
        there.sign_also(signer)?
    } else {
        let text = String::from_utf8(bytes);
        let text = text.map_err(|_| no_statement(Error::integrity(&what, "it is not ASCII text")))?;
        let statement = Statement::parse(&what, &text).map_err(no_statement)?;
        if matches!(statement, Statement::Rebuilt(_)) {
            let why = "is made and signed by `isn attest`, which reads the images";
            return Err(Error::invalid(what, why));
        }
        SignedStatement::sign(&statement, signer)?
    };
    files::overwrite(file, signed.bytes())?;
    let attested = signed.attested()?;
    Ok(SignReport { statement: attested.statement, signers: attested.signers })
}

/// Appends the statement in `file` to the log of the registry in `store`, or to its attestation log if it is
/// of a rebuild. The objects of a release must be in
/// the registry already: `isn publish` puts them there.
///
/// # Errors
/// [`Error::Refused`] if the statement would have no effect; [`Error::Trust`] if its signatures are wrong or
/// the log is not as remembered; [`Error::NotFound`] if an object of a release is missing; [`Error::Io`] or
/// [`Error::Network`] if the registry cannot be written to.
pub fn append(file: &Path, store: Box<dyn Store>, known: Known<'_>) -> Result<Submitted> {
    let signed = read_statement(file)?;
    let statement = signed.attested()?.statement;
    let writer = RegistryWriter::open_existing(store, known)?;
    let log = OwnLog::open(&writer, known)?;
    if let Statement::Rebuilt(_) = &statement {
        let planned = Planned::new(&log, &writer, known.logs, std::slice::from_ref(&signed))?;
        let index = planned.append(&writer)?.into_iter().next().unwrap_or_default();
        return Ok(Submitted { statement, fate: Fate::Logged(index) });
    }
    let there = match &statement {
        Statement::Release(release) => {
            writer.check_objects(release)?;
            let view = log.view()?;
            view.replica.history().release(&release.id).and_then(|(there, at)| {
                let same = (there.dataset(), there.manifest()) == (release.dataset, release.manifest);
                same.then_some(at.index)
            })
        }
        _ => None,
    };
    if let (Statement::Release(release), None) = (&statement, there) {
        writer.check_unlisted(release, signed.bytes())?;
    }
    let index = match there {
        Some(index) => index,
        None => log.append(std::slice::from_ref(&signed))?.first,
    };
    if let Statement::Release(release) = &statement {
        // The entry is read from the log because it may have other signatures than this file.
        writer.list_release(release, &log.entry(index, &log.view()?)?)?;
    }
    Ok(Submitted { statement, fate: Fate::Logged(index) })
}

/// Sends the statement of a rebuild in `file` to the server at `url`, which appends it to its attestation
/// log.
///
/// # Errors
/// [`Error::Invalid`] if it is another statement; [`Error::OtherLog`] if the server has another log than is
/// known for it; [`Error::Denied`], [`Error::Token`] or [`Error::Invalid`] if the server refuses;
/// [`Error::Network`] if it does not answer, or its log does not have the statement afterwards.
pub fn send(file: &Path, url: &RegistryId, access: &Access, user: Known<'_>) -> Result<Submitted> {
    let what = file.display().to_string();
    let signed = read_statement(file)?;
    let attested = signed.attested()?;
    let Statement::Rebuilt(rebuilt) = &attested.statement else {
        let why = format!(
            "is {}: append it where the registry's folder is. A server takes statements of rebuilds alone",
            attested.statement.title()
        );
        return Err(Error::invalid(what, why));
    };
    let (runtime, registry) = (runtime()?, Registry::open(url.as_str(), access)?);
    // Whoever has a signed statement can use it anywhere, so the log is checked before anything is sent.
    let claimed = runtime.block_on(registry.about())?.log_key;
    let log_key = user.log_to_write(url, claimed.as_ref())?;
    let log_key = log_key.ok_or_else(|| Error::invalid(url, "has no log, and so no attestation log"))?;
    let body = json!({ "statements": [String::from_utf8_lossy(signed.bytes())] });
    runtime.block_on(Upload::new(url.as_str(), access)?.submit(body.to_string().into_bytes()))?;
    // Only the log is trusted, not the answer.
    let policy = WitnessPolicy::default();
    let index = runtime.block_on(async {
        let view = registry.sync_log(&log_key, Some(&user.logs.log(&log_key)), &policy).await?;
        let Some(view) = view else { return Ok(None) };
        let key = view.replica.history().key().attestations()?;
        let view = registry.sync_log(&key, Some(&user.logs.log(&key)), &policy).await?;
        Ok::<_, Error>(view.and_then(|view| {
            let mut built = view.replica.history().built(&rebuilt.id);
            let said = built.find(|(key, built)| attested.signers.contains(key) && built.states(rebuilt));
            said.map(|(_, built)| built.index)
        }))
    })?;
    let why = "says that it took the statement, but its attestation log does not have it";
    let index = index.ok_or_else(|| Error::network(NetworkKind::Broken, url.as_str(), why))?;
    Ok(Submitted { statement: attested.statement, fate: Fate::Logged(index) })
}

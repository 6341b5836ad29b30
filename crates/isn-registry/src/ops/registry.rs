//! `isn registry`: creates a registry, and changes the key of its log.

use std::path::Path;

use crate::registry::append::{OwnLog, check_place};
use crate::registry::publish::{RegistryWriter, read_about};
use crate::registry::store::Store;
use crate::steps::submit::{Fate, Submitted};
use crate::trust::Known;
use isn_format::error::{Error, Result};
use isn_format::key::Signer;
use isn_format::log::LogKey;
use isn_format::statement::{LogKeyChange, SignedStatement, Statement};

/// The description in a new registry's `registry.json`.
pub(crate) const DESCRIPTION: &str = "A registry of image-classification datasets, written by isn";

/// A registry and its log.
pub struct RegistryReport {
    /// Whether the registry or its log was created.
    pub made: bool,
    /// The log's key, which identifies the registry.
    pub log_key: LogKey,
    /// Where the log's private key is, if it is on this machine.
    pub key_path: Option<std::path::PathBuf>,
}

/// Makes a registry with an empty log of an empty location. `origin` is the log's name. `log_key` is the file
/// of a private key: either the new log's, or that of a log which exists and is to be used from this machine
/// too.
///
/// # Errors
/// [`Error::OtherLog`] if the location is known by another log; [`Error::Exists`] or [`Error::Invalid`] if
/// something else is there; [`Error::Key`] if the key cannot be used; [`Error::Io`] or [`Error::Network`] if
/// the location cannot be written to.
pub fn init(
    store: Box<dyn Store>,
    origin: Option<&str>,
    log_key: Option<&Path>,
    known: Known<'_>,
) -> Result<RegistryReport> {
    let logs = known.logs;
    check_place(store.as_ref(), known)?;
    let made = RegistryWriter::init(store.as_ref(), DESCRIPTION, || match log_key {
        None => logs.new_signer(origin),
        Some(file) => logs.adopt_signer(origin, file),
    })?;
    let claimed = read_about(store.as_ref())?.and_then(|about| about.log_key);
    let claimed = claimed.ok_or_else(|| Error::Internal("a registry without a log".into()))?;
    if let Some(file) = log_key.filter(|_| !made) {
        logs.import_signer(&claimed, file)?;
    }
    let log = logs.log(&claimed);
    let key_path = log.signer()?.map(|_| log.key_path());
    if key_path.is_some() {
        // Writes the log's files now, so that the registry is whole for its first reader.
        OwnLog::open(&RegistryWriter::open(store)?, known)?.view()?;
    }
    Ok(RegistryReport { made, log_key: claimed, key_path })
}

/// A change of a log's key.
pub struct RotateReport {
    /// The statement.
    pub submitted: Submitted,
    /// The new key.
    pub log_key: LogKey,
    /// Why the attestation log is not signed by the new key, or what stops its next entry.
    pub attestations: Option<Error>,
}

/// Gives the log another key, by a statement that the old and the new key sign. The attestation log is signed
/// anew; if it cannot be, that stops nothing, because a key that somebody else has must be given up.
///
/// # Errors
/// [`Error::Key`] if the log's private key is not on this machine; [`Error::Trust`] or [`Error::OtherLog`] if
/// the log is not as remembered; [`Error::Io`] or [`Error::Network`] if the registry cannot be written to.
pub fn rotate_key(store: Box<dyn Store>, known: Known<'_>) -> Result<RotateReport> {
    let writer = RegistryWriter::open_existing(store, known)?;
    let log = OwnLog::open(&writer, known)?;
    let view = log.view()?;
    let old = log.signer(&view.replica.history().key())?;
    // What a killed writer claimed there is signed by the old key, and is finished by it.
    let unfinished = log.attestations(&writer, known.logs).and_then(|attested| attested.view()).err();
    let new = known.logs.next_signer(old.log_key())?;
    let change = Statement::LogKey(LogKeyChange {
        origin: old.log_key().origin().into(),
        old: *old.log_key().key(),
        new: *new.log_key().key(),
    });
    let signed =
        SignedStatement::sign(&change, old.private_key() as &dyn Signer)?.sign_also(new.private_key())?;
    let first = log.append(&[signed])?.first;
    writer.set_log_key(new.log_key())?;
    // Remembers what is known of the log under its new key too.
    OwnLog::known_by(new.log_key(), &writer, known.logs)?.view()?;
    // Signs the attestation log anew.
    let unsigned = log.attestations(&writer, known.logs).err();
    Ok(RotateReport {
        submitted: Submitted { statement: change, fate: Fate::Logged(first) },
        log_key: new.log_key().clone(),
        attestations: unsigned.or(unfinished),
    })
}

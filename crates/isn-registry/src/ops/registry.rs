//! `isn registry`: a place becomes a registry, and its log gets another key.

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

/// What a new registry says of itself.
pub const DESCRIPTION: &str = "A registry of image-classification datasets, written by isn";

/// A registry and its log.
pub struct RegistryReport {
    /// Whether the place became a registry, or got a log.
    pub made: bool,
    /// Who it is.
    pub log_key: LogKey,
    /// Where the log's private key is, if it is on this machine.
    pub key_path: Option<std::path::PathBuf>,
}

/// Makes an empty place a registry with an empty log. `origin` is the log's name; `log_key` the file of a
/// private key that is to be the log's, or that is the log's already and is to be used on this machine too.
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
        // So that the registry is whole for who looks at it now.
        OwnLog::open(&RegistryWriter::open(store)?, known)?.view()?;
    }
    Ok(RegistryReport { made, log_key: claimed, key_path })
}

/// Gives the log another key: a statement that the old and the new one sign. Returns the new one.
pub fn rotate_key(store: Box<dyn Store>, known: Known<'_>) -> Result<(Submitted, LogKey)> {
    let writer = RegistryWriter::open_existing(store, known)?;
    let log = OwnLog::open(&writer, known)?;
    let view = log.view()?;
    let old = log.signer(&view.replica.history().key())?;
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
    // Known by its new key too, with what was seen of it so far.
    OwnLog::known_by(new.log_key(), &writer, known.logs)?.view()?;
    let submitted = Submitted { statement: change, fate: Fate::Logged(first) };
    Ok((submitted, new.log_key().clone()))
}

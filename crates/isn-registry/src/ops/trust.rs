//! `isn trust`: changes which logs, publishers and witnesses the user trusts for each registry.

use crate::known_logs::KnownLogs;
use crate::registry::BUNDLED;
use crate::trust::{AnyKey, RegistryId, TrustStore, any_key_argument};
use isn_format::error::{Error, Result};

/// Trusts a key (a file, a public key line, or a vkey) for a registry. `need` is the number of witnesses that
/// must sign.
///
/// # Errors
/// [`Error::Invalid`] if the registry or the key is not one; [`Error::Exists`] if another log is trusted
/// there; [`Error::TrustFile`] or [`Error::Io`] if the trust store cannot be read or written.
pub fn add(
    store: &mut TrustStore,
    registry: &str,
    key: &str,
    need: Option<usize>,
) -> Result<(RegistryId, AnyKey)> {
    let (id, key) = (identify(registry)?, any_key_argument(key)?);
    store.add(&id, &key)?;
    if let Some(need) = need {
        store.need_witnesses(&id, need)?;
    }
    Ok((id, key))
}

/// Stops trusting a key (a file, a public key line, its fingerprint, or a vkey). For a log key, also forgets
/// that the location has shown that log, so that it may become another registry.
///
/// # Errors
/// [`Error::NotFound`] if the key is not trusted for the registry; otherwise those of [`add`].
pub fn remove(
    store: &mut TrustStore,
    logs: &KnownLogs,
    registry: &str,
    key: &str,
) -> Result<(RegistryId, AnyKey)> {
    // What `isn trust list` shows can be removed, even if it could not be added now.
    let id = store.named(registry).map_or_else(|| identify(registry), Ok)?;
    let key = match store.key_by_fingerprint(&id, key) {
        Some(line) => AnyKey::Publisher(line),
        None => any_key_argument(key)?,
    };
    let is_forgotten = match &key {
        AnyKey::Log(log) => logs.forget_place(id.as_str(), log)?,
        _ => false,
    };
    match store.remove(&id, &key) {
        Err(Error::NotFound { .. }) if is_forgotten => Ok((id, key)),
        removed => removed.map(|()| (id, key)),
    }
}

fn identify(registry: &str) -> Result<RegistryId> {
    if registry == BUNDLED {
        let why = "comes with the program and is trusted as the program is: no key can be added or removed";
        return Err(Error::invalid("the bundled registry", why));
    }
    registry.parse()
}

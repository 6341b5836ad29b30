//! `isn trust`: which logs, publishers and witnesses a user believes, registry by registry.

use crate::known_logs::KnownLogs;
use crate::registry::BUNDLED;
use crate::trust::{AnyKey, RegistryId, TrustStore, any_key_argument};
use isn_format::error::{Error, Result};

/// Trusts a key (a file, the line itself, or a vkey) for a registry; `need` says how many witnesses must sign.
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

/// Trusts a key (a file, the line itself, its fingerprint, or a vkey) no more. Of a log it is also forgotten that the place
/// has shown it, so that it may become another registry.
pub fn remove(
    store: &mut TrustStore,
    logs: &KnownLogs,
    registry: &str,
    key: &str,
) -> Result<(RegistryId, AnyKey)> {
    let id = identify(registry)?;
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

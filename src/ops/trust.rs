//! `isn trust`: whose releases a user believes, registry by registry.

use crate::error::{Error, Result};
use crate::key::{KeyLine, PublicKey};
use crate::registry::BUNDLED;
use crate::trust::{RegistryId, TrustStore, public_key_argument};

/// Trusts a key (a file, or the line itself) for a registry.
pub fn add(store: &mut TrustStore, registry: &str, key: &str) -> Result<(RegistryId, KeyLine)> {
    let (id, line) = (identify(registry)?, public_key_argument(key)?);
    store.add(&id, &line)?;
    Ok((id, line))
}

/// Trusts a key (a file, the line itself, or its fingerprint) no more.
pub fn remove(store: &mut TrustStore, registry: &str, key: &str) -> Result<(RegistryId, PublicKey)> {
    let id = identify(registry)?;
    let key = match store.key_by_fingerprint(&id, key) {
        Some(key) => key,
        None => public_key_argument(key)?.key,
    };
    store.remove(&id, &key)?;
    Ok((id, key))
}

fn identify(registry: &str) -> Result<RegistryId> {
    if registry == BUNDLED {
        let why = "comes with the program and is trusted as the program is: no key can be added or removed";
        return Err(Error::invalid("the bundled registry", why));
    }
    registry.parse()
}

//! `isn trust`: whose releases a user believes, registry by registry.

use crate::error::Result;
use crate::key::PublicKey;
use crate::registry::id_of;
use crate::trust::{TrustStore, public_key_argument};

/// Trusts a key (a file, or the line itself) for a registry. Gives the registry's identity and the key.
pub fn add(store: &mut TrustStore, registry: &str, key: &str) -> Result<(String, PublicKey)> {
    let (id, key) = (id_of(registry)?, public_key_argument(key)?);
    store.add(&id, &key)?;
    Ok((id, key))
}

/// Trusts a key (a file, the line itself, or its fingerprint) no more.
pub fn remove(store: &mut TrustStore, registry: &str, key: &str) -> Result<(String, PublicKey)> {
    let id = id_of(registry)?;
    let by_fingerprint = store.keys_for(&id).into_iter().find(|known| known.fingerprint() == key);
    let key = match by_fingerprint {
        Some(key) => key,
        None => public_key_argument(key)?,
    };
    store.remove(&id, &key)?;
    Ok((id, key))
}

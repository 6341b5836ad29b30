//! The verbs, one file each. An operation takes what it needs as arguments, tells a [`crate::progress::Progress`]
//! how far it is, and returns a report; it prints nothing and reads no environment.

pub mod build;
pub mod cite;
pub mod demo;
pub mod info;
pub mod list;
pub mod publish;
pub mod pull;
pub mod sync;
pub mod trust;
pub mod verify;

use crate::dataset_ref::DatasetRef;
use crate::error::{Error, Result};
use crate::key::PublicKey;
use crate::registry::{Registry, Snapshot};
use crate::transport::bundled::Bundled;
use crate::trust::TrustStore;

/// Where the bundled registry keeps the public half of its demonstration key.
const DEMO_KEY: &str = "keys/demo.pub";

/// The registries to look in, in order, and whom to believe.
pub struct Registries<'a> {
    /// `bundled`, URLs or folders.
    pub locations: &'a [String],
    /// The user's trusted keys.
    pub trust: &'a TrustStore,
}

impl Registries<'_> {
    /// The version that `reference` means, from the first registry that has it.
    pub async fn snapshot(&self, reference: &DatasetRef) -> Result<(Registry, Snapshot)> {
        let mut absent = None;
        for location in self.locations {
            let registry = Registry::open(location)?;
            let trusted = trusted_keys(&registry, self.trust)?;
            match registry.snapshot(reference, &trusted).await {
                Ok(snapshot) => return Ok((registry, snapshot)),
                // Mirrors of one registry: the next one may have it, or be reached.
                Err(e @ (Error::NotFound { .. } | Error::Network { .. } | Error::Unreleased { .. })) => {
                    absent.get_or_insert(e);
                }
                Err(e) => return Err(e),
            }
        }
        Err(absent.unwrap_or_else(|| Error::invalid("registry", "none was named")))
    }
}

/// Whom the user trusts for a registry. The demonstration key counts for the bundled one alone: who runs this
/// binary trusts its source tree.
pub fn trusted_keys(registry: &Registry, trust: &TrustStore) -> Result<Vec<PublicKey>> {
    match (registry.id(), Bundled::file(DEMO_KEY)) {
        (Some(id), _) => Ok(trust.keys_for(id)),
        (None, Some(key)) => Ok(vec![String::from_utf8_lossy(key).parse()?]),
        (None, None) => Ok(Vec::new()),
    }
}

//! What an attestation log says: which keys state to have built which version.

use serde::{Deserialize, Serialize};

use super::super::key::is_of_attestations;
use super::{History, Refusal};
use crate::dataset_ref::VersionId;
use crate::digest::Digest;
use crate::key::PublicKey;
use crate::statement::Rebuilt;

/// A key's statement that it has built a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Built {
    /// The number of its entry.
    pub index: u64,
    /// The dataset hash.
    pub dataset: Digest,
    /// The digest of recipe and ledger.
    pub inputs: Digest,
    /// The digest of the source files.
    pub sources: Digest,
    /// The proof that the key's holder has the images.
    pub possession: Digest,
}

impl Built {
    /// Whether it states the same as `rebuilt`, which is about the same version.
    pub fn states(&self, rebuilt: &Rebuilt) -> bool {
        let Rebuilt { id: _, dataset, inputs, sources, possession } = rebuilt;
        (&self.dataset, &self.inputs, &self.sources, &self.possession)
            == (dataset, inputs, sources, possession)
    }
}

impl History {
    /// Returns the keys that state to have built a version, with what each states.
    pub fn built(&self, id: &VersionId) -> impl Iterator<Item = (&PublicKey, &Built)> {
        self.built.get(&id.name).and_then(|versions| versions.get(&id.version)).into_iter().flatten()
    }

    /// Iterates over the versions that keys state to have built.
    pub fn built_versions(&self) -> impl Iterator<Item = VersionId> {
        self.built.iter().flat_map(|(name, versions)| {
            versions.keys().map(|version| VersionId { name: name.clone(), version: *version })
        })
    }

    pub(super) fn attests(&self) -> bool {
        is_of_attestations(self.anchor.origin())
    }

    pub(super) fn check_rebuilt(&self, rebuilt: &Rebuilt, signers: &[PublicKey]) -> Result<(), Refusal> {
        match self.built(&rebuilt.id).find(|(key, _)| signers.contains(key)) {
            Some((_, first)) => {
                let first = first.index;
                Err(format!("is a second one by that key: entry {first} is the first").into())
            }
            None => Ok(()),
        }
    }

    /// Applies a statement that [`History::check`] has found valid.
    pub(super) fn enact_rebuilt(&mut self, index: u64, rebuilt: &Rebuilt, signers: &[PublicKey]) {
        let Rebuilt { id, dataset, inputs, sources, possession } = rebuilt.clone();
        let keys = self.built.entry(id.name).or_default().entry(id.version).or_default();
        let built = Built { index, dataset, inputs, sources, possession };
        keys.extend(signers.iter().map(|key| (*key, built.clone())));
    }
}

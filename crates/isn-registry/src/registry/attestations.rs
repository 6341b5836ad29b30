//! What keys state to have built of a version: the file of the version, beside the attestation log.

use std::collections::BTreeMap;

use super::publish::RegistryWriter;
use super::{MAX_BUILT, Registry, layout};
use isn_format::dataset_ref::VersionId;
use isn_format::error::Result;
use isn_format::key::PublicKey;
use isn_format::log::bundle;
use isn_format::statement::{Rebuilt, SignedStatement, Statement};

impl Registry {
    /// Returns what keys state to have built of a version, in one small request: a hint in that it may leave
    /// statements out; each that it has is signed. What is no such statement is passed over.
    ///
    /// # Errors
    /// Fails if the file is there and cannot be read, or is too long.
    pub async fn built(&self, id: &VersionId) -> Result<BTreeMap<PublicKey, Rebuilt>> {
        let bytes = self.read(&layout::built(id), MAX_BUILT).await?.unwrap_or_default();
        let mut built = BTreeMap::new();
        for entry in bundle::read_all(&bytes).unwrap_or_default() {
            let attested = SignedStatement::parse("it", entry.to_vec()).and_then(|signed| signed.attested());
            if let Ok(attested) = attested
                && let (Statement::Rebuilt(rebuilt), [signer]) = (attested.statement, &attested.signers[..])
                && rebuilt.id == *id
            {
                built.entry(*signer).or_insert(rebuilt);
            }
        }
        Ok(built)
    }
}

impl RegistryWriter {
    /// Adds an entry of the attestation log to the file of its version, unless it is there or the file is
    /// full.
    ///
    /// # Errors
    /// Fails if the file cannot be read or written.
    pub fn list_built(&self, id: &VersionId, entry: &[u8]) -> Result<()> {
        self.store().update(&layout::built(id), &mut |there| {
            let there = there.unwrap_or_default();
            // What is no list of entries was damaged, and is begun again.
            let entries = bundle::read_all(there).unwrap_or_default();
            if entries.contains(&entry) {
                return Ok(None);
            }
            let mut listed = Vec::new();
            entries.iter().chain([&entry]).try_for_each(|entry| bundle::push(&mut listed, entry))?;
            Ok((listed.len() as u64 <= MAX_BUILT).then_some(listed))
        })
    }
}

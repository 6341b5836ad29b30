//! `isn list`: the datasets and versions of a registry, as it says itself: nothing in the answer is verified.

use crate::dataset_ref::{Name, Version};
use crate::error::Result;
use crate::registry::Registry;
use crate::transport::{self, Access};

/// One dataset.
pub struct Listed {
    /// The identity of the registry.
    pub registry: String,
    /// Its name.
    pub name: Name,
    /// Its versions, oldest first.
    pub versions: Vec<Version>,
}

/// Lists what the registries at `locations` have.
pub fn list(locations: &[String], access: &Access) -> Result<Vec<Listed>> {
    let runtime = transport::runtime()?;
    let mut listed = Vec::new();
    for location in locations {
        let registry = Registry::open(location, access)?;
        runtime.block_on(async {
            registry.about().await?;
            for name in registry.names().await? {
                let versions = registry.versions(&name).await?;
                listed.push(Listed { registry: registry.name().into(), name, versions });
            }
            Ok::<(), crate::error::Error>(())
        })?;
    }
    Ok(listed)
}

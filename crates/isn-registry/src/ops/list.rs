//! `isn list`: lists the datasets and versions that a registry claims to have. Nothing in the answer is
//! verified.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::registry::Registry;
use crate::transport::{self, Access};
use isn_format::dataset_ref::{Name, Version};
use isn_format::error::{Error, Result};

/// The maximum number of requests at once.
const REQUESTS: usize = 8;

/// One dataset.
pub struct Listed {
    /// The identity of the registry.
    pub registry: String,
    /// The name of the dataset.
    pub name: Name,
    /// Its versions, oldest first.
    pub versions: Vec<Version>,
}

/// Lists the datasets of the registries at `locations`, and the errors of those that could not be listed.
///
/// # Errors
/// [`Error::Io`] if the network cannot be prepared. The errors of registries are in the second list.
pub fn list(locations: &[String], access: &Access) -> Result<(Vec<Listed>, Vec<Error>)> {
    let runtime = transport::runtime()?;
    let (mut listed, mut failed) = (Vec::new(), Vec::new());
    for location in locations {
        let of_it =
            Registry::open(location, access).and_then(|registry| runtime.block_on(list_one(&registry)));
        match of_it {
            Ok(of_it) => listed.extend(of_it),
            Err(e) => failed.push(e),
        }
    }
    Ok((listed, failed))
}

async fn list_one(registry: &Registry) -> Result<Vec<Listed>> {
    registry.about().await?;
    let names = registry.names().await?;
    let one = |name: Name| async move {
        let versions = registry.versions(&name).await?;
        Ok(Listed { registry: registry.name().into(), name, versions })
    };
    stream::iter(names).map(one).buffered(REQUESTS).try_collect().await
}

//! What `isn list` marks: versions that are yanked or withdrawn by a registry's log.

use crate::client::Client;
use crate::transport;
use isn_format::error::Result;
use isn_format::log::History;

/// What the logs of a registry say.
#[derive(Default)]
pub struct Histories {
    /// The registry's log.
    pub log: Option<History>,
    /// The message that this is not all that the log has by now, if it is not.
    pub behind: Option<String>,
    /// Its attestation log, or why it cannot be read.
    pub attestations: Option<Result<History>>,
}

/// Reads the logs of the registry at `location`, or those that it claims to have if you trust none of it.
///
/// # Errors
/// Fails if the registry's log cannot be read, or contradicts what was seen of it.
pub fn histories(client: &Client, location: &str) -> Result<Histories> {
    transport::runtime()?.block_on(async {
        let registry = client.open(location)?;
        let belief = client.belief(&registry).await?;
        if belief.log.is_none() && registry.about().await?.log_key.is_none() {
            return Ok(Histories::default());
        }
        let (_, view) = client.claimed_view(&registry, &belief).await?;
        let (log, behind) = (Some(view.replica.history().clone()), view.behind.clone());
        if !registry.attests() {
            return Ok(Histories { log, behind, attestations: None });
        }
        // Nothing that is listed depends on it, so a server that does not answer is not waited for.
        let attested =
            client.attestations(&client.open_aside(location)?, view.replica.history()).await.transpose();
        let attestations = attested.map(|view| view.map(|view| view.replica.history().clone()));
        Ok(Histories { log, behind, attestations })
    })
}

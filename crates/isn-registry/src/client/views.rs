//! Reads the logs of registries, as far as a verb needs them: over the network, or as they were last seen.

use super::{Belief, Client};
use crate::known_logs::{KnownLog, RememberedName, Seen};
use crate::registry::log::{LogView, WitnessPolicy};
use crate::registry::one_name::{ExtractView, NameView};
use crate::registry::{BUNDLED, Registry};
use crate::transport::trace::without_secrets;
use crate::trust::RegistryId;
use isn_format::dataset_ref::Name;
use isn_format::error::{Error, Missing, NetworkKind, Result};
use isn_format::log::{History, LogKey, Replica, SignedCheckpoint};

impl Client {
    /// Returns the log of a registry, if the user believes one, as far as it is needed for `name`; as a whole
    /// if there is none.
    ///
    /// # Errors
    /// [`Error::Trust`] if the registry shows no log, or as for [`Registry::sync_log`]; [`Error::Invalid`] if
    /// a maximum age is set without a trusted log.
    pub async fn view(
        &self,
        registry: &Registry,
        belief: &Belief,
        name: Option<&Name>,
    ) -> Result<Option<NameView>> {
        let Some(log) = &belief.log else {
            return match self.max_age {
                None => Ok(None),
                Some(_) => Err(Error::invalid("--max-age", "needs a log that you trust, with a witness")),
            };
        };
        let view = self.sync_for(registry, log, belief, name).await?;
        view.map(Some).ok_or_else(|| {
            let what = format!("registry {}", registry.name());
            Error::trust(what, format!("shows no log, but is known by its log {log}: a log does not go away"))
        })
    }

    /// As [`Client::view`], but falls back to the log that the registry claims; also returns the key that the
    /// log is known by.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the registry claims no log; [`Error::Trust`] if it shows none; also as
    /// [`Registry::about`] and [`Registry::sync_log`].
    pub(crate) async fn claimed_view(
        &self,
        registry: &Registry,
        belief: &Belief,
    ) -> Result<(LogKey, LogView)> {
        self.audited_view(registry, belief, None).await
    }

    /// As [`Client::claimed_view`], as far as the log is needed for `name`.
    ///
    /// # Errors
    /// As [`Client::claimed_view`].
    pub(crate) async fn claimed_view_of(
        &self,
        registry: &Registry,
        belief: &Belief,
        name: Option<&Name>,
    ) -> Result<(LogKey, NameView)> {
        let Some(log) = belief.claimed_log() else { return Err(no_log(registry).await) };
        let view = self.sync_for(registry, log, belief, name).await?;
        Ok((log.clone(), view.ok_or_else(|| shows_none(registry, log))?))
    }

    /// As [`Client::claimed_view`], if the log was perhaps just read and replayed as a whole: it is not
    /// replayed again if it is still as long.
    ///
    /// # Errors
    /// As [`Client::claimed_view`].
    pub(crate) async fn audited_view(
        &self,
        registry: &Registry,
        belief: &Belief,
        whole: Option<Replica>,
    ) -> Result<(LogKey, LogView)> {
        let Some(log) = belief.claimed_log() else { return Err(no_log(registry).await) };
        let view = self.sync(registry, log, belief, whole).await?;
        Ok((log.clone(), view.ok_or_else(|| shows_none(registry, log))?))
    }

    /// Reads the attestation log of a registry whose log has this history; returns `None` if it has none, or
    /// the network may not be used.
    ///
    /// # Errors
    /// As [`Registry::sync_log`].
    pub async fn attestations(&self, registry: &Registry, of: &History) -> Result<Option<LogView>> {
        let is_remote = registry.is_gone() || registry.id().is_some_and(RegistryId::is_remote);
        let Ok(key) = of.key().attestations() else { return Ok(None) };
        if self.access.offline && is_remote {
            return Ok(None);
        }
        let known = (registry.name() != BUNDLED).then(|| self.logs.log(&key));
        registry.sync_log(&key, known.as_ref(), &WitnessPolicy::default()).await
    }

    /// Reads a log as far as it is needed for `name`.
    pub(super) async fn sync_for(
        &self,
        registry: &Registry,
        log: &LogKey,
        belief: &Belief,
        name: Option<&Name>,
    ) -> Result<Option<NameView>> {
        let known = self.known_log(registry, log);
        let (Some(name), Some(known), false) = (name, known, self.whole_log) else {
            return Ok(self.sync(registry, log, belief, None).await?.map(NameView::Whole));
        };
        if self.is_not_asked(registry) {
            return name_as_last_seen(&known, registry, &belief.policy, name).map(Some);
        }
        let view = registry.sync_name(log, &known, &belief.policy, name).await?;
        if let Some(view) = &view {
            self.note_read(registry, log, belief, view.history().size())?;
        }
        Ok(view)
    }

    async fn sync(
        &self,
        registry: &Registry,
        log: &LogKey,
        belief: &Belief,
        whole: Option<Replica>,
    ) -> Result<Option<LogView>> {
        let policy = &belief.policy;
        let known = self.known_log(registry, log);
        if let Some(known) = known.as_ref().filter(|_| self.is_not_asked(registry)) {
            return as_last_seen(known, registry, policy).map(Some);
        }
        let view = registry.sync_audited(log, known.as_ref(), policy, whole).await?;
        if let Some(view) = &view {
            self.note_read(registry, log, belief, view.replica.size())?;
        }
        Ok(view)
    }

    /// What is remembered of a log; nothing of that of the bundled registry, which is as fixed as the
    /// program.
    fn known_log(&self, registry: &Registry, log: &LogKey) -> Option<KnownLog> {
        (registry.name() != BUNDLED).then(|| self.logs.log(log))
    }

    /// Whether a registry's log is only remembered, since the network may not be used.
    fn is_not_asked(&self, registry: &Registry) -> bool {
        self.access.offline && (registry.is_gone() || registry.id().is_some_and(RegistryId::is_remote))
    }

    /// Remembers that a registry shows this log, of so many entries.
    fn note_read(&self, registry: &Registry, log: &LogKey, belief: &Belief, entries: u64) -> Result<()> {
        tracing::info!("the log of registry {} has {entries} entries", without_secrets(registry.name()));
        // A log that the user has no reason to believe does not replace the one that was seen at this
        // location: looking at another log is no reason to write to it.
        if let (Some(_), Some(id)) = (self.known_log(registry, log), registry.id())
            && (belief.log.is_some() || self.logs.log_at(id.as_str()).is_none())
        {
            // Reading must be possible with a read-only home, but not with somebody else's file in the place
            // of isn's own.
            if let Err(foreign @ Error::Foreign { .. }) = self.logs.note_place(id.as_str(), log) {
                return Err(foreign);
            }
        }
        Ok(())
    }
}

/// Returns the log of a registry as it was last seen, if that satisfies the user's policy.
pub(super) fn as_last_seen(known: &KnownLog, registry: &Registry, policy: &WitnessPolicy) -> Result<LogView> {
    let (replica, seen) = known.load()?.whole().ok_or_else(|| never_seen(registry, policy))?;
    let behind = offline(registry, &seen, policy)?;
    Ok(LogView { replica, note: seen.note, behind: Some(behind) })
}

/// As [`as_last_seen`], as far as the log is needed for `name`.
pub(super) fn name_as_last_seen(
    known: &KnownLog,
    registry: &Registry,
    policy: &WitnessPolicy,
    name: &Name,
) -> Result<NameView> {
    let whole = known.load()?.whole();
    match known.name(name) {
        Some(RememberedName { extract, seen })
            if whole.as_ref().is_none_or(|(replica, _)| replica.size() < seen.size) =>
        {
            let behind = Some(offline(registry, &seen, policy)?);
            Ok(NameView::Extract(ExtractView { extract, note: seen.note, behind }))
        }
        _ => {
            let (replica, seen) = whole.ok_or_else(|| never_seen(registry, policy))?;
            let behind = Some(offline(registry, &seen, policy)?);
            Ok(NameView::Whole(LogView { replica, note: seen.note, behind }))
        }
    }
}

/// Returns the message that a registry is not asked, and the checkpoint `seen` counts, if that satisfies the
/// user's policy.
fn offline(registry: &Registry, seen: &Seen, policy: &WitnessPolicy) -> Result<String> {
    let what = format!("the checkpoint of registry {} as it was last seen (offline)", registry.name());
    policy.check(&what, &SignedCheckpoint::parse(&what, seen.note.clone())?)?;
    Ok(format!(
        "offline: what counts is the log of registry {} as it was last seen, with {} entries",
        registry.name(),
        seen.size
    ))
}

fn never_seen(registry: &Registry, policy: &WitnessPolicy) -> Error {
    if policy.max_age.is_some() {
        let why = "is not asked (offline), and its log was never seen: --max-age cannot be checked";
        return Error::trust(format!("registry {}", registry.name()), why);
    }
    let why = "is not asked (offline), and its log was never seen: pull once with a network, or by a pin";
    Error::network(NetworkKind::Offline, registry.name(), why)
}

/// Returns the error that a registry claims no log.
async fn no_log(registry: &Registry) -> Error {
    // Only a `registry.json` that can be read says that there is none.
    match registry.about().await {
        Ok(_) => Error::not_found(Missing::Log, "log", format!("registry {}", registry.name())),
        Err(e) => e,
    }
}

fn shows_none(registry: &Registry, log: &LogKey) -> Error {
    let why = format!("shows no log, and says that it is {log}");
    Error::trust(format!("registry {}", registry.name()), why)
}

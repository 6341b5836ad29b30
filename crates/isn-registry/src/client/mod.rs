//! [`Client`]: the registries that a user looks in, and whom the user believes. It finds the version that a
//! reference means and somebody vouches for: a log that the user trusts, a publisher's key, or the pin.

mod names;
mod pins;
pub mod version_at;
mod views;

use std::borrow::Cow;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) use names::unanswered;
use pins::is_yanked;

use crate::cache::Cache;
use crate::files;
use crate::known_logs::KnownLogs;
use crate::registry::ahead::Needs;
use crate::registry::log::WitnessPolicy;
use crate::registry::one_name::NameView;
use crate::registry::{BUNDLED, Head, Outcome, Registry, Snapshot, folder_of, layout};
use crate::transport::Access;
use crate::transport::trace::without_secrets;
use crate::trust::{Known, RegistryId, TrustStore, Trusted};
use isn_format::dataset_ref::{DatasetRef, Name, VersionId};
use isn_format::error::{Error, Missing, Overlap, Result};
use isn_format::key::PublicKey;
use isn_format::log::{History, LogKey, Rejected, leaf_hash};
use isn_format::release::{Release, unknown_signer};
use isn_format::tree::Selection;

/// The file of the bundled registry with the public half of its demonstration key.
const DEMO_KEY: &str = "keys/demo.pub";

/// The registries to look in, in order, and whom to believe.
#[derive(Clone, Debug)]
pub struct Client {
    /// The locations: `bundled`, URLs or folders.
    pub locations: Vec<String>,
    /// The setting that names the locations; empty if the command line does.
    pub named_by: String,
    /// The logs and keys that the user trusts.
    pub trust: TrustStore,
    /// The logs that this user has seen.
    pub logs: KnownLogs,
    /// The cache, if there is one.
    pub cache: Option<Cache>,
    /// How the network may be used.
    pub access: Access,
    /// The maximum age, in seconds, of the witnesses' view of a log.
    pub max_age: Option<u64>,
    /// Whether no index of names is believed: a log is read as a whole, however long it is.
    pub whole_log: bool,
}

/// What the user believes about a registry.
pub struct Belief {
    /// The log's key, if the user has a reason to believe it.
    pub log: Option<LogKey>,
    /// Whether that key is not yet in the trust store, because the user has named only a publisher.
    is_new: bool,
    /// The key that the registry claims for its log.
    pub(crate) claimed: Option<LogKey>,
    /// Why the location does not look like a registry, if it does not.
    pub(crate) unlike: Option<Error>,
    /// The publishers whose releases count.
    pub keys: Vec<PublicKey>,
    /// Which witnesses must have seen the log.
    pub policy: WitnessPolicy,
}

impl Belief {
    /// The key of the registry's log: the one that the user believes, or else the one that it claims.
    pub(crate) fn claimed_log(&self) -> Option<&LogKey> {
        self.log.as_ref().or(self.claimed.as_ref())
    }
}

impl Client {
    /// Opens one of the registries, with the others as mirrors for objects that it lacks. Objects from
    /// another machine are kept in the cache. Without a network, the cache also has what a folder lacks.
    ///
    /// # Errors
    /// As [`Registry::open`].
    pub fn open(&self, location: &str) -> Result<Registry> {
        let registry = Registry::open(location, &self.access).map_err(|e| self.named(e))?;
        let cache = self.cache.clone();
        let registry = match registry.id() {
            Some(id) if id.is_remote() => registry.with_cache(cache),
            Some(_) if self.access.offline => registry.with_cache_to_read(cache),
            _ => registry,
        };
        let others = self.locations.iter().filter(|other| *other != location);
        // A mirror that cannot be opened is no reason to fail before it is needed.
        let mirrors = others.filter_map(|other| Registry::open(other, &self.access).ok());
        Ok(registry.with_mirrors(mirrors))
    }

    /// Checks that a folder to write is none of the registries.
    ///
    /// # Errors
    /// [`Error::Overlap`] if it is one. It may be in one: readers ignore files that they do not know.
    pub(crate) fn check_is_no_registry(&self, output: &Path) -> Result<()> {
        let is_it = |folder: &&Path| files::overlap(output, folder) == Some(Overlap::Is);
        match self.locations.iter().filter_map(|location| folder_of(location)).find(is_it) {
            Some(registry) => files::check_apart(output, "the registry", registry),
            None => Ok(()),
        }
    }

    /// Returns the sorted names of the recipes in the registry at `location`. Servers and buckets are not
    /// listed: it returns none.
    pub fn recipes(&self, location: &str) -> Vec<Name> {
        let of_path = |path: &str| {
            let name: Name = path.split('/').nth(1)?.parse().ok()?;
            (path == layout::recipe(&name)).then_some(name)
        };
        let mut names: Vec<Name> = if location == BUNDLED {
            self.access.bundled.paths().filter_map(of_path).collect()
        } else if let Some(root) = folder_of(location) {
            let folders = fs::read_dir(root.join("recipes")).into_iter().flatten().flatten();
            let names = folders.filter_map(|folder| folder.file_name().to_str()?.parse().ok());
            names.filter(|name| root.join(layout::recipe(name)).is_file()).collect()
        } else {
            Vec::new()
        };
        names.sort();
        names
    }

    /// Adds the setting that names a registry to the error that there is no such folder.
    pub fn named(&self, mut error: Error) -> Error {
        if let Error::NotFound { kind: Missing::Location, what, place, .. } = &mut error
            && self.locations.contains(what)
        {
            place.clone_from(&self.named_by);
        }
        error
    }

    /// Returns the version that `reference` means, from the first registry that has it.
    ///
    /// # Errors
    /// As [`Client::head`]; [`Error::Withdrawn`] if objects are missing and the version is withdrawn; also as
    /// [`Registry::complete`].
    pub async fn snapshot(&self, reference: &DatasetRef) -> Result<(Registry, Snapshot)> {
        self.part(reference, Needs::LISTS, &Selection::default()).await
    }

    /// As [`Client::snapshot`], for a command that `needs` more than that, or only what a selection has:
    /// where that can be read alone, nothing else is.
    ///
    /// # Errors
    /// As [`Client::snapshot`].
    pub(crate) async fn part(
        &self,
        reference: &DatasetRef,
        needs: Needs,
        selection: &Selection,
    ) -> Result<(Registry, Snapshot)> {
        let (registry, head) = self.find(reference, needs.of(selection)).await?;
        let snapshot = complete_part(&registry, head, selection).await?;
        Ok((registry, snapshot))
    }

    /// As [`Client::part`], for who also needs images, and what keys state to have built of that version.
    /// That costs one small request at most, beside others, and none of a registry whose `registry.json`
    /// names no attestation log.
    ///
    /// # Errors
    /// As [`Client::snapshot`].
    pub(crate) async fn part_and_outcomes(
        &self,
        reference: &DatasetRef,
        selection: &Selection,
    ) -> Result<(Registry, Snapshot, Vec<Outcome>)> {
        let (registry, head) = self.find(reference, Needs::IMAGES.of(selection)).await?;
        let id = head.manifest.id();
        let snapshot = complete_part(&registry, head, selection);
        let (snapshot, outcomes) = tokio::join!(snapshot, stated_in(&registry, &id));
        Ok((registry, snapshot?, outcomes))
    }

    /// Returns the registries that have what keys state to have built of a version that perhaps nobody
    /// released, each with it.
    pub async fn outcomes(&self, id: &VersionId) -> Vec<(String, Vec<Outcome>)> {
        let mut found = Vec::new();
        for location in self.locations.iter().filter(|location| *location != BUNDLED) {
            let Ok(registry) = Registry::open(location, &self.access) else { continue };
            if !registry.about().await.is_ok_and(|about| about.attestations) {
                continue;
            }
            let outcomes = registry.outcomes(id).await;
            if !outcomes.is_empty() {
                found.push((registry.name().to_string(), outcomes));
            }
        }
        found
    }

    /// As [`Client::snapshot`], without what the manifest lists.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Unreleased`] or [`Error::Withdrawn`] if there is no such version;
    /// [`Error::Unanswered`] if a registry that may own the name does not answer; [`Error::UnknownSigner`] or
    /// [`Error::Trust`] if nobody whom the user believes vouches for it; [`Error::Network`] or
    /// [`Error::Integrity`] if it cannot be read.
    pub async fn head(&self, reference: &DatasetRef) -> Result<(Registry, Head)> {
        self.find(reference, Needs::MANIFEST).await
    }

    /// As [`Client::head`], for a command that `needs` more than that.
    ///
    /// # Errors
    /// As [`Client::head`].
    pub(crate) async fn find(&self, reference: &DatasetRef, needs: Needs) -> Result<(Registry, Head)> {
        let (registry, head) = match reference {
            DatasetRef::Pin(pin) | DatasetRef::Version(_, Some(pin)) => {
                self.by_pin(reference, pin, needs).await
            }
            DatasetRef::Newest(name) | DatasetRef::Version(VersionId { name, .. }, None) => {
                self.by_name(reference, name, needs).await
            }
        }?;
        tracing::info!("{reference} comes from registry {}", without_secrets(registry.name()));
        Ok((registry, head))
    }

    /// Returns what the user believes about a registry. The bundled one is believed as the program is: its
    /// user trusts its source.
    ///
    /// # Errors
    /// [`Error::Network`] if the registry cannot be reached.
    pub(crate) async fn belief(&self, registry: &Registry) -> Result<Belief> {
        let (claimed, unlike) = match registry.about().await {
            Ok(about) => (about.log_key, None),
            Err(e @ Error::Network { .. }) if !self.access.offline => return Err(e),
            // Any other fault shows again where it matters. A log that is known counts without
            // `registry.json`.
            Err(e) => (None, Some(e)),
        };
        let Some(id) = registry.id() else {
            let keys = match self.access.bundled.file(DEMO_KEY) {
                Some(key) if registry.name() == BUNDLED => vec![String::from_utf8_lossy(key).parse()?],
                _ => Vec::new(),
            };
            let log = claimed.clone().filter(|_| !keys.is_empty());
            let policy = WitnessPolicy::default();
            return Ok(Belief { log, is_new: false, claimed, unlike, keys, policy });
        };
        // For a location that is not in the trust store, the log that it showed before counts more than the
        // one that it shows now. If nothing of a registry is left there, as with a disk that is not mounted,
        // neither counts.
        let is_gone = !self.access.offline
            && matches!(&unlike, Some(Error::NotFound { kind, .. }) if *kind != Missing::RegistryJson);
        let at = if is_gone { self.known().named(id) } else { self.believed_at(id) };
        let claimed_to_be = || self.known().believed_of(claimed.as_ref()?).map(Cow::Borrowed);
        let trusted = at.or_else(claimed_to_be).unwrap_or_default();
        let belief = self.believed(&trusted, claimed);
        let has_no_log = self.trust.get(id).is_some_and(|named| named.log.is_none());
        Ok(Belief { is_new: belief.log.is_some() && has_no_log, unlike, ..belief })
    }

    /// Returns what is believed about a registry that claims the log `claimed`, if the user believes
    /// `trusted` about it.
    fn believed(&self, trusted: &Trusted, claimed: Option<LogKey>) -> Belief {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let keys = trusted.public_keys();
        // A trusted publisher's key is reason enough to begin with the log that the registry shows.
        let first = claimed.clone().filter(|_| trusted.log.is_none() && !keys.is_empty());
        let witnesses = trusted.witnesses.clone();
        let needed = trusted.witnesses_needed.unwrap_or(witnesses.len());
        Belief {
            is_new: false,
            log: trusted.believed_log().cloned().or(first),
            claimed,
            unlike: None,
            keys,
            policy: WitnessPolicy { witnesses, needed, max_age: self.max_age, now },
        }
    }

    /// What the user knows about registries.
    pub fn known(&self) -> Known<'_> {
        Known { trust: &self.trust, logs: &self.logs }
    }

    /// Returns what is believed about a location by the log that it must show: as recorded for the location,
    /// or for that log at another location.
    fn believed_at(&self, place: &RegistryId) -> Option<Cow<'_, Trusted>> {
        let known = self.known();
        known.named(place).or_else(|| known.believed_of(&known.log_of(place)?).map(Cow::Borrowed))
    }

    /// Remembers the log of a registry, and returns the notice about it.
    fn pin_log(&self, registry: &Registry, belief: &Belief) -> Result<String> {
        let (Some(id), Some(log)) = (registry.id(), &belief.log) else {
            return Err(Error::Internal("a first contact without a log".into()));
        };
        self.trust.clone().meet(id, log)?;
        Ok(format!("first contact: registry {id} is known by its log's key from now on, {log}"))
    }
}

/// Returns what keys state in a registry to have built of a version, if it has an attestation log.
pub(crate) async fn stated_in(registry: &Registry, id: &VersionId) -> Vec<Outcome> {
    if registry.attests() { registry.outcomes(id).await } else { Vec::new() }
}

/// As [`complete`], of what a selection has, where that can be read alone.
pub(crate) async fn complete_part(
    registry: &Registry,
    head: Head,
    selection: &Selection,
) -> Result<Snapshot> {
    let (id, reason) = (head.manifest.id(), head.withdrawn.clone());
    registry.complete_part(head, selection).await.map_err(|e| without_objects(e, id, reason))
}

/// Reads what a manifest lists. If objects are missing and the version is withdrawn, the error says so.
pub(crate) async fn complete(registry: &Registry, head: Head) -> Result<Snapshot> {
    let (id, reason) = (head.manifest.id(), head.withdrawn.clone());
    registry.complete(head).await.map_err(|e| without_objects(e, id, reason))
}

/// Returns the error about an object of a version, which may be gone if the version is withdrawn.
pub(crate) fn withdrawn(error: Error, head: &Head) -> Error {
    without_objects(error, head.manifest.id(), head.withdrawn.clone())
}

fn without_objects(error: Error, id: VersionId, withdrawn: Option<String>) -> Error {
    match (error, withdrawn) {
        (Error::Integrity { .. } | Error::NotFound { .. }, Some(reason)) => {
            Error::Withdrawn { reference: DatasetRef::Version(id, None), reason }
        }
        (e, _) => e,
    }
}

fn none_named() -> Error {
    Error::invalid("registry", "none was named")
}

fn no_effect(rejected: &Rejected) -> String {
    format!("entry {} of the log has no effect: {}", rejected.index, rejected.why)
}

fn subject(history: &History, reference: &DatasetRef) -> Option<VersionId> {
    match reference {
        DatasetRef::Version(id, _) => Some(id.clone()),
        DatasetRef::Newest(name) => Some(VersionId { name: name.clone(), version: history.newest(name)? }),
        DatasetRef::Pin(pin) => history.find(pin),
    }
}

/// What the user may have meant: the versions that a name has, or similar names.
pub(crate) fn near(history: &History, name: &Name) -> Vec<String> {
    match history.dataset(name) {
        Some(dataset) => {
            let standing = dataset.releases.iter().filter(|(_, released)| released.withdrawn.is_none());
            standing.map(|(version, _)| version.to_string()).collect()
        }
        None => {
            let names = history.datasets().map(|(other, _)| other);
            names.filter(|other| other.is_like(name)).map(Name::to_string).collect()
        }
    }
}

/// Returns the release that a name means in a verified log, with warnings for the user.
pub(crate) async fn in_log(
    registry: &Registry,
    view: &NameView,
    reference: &DatasetRef,
    keys: &[PublicKey],
) -> Result<(Release, Vec<String>)> {
    let history = view.history();
    let name = reference.name().ok_or_else(|| Error::Internal("a pin is not looked up in a log".into()))?;
    let about = |rejected: &&Rejected| rejected.name.as_ref() == Some(name);
    let rejected: Vec<&Rejected> = history.rejected().iter().filter(about).collect();
    let found = subject(history, reference).and_then(|id| history.release(&id));
    let Some((release, released)) = found else {
        if let (DatasetRef::Newest(_), Some(dataset)) = (reference, history.dataset(name))
            && !dataset.releases.is_empty()
        {
            let why = "has no version that is neither yanked nor withdrawn: name one by its number";
            return Err(Error::invalid(name, why));
        }
        let hangs_on = |rejected: &&&Rejected| match reference {
            DatasetRef::Version(id, _) => rejected.version == Some(id.version),
            _ => rejected.version.is_some(),
        };
        let reasons: Vec<String> =
            rejected.iter().filter(hangs_on).map(|rejected| no_effect(rejected)).collect();
        if !reasons.is_empty() {
            return Err(Error::trust(reference, reasons.join("; ")));
        }
        return Err(registry.missing(reference, name).await?.near(near(history, name)));
    };
    let id = release.id();
    if !keys.is_empty() && !release.signers().iter().any(|signer| keys.contains(signer)) {
        return Err(unknown_signer(
            &format!("the release of {id}"),
            registry.name(),
            release.signers(),
            None,
        ));
    }
    if let Some(notice) = &released.withdrawn {
        let reference = DatasetRef::Version(id.clone(), None);
        return Err(Error::Withdrawn { reference, reason: notice.reason.clone() });
    }
    // The file beside the log is a convenience, but somebody must have replaced one that differs.
    let is_same = match registry.release_file(id).await {
        Ok(None) => true,
        Ok(Some(bytes)) => view.leaf(released.index) == Some(leaf_hash(&bytes)),
        // It is longer than any statement.
        Err(Error::Integrity { .. }) => false,
        // The log is enough when offline.
        Err(Error::Network { .. }) if view.behind().is_some() => true,
        Err(e) => return Err(e),
    };
    if !is_same {
        let why =
            format!("was replaced: it is not entry {} of the log, which is the release", released.index);
        return Err(Error::trust(registry.place_of_release(id), why));
    }
    let mut warnings: Vec<String> = view.behind().into_iter().cloned().collect();
    if let Some(notice) = &released.yanked {
        warnings.push(is_yanked(id, &notice.reason));
    }
    warnings.extend(rejected.iter().map(|rejected| {
        format!("entry {} of the log is about {name} and has no effect: {}", rejected.index, rejected.why)
    }));
    Ok((release, warnings))
}

//! From a reference to a version that somebody vouches for: a log that the user trusts, a publisher's key, or the pin.

mod names;

use std::time::{SystemTime, UNIX_EPOCH};

use crate::cache::Cache;
use crate::dataset_ref::{DatasetRef, Name, Version};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::key::PublicKey;
use crate::known_logs::{KnownLog, KnownLogs};
use crate::log::{History, LogKey, Rejected, SignedCheckpoint, leaf_hash};
use crate::registry::log::{LogView, WitnessPolicy};
use crate::registry::{BUNDLED, Head, Registry, Snapshot};
use crate::release::{Release, unknown_signer};
use crate::transport::bundled::Bundled;
use crate::transport::{self, Access};
use crate::trust::{RegistryId, TrustStore, Trusted};

/// Where the bundled registry keeps the public half of its demonstration key.
const DEMO_KEY: &str = "keys/demo.pub";

/// The registries to look in, in order, and whom to believe.
pub struct Registries<'a> {
    /// `bundled`, URLs or folders.
    pub locations: &'a [String],
    /// The logs and keys that the user trusts.
    pub trust: &'a TrustStore,
    /// What is remembered of logs.
    pub logs: &'a KnownLogs,
    /// Where what was fetched is kept, if it is to be kept.
    pub cache: Option<&'a Cache>,
    /// How the network may be used.
    pub access: &'a Access,
    /// How old, in seconds, the witnesses' view of a log may be.
    pub max_age: Option<u64>,
}

/// What the user believes of a registry.
pub struct Belief {
    /// The log's key, if the registry has a log that the user has a reason to believe.
    pub log: Option<LogKey>,
    /// Whether that key is believed for the first time, since the registry says so.
    is_new: bool,
    /// The key that the registry claims for its log.
    claimed: Option<LogKey>,
    /// Why the place does not look like a registry, if it does not.
    unlike: Option<Error>,
    /// The publishers whose releases count.
    pub keys: Vec<PublicKey>,
    /// Which witnesses must have seen the log.
    pub policy: WitnessPolicy,
}

impl Registries<'_> {
    /// One of them; the others are asked for objects that it lacks. What comes from another machine is kept in the cache.
    pub fn open(&self, location: &str) -> Result<Registry> {
        let registry = Registry::open(location, self.access)?;
        let is_remote = registry.id().is_some_and(RegistryId::is_remote);
        let others = self.locations.iter().filter(|other| *other != location);
        // A mirror that is not there is no reason to fail before it is needed.
        let mirrors = others.filter_map(|other| Registry::open(other, self.access).ok());
        Ok(registry.with_cache(self.cache.filter(|_| is_remote).cloned()).with_mirrors(mirrors))
    }

    /// The version that `reference` means, from the first registry that has it.
    pub async fn snapshot(&self, reference: &DatasetRef) -> Result<(Registry, Snapshot)> {
        let (registry, head) = self.head(reference).await?;
        let snapshot = complete(&registry, head).await?;
        Ok((registry, snapshot))
    }

    /// The same, without what the manifest lists.
    pub async fn head(&self, reference: &DatasetRef) -> Result<(Registry, Head)> {
        match reference {
            DatasetRef::Pin(pin) | DatasetRef::Version(_, _, Some(pin)) => self.by_pin(reference, pin).await,
            DatasetRef::Newest(name) | DatasetRef::Version(name, ..) => self.by_name(reference, name).await,
        }
    }

    /// What a pin names is known by its hash: bytes may come from anywhere, and one that has others is passed over.
    async fn by_pin(&self, reference: &DatasetRef, pin: &Digest) -> Result<(Registry, Head)> {
        let (mut wrong, mut absent, mut unreached) = (Vec::new(), None, None);
        for location in self.locations {
            let registry = match self.open(location) {
                Ok(registry) => registry,
                Err(e @ Error::NotFound { .. }) => {
                    absent.get_or_insert(e);
                    continue;
                }
                Err(e) => {
                    wrong.push((location, e));
                    continue;
                }
            };
            let found = match self.belief(&registry).await {
                Ok(belief) => self.pinned(&registry, &belief, reference).await,
                Err(e) => Err(e),
            };
            match found {
                Ok(mut head) => {
                    let passed_over = |(location, e): &(&String, Error)| {
                        format!("registry {location} was passed over, which a pin allows: {e}")
                    };
                    head.warnings.extend(wrong.iter().map(passed_over));
                    return Ok((registry, head));
                }
                Err(e @ (Error::NotFound { .. } | Error::Unreleased { .. })) => {
                    absent.get_or_insert(e);
                }
                Err(e @ Error::Network { .. }) => {
                    absent.get_or_insert(e);
                    unreached.get_or_insert(registry);
                }
                Err(e) => wrong.push((location, e)),
            }
        }
        let absent = absent.unwrap_or_else(none_named);
        let absent = match unreached {
            None => absent,
            Some(registry) => match self.cached(&registry, reference, pin, absent).await {
                Ok(head) => return Ok((registry, head)),
                Err(e) => e,
            },
        };
        Err(wrong.into_iter().next().map_or(absent, |(_, e)| e))
    }

    /// By a pin, from the cache, since the registry cannot be reached.
    async fn cached(
        &self,
        registry: &Registry,
        reference: &DatasetRef,
        pin: &Digest,
        unreached: Error,
    ) -> Result<Head> {
        let Some(mut head) = registry.cached_head(pin).await else { return Err(unreached) };
        if let DatasetRef::Version(name, version, _) = reference
            && (name, *version) != (&head.manifest.name, head.manifest.version)
        {
            return Err(unreached);
        }
        let why = format!("the log could not be read, and the pin counts without it: {unreached}");
        head.warnings.push(why);
        Ok(head)
    }

    /// By a pin. The log is not needed; what it says of the version is passed on where it can be read, and is one that the
    /// user has a reason to believe. One that a registry merely shows is not read: it may be of any length.
    async fn pinned(&self, registry: &Registry, belief: &Belief, reference: &DatasetRef) -> Result<Head> {
        let mut warnings = Vec::new();
        let view = match &belief.log {
            None => None,
            Some(log) => self.sync(registry, log, &belief.policy).await.unwrap_or_else(|e| {
                warnings.push(format!("the log could not be read, and the pin counts without it: {e}"));
                None
            }),
        };
        let history = view.as_ref().map(|view| view.replica.history());
        let logged = history.and_then(|history| find(history, reference));
        let released = match logged {
            Some(release) => Ok(release),
            None => registry.release(reference, &belief.keys).await,
        };
        let released = match released {
            Ok(release) => registry.head_of_release(&release).await,
            Err(e) => Err(e),
        };
        let advice = history.and_then(|history| advice(history, reference));
        let mut head = released.map_err(|e| match (&e, &advice) {
            // Withdrawn objects may be gone: then that is why they are.
            (Error::Integrity { .. } | Error::NotFound { .. }, Some((what, withdrawn, _))) => match withdrawn
            {
                Some(reason) => Error::Withdrawn { reference: what.clone(), reason: reason.clone() },
                None => e,
            },
            _ => e,
        })?;
        if let Some((what, withdrawn, yanked)) = advice {
            let yanked =
                yanked.map(|reason| format!("{what} is yanked: its owners advise against it: {reason}"));
            warnings.extend(yanked);
            head.withdrawn.clone_from(&withdrawn);
            warnings.extend(withdrawn.map(|reason| format!("{what} is withdrawn: its owners say: {reason}")));
        }
        if let (Some(history), DatasetRef::Version(name, version, Some(pin))) = (history, reference)
            && let Some((release, _)) = history.release(name, *version)
            && release.dataset() != *pin
        {
            let other = release.dataset().prefixed();
            warnings.push(format!("{name}@{version} is {other} in the log: the pin is of another dataset"));
        }
        head.warnings = warnings;
        Ok(head)
    }

    /// What the user believes of a registry. The bundled one is believed as the program is: who runs this binary trusts
    /// its source tree.
    pub async fn belief(&self, registry: &Registry) -> Result<Belief> {
        let (claimed, unlike) = match registry.about().await {
            Ok(about) => (about.log_key, None),
            Err(e @ Error::Network { .. }) if !self.access.offline => return Err(e),
            // Whatever is wrong with it shows again where it is needed; a log that is known counts without it.
            Err(e) => (None, Some(e)),
        };
        let Some(id) = registry.id() else {
            let keys = match Bundled::file(DEMO_KEY) {
                Some(key) if registry.name() == BUNDLED => vec![String::from_utf8_lossy(key).parse()?],
                _ => Vec::new(),
            };
            let log = claimed.clone().filter(|_| !keys.is_empty());
            let policy = WitnessPolicy::default();
            return Ok(Belief { log, is_new: false, claimed, unlike, keys, policy });
        };
        let none = Trusted::default();
        // Offline a mirror cannot say whose it is; where its log was seen is remembered.
        let seen_there = self.logs.log_at(id.as_str()).filter(|_| self.access.offline);
        let mirrored = || self.known_by(claimed.as_ref().or(seen_there.as_ref())?);
        let trusted = self.trust.get(id).or_else(mirrored).unwrap_or(&none);
        Ok(Belief { unlike, ..self.believed(trusted, claimed) })
    }

    /// What is believed of a registry that claims to have the log `claimed`, if the user believes `trusted` of it.
    fn believed(&self, trusted: &Trusted, claimed: Option<LogKey>) -> Belief {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let keys = trusted.public_keys();
        // A publisher's key is reason enough to begin with the log that the registry shows.
        let first = claimed.clone().filter(|_| trusted.log.is_none() && !keys.is_empty());
        let witnesses = trusted.witnesses.clone();
        let needed = trusted.witnesses_needed.unwrap_or(witnesses.len());
        Belief {
            is_new: first.is_some(),
            log: trusted.believed_log().cloned().or(first),
            claimed,
            unlike: None,
            keys,
            policy: WitnessPolicy { witnesses, needed, max_age: self.max_age, now },
        }
    }

    /// What is believed of the registry with this log, wherever else it is: by this key, or by one that the log, as far
    /// as it was seen, has exchanged for this one.
    fn known_by(&self, log: &LogKey) -> Option<&Trusted> {
        let mut trusted = self.trust.list().map(|(_, trusted)| trusted);
        trusted.find(|trusted| trusted.log.as_ref().is_some_and(|anchor| self.has_become(anchor, log)))
    }

    fn has_become(&self, anchor: &LogKey, log: &LogKey) -> bool {
        anchor == log
            || (anchor.origin() == log.origin()
                && self.logs.log(anchor).load().is_ok_and(|known| known.replica.history().key() == *log))
    }

    /// The log of a registry, if it has one that the user believes.
    pub async fn view(&self, registry: &Registry, belief: &Belief) -> Result<Option<LogView>> {
        let Some(log) = &belief.log else {
            return match self.max_age {
                None => Ok(None),
                Some(_) => Err(Error::invalid("--max-age", "needs a log that you trust, with a witness")),
            };
        };
        let view = self.sync(registry, log, &belief.policy).await?;
        view.map(Some).ok_or_else(|| {
            let what = format!("registry {}", registry.name());
            Error::trust(what, format!("shows no log, and it is known by {log}: a log does not go away"))
        })
    }

    /// The same, or else the log that the registry claims to be; with the key that it is known by.
    pub async fn claimed_view(&self, registry: &Registry, belief: &Belief) -> Result<(LogKey, LogView)> {
        let log = belief.log.as_ref().or(belief.claimed.as_ref());
        let log = log.ok_or_else(|| Error::not_found("log", format!("registry {}", registry.name())))?;
        let view = self.sync(registry, log, &belief.policy).await?;
        let what = || format!("registry {}", registry.name());
        let view =
            view.ok_or_else(|| Error::trust(what(), format!("shows no log, and says that it is {log}")))?;
        Ok((log.clone(), view))
    }

    async fn sync(
        &self,
        registry: &Registry,
        log: &LogKey,
        policy: &WitnessPolicy,
    ) -> Result<Option<LogView>> {
        // The bundled one is as fixed as the program: there is nothing to remember.
        let known = (registry.name() != BUNDLED).then(|| self.logs.log(log));
        if self.access.offline
            && registry.id().is_some_and(RegistryId::is_remote)
            && let Some(known) = &known
        {
            return as_last_seen(known, registry, policy).map(Some);
        }
        let view = registry.sync_log(log, known.as_ref(), policy).await?;
        if let (Some(_), Some(_), Some(id)) = (&view, known, registry.id()) {
            // A convenience to later runs.
            let _ = self.logs.note_place(id.as_str(), log);
        }
        Ok(view)
    }

    /// That a version which is on this machine is yanked or withdrawn, by the logs that the user believes: that of the
    /// registry at `location` as it is now, if it is a folder, and otherwise as they were last seen. No network is used.
    pub fn advice_at_hand(&self, location: &str, pin: &DatasetRef) -> Result<Vec<String>> {
        let is_here = location == BUNDLED || location.parse().is_ok_and(|id: RegistryId| !id.is_remote());
        let here = is_here.then(|| self.open(location).ok()).flatten();
        let now = here.and_then(|registry| {
            transport::runtime().ok()?.block_on(async {
                let belief = self.belief(&registry).await.ok()?;
                self.view(&registry, &belief).await.ok()?
            })
        });
        let mut said: Vec<String> =
            now.iter().flat_map(|view| said_of(view.replica.history(), pin)).collect();
        for (_, trusted) in self.trust.list() {
            let Some(log) = trusted.believed_log() else { continue };
            let Some((replica, _)) = self.logs.log(log).load()?.whole() else { continue };
            said.extend(said_of(replica.history(), pin));
        }
        said.sort();
        said.dedup();
        Ok(said)
    }

    /// Remembers who the registry is, and gives the notice of it.
    fn pin_log(&self, registry: &Registry, belief: &Belief) -> Result<String> {
        let (Some(id), Some(log)) = (registry.id(), &belief.log) else {
            return Err(Error::Internal("a first contact without a log".into()));
        };
        self.trust.clone().meet(id, log)?;
        Ok(format!("first contact: registry {id} is known by its log's key from now on, {log}"))
    }
}

/// What a manifest lists. Objects of a withdrawn version may be gone: then that is why they are.
pub(super) async fn complete(registry: &Registry, head: Head) -> Result<Snapshot> {
    let what = format!("{}@{}", head.manifest.name, head.manifest.version);
    let withdrawn = head.withdrawn.clone();
    registry.complete(head).await.map_err(|e| match (e, withdrawn) {
        (Error::Integrity { .. } | Error::NotFound { .. }, Some(reason)) => {
            Error::Withdrawn { reference: what, reason }
        }
        (e, _) => e,
    })
}

/// The log of a registry that is not to be asked, as far as the user is content with that.
fn as_last_seen(known: &KnownLog, registry: &Registry, policy: &WitnessPolicy) -> Result<LogView> {
    let Some((replica, seen)) = known.load()?.whole() else {
        if policy.max_age.is_some() {
            let why = "is not asked (offline), and its log was never seen: how old it is, as --max-age asks, nobody can say";
            return Err(Error::trust(format!("registry {}", registry.name()), why));
        }
        let why = "is not asked (offline), and its log was never seen: pull once with a network, or by a pin"
            .into();
        return Err(Error::Network { url: registry.name().into(), why });
    };
    let what = format!("the checkpoint of registry {} as it was last seen (offline)", registry.name());
    policy.check(&what, &SignedCheckpoint::parse(&what, seen.note.clone())?)?;
    let behind = format!(
        "offline: what counts is the log of registry {} as it was last seen, with {} entries",
        registry.name(),
        replica.size()
    );
    Ok(LogView { replica, note: seen.note, behind: Some(behind) })
}

fn none_named() -> Error {
    Error::invalid("registry", "none was named")
}

fn no_effect(rejected: &Rejected) -> String {
    format!("entry {} of the log has no effect: {}", rejected.index, rejected.why)
}

fn pin_of(reference: &DatasetRef) -> Option<&Digest> {
    match reference {
        DatasetRef::Pin(pin) | DatasetRef::Version(_, _, Some(pin)) => Some(pin),
        _ => None,
    }
}

/// The release of a pinned version in a log, if the log agrees with the pin.
fn find(history: &History, reference: &DatasetRef) -> Option<Release> {
    let pin = pin_of(reference)?;
    let (name, version) = subject(history, reference)?;
    history.release(&name, version).map(|(release, _)| release).filter(|release| release.dataset() == *pin)
}

fn subject(history: &History, reference: &DatasetRef) -> Option<(Name, Version)> {
    match reference {
        DatasetRef::Version(name, version, _) => Some((name.clone(), *version)),
        DatasetRef::Newest(name) => Some((name.clone(), history.newest(name)?)),
        DatasetRef::Pin(pin) => history.find(pin).map(|(name, version)| (name.clone(), version)),
    }
}

/// What its owners say of a pinned version in a log.
fn said_of(history: &History, pin: &DatasetRef) -> Vec<String> {
    let Some((what, withdrawn, yanked)) = advice(history, pin) else { return Vec::new() };
    let yanked = yanked.map(|reason| format!("{what} is yanked: its owners advise against it: {reason}"));
    let withdrawn = withdrawn.map(|reason| format!("{what} is withdrawn: its owners say: {reason}"));
    yanked.into_iter().chain(withdrawn).collect()
}

/// `name@version`, and why it is withdrawn and yanked, if it is.
fn advice(history: &History, reference: &DatasetRef) -> Option<(String, Option<String>, Option<String>)> {
    let (name, version) = subject(history, reference)?;
    let released = history.dataset(&name)?.releases.get(&version)?;
    let pin = pin_of(reference)?;
    let reason = |notice: &Option<crate::log::Notice>| notice.as_ref().map(|notice| notice.reason.clone());
    (released.dataset == *pin)
        .then(|| (format!("{name}@{version}"), reason(&released.withdrawn), reason(&released.yanked)))
}

/// The release that a name means in a verified log, and what the user should hear of it.
pub(super) async fn in_log(
    registry: &Registry,
    view: &LogView,
    reference: &DatasetRef,
    keys: &[PublicKey],
) -> Result<(Release, Vec<String>)> {
    let history = view.replica.history();
    let name = match reference {
        DatasetRef::Version(name, ..) | DatasetRef::Newest(name) => name,
        DatasetRef::Pin(_) => return Err(Error::Internal("a pin is not looked up in a log".into())),
    };
    let about = |rejected: &&Rejected| rejected.name.as_ref() == Some(name);
    let rejected: Vec<&Rejected> = history.rejected().iter().filter(about).collect();
    let found = subject(history, reference).and_then(|(_, version)| history.release(name, version));
    let Some((release, released)) = found else {
        if let (DatasetRef::Newest(_), Some(dataset)) = (reference, history.dataset(name))
            && !dataset.releases.is_empty()
        {
            let why = "has no version that is neither yanked nor withdrawn: name one by its number";
            return Err(Error::invalid(name, why));
        }
        let hangs_on = |rejected: &&&Rejected| match reference {
            DatasetRef::Version(_, version, _) => rejected.version == Some(*version),
            _ => rejected.version.is_some(),
        };
        let reasons: Vec<String> =
            rejected.iter().filter(hangs_on).map(|rejected| no_effect(rejected)).collect();
        if !reasons.is_empty() {
            return Err(Error::trust(reference, reasons.join("; ")));
        }
        return Err(registry.missing(reference, name).await?);
    };
    let what = format!("{name}@{}", release.version());
    if !keys.is_empty() && !release.signers().iter().any(|signer| keys.contains(signer)) {
        return Err(unknown_signer(
            &format!("the release of {what}"),
            registry.name(),
            release.signers(),
            None,
        ));
    }
    if let Some(notice) = &released.withdrawn {
        return Err(Error::Withdrawn { reference: what, reason: notice.reason.clone() });
    }
    // The file beside the log is a convenience, but one that says something else is somebody's doing.
    let is_same = match registry.release_file(name, release.version()).await {
        Ok(None) => true,
        Ok(Some(bytes)) => view.replica.tree().leaf(released.index) == Some(leaf_hash(&bytes)),
        // Longer than any statement.
        Err(Error::Integrity { .. }) => false,
        // Offline: the log says it all.
        Err(Error::Network { .. }) if view.behind.is_some() => true,
        Err(e) => return Err(e),
    };
    if !is_same {
        let why =
            format!("was replaced: it is not entry {} of the log, which is the release", released.index);
        return Err(Error::trust(registry.place_of_release(name, release.version()), why));
    }
    let mut warnings: Vec<String> = view.behind.iter().cloned().collect();
    if let Some(notice) = &released.yanked {
        warnings.push(format!("{what} is yanked: its owners advise against it: {}", notice.reason));
    }
    warnings.extend(rejected.iter().map(|rejected| {
        format!("entry {} of the log is about {name} and has no effect: {}", rejected.index, rejected.why)
    }));
    Ok((release, warnings))
}

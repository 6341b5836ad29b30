//! Resolves pins. A pin identifies the bytes, so they may come from anywhere; what trusted logs say about the
//! version is reported beside them.

use std::collections::HashSet;

use super::{Belief, Client, none_named, subject};
use crate::registry::log::LogView;
use crate::registry::{BUNDLED, Head, Registry};
use crate::transport;
use crate::trust::RegistryId;
use isn_format::dataset_ref::DatasetRef;
use isn_format::digest::Digest;
use isn_format::error::{Error, Result, chain};
use isn_format::log::{History, LogKey, Notice};
use isn_format::release::Release;

impl Client {
    /// Finds the version of a pin in any registry; a registry that has other bytes, or does not answer, is
    /// passed over with a notice. Whichever registry has it, the logs that the user believes are still heard.
    pub(super) async fn by_pin(&self, reference: &DatasetRef, pin: &Digest) -> Result<(Registry, Head)> {
        let (mut notices, mut wrong, mut absent, mut unreached) = (Vec::new(), None, None, None);
        let (mut found, mut unread, mut unlike) = (None, Vec::new(), None);
        for location in &self.locations {
            let passed_over =
                |e: &Error| format!("registry {location} was passed over, which a pin allows: {}", chain(e));
            let registry = match self.open(location) {
                Ok(registry) => registry,
                Err(e) => {
                    notices.push(passed_over(&e));
                    let kept = if matches!(e, Error::NotFound { .. }) { &mut absent } else { &mut wrong };
                    kept.get_or_insert(e);
                    continue;
                }
            };
            let head = match self.belief(&registry).await {
                Ok(belief) => {
                    let view = match &belief.log {
                        None => None,
                        Some(log) => self.sync(&registry, log, &belief).await.unwrap_or_else(|e| {
                            unread.push((location, log.clone(), e));
                            None
                        }),
                    };
                    let head = self.pinned(&registry, &belief, view.as_ref(), reference, &mut notices).await;
                    unlike = belief.unlike.filter(|e| matches!(e, Error::NotFound { .. }));
                    head
                }
                Err(e) => Err(e),
            };
            match head {
                Ok(head) => {
                    found = Some((registry, head));
                    break;
                }
                // That the location is no registry says more.
                Err(e @ (Error::NotFound { .. } | Error::Unreleased { .. })) => {
                    absent.get_or_insert(unlike.take().unwrap_or(e));
                }
                Err(e) => {
                    notices.push(passed_over(&e));
                    let is_network = matches!(e, Error::Network { .. });
                    let kept = if is_network { &mut absent } else { &mut wrong };
                    kept.get_or_insert(e);
                    if is_network {
                        unreached.get_or_insert(registry);
                    }
                }
            }
        }
        if let (None, Some(registry)) = (&found, unreached) {
            let head = self.cached(&registry, reference, pin).await;
            found = head.map(|head| (registry, head));
        }
        let Some((registry, mut head)) = found else {
            return Err(wrong.or(absent).unwrap_or_else(none_named));
        };
        for (location, log, why) in unread {
            if !self.is_read_elsewhere(&log, location).await {
                notices.push(format!(
                    "the log could not be read, and the pin counts without it: {}",
                    chain(&why)
                ));
            }
        }
        notices.append(&mut head.warnings);
        let (remembered, unread) = self.remembered();
        for advice in remembered.iter().filter_map(|history| Advice::of(history, reference)) {
            notices.extend(advice.sentences());
            head.withdrawn = head.withdrawn.or(advice.withdrawn);
        }
        notices.extend(unread);
        head.warnings = once(notices);
        Ok((registry, head))
    }

    /// Reads a log that the registry at `location` could not show at another one of the list that shows it, too. What it says
    /// is remembered. Whether there is one.
    async fn is_read_elsewhere(&self, log: &LogKey, location: &str) -> bool {
        for other in self.locations.iter().filter(|other| *other != location) {
            let Ok(registry) = self.open(other) else { continue };
            let Ok(belief) = self.belief(&registry).await else { continue };
            if belief.log.as_ref() == Some(log)
                && matches!(self.sync(&registry, log, &belief).await, Ok(Some(_)))
            {
                return true;
            }
        }
        false
    }

    /// By a pin, from the cache, since the registry cannot be reached.
    async fn cached(&self, registry: &Registry, reference: &DatasetRef, pin: &Digest) -> Option<Head> {
        let head = registry.cached_head(pin).await?;
        let is_other = match reference {
            DatasetRef::Version(name, version, _) => {
                (name, *version) != (&head.manifest.name, head.manifest.version)
            }
            _ => false,
        };
        (!is_other).then_some(head)
    }

    /// Returns the version of a pin from a registry. The log is not needed, but what it says about the
    /// version is passed on if it can be read and the user has a reason to believe it. A log that the
    /// registry merely shows is not read, since it may be of any length.
    async fn pinned(
        &self,
        registry: &Registry,
        belief: &Belief,
        view: Option<&LogView>,
        reference: &DatasetRef,
        notices: &mut Vec<String>,
    ) -> Result<Head> {
        if belief.log.is_none() && self.max_age.is_some() {
            let name = registry.name();
            notices.push(format!(
                "--max-age is ignored, since a pin needs no log: none of registry {name} is trusted"
            ));
        }
        let history = view.map(|view| view.replica.history());
        let logged = history.and_then(|history| find(history, reference));
        let released = match logged {
            Some(release) => Ok(release),
            None => registry.release(reference, &belief.keys).await,
        };
        let released = match released {
            Ok(release) => registry.head_of_release(&release).await,
            Err(e) => Err(e),
        };
        let advice = history.and_then(|history| Advice::of(history, reference));
        let withdrawn = advice.as_ref().and_then(|advice| advice.withdrawn.clone());
        let mut head = released.map_err(|e| match (&e, &advice) {
            // The objects of a withdrawn version may be gone.
            (Error::Integrity { .. } | Error::NotFound { .. }, Some(advice)) => match &advice.withdrawn {
                Some(reason) => Error::Withdrawn { reference: advice.what.clone(), reason: reason.clone() },
                None => e,
            },
            _ => e,
        })?;
        head.warnings.extend(advice.iter().flat_map(Advice::sentences));
        head.withdrawn = withdrawn;
        if let (Some(history), DatasetRef::Version(name, version, Some(pin))) = (history, reference)
            && let Some((release, _)) = history.release(name, *version)
            && release.dataset() != *pin
        {
            let other = release.dataset().prefixed();
            let why = format!("{name}@{version} is {other} in the log: the pin is of another dataset");
            head.warnings.push(why);
        }
        Ok(head)
    }

    /// Returns the believed logs as they were last seen, and notices about those that could not be read.
    pub fn remembered(&self) -> (Vec<History>, Vec<String>) {
        let (mut histories, mut unread) = (Vec::new(), Vec::new());
        let mut logs: Vec<&LogKey> = Vec::new();
        for log in self.trust.list().filter_map(|(_, trusted)| trusted.believed_log()) {
            // One log may be trusted at several locations.
            if logs.contains(&log) {
                continue;
            }
            logs.push(log);
            match self.logs.log(log).load() {
                Ok(known) => histories.extend(known.whole().map(|(replica, _)| replica.history().clone())),
                Err(e) => {
                    unread.push(format!("what was seen of log {} could not be read: {e}", log.origin()))
                }
            }
        }
        (histories, unread)
    }

    /// Returns notices that a version is yanked or withdrawn, by the believed logs as they were last seen,
    /// and notices about those that could not be read.
    pub fn remembered_advice(&self, pin: &DatasetRef) -> Vec<String> {
        let (remembered, unread) = self.remembered();
        let advice = remembered.iter().filter_map(|history| Advice::of(history, pin));
        once(advice.flat_map(|advice| advice.sentences()).chain(unread).collect())
    }

    /// Returns notices that a version on this machine is yanked or withdrawn, by the logs in `remembered`,
    /// and by the present log of the registry at `location` if that is a folder. Uses no network.
    pub fn advice_at_hand(&self, location: &str, pin: &DatasetRef, remembered: &[History]) -> Vec<String> {
        let is_here = location == BUNDLED || location.parse().is_ok_and(|id: RegistryId| !id.is_remote());
        let here = is_here.then(|| self.open(location).ok()).flatten();
        let now = here.and_then(|registry| {
            transport::runtime().ok()?.block_on(async {
                let belief = self.belief(&registry).await.ok()?;
                self.view(&registry, &belief).await.ok()?
            })
        });
        let histories = now.iter().map(|view| view.replica.history()).chain(remembered);
        let advice = histories.filter_map(|history| Advice::of(history, pin));
        once(advice.flat_map(|advice| advice.sentences()).collect())
    }
}

fn pin_of(reference: &DatasetRef) -> Option<&Digest> {
    match reference {
        DatasetRef::Pin(pin) | DatasetRef::Version(_, _, Some(pin)) => Some(pin),
        _ => None,
    }
}

/// Returns the release of a pinned version in a log, if the log agrees with the pin.
fn find(history: &History, reference: &DatasetRef) -> Option<Release> {
    let pin = pin_of(reference)?;
    let (name, version) = subject(history, reference)?;
    history.release(&name, version).map(|(release, _)| release).filter(|release| release.dataset() == *pin)
}

/// What the owners of a version say about it in a log.
struct Advice {
    /// `NAME@VERSION`.
    what: String,
    /// The reason for withdrawing it, if it is withdrawn.
    withdrawn: Option<String>,
    /// The reason for yanking it, if it is yanked.
    yanked: Option<String>,
}

impl Advice {
    /// Returns what a log says about a pinned version.
    fn of(history: &History, reference: &DatasetRef) -> Option<Self> {
        let (name, version) = subject(history, reference)?;
        let released = history.dataset(&name)?.releases.get(&version)?;
        let reason = |notice: &Option<Notice>| notice.as_ref().map(|notice| notice.reason.clone());
        (released.dataset == *pin_of(reference)?).then(|| Advice {
            what: format!("{name}@{version}"),
            withdrawn: reason(&released.withdrawn),
            yanked: reason(&released.yanked),
        })
    }

    fn sentences(&self) -> Vec<String> {
        let Advice { what, withdrawn, yanked } = self;
        let withdrawn =
            withdrawn.as_ref().map(|reason| format!("{what} is withdrawn: its owners say: {reason}"));
        yanked.iter().map(|reason| is_yanked(what, reason)).chain(withdrawn).collect()
    }
}

/// The notice that a version is yanked.
pub(super) fn is_yanked(what: &str, reason: &str) -> String {
    format!("{what} is yanked: its owners advise against it: {reason}")
}

/// Removes repeated notices; each stays at its first position.
fn once(said: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    said.into_iter().filter(|one| seen.insert(one.clone())).collect()
}

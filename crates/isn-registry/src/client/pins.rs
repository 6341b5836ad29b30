//! Resolves pins. A pin identifies the bytes, so they may come from anywhere; what trusted logs say about the
//! version is reported beside them.

use std::collections::HashSet;

use futures_util::future::join_all;

use super::names::aside;
use super::views::{as_last_seen, name_as_last_seen};
use super::{Belief, Client, none_named, subject};
use crate::registry::ahead::Needs;
use crate::registry::log::WitnessPolicy;
use crate::registry::one_name::NameView;
use crate::registry::{BUNDLED, Head, Registry};
use crate::transport;
use crate::trust::RegistryId;
use isn_format::dataset_ref::{DatasetRef, Name, VersionId};
use isn_format::digest::Digest;
use isn_format::error::{Error, Result, chain};
use isn_format::log::{History, LogKey, Notice};
use isn_format::release::Release;

/// A believed log that a registry could not show.
struct Unread<'a> {
    location: &'a str,
    log: LogKey,
    why: Error,
}

impl Client {
    /// Finds the version of a pin in any registry; a registry that has other bytes, or does not answer, is
    /// passed over with a notice. Whichever registry has it, the logs that the user believes are still heard.
    pub(super) async fn by_pin(
        &self,
        reference: &DatasetRef,
        pin: &Digest,
        needs: Needs,
    ) -> Result<(Registry, Head)> {
        let (mut notices, mut wrong, mut absent, mut unreached) = (Vec::new(), None, None, None);
        let (mut found, mut unread, mut unlike) = (None, Vec::<Unread<'_>>::new(), None);
        for location in &self.locations {
            let passed_over =
                |e: &Error| format!("registry {location} was passed over, which a pin allows: {}", chain(e));
            let registry = match self.open(location) {
                Ok(registry) => registry,
                Err(e) => {
                    notices.push(passed_over(&e));
                    let is_absent = matches!(e, Error::NotFound { .. });
                    let kept = if is_absent { &mut absent } else { &mut wrong };
                    kept.get_or_insert(e);
                    if is_absent && unreached.is_none() {
                        unreached = Registry::gone(location);
                    }
                    continue;
                }
            };
            registry.look_ahead(reference, needs);
            let head = match self.belief(&registry).await {
                Ok(belief) => {
                    let mut unheard = None;
                    let view = match &belief.log {
                        None => None,
                        Some(log) => {
                            self.view(&registry, &belief, reference.name()).await.unwrap_or_else(|why| {
                                unread.push(Unread { location, log: log.clone(), why });
                                unheard = Some((log.clone(), belief.policy.clone()));
                                None
                            })
                        }
                    };
                    let head = self.pinned(&registry, &belief, view.as_ref(), reference, &mut notices).await;
                    unlike = belief.unlike.filter(|e| matches!(e, Error::NotFound { .. }));
                    head.map(|head| (head, unheard))
                }
                Err(e) => Err(e),
            };
            match head {
                Ok((head, unheard)) => {
                    found = Some((registry, head, unheard));
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
            // A fetch puts a folder's version there, too, for when the folder is away.
            let registry = registry.with_cache(self.cache.clone());
            let head = self.cached(&registry, reference, pin).await;
            // Any registry of the list may have shown the log that released it.
            let logs = self.locations.iter().filter_map(|location| self.expected(location));
            let mut logs = logs.map(|(log, trusted)| (log, self.believed(&trusted, None).policy));
            let unheard =
                logs.find(|(log, policy)| self.as_seen(&registry, log, policy, reference).is_some());
            found = head.map(|head| (registry, head, unheard));
        }
        let Some((registry, mut head, unheard)) = found else {
            return Err(wrong.or(absent).unwrap_or_else(none_named));
        };
        notices.extend(self.read_elsewhere(unread, reference.name()).await);
        if let Some((log, policy)) = unheard.filter(|_| head.signed_by.is_empty()) {
            // Its signers, by what another registry says, or said before, of the log.
            if let Some(release) = self.as_seen(&registry, &log, &policy, reference)
                && let Ok(signed) = registry.head_of_release(&release).await
            {
                head = Head { warnings: head.warnings, withdrawn: head.withdrawn, ..signed };
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

    /// Returns the release of a pin by a log as it was last seen.
    fn as_seen(
        &self,
        registry: &Registry,
        log: &LogKey,
        policy: &WitnessPolicy,
        reference: &DatasetRef,
    ) -> Option<Release> {
        let known = self.logs.log(log);
        let seen = match reference.name() {
            Some(name) => name_as_last_seen(&known, registry, policy, name),
            None => as_last_seen(&known, registry, policy).map(NameView::Whole),
        };
        find(seen.ok()?.history(), reference)
    }

    /// Reads the logs that registries could not show at the other registries of the list that show them. What
    /// these say is remembered. All of them are asked, since one of them may be stale, and none for long.
    /// Returns notices.
    async fn read_elsewhere(&self, mut unread: Vec<Unread<'_>>, name: Option<&Name>) -> Vec<String> {
        let mut notices = Vec::new();
        while let Some(Unread { log, .. }) = unread.first() {
            let log = log.clone();
            let (same, rest): (Vec<_>, Vec<_>) = unread.into_iter().partition(|one| one.log == log);
            unread = rest;
            let others = self.locations.iter().filter(|other| same.iter().all(|one| one.location != *other));
            let read = others.map(async |other| (other, self.read_aside(other, &log, name).await));
            let (mut behind, mut is_current) = (Vec::new(), false);
            for (other, read) in join_all(read).await {
                match read {
                    Some(Ok(view)) => match view.behind() {
                        Some(why) => behind.push(why.clone()),
                        None => is_current = true,
                    },
                    // A log that contradicts itself, for example.
                    Some(Err(e)) if !matches!(e, Error::Network { .. }) => {
                        notices.push(format!("the log of registry {other} was not used: {}", chain(&e)));
                    }
                    Some(Err(_)) | None => {}
                }
            }
            let is_read = is_current || !behind.is_empty();
            notices.extend(same.iter().map(|Unread { location, why, .. }| match is_read {
                true => format!(
                    "the log of registry {location} could not be read, so that of a mirror was: {}",
                    chain(why)
                ),
                false => format!("the log could not be read, and the pin counts without it: {}", chain(why)),
            }));
            notices.extend(behind.into_iter().filter(|_| !is_current));
        }
        notices
    }

    /// Reads the log of a registry if it is `log`. Returns `None` if it is not, or if that takes too long.
    async fn read_aside(
        &self,
        location: &str,
        log: &LogKey,
        name: Option<&Name>,
    ) -> Option<Result<NameView>> {
        let registry = self.open_aside(location).ok()?;
        let read = aside(async {
            let belief = self.belief(&registry).await.ok()?;
            match belief.log.as_ref() == Some(log) {
                true => self.sync_for(&registry, log, &belief, name).await.transpose(),
                false => None,
            }
        });
        read.await.flatten()
    }

    /// By a pin, from the cache, since the registry cannot be reached.
    async fn cached(&self, registry: &Registry, reference: &DatasetRef, pin: &Digest) -> Option<Head> {
        let head = registry.cached_head(pin).await?;
        let is_other = match reference {
            DatasetRef::Version(id, _) => *id != head.manifest.id(),
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
        view: Option<&NameView>,
        reference: &DatasetRef,
        notices: &mut Vec<String>,
    ) -> Result<Head> {
        if belief.log.is_none() && self.max_age.is_some() {
            let name = registry.name();
            notices.push(format!(
                "--max-age is ignored, since a pin needs no log: none of registry {name} is trusted"
            ));
        }
        let history = view.map(NameView::history);
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
                Some(reason) => Error::Withdrawn {
                    reference: DatasetRef::Version(advice.id.clone(), None),
                    reason: reason.clone(),
                },
                None => e,
            },
            _ => e,
        })?;
        head.warnings.extend(advice.iter().flat_map(Advice::sentences));
        head.withdrawn = withdrawn;
        if let (Some(history), DatasetRef::Version(id, Some(pin))) = (history, reference)
            && let Some((release, _)) = history.release(id)
            && release.dataset() != *pin
        {
            let other = release.dataset().prefixed();
            let why = format!("{id} is {other} in the log: the pin is of another dataset");
            head.warnings.push(why);
        }
        Ok(head)
    }

    /// Returns the believed logs as they were last seen, as wholes and as far as they were read for a name,
    /// and notices about those that could not be read.
    pub fn remembered(&self) -> (Vec<History>, Vec<String>) {
        let (mut histories, mut unread) = (Vec::new(), Vec::new());
        let mut logs: Vec<LogKey> = Vec::new();
        for log in self.known().list().filter_map(|(_, trusted)| trusted.believed_log().cloned()) {
            // One log may be trusted at several locations.
            if logs.contains(&log) {
                continue;
            }
            let known = self.logs.log(&log);
            match known.load() {
                Ok(seen) => histories.extend(seen.whole().map(|(replica, _)| replica.history().clone())),
                Err(e) => {
                    unread.push(format!("what was seen of log {} could not be read: {e}", log.origin()))
                }
            }
            histories.extend(known.names().map(|kept| kept.extract.history().clone()));
            logs.push(log);
        }
        (histories, unread)
    }

    /// Returns notices that a version is yanked or withdrawn, by the believed logs as they were last seen,
    /// and notices about those that could not be read.
    pub(crate) fn remembered_advice(&self, pin: &DatasetRef) -> Vec<String> {
        let (remembered, unread) = self.remembered();
        let advice = remembered.iter().filter_map(|history| Advice::of(history, pin));
        once(advice.flat_map(|advice| advice.sentences()).chain(unread).collect())
    }

    /// Returns notices that a version on this machine is yanked or withdrawn, by the logs in `remembered`,
    /// and by the present log of the registry at `location` if that is a folder. Uses no network.
    pub(crate) fn advice_at_hand(
        &self,
        location: &str,
        pin: &DatasetRef,
        remembered: &[History],
    ) -> Vec<String> {
        let is_here = location == BUNDLED || location.parse().is_ok_and(|id: RegistryId| !id.is_remote());
        let here = is_here.then(|| self.open(location).ok()).flatten();
        let now = here.and_then(|registry| {
            transport::runtime().ok()?.block_on(async {
                let belief = self.belief(&registry).await.ok()?;
                self.view(&registry, &belief, pin.name()).await.ok()?
            })
        });
        let histories = now.iter().map(NameView::history).chain(remembered);
        let advice = histories.filter_map(|history| Advice::of(history, pin));
        once(advice.flat_map(|advice| advice.sentences()).collect())
    }
}

fn pin_of(reference: &DatasetRef) -> Option<&Digest> {
    match reference {
        DatasetRef::Pin(pin) | DatasetRef::Version(_, Some(pin)) => Some(pin),
        _ => None,
    }
}

/// Returns the release of a pinned version in a log, if the log agrees with the pin.
fn find(history: &History, reference: &DatasetRef) -> Option<Release> {
    let pin = pin_of(reference)?;
    let id = subject(history, reference)?;
    history.release(&id).map(|(release, _)| release).filter(|release| release.dataset() == *pin)
}

/// What the owners of a version say about it in a log.
struct Advice {
    /// The version.
    id: VersionId,
    /// The reason for withdrawing it, if it is withdrawn.
    withdrawn: Option<String>,
    /// The reason for yanking it, if it is yanked.
    yanked: Option<String>,
}

impl Advice {
    /// Returns what a log says about a pinned version.
    fn of(history: &History, reference: &DatasetRef) -> Option<Self> {
        let id = subject(history, reference)?;
        let released = history.dataset(&id.name)?.releases.get(&id.version)?;
        let reason = |notice: &Option<Box<Notice>>| notice.as_ref().map(|notice| notice.reason.clone());
        (released.dataset == *pin_of(reference)?).then(|| Advice {
            id,
            withdrawn: reason(&released.withdrawn),
            yanked: reason(&released.yanked),
        })
    }

    fn sentences(&self) -> Vec<String> {
        let Advice { id, withdrawn, yanked } = self;
        let withdrawn =
            withdrawn.as_ref().map(|reason| format!("{id} is withdrawn: its owners say: {reason}"));
        yanked.iter().map(|reason| is_yanked(id, reason)).chain(withdrawn).collect()
    }
}

/// The notice that a version is yanked.
pub(super) fn is_yanked(id: &VersionId, reason: &str) -> String {
    format!("{id} is yanked: its owners advise against it: {reason}")
}

/// Removes repeated notices; each stays at its first position.
fn once(said: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    said.into_iter().filter(|one| seen.insert(one.clone())).collect()
}

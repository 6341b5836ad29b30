//! Whose a name is where several registries are listed: the first's that has it. One that does not answer has not said
//! that it lacks the name: a mirror of its log answers for it, or its log as it was last seen. Registries of one log are
//! mirrors of each other, wherever they stand in the list.

use std::time::Duration;

use futures_util::future::join_all;

use super::{Belief, Client, in_log, none_named};
use crate::registry::{BUNDLED, Head, Registry};
use crate::transport::Access;
use crate::trust::{RegistryId, Trusted};
use isn_format::dataset_ref::{DatasetRef, Name};
use isn_format::error::{Error, Result, chain};
use isn_format::log::{LogKey, SignedCheckpoint};

/// How long a registry that is only asked whether it has the name too may take for all that it is asked.
const ASIDE: Duration = Duration::from_secs(3);

/// What a registry answers to a name.
enum Answer {
    /// It has the version.
    Found(Box<(Registry, Head)>),
    /// The name is its, and there is no such version.
    Otherwise(Error),
    /// It does not have the name. In its log as last seen, that is, if there is a notice of it.
    Lacks(Error, Option<String>),
    /// Nobody knows.
    Silent(Error),
}

impl Client {
    /// The version that a name means, from the first registry that has the name.
    pub(super) async fn by_name(&self, reference: &DatasetRef, name: &Name) -> Result<(Registry, Head)> {
        let (mut notices, mut absent, mut silent) = (Vec::new(), None, None);
        for (at, location) in self.locations.iter().enumerate() {
            let rest = &self.locations[at + 1..];
            let mut answer = self.ask(location, reference, name).await?;
            if let Answer::Silent(_) | Answer::Otherwise(_) = &answer
                && let Some((log, trusted)) = self.expected(location)
            {
                let mirror = self.ask_mirrors(rest, (&log, trusted), reference, name).await?;
                if let (Some(_), Answer::Silent(e)) = (&mirror, &answer) {
                    notices.push(format!(
                        "registry {location} cannot be asked, and a mirror of its log is: {e}"
                    ));
                }
                answer = mirror.unwrap_or(answer);
            }
            match answer {
                Answer::Found(found) => {
                    let (registry, mut head) = *found;
                    // In the order of the list.
                    notices.append(&mut head.warnings);
                    notices.extend(self.elsewhere(rest, location, &registry, name).await);
                    head.warnings = notices;
                    return Ok((registry, head));
                }
                Answer::Otherwise(e) => return Err(e),
                Answer::Lacks(e, notice) => {
                    notices.extend(notice);
                    absent.get_or_insert(e);
                }
                // There is nobody else who could be taken for it.
                Answer::Silent(e) if self.locations.len() == 1 => return Err(e),
                Answer::Silent(e) => {
                    if !rest.is_empty() {
                        notices.push(self.as_it_was(location, name, &e)?);
                    }
                    silent.get_or_insert_with(|| unanswered(location, name, &chain(&e)));
                }
            }
        }
        Err(silent.or(absent).unwrap_or_else(none_named))
    }

    async fn ask(&self, location: &str, reference: &DatasetRef, name: &Name) -> Result<Answer> {
        let registry = match self.open(location) {
            Ok(registry) => registry,
            // A disk that is not there looks like this.
            Err(e @ Error::NotFound { .. }) => return Ok(Answer::Silent(e)),
            Err(e) => return Err(e),
        };
        match self.belief(&registry).await {
            Ok(belief) => self.ask_as(registry, belief, reference, name).await,
            Err(e @ Error::Network { .. }) => Ok(Answer::Silent(e)),
            Err(e) => Err(e),
        }
    }

    /// Asks a registry of which the user believes `belief`.
    async fn ask_as(
        &self,
        registry: Registry,
        belief: Belief,
        reference: &DatasetRef,
        name: &Name,
    ) -> Result<Answer> {
        let view = match self.view(&registry, &belief).await {
            Ok(view) => view,
            Err(e @ Error::Network { .. }) => return Ok(Answer::Silent(e)),
            Err(e) => return Err(e),
        };
        let released = match &view {
            Some(view) => in_log(&registry, view, reference, &belief.keys).await,
            None => registry.release(reference, &belief.keys).await.map(|release| (release, Vec::new())),
        };
        let found = match released {
            Ok((release, warnings)) => {
                let head = registry.head_of_release(&release).await;
                head.map(|head| Head { warnings, ..head })
            }
            Err(e) => Err(e),
        };
        match found {
            Ok(mut head) => {
                if view.is_some() && belief.is_new {
                    head.warnings.push(self.pin_log(&registry, &belief)?);
                }
                Ok(Answer::Found(Box::new((registry, head))))
            }
            Err(e @ Error::Network { .. }) => Ok(Answer::Silent(e)),
            Err(Error::UnknownSigner { what, registry, fingerprint, public_key, .. }) => {
                let log_key = belief.claimed.map(|key| key.to_string());
                Err(Error::UnknownSigner { what, registry, fingerprint, public_key, log_key })
            }
            Err(e @ (Error::NotFound { .. } | Error::Unreleased { .. })) => {
                let is_its = match &view {
                    Some(view) => view.replica.history().dataset(name).is_some(),
                    None => !registry.versions(name).await?.is_empty(),
                };
                Ok(match (is_its, view, belief.unlike) {
                    (true, ..) => Answer::Otherwise(e),
                    (false, None, Some(unlike)) => Answer::Silent(unlike),
                    (false, view, _) => {
                        let notice = |behind| format!("{behind}: it has no {name}");
                        Answer::Lacks(e, view.and_then(|view| view.behind).map(notice))
                    }
                })
            }
            Err(e) => Err(e),
        }
    }

    /// What the first of `locations` answers that shows the log of a registry; `None` if none does and answers.
    async fn ask_mirrors(
        &self,
        locations: &[String],
        (log, trusted): (&LogKey, &Trusted),
        reference: &DatasetRef,
        name: &Name,
    ) -> Result<Option<Answer>> {
        let mut other = None;
        for location in locations {
            let Ok(registry) = self.open(location) else { continue };
            let Ok(belief) = self.belief(&registry).await else { continue };
            let Some(shown) = belief.log.or(belief.claimed).filter(|shown| shown.origin() == log.origin())
            else {
                continue;
            };
            // As strictly as the one that it stands for.
            let believed = self.believed(trusted, Some(log.clone()));
            match self.ask_as(registry, believed, reference, name).await {
                Ok(found @ Answer::Found(_)) => return Ok(Some(found)),
                Ok(Answer::Silent(_)) => {}
                Ok(answer) => drop(other.get_or_insert(answer)),
                // It claims to be that log, and is not.
                Err(e) if self.is_same_log(log, &shown) => return Err(e),
                // One of the same origin only.
                Err(_) => {}
            }
        }
        Ok(other)
    }

    /// The log that a registry must show, if the user believes it, and what is believed of it: as it was said, or as it was
    /// when it was last read.
    fn expected(&self, location: &str) -> Option<(LogKey, &Trusted)> {
        let id: RegistryId = location.parse().ok().filter(|_| location != BUNDLED)?;
        let trusted = self.believed_at(&id)?;
        Some((trusted.believed_log()?.clone(), trusted))
    }

    /// That a registry lacks the name, by its log as it was last seen. The error says whose a name is not known of.
    fn as_it_was(&self, location: &str, name: &Name, error: &Error) -> Result<String> {
        let refuse = |why: &str| unanswered(location, name, &format!("{}; {why}", chain(error)));
        let expected = self.expected(location).ok_or_else(|| refuse("nothing is known of a log of it"))?;
        let (log, trusted) = expected;
        let known = self.logs.log(&log).load()?.whole();
        let (replica, seen) = known.ok_or_else(|| refuse("its log was never seen"))?;
        let what = "its log as last seen";
        let checked = SignedCheckpoint::parse(what, seen.note)
            .and_then(|note| self.believed(trusted, None).policy.check(what, &note));
        checked.map_err(|e| refuse(&chain(&e)))?;
        if replica.history().dataset(name).is_some() {
            return Err(refuse(
                "its log as last seen has that name, and no mirror of that log in the list answers",
            ));
        }
        Ok(format!(
            "registry {location} cannot be asked; its log as last seen, with {} entries, has no {name}, and so the next ones \
             were asked: {error}",
            replica.size()
        ))
    }

    /// That registries further on in the list, of other logs, have the name too.
    async fn elsewhere(
        &self,
        locations: &[String],
        asked: &str,
        found_in: &Registry,
        name: &Name,
    ) -> Vec<String> {
        if locations.is_empty() {
            return Vec::new();
        }
        let own = self.expected(asked).or_else(|| self.expected(found_in.name())).map(|(log, _)| log);
        let own = match own {
            Some(log) => Some(log),
            None => aside(found_in.about()).await.and_then(Result::ok).and_then(|about| about.log_key),
        };
        let have_it = locations.iter().map(|location| self.has_it_too(location, own.as_ref(), name));
        let have_it = join_all(have_it).await;
        let others = locations.iter().zip(have_it).filter(|(_, has_it)| *has_it);
        let others: Vec<&str> = others.map(|(location, _)| location.as_str()).collect();
        if others.is_empty() {
            return Vec::new();
        }
        vec![format!(
            "{name} is a name in more than one log: it is taken from registry {}, which stands first, and not from {}",
            found_in.name(),
            others.join(", ")
        )]
    }

    /// Whether a registry of another log than `own` has the name too: one that takes long is not waited for.
    async fn has_it_too(&self, location: &str, own: Option<&LogKey>, name: &Name) -> bool {
        let is_same = |log: &LogKey| own.is_some_and(|own| self.is_same_log(own, log));
        let expected = self.expected(location).map(|(log, _)| log);
        if expected.as_ref().is_some_and(is_same) {
            return false;
        }
        let access = Access { retries: 0, timeout: ASIDE.min(self.access.timeout), ..self.access.clone() };
        let Ok(registry) = Registry::open(location, &access) else { return false };
        let says = aside(async {
            let about = registry.about().await.ok()?;
            // Without a log on either side nobody can say that they are not one.
            let is_one = about.log_key.as_ref().map_or(own.is_none(), is_same);
            Some(!is_one && registry.versions(name).await.is_ok_and(|versions| !versions.is_empty()))
        });
        says.await.flatten().unwrap_or_else(|| {
            let known = expected.and_then(|log| self.logs.log(&log).load().ok()?.whole());
            known.is_some_and(|(replica, _)| replica.history().dataset(name).is_some())
        })
    }

    /// Whether two keys are of one log, as far as it was seen.
    fn is_same_log(&self, one: &LogKey, other: &LogKey) -> bool {
        self.known().has_become(one, other) || self.known().has_become(other, one)
    }
}

/// What is asked only for a notice; `None` if it takes long, however it does so.
async fn aside<T>(asked: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(ASIDE, asked).await.ok()
}

/// That nobody knows whose `name` is, since the registry at `location` does not say.
pub(crate) fn unanswered(location: &str, name: &Name, why: &str) -> Error {
    Error::Unanswered { registry: location.into(), name: name.to_string(), why: why.into() }
}

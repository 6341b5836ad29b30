//! Which registry of the list a name belongs to: the first one that has it. A registry that does not answer
//! may have the name too, so a mirror of its log answers for it, or its log as it was last seen. Registries
//! with the same log are mirrors of each other, wherever they stand in the list.

use std::borrow::Cow;
use std::time::Duration;

use futures_util::future::join_all;

use super::{Belief, Client, in_log, none_named};
use crate::registry::ahead::Needs;
use crate::registry::{BUNDLED, Head, Registry};
use crate::transport::Access;
use crate::trust::{RegistryId, Trusted};
use isn_format::dataset_ref::{DatasetRef, Name};
use isn_format::error::{Error, Missing, Result, chain};
use isn_format::log::{LogKey, SignedCheckpoint};
use isn_format::release::Release;

/// The maximum time for asking a further registry whether it has the name too.
const ASIDE: Duration = Duration::from_secs(3);

/// A registry's answer to a name.
enum Answer {
    /// It has the version.
    Found(Box<(Registry, Head)>),
    /// The name belongs to it, but there is no such version.
    Otherwise(Error),
    /// It does not have the name; with a notice if only its log as last seen says so.
    Lacks(Error, Option<String>),
    /// It did not answer.
    Silent(Error),
}

impl Client {
    /// Returns the version that a name means, from the first registry that has the name.
    pub(super) async fn by_name(
        &self,
        reference: &DatasetRef,
        name: &Name,
        needs: Needs,
    ) -> Result<(Registry, Head)> {
        let (mut notices, mut absent, mut silent) = (Vec::new(), None, None);
        for (at, location) in self.locations.iter().enumerate() {
            let rest = &self.locations[at + 1..];
            let mut answer = self.ask(location, reference, name, needs).await?;
            if let Answer::Silent(_) | Answer::Otherwise(_) = &answer
                && let Some((log, trusted)) = self.expected(location)
            {
                let mirror = self.ask_mirrors(rest, (&log, &trusted), reference, name).await?;
                if let (Some(_), Answer::Silent(e)) = (&mirror, &answer) {
                    notices.push(format!(
                        "registry {location} cannot be asked, so a mirror of its log was: {e}"
                    ));
                }
                answer = mirror.unwrap_or(answer);
            }
            if let Answer::Silent(e) = &answer
                && let Some(cached) = self.ask_cache(location, reference, name).await?
            {
                notices.push(format!("registry {location} cannot be asked, so the cache was: {}", chain(e)));
                answer = cached;
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
                    // That there is a recipe says more than that there is no version.
                    match (&absent, &e) {
                        (Some(Error::NotFound { .. }), Error::Unreleased { .. }) => absent = Some(e),
                        (Some(Error::NotFound { near, .. }), Error::NotFound { .. }) if near.is_empty() => {
                            absent = Some(e);
                        }
                        _ => drop(absent.get_or_insert(e)),
                    }
                }
                // No other registry could be mistaken for it.
                Answer::Silent(e) if self.locations.len() == 1 => {
                    return Err(self.as_cached(e, location, reference, name).await);
                }
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

    async fn ask(&self, location: &str, reference: &DatasetRef, name: &Name, needs: Needs) -> Result<Answer> {
        let registry = match self.open(location) {
            Ok(registry) => registry,
            // A disk that is not mounted looks like this.
            Err(e @ Error::NotFound { .. }) => return Ok(Answer::Silent(e)),
            Err(e) => return Err(e),
        };
        registry.look_ahead(reference, needs);
        match self.belief(&registry).await {
            Ok(belief) => self.ask_as(registry, belief, reference, name).await,
            Err(e @ Error::Network { .. }) => Ok(Answer::Silent(e)),
            Err(e) => Err(e),
        }
    }

    /// Without a network, asks the cache and the log as last seen for a folder that cannot be asked, as they
    /// are asked for a server. Returns `None` if they do not know.
    async fn ask_cache(&self, location: &str, reference: &DatasetRef, name: &Name) -> Result<Option<Answer>> {
        let gone = Registry::gone(location).filter(|_| self.access.offline);
        let Some(registry) = gone.map(|gone| gone.with_cache(self.cache.clone())) else { return Ok(None) };
        let belief = self.belief(&registry).await?;
        let answer = self.ask_as(registry, belief, reference, name).await?;
        Ok(Some(answer).filter(|answer| !matches!(answer, Answer::Silent(_))))
    }

    /// Adds to the error that a registry's folder does not exist that the cache has the version, if it has.
    async fn as_cached(&self, error: Error, location: &str, reference: &DatasetRef, name: &Name) -> Error {
        let Error::NotFound { kind: Missing::Location, what, place, near } = error else { return error };
        let access = Access { offline: true, ..self.access.clone() };
        let offline = Client { access, ..self.clone() };
        let kind = match offline.ask_cache(location, reference, name).await {
            Ok(Some(Answer::Found(_))) => Missing::LocationInCache,
            _ => Missing::Location,
        };
        Error::NotFound { kind, what, place, near }
    }

    /// Asks a registry about which the user believes `belief`.
    async fn ask_as(
        &self,
        registry: Registry,
        mut belief: Belief,
        reference: &DatasetRef,
        name: &Name,
    ) -> Result<Answer> {
        let view = match self.view(&registry, &belief, Some(name)).await {
            Ok(view) => view,
            Err(e @ Error::Network { .. }) => return Ok(Answer::Silent(e)),
            Err(e) => return Err(e),
        };
        // Only `registry.json` can say that a registry never had a log, and then what its publishers signed
        // counts by itself.
        if let (None, Some(unlike)) = (&view, belief.unlike.take()) {
            return Ok(Answer::Silent(unlike));
        }
        let released = match &view {
            Some(view) => in_log(&registry, view, reference, &belief.keys).await,
            None => registry.release(reference, &belief.keys).await.map(|release| (release, Vec::new())),
        };
        let (registry, found) = match released {
            Ok((release, warnings)) => {
                let (registry, head) = self.head_of(registry, &release).await;
                (registry, head.map(|head| Head { warnings, ..head }))
            }
            Err(e) => (registry, Err(e)),
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
                    Some(view) => view.history().dataset(name).is_some(),
                    None => !registry.versions(name).await?.is_empty(),
                };
                Ok(match (is_its, view) {
                    (true, _) => Answer::Otherwise(e),
                    (false, view) => {
                        let recipes = self.recipes(registry.name()).into_iter();
                        let e = e.near(recipes.filter(|recipe| recipe.is_like(name)));
                        let notice = |behind| format!("{behind}: it has no {name}");
                        Answer::Lacks(e, view.and_then(|view| view.behind().cloned()).map(notice))
                    }
                })
            }
            Err(e) => Err(e),
        }
    }

    /// Reads the manifest of a release. If the objects of a folder cannot be read, they may be in the cache.
    async fn head_of(&self, registry: Registry, release: &Release) -> (Registry, Result<Head>) {
        let head = registry.head_of_release(release).await;
        if registry.cache().is_some() || !matches!(head, Err(Error::Network { .. })) {
            return (registry, head);
        }
        let registry = registry.with_cache(self.cache.clone());
        let head = registry.head_of_release(release).await;
        (registry, head)
    }

    /// Asks the registries at `locations` that show the log of the silent registry; returns the first answer
    /// with the version, else the first other answer; `None` if none answers.
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
            // A mirror is held to what is believed about the registry that it stands in for.
            let believed = self.believed(trusted, Some(log.clone()));
            match self.ask_as(registry, believed, reference, name).await {
                Ok(found @ Answer::Found(_)) => return Ok(Some(found)),
                Ok(Answer::Silent(_)) => {}
                Ok(answer) => drop(other.get_or_insert(answer)),
                // It claims that log, but contradicts it.
                Err(e) if self.is_same_log(log, &shown) => return Err(e),
                // It has only the same origin.
                Err(_) => {}
            }
        }
        Ok(other)
    }

    /// Returns the log that a registry must show, if the user believes it, and what is believed about it: as
    /// recorded in the trust store, or as it was last seen.
    pub(super) fn expected(&self, location: &str) -> Option<(LogKey, Cow<'_, Trusted>)> {
        let id: RegistryId = location.parse().ok().filter(|_| location != BUNDLED)?;
        let trusted = self.believed_at(&id)?;
        Some((trusted.believed_log()?.clone(), trusted))
    }

    /// Returns the notice that a registry lacks the name, by its log as last seen. The error says that the
    /// owner of the name is not known.
    fn as_it_was(&self, location: &str, name: &Name, error: &Error) -> Result<String> {
        let refuse = |why: &str| unanswered(location, name, &format!("{}; {why}", chain(error)));
        let expected = self.expected(location).ok_or_else(|| refuse("no log of it is known"))?;
        let (log, trusted) = expected;
        let known = self.logs.log(&log).last_seen(name)?;
        let (history, seen) = known.ok_or_else(|| refuse("its log was never seen"))?;
        let what = "its log as last seen";
        let checked = SignedCheckpoint::parse(what, seen.note)
            .and_then(|note| self.believed(&trusted, None).policy.check(what, &note));
        checked.map_err(|e| refuse(&chain(&e)))?;
        if history.dataset(name).is_some() {
            return Err(refuse(
                "its log as last seen has that name, and no mirror of that log in the list answers",
            ));
        }
        Ok(format!(
            "registry {location} cannot be asked; its log as last seen, with {} entries, has no {name}, so \
             the next registries were asked: {error}",
            history.size()
        ))
    }

    /// Returns a notice if later registries in the list, with other logs, have the name too.
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
            "{name} is a name in more than one log: it is taken from registry {}, which comes first, and not \
             from {}",
            found_in.name(),
            others.join(", ")
        )]
    }

    /// Whether a registry with another log than `own` has the name too. Does not wait for a slow one.
    async fn has_it_too(&self, location: &str, own: Option<&LogKey>, name: &Name) -> bool {
        let is_same = |log: &LogKey| own.is_some_and(|own| self.is_same_log(own, log));
        let expected = self.expected(location).map(|(log, _)| log);
        if expected.as_ref().is_some_and(is_same) {
            return false;
        }
        let Ok(registry) = self.open_aside(location) else { return false };
        let says = aside(async {
            let about = registry.about().await.ok()?;
            // If neither has a log, nothing shows that they differ.
            let is_one = about.log_key.as_ref().map_or(own.is_none(), is_same);
            Some(!is_one && registry.versions(name).await.is_ok_and(|versions| !versions.is_empty()))
        });
        says.await.flatten().unwrap_or_else(|| {
            let known = expected.and_then(|log| self.logs.log(&log).last_seen(name).ok()?);
            known.is_some_and(|(history, _)| history.dataset(name).is_some())
        })
    }

    /// Opens a registry that is asked only for a notice: without mirrors, cache or patience.
    pub(crate) fn open_aside(&self, location: &str) -> Result<Registry> {
        let access = Access { retries: 0, timeout: ASIDE.min(self.access.timeout), ..self.access.clone() };
        Registry::open(location, &access)
    }

    /// Whether two keys belong to one log, as far as it was seen.
    fn is_same_log(&self, one: &LogKey, other: &LogKey) -> bool {
        self.known().has_become(one, other) || self.known().has_become(other, one)
    }
}

/// Returns the result of a request that only serves a notice; `None` if it takes too long.
pub(super) async fn aside<T>(asked: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(ASIDE, asked).await.ok()
}

/// The error that the owner of `name` is not known, since the registry at `location` does not answer.
pub(crate) fn unanswered(location: &str, name: &Name, why: &str) -> Error {
    Error::Unanswered { registry: location.into(), name: name.to_string(), why: why.into() }
}

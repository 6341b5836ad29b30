//! [`Known`]: which log a location must show, by the same rule for readers and writers.

use std::borrow::Cow;

use super::{RegistryId, TrustStore, Trusted};
use crate::known_logs::KnownLogs;
use isn_format::error::{Error, Result};
use isn_format::log::LogKey;

/// What a user knows about registries: whom to believe, and what was seen of their logs.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The logs and keys that the user trusts.
    pub trust: &'a TrustStore,
    /// The logs that this user has seen, and the private keys of the user's own logs.
    pub logs: &'a KnownLogs,
}

impl<'a> Known<'a> {
    /// The knowledge of a user who trusts nobody.
    #[cfg(test)]
    pub(crate) fn trusting_nobody(logs: &'a KnownLogs) -> Self {
        static NOBODY: std::sync::LazyLock<TrustStore> =
            std::sync::LazyLock::new(|| TrustStore::open("/no/such/trust.toml").unwrap());
        Known { trust: &NOBODY, logs }
    }

    /// Returns the log that a location must show: the one that the user trusts for it, or else the one that
    /// was last seen there. `None` for a new location.
    pub(crate) fn log_of(&self, place: &RegistryId) -> Option<LogKey> {
        let trusted = self.trust.get(place).and_then(|trusted| trusted.log.clone());
        trusted.or_else(|| self.logs.log_at(place.as_str()))
    }

    /// Returns what is believed about a location that the user has named. If the user has named only a
    /// publisher, the log that was last seen there counts as after a first contact.
    pub fn named(&self, place: &RegistryId) -> Option<Cow<'a, Trusted>> {
        self.trust.get(place).map(|trusted| self.with_seen(place, trusted))
    }

    /// Every location that the user has named, sorted, with what is believed about it.
    pub fn list(self) -> impl Iterator<Item = (&'a RegistryId, Cow<'a, Trusted>)> {
        self.trust.list().map(move |(place, trusted)| (place, self.with_seen(place, trusted)))
    }

    fn with_seen(&self, place: &RegistryId, trusted: &'a Trusted) -> Cow<'a, Trusted> {
        let lacks_log = trusted.log.is_none() && !trusted.keys.is_empty();
        match lacks_log.then(|| self.logs.log_at(place.as_str())).flatten() {
            Some(log) => Cow::Owned(Trusted { log: Some(log), first_contact: true, ..trusted.clone() }),
            None => Cow::Borrowed(trusted),
        }
    }

    /// Returns the key of the log to write to at a location that claims the log `claimed`, if it claims one.
    /// `None` if it claims none and need not have one.
    ///
    /// # Errors
    /// [`Error::OtherLog`] if the location must show another log.
    pub fn log_to_write(&self, place: &RegistryId, claimed: Option<&LogKey>) -> Result<Option<LogKey>> {
        let Some(known) = self.log_of(place) else { return Ok(claimed.cloned()) };
        // All keys of a log have the same origin. Whether this key leads to that log is decided when its
        // entries are read.
        match claimed {
            Some(claimed) if claimed.origin() == known.origin() => Ok(Some(known)),
            _ => Err(Error::OtherLog {
                registry: place.to_string(),
                known: known.to_string(),
                other: claimed.map(ToString::to_string),
            }),
        }
    }

    /// Returns what is believed about the registry with this log at any location: under this key, or under an
    /// earlier key that, as far as the log was seen, was replaced by this one.
    pub(crate) fn believed_of(&self, log: &LogKey) -> Option<&'a Trusted> {
        let mut trusted = self.trust.list().map(|(_, trusted)| trusted);
        trusted.find(|trusted| trusted.log.as_ref().is_some_and(|anchor| self.has_become(anchor, log)))
    }

    /// Whether the present key of the log known by `anchor` is `log`, as far as the log was seen.
    pub(crate) fn has_become(&self, anchor: &LogKey, log: &LogKey) -> bool {
        anchor == log
            || (anchor.origin() == log.origin()
                && self.logs.log(anchor).keys().is_ok_and(|keys| keys.key() == *log))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::AnyKey;

    #[test]
    fn a_place_must_show_the_log_that_is_trusted_for_it_or_else_the_one_that_was_seen_there() {
        let dir = tempfile::tempdir().unwrap();
        let logs = KnownLogs::new(dir.path().join("logs"));
        let mut trust = TrustStore::open(dir.path().join("trust.toml")).unwrap();
        let place: RegistryId = "https://example.org/data".parse().unwrap();
        let [seen, trusted, other] = [(); 3].map(|()| logs.new_signer(None).unwrap().log_key().clone());
        let to_write = |trust: &TrustStore, claimed: Option<&LogKey>| {
            Known { trust, logs: &logs }.log_to_write(&place, claimed)
        };
        assert_eq!(to_write(&trust, None).unwrap(), None, "a new place");
        assert_eq!(to_write(&trust, Some(&other)).unwrap(), Some(other.clone()));
        logs.note_place(place.as_str(), &seen).unwrap();
        for must in [&seen, &trusted] {
            if must == &trusted {
                trust.add(&place, &AnyKey::Log(trusted.clone())).unwrap();
            }
            assert_eq!(to_write(&trust, Some(must)).unwrap().as_ref(), Some(must));
            for claimed in [None, Some(&other)] {
                let error = to_write(&trust, claimed).unwrap_err();
                assert!(matches!(error, Error::OtherLog { .. }), "{error}");
            }
        }
    }
}

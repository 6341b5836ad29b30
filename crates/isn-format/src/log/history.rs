//! [`History`]: what the entries of a log mean, replayed from the first one on. Position is the only clock:
//! an entry is judged by the state that the entries before it left, never by a later state and never by a
//! date.
//!
//! An entry that is not valid in that state *has no effect*. The newest such entries are listed in
//! [`History::rejected`]. They do not stop the log, nor any name. The rules, of which docs/format.md is the
//! specification:
//!
//! - `owner`: the first one for a name claims it, and must be signed by its own quorum. A later one contains
//!   the hash of the one in force and must be signed by the quorum of that one, or by as many of its recovery
//!   keys (by all, if there are fewer). It must not contain a revoked key.
//! - `release`: signed by the quorum of the name's owners; a version is released once.
//! - `revoke`: signed by the key itself, by the owners' quorum or by the recovery keys' quorum; from the next
//!   entry on, the key no longer counts for that name.
//! - `yank`, `withdraw`: signed by the owners' quorum; for a released version, each once.
//! - `rebuilt`: none in a registry's log. In its attestation log, which has no other statements, each key
//!   makes one about a version.
//! - `logkey`: signed by the log's key in force and by the new key. For a reader who knows the log by a later
//!   key, the changes before any change of that key lie in the past: they must be signed, and only say which
//!   key was in force before.
//!
//! A quorum is as many different keys as the threshold requires, none of them revoked; a signature by any
//! other key makes the entry invalid.

mod built;
mod keys;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use built::Built;
use keys::{EarlierChange, KeyChange};

use super::key::LogKey;
use crate::dataset_ref::{Name, Version, VersionId};
use crate::digest::Digest;
use crate::key::PublicKey;
use crate::release::{LogPosition, Release};
use crate::statement::{
    self, Advice, Attested, Owner, ReleaseStatement, Revocation, SignedStatement, Statement,
};

/// The number of entries without effect that are kept, the newest ones (at most twice as many): a log may
/// have millions of them, of two bytes each.
const MAX_REJECTED: usize = 1000;
/// The maximum number of characters that are kept of the reason why an entry is not a statement.
const MAX_WHY: usize = 300;

/// The number of the rules by which entries are judged. A replay that was made by others is made again. 1 is
/// that of replays which say none; since 2, changes before the anchor are remembered.
const RULES: u32 = 2;

fn first_rules() -> u32 {
    1
}

/// The state after a number of entries.
///
/// ```
/// use isn_format::key::{PrivateKey, Signer as _};
/// use isn_format::log::{History, LogSigner};
/// use isn_format::statement::{Advice, Owner, SignedStatement, Statement};
///
/// let log = LogSigner::new("example.org/log", PrivateKey::generate("a log")?)?;
/// let key = PrivateKey::generate("an owner")?;
/// let name = "birds".parse()?;
/// let claim = Statement::Owner(Owner::new(name, None, 1, vec![*key.public_key()], vec![]));
/// let yank = Statement::Yank(Advice { id: "birds@1.0".parse()?, reason: "val leaks into train".into() });
///
/// let mut history = History::new(log.log_key().clone());
/// assert!(history.apply(SignedStatement::sign(&claim, &key)?.bytes()).is_ok());
/// // An entry that the rules refuse stays in the log, without effect: no such version was released.
/// assert!(history.apply(SignedStatement::sign(&yank, &key)?.bytes()).is_err());
/// assert_eq!((history.size(), history.rejected().len()), (2, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The key by which the reader knows the log.
    anchor: LogKey,
    #[serde(default = "first_rules")]
    rules: u32,
    size: u64,
    /// Changes of the log's key since the anchor.
    keys: Vec<KeyChange>,
    /// Changes before those, the newest ones: they may have led to the anchor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<EarlierChange>,
    datasets: BTreeMap<Name, Dataset>,
    /// Of an attestation log: who states to have built what.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    built: BTreeMap<Name, BTreeMap<Version, BTreeMap<PublicKey, Built>>>,
    rejected: Vec<Rejected>,
}

/// What a log says about one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dataset {
    /// The current owners.
    pub owners: Owners,
    /// Keys that no longer count, with the entry that revoked each.
    pub revoked: BTreeMap<PublicKey, u64>,
    /// Every version that was ever released. In boxes, since the tree's nodes are half empty: a log may have
    /// a hundred thousand of them.
    pub releases: BTreeMap<Version, Box<Released>>,
}

/// The owner statement in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owners {
    /// The number of its entry.
    pub index: u64,
    /// The hash that the next owner statement must contain.
    pub id: Digest,
    /// The number of keys that must sign.
    pub threshold: usize,
    /// The owners' keys.
    pub keys: Vec<PublicKey>,
    /// The recovery keys.
    pub recovery: Vec<PublicKey>,
}

/// A version in a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// The number of its entry.
    pub index: u64,
    /// The dataset hash.
    pub dataset: Digest,
    /// The manifest's hash.
    pub manifest: Digest,
    /// The manifest's length in bytes.
    pub manifest_len: u64,
    /// The owners that signed it.
    pub signers: Vec<PublicKey>,
    /// The notice that it should no longer be used, if any.
    pub yanked: Option<Box<Notice>>,
    /// The notice that its objects may be gone, if any.
    pub withdrawn: Option<Box<Notice>>,
}

/// A yank or withdrawal of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The number of its entry.
    pub index: u64,
    /// The owners' reason.
    pub reason: String,
}

/// An entry that has an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its number.
    pub index: u64,
    /// Its statement and signers.
    pub attested: Attested,
}

/// An entry that has no effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Its number.
    pub index: u64,
    /// The dataset that it is about, as far as it can be read.
    pub name: Option<Name>,
    /// The version that it is about, if any.
    pub version: Option<Version>,
    /// What it is and why it has no effect.
    pub why: String,
}

/// Why a statement would have no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason, worded to follow the statement's title.
    pub why: String,
    /// The number of signatures that are missing, if nothing else is wrong.
    pub missing: usize,
    /// Whether it is signed by a key that has no right to do so.
    pub is_strangers: bool,
}

impl<T: Into<String>> From<T> for Refusal {
    fn from(why: T) -> Self {
        Refusal { why: why.into(), missing: 0, is_strangers: false }
    }
}

impl History {
    /// Creates the state before the first entry of the log that the reader knows by `anchor`.
    pub fn new(anchor: LogKey) -> Self {
        History {
            anchor,
            rules: RULES,
            size: 0,
            keys: Vec::new(),
            earlier: Vec::new(),
            datasets: BTreeMap::new(),
            built: BTreeMap::new(),
            rejected: Vec::new(),
        }
    }

    /// Returns the key by which the reader knows the log.
    pub fn anchor(&self) -> &LogKey {
        &self.anchor
    }

    /// Whether it was replayed by the rules of this program.
    pub fn is_by_these_rules(&self) -> bool {
        self.rules == RULES
    }

    /// Returns the number of entries that were replayed.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns what the log says about `name`, if somebody owns it.
    pub fn dataset(&self, name: &Name) -> Option<&Dataset> {
        self.datasets.get(name)
    }

    /// Iterates over the names that somebody owns.
    pub fn datasets(&self) -> impl Iterator<Item = (&Name, &Dataset)> {
        self.datasets.iter()
    }

    /// Returns the newest entries without effect, oldest first.
    pub fn rejected(&self) -> &[Rejected] {
        &self.rejected
    }

    /// Returns the newest version of `name` that is neither yanked nor withdrawn.
    pub fn newest(&self, name: &Name) -> Option<Version> {
        let is_good = |released: &Released| released.yanked.is_none() && released.withdrawn.is_none();
        let mut releases = self.datasets.get(name)?.releases.iter().rev();
        releases.find(|(_, released)| is_good(released)).map(|(version, _)| *version)
    }

    /// Returns the release of a version, if the log has a valid one.
    pub fn release(&self, id: &VersionId) -> Option<(Release, &Released)> {
        let released = self.datasets.get(&id.name)?.releases.get(&id.version)?;
        let statement = ReleaseStatement {
            id: id.clone(),
            dataset: released.dataset,
            manifest: released.manifest,
            manifest_len: released.manifest_len,
        };
        let position =
            LogPosition { origin: self.anchor.origin().into(), index: released.index, size: self.size };
        Some((Release::logged(statement, released.signers.clone(), position), released))
    }

    /// Returns the version that has this dataset hash; if there are several, the first one that was released.
    pub fn find(&self, dataset: &Digest) -> Option<VersionId> {
        let releases = self.datasets.iter().flat_map(|(name, of)| {
            of.releases.iter().map(move |(version, released)| (released, name, *version))
        });
        let same = releases.filter(|(released, ..)| released.dataset == *dataset);
        let (_, name, version) = same.min_by_key(|(released, ..)| released.index)?;
        Some(VersionId { name: name.clone(), version })
    }

    /// Replays the next entry.
    ///
    /// # Errors
    /// [`Rejected`] if the entry has no effect; the history continues with the next one.
    pub fn apply(&mut self, entry: &[u8]) -> Result<Accepted, Rejected> {
        let index = self.size;
        self.size += 1;
        match self.judge(entry) {
            Ok(attested) => {
                self.enact(index, &attested);
                Ok(Accepted { index, attested })
            }
            Err((name, version, why)) => {
                let rejected = Rejected { index, name, version, why };
                if self.rejected.len() >= 2 * MAX_REJECTED {
                    self.rejected.drain(..MAX_REJECTED);
                }
                self.rejected.push(rejected.clone());
                Err(rejected)
            }
        }
    }

    /// Replays the entry `index`, if none since the last one that was replayed is about its name or the log's
    /// key: what an entry means depends on no others.
    ///
    /// # Errors
    /// As [`History::apply`].
    pub fn apply_at(&mut self, index: u64, entry: &[u8]) -> Result<Accepted, Rejected> {
        self.size = self.size.max(index);
        self.apply(entry)
    }

    /// Takes note that none of the entries up to `size` that were not replayed is about the names that this
    /// history is of, or about the log's key.
    pub fn pass(&mut self, size: u64) {
        self.size = self.size.max(size);
    }

    /// Returns the numbers of the entries that have an effect on what is said about `name` and about the
    /// log's keys: whoever leaves one of them out says something else.
    pub fn entries_about(&self, name: &Name) -> Vec<u64> {
        let mut entries = self.key_changes();
        let Some(Dataset { owners, revoked, releases }) = self.datasets.get(name) else { return entries };
        entries.push(owners.index);
        entries.extend(revoked.values());
        for released in releases.values() {
            let notices = [&released.yanked, &released.withdrawn].into_iter().flatten();
            entries.extend(notices.map(|notice| notice.index).chain([released.index]));
        }
        entries
    }

    /// Returns the same history without any name: what it says about the log's keys.
    pub fn of_keys(&self) -> Self {
        let (anchor, keys, earlier) = (self.anchor.clone(), self.keys.clone(), self.earlier.clone());
        History { size: self.size, keys, earlier, ..History::new(anchor) }
    }

    /// Returns the statement in an entry, if it has an effect; otherwise its subject and the reason.
    fn judge(&self, entry: &[u8]) -> Result<Attested, (Option<Name>, Option<Version>, String)> {
        let signed = SignedStatement::parse("it", entry.to_vec()).map_err(|e| {
            let why = e.to_string();
            let why = format!("is no statement: {}", shortened(why.strip_prefix("it: ").unwrap_or(&why)));
            let (name, version) = statement::guess_subject(entry);
            (name, version, why)
        })?;
        let about = |why: &str| {
            let claimed = signed.claimed();
            (claimed.name().cloned(), claimed.version(), format!("{} {why}", claimed.title()))
        };
        let attested = signed.attested().map_err(|_| about("has a signature that is not valid"))?;
        self.check(&attested.statement, &attested.signers).map_err(|refusal| about(&refusal.why))?;
        Ok(attested)
    }

    /// Returns the number of the entry that already gives exactly this advice: after being killed, a writer
    /// need not append it again.
    pub fn said(&self, statement: &Statement) -> Option<u64> {
        let released = |Advice { id, .. }: &Advice| self.datasets.get(&id.name)?.releases.get(&id.version);
        let (advice, notice) = match statement {
            Statement::Yank(advice) => (advice, &released(advice)?.yanked),
            Statement::Withdraw(advice) => (advice, &released(advice)?.withdrawn),
            _ => return None,
        };
        notice.as_ref().filter(|notice| notice.reason == advice.reason).map(|notice| notice.index)
    }

    /// Checks whether a statement would have an effect as the next entry.
    ///
    /// # Errors
    /// [`Refusal`] if it would have none.
    pub fn check(&self, statement: &Statement, signers: &[PublicKey]) -> Result<(), Refusal> {
        match statement {
            Statement::Rebuilt(rebuilt) if self.attests() => self.check_rebuilt(rebuilt, signers),
            Statement::Rebuilt(_) => Err("belongs in the registry's attestation log, not in this one".into()),
            _ if self.attests() => Err("belongs in the registry's log, not in its attestation log".into()),
            Statement::Owner(owner) => self.check_owner(owner, signers),
            Statement::LogKey(change) => self.check_log_key(change, signers),
            Statement::Release(release) => {
                let dataset = self.owned(&release.id.name)?;
                if let Some(first) = dataset.releases.get(&release.id.version) {
                    let first = first.index;
                    return Err(
                        format!("is a second release of that version: entry {first} is the first").into()
                    );
                }
                dataset.check_quorum(signers)
            }
            Statement::Revoke(Revocation { name, key, .. }) => {
                let dataset = self.owned(name)?;
                let Owners { keys, recovery, .. } = &dataset.owners;
                if let Some(index) = dataset.revoked.get(key) {
                    return Err(format!("is of a key that entry {index} already revoked").into());
                }
                if !keys.contains(key) && !recovery.contains(key) {
                    return Err(format!("is of {}, which is no key of {name}", key.fingerprint()).into());
                }
                if signers == [*key] { Ok(()) } else { dataset.check_owner_quorum(signers) }
            }
            Statement::Yank(advice) => self.check_advice(advice, signers, |released| &released.yanked),
            Statement::Withdraw(advice) => self.check_advice(advice, signers, |released| &released.withdrawn),
        }
    }

    fn owned(&self, name: &Name) -> Result<&Dataset, Refusal> {
        self.datasets.get(name).ok_or_else(|| format!("is about {name}, which nobody owns yet").into())
    }

    fn check_owner(&self, owner: &Owner, signers: &[PublicKey]) -> Result<(), Refusal> {
        let dataset = match (self.datasets.get(&owner.name), owner.previous) {
            (None, None) => {
                return quorum(signers, &owner.keys, owner.threshold, &BTreeMap::new(), "an owner");
            }
            (None, Some(_)) => return Err("follows an owner statement, but nobody owns the name".into()),
            (Some(dataset), None) => {
                let index = dataset.owners.index;
                return Err(
                    format!("claims a name that somebody owns: entry {index} says whose it is").into()
                );
            }
            (Some(dataset), Some(previous)) if previous != dataset.owners.id => {
                return Err(format!(
                    "follows {}, but entry {} is in force: it was replayed, or others changed the \
                     owners first",
                    previous.prefixed(),
                    dataset.owners.index
                )
                .into());
            }
            (Some(dataset), Some(_)) => dataset,
        };
        for key in owner.keys.iter().chain(&owner.recovery) {
            if let Some(index) = dataset.revoked.get(key) {
                return Err(format!("names {}, which entry {index} revoked", key.fingerprint()).into());
            }
        }
        dataset.check_owner_quorum(signers)
    }

    fn check_advice(
        &self,
        Advice { id, .. }: &Advice,
        signers: &[PublicKey],
        earlier: impl Fn(&Released) -> &Option<Box<Notice>>,
    ) -> Result<(), Refusal> {
        let dataset = self.owned(&id.name)?;
        let released = dataset.releases.get(&id.version).ok_or("is about a version that is not released")?;
        if let Some(notice) = earlier(released) {
            return Err(format!("says again what entry {} says", notice.index).into());
        }
        dataset.check_quorum(signers)
    }

    /// Applies a statement that [`History::check`] has found valid.
    fn enact(&mut self, index: u64, attested: &Attested) {
        match &attested.statement {
            Statement::Owner(owner) => {
                let owners = Owners {
                    index,
                    id: attested.id,
                    threshold: owner.threshold,
                    keys: owner.keys.clone(),
                    recovery: owner.recovery.clone(),
                };
                match self.datasets.get_mut(&owner.name) {
                    Some(dataset) => dataset.owners = owners,
                    None => {
                        let (revoked, releases) = (BTreeMap::new(), BTreeMap::new());
                        self.datasets.insert(owner.name.clone(), Dataset { owners, revoked, releases });
                    }
                }
            }
            Statement::Release(release) => {
                if let Some(dataset) = self.datasets.get_mut(&release.id.name) {
                    let released = Released {
                        index,
                        dataset: release.dataset,
                        manifest: release.manifest,
                        manifest_len: release.manifest_len,
                        signers: attested.signers.clone(),
                        yanked: None,
                        withdrawn: None,
                    };
                    dataset.releases.insert(release.id.version, Box::new(released));
                }
            }
            Statement::Revoke(Revocation { name, key, .. }) => {
                if let Some(dataset) = self.datasets.get_mut(name) {
                    dataset.revoked.insert(*key, index);
                }
            }
            Statement::Yank(advice) => {
                if let Some(released) = self.released_mut(advice) {
                    released.yanked = Some(Box::new(Notice { index, reason: advice.reason.clone() }));
                }
            }
            Statement::Withdraw(advice) => {
                if let Some(released) = self.released_mut(advice) {
                    released.withdrawn = Some(Box::new(Notice { index, reason: advice.reason.clone() }));
                }
            }
            Statement::LogKey(change) => self.enact_log_key(index, change),
            Statement::Rebuilt(rebuilt) => self.enact_rebuilt(index, rebuilt, &attested.signers),
        }
    }

    fn released_mut(&mut self, advice: &Advice) -> Option<&mut Released> {
        self.datasets.get_mut(&advice.id.name)?.releases.get_mut(&advice.id.version).map(Box::as_mut)
    }
}

impl Dataset {
    /// Checks that enough owners have signed, and nobody else.
    fn check_quorum(&self, signers: &[PublicKey]) -> Result<(), Refusal> {
        quorum(signers, &self.owners.keys, self.owners.threshold, &self.revoked, "an owner")
    }

    /// Like `check_quorum`, but also accepts as many recovery keys: all of them, if there are fewer than the
    /// threshold.
    fn check_owner_quorum(&self, signers: &[PublicKey]) -> Result<(), Refusal> {
        let Owners { recovery, threshold, .. } = &self.owners;
        let by_owners = self.check_quorum(signers);
        if by_owners.is_ok() || !signers.iter().any(|signer| recovery.contains(signer)) {
            return by_owners;
        }
        let needed = (*threshold).min(recovery.len());
        quorum(signers, recovery, needed, &self.revoked, "a recovery key")
    }
}

/// Returns the beginning of a reason, which may quote a whole entry.
fn shortened(why: &str) -> Cow<'_, str> {
    match why.char_indices().nth(MAX_WHY) {
        Some((end, _)) => format!("{}…", &why[..end]).into(),
        None => why.into(),
    }
}

fn quorum(
    signers: &[PublicKey],
    keys: &[PublicKey],
    needed: usize,
    revoked: &BTreeMap<PublicKey, u64>,
    role: &str,
) -> Result<(), Refusal> {
    for signer in signers {
        if let Some(index) = revoked.get(signer) {
            return Err(format!("is signed by {}, which entry {index} revoked", signer.fingerprint()).into());
        }
        if !keys.contains(signer) {
            let why = format!("is signed by {}, which is not {role} of the name", signer.fingerprint());
            return Err(Refusal { why, missing: 0, is_strangers: true });
        }
    }
    if signers.len() < needed {
        let why = format!("has {} of the {needed} signatures that it needs", signers.len());
        return Err(Refusal { why, missing: needed - signers.len(), is_strangers: false });
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! [`History`]: what the entries of a log mean, replayed from the first on. Position is the only clock: an entry is judged
//! by the state that the entries before it left, never by a later one and never by a date.
//!
//! An entry that is not valid in that state *has no effect*. The newest of them are kept in a list
//! ([`History::rejected`]). It ends nothing: the log goes on, and so does every name. The rules (docs/format.md has the
//! norm):
//!
//! - `owner`: the first one of a name claims it, signed by its own quorum. A later one names the hash of the one in force
//!   and is signed by the quorum of that one, or by as many of its recovery keys (by all, if there are fewer). It names
//!   no revoked key.
//! - `release`: by the quorum of the name's owners; a version is released once.
//! - `revoke`: by the key itself, by the owners' quorum or by the recovery keys'; from the next entry on the key counts
//!   nowhere in that name.
//! - `yank`, `withdraw`: by the owners' quorum; of a version that is released, once.
//! - `logkey`: by the log's key in force and the new one. To a reader who knows the log by a later key, the changes that
//!   come before any of that key are of the past: they have to be signed, and change nothing.
//!
//! A quorum is as many different keys as the threshold says, none of them revoked; a signature by any other key makes the
//! entry invalid.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::key::LogKey;
use crate::dataset_ref::{Name, Version};
use crate::digest::Digest;
use crate::key::PublicKey;
use crate::release::{LogPosition, Release};
use crate::statement::{
    self, Advice, Attested, LogKeyChange, Owner, ReleaseStatement, Revocation, SignedStatement, Statement,
};

/// So many entries without effect are remembered, the newest, and never more than twice as many: a log may have millions
/// of them, of two bytes each.
const MAX_REJECTED: usize = 1000;
/// So much of the reason why an entry is no statement is kept, in characters.
const MAX_WHY: usize = 300;

/// The state after a number of entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The key that the reader knows the log by.
    anchor: LogKey,
    size: u64,
    /// Changes of the log's key since the anchor.
    keys: Vec<KeyChange>,
    datasets: BTreeMap<Name, Dataset>,
    rejected: Vec<Rejected>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KeyChange {
    index: u64,
    key: PublicKey,
}

/// What a log says of one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dataset {
    /// Whose it is now.
    pub owners: Owners,
    /// Keys that count no more, with the entry that revoked them.
    pub revoked: BTreeMap<PublicKey, u64>,
    /// Every version that was ever released.
    pub releases: BTreeMap<Version, Released>,
}

/// The owner statement in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owners {
    /// The entry.
    pub index: u64,
    /// The hash that the next owner statement must name.
    pub id: Digest,
    /// How many keys must sign.
    pub threshold: usize,
    /// The keys.
    pub keys: Vec<PublicKey>,
    /// The recovery keys.
    pub recovery: Vec<PublicKey>,
}

/// A version in a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// The entry.
    pub index: u64,
    /// The dataset hash.
    pub dataset: Digest,
    /// The manifest's hash.
    pub manifest: Digest,
    /// The manifest's length in bytes.
    pub manifest_len: u64,
    /// The owners that signed it.
    pub signers: Vec<PublicKey>,
    /// That it should not be used any more.
    pub yanked: Option<Notice>,
    /// That its objects may be gone.
    pub withdrawn: Option<Notice>,
}

/// What was said of a version later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The entry.
    pub index: u64,
    /// Why.
    pub reason: String,
}

/// An entry that has an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its number.
    pub index: u64,
    /// What it states.
    pub attested: Attested,
}

/// An entry that has no effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Its number.
    pub index: u64,
    /// The dataset that it is about, as far as that can be read.
    pub name: Option<Name>,
    /// The version that it is about, if it is about one.
    pub version: Option<Version>,
    /// What it is and why it has no effect.
    pub why: String,
}

/// Why a statement would have no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason, as what follows the statement's title.
    pub why: String,
    /// How many more signatures would mend it, if that is all.
    pub missing: usize,
    /// Whether it is by a key that has no say.
    pub is_strangers: bool,
}

impl<T: Into<String>> From<T> for Refusal {
    fn from(why: T) -> Self {
        Refusal { why: why.into(), missing: 0, is_strangers: false }
    }
}

impl History {
    /// Before the first entry of the log that the reader knows by `anchor`.
    pub fn new(anchor: LogKey) -> Self {
        History { anchor, size: 0, keys: Vec::new(), datasets: BTreeMap::new(), rejected: Vec::new() }
    }

    /// The key that the reader knows the log by.
    pub fn anchor(&self) -> &LogKey {
        &self.anchor
    }

    /// How many entries were replayed.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The key that signs checkpoints of a log of `size` entries: a change counts from its own entry on.
    pub fn key_at(&self, size: u64) -> LogKey {
        let change = self.keys.iter().rev().find(|change| change.index < size);
        change.map_or_else(|| self.anchor.clone(), |change| self.anchor.with_key(change.key))
    }

    /// The key that signs checkpoints now.
    pub fn key(&self) -> LogKey {
        self.key_at(self.size)
    }

    /// Whether the log has, or had since the anchor, this key.
    pub fn has_key(&self, key: &LogKey) -> bool {
        let mut keys = self.keys.iter().map(|change| self.anchor.with_key(change.key));
        *key == self.anchor || keys.any(|one| one == *key)
    }

    /// What the log says of `name`, if anybody owns it.
    pub fn dataset(&self, name: &Name) -> Option<&Dataset> {
        self.datasets.get(name)
    }

    /// Every name that somebody owns.
    pub fn datasets(&self) -> impl Iterator<Item = (&Name, &Dataset)> {
        self.datasets.iter()
    }

    /// The newest of the entries that have no effect, oldest first.
    pub fn rejected(&self) -> &[Rejected] {
        &self.rejected
    }

    /// The newest version of `name` that is neither yanked nor withdrawn.
    pub fn newest(&self, name: &Name) -> Option<Version> {
        let is_good = |released: &Released| released.yanked.is_none() && released.withdrawn.is_none();
        let mut releases = self.datasets.get(name)?.releases.iter().rev();
        releases.find(|(_, released)| is_good(released)).map(|(version, _)| *version)
    }

    /// The release of a version, if the log has a valid one.
    pub fn release(&self, name: &Name, version: Version) -> Option<(Release, &Released)> {
        let released = self.datasets.get(name)?.releases.get(&version)?;
        let statement = ReleaseStatement {
            name: name.clone(),
            version,
            dataset: released.dataset,
            manifest: released.manifest,
            manifest_len: released.manifest_len,
        };
        let position =
            LogPosition { origin: self.anchor.origin().into(), index: released.index, size: self.size };
        Some((Release::logged(statement, released.signers.clone(), position), released))
    }

    /// The version that has this dataset hash, the first one released if several have.
    pub fn find(&self, dataset: &Digest) -> Option<(&Name, Version)> {
        let releases = self.datasets.iter().flat_map(|(name, of)| {
            of.releases.iter().map(move |(version, released)| (released, name, *version))
        });
        let same = releases.filter(|(released, ..)| released.dataset == *dataset);
        same.min_by_key(|(released, ..)| released.index).map(|(_, name, version)| (name, version))
    }

    /// Replays the next entry.
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

    /// What an entry states, if it has an effect; else whom it is about and why not.
    fn judge(&self, entry: &[u8]) -> Result<Attested, (Option<Name>, Option<Version>, String)> {
        let signed = SignedStatement::parse("it", entry.to_vec()).map_err(|e| {
            let why = e.to_string();
            let why = format!("is no statement: it {}", shortened(why.strip_prefix("it: ").unwrap_or(&why)));
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

    /// The entry that gives just this advice already: who was killed after giving it has nothing to add.
    pub fn said(&self, statement: &Statement) -> Option<u64> {
        let released = |advice: &Advice| self.datasets.get(&advice.name)?.releases.get(&advice.version);
        let (advice, notice) = match statement {
            Statement::Yank(advice) => (advice, &released(advice)?.yanked),
            Statement::Withdraw(advice) => (advice, &released(advice)?.withdrawn),
            _ => return None,
        };
        notice.as_ref().filter(|notice| notice.reason == advice.reason).map(|notice| notice.index)
    }

    /// Whether a statement would have an effect as the next entry.
    pub fn check(&self, statement: &Statement, signers: &[PublicKey]) -> Result<(), Refusal> {
        match statement {
            Statement::Owner(owner) => self.check_owner(owner, signers),
            Statement::LogKey(change) => self.check_log_key(change, signers),
            Statement::Release(release) => {
                let dataset = self.owned(&release.name)?;
                if let Some(first) = dataset.releases.get(&release.version) {
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
                    return Err(format!("is of a key that entry {index} revoked already").into());
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
                    "follows {}, but entry {} is in force: it was played again, or others changed the owners first",
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
        Advice { name, version, .. }: &Advice,
        signers: &[PublicKey],
        earlier: impl Fn(&Released) -> &Option<Notice>,
    ) -> Result<(), Refusal> {
        let dataset = self.owned(name)?;
        let released = dataset.releases.get(version).ok_or("is about a version that is not released")?;
        if let Some(notice) = earlier(released) {
            return Err(format!("says again what entry {} says", notice.index).into());
        }
        dataset.check_quorum(signers)
    }

    fn check_log_key(&self, change: &LogKeyChange, signers: &[PublicKey]) -> Result<(), Refusal> {
        if change.origin != self.anchor.origin() {
            return Err("is about another log".into());
        }
        // Who knows the log by a later key meets the changes that led to it: they stand, and change nothing any more.
        let led_here = self.keys.is_empty() && change.old != *self.anchor.key();
        if !led_here && change.old != *self.key().key() {
            return Err("does not start from the key in force".into());
        }
        let before = self.keys.iter().map(|change| &change.key).chain([self.anchor.key()]);
        if !led_here && before.into_iter().any(|key| *key == change.new) {
            return Err("returns to a key that was given up".into());
        }
        let both = [change.old, change.new];
        if signers.len() == 2 && both.iter().all(|key| signers.contains(key)) {
            Ok(())
        } else {
            Err("is not signed by the old and the new key, and by them alone".into())
        }
    }

    /// Takes over what [`History::check`] has found valid.
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
                if let Some(dataset) = self.datasets.get_mut(&release.name) {
                    let released = Released {
                        index,
                        dataset: release.dataset,
                        manifest: release.manifest,
                        manifest_len: release.manifest_len,
                        signers: attested.signers.clone(),
                        yanked: None,
                        withdrawn: None,
                    };
                    dataset.releases.insert(release.version, released);
                }
            }
            Statement::Revoke(Revocation { name, key, .. }) => {
                if let Some(dataset) = self.datasets.get_mut(name) {
                    dataset.revoked.insert(*key, index);
                }
            }
            Statement::Yank(advice) => {
                if let Some(released) = self.released_mut(advice) {
                    released.yanked = Some(Notice { index, reason: advice.reason.clone() });
                }
            }
            Statement::Withdraw(advice) => {
                if let Some(released) = self.released_mut(advice) {
                    released.withdrawn = Some(Notice { index, reason: advice.reason.clone() });
                }
            }
            Statement::LogKey(change) if change.old == *self.key().key() => {
                self.keys.push(KeyChange { index, key: change.new });
            }
            Statement::LogKey(_) => {}
        }
    }

    fn released_mut(&mut self, advice: &Advice) -> Option<&mut Released> {
        self.datasets.get_mut(&advice.name)?.releases.get_mut(&advice.version)
    }
}

impl Dataset {
    /// As many owners as the threshold says, and nobody else.
    pub fn check_quorum(&self, signers: &[PublicKey]) -> Result<(), Refusal> {
        quorum(signers, &self.owners.keys, self.owners.threshold, &self.revoked, "an owner")
    }

    /// The same, or as many recovery keys: all of them if there are fewer than the threshold.
    pub fn check_owner_quorum(&self, signers: &[PublicKey]) -> Result<(), Refusal> {
        let Owners { recovery, threshold, .. } = &self.owners;
        let by_owners = self.check_quorum(signers);
        if by_owners.is_ok() || !signers.iter().any(|signer| recovery.contains(signer)) {
            return by_owners;
        }
        let needed = (*threshold).min(recovery.len());
        quorum(signers, recovery, needed, &self.revoked, "a recovery key")
    }
}

/// The beginning of a reason, which may quote all of an entry.
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

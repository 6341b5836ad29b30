//! `isn owner`, `isn revoke`, `isn yank`, `isn withdraw`, `isn key rotate`: the statements of a name's owners
//! other than releases.

use crate::client::{Client, near, unanswered};
use crate::steps::submit::{Speaker, Submitted, submit};
use crate::transport;
use isn_format::dataset_ref::{Name, VersionId};
use isn_format::error::{Error, Missing, Result, There, chain, count};
use isn_format::key::PublicKey;
use isn_format::log::{Dataset, History, Owners};
use isn_format::statement::{Advice, Owner, Revocation, Statement};

/// A change of a name's owners.
pub enum Change {
    /// Add an owner key.
    Add(PublicKey),
    /// Add a recovery key.
    AddRecovery(PublicKey),
    /// Remove a key of either kind.
    Remove(PublicKey),
    /// Set the number of keys that must sign.
    Threshold(usize),
}

/// Changes the owners of a name.
///
/// # Errors
/// [`Error::Exists`] if a key to add is there already; [`Error::NotFound`] if the name or a key to remove is
/// not; [`Error::Invalid`] if there would be fewer keys than the threshold; otherwise those of submitting a
/// statement.
pub fn change(speaker: &Speaker<'_>, name: &Name, change: &Change) -> Result<Vec<Submitted>> {
    submit(speaker, |history| {
        let owners = &owned(history, name)?.owners;
        let (mut keys, mut recovery) = (owners.keys.clone(), owners.recovery.clone());
        let mut threshold = owners.threshold;
        let is_there = |key: &PublicKey| owners.keys.contains(key) || owners.recovery.contains(key);
        match change {
            Change::Add(key) | Change::AddRecovery(key) if is_there(key) => {
                let what = format!("key {} of {name}", key.fingerprint());
                return Err(Error::exists(There::Said, what, ""));
            }
            Change::Add(key) => keys.push(*key),
            Change::AddRecovery(key) => recovery.push(*key),
            Change::Remove(key) if !is_there(key) => {
                return Err(Error::not_found(
                    Missing::Owner,
                    format!("key {}", key.fingerprint()),
                    format!("the owners of {name}"),
                ));
            }
            Change::Remove(key) => {
                keys.retain(|other| other != key);
                recovery.retain(|other| other != key);
            }
            Change::Threshold(new) => threshold = *new,
        }
        if !(1..=keys.len()).contains(&threshold) {
            let why = format!(
                "would need {} of {}: the threshold is from 1 to the number of keys, and `isn owner threshold` changes it",
                count(threshold, "signature"),
                count(keys.len(), "key")
            );
            return Err(Error::invalid(format!("the owners of {name}"), why));
        }
        let owner = Owner::new(name.clone(), Some(owners.id), threshold, keys, recovery);
        Ok(vec![Statement::Owner(owner)])
    })
}

/// Replaces the key `old` by `new` in the owners of `names`, or of every name if `names` is empty.
///
/// # Errors
/// [`Error::NotFound`] if the log has no such name; [`Error::Invalid`] if no name has `old`, or if `new` is
/// an owner already; otherwise those of submitting a statement.
pub fn rotate(
    speaker: &Speaker<'_>,
    names: &[Name],
    old: &PublicKey,
    new: &PublicKey,
) -> Result<Vec<Submitted>> {
    submit(speaker, |history| {
        for (name, owners) in with_key(history, names, old)? {
            if owners.keys.contains(new) || owners.recovery.contains(new) {
                let why = format!(
                    "is an owner of {name} already, so it cannot take the place of another key: `isn owner remove {name}` \
                     or `isn revoke` ends that one"
                );
                return Err(Error::invalid(format!("key {}", new.fingerprint()), why));
            }
        }
        let replaced = |keys: &[PublicKey]| -> Vec<PublicKey> {
            keys.iter().map(|key| if key == old { *new } else { *key }).collect()
        };
        let statements: Vec<Statement> = with_key(history, names, old)?
            .map(|(name, owners)| {
                let (keys, recovery) = (replaced(&owners.keys), replaced(&owners.recovery));
                Statement::Owner(Owner::new(name.clone(), Some(owners.id), owners.threshold, keys, recovery))
            })
            .collect();
        some_of(statements, old)
    })
}

/// Revokes a key for `names`, or for every name that has it if `names` is empty.
///
/// # Errors
/// [`Error::NotFound`] if the log has no such name; [`Error::Invalid`] if no name has the key; otherwise
/// those of submitting a statement.
pub fn revoke(
    speaker: &Speaker<'_>,
    names: &[Name],
    key: &PublicKey,
    reason: &str,
) -> Result<Vec<Submitted>> {
    submit(speaker, |history| {
        let statements = with_key(history, names, key)?
            .map(|(name, _)| {
                Statement::Revoke(Revocation { name: name.clone(), key: *key, reason: reason.into() })
            })
            .collect();
        some_of(statements, key)
    })
}

/// Advises against using a version.
///
/// # Errors
/// [`Error::NotFound`] if there is no such version; those of submitting a statement.
pub fn yank(speaker: &Speaker<'_>, id: &VersionId, reason: &str) -> Result<Vec<Submitted>> {
    submit(speaker, |history| {
        check_released(speaker, history, id)?;
        Ok(vec![Statement::Yank(Advice { id: id.clone(), reason: reason.into() })])
    })
}

/// States that the objects of a version may be deleted.
///
/// # Errors
/// [`Error::NotFound`] if there is no such version; those of submitting a statement.
pub fn withdraw(speaker: &Speaker<'_>, id: &VersionId, reason: &str) -> Result<Vec<Submitted>> {
    submit(speaker, |history| {
        check_released(speaker, history, id)?;
        Ok(vec![Statement::Withdraw(Advice { id: id.clone(), reason: reason.into() })])
    })
}

/// Checks that the log has this version.
fn check_released(speaker: &Speaker<'_>, history: &History, id: &VersionId) -> Result<()> {
    let missing = || Error::not_found(Missing::Version, id, format!("registry {}", speaker.registry));
    match history.dataset(&id.name) {
        Some(dataset) if dataset.releases.contains_key(&id.version) => Ok(()),
        Some(dataset) => Err(missing().near(dataset.releases.keys())),
        None => Err(missing().near(near(history, &id.name))),
    }
}

/// The owners of a name.
pub struct Shown {
    /// What the log says of the name.
    pub dataset: Dataset,
    /// The registry.
    pub registry: String,
    /// Whether the log is only the one that the registry claims, and not trusted.
    pub is_claimed: bool,
}

/// Returns the owners of a name in the first registry that has it, by the log that the user trusts, or else
/// by the one that the registry claims. A registry without a log has no names, but one that does not answer
/// may have any, so its failure is an error.
///
/// # Errors
/// [`Error::NotFound`] if no registry has the name; [`Error::Unanswered`] or [`Error::Network`] if one does
/// not answer; [`Error::Trust`] if its log is not as trusted or remembered; also fails if the
/// `registry.json` of the only registry cannot be used.
pub fn show(client: &Client, name: &Name) -> Result<Shown> {
    let runtime = transport::runtime()?;
    for location in &client.locations {
        // No other registry could be mistaken for it.
        let is_alone = client.locations.len() == 1;
        let silent = |e: Error| if is_alone { e } else { unanswered(location, name, &chain(&e)) };
        let registry = client.open(location).map_err(|e| match e {
            e @ Error::NotFound { .. } => silent(e),
            e => e,
        })?;
        let mut belief = runtime.block_on(client.belief(&registry))?;
        let is_claimed = belief.log.is_none();
        if let (true, Some(unlike)) = (is_claimed, belief.unlike.take()) {
            return Err(silent(unlike));
        }
        let view = match runtime.block_on(client.claimed_view_of(&registry, &belief, Some(name))) {
            Ok((_, view)) => view,
            Err(Error::NotFound { .. }) => continue,
            Err(e) => return Err(e),
        };
        if let Some(dataset) = view.history().dataset(name) {
            let (dataset, registry) = (dataset.clone(), registry.name().into());
            return Ok(Shown { dataset, registry, is_claimed });
        }
    }
    Err(Error::not_found(Missing::Version, name, format!("registry {}", client.locations.join(", "))))
}

fn owned<'a>(history: &'a History, name: &Name) -> Result<&'a Dataset> {
    history.dataset(name).ok_or_else(|| {
        Error::not_found(Missing::Version, name, format!("the log {}", history.anchor().origin()))
    })
}

fn with_key<'a>(
    history: &'a History,
    names: &'a [Name],
    key: &'a PublicKey,
) -> Result<impl Iterator<Item = (&'a Name, &'a Owners)>> {
    for name in names {
        owned(history, name)?;
    }
    Ok(history.datasets().filter_map(move |(name, dataset)| {
        let owners = &dataset.owners;
        let has = owners.keys.contains(key) || owners.recovery.contains(key);
        let wanted = names.is_empty() || names.contains(name);
        (has && wanted && !dataset.revoked.contains_key(key)).then_some((name, owners))
    }))
}

fn some_of(statements: Vec<Statement>, key: &PublicKey) -> Result<Vec<Statement>> {
    if statements.is_empty() {
        let why = "is not a key of these names, or is revoked already";
        return Err(Error::invalid(format!("key {}", key.fingerprint()), why));
    }
    Ok(statements)
}

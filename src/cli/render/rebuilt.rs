//! What keys state to have built, counted.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use isn_format::digest::Digest;
use isn_format::error::count;
use isn_format::key::PublicKey;
use isn_format::manifest::Manifest;
use isn_format::possession::inputs;
use isn_registry::registry::Outcome;

/// Describes how many keys state something: `3 keys state that they built it, 2 of them known to you`.
pub(in crate::cli) fn counted(keys: &BTreeSet<PublicKey>, known: &BTreeSet<PublicKey>) -> String {
    let stated = match keys.len() {
        1 => "1 key states that it built this".to_string(),
        n => format!("{} state that they built this", count(n, "key")),
    };
    format!("{stated}, {}", of_known(keys, known))
}

/// Describes how many of some keys are known.
pub(in crate::cli) fn of_known(keys: &BTreeSet<PublicKey>, known: &BTreeSet<PublicKey>) -> String {
    match (keys.len(), keys.intersection(known).count()) {
        (1, 0) => "not known to you".into(),
        (_, 0) => "none of them known to you".into(),
        (1, _) => "known to you".into(),
        (n, k) if n == k => "all known to you".into(),
        (_, k) => format!("{k} of them known to you"),
    }
}

/// What keys state of a version, beside its manifest.
pub(in crate::cli) struct Stated<'a> {
    dataset: Digest,
    inputs: Digest,
    outcomes: &'a [Outcome],
    known: BTreeSet<PublicKey>,
}

impl<'a> Stated<'a> {
    pub(in crate::cli) fn of(
        manifest: &Manifest,
        outcomes: &'a [Outcome],
        known: BTreeSet<PublicKey>,
    ) -> Self {
        Stated { dataset: manifest.dataset, inputs: inputs(manifest), outcomes, known }
    }

    /// The keys that state this version: from the same inputs, with the same result.
    fn agreeing(&self) -> Option<&Outcome> {
        self.outcomes.iter().find(|one| (one.dataset, one.inputs) == (self.dataset, self.inputs))
    }

    /// The keys that state another result from the same inputs.
    fn differing(&self) -> impl Iterator<Item = &Outcome> {
        self.outcomes.iter().filter(|one| one.inputs == self.inputs && one.dataset != self.dataset)
    }

    /// One line about the keys that agree, if there are any.
    pub(in crate::cli) fn line(&self) -> Option<String> {
        self.agreeing().map(|one| counted(&one.keys, &self.known))
    }

    /// What to warn of: the same recipe and ledger gave somebody something else.
    pub(in crate::cli) fn warnings(&self) -> impl Iterator<Item = String> {
        self.differing().map(|one| {
            format!(
                "{}, {}, built it from the same recipe and ledger, and state another hash: {}",
                count(one.keys.len(), "key"),
                of_known(&one.keys, &self.known),
                one.dataset.prefixed()
            )
        })
    }

    pub(in crate::cli) fn json(&self) -> Value {
        let keys = self.agreeing().map(|one| &one.keys);
        let known = keys.map_or(0, |keys| keys.intersection(&self.known).count());
        let differ: Vec<Value> = self.differing().map(|one| outcome_json(one, &self.known)).collect();
        json!({ "keys": keys.map_or(0, BTreeSet::len), "known": known, "differ": differ })
    }
}

/// The JSON of one result that keys state.
pub(in crate::cli) fn outcome_json(one: &Outcome, known: &BTreeSet<PublicKey>) -> Value {
    json!({
        "dataset": one.dataset.prefixed(),
        "inputs": one.inputs.prefixed(),
        "keys": one.keys.len(),
        "known": one.keys.intersection(known).count(),
        "signers": one.keys.iter().map(PublicKey::fingerprint).collect::<Vec<_>>(),
    })
}

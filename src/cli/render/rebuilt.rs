//! What keys state to have built, counted.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use isn_format::digest::Digest;
use isn_format::error::count;
use isn_format::key::PublicKey;
use isn_format::manifest::Manifest;
use isn_format::possession::inputs;
use isn_registry::registry::Outcome;

/// The maximum number of known keys that get a warning each.
const MAX_TOLD: usize = 10;

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

    /// What to warn of: the same recipe and ledger gave somebody something else. Strangers, who can make any
    /// number of keys, get one line.
    pub(in crate::cli) fn warnings(&self) -> Vec<String> {
        let differing = self.differing().flat_map(|one| one.keys.iter().map(|key| (key, one.dataset)));
        let (known, others): (Vec<_>, Vec<_>) = differing.partition(|(key, _)| self.known.contains(key));
        let told = known.iter().take(MAX_TOLD).map(|(key, dataset)| {
            let (key, hash) = (key.fingerprint(), dataset.prefixed());
            format!(
                "{key}, known to you, built it from the same recipe and ledger, and states another hash: {hash}"
            )
        });
        let mut told: Vec<String> = told.collect();
        let known_more = known.len().saturating_sub(MAX_TOLD);
        for (keys, how) in [(known_more, "known"), (others.len(), "not known")] {
            let state = match keys {
                0 => continue,
                1 => "states",
                _ => "state",
            };
            let keys = count(keys, if told.is_empty() { "key" } else { "more key" });
            told.push(format!(
                "{keys}, {how} to you, built it from the same recipe and ledger, and {state} another hash"
            ));
        }
        told
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
    let mut object = keys_json(one.dataset, &one.keys, known);
    object["inputs"] = json!(one.inputs.prefixed());
    object
}

/// The JSON of the keys that state a dataset hash.
pub(in crate::cli) fn keys_json(
    dataset: Digest,
    keys: &BTreeSet<PublicKey>,
    known: &BTreeSet<PublicKey>,
) -> Value {
    json!({
        "dataset": dataset.prefixed(),
        "keys": keys.len(),
        "known": keys.intersection(known).count(),
        "signers": keys.iter().map(PublicKey::fingerprint).collect::<Vec<_>>(),
    })
}

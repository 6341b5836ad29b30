//! Random histories, replayed and compared with a model of the rules: sets, and one expression per rule. The
//! model follows the text of the rules and shares nothing with [`History`].

use std::collections::BTreeSet;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;
use crate::log::names::Subject;
use crate::log::{Extract, Hash, Tree, leaf_hash};

const NAMES: [&str; 3] = ["ants", "bees", "cats"];
/// The number of keys that may own something.
const KEYS: u8 = 6;
/// The number of keys that a log may get; the first is its anchor.
const LOG_KEYS: u8 = 4;

static PRIVATE: LazyLock<Vec<PrivateKey>> =
    LazyLock::new(|| (0..KEYS + LOG_KEYS).map(PrivateKey::of_seed).collect());

type Keys = BTreeSet<PublicKey>;

fn public(number: u8) -> PublicKey {
    *PRIVATE[usize::from(number)].public_key()
}

/// The statement in an entry and its signers; `None` if the entry is damaged.
type Said = Option<(Statement, Keys)>;

/// The state of one name after the entries so far.
#[derive(Clone, Debug, PartialEq)]
struct Claim {
    in_force: Digest,
    owners: Keys,
    recovery: Keys,
    threshold: usize,
    revoked: Keys,
    released: BTreeMap<Version, (ReleaseStatement, Keys)>,
    yanked: BTreeMap<Version, String>,
    withdrawn: BTreeMap<Version, String>,
}

#[derive(Clone, Debug, PartialEq)]
struct Model {
    claims: BTreeMap<Name, Claim>,
    /// The log's key before the first entry, after the first entry, and so on.
    log_keys: Vec<PublicKey>,
    rejected: Vec<u64>,
}

/// Whether there are enough different signers, each among `keys` and none revoked.
fn is_quorum(signers: &Keys, keys: &Keys, needed: usize, revoked: &Keys) -> bool {
    signers.is_subset(keys) && signers.is_disjoint(revoked) && signers.len() >= needed
}

impl Claim {
    fn is_by_owners(&self, signers: &Keys) -> bool {
        is_quorum(signers, &self.owners, self.threshold, &self.revoked)
    }

    /// Whether as many recovery keys as the threshold, or all of them, have signed.
    fn is_by_recovery(&self, signers: &Keys) -> bool {
        let needed = self.threshold.min(self.recovery.len());
        needed > 0 && is_quorum(signers, &self.recovery, needed, &self.revoked)
    }
}

impl Model {
    fn new() -> Self {
        Model { claims: BTreeMap::new(), log_keys: vec![public(KEYS)], rejected: Vec::new() }
    }

    fn log_key(&self) -> PublicKey {
        *self.log_keys.last().unwrap()
    }

    fn replay(&mut self, said: &Said) {
        let mut log_key = self.log_key();
        match said {
            Some((statement, signers)) if self.is_valid(statement, signers) => match statement {
                Statement::LogKey(change) if change.old == log_key => log_key = change.new,
                Statement::LogKey(_) => {}
                statement => self.enact(statement, signers),
            },
            _ => self.rejected.push(self.log_keys.len() as u64 - 1),
        }
        self.log_keys.push(log_key);
    }

    fn is_valid(&self, statement: &Statement, signers: &Keys) -> bool {
        let claim = statement.name().and_then(|name| self.claims.get(name));
        match (statement, claim) {
            // The first one of a name claims it, and is signed by its own quorum.
            (Statement::Owner(owner), None) => {
                let owners = owner.keys.iter().copied().collect();
                owner.previous.is_none() && is_quorum(signers, &owners, owner.threshold, &Keys::new())
            }
            // A later one contains the hash of the one in force, is signed by the quorum or the recovery keys
            // of that one, and contains no revoked key.
            (Statement::Owner(owner), Some(claim)) => {
                owner.previous == Some(claim.in_force)
                    && (claim.is_by_owners(signers) || claim.is_by_recovery(signers))
                    && !owner.keys.iter().chain(&owner.recovery).any(|key| claim.revoked.contains(key))
            }
            // Signed by the log's key in force and a key that is new; or, before any change of that key, by
            // two others.
            (Statement::LogKey(change), _) => {
                let is_unchanged = self.log_keys.iter().all(|key| *key == self.log_keys[0]);
                let is_next = change.old == self.log_key() && !self.log_keys.contains(&change.new);
                let is_past = is_unchanged && change.old != self.log_keys[0];
                change.origin == ORIGIN
                    && (is_next || is_past)
                    && *signers == Keys::from([change.old, change.new])
            }
            (Statement::Rebuilt(_), _) | (_, None) => false,
            (Statement::Release(release), Some(claim)) => {
                claim.is_by_owners(signers) && !claim.released.contains_key(&release.id.version)
            }
            // Signed by the key itself, the owners' quorum or the recovery keys' quorum; about a key that
            // counts.
            (Statement::Revoke(Revocation { key, .. }), Some(claim)) => {
                let by_itself = *signers == Keys::from([*key]);
                (claim.owners.contains(key) || claim.recovery.contains(key))
                    && !claim.revoked.contains(key)
                    && (by_itself || claim.is_by_owners(signers) || claim.is_by_recovery(signers))
            }
            (Statement::Yank(Advice { id, .. }), Some(claim)) => {
                claim.is_by_owners(signers)
                    && claim.released.contains_key(&id.version)
                    && !claim.yanked.contains_key(&id.version)
            }
            (Statement::Withdraw(Advice { id, .. }), Some(claim)) => {
                claim.is_by_owners(signers)
                    && claim.released.contains_key(&id.version)
                    && !claim.withdrawn.contains_key(&id.version)
            }
        }
    }

    fn enact(&mut self, statement: &Statement, signers: &Keys) {
        let name = statement.name().unwrap();
        if let Statement::Owner(owner) = statement {
            let before = self.claims.remove(name);
            let claim = Claim {
                in_force: Digest::of(statement.to_string().as_bytes()),
                owners: owner.keys.iter().copied().collect(),
                recovery: owner.recovery.iter().copied().collect(),
                threshold: owner.threshold,
                revoked: before.as_ref().map_or_else(Keys::new, |claim| claim.revoked.clone()),
                yanked: before.as_ref().map_or_else(BTreeMap::new, |claim| claim.yanked.clone()),
                withdrawn: before.as_ref().map_or_else(BTreeMap::new, |claim| claim.withdrawn.clone()),
                released: before.map_or_else(BTreeMap::new, |claim| claim.released),
            };
            self.claims.insert(name.clone(), claim);
            return;
        }
        let claim = self.claims.get_mut(name).unwrap();
        match statement.clone() {
            Statement::Release(release) => {
                claim.released.insert(release.id.version, (release, signers.clone()));
            }
            Statement::Revoke(revocation) => {
                claim.revoked.insert(revocation.key);
            }
            Statement::Yank(advice) => {
                claim.yanked.insert(advice.id.version, advice.reason);
            }
            Statement::Withdraw(advice) => {
                claim.withdrawn.insert(advice.id.version, advice.reason);
            }
            Statement::Owner(_) | Statement::LogKey(_) | Statement::Rebuilt(_) => unreachable!(),
        }
    }

    /// Converts the result of a replay to the model.
    fn of(history: &History) -> Self {
        let claims = history.datasets().map(|(name, dataset)| {
            let Dataset { owners, revoked, releases } = dataset;
            let notices = |notice: fn(&Released) -> &Option<Box<Notice>>| {
                let said = releases.iter().map(|(version, released)| (*version, &**released));
                said.filter_map(|(version, released)| {
                    Some((version, notice(released).as_ref()?.reason.clone()))
                })
                .collect()
            };
            let released = |(version, _): (&Version, _)| {
                let id = VersionId { name: name.clone(), version: *version };
                let (release, released) = history.release(&id).unwrap();
                let statement = ReleaseStatement {
                    id: release.id().clone(),
                    dataset: release.dataset(),
                    manifest: release.manifest(),
                    manifest_len: release.manifest_len(),
                };
                (*version, (statement, released.signers.iter().copied().collect()))
            };
            let claim = Claim {
                in_force: owners.id,
                owners: owners.keys.iter().copied().collect(),
                recovery: owners.recovery.iter().copied().collect(),
                threshold: owners.threshold,
                revoked: revoked.keys().copied().collect(),
                released: releases.iter().map(released).collect(),
                yanked: notices(|released| &released.yanked),
                withdrawn: notices(|released| &released.withdrawn),
            };
            (name.clone(), claim)
        });
        Model {
            claims: claims.collect(),
            log_keys: (0..=history.size()).map(|size| *history.key_at(size).key()).collect(),
            rejected: history.rejected().iter().map(|rejected| rejected.index).collect(),
        }
    }
}

/// The next attempt.
#[derive(Clone, Debug)]
enum Step {
    Say {
        name: usize,
        act: Act,
        who: Who,
        harm: Harm,
    },
    /// An earlier entry is replayed.
    Again(Index),
    Noise(Vec<u8>),
}

#[derive(Clone, Debug)]
enum Act {
    Owner { follows: Follows, threshold: usize, keys: Vec<u8>, recovery: usize },
    Release { minor: u32 },
    Revoke { key: u8 },
    Yank { minor: u32 },
    Withdraw { minor: u32 },
    LogKey { old: Follows, new: u8 },
}

#[derive(Clone, Debug)]
enum Follows {
    InForce,
    Nothing,
    Other,
}

#[derive(Clone, Debug)]
enum Who {
    Quorum,
    Recovery,
    These(Vec<u8>),
}

#[derive(Clone, Debug)]
enum Harm {
    None,
    Flip(Index, u8),
    Cut(Index),
    SignedTwice,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let follows =
        || prop_oneof![6 => Just(Follows::InForce), 1 => Just(Follows::Nothing), 1 => Just(Follows::Other)];
    let all: Vec<u8> = (0..KEYS).collect();
    let some = move |count| subsequence(all.clone(), count).prop_shuffle();
    let owner = (follows(), 1..=3_usize, some.clone()(1..=4), 0..3_usize);
    let act = prop_oneof![
        4 => owner.prop_map(|(follows, threshold, keys, recovery)| Act::Owner { follows, threshold, keys, recovery }),
        5 => (0..3_u32).prop_map(|minor| Act::Release { minor }),
        3 => (0..KEYS).prop_map(|key| Act::Revoke { key }),
        2 => (0..3_u32).prop_map(|minor| Act::Yank { minor }),
        2 => (0..3_u32).prop_map(|minor| Act::Withdraw { minor }),
        2 => (follows(), 0..LOG_KEYS).prop_map(|(old, new)| Act::LogKey { old, new }),
    ];
    let who =
        prop_oneof![6 => Just(Who::Quorum), 2 => Just(Who::Recovery), 3 => some(1..=3).prop_map(Who::These)];
    let harm = prop_oneof![
        12 => Just(Harm::None),
        1 => (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Harm::Flip(at, bit)),
        1 => any::<Index>().prop_map(Harm::Cut),
        1 => Just(Harm::SignedTwice),
    ];
    let say = (0..NAMES.len(), act, who, harm).prop_map(|(name, act, who, harm)| Step::Say {
        name,
        act,
        who,
        harm,
    });
    let noise = proptest::collection::vec(any::<u8>(), 0..40).prop_map(Step::Noise);
    let step = prop_oneof![20 => say, 2 => any::<Index>().prop_map(Step::Again), 1 => noise];
    proptest::collection::vec(step, 1..40)
}

/// Returns the statement of `act` in the state of `model`.
fn statement(model: &Model, name: Name, act: &Act) -> Statement {
    let version = |minor| Version { major: 1, minor };
    match act {
        Act::Owner { follows, threshold, keys, recovery } => {
            let (recovery, owners) = keys.split_at((*recovery).min(keys.len() - 1));
            let public = |numbers: &[u8]| numbers.iter().map(|number| public(*number)).collect();
            let in_force = model.claims.get(&name).map(|claim| claim.in_force);
            let previous = match follows {
                Follows::InForce => in_force,
                Follows::Nothing => None,
                Follows::Other => Some(Digest::of(b"another statement")),
            };
            let threshold = (*threshold).min(owners.len());
            Statement::Owner(Owner::new(name, previous, threshold, public(owners), public(recovery)))
        }
        Act::Release { minor } => Statement::Release(ReleaseStatement {
            dataset: Digest::of(name.as_str().as_bytes()),
            id: VersionId { name, version: version(*minor) },
            manifest: Digest::of(b"manifest"),
            manifest_len: 8,
        }),
        Act::Revoke { key } => {
            Statement::Revoke(Revocation { name, key: public(*key), reason: "stolen".into() })
        }
        Act::Yank { minor } => {
            let id = VersionId { name, version: version(*minor) };
            Statement::Yank(Advice { id, reason: "leaks".into() })
        }
        Act::Withdraw { minor } => {
            let id = VersionId { name, version: version(*minor) };
            Statement::Withdraw(Advice { id, reason: "asked to".into() })
        }
        Act::LogKey { old, new } => {
            let (origin, old) = match old {
                Follows::InForce => (ORIGIN, model.log_key()),
                Follows::Nothing => (ORIGIN, public(KEYS)),
                Follows::Other => ("log.example/two", model.log_key()),
            };
            Statement::LogKey(LogKeyChange { origin: origin.into(), old, new: public(KEYS + new) })
        }
    }
}

/// Returns the signers of a statement, in some order; there is at least one.
fn signers(model: &Model, statement: &Statement, who: &Who) -> Vec<PublicKey> {
    let claim = statement.name().and_then(|name| model.claims.get(name));
    let good = |keys: &Keys, claim: &Claim| -> Vec<PublicKey> {
        keys.difference(&claim.revoked).take(claim.threshold).copied().collect()
    };
    let found = match (who, statement, claim) {
        (Who::These(numbers), ..) => numbers.iter().map(|number| public(*number)).collect(),
        (_, Statement::LogKey(change), _) => vec![change.new, change.old],
        (_, Statement::Owner(owner), None) => owner.keys[..owner.threshold].to_vec(),
        (Who::Quorum, _, Some(claim)) => good(&claim.owners, claim),
        (Who::Recovery, _, Some(claim)) => good(&claim.recovery, claim),
        (_, _, None) => vec![],
    };
    if found.is_empty() { vec![public(0)] } else { found }
}

/// Returns the bytes of an entry, and what it says.
fn entry(model: &Model, step: &Step, earlier: &[(Vec<u8>, Said)]) -> (Vec<u8>, Said) {
    let (name, act, who, harm) = match step {
        Step::Say { name, act, who, harm } => (NAMES[*name].parse().unwrap(), act, who, harm),
        Step::Again(which) if !earlier.is_empty() => return earlier[which.index(earlier.len())].clone(),
        Step::Again(_) => return (Vec::new(), None),
        Step::Noise(bytes) => return (bytes.clone(), None),
    };
    let statement = statement(model, name, act);
    let keys = signers(model, &statement, who);
    let private = |key: &PublicKey| PRIVATE.iter().find(|private| private.public_key() == key).unwrap();
    let Ok(first) = SignedStatement::sign(&statement, private(&keys[0])) else {
        // A change of a log's key to the same key, which the grammar does not allow.
        return (statement.to_string().into_bytes(), None);
    };
    let first_len = first.bytes().len();
    let signed = keys[1..].iter().fold(first, |signed, key| signed.sign_also(private(key)).unwrap());
    let mut bytes = signed.bytes().to_vec();
    match harm {
        Harm::None => return (bytes, Some((statement, keys.into_iter().collect()))),
        Harm::Flip(at, bit) => {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        // Cut before the end of the first signature: a cut after it leaves a whole statement.
        Harm::Cut(at) => bytes.truncate(at.index(first_len)),
        Harm::SignedTwice => bytes.extend_from_within(statement.to_string().len() + 1..),
    }
    (bytes, None)
}

/// Returns the log of all these attempts, and the model's state.
fn play(steps: &[Step]) -> (Vec<(Vec<u8>, Said)>, Model) {
    let (mut entries, mut model) = (Vec::new(), Model::new());
    for step in steps {
        let entry = entry(&model, step, &entries);
        model.replay(&entry.1);
        entries.push(entry);
    }
    (entries, model)
}

fn new_history() -> History {
    History::new(LogKey::new(ORIGIN, public(KEYS)).unwrap())
}

fn replayed<'a>(entries: impl IntoIterator<Item = &'a (Vec<u8>, Said)>) -> History {
    let mut history = new_history();
    for (bytes, _) in entries {
        let _ = history.apply(bytes);
    }
    history
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_replay_agrees_with_the_model(steps in steps()) {
        let (entries, model) = play(&steps);
        prop_assert_eq!(Model::of(&replayed(&entries)), model);
    }

    /// An entry without effect leaves only its reason. One with an effect changes only its own name, or the
    /// log's key. `check` predicts which of the two it is.
    #[test]
    fn an_entry_changes_what_it_is_about_and_nothing_else(steps in steps()) {
        let (entries, _) = play(&steps);
        let mut history = new_history();
        for (bytes, said) in &entries {
            let before = history.clone();
            let attested = SignedStatement::parse("it", bytes.clone()).and_then(|signed| signed.attested());
            prop_assert_eq!(attested.is_ok(), said.is_some());
            let checked = attested.is_ok_and(|attested| history.check(&attested.statement, &attested.signers).is_ok());
            let applied = history.apply(bytes);
            prop_assert_eq!(applied.is_ok(), checked);
            let mut expected = before.clone();
            expected.size += 1;
            match applied {
                Err(rejected) => expected.rejected.push(rejected),
                Ok(accepted) => match accepted.attested.statement.name() {
                    Some(name) => {
                        expected.datasets.insert(name.clone(), history.dataset(name).unwrap().clone());
                    }
                    None => expected.keys.clone_from(&history.keys),
                },
            }
            prop_assert_eq!(&history, &expected);
        }
    }

    #[test]
    fn a_replay_can_be_kept_anywhere_and_continued(steps in steps(), at: Index) {
        let (entries, _) = play(&steps);
        let (first, rest) = entries.split_at(at.index(entries.len() + 1));
        let kept = serde_json::to_vec(&replayed(first)).unwrap();
        let mut history: History = serde_json::from_slice(&kept).unwrap();
        for (bytes, _) in rest {
            let _ = history.apply(bytes);
        }
        prop_assert_eq!(history, replayed(&entries));
    }

    /// The entries about a name mean the same without the entries about other names.
    #[test]
    fn names_know_nothing_of_each_other(steps in steps()) {
        let (entries, model) = play(&steps);
        for name in NAMES {
            let is_about = |(_, said): &&(Vec<u8>, Said)| {
                said.as_ref().is_some_and(|(statement, _)| statement.name().is_some_and(|it| it.as_str() == name))
            };
            let alone = Model::of(&replayed(entries.iter().filter(is_about)));
            let name: Name = name.parse().unwrap();
            prop_assert_eq!(alone.claims.get(&name), model.claims.get(&name));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// What an index of names files under a name, and the changes of the log's key, are enough for all that
    /// the log says about the name.
    #[test]
    fn what_is_filed_under_a_name_says_all_about_it(steps in steps()) {
        let (entries, _) = play(&steps);
        let whole = replayed(&entries);
        for name in NAMES {
            let name: Name = name.parse().unwrap();
            let mut alone = new_history();
            for (index, (bytes, _)) in (0..).zip(&entries) {
                match Subject::of(bytes) {
                    Some(Subject::Name(other)) if other != name => {}
                    Some(_) => drop(alone.apply_at(index, bytes)),
                    None => {}
                }
            }
            prop_assert_eq!(alone.dataset(&name), whole.dataset(&name));
            prop_assert_eq!(&alone.keys, &whole.keys);
            prop_assert_eq!(&alone.earlier, &whole.earlier);
            // Of those without effect, all that are statements about it.
            let about = |history: &History| -> Vec<Rejected> {
                let is_filed = |index: u64| {
                    Subject::of(&entries[index as usize].0) == Some(Subject::Name(name.clone()))
                };
                history.rejected.iter().filter(|one| is_filed(one.index)).cloned().collect()
            };
            prop_assert_eq!(about(&alone), about(&whole));
        }
    }

    /// An extract, read at once or in two parts, says of its name and the log's keys what the whole log says.
    #[test]
    fn an_extract_says_of_its_name_what_the_whole_replay_says(steps in steps(), cut in any::<prop::sample::Index>()) {
        let (entries, _) = play(&steps);
        let whole = replayed(&entries);
        let tree = Tree::of(entries.iter().map(|(entry, _)| leaf_hash(entry))).unwrap();
        let cut = cut.index(entries.len() + 1) as u64;
        for name in NAMES {
            let mut extract = Extract::new(new_history().anchor().clone(), name.parse().unwrap()).unwrap();
            for end in [cut, entries.len() as u64] {
                let new: BTreeMap<u64, Vec<u8>> = (0..end)
                    .zip(&entries)
                    .filter(|(index, (entry, _))| *index >= extract.size() && extract.is_about(entry))
                    .map(|(index, (entry, _))| (index, entry.clone()))
                    .collect();
                extract = extract.continued((end, tree.root_at(end).unwrap()), &new).unwrap();
            }
            prop_assert_eq!(extract.history().dataset(extract.name()), whole.dataset(extract.name()));
            prop_assert_eq!(extract.history().size(), whole.size());
            let of_keys = whole.of_keys();
            prop_assert_eq!(extract.history().of_keys(), of_keys);
            for (index, leaf) in extract.leaves() {
                prop_assert_eq!(tree.leaf(*index), Some(*leaf));
            }
            let id = VersionId { name: extract.name().clone(), version: "1.0".parse().unwrap() };
            let position = |history: &History| {
                history.release(&id).map(|(release, _)| release.standing().clone())
            };
            prop_assert_eq!(position(extract.history()), position(&whole));
            // Neither an entry about something else, nor one that is not new.
            for (index, (entry, _)) in (0..).zip(&entries) {
                let head = (extract.size() + 1, Hash([0; 32]));
                let (again, elsewhere) = (BTreeMap::from([(index, entry.clone())]), extract.size());
                prop_assert!(extract.clone().continued(head, &again).is_err());
                let next = BTreeMap::from([(elsewhere, entry.clone())]);
                prop_assert_eq!(extract.clone().continued(head, &next).is_ok(), extract.is_about(entry));
            }
        }
    }
}

/// The random histories contain every kind of statement, both with and without effect.
#[test]
fn random_histories_have_everything_in_them() {
    let mut runner = TestRunner::deterministic();
    let mut found = BTreeSet::new();
    for _ in 0..100 {
        let (entries, model) = play(&steps().new_tree(&mut runner).unwrap().current());
        for (index, (_, said)) in entries.iter().enumerate() {
            let kind = said.as_ref().map_or("broken", |(statement, _)| statement.kind());
            found.insert((kind, !model.rejected.contains(&(index as u64))));
        }
    }
    let kinds = ["owner", "release", "revoke", "yank", "withdraw", "logkey"];
    let mut expected: BTreeSet<_> =
        kinds.into_iter().flat_map(|kind| [(kind, true), (kind, false)]).collect();
    expected.insert(("broken", false));
    assert_eq!(found, expected);
}

//! Each rule once, by example; `model.rs` has random histories.

mod model;

use super::*;
use crate::key::{PrivateKey, Signer};
use crate::statement::{LogKeyChange, Rebuilt};

const ORIGIN: &str = "log.example/one";
// The cast: owners, a recovery key, a stranger, and the log's keys.
const ANNA: u8 = 1;
const BEN: u8 = 2;
const CARL: u8 = 3;
const RITA: u8 = 4;
const MALLORY: u8 = 5;
const LOG: u8 = 8;
const NEW_LOG: u8 = 9;

fn key(number: u8) -> PublicKey {
    *PrivateKey::of_seed(number).public_key()
}

fn keys(numbers: &[u8]) -> Vec<PublicKey> {
    numbers.iter().map(|number| key(*number)).collect()
}

fn name() -> Name {
    "birds".parse().unwrap()
}

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn id(text: &str) -> VersionId {
    VersionId { name: name(), version: version(text) }
}

fn signed(statement: &Statement, signers: &[u8]) -> SignedStatement {
    let mut signed = SignedStatement::sign(statement, &PrivateKey::of_seed(signers[0])).unwrap();
    for signer in &signers[1..] {
        signed = signed.sign_also(&PrivateKey::of_seed(*signer)).unwrap();
    }
    signed
}

fn owner(previous: Option<Digest>, threshold: usize, owners: &[u8], recovery: &[u8]) -> Statement {
    Statement::Owner(Owner::new(name(), previous, threshold, keys(owners), keys(recovery)))
}

fn release(text: &str) -> Statement {
    Statement::Release(ReleaseStatement {
        id: id(text),
        dataset: Digest::of(text.as_bytes()),
        manifest: Digest::of(b"manifest"),
        manifest_len: 8,
    })
}

fn revoke(number: u8) -> Statement {
    Statement::Revoke(Revocation { name: name(), key: key(number), reason: "stolen".into() })
}

fn advice(text: &str, reason: &str) -> Advice {
    Advice { id: id(text), reason: reason.into() }
}

fn log_key(origin: &str, old: u8, new: u8) -> Statement {
    Statement::LogKey(LogKeyChange { origin: origin.into(), old: key(old), new: key(new) })
}

fn empty() -> History {
    History::new(LogKey::new(ORIGIN, key(LOG)).unwrap())
}

/// Returns a log in which `owners` own `birds`.
fn owned(threshold: usize, owners: &[u8], recovery: &[u8]) -> History {
    let mut history = empty();
    history.accepts(&owner(None, threshold, owners, recovery), &owners[..threshold]);
    history
}

impl History {
    fn accepts(&mut self, statement: &Statement, signers: &[u8]) {
        let signed = signed(statement, signers);
        let attested = signed.attested().unwrap();
        self.check(&attested.statement, &attested.signers).unwrap();
        self.apply(signed.bytes()).unwrap();
    }

    /// Applies an entry that has no effect, and returns the reason.
    fn rejects(&mut self, statement: &Statement, signers: &[u8]) -> String {
        let signed = signed(statement, signers);
        let before = self.clone();
        let attested = signed.attested().unwrap();
        let refusal = self.check(&attested.statement, &attested.signers).unwrap_err();
        let rejected = self.apply(signed.bytes()).unwrap_err();
        assert_eq!(rejected.why, format!("{} {}", statement.title(), refusal.why));
        assert_eq!((rejected.name.as_ref(), rejected.version), (statement.name(), statement.version()));
        assert_eq!(rejected.index, before.size);
        let expected =
            History { size: before.size + 1, rejected: [before.rejected, vec![rejected]].concat(), ..before };
        assert_eq!(*self, expected);
        refusal.why
    }

    fn birds(&self) -> &Dataset {
        self.dataset(&name()).unwrap()
    }

    fn id(&self) -> Option<Digest> {
        Some(self.birds().owners.id)
    }
}

fn fingerprint(number: u8) -> String {
    key(number).fingerprint()
}

#[test]
fn a_name_is_claimed_once_by_its_own_quorum() {
    let mut history = empty();
    let two = owner(None, 2, &[ANNA, BEN], &[]);
    assert_eq!(history.rejects(&two, &[ANNA]), "has 1 of the 2 signatures that it needs");
    let foreign = format!("is signed by {}, which is not an owner of the name", fingerprint(MALLORY));
    assert_eq!(history.rejects(&two, &[ANNA, BEN, MALLORY]), foreign);
    let recovery = owner(None, 1, &[ANNA], &[RITA]);
    assert!(history.rejects(&recovery, &[RITA]).contains("is not an owner of the name"));
    let later = owner(Some(Digest::of(b"")), 1, &[ANNA], &[]);
    assert_eq!(history.rejects(&later, &[ANNA]), "follows an owner statement, but nobody owns the name");
    history.accepts(&two, &[BEN, ANNA]);
    assert_eq!((history.birds().owners.index, history.birds().owners.threshold), (4, 2));
    let again = "claims a name that somebody owns: entry 4 says whose it is";
    assert_eq!(history.rejects(&owner(None, 1, &[MALLORY], &[]), &[MALLORY]), again);
    assert_eq!(history.rejects(&two, &[ANNA, BEN]), again);
}

#[test]
fn nothing_is_said_of_a_name_that_nobody_owns() {
    for statement in [
        release("1.0"),
        revoke(ANNA),
        Statement::Yank(advice("1.0", "bad")),
        Statement::Withdraw(advice("1.0", "bad")),
    ] {
        assert_eq!(empty().rejects(&statement, &[ANNA]), "is about birds, which nobody owns yet");
    }
}

#[test]
fn a_version_is_released_once() {
    let mut history = owned(1, &[ANNA, BEN], &[]);
    history.accepts(&release("1.0"), &[ANNA]);
    let mut other = release("1.0");
    if let Statement::Release(release) = &mut other {
        release.dataset = Digest::of(b"replaced");
    }
    let why = "is a second release of that version: entry 1 is the first";
    for statement in [&release("1.0"), &other] {
        assert_eq!(history.rejects(statement, &[BEN]), why);
    }
    let (released, _) = history.release(&id("1.0")).unwrap();
    assert_eq!(released.dataset(), Digest::of(b"1.0"));
    history.accepts(&release("1.1"), &[BEN]);
    assert_eq!(history.newest(&name()), Some(version("1.1")));
    assert_eq!(history.find(&Digest::of(b"1.0")), Some(id("1.0")));
    assert_eq!(history.find(&Digest::of(b"replaced")), None);
}

#[test]
fn only_owners_release_and_as_many_as_the_threshold_says() {
    let mut history = owned(2, &[ANNA, BEN, CARL], &[RITA]);
    let stranger =
        |number| format!("is signed by {}, which is not an owner of the name", fingerprint(number));
    assert_eq!(history.rejects(&release("1.0"), &[MALLORY]), stranger(MALLORY));
    assert_eq!(history.rejects(&release("1.0"), &[ANNA, BEN, MALLORY]), stranger(MALLORY));
    // A recovery key may sign only owner statements and revocations.
    assert_eq!(history.rejects(&release("1.0"), &[RITA]), stranger(RITA));
    assert_eq!(history.rejects(&release("1.0"), &[ANNA]), "has 1 of the 2 signatures that it needs");
    let missing = |signers| {
        let attested = signed(&release("1.0"), signers).attested().unwrap();
        history.check(&attested.statement, &attested.signers).unwrap_err().missing
    };
    assert_eq!((missing(&[ANNA]), missing(&[MALLORY])), (1, 0));
    history.accepts(&release("1.0"), &[CARL, ANNA]);
    history.accepts(&release("1.1"), &[ANNA, BEN, CARL]);
    assert_eq!(history.birds().releases[&version("1.0")].signers, keys(&[CARL, ANNA]));
}

#[test]
fn the_newest_entries_without_effect_are_remembered() {
    let mut history = owned(1, &[ANNA], &[]);
    for _ in 0..3 * MAX_REJECTED {
        history.apply(&[b'x'; 60_000]).unwrap_err();
    }
    let rejected = history.rejected();
    assert!((MAX_REJECTED..=2 * MAX_REJECTED).contains(&rejected.len()), "{}", rejected.len());
    assert_eq!(rejected.last().unwrap().index, history.size() - 1);
    // A reason that quotes an entry is shortened.
    let quoted = history.apply(format!("isn/v1 {}\n\nx", "y".repeat(30_000)).as_bytes()).unwrap_err();
    assert!(quoted.why.len() < 400, "{}", quoted.why);
}

#[test]
fn one_owner_who_signs_twice_is_one() {
    let mut history = owned(2, &[ANNA, BEN], &[]);
    let once = String::from_utf8(signed(&release("1.0"), &[ANNA]).bytes().to_vec()).unwrap();
    let block = once.split_once("\n\n").unwrap().1;
    let rejected = history.apply(format!("{once}{block}").as_bytes()).unwrap_err();
    assert_eq!(rejected.why, format!("is no statement: it is signed twice by {}", fingerprint(ANNA)));
    assert_eq!((rejected.name, rejected.version), (Some(name()), Some(version("1.0"))));
    assert!(history.release(&id("1.0")).is_none());
}

#[test]
fn what_is_no_statement_is_said_to_whom_it_may_be_about() {
    let mut history = owned(1, &[ANNA], &[]);
    let good = String::from_utf8(signed(&release("1.0"), &[ANNA]).bytes().to_vec()).unwrap();
    let about = |text: &str| {
        let rejected = owned(1, &[ANNA], &[]).apply(text.as_bytes()).unwrap_err();
        (rejected.name, rejected.version, rejected.why)
    };
    let forged = about(&good.replace("version 1.0", "version 2.0"));
    let why = "the release of birds@2.0 has a signature that is not valid";
    assert_eq!(forged, (Some(name()), Some(version("2.0")), why.to_string()));
    let broken = about(&good.replace("isn/v1", "isn/v9"));
    assert_eq!((broken.0, broken.1), (Some(name()), Some(version("1.0"))));
    assert!(broken.2.starts_with("is no statement: line 1 must be"), "{}", broken.2);
    assert_eq!(
        (about("").0, about("").2.as_str()),
        (None, "is no statement: it has no blank line between statement and signatures")
    );
    assert!(history.apply(&[0xff; 300]).is_err());
    history.accepts(&release("1.0"), &[ANNA]);
}

#[test]
fn a_revoked_key_counts_before_its_revocation_and_never_after() {
    let mut history = owned(1, &[ANNA, BEN], &[]);
    history.accepts(&release("1.0"), &[ANNA]);
    history.accepts(&revoke(ANNA), &[BEN]);
    let revoked = format!("is signed by {}, which entry 2 revoked", fingerprint(ANNA));
    for statement in [
        release("1.1"),
        Statement::Yank(advice("1.0", "bad")),
        Statement::Withdraw(advice("1.0", "bad")),
        revoke(BEN),
        owner(history.id(), 1, &[BEN], &[]),
    ] {
        assert_eq!(history.rejects(&statement, &[ANNA]), revoked);
    }
    assert_eq!(history.rejects(&release("1.1"), &[BEN, ANNA]), revoked);
    // Its releases stay, and the other owners continue.
    assert!(history.release(&id("1.0")).is_some());
    history.accepts(&release("1.1"), &[BEN]);
    let again = "is of a key that entry 2 already revoked";
    assert_eq!(history.rejects(&revoke(ANNA), &[BEN]), again);
    // It cannot return, either as an owner's key or as a recovery key.
    let names = format!("names {}, which entry 2 revoked", fingerprint(ANNA));
    for (owners, recovery) in [(&[ANNA, BEN][..], &[][..]), (&[BEN], &[ANNA])] {
        assert_eq!(history.rejects(&owner(history.id(), 1, owners, recovery), &[BEN]), names);
    }
}

#[test]
fn a_key_is_revoked_by_itself_by_the_quorum_or_by_recovery_keys() {
    let begin = || owned(2, &[ANNA, BEN, CARL], &[RITA]);
    for signers in [&[ANNA][..], &[BEN, CARL], &[ANNA, BEN], &[RITA]] {
        let mut history = begin();
        history.accepts(&revoke(ANNA), signers);
        assert_eq!(history.birds().revoked, BTreeMap::from([(key(ANNA), 1)]));
    }
    let mut history = begin();
    assert_eq!(history.rejects(&revoke(ANNA), &[BEN]), "has 1 of the 2 signatures that it needs");
    assert!(history.rejects(&revoke(ANNA), &[MALLORY]).contains("is not an owner of the name"));
    assert!(history.rejects(&revoke(ANNA), &[ANNA, RITA]).contains("is not a recovery key of the name"));
    let stranger = format!("is of {}, which is no key of birds", fingerprint(MALLORY));
    assert_eq!(history.rejects(&revoke(MALLORY), &[MALLORY]), stranger);
    // A recovery key can also revoke itself.
    history.accepts(&revoke(RITA), &[RITA]);
}

#[test]
fn a_thief_of_one_key_of_two_can_only_end_that_key() {
    let mut history = owned(2, &[ANNA, BEN], &[RITA]);
    history.accepts(&release("1.0"), &[ANNA, BEN]);
    let id = history.id();
    for statement in [
        release("1.1"),
        Statement::Yank(advice("1.0", "bad")),
        Statement::Withdraw(advice("1.0", "bad")),
        revoke(BEN),
        revoke(RITA),
        owner(id, 1, &[ANNA], &[]),
        owner(None, 1, &[ANNA], &[]),
    ] {
        history.rejects(&statement, &[ANNA]);
        history.rejects(&statement, &[ANNA, MALLORY]);
    }
    history.accepts(&revoke(ANNA), &[ANNA]);
    // The recovery key restores the owners.
    assert!(history.rejects(&release("1.1"), &[BEN]).contains("has 1 of the 2"));
    history.accepts(&owner(id, 2, &[BEN, CARL], &[RITA]), &[RITA]);
    history.accepts(&release("1.1"), &[BEN, CARL]);
}

#[test]
fn owner_statements_follow_each_other_and_are_not_played_again() {
    let mut history = owned(1, &[ANNA], &[]);
    let first = history.id().unwrap();
    let to_ben = owner(Some(first), 1, &[BEN], &[]);
    history.accepts(&to_ben, &[ANNA]);
    history.accepts(&owner(history.id(), 1, &[ANNA], &[]), &[BEN]);
    // Anna owns the name again, as when she signed it, but by another statement.
    let why = format!(
        "follows {}, but entry 2 is in force: it was replayed, or others changed the owners first",
        first.prefixed()
    );
    assert_eq!(history.rejects(&to_ben, &[ANNA]), why);
    assert_eq!(history.birds().owners.keys, keys(&[ANNA]));
    // The old quorum must sign, not the new one.
    let to_mallory = owner(history.id(), 1, &[MALLORY], &[]);
    assert!(history.rejects(&to_mallory, &[MALLORY]).contains("is not an owner of the name"));
    history.accepts(&owner(history.id(), 2, &[ANNA, BEN], &[]), &[ANNA]);
    let back = owner(history.id(), 1, &[ANNA], &[]);
    assert_eq!(history.rejects(&back, &[ANNA]), "has 1 of the 2 signatures that it needs");
    history.accepts(&back, &[ANNA, BEN]);
    assert!(history.rejects(&release("1.0"), &[BEN]).contains("is not an owner"));
}

#[test]
fn recovery_keys_change_owners_and_nothing_else() {
    let mut history = owned(2, &[ANNA, BEN], &[RITA, CARL]);
    let to = owner(history.id(), 1, &[MALLORY], &[]);
    assert_eq!(history.rejects(&to, &[RITA]), "has 1 of the 2 signatures that it needs");
    let mixed = format!("is signed by {}, which is not a recovery key of the name", fingerprint(ANNA));
    assert_eq!(history.rejects(&to, &[ANNA, RITA]), mixed);
    history.accepts(&release("1.0"), &[ANNA, BEN]);
    for statement in
        [release("1.1"), Statement::Yank(advice("1.0", "bad")), Statement::Withdraw(advice("1.0", "bad"))]
    {
        assert!(history.rejects(&statement, &[RITA, CARL]).contains("is not an owner of the name"));
    }
    // They count only while the statement that names them is in force, and while none of them is revoked.
    let mut later = history.clone();
    later.accepts(&owner(later.id(), 1, &[ANNA], &[]), &[ANNA, BEN]);
    let take = owner(later.id(), 1, &[RITA], &[]);
    assert!(later.rejects(&take, &[RITA, CARL]).contains("is not an owner of the name"));
    let mut later = history.clone();
    later.accepts(&revoke(CARL), &[CARL]);
    assert!(later.rejects(&to, &[RITA, CARL]).contains("which entry 7 revoked"));
    history.accepts(&to, &[CARL, RITA]);
    history.accepts(&release("1.1"), &[MALLORY]);
}

#[test]
fn all_recovery_keys_are_enough_where_they_are_fewer_than_the_threshold() {
    let mut history = owned(3, &[ANNA, BEN, CARL], &[RITA]);
    history.accepts(&owner(history.id(), 1, &[MALLORY], &[]), &[RITA]);
}

#[test]
fn a_yank_and_a_withdrawal_are_of_released_versions_once() {
    let mut history = owned(1, &[ANNA], &[]);
    history.accepts(&release("1.0"), &[ANNA]);
    history.accepts(&release("1.1"), &[ANNA]);
    let not_there = "is about a version that is not released";
    assert_eq!(history.rejects(&Statement::Yank(advice("2.0", "bad")), &[ANNA]), not_there);
    assert_eq!(history.rejects(&Statement::Withdraw(advice("2.0", "bad")), &[ANNA]), not_there);
    let yank = Statement::Yank(advice("1.1", "leaks"));
    assert!(history.rejects(&yank, &[MALLORY]).contains("is not an owner of the name"));
    history.accepts(&yank, &[ANNA]);
    assert_eq!(history.newest(&name()), Some(version("1.0")));
    let again = Statement::Yank(advice("1.1", "another reason"));
    assert_eq!(history.rejects(&again, &[ANNA]), "says again what entry 6 says");
    // A yank does not stand for a withdrawal.
    history.accepts(&Statement::Withdraw(advice("1.1", "asked to")), &[ANNA]);
    assert_eq!(
        history.rejects(&Statement::Withdraw(advice("1.1", "x")), &[ANNA]),
        "says again what entry 8 says"
    );
    let (_, released) = history.release(&id("1.1")).unwrap();
    assert_eq!(released.yanked, Some(Box::new(Notice { index: 6, reason: "leaks".into() })));
    assert_eq!(released.withdrawn, Some(Box::new(Notice { index: 8, reason: "asked to".into() })));
    history.accepts(&Statement::Withdraw(advice("1.0", "asked to")), &[ANNA]);
    assert_eq!(history.newest(&name()), None);
    // There is no way back: a withdrawn version cannot be released again.
    assert!(history.rejects(&release("1.0"), &[ANNA]).contains("is a second release"));
}

#[test]
fn the_log_key_changes_by_the_old_and_the_new_one() {
    let mut history = owned(1, &[ANNA], &[]);
    let to_new = log_key(ORIGIN, LOG, NEW_LOG);
    let both = "is not signed by the old and the new key, and by them alone";
    for signers in [&[LOG][..], &[NEW_LOG], &[LOG, NEW_LOG, ANNA], &[LOG, ANNA], &[ANNA]] {
        assert_eq!(history.rejects(&to_new, signers), both);
    }
    let other = log_key("log.example/two", LOG, NEW_LOG);
    assert_eq!(history.rejects(&other, &[LOG, NEW_LOG]), "is about another log");
    let foreign = log_key(ORIGIN, MALLORY, NEW_LOG);
    // For this reader, it could be a change that led to the key they know, so it is valid but changes
    // nothing.
    history.accepts(&foreign, &[MALLORY, NEW_LOG]);
    assert_eq!(*history.key().key(), key(LOG));
    let before = history.size();
    history.accepts(&to_new, &[NEW_LOG, LOG]);
    // The change counts from the first checkpoint that covers it.
    assert_eq!(*history.key_at(before).key(), key(LOG));
    assert_eq!(*history.key_at(before + 1).key(), key(NEW_LOG));
    assert_eq!((history.key().origin(), *history.key().key()), (ORIGIN, key(NEW_LOG)));
    assert_eq!(*history.anchor().key(), key(LOG));
    for (late, old) in [(&to_new, LOG), (&foreign, MALLORY)] {
        assert_eq!(history.rejects(late, &[old, NEW_LOG]), "does not start from the key in force");
    }
    let back = log_key(ORIGIN, NEW_LOG, LOG);
    assert_eq!(history.rejects(&back, &[LOG, NEW_LOG]), "returns to a key that was given up");
    history.accepts(&log_key(ORIGIN, NEW_LOG, CARL), &[NEW_LOG, CARL]);
    for given_up in [LOG, NEW_LOG] {
        let back = log_key(ORIGIN, CARL, given_up);
        assert_eq!(history.rejects(&back, &[CARL, given_up]), "returns to a key that was given up");
    }
    assert_eq!(*history.key_at(before + 1).key(), key(NEW_LOG));
}

#[test]
fn the_log_key_owns_no_name() {
    let mut history = owned(1, &[ANNA], &[]);
    for statement in [release("1.0"), revoke(ANNA), owner(history.id(), 1, &[LOG], &[])] {
        assert!(history.rejects(&statement, &[LOG]).contains("is not an owner of the name"));
    }
}

fn rebuilt(text: &str, what: &str) -> Statement {
    let digest = |part: &str| Digest::of(format!("{part} of {what}").as_bytes());
    Statement::Rebuilt(Rebuilt {
        id: id(text),
        dataset: digest("dataset"),
        inputs: digest("inputs"),
        sources: digest("sources"),
        possession: digest("possession"),
    })
}

#[test]
fn a_rebuild_is_stated_once_by_a_key_and_in_the_attestation_log_alone() {
    let mut history = owned(1, &[ANNA], &[]);
    let elsewhere = "belongs in the registry's attestation log, not in this one";
    assert_eq!(history.rejects(&rebuilt("1.0", "one"), &[ANNA]), elsewhere);

    let anchor = empty().anchor().clone();
    let mut log = History::new(anchor.attestations().unwrap());
    assert_eq!(log.anchor().attests_for(), Some(anchor));
    // Strangers, of a version that nobody released.
    log.accepts(&rebuilt("1.0", "one"), &[ANNA]);
    log.accepts(&rebuilt("1.0", "other"), &[MALLORY]);
    log.accepts(&rebuilt("1.1", "one"), &[ANNA]);
    let again = "is a second one by that key: entry 0 is the first";
    assert_eq!(log.rejects(&rebuilt("1.0", "one"), &[ANNA]), again);
    assert_eq!(log.rejects(&rebuilt("1.0", "changed"), &[ANNA]), again);
    let keys: Vec<_> = log.built(&id("1.0")).map(|(key, built)| (*key, built.index)).collect();
    let mut expected = vec![(key(ANNA), 0), (key(MALLORY), 1)];
    expected.sort();
    assert_eq!(keys, expected);
    assert_eq!(log.built_versions().collect::<Vec<_>>(), [id("1.0"), id("1.1")]);
    // Nothing that counts in the registry's log counts there.
    let log_key = log_key(log.anchor().clone().origin(), LOG, NEW_LOG);
    for (statement, signers) in
        [(owner(None, 1, &[ANNA], &[]), &[ANNA][..]), (release("1.0"), &[ANNA]), (log_key, &[LOG, NEW_LOG])]
    {
        let why = log.rejects(&statement, signers);
        assert_eq!(why, "belongs in the registry's log, not in its attestation log");
    }
    assert_eq!(log.datasets().count(), 0);
}

/// A reader who knows the log by its third key is told of the two before it by changes that lead there, and
/// of no other.
#[test]
fn the_keys_before_the_anchor_are_those_that_led_to_it() {
    let keys = [LOG, NEW_LOG, CARL];
    let mut history = History::new(LogKey::new(ORIGIN, key(CARL)).unwrap());
    for change in keys.windows(2) {
        // Strangers' keys lead elsewhere.
        history.accepts(&log_key(ORIGIN, MALLORY, ANNA), &[MALLORY, ANNA]);
        history.accepts(&log_key(ORIGIN, change[0], change[1]), change);
    }
    history.accepts(&log_key(ORIGIN, RITA, MALLORY), &[RITA, MALLORY]);
    let all: Vec<PublicKey> = history.all_keys().map(|key| *key.key()).collect();
    assert_eq!(all, keys.map(key));
    for (size, at) in [(0, LOG), (1, LOG), (2, NEW_LOG), (3, NEW_LOG), (4, CARL), (5, CARL)] {
        assert_eq!(*history.signer_at(size).key(), key(at), "{size}");
        assert_eq!(*history.key_at(size).key(), key(CARL));
    }
    assert!(!history.has_key(&history.anchor().with_key(key(LOG))));
    history.accepts(&log_key(ORIGIN, CARL, RITA), &[CARL, RITA]);
    assert_eq!(*history.signer_at(history.size()).key(), key(RITA));
    assert_eq!(history.all_keys().count(), 4);
}

/// A replay is kept for long, and the program that judged its entries may have judged otherwise.
#[test]
fn a_replay_says_by_which_rules_it_was_made() {
    let mut history = owned(1, &[ANNA], &[]);
    history.accepts(&release("1.0"), &[ANNA]);
    let json = serde_json::to_value(&history).unwrap();
    let read = |json: &serde_json::Value| serde_json::from_value::<History>(json.clone()).unwrap();
    assert!(read(&json) == history && read(&json).is_by_these_rules());
    let mut before = json.clone();
    before.as_object_mut().unwrap().remove("rules").unwrap();
    assert!(!read(&before).is_by_these_rules(), "isn 0.1.0 says none");
    let mut later = json;
    later["rules"] = (RULES + 1).into();
    assert!(!read(&later).is_by_these_rules());
}

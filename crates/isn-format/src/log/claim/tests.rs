use signed_note::Note;

use super::*;
use crate::key::PrivateKey;
use crate::log::SignedCheckpoint;

const ORIGIN: &str = "log.example/vectors";
/// A claim for entries 4 and 5, made without isn. It is signed by the key that entry 4 replaces.
const CLAIM: &[u8] = include_bytes!("../../../../../tests/vectors/log/claim");
const BUNDLE: &[u8] = include_bytes!("../../../../../tests/vectors/log/tile/entries/000.p/9");

fn signer(who: &str, origin: &str) -> LogSigner {
    LogSigner::new(origin, PrivateKey::of_vectors(who)).unwrap()
}

/// Returns the log of the vectors after this many entries.
fn log(size: usize) -> Replica {
    let mut replica = Replica::new(signer("alice", ORIGIN).log_key().clone());
    for entry in &bundle::read_all(BUNDLE).unwrap()[..size] {
        let _ = replica.push(entry).unwrap();
    }
    replica
}

fn bundle_of(entries: &[&[u8]]) -> Vec<u8> {
    let mut bundle = Vec::new();
    entries.iter().for_each(|entry| bundle::push(&mut bundle, entry).unwrap());
    bundle
}

/// Checks why a writer who has read the log up to `base` does not finish the claim.
#[track_caller]
fn refused(claim: &[u8], base: &Replica, why: &str) {
    let verified = SignedClaim::parse("claim", claim).and_then(|claim| claim.verify(base).map(drop));
    let Err(Error::Claim { why: found, .. }) = verified else { panic!("{verified:?}") };
    assert!(found.contains(why), "expected '{why}': {found}");
}

#[test]
fn the_golden_claim_is_what_isn_writes_and_finishes() {
    let entries = &bundle::read_all(BUNDLE).unwrap()[4..6];
    let claim = SignedClaim::sign(&signer("alice", ORIGIN), &log(4), &bundle_of(entries)).unwrap();
    assert!(claim == CLAIM, "{}", String::from_utf8_lossy(&claim));
    assert_eq!(SignedClaim::parse("claim", CLAIM).unwrap().verify(&log(4)).unwrap(), entries);
}

#[test]
fn a_claim_counts_at_its_place_in_its_log_by_its_key_and_nowhere_else() {
    let alice = signer("alice", ORIGIN);
    let entries = bundle_of(&bundle::read_all(BUNDLE).unwrap()[4..6]);
    for size in [0, 3] {
        refused(CLAIM, &log(size), "was signed for another place in the log, entry 4");
    }
    // From entry 5 on, another key signs.
    refused(CLAIM, &log(5), "has no valid signature by the log's key");
    // The same number of entries, but different ones.
    let mut other = log(3);
    let _ = other.push(b"another history").unwrap();
    refused(CLAIM, &other, "it was replayed");
    let foreign = SignedClaim::sign(&signer("alice", "log.example/other"), &log(4), &entries).unwrap();
    refused(&foreign, &log(4), "is of log log.example/other, not of log.example/vectors");
    let by_bob = SignedClaim::sign(&signer("bob", ORIGIN), &log(4), &entries).unwrap();
    refused(&by_bob, &log(4), "has no valid signature by the log's key");
    let claim = SignedClaim::parse("claim", CLAIM).unwrap();
    assert!(claim.is_of(4, alice.log_key()));
    assert!(!claim.is_of(5, alice.log_key()) && !claim.is_of(4, signer("bob", ORIGIN).log_key()));
}

#[test]
fn an_entry_without_effect_is_not_finished_even_if_the_key_signed_it() {
    let (alice, all) = (signer("alice", ORIGIN), bundle::read_all(BUNDLE).unwrap());
    let again = SignedClaim::sign(&alice, &log(4), &bundle_of(&[all[4], all[2]])).unwrap();
    refused(&again, &log(4), "has an entry that would have no effect: the release of imagebirds@1.0");
    let none = SignedClaim::sign(&alice, &log(4), &[]).unwrap();
    refused(&none, &log(4), "has no entry");
    let cut = SignedClaim::sign(&alice, &log(4), &bundle_of(&all[4..6])[..100]).unwrap();
    refused(&cut, &log(4), "is damaged");
}

#[test]
fn every_changed_byte_is_seen() {
    for at in 0..CLAIM.len() {
        let mut changed = CLAIM.to_vec();
        changed[at] ^= 1;
        let verified =
            SignedClaim::parse("claim", &changed).and_then(|claim| claim.verify(&log(4)).map(drop));
        assert!(matches!(verified, Err(Error::Claim { .. })), "byte {at}: {verified:?}");
    }
    for end in 0..CLAIM.len() {
        assert!(SignedClaim::parse("claim", &CLAIM[..end]).is_err(), "{end}");
    }
}

#[test]
fn what_is_unsigned_of_another_kind_or_malformed_is_said_to_be_so() {
    let unsigned = bundle_of(&bundle::read_all(BUNDLE).unwrap()[4..6]);
    refused(&unsigned, &log(4), "is not signed");
    refused(b"", &log(4), "is not signed");
    let newer = String::from_utf8_lossy(CLAIM).replacen("isn/v1", "isn/v2", 1);
    refused(newer.as_bytes(), &log(4), "a newer isn may finish it");
    refused(b"isn/v1 claim\n", &log(4), "is malformed");
    let (note, bundle) = split(CLAIM).unwrap();
    let note = std::str::from_utf8(note).unwrap();
    for other in ["04", "+4", "4\n4", "-4", "18446744073709551616"] {
        let note = note.replacen("\n4\n", &format!("\n{other}\n"), 1);
        refused(
            &[note.as_bytes(), bundle].concat(),
            &log(4),
            if other == "04" || other == "+4" { "holds other" } else { "malformed" },
        );
    }
}

#[test]
fn what_is_longer_than_a_claim_or_its_note_is_none() {
    let alice = signer("alice", ORIGIN);
    let room = (64 << 20) - SignedClaim::sign(&alice, &log(4), &[]).unwrap().len();
    let mut entries = vec![0; room];
    let claim = SignedClaim::sign(&alice, &log(4), &entries).unwrap();
    assert!(SignedClaim::parse("claim", &claim).is_ok());
    entries.push(0);
    assert!(SignedClaim::sign(&alice, &log(4), &entries).is_err());
    refused(&[&claim[..], &[0]].concat(), &log(4), "is too long for a claim");
    // A note that is right except for its length: a signature by an unknown key makes it longer.
    let (note, bundle) = split(CLAIM).unwrap();
    for (name, is_read) in [(100, true), (1 << 10, false)] {
        let unknown = format!("— {} AAAAAAAA\n", "x".repeat(name));
        let text = std::str::from_utf8(note).unwrap().replacen("\n\n", &format!("\n\n{unknown}"), 1);
        assert_eq!(split(text.as_bytes()).is_some(), is_read, "{name}");
        refused(
            &[text.as_bytes(), bundle].concat(),
            &log(4),
            if is_read { "holds other" } else { "is malformed" },
        );
    }
}

#[test]
fn no_claim_is_a_checkpoint_and_no_checkpoint_a_claim() {
    // Not even if the log has a name that makes the claim look most like a checkpoint.
    let alice = signer("alice", "4");
    let base = Replica::new(alice.log_key().clone());
    let claim = SignedClaim::sign(&alice, &base, &[]).unwrap();
    assert!(SignedCheckpoint::parse("checkpoint", claim).is_err());
    let checkpoint = SignedCheckpoint::sign(&alice, 0, base.tree().root().unwrap()).unwrap();
    assert!(SignedClaim::parse("claim", checkpoint.bytes()).is_err());
    // The text alone is not a checkpoint either, whoever signs it.
    let note = Note::from_bytes(split(CLAIM).unwrap().0).unwrap();
    assert!(tlog_tiles::Checkpoint::from_bytes(note.text()).is_err());
}

use super::*;
use crate::key::PrivateKey;
use crate::log::{LogSigner, Tree};
use crate::statement::{Advice, Statement};

fn log() -> LogSigner {
    LogSigner::new("log.example/one", PrivateKey::of_seed(1)).unwrap()
}

fn entry(number: u64) -> Vec<u8> {
    let advice = Advice { id: format!("birds@1.{number}").parse().unwrap(), reason: "a test".into() };
    SignedStatement::sign(&Statement::Yank(advice), &PrivateKey::of_seed(2)).unwrap().bytes().to_vec()
}

/// Returns the entries of a log of `size`, its tree and its checkpoint.
fn a_log(size: u64) -> (Vec<Vec<u8>>, Tree, Checkpoint) {
    let entries: Vec<_> = (0..size).map(entry).collect();
    let tree = Tree::of(entries.iter().map(|entry| leaf_hash(entry))).unwrap();
    let signed = SignedCheckpoint::sign(&log(), size, tree.root().unwrap()).unwrap();
    let checkpoint = signed.verify(log().log_key()).unwrap();
    (entries, tree, checkpoint)
}

fn proof(size: u64, index: u64) -> Vec<u8> {
    let (entries, tree, checkpoint) = a_log(size);
    let hashes = tree.prove_leaf(index).unwrap();
    Proof::new(entries[index as usize].clone(), index, hashes, &checkpoint).unwrap().to_bytes()
}

fn verify(bytes: &[u8]) -> Result<(Attested, u64, Checkpoint)> {
    Proof::parse("proof.txt", bytes)?.verify(log().log_key())
}

#[test]
fn every_entry_of_every_small_log_is_proved() {
    for size in 1..=9 {
        let (entries, tree, checkpoint) = a_log(size);
        for index in 0..size {
            let hashes = tree.prove_leaf(index).unwrap();
            let made = Proof::new(entries[index as usize].clone(), index, hashes, &checkpoint).unwrap();
            let read = Proof::parse("proof.txt", &made.to_bytes()).unwrap();
            assert_eq!((read.claimed_origin(), read.claimed_size()), ("log.example/one", size));
            let (attested, at, found) = read.verify(log().log_key()).unwrap();
            assert_eq!((at, &found), (index, &checkpoint));
            assert_eq!(attested.statement.version().unwrap().minor as u64, index);
        }
    }
}

#[test]
fn a_proof_of_something_else_is_refused() {
    let (entries, tree, checkpoint) = a_log(5);
    let make = |entry: &[u8], index, hashes: Vec<Hash>| {
        verify(&Proof::new(entry.to_vec(), index, hashes, &checkpoint).unwrap().to_bytes())
    };
    let hashes = tree.prove_leaf(2).unwrap();
    assert!(make(&entries[2], 2, hashes.clone()).is_ok());
    let leads_nowhere = "does not lead from its statement to the checkpoint's root";
    let mut swapped = hashes.clone();
    swapped.swap(0, 1);
    let longer = [hashes.as_slice(), &hashes[..1]].concat();
    for (entry, index, hashes, reason) in [
        (&entries[3], 2, hashes.clone(), leads_nowhere),
        (&entries[2], 3, hashes.clone(), leads_nowhere),
        (&entries[2], 0, hashes.clone(), leads_nowhere),
        (&entries[2], 2, swapped, leads_nowhere),
        (&entries[2], 2, longer, leads_nowhere),
        (&entries[2], 2, hashes[1..].to_vec(), leads_nowhere),
        (&entries[2], 2, vec![], leads_nowhere),
        (&entries[2], 5, hashes.clone(), "is about entry 5 of a log of 5"),
        (&entries[2], u64::MAX, hashes.clone(), "is about entry 18446744073709551615 of a log of 5"),
    ] {
        let error = make(entry, index, hashes).unwrap_err();
        assert!(matches!(error, Error::Trust { .. }), "{error:?}");
        assert!(error.to_string().contains(reason), "{reason}: {error}");
    }
    let foreign = LogSigner::new("log.example/one", PrivateKey::of_seed(3)).unwrap();
    let error = Proof::parse("proof.txt", &proof(5, 2)).unwrap().verify(foreign.log_key()).unwrap_err();
    assert!(error.to_string().contains("is not signed by the log's key"), "{error}");
}

#[test]
fn a_proved_entry_must_be_a_statement_with_valid_signatures() {
    let good = entry(0);
    let forged = String::from_utf8(good.clone()).unwrap().replace("a test", "forged");
    for (entry, reason) in [
        (b"garbage".to_vec(), "has no blank line between statement and signatures"),
        (forged.into_bytes(), "is not valid"),
    ] {
        let tree = Tree::of([leaf_hash(&entry)]).unwrap();
        let signed = SignedCheckpoint::sign(&log(), 1, tree.root().unwrap()).unwrap();
        let checkpoint = signed.verify(log().log_key()).unwrap();
        let proof = Proof::new(entry, 0, vec![], &checkpoint).unwrap();
        let error = verify(&proof.to_bytes()).unwrap_err();
        assert!(error.to_string().contains(reason), "{reason}: {error}");
    }
}

#[test]
fn only_one_spelling_is_a_proof() {
    let good = String::from_utf8(proof(5, 2)).unwrap();
    let edit = |from: &str, to: &str| {
        assert!(good.contains(from), "{from:?}");
        good.replacen(from, to, 1)
    };
    let hash = good.lines().nth(3).unwrap();
    for (text, reason) in [
        (String::new(), "is not a proof"),
        (good.lines().next().unwrap().into(), "has no blank line"),
        (good.replace('\n', "\r\n"), "has no blank line"),
        (edit("@v1", "@v2"), "is not a proof: it does not begin with 'c2sp.org/tlog-proof@v1'"),
        (edit("@v1", "@v10"), "does not begin with the line"),
        (format!("\n{good}"), "does not begin with"),
        (edit("extra ", "extra  "), "line 2 is not base64"),
        (edit("extra ", "other "), "has no line 'extra'"),
        (edit("extra aXNu", "extra aXN"), "line 2 is not base64"),
        (edit("index 2", "index 02"), "line 3 must be 'index' and a number"),
        (edit("index 2", "index +2"), "line 3 must be"),
        (edit("index 2", "index -2"), "line 3 must be"),
        (edit("index 2", "index 18446744073709551616"), "line 3 must be"),
        (edit("index 2\n", ""), "line 3 must be"),
        (edit(hash, &hash[4..]), "has a line that is not a hash in base64"),
        (edit(hash, &format!("{hash} ")), "has a line that is not a hash in base64"),
        (edit(hash, &vec![hash; 64].join("\n")), "has a line that is not a hash in base64"),
        (edit("\n\n", "\n\n\n"), "is a note, but not a checkpoint"),
        (format!("{good}\n"), "is not a signed note"),
        (format!("{good}trailing"), "is not a signed note"),
        (format!("{good}{}", "x".repeat(MAX_LEN as usize)), "is too long for a proof"),
    ] {
        let message = Proof::parse("proof.txt", text.as_bytes()).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains(reason), "{reason:?} expected of {text:?}: {message}");
    }
    assert!(Proof::parse("x", b"\xff").is_err());
}

/// Every change of one bit, one missing byte, one doubled byte and every truncation.
#[test]
fn every_small_change_is_refused() {
    let good = proof(5, 2);
    assert!(verify(&good).is_ok());
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            assert!(verify(&bytes).is_err(), "bit {bit} of byte {at}");
        }
        let without = [&good[..at], &good[at + 1..]].concat();
        assert!(without == good || verify(&without).is_err(), "byte {at} taken out");
        let doubled = [&good[..=at], &good[at..]].concat();
        assert!(verify(&doubled).is_err(), "byte {at} doubled");
        assert!(verify(&good[..at]).is_err(), "cut at {at}");
    }
}

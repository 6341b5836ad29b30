use base64::prelude::*;

use super::*;
use crate::key::{PrivateKey, Signer};
use crate::log::leaf_hash;
use crate::log::{MAX_ATTESTATIONS, MAX_SIZE};

const ORIGIN: &str = "log.example/one";

fn log() -> LogSigner {
    LogSigner::new(ORIGIN, PrivateKey::of_seed(1)).unwrap()
}

fn note() -> String {
    let signed = SignedCheckpoint::sign(&log(), 7, leaf_hash(b"root")).unwrap();
    String::from_utf8(signed.bytes().to_vec()).unwrap()
}

fn parse(note: &str) -> Result<SignedCheckpoint> {
    SignedCheckpoint::parse("log/checkpoint", note.as_bytes().to_vec())
}

/// Returns a note with any text, signed by the log's key.
fn signed_text(text: &str) -> String {
    let mut note = Note::new(text.as_bytes(), &[]).unwrap();
    note.add_sigs(&[&log()]).unwrap();
    String::from_utf8(note.to_bytes()).unwrap()
}

fn witness(number: u8) -> WitnessKey {
    WitnessKey::new(&format!("witness{number}.example"), *PrivateKey::of_seed(number).public_key()).unwrap()
}

/// Returns the line with which a witness cosigns `note`.
fn cosignature(number: u8, time: u64, note: &str) -> String {
    let witness = witness(number);
    let signature = witness.cosign(&PrivateKey::of_seed(number), time, parse(note).unwrap().text());
    line(signed_note::Verifier::name(&witness), signed_note::Verifier::key_id(&witness), &signature)
}

fn line(name: &str, id: u32, signature: &[u8]) -> String {
    format!("— {name} {}\n", BASE64_STANDARD.encode([&id.to_be_bytes(), signature].concat()))
}

#[test]
fn what_is_signed_reads_back() {
    let note = note();
    let signed = parse(&note).unwrap();
    assert_eq!(signed.bytes(), note.as_bytes());
    assert_eq!((signed.claimed_origin(), signed.claimed_size()), (ORIGIN, 7));
    let checkpoint = signed.verify(log().log_key()).unwrap();
    assert_eq!(
        (checkpoint.origin.as_str(), checkpoint.size, checkpoint.root),
        (ORIGIN, 7, leaf_hash(b"root"))
    );
    assert_eq!(checkpoint.note, note.as_bytes());
    // Lines after the root are signed, too.
    let text = String::from_utf8(signed.text().to_vec()).unwrap();
    assert!(parse(&signed_text(&(text + "more\n"))).unwrap().verify(log().log_key()).is_ok());
}

#[test]
fn only_one_spelling_is_a_checkpoint() {
    let note = note();
    let edit = |from: &str, to: &str| {
        assert!(note.contains(from), "{from:?}");
        note.replacen(from, to, 1)
    };
    let root = leaf_hash(b"root").to_string();
    for (text, reason) in [
        (String::new(), "is not a signed note"),
        (note.replace('\n', "\r\n"), "is not a signed note"),
        (edit("\n7\n", "\r\n7\n"), "is not a signed note"),
        (edit("\n7\n", "\n7\x1b[2J\n"), "is not a signed note"),
        (edit("\n7\n", "\n7\n\x7f\n"), "is not a signed note"),
        (edit("\n7\n", "\n7\n\0\n"), "is not a signed note"),
        (edit("\n\n", "\n\u{9b}2J\n\n"), "is not a signed note"),
        (edit("one", "öne"), "has a name with something other than printable ASCII"),
        (edit("one", "one two"), "has a name with something other than printable ASCII"),
        (edit("one", "one+two"), "has a name with something other than printable ASCII"),
        (edit("one", &"o".repeat(201)), "has a name that is not 1 to 200 bytes long"),
        (edit(ORIGIN, ""), "is a note, but not a checkpoint"),
        (edit("\n7\n", "\n07\n"), "is a note, but not a checkpoint"),
        (edit("\n7\n", "\n+7\n"), "is a note, but not a checkpoint"),
        (edit("\n7\n", "\n-7\n"), "is a note, but not a checkpoint"),
        (edit("\n7\n", "\n18446744073709551616\n"), "is a note, but not a checkpoint"),
        (edit("\n7\n", "\n"), "is a note, but not a checkpoint"),
        (edit(&root, &root[1..]), "is a note, but not a checkpoint"),
        (edit(&root, &format!("{root} ")), "is a note, but not a checkpoint"),
        (edit("\n\n", "\n"), "is not a signed note"),
        (edit("\n\n", "\n\n\n"), "is a note, but not a checkpoint"),
        (format!("\n{note}"), "is a note, but not a checkpoint"),
        (format!("{note}\n"), "is not a signed note"),
        (format!("{note} "), "is not a signed note"),
        (format!("{note}trailing"), "is not a signed note"),
        (note.trim_end().into(), "is not a signed note"),
        (edit("— ", "- "), "is not a signed note"),
        (edit("— ", "—  "), "is not a signed note"),
        (format!("{}\n", note.split_once("— ").unwrap().0), "is not a signed note"),
    ] {
        let error = parse(&text).unwrap_err();
        assert!(matches!(error, Error::Trust { .. }), "{error:?}");
        let message = error.to_string();
        assert!(message.contains(reason), "{reason:?} expected of {text:?}: {message}");
        assert!(!message.contains(char::is_control), "{message:?}");
    }
    let not_text = [b"\xff", note.as_bytes()].concat();
    assert!(SignedCheckpoint::parse("x", not_text).is_err());
}

#[test]
fn sizes_have_limits() {
    let of_size = |size: u64| signed_text(&format!("{ORIGIN}\n{size}\n{}\n", leaf_hash(b"root")));
    assert_eq!(parse(&of_size(MAX_SIZE)).unwrap().claimed_size(), MAX_SIZE);
    assert_eq!(parse(&of_size(0)).unwrap().claimed_size(), 0);
    for size in [MAX_SIZE + 1, u64::MAX] {
        let message = parse(&of_size(size)).unwrap_err().to_string();
        assert!(message.contains(&format!("claims {size} entries: too many")), "{message}");
    }
    let attested =
        |size: u64| parse(&signed_text(&format!("{ORIGIN}/attestations\n{size}\n{}\n", leaf_hash(b"root"))));
    assert_eq!(attested(MAX_ATTESTATIONS).unwrap().claimed_size(), MAX_ATTESTATIONS);
    let message = attested(MAX_ATTESTATIONS + 1).unwrap_err().to_string();
    assert!(message.contains("claims 100001 entries: too many"), "{message}");
    let padded = |padding: usize| {
        signed_text(&format!("{ORIGIN}\n7\n{}\n{}\n", leaf_hash(b"root"), "x".repeat(padding)))
    };
    let shortest = padded(1).len() - 1;
    let long = |extra: usize| padded(MAX_CHECKPOINT as usize - shortest + extra);
    assert_eq!(long(0).len() as u64, MAX_CHECKPOINT);
    assert!(parse(&long(0)).is_ok());
    assert!(parse(&long(1)).unwrap_err().to_string().contains("is too long for a checkpoint"));
}

#[test]
fn a_checkpoint_of_another_log_or_key_is_refused() {
    let (note, key) = (note(), log().log_key().clone());
    let refusal = |note: &str, key: &LogKey| {
        let error = parse(note).unwrap().verify(key).unwrap_err();
        assert!(matches!(error, Error::Trust { .. }), "{error:?}");
        error.to_string()
    };
    let foreign = key.with_key(*PrivateKey::of_seed(2).public_key());
    let message = refusal(&note, &foreign);
    assert!(message.contains(&format!("is not signed by the log's key, {foreign}, but by a foreign one")));
    let other = LogKey::new("log.example/two", *key.key()).unwrap();
    let message = refusal(&note, &other);
    assert!(message.contains("is of log log.example/one, expected log.example/two"), "{message}");
    // The signature of another text: its ID is right, but it is not valid.
    for (from, to) in [("\n7\n", "\n8\n"), ("\n\n", "\nmore\n\n")] {
        let message = refusal(&note.replacen(from, to, 1), &key);
        assert!(message.contains(&format!("has a signature by {key} that is not valid")), "{message}");
    }
    // A second line by the same key does not help an invalid first one.
    let signature = note.split_once("\n\n").unwrap().1;
    let invalid = line(ORIGIN, signed_note::Verifier::key_id(&key), &[0; 64]);
    assert!(refusal(&note.replace(signature, &(invalid + signature)), &key).contains("is not valid"));
}

/// Every change of one bit, one missing byte, one doubled byte and every truncation.
#[test]
fn every_small_change_is_refused() {
    let key = log().log_key().clone();
    let accepted =
        |bytes: Vec<u8>| SignedCheckpoint::parse("x", bytes).is_ok_and(|it| it.verify(&key).is_ok());
    let good = note().into_bytes();
    assert!(accepted(good.clone()));
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            assert!(!accepted(bytes), "bit {bit} of byte {at}");
        }
        let without = [&good[..at], &good[at + 1..]].concat();
        assert!(without == good || !accepted(without), "byte {at} taken out");
        assert!(!accepted([&good[..=at], &good[at..]].concat()), "byte {at} doubled");
        assert!(!accepted(good[..at].to_vec()), "cut at {at}");
    }
}

#[test]
fn cosignatures_count_each_witness_once() {
    let note = note();
    let both = [witness(5), witness(6)];
    let times = |note: &str| {
        let signed = parse(note).unwrap();
        // The log's own signature stays valid, whatever witnesses add.
        assert!(signed.verify(log().log_key()).is_ok());
        let cosigned = signed.cosignatures(&both)?;
        Ok::<_, Error>(
            cosigned.iter().map(|(witness, time)| (witness.name().to_string(), *time)).collect::<Vec<_>>(),
        )
    };
    let (five, six) = (cosignature(5, 1000, &note), cosignature(6, 2000, &note));
    let name = |number: u8| format!("witness{number}.example");
    assert_eq!(times(&note).unwrap(), []);
    assert_eq!(times(&format!("{note}{five}")).unwrap(), [(name(5), 1000)]);
    assert_eq!(times(&format!("{note}{six}{five}")).unwrap(), [(name(6), 2000), (name(5), 1000)]);
    let twice = format!("{note}{five}{}", cosignature(5, 3000, &note));
    assert_eq!(times(&twice).unwrap(), [(name(5), 1000)]);
    let unknown = format!("{note}{}{six}", cosignature(7, 9000, &note));
    assert_eq!(times(&unknown).unwrap(), [(name(6), 2000)]);
    // A signature by the key of one witness under the name of another counts for nobody.
    assert_eq!(times(&format!("{note}{}", five.replace("witness5", "witness6"))).unwrap(), []);
    // A witness that is listed twice counts once.
    let signed = parse(&format!("{note}{five}")).unwrap();
    assert_eq!(signed.cosignatures(&[witness(5), witness(5)]).unwrap(), [(witness(5), 1000)]);

    // A line that claims to be by a witness and is not valid is refused, whatever is wrong with it.
    let other = SignedCheckpoint::sign(&log(), 8, leaf_hash(b"root")).unwrap();
    let other = cosignature(5, 1000, std::str::from_utf8(other.bytes()).unwrap());
    let id = signed_note::Verifier::key_id(&witness(5));
    let good = BASE64_STANDARD.decode(five.trim_end().rsplit(' ').next().unwrap()).unwrap()[4..].to_vec();
    let mut later = good.clone();
    later[7] ^= 1;
    let without_time = log().private_key().sign_raw(note.as_bytes());
    for bad in [
        other,
        line(&name(5), id, &later),
        line(&name(5), id, &good[..71]),
        line(&name(5), id, &without_time),
        line(&name(5), id, &[1]),
    ] {
        let error = times(&format!("{note}{bad}{six}")).unwrap_err();
        assert!(matches!(error, Error::Trust { .. }), "{error:?}");
        assert!(error.to_string().contains("witness5.example"), "{error}");
    }
}

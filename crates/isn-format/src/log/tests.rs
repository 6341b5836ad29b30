//! The log of `tests/vectors/log`, which its `make.py` wrote without isn: isn reads these bytes, and writes
//! the same.

use super::*;
use crate::key::PrivateKey;
use crate::statement::Statement;

const CHECKPOINT: &[u8] = include_bytes!("../../../../tests/vectors/log/checkpoint");
const COSIGNED: &[u8] = include_bytes!("../../../../tests/vectors/log/cosigned");
const PROOF: &[u8] = include_bytes!("../../../../tests/vectors/log/proof");
const BUNDLE: &[u8] = include_bytes!("../../../../tests/vectors/log/tile/entries/000.p/9");
const TILE: &[u8] = include_bytes!("../../../../tests/vectors/log/tile/0/000.p/9");
const TIME: u64 = 1_700_000_000;

fn vkey<T: std::str::FromStr<Err = crate::error::Error>>(line: &str) -> T {
    line.strip_suffix('\n').unwrap().parse().unwrap()
}

fn anchor() -> LogKey {
    vkey(include_str!("../../../../tests/vectors/log/vkey"))
}

fn replica() -> Replica {
    let mut replica = Replica::new(anchor());
    for entry in bundle::read_all(BUNDLE).unwrap() {
        let _ = replica.push(entry).unwrap();
    }
    replica
}

#[test]
fn the_golden_log_is_what_isn_writes() {
    let signer = LogSigner::new("log.example/vectors", PrivateKey::of_vectors("bob")).unwrap();
    let mut written = Vec::new();
    for entry in bundle::read_all(BUNDLE).unwrap() {
        bundle::push(&mut written, entry).unwrap();
    }
    assert_eq!(written, BUNDLE);
    let replica = replica();
    let tiles = replica.tree().tiles_since(0).unwrap();
    assert_eq!(tiles, [(Tile { level: 0, index: 0, width: 9 }, TILE.to_vec())]);
    let signed = SignedCheckpoint::sign(&signer, 9, replica.tree().root().unwrap()).unwrap();
    assert_eq!(std::str::from_utf8(signed.bytes()), std::str::from_utf8(CHECKPOINT));

    let checkpoint = signed.verify(&replica.history().key()).unwrap();
    let entry = bundle::read_all(BUNDLE).unwrap()[2].to_vec();
    let proof = Proof::new(entry, 2, replica.tree().prove_leaf(2).unwrap(), &checkpoint).unwrap();
    assert_eq!(String::from_utf8(proof.to_bytes()).unwrap().as_bytes(), PROOF);
}

#[test]
fn the_golden_log_means_what_its_page_says() {
    let replica = replica();
    let history = replica.history();
    let without_effect: Vec<_> = history.rejected().iter().map(|it| (it.index, it.why.as_str())).collect();
    assert_eq!(
        without_effect,
        [
            (3, "the release of imagebirds@1.0 is a second release of that version: entry 2 is the first"),
            (
                7,
                "the owner statement of imagebirds claims a name that somebody owns: entry 1 says whose it is"
            ),
        ]
    );
    let (name, dataset) = history.datasets().next().unwrap();
    assert_eq!((name.as_str(), dataset.owners.index, dataset.revoked.len()), ("imagebirds", 1, 1));
    assert_eq!(history.newest(name), None);
    assert_eq!(history.key(), vkey(include_str!("../../../../tests/vectors/log/vkey-now")));
    assert_eq!((history.key_at(4), history.key_at(5)), (anchor(), history.key()));
}

#[test]
fn the_golden_proof_and_cosignature_are_valid() {
    let now: LogKey = vkey(include_str!("../../../../tests/vectors/log/vkey-now"));
    let (attested, index, checkpoint) = Proof::parse("proof", PROOF).unwrap().verify(&now).unwrap();
    assert_eq!((index, checkpoint.size, checkpoint.note.as_slice()), (2, 9, CHECKPOINT));
    assert!(matches!(attested.statement, Statement::Release(release) if release.manifest_len == 4711));
    assert!(Proof::parse("proof", PROOF).unwrap().verify(&anchor()).is_err());

    let witness: WitnessKey = vkey(include_str!("../../../../tests/vectors/log/witness"));
    let cosigned = SignedCheckpoint::parse("cosigned", COSIGNED.to_vec()).unwrap();
    assert!(cosigned.verify(&now).is_ok());
    assert_eq!(cosigned.cosignatures(std::slice::from_ref(&witness)).unwrap(), [(witness, TIME)]);
}

/// The one of `tests/vectors/attestations`, made without isn as well.
#[test]
fn the_golden_attestation_log_is_what_isn_writes_and_means_what_its_page_says() {
    const BUNDLE: &[u8] = include_bytes!("../../../../tests/vectors/attestations/tile/entries/000.p/3");
    const TILE: &[u8] = include_bytes!("../../../../tests/vectors/attestations/tile/0/000.p/3");
    let key: LogKey = vkey(include_str!("../../../../tests/vectors/attestations/vkey"));
    assert_eq!((anchor().attestations().unwrap(), key.attests_for()), (key.clone(), Some(anchor())));
    let mut replica = Replica::new(key.clone());
    let entries = bundle::read_all(BUNDLE).unwrap();
    for entry in &entries {
        let _ = replica.push(entry).unwrap();
    }
    let tiles = replica.tree().tiles_since(0).unwrap();
    assert_eq!(tiles, [(Tile { level: 0, index: 0, width: 3 }, TILE.to_vec())]);
    let signer = LogSigner::new("log.example/vectors", PrivateKey::of_vectors("alice")).unwrap();
    let signer = signer.renamed(key.origin()).unwrap();
    let signed = SignedCheckpoint::sign(&signer, 3, replica.tree().root().unwrap()).unwrap();
    let golden = include_str!("../../../../tests/vectors/attestations/checkpoint");
    assert_eq!(std::str::from_utf8(signed.bytes()), Ok(golden));
    // No checkpoint of one of the two logs is one of the other.
    assert!(signed.verify(&key).is_ok() && signed.verify(&anchor()).is_err());
    let history = replica.history();
    let without_effect: Vec<_> = history.rejected().iter().map(|it| (it.index, it.why.as_str())).collect();
    assert_eq!(
        without_effect,
        [
            (
                1,
                "the statement of a rebuild of imagebirds@1.0 is a second one by that key: entry 0 is the \
                 first"
            ),
            (
                2,
                "the owner statement of imagebirds belongs in the registry's log, not in its attestation log"
            ),
        ]
    );
    let id = "imagebirds@1.0".parse().unwrap();
    let keys: Vec<_> = history.built(&id).map(|(key, built)| (*key, built.index)).collect();
    assert_eq!(keys, [(PrivateKey::of_vectors("alice").public_line().key, 0)]);
    let listed = include_bytes!("../../../../tests/vectors/attestations/versions/imagebirds/1.0");
    assert_eq!(bundle::read_all(listed).unwrap(), entries[..1]);
}

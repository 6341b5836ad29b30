use super::*;
use crate::key::PrivateKey;

const STATEMENT: &str = include_str!("../../../../tests/vectors/release/statement.txt");
const SIGNED: &str = include_str!("../../../../tests/vectors/release/signed.txt");
const SIGNED_BY_TWO: &str = include_str!("../../../../tests/vectors/release/signed-by-two.txt");

fn alice() -> PublicKey {
    include_str!("../../../../tests/vectors/release/alice.pub").parse().unwrap()
}

fn bob() -> PublicKey {
    include_str!("../../../../tests/vectors/release/bob.pub").parse().unwrap()
}

fn private(name: &str) -> PrivateKey {
    PrivateKey::of_vectors(name)
}

fn statement() -> ReleaseStatement {
    match Statement::parse("statement.txt", STATEMENT).unwrap() {
        Statement::Release(release) => release,
        other => panic!("{other:?}"),
    }
}

fn parse(text: &str) -> Result<SignedRelease> {
    SignedRelease::parse("releases/imagebirds/1.0", text.as_bytes().to_vec())
}

#[test]
fn signing_gives_the_golden_bytes() {
    let statement = statement();
    assert_eq!(Statement::Release(statement.clone()).to_string(), STATEMENT);
    assert_eq!(statement.dataset, Digest::of(b""));
    let signed = sign(&statement, &private("alice")).unwrap();
    assert_eq!(std::str::from_utf8(signed.bytes()).unwrap(), SIGNED);
}

#[test]
fn a_trusted_key_opens_the_statement() {
    let release = parse(SIGNED).unwrap().verify("/r", &[bob(), alice()]).unwrap();
    let statement = statement();
    assert_eq!(release.id(), &statement.id);
    assert_eq!(release.dataset(), statement.dataset);
    assert_eq!((release.manifest(), release.manifest_len()), (statement.manifest, 4711));
    assert_eq!(release.signers(), [alice()]);
    assert_eq!(release.standing(), &Standing::Trusted);
    assert!(release.clone().expect(&statement.id).is_ok());
    let error = release.expect(&"imagebirds@0.9".parse().unwrap()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "imagebirds@0.9: the registry serves the release of imagebirds@1.0 in its place"
    );
}

#[test]
fn an_unknown_signer_is_introduced() {
    for trusted in [vec![], vec![bob()]] {
        let error = parse(SIGNED).unwrap().verify("https://example.org/data", &trusted).unwrap_err();
        let Error::UnknownSigner { what, registry, fingerprint, public_key, .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(
            (what.as_str(), registry.as_str()),
            ("releases/imagebirds/1.0", "https://example.org/data")
        );
        assert_eq!(*fingerprint, alice().fingerprint());
        assert_eq!(*public_key, alice().to_string());
    }
}

#[test]
fn one_trusted_signer_of_two_is_enough_and_the_other_must_be_valid() {
    let two = parse(SIGNED_BY_TWO).unwrap();
    assert_eq!(two.verify("/r", &[bob()]).unwrap().signers(), [bob()]);
    assert_eq!(two.verify("/r", &[bob(), alice()]).unwrap().signers(), [alice(), bob()]);
    assert!(matches!(two.verify("/r", &[]), Err(Error::UnknownSigner { .. })));
    // Alice's signature of this statement, followed by Bob's of another one.
    let other = ReleaseStatement { manifest_len: 4712, ..statement() };
    let other = sign(&other, &private("bob")).unwrap();
    let (_, bobs) = std::str::from_utf8(other.bytes()).unwrap().split_once("\n\n").unwrap();
    let mixed = format!("{SIGNED}{bobs}");
    for trusted in [[alice()], [bob()]] {
        let error = parse(&mixed).unwrap().verify("/r", &trusted).unwrap_err();
        assert!(matches!(error, Error::Trust { .. }), "{error:?}");
        assert!(error.to_string().contains(&bob().fingerprint()), "{error}");
    }
}

#[test]
fn a_pin_needs_no_trust_but_the_right_dataset() {
    let signed = parse(SIGNED).unwrap();
    let release = signed.verify_pinned(&Digest::of(b"")).unwrap();
    assert_eq!(release.signers(), [alice()]);
    assert_eq!(release.standing(), &Standing::Pinned);
    let error = signed.verify_pinned(&Digest::of(b"other")).unwrap_err();
    assert!(matches!(error, Error::Integrity { .. }), "{error:?}");
    let forged = SIGNED.replacen(" 4711\n", " 4712\n", 1);
    let error = parse(&forged).unwrap().verify_pinned(&Digest::of(b"")).unwrap_err();
    assert!(matches!(error, Error::Trust { .. }), "{error:?}");
}

#[test]
fn debug_output_keeps_the_statement_back() {
    assert_eq!(format!("{:?}", parse(SIGNED).unwrap()), "SignedRelease(releases/imagebirds/1.0)");
}

use super::*;
use crate::dataset_ref::VersionId;
use crate::key::PrivateKey;
use crate::possession::Possession;

const STATEMENT: &str = include_str!("../../../../tests/vectors/release/statement.txt");
const MANIFEST: &str = "b3:ea8f163db38682925e4491c5e58d4bb3506ef8c14eb78a86e908c5624a67200f";
const SIGNED: &str = include_str!("../../../../tests/vectors/release/signed.txt");
const SIGNED_BY_TWO: &str = include_str!("../../../../tests/vectors/release/signed-by-two.txt");

fn parse(text: &str) -> Result<SignedStatement> {
    SignedStatement::parse("releases/imagebirds/1.0", text.as_bytes().to_vec())
}

/// Returns why `text` is refused, for its form or for its signature.
fn refusal(text: &str) -> String {
    let error = match parse(text).and_then(|signed| signed.attested()) {
        Ok(attested) => panic!("accepted {attested:?} from {text:?}"),
        Err(error) => error,
    };
    assert!(matches!(error, Error::Integrity { .. } | Error::Trust { .. }), "{error:?}");
    let message = error.to_string();
    let why = message.strip_prefix("releases/imagebirds/1.0").expect(&message);
    why.trim_start_matches([':', ' ']).to_string()
}

#[test]
fn only_one_spelling_is_accepted() {
    let edit = |from: &str, to: &str| {
        assert!(SIGNED.contains(from), "{from:?}");
        SIGNED.replacen(from, to, 1)
    };
    let hex = Digest::of(b"").to_string();
    let (armour_at, armour) = (STATEMENT.len() + 1, &SIGNED[STATEMENT.len() + 1..]);
    let base64: String = armour.lines().filter(|line| !line.starts_with('-')).collect();
    let rewrapped = |width: usize| {
        let lines: Vec<&str> =
            base64.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let (begin, end) = ("-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----");
        format!("{STATEMENT}\n{begin}\n{}\n{end}\n", lines.join("\n"))
    };
    assert_eq!(rewrapped(70), SIGNED, "ssh-keygen's own width");
    for (text, reason) in [
        // the statement
        (String::new(), "no blank line"),
        (SIGNED.replace('\n', "\r\n"), "no blank line"),
        (edit("1.0\n", "1.0\r\n"), "neither printable ASCII"),
        (edit("imagebirds", "imagebirds\x1b[2J"), "neither printable ASCII"),
        (edit("imagebirds", "imagebïrds"), "neither printable ASCII"),
        (edit("imagebirds", "ImageBirds"), "line 2: 'ImageBirds' is not a dataset name"),
        (edit("name imagebirds", "name  imagebirds"), "line 2"),
        (edit("name imagebirds", "name imagebirds "), "line 2"),
        (edit("name imagebirds", "name"), "line 2 must begin with 'name '"),
        (edit("name imagebirds", " name imagebirds"), "line 2 must begin with 'name '"),
        (edit("version 1.0", "version 01.0"), "line 3"),
        (edit("version 1.0", "version 1"), "line 3"),
        (edit(&hex, &hex.to_uppercase()), "line 4"),
        (edit(&hex, &hex[1..]), "line 4"),
        (edit("dataset b3:", "dataset sha256:"), "line 4"),
        (edit(" 4711", " 04711"), "line 5: '04711' is not a length"),
        (edit(" 4711", " +4711"), "line 5"),
        (edit(" 4711", " 0"), "line 5"),
        (edit(" 4711", " 99999999999999999999"), "line 5"),
        (edit(" 4711", " 4711 "), "line 5"),
        (edit(" 4711", ""), "line 5 must be"),
        (edit("isn/v1", "isn/v2"), "line 1 must be 'isn/v1 '"),
        (edit("release", "revoke"), "line 3 must begin with 'key '"),
        (edit("release", "realease"), "line 1 names no kind of statement"),
        (edit("version", "note x\nversion"), "line 3 must begin with 'version '"),
        (
            edit("name imagebirds\n", "name imagebirds\nname imagebirds\n"),
            "line 3 must begin with 'version '",
        ),
        (edit(" 4711\n", " 4711\nnote x\n"), "line 6 does not belong to a statement of kind 'release'"),
        (edit("name imagebirds\n", ""), "line 2 must begin with 'name '"),
        (
            edit("name imagebirds\nversion 1.0\n", "version 1.0\nname imagebirds\n"),
            "line 2 must begin with 'name '",
        ),
        (format!("\n{SIGNED}"), "line 1 must be"),
        (format!("\u{feff}{SIGNED}"), "neither printable ASCII"),
        // between statement and signatures
        (edit("4711\n\n", "4711\n"), "no blank line"),
        (edit("4711\n\n", "4711\n\n\n"), "signature 1"),
        (edit("4711\n\n", "4711\n \n"), "no blank line"),
        (STATEMENT.into(), "no blank line"),
        (format!("{STATEMENT}\n"), "has no signature"),
        // the armour
        (SIGNED.trim_end().into(), "signature 1 has no end"),
        (format!("{SIGNED}\n"), "signature 2 has no end"),
        (format!("{SIGNED} "), "signature 2 has no end"),
        (format!("{SIGNED}{STATEMENT}"), "signature 2 has no end"),
        (SIGNED_BY_TWO.replacen("-----\n-----", "-----\n\n-----", 1), "signature 2"),
        (rewrapped(69), "signature 1"),
        (rewrapped(71), "signature 1"),
        (rewrapped(76), "signature 1"),
        (rewrapped(10_000), "signature 1"),
        (format!("{}{}", &SIGNED[..armour_at], armour.replacen("\n", "\r\n", 1)), "signature 1"),
        (format!("{}{}", &SIGNED[..armour_at], armour.replacen("\n", " \n", 1)), "signature 1"),
        (format!("{}{}", &SIGNED[..armour_at], armour.replacen("\n", "\nComment: x\n", 1)), "signature 1"),
        (format!("{}x\n{armour}", &SIGNED[..armour_at]), "signature 1"),
        (edit("SSH SIGNATURE", "PGP SIGNATURE"), "signature 1"),
        (format!("{SIGNED}{}", "\n".repeat(MAX_LEN)), "is longer than 32768 bytes"),
    ] {
        let why = refusal(&text);
        assert!(why.contains(reason), "{reason:?} expected of {text:?}: {why}");
    }
}

#[test]
fn attacks_are_refused_for_what_they_are() {
    for (text, reason) in [
        (include_str!("../../../../tests/vectors/release/refused/rsa.txt"), "RSA"),
        (include_str!("../../../../tests/vectors/release/refused/ecdsa.txt"), "is not an Ed25519 signature"),
        (
            include_str!("../../../../tests/vectors/release/refused/sha256.txt"),
            "hashes with sha256, not sha512",
        ),
        (
            include_str!("../../../../tests/vectors/release/refused/wrong-namespace.txt"),
            "was made for the purpose 'file', not for 'statement@isn.v1'",
        ),
        (
            include_str!("../../../../tests/vectors/release/refused/same-signer-twice.txt"),
            "is signed twice by SHA256:",
        ),
    ] {
        let why = refusal(text);
        assert!(why.contains(reason), "{reason:?} expected: {why}");
    }
}

/// Every change of one bit, one missing byte, one doubled byte and every truncation.
#[test]
fn every_small_change_is_refused() {
    let accepted = |bytes: Vec<u8>| SignedStatement::parse("x", bytes).is_ok_and(|s| s.attested().is_ok());
    let good = SIGNED.as_bytes();
    assert!(accepted(good.to_vec()));
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.to_vec();
            bytes[at] ^= 1 << bit;
            assert!(!accepted(bytes), "bit {bit} of byte {at}");
        }
        let without = [&good[..at], &good[at + 1..]].concat();
        assert!(without == good || !accepted(without), "byte {at} taken out");
        let doubled = [&good[..=at], &good[at..]].concat();
        assert!(!accepted(doubled), "byte {at} doubled");
        assert!(!accepted(good[..at].to_vec()), "cut at {at}");
    }
}

/// Any text that parses is the text that would be written, so there is no other spelling. No input panics.
#[test]
fn arbitrary_edits_never_panic_and_never_give_a_second_spelling() {
    let mut noise = blake3::Hasher::new().update(b"isn release tests").finalize_xof();
    let mut below = |n: usize| {
        let mut bytes = [0; 8];
        noise.fill(&mut bytes);
        (u64::from_le_bytes(bytes) % n as u64) as usize
    };
    for round in 0..20_000 {
        let mut bytes = [SIGNED, SIGNED_BY_TWO][round % 2].as_bytes().to_vec();
        for _ in 0..=below(3) {
            if bytes.is_empty() {
                break;
            }
            let at = below(bytes.len());
            let to = (at + 1 + below(64)).min(bytes.len());
            match below(6) {
                0 => bytes[at] = below(256) as u8,
                1 => drop(bytes.drain(at..to)),
                2 => bytes.insert(at, b"\n\0 -=A\xff\r"[below(8)]),
                3 => bytes.extend_from_within(at..to),
                4 => bytes.truncate(at + 1),
                _ => bytes[at..to].reverse(),
            }
        }
        if let Ok(signed) = SignedStatement::parse("x", bytes.clone()) {
            let armour: String = signed.signatures.iter().map(|s| s.armour().unwrap()).collect();
            assert_eq!(format!("{}\n{armour}", signed.statement).as_bytes(), bytes);
            let valid = signed.attested().is_ok();
            assert!(!valid || SIGNED_BY_TWO.as_bytes().starts_with(&bytes), "round {round}");
        }
    }
    for length in 0..2_000 {
        let bytes: Vec<u8> = (0..length).map(|_| below(256) as u8).collect();
        assert!(SignedStatement::parse("x", bytes.clone()).is_err());
        let _ = String::from_utf8_lossy(&bytes).parse::<PublicKey>();
        let behind_statement = [SIGNED.as_bytes(), &bytes].concat();
        assert!(SignedStatement::parse("x", behind_statement).is_err() || bytes.is_empty());
    }
}

/// It is one key's word, since the proof in it is made for that key.
#[test]
fn a_statement_of_a_rebuild_has_one_signature_and_one_spelling() {
    const REBUILT: &str = include_str!("../../../../tests/vectors/statement/rebuilt.txt");
    let edit = |from: &str, to: &str| {
        assert!(REBUILT.contains(from), "{from:?}");
        REBUILT.replacen(from, to, 1)
    };
    for (text, reason) in [
        (edit("dataset b3:", "dataset "), "line 4"),
        (edit("inputs b3:", "inputs b3:0"), "line 5"),
        (edit("inputs b3:", "input b3:"), "line 5 must begin with 'inputs '"),
        (edit("sources", "possession"), "line 6 must begin with 'sources '"),
        (edit("possession b3:341f", "possession b3:341F"), "line 7"),
        (edit("\n\n", "\nreason none\n\n"), "line 8 does not belong to a statement of kind 'rebuilt'"),
        (edit("version 1.0", "version 1.1"), "is not valid"),
        (edit("possession b3:341f", "possession b3:341e"), "is not valid"),
    ] {
        let why = refusal(&text);
        assert!(why.contains(reason), "{reason:?} expected of {text:?}: {why}");
    }
    let signed = parse(REBUILT).unwrap();
    let why = signed.sign_also(&PrivateKey::of_vectors("bob")).unwrap_err().to_string();
    assert!(why.contains("is of one key alone"), "{why}");
    let text = signed.claimed().to_string();
    let other = PrivateKey::of_vectors("bob").sign_sshsig(NAMESPACE, text.as_bytes()).unwrap();
    let why = refusal(&format!("{REBUILT}{}", other.armour().unwrap()));
    assert!(why.contains("is of one key, and has several signatures"), "{why}");
}

/// Each kind once, made with stock `ssh-keygen`: isn reads these bytes, and writes the same.
#[test]
fn every_kind_has_its_golden_bytes() {
    let private = PrivateKey::of_vectors;
    let key = |name: &str| *private(name).public_key();
    let version: VersionId = "imagebirds@1.0".parse().unwrap();
    let name = version.name.clone();
    let owner = Owner::new(name.clone(), None, 1, vec![key("alice")], vec![]);
    let id = Digest::of(Statement::Owner(owner.clone()).to_string().as_bytes());
    let release = ReleaseStatement {
        id: version.clone(),
        dataset: Digest::of(b""),
        manifest: Digest::from_prefixed(MANIFEST).unwrap(),
        manifest_len: 4711,
    };
    let revocation =
        Revocation { name: name.clone(), key: key("alice"), reason: "the laptop was stolen".into() };
    let change = LogKeyChange { origin: "log.example/vectors".into(), old: key("alice"), new: key("bob") };
    let empty = Digest::of(b"");
    let mut possession = Possession::of(&key("alice"));
    ["one image", "another"].iter().for_each(|image| possession.image(image.as_bytes()));
    let rebuilt = Rebuilt {
        id: version.clone(),
        dataset: empty,
        inputs: Digest::of(format!("recipe b3:{empty}\n").as_bytes()),
        sources: Digest::of(format!("{empty}  n01614925_10\n").as_bytes()),
        possession: possession.digest(),
    };
    let advice = |reason: &str| Advice { id: version.clone(), reason: reason.into() };
    macro_rules! golden {
        ($file:literal) => {
            include_str!(concat!("../../../../tests/vectors/statement/", $file, ".txt"))
        };
    }
    for (golden, statement, signers) in [
        (golden!("owner"), Statement::Owner(owner), &["alice"][..]),
        (
            golden!("owner-recovery"),
            Statement::Owner(Owner::new(name.clone(), Some(id), 1, vec![key("alice")], vec![key("bob")])),
            &["alice"],
        ),
        (golden!("release"), Statement::Release(release), &["alice"]),
        (golden!("revoke"), Statement::Revoke(revocation), &["bob"]),
        (
            golden!("yank"),
            Statement::Yank(advice("12 images of class n01614925 are in train and val")),
            &["alice"],
        ),
        (
            golden!("withdraw"),
            Statement::Withdraw(advice("a photographer took the permission back")),
            &["alice"],
        ),
        (golden!("logkey"), Statement::LogKey(change), &["alice", "bob"]),
        (golden!("rebuilt"), Statement::Rebuilt(rebuilt), &["alice"]),
    ] {
        let mut signed = SignedStatement::sign(&statement, &private(signers[0])).unwrap();
        for signer in &signers[1..] {
            signed = signed.sign_also(&private(signer)).unwrap();
        }
        assert_eq!(std::str::from_utf8(signed.bytes()).unwrap(), golden);
        let attested = parse(golden).unwrap().attested().unwrap();
        assert_eq!(attested.statement, statement);
        assert_eq!(attested.signers, signers.iter().map(|signer| key(signer)).collect::<Vec<_>>());
        assert_eq!(attested.id, Digest::of(statement.to_string().as_bytes()));
    }
}

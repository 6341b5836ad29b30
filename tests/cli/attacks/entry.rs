//! An entry that is in the log but invalid where it stands has no effect, and those whom it concerns are
//! warned.

use std::fs;

use isn_format::key::Signer as _;
use isn_format::log::bundle;
use isn_format::statement::{NAMESPACE, Statement};

use crate::forger::Forger;
use crate::sandbox::contents;

#[test]
fn second_release_of_a_version() {
    let forger = Forger::new();
    let second = forger.release_of("out2", "1.0");
    forger.has_no_effect(
        &forger.release("out2", "1.0", &["me"]),
        "is a second release of that version: entry 1 is the first",
    );
    let first = forger.release_of("out", "1.0");
    let report = forger.read("grads@1.0").ok().json();
    assert_eq!(report["dataset"], first.dataset.prefixed());
    assert_eq!(forger.read("grads").ok().json()["dataset"], first.dataset.prefixed());
    // A reference with the second release's hash is refused in every form; it never yields the first.
    let pin = second.dataset.prefixed();
    for reference in [format!("grads@1.0#{pin}"), pin.clone()] {
        let ran = forger.read(&reference);
        assert!(matches!(ran.code, 3 | 6), "{reference}: {} {}", ran.code, ran.stderr);
    }
    // A reference with the first release's hash yields the first.
    forger.read(&format!("grads@1.0#{}", first.dataset.prefixed())).ok();
    // Appending the first release again is a second release, too.
    forger.has_no_effect(&forger.release("out", "1.0", &["me"]), "is a second release of that version");
}

#[test]
fn owner_statement_replayed() {
    let forger = Forger::new();
    forger.new_key("you");
    let first = forger.entries()[0].clone();
    let change =
        |args: &[&str]| forger.isn(&[&["owner"], args, &["--registry", "reg", "--key", "me"]].concat()).ok();
    change(&["add", "grads", &forger.public("you").to_string()]);
    let second = forger.entries().pop().unwrap();
    change(&["remove", "grads", &forger.public("you").to_string()]);
    // Attempts to own the name again: your earlier statement, the first statement, and one with no
    // predecessor.
    forger.has_no_effect(&second, "it was replayed");
    forger.has_no_effect(&first, "claims a name that somebody owns");
    let claim = forger.signed(&forger.owner(None, 1, &["you"]), &["you"]);
    forger.has_no_effect(&claim, "claims a name that somebody owns");
    forger.releases_nothing(
        &forger.release("out2", "1.1", &["you"]),
        "1.1",
        "which is not an owner of the name",
    );
    let owners = forger.reader(&["owner", "show", "grads", "--registry", "reg", "--json"]).ok().json();
    assert_eq!(owners["keys"], serde_json::json!([forger.public("me").to_string()]));
}

#[test]
fn owner_statement_that_follows_nothing_of_this_log() {
    let forger = Forger::new();
    let elsewhere = forger.owner(Some(isn_format::digest::Digest::of(b"elsewhere")), 1, &["me"]);
    forger.has_no_effect(&forger.signed(&elsewhere, &["me"]), "but entry 0 is in force");
}

#[test]
fn mix_of_two_versions_manifests() {
    let forger = Forger::new();
    // The owner signs a release of 1.1 that leads to the manifest of 1.0, entirely or in part.
    let first = forger.release_of("out", "1.0");
    let mut second = forger.release_of("out2", "1.1");
    let mixed = "names another dataset, version or hash than its release: two versions are mixed";
    forger.append(&forger.signed(&Statement::Release(forger.release_of("out", "1.1")), &["me"]));
    forger.refused("grads@1.1", mixed);
    forger.refused("grads", mixed);
    forger.read("grads@1.0").ok();
    (second.manifest, second.manifest_len, second.id.version) =
        (first.manifest, first.manifest_len, "1.2".parse().unwrap());
    forger.append(&forger.signed(&Statement::Release(second.clone()), &["me"]));
    forger.refused("grads@1.2", mixed);
    forger.read("other@1.0").ok();
    // isn itself does not append it.
    second.id.version = "1.3".parse().unwrap();
    forger.write("mixed", &forger.signed(&Statement::Release(second), &["me"]));
    let before = forger.entries();
    forger.isn(&["append", "mixed", "--registry", "reg"]).fails(4, "two versions are mixed");
    assert_eq!(forger.entries(), before);
}

#[test]
fn signer_not_an_owner() {
    let forger = Forger::new();
    forger.new_key("mallory");
    let why = "which is not an owner of the name";
    forger.releases_nothing(&forger.release("out2", "1.1", &["mallory"]), "1.1", why);
    // An owner's signature beside it does not help: no owner can lend the name to a stranger.
    forger.releases_nothing(&forger.release("out2", "1.2", &["me", "mallory"]), "1.2", why);
    forger.has_no_effect(&forger.signed(&forger.yank("1.0"), &["mallory"]), why);
    forger.has_no_effect(&forger.signed(&forger.revocation("me"), &["mallory"]), why);
    let id = forger.id(&forger.owner(None, 1, &["me"]));
    forger.has_no_effect(&forger.signed(&forger.owner(Some(id), 1, &["mallory"]), &["mallory"]), why);
    forger.read("grads@1.0").ok();
    // This release is the only entry for a name that nobody owns.
    let mut release = forger.release_of("out2", "1.0");
    release.id.name = "nobodys".parse().unwrap();
    forger.append(&forger.signed(&Statement::Release(release), &["mallory"]));
    for reference in ["nobodys@1.0", "nobodys"] {
        forger.refused(reference, "which nobody owns yet");
    }
    // isn itself does not append it.
    let before = forger.entries();
    for args in [
        &["publish", "out2", "--registry", "reg", "--key", "mallory"][..],
        &["yank", "grads@1.0", "--reason", "none", "--registry", "reg", "--key", "mallory"],
    ] {
        forger.isn(args).fails(4, why);
    }
    assert_eq!(forger.entries(), before);
}

#[test]
fn signature_not_valid() {
    let forger = Forger::new();
    let good = String::from_utf8(forger.release("out2", "1.1", &["me"])).unwrap();
    let bad = good.replace("version 1.1", "version 1.2");
    forger.releases_nothing(bad.as_bytes(), "1.2", "has a signature that is not valid");
}

#[test]
fn revoked_key_after_and_before_its_revocation() {
    let forger = Forger::new();
    forger.new_key("you");
    let id = forger.id(&forger.owner(None, 1, &["me"]));
    forger.append(&forger.signed(&forger.owner(Some(id), 1, &["me", "you"]), &["me"]));
    forger.append(&forger.release("out2", "1.1", &["you"]));
    forger.append(&forger.signed(&forger.revocation("you"), &["me"]));
    // What the key signed before its revocation stays valid.
    forger.read("grads@1.1").ok();
    let revoked = "which entry 6 revoked";
    forger.releases_nothing(&forger.release("out2", "1.2", &["you"]), "1.2", revoked);
    forger.releases_nothing(&forger.release("out2", "1.3", &["me", "you"]), "1.3", revoked);
    forger.has_no_effect(&forger.signed(&forger.yank("1.0"), &["you"]), revoked);
    let id = forger.id(&forger.owner(Some(id), 1, &["me", "you"]));
    forger.has_no_effect(&forger.signed(&forger.owner(Some(id), 1, &["you"]), &["you"]), revoked);
    // The key cannot be added again, either.
    let back = forger.signed(&forger.owner(Some(id), 2, &["me", "you"]), &["me"]);
    forger.has_no_effect(&back, &format!("names {}, {revoked}", forger.public("you").fingerprint()));
    let ran = forger.read("grads@1.1").ok();
    assert!(!ran.stderr.contains("yanked"), "{}", ran.stderr);
    // The revocation has no effect on other names that the key may own.
    forger.read("other@1.0").ok();
}

#[test]
fn threshold_2_with_one_signer_twice() {
    let forger = Forger::new();
    forger.new_key("you");
    let id = forger.id(&forger.owner(None, 1, &["me"]));
    forger.append(&forger.signed(&forger.owner(Some(id), 2, &["me", "you"]), &["me"]));
    let once = forger.release("out2", "1.1", &["me"]);
    let at = once.windows(2).position(|pair| pair == b"\n\n").unwrap() + 2;
    let twice = [&once, &once[at..]].concat();
    forger.releases_nothing(&twice, "1.1", "is signed twice by");
    forger.has_no_effect(&once, "has 1 of the 2 signatures that it needs");
    forger.append(&forger.release("out2", "1.1", &["me", "you"]));
    forger.read("grads@1.1").ok();
}

/// Returns a release of 1.1 whose statement is right and whose signature block comes from `block`.
fn with_block(forger: &Forger, block: impl Fn(&str) -> String) -> Vec<u8> {
    let statement = Statement::Release(forger.release_of("out2", "1.1")).to_string();
    let block = block(&statement);
    format!("{statement}\n{block}").into_bytes()
}

fn armour(forger: &Forger, namespace: &str, statement: &str) -> String {
    forger.private("me").sign_sshsig(namespace, statement.as_bytes()).unwrap().armour().unwrap()
}

#[test]
fn wrong_sshsig_namespace() {
    let forger = Forger::new();
    for namespace in ["file", "git", "statement@isn.v2"] {
        let entry = with_block(&forger, |statement| armour(&forger, namespace, statement));
        forger.releases_nothing(&entry, "1.1", &format!("was made for the purpose '{namespace}'"));
    }
}

#[test]
fn crlf_or_trailing_bytes_in_the_armour() {
    let forger = Forger::new();
    let form = "signature 1 is not";
    type Edit = fn(&str) -> String;
    let edits: [(Edit, &str); 8] = [
        (|armour| armour.replace('\n', "\r\n"), "signature 1"),
        (|armour| armour.replacen('\n', "\r\n", 1), form),
        (|armour| armour.trim_end().to_string(), "signature 1 has no end"),
        (|armour| format!("{armour}\n"), "signature 2 has no end"),
        (|armour| format!("{armour}trailing"), "signature 2 has no end"),
        (|armour| format!("{armour}\0"), "signature 2 has no end"),
        (|armour| format!(" {armour}"), form),
        (|armour| armour.replacen("SIGNATURE-----\n", "SIGNATURE-----\n\n", 1), form),
    ];
    for (edit, why) in edits {
        let entry = with_block(&forger, |statement| edit(&armour(&forger, NAMESPACE, statement)));
        forger.releases_nothing(&entry, "1.1", why);
    }
    // In the statement, a CRLF makes the text differ from what was signed.
    let good = String::from_utf8(forger.release("out2", "1.1", &["me"])).unwrap();
    let bad = good.replacen("1.1\n", "1.1\r\n", 1);
    forger.releases_nothing(bad.as_bytes(), "1.1", "neither printable ASCII nor a line feed");
}

#[test]
fn rsa_key() {
    let forger = Forger::new();
    let refused = include_str!("../../vectors/release/refused/rsa.txt");
    let block = refused.split_once("\n\n").unwrap().1;
    let entry = with_block(&forger, |_| block.to_string());
    forger.releases_nothing(&entry, "1.1", "is an RSA key: only plain Ed25519 keys are accepted");
    let ecdsa = include_str!("../../vectors/release/refused/ecdsa.txt").split_once("\n\n").unwrap().1;
    forger.releases_nothing(&with_block(&forger, |_| ecdsa.to_string()), "1.1", "signature 1");
    let sha256 = include_str!("../../vectors/release/refused/sha256.txt").split_once("\n\n").unwrap().1;
    forger.releases_nothing(&with_block(&forger, |_| sha256.to_string()), "1.1", "hashes with sha256");
}

#[test]
fn statement_over_the_size_limit() {
    let forger = Forger::new();
    let good = forger.release("out2", "1.1", &["me"]);
    let block = &good[good.windows(2).position(|pair| pair == b"\n\n").unwrap() + 2..];
    let mut long = good.clone();
    while long.len() <= 32 << 10 {
        long.extend_from_slice(block);
    }
    forger.releases_nothing(&long, "1.1", "is longer than 32768 bytes");
    // The longest and the shortest possible entry.
    let mut longest = good.clone();
    longest.resize(65_535, b'x');
    forger.releases_nothing(&longest, "1.1", "is longer than 32768 bytes");
    forger.append(b"");
    forger.read("grads@1.0").ok();
    forger.reader(&["log", "verify", "--registry", "reg"]).fails(8, "is no statement");
    assert!(bundle::push(&mut Vec::new(), &[0; 65_536]).is_err());
}

#[test]
fn duplicate_or_unknown_fields() {
    let forger = Forger::new();
    let good = Statement::Release(forger.release_of("out2", "1.1")).to_string();
    for (bad, why) in [
        (good.replace("version 1.1\n", "version 1.1\nversion 1.1\n"), "line 4 must begin with 'dataset '"),
        (good.replace("name grads\n", "name grads\nname grads\n"), "line 3 must begin with 'version '"),
        (format!("{good}note whatever\n"), "line 6 does not belong to a statement of kind 'release'"),
        (good.replace("dataset ", "licence CC0\ndataset "), "line 4 must begin with 'dataset '"),
        (good.replace("version 1.1", "version  1.1"), "line 3"),
        (good.replace("isn/v1 release", "isn/v1 rerelease"), "line 1 names no kind of statement"),
        (good.replace("isn/v1", "isn/v2"), "line 1 must be"),
    ] {
        // The signature is valid; only the statement's text is wrong.
        let block = armour(&forger, NAMESPACE, &bad);
        let entry = format!("{bad}\n{block}").into_bytes();
        let why_all = format!("is no statement: {why}");
        let version_is_readable = !bad.contains("version  1.1");
        if version_is_readable {
            forger.releases_nothing(&entry, "1.1", &why_all);
        } else {
            forger.has_no_effect(&entry, &why_all);
        }
    }
}

#[test]
fn a_release_cannot_name_a_part() {
    let forger = Forger::new();
    let recipe = String::from_utf8(forger.bytes("grads-1.1.toml")).unwrap();
    let recipe = recipe.replacen("isn-recipe/1", "isn-recipe/2", 1);
    let more = recipe.replace("label = \"the bee\"", "label = \"the bee\"\nexpect = { train = 99 }");
    forger.write("part.toml", more.as_bytes());
    forger.isn(&["build", "part.toml", "--source", "raw2", "--partial", "--out", "part"]).ok();
    for (name, bytes) in contents(&forger.path("part")) {
        if name.starts_with("objects/") || name.starts_with("packs/") {
            fs::create_dir_all(forger.path("reg").join(&name).parent().unwrap()).unwrap();
            forger.write(&format!("reg/{name}"), &bytes);
        }
    }
    forger.append(&forger.release("part", "1.1", &["me"]));
    forger.read("grads@1.1").fails(3, "from a part of its source, which nobody can release");
}

//! Help depends on what has happened, not on words in names, and it works.

use std::fs;

use crate::sandbox::{Ran, Sandbox};

/// Returns the help line and what follows it.
fn help(ran: &Ran) -> &str {
    ran.stderr.split_once("help: ").map_or("", |(_, help)| help)
}

#[track_caller]
fn helps(ran: &Ran, with: &str, but_not: &str) {
    let help = help(ran);
    assert!(help.contains(with) && !help.contains(but_not), "{}", ran.stderr);
}

/// Flips a bit in the middle of each file.
fn damage(sandbox: &Sandbox, files: &[String]) {
    assert!(!files.is_empty());
    for file in files {
        let mut bytes = sandbox.read(file);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        sandbox.write(file, &bytes);
    }
}

fn shards(sandbox: &Sandbox, root: &str) -> Vec<String> {
    sandbox.objects(root, ".tar.zst")
}

#[test]
fn a_shard_of_a_registry_is_none_of_the_cache_wherever_it_is() {
    let sandbox = Sandbox::built();
    sandbox.isn(&["publish", "out", "--registry", "pieces/offline", "--key", "me"]).ok();
    sandbox.trust_me("pieces/offline");
    damage(&sandbox, &shards(&sandbox, "pieces/offline"));
    let args =
        ["export", "grads@1.0", "--as", "npz", "--size", "20", "--to", "x", "--registry", "pieces/offline"];
    let ran = sandbox.isn(&args).fails(3, "pieces/offline");
    helps(&ran, "the operator of this one", "of the cache was");
}

#[test]
fn who_is_offline_is_not_told_by_an_address() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["list", "--registry", "http://127.0.0.1:1/offline/certificates"]);
    let ran =
        crate::sandbox::ran(command.env("ISN_RETRIES", "0").output().unwrap()).fails(5, "cannot connect");
    helps(&ran, "check the address", "ISN_OFFLINE");
}

#[test]
fn a_damaged_build_is_to_be_built_again() {
    let sandbox = Sandbox::built();
    damage(&sandbox, &shards(&sandbox, "out"));
    let ran = sandbox.isn(&["publish", "out", "--registry", "reg", "--key", "me"]).fails(3, "is damaged");
    helps(&ran, "isn build", "operator");
}

#[test]
fn another_release_under_the_same_version_needs_a_higher_one() {
    let (sandbox, _) = Sandbox::published();
    let classes = ["ant", "bee", "cat"];
    sandbox.image_folder("other", &classes, 9);
    sandbox.isn(&["build", "grads-1.0.toml", "--source", "other", "--out", "other-out"]).ok();
    let args = ["publish", "other-out", "--registry", "reg", "--key", "me"];
    helps(
        &sandbox.isn(&args).fails(1, "release grads@1.0 exists already"),
        "raise the version",
        "another path",
    );
}

#[test]
fn a_version_that_is_not_there_is_told_with_those_that_are() {
    let (sandbox, _) = Sandbox::published();
    sandbox.build_second_version();
    sandbox.publish("out2");
    sandbox.pull("grads@1.7", &[]).fails(6, "reg (it has 1.1, 1.0)");
    sandbox.pull("gards", &[]).fails(6, "reg (it has grads)").fails(6, "did you mean 'grads'?");
    sandbox.pull("grads@1.0", &["--split", "test"]).fails(6, "(it has train");
    sandbox.pull("grads@1.0", &["--class", "dog"]).fails(6, "(it has ant, bee, cat)");
}

#[test]
fn who_is_no_owner_is_told_what_an_owner_can_do() {
    let (sandbox, _) = Sandbox::published();
    sandbox.build_second_version();
    sandbox.isn(&["key", "new", "you", "--no-passphrase"]).ok();
    let ran = sandbox.isn(&["publish", "out2", "--registry", "reg", "--key", "you"]).fails(4, "not an owner");
    helps(&ran, "isn owner add", "pull by a pin");
}

#[test]
fn a_fingerprint_is_said_to_be_no_key() {
    let sandbox = Sandbox::new();
    let ran = sandbox.isn(&["trust", "add", "reg", "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"]);
    ran.fails(1, "is a fingerprint").fails(1, "ssh-ed25519");
}

#[test]
fn images_that_cannot_be_built_need_a_ledger_that_the_recipe_names() {
    let sandbox = Sandbox::built();
    sandbox.write("raw/ant/broken.png", b"no image");
    let args = ["build", "grads-1.0.toml", "--source", "raw", "--out", "again"];
    let ran = sandbox.isn(&args).fails(1, "1 source image cannot be built");
    assert!(help(&ran).contains("[corrections]"), "{}", ran.stderr);
}

#[test]
fn what_is_no_source_is_told_with_what_is_one() {
    let sandbox = Sandbox::built();
    sandbox.write("photos.tar", b"");
    fs::create_dir(sandbox.path("empty")).unwrap();
    for (source, why) in
        [("photos.tar", "is not a folder"), ("empty", "is empty"), ("nowhere", "cannot read")]
    {
        let args = ["build", "grads-1.0.toml", "--source", source, "--out", "again"];
        let ran = sandbox.isn(&args).fails(1, why);
        assert!(!help(&ran).is_empty(), "{source}: {}", ran.stderr);
    }
}

#[test]
fn the_doctor_says_what_of_the_home_cannot_be_read() {
    let sandbox = Sandbox::new();
    sandbox.write("home/trust.toml", b"no = [ trust");
    let report = sandbox.isn(&["doctor", "--json"]).fails(8, "trust.toml").json();
    let findings = report["findings"].as_array().unwrap();
    assert!(findings.iter().any(|one| one["what"] == "settings" && one["state"] == "wrong"), "{report}");
}

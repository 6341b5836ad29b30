//! Rebuilders of a version confirm each other.

use std::collections::BTreeMap;
use std::fs;

use isn_format::digest::Digest;
use isn_format::index::Row;
use isn_format::key::PublicKey;
use isn_format::possession::Possession;
use serde_json::{Value, json};

use crate::recipe::whole_birds;
use crate::sandbox::{Sandbox, contents, ran};

/// Makes a key and attests `target` with it, in the file `KEY.statement`.
fn attest(sandbox: &Sandbox, key: &str, target: &str) -> Value {
    if !sandbox.path(&format!("home/keys/{key}")).exists() {
        sandbox.isn(&["key", "new", key, "--no-passphrase"]).ok();
    }
    let out = format!("{key}.statement");
    sandbox.isn(&["attest", target, "--key", key, "--out", &out, "--json"]).ok().json()
}

/// The fields of a statement.
fn fields(statement: &Value) -> BTreeMap<String, String> {
    let lines = statement["statement"].as_str().unwrap().lines().skip(1);
    let pairs = lines.map(|line| line.split_once(' ').unwrap());
    pairs.map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

/// The objects with this ending of the build `out`, decompressed.
fn text(sandbox: &Sandbox, ending: &str) -> Vec<String> {
    let read = |name: &String| {
        let bytes = sandbox.read(name);
        String::from_utf8(if ending.ends_with("zst") { zstd::decode_all(&bytes[..]).unwrap() } else { bytes })
    };
    sandbox.objects("out", ending).iter().map(|name| read(name).unwrap()).collect()
}

#[test]
fn a_statement_says_what_was_built_from_what_and_that_its_signer_has_the_images() {
    let sandbox = Sandbox::built();
    let made = attest(&sandbox, "me", "out");
    let fields = fields(&made);
    let manifest: Value = serde_json::from_slice(&sandbox.read("out/manifest.json")).unwrap();
    assert_eq!((fields["name"].as_str(), fields["version"].as_str()), ("grads", "1.0"));
    assert_eq!(fields["dataset"], manifest["dataset"].as_str().unwrap());
    // By the words of docs/format.md.
    let recipe = format!("recipe b3:{}\n", manifest["objects"]["recipe"]["blake3"].as_str().unwrap());
    assert_eq!(fields["inputs"], Digest::of(recipe.as_bytes()).prefixed());
    let index = text(&sandbox, ".jsonl.zst").into_iter().find(|text| text.starts_with("{\"path\"")).unwrap();
    let rows: Vec<Row> = index.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut files: Vec<_> = rows.iter().map(|row| (&row.source, row.source_blake3)).collect();
    files.sort();
    let files: String = files.iter().map(|(source, digest)| format!("{digest}  {source}\n")).collect();
    assert_eq!(fields["sources"], Digest::of(files.as_bytes()).prefixed());
    sandbox.publish("out");
    sandbox.pull("grads@1.0", &["--to", "tree"]).ok();
    let key: PublicKey = sandbox.isn(&["key", "show", "me"]).ok().stdout.parse().unwrap();
    let mut possession = Possession::of(&key);
    let sums = String::from_utf8(sandbox.read("tree/B3SUMS")).unwrap();
    let images = sums.lines().map(|line| &line[66..]).filter(|path| *path != "classes.csv");
    images.for_each(|path| possession.image(&sandbox.read(&format!("tree/{path}"))));
    assert_eq!(fields["possession"], possession.digest().prefixed());

    // Whoever has the images can check it: in a build, and in a tree of any origin.
    let ran = sandbox.isn(&["attest", "verify", "me.statement", "out"]).ok();
    assert!(ran.stdout.starts_with("ok: me.statement: SHA256:"), "{}", ran.stdout);
    assert!(ran.stdout.contains(", known to you, built grads@1.0 and has its images\n"), "{}", ran.stdout);
    let known = sandbox.isn(&["attest", "verify", "me.statement", "tree", "--json"]).ok().json();
    let one = &known["statements"][0];
    assert_eq!((&one["same_inputs"], &one["faults"]), (&Value::Null, &Value::Array(vec![])), "{known}");
    // What was pulled was not built here.
    sandbox.isn(&["attest", "tree"]).fails(1, "it was pulled from a registry");
    // What `--source` wrote was, and says the same of it.
    let pull = ["--source", "raw", "--to", "own"];
    sandbox.pull("grads@1.0", &pull).ok();
    attest(&sandbox, "other", "own");
    let verify = ["attest", "verify", "me.statement", "other.statement", "own", "--json"];
    let both = sandbox.isn(&verify).ok().json();
    for one in both["statements"].as_array().unwrap() {
        assert_eq!((&one["same_inputs"], &one["same_sources"]), (&true.into(), &true.into()), "{both}");
    }
    // It stays true when the tree is pulled again from elsewhere.
    sandbox.copy("reg", "elsewhere");
    sandbox.trust_me("elsewhere");
    sandbox.isn(&["pull", "grads@1.0", "--registry", "elsewhere", "--to", "own"]).ok();
    sandbox.isn(&["attest", "own", "--key", "other", "--out", "again"]).ok();
}

#[test]
fn what_does_not_hold_is_said_of_each_statement() {
    let sandbox = Sandbox::built();
    sandbox.build_second_version();
    attest(&sandbox, "me", "out");
    attest(&sandbox, "second", "out2");
    // By somebody who copies what another stated: the proof is not the copier's.
    let statement = fs::read_to_string(sandbox.path("me.statement")).unwrap();
    let copied = statement.split_once("\n\n").unwrap().0;
    sandbox.write("copied", format!("{copied}\n").as_bytes());
    sandbox.isn(&["key", "new", "thief", "--no-passphrase"]).ok();
    sandbox.isn(&["sign", "copied", "--key", "thief"]).fails(1, "is made and signed by `isn attest`");
    sandbox.isn(&["sign", "me.statement", "--key", "thief"]).fails(1, "is of one key alone");
    let mut sign = sandbox.program("ssh-keygen");
    let key = sandbox.path("home/keys/thief");
    let sign = sign.args(["-q", "-Y", "sign", "-n", "statement@isn.v1", "-f"]).arg(key).arg("copied");
    assert!(sign.output().unwrap().status.success());
    let signature = sandbox.read("copied.sig");
    sandbox.write("forged", &[format!("{copied}\n\n").as_bytes(), &signature].concat());

    let all = ["attest", "verify", "me.statement", "second.statement", "forged", "out"];
    let ran = sandbox.isn(&all).fails(8, "");
    for said in [
        "ok: me.statement: ",
        "NOT OK: second.statement: by ",
        "is about grads@1.1, and this is grads@1.0; has dataset hash b3:",
        "NOT OK: forged: by ",
        "proves the possession of other images: its signer need not have these",
    ] {
        assert!(ran.stdout.contains(said), "{said}: {}", ran.stdout);
    }
    // A file that is no such statement, or whose signature is not valid, is an error.
    sandbox.write("changed", statement.replace("version 1.0", "version 1.1").as_bytes());
    sandbox.isn(&["attest", "verify", "changed", "out"]).fails(4, "is not valid");
    sandbox.write("cut", &statement.as_bytes()[..200]);
    sandbox.isn(&["attest", "verify", "cut", "out"]).fails(1, "cut is not a statement");
    sandbox.publish("out");
    sandbox.isn(&["attest", "verify", "reg/releases/grads/1.0", "out"]).fails(1, "no statement of a rebuild");
}

#[test]
fn only_what_is_whole_and_undamaged_is_attested() {
    let sandbox = Sandbox::built();
    sandbox.publish("out");
    for (target, code, why) in [
        ("nowhere", 6, "nowhere"),
        ("raw", 1, "is neither a tree (no B3SUMS) nor a build (no manifest.json)"),
        ("reg", 1, "is a registry"),
    ] {
        sandbox.isn(&["attest", target]).fails(code, why);
        sandbox.isn(&["attest", "verify", "reg/releases/grads/1.0", target]).fails(1, "no statement");
    }
    sandbox.pull("grads@1.0", &["--to", "part", "--class", "bee"]).ok();
    sandbox.isn(&["attest", "part"]).fails(1, "is a part of a version");
    sandbox.pull("grads@1.0", &["--source", "raw", "--to", "own"]).ok();
    let files = contents(&sandbox.path("own"));
    let (image, bytes) = files.iter().find(|(name, _)| name.ends_with(".png")).unwrap();
    sandbox.write(&format!("own/{image}"), &[&bytes[..40], b"x", &bytes[41..]].concat());
    sandbox.isn(&["attest", "own"]).fails(3, &format!("own/{image} is damaged"));
    sandbox.write(&format!("own/{image}"), bytes);
    sandbox.write("own/classes.csv", b"id,label,group\n");
    sandbox.isn(&["attest", "own"]).fails(3, "classes.csv");
    sandbox.write("own/ISN.json", b"{}");
    sandbox.isn(&["attest", "own"]).fails(1, "has no ISN.json that says which version it is");
    let shard = &sandbox.objects("out", ".tar.zst")[0];
    let mut bytes = sandbox.read(shard);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    sandbox.write(shard, &bytes);
    sandbox.isn(&["attest", "out"]).fails(3, "");
    assert!(!sandbox.path("grads-1.0.rebuilt.statement").exists());
}

#[test]
fn a_key_and_a_file_are_chosen_if_there_is_one_choice() {
    let sandbox = Sandbox::built();
    let ran = sandbox.isn(&["attest", "out"]).ok();
    assert!(ran.stdout.starts_with("grads-1.0.rebuilt.statement: SHA256:"), "{}", ran.stdout);
    sandbox.isn(&["attest", "out"]).fails(1, "grads-1.0.rebuilt.statement already exists");
    sandbox.isn(&["key", "new", "you", "--no-passphrase"]).ok();
    sandbox.isn(&["attest", "out", "--out", "other"]).fails(1, "is needed: you have me, you");
    fs::remove_dir_all(sandbox.path("home/keys")).unwrap();
    sandbox.isn(&["attest", "out", "--out", "other"]).fails(1, "`isn key new NAME` makes one");
    sandbox.isn(&["attest"]).fails(2, "<BUILD|TREE>");
}

/// The steps of docs/release-imagebirds.md: three people who have ImageNet, and may pass on none of it.
#[test]
fn three_who_have_imagenet_release_imagebirds_without_passing_it_on() {
    let sandbox = Sandbox::new();
    whole_birds(&sandbox);
    let isn = |who: &str, args: &[&str]| ran(sandbox.command(args).env("ISN_HOME", sandbox.path(who)));
    // 1. Keys.
    let people = ["ada", "ben", "eva"];
    let keys = people.map(|who| {
        isn(who, &["key", "new", "me", "--no-passphrase"]).ok();
        isn(who, &["key", "show", "me"]).ok().stdout.trim().to_string()
    });
    // 2. A recipe that names them. (All images of a class are one picture here.)
    isn("ada", &["recipe", "export", "imagebirds"]).ok();
    let recipe = String::from_utf8(sandbox.read("imagebirds/recipe.toml")).unwrap();
    let list = keys.iter().map(|key| format!("    \"{key}\",\n")).collect::<String>();
    let gate = format!("[gates]\nleakage = \"allow\"\nrebuilt = {{ needed = 2, keys = [\n{list}] }}");
    sandbox.write("imagebirds/recipe.toml", recipe.replacen("[gates]", &gate, 1).as_bytes());
    // 3. Each builds and attests.
    isn("ada", &["source", "check", "birds", "--recipe", "imagebirds/recipe.toml"]).ok();
    for who in people {
        let out = format!("{who}-build");
        isn(who, &["build", "imagebirds/recipe.toml", "--source", "birds", "--out", &out]).ok();
        isn(who, &["attest", &out, "--out", &format!("{who}.statement")]).ok();
    }
    // 4. Each checks what the others state.
    let verify = ["attest", "verify", "ben.statement", "eva.statement", "ada-build", "--json"];
    let checked = isn("ada", &verify).ok().json();
    for one in checked["statements"].as_array().unwrap() {
        assert_eq!((&one["same_inputs"], &one["same_sources"]), (&true.into(), &true.into()), "{checked}");
    }
    // 5. One of them keeps the registry, and appends what the others send.
    isn("ada", &["registry", "init", "reg"]).ok();
    let publish = ["publish", "ada-build", "--registry", "reg", "--key", "me", "--rebuild-only"];
    isn("ada", &["append", "ada.statement", "--registry", "reg"]).ok();
    isn("ada", &publish).fails(8, "rebuilt: 2 of 3 keys must state that they built this");
    isn("ada", &["append", "ben.statement", "--registry", "reg"]).ok();
    isn("ada", &["append", "eva.statement", "--registry", "reg"]).ok();
    let said = isn("ada", &["info", "imagebirds@1.0", "--registry", "reg"]).ok().stdout;
    assert!(said.contains("3 keys state that they built this, 1 of them known to you"), "{said}");
    // 6. The release, without images.
    isn("ada", &publish).ok();
    assert_eq!(sandbox.objects("reg", ".tar.zst"), [""; 0]);
    // 7. Anybody who has ImageNet builds it, and learns who did before.
    isn("user", &["trust", "add", "reg", &keys[0]]).ok();
    let pull = ["pull", "imagebirds@1.0", "--registry", "reg"];
    isn("user", &[&pull[..], &["--to", "tree"]].concat()).fails(7, "--source");
    let pulled = isn("user", &[&pull[..], &["--to", "tree", "--source", "birds", "--json"]].concat()).ok();
    assert_eq!(pulled.json()["rebuilt"], json!({ "keys": 3, "known": 1, "differ": [] }));
    assert_eq!(pulled.json()["dataset"], checked["dataset"]);
    // 8. And says so too.
    isn("user", &["key", "new", "me", "--no-passphrase"]).ok();
    isn("user", &["attest", "tree", "--out", "user.statement"]).ok();
    isn("ada", &["attest", "verify", "user.statement", "ada-build"]).ok();
    isn("ada", &["append", "user.statement", "--registry", "reg"]).ok();
    let said = isn("user", &["info", "imagebirds@1.0", "--registry", "reg"]).ok().stdout;
    assert!(said.contains("4 keys state that they built this, 2 of them known to you"), "{said}");
    isn("ada", &["verify", "reg"]).ok();
    isn("ada", &["log", "verify", "--attestations", "--registry", "reg"]).ok();
}

/// What `isn pull NAME --source` wrote before any release can be attested, by the recipe's version.
#[test]
fn a_tree_that_nobody_released_is_attested() {
    let sandbox = Sandbox::new();
    whole_birds(&sandbox);
    sandbox.isn(&["pull", "imagebirds@1.0", "--source", "birds"]).ok();
    sandbox.isn(&["build", "imagebirds", "--source", "birds"]).ok();
    let (tree, build) =
        (attest(&sandbox, "ada", "imagebirds-1.0"), attest(&sandbox, "ben", "imagebirds-1.0-build"));
    for field in ["name", "version", "dataset", "inputs", "sources"] {
        assert_eq!(fields(&tree)[field], fields(&build)[field], "{field}");
    }
    sandbox.isn(&["attest", "verify", "ada.statement", "ben.statement", "imagebirds-1.0"]).ok();
    // The next pull says who confirms it.
    sandbox.isn(&["registry", "init", "reg"]).ok();
    sandbox.isn(&["append", "ben.statement", "--registry", "reg"]).ok();
    let pull = ["pull", "imagebirds@1.0", "--source", "birds", "--registry", "reg,bundled"];
    let said = sandbox.isn(&pull).ok().stdout;
    assert!(said.contains("  not released\n"), "{said}");
    assert!(said.contains("rebuilt  1 key states that it built this, known to you\n"), "{said}");
    // A tree of an older isn does not say what it was built from.
    let json = String::from_utf8(sandbox.read("imagebirds-1.0/ISN.json")).unwrap();
    let mut json: Value = serde_json::from_str(&json).unwrap();
    json.as_object_mut().unwrap().remove("built_from").unwrap();
    sandbox.write("imagebirds-1.0/ISN.json", json.to_string().as_bytes());
    sandbox
        .isn(&["attest", "imagebirds-1.0", "--key", "ada"])
        .fails(1, "does not say what it was built from");
    // It learns that from the next pull.
    let ran = sandbox.isn(&["pull", "imagebirds@1.0", "--source", "birds"]).ok();
    assert!(ran.stderr.contains("(built_from)"), "{}", ran.stderr);
    sandbox.isn(&["attest", "imagebirds-1.0", "--key", "ada"]).ok();
}

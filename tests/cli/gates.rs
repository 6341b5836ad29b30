//! What stops a version from being published.

use isn_format::digest::Digest;

use crate::sandbox::Sandbox;

const CLASSES: [&str; 3] = ["ant", "bee", "cat"];
const BUILD: [&str; 6] = ["build", "grads-1.0.toml", "--source", "raw", "--out", "out"];
const PUBLISH: [&str; 6] = ["publish", "out", "--registry", "reg", "--key", "me"];

fn built(more: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.noise("raw", &CLASSES, 8);
    sandbox.recipe("grads", "1.0", &CLASSES, more);
    sandbox.isn(&BUILD).ok();
    sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();
    sandbox
}

/// Checks that nothing was written.
fn refused(sandbox: &Sandbox, why: &str) {
    let ran = sandbox.isn(&PUBLISH).fails(8, why);
    assert!(ran.stderr.contains("help: nothing was published"), "{}", ran.stderr);
    assert!(!sandbox.path("reg").exists());
    let json = sandbox.isn(&[&PUBLISH[..], &["--json"]].concat()).json();
    assert_eq!(json["exit_code"], 8);
    sandbox.isn(&[&PUBLISH[..], &["--dry-run"]].concat()).fails(8, why);
}

#[test]
fn too_few_val_images_in_a_class() {
    refused(&built("[gates]\nval_min = 3"), "val_min: class ant has 2 val images, and must have 3");
    refused(
        &built("[gates]\nval_range = [0.4, 0.5]"),
        "val_range: class cat has 2 of 8 images in val, not 0.4 to 0.5",
    );
    built("[gates]\nval_min = 2\nval_range = [0.2, 0.3]").publish("out");
}

#[test]
fn too_few_who_built_the_version() {
    let sandbox = Sandbox::new();
    sandbox.noise("raw", &CLASSES, 8);
    let keys = ["me", "ann", "bob", "dan", "eve"].map(|key| {
        sandbox.isn(&["key", "new", key, "--no-passphrase"]).ok();
        sandbox.isn(&["key", "show", key]).ok().stdout.trim().to_string()
    });
    let list = format!("{:?}", &keys[1..]);
    let gate = format!("[gates]\nrebuilt = {{ keys = {list}, needed = 2 }}\nleakage = \"allow\"");
    let build = |out: &str, more: &str| {
        sandbox.recipe("grads", "1.0", &CLASSES, &format!("{more}{gate}"));
        let recipe = String::from_utf8(sandbox.read("grads-1.0.toml")).unwrap();
        sandbox.write("grads-1.0.toml", recipe.replace("isn-recipe/1", "isn-recipe/2").as_bytes());
        sandbox.isn(&["build", "grads-1.0.toml", "--source", "raw", "--out", out]).ok();
    };
    build("out", "");
    refused(&sandbox, "rebuilt: 2 of 4 keys must state that they built this");
    let attest = |key: &str, build: &str| {
        sandbox.isn(&["attest", build, "--key", key, "--out", key]).ok();
        sandbox.isn(&["append", key, "--registry", "reg"]).ok();
    };
    sandbox.isn(&["registry", "init", "reg"]).ok();
    // Keys that the recipe does not name do not count, nor does another result.
    attest("me", "out");
    attest("ann", "out");
    build("other", "[balance]\ntrain = 3\n");
    attest("dan", "other");
    let why = "states this; SHA256:";
    let ran = sandbox.isn(&PUBLISH).fails(8, why);
    assert!(ran.stderr.contains(" states nothing; SHA256:"), "{}", ran.stderr);
    assert!(ran.stderr.contains(" states b3:"), "{}", ran.stderr);
    assert!(!sandbox.path("reg/releases").exists());
    // Nor does one who copies the statement of another, and has no images.
    let said = String::from_utf8(sandbox.read("ann")).unwrap();
    let said = said.split_once("\n\n").unwrap().0.to_string() + "\n";
    sandbox.write("eve", said.as_bytes());
    let mut sign = sandbox.program("ssh-keygen");
    let key = sandbox.path("home/keys/eve");
    let sign = sign.args(["-q", "-Y", "sign", "-n", "statement@isn.v1", "-f"]).arg(key).arg("eve");
    assert!(sign.output().unwrap().status.success());
    sandbox.write("eve", &[said.as_bytes(), b"\n", &sandbox.read("eve.sig")].concat());
    sandbox.isn(&["append", "eve", "--registry", "reg"]).ok();
    let ran = sandbox.isn(&PUBLISH).fails(8, " states this, and proves that it has the images; SHA256:");
    let said = " states this, and does not prove that it has the images";
    assert_eq!(ran.stderr.matches(said).count(), 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("help: nothing was published. Keep this build"), "{}", ran.stderr);
    // Enough.
    attest("bob", "out");
    sandbox.isn(&[&PUBLISH[..], &["--dry-run"]].concat()).ok();
    sandbox.isn(&PUBLISH).ok();
}

#[test]
fn no_val_images_at_all() {
    let built = |split: &str, more: &str| {
        let sandbox = Sandbox::new();
        sandbox.noise("raw", &CLASSES, 8);
        sandbox.recipe("grads", "1.0", &CLASSES, more);
        let recipe = String::from_utf8(sandbox.read("grads-1.0.toml")).unwrap();
        let drawn = "policy = \"pool\"\nval = 0.25\nsalt = \"tests\"";
        assert!(recipe.contains(drawn));
        sandbox.write("grads-1.0.toml", recipe.replace(drawn, split).as_bytes());
        let warned = sandbox.isn(&BUILD).ok().stderr;
        sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();
        (sandbox, warned)
    };
    let drawn = "policy = \"pool\"\nval = 0.01\nsalt = \"tests\"";
    let (sandbox, warned) = built(drawn, "");
    assert!(warned.contains("warning: no image is in val, and `isn publish` requires 1"), "{warned}");
    refused(&sandbox, "val_min: the version has no val images, and each class must have 1");
    // On purpose.
    for (split, more) in [(drawn, "[gates]\nval_min = 0"), ("policy = \"keep\"", "")] {
        let (sandbox, warned) = built(split, more);
        assert!(!warned.contains("warning"), "{warned}");
        sandbox.publish("out");
    }
}

#[test]
fn a_licence_that_says_nothing() {
    let sandbox = built("");
    let recipe = String::from_utf8(sandbox.read("grads-1.0.toml")).unwrap();
    sandbox.write("grads-1.0.toml", recipe.replace("CC0-1.0", "TODO").as_bytes());
    std::fs::remove_dir_all(sandbox.path("out")).unwrap();
    sandbox.isn(&BUILD).ok();
    refused(&sandbox, "licence: 'TODO' does not state any terms");
}

#[test]
fn a_ledger_that_does_not_come_to_the_images() {
    let sandbox = Sandbox::new();
    sandbox.noise("raw", &CLASSES, 8);
    let ledger = |rows: &str| {
        format!("kind,source_id,says,labels,reason,source,reviewer,date,evidence\n{rows}").into_bytes()
    };
    let decision = |id: &str, says: &str| format!("decision,{id},{says},other,,Ann,2026-01-01,\n");
    sandbox.write("ledger.csv", &ledger(&decision("ant/ant_1", "remove,")));
    sandbox.recipe("grads", "1.0", &CLASSES, "[corrections]\nfile = \"ledger.csv\"");
    sandbox.isn(&BUILD).ok();
    sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();

    // Another ledger in its place, and a manifest that names it.
    let other = ledger(&[decision("ant/ant_2", "remove,"), decision("bee/bee_1", "relabel,cat")].concat());
    let manifest = String::from_utf8(sandbox.read("out/manifest.json")).unwrap();
    let (old, new) = (sandbox.read("ledger.csv"), &other);
    let named =
        |bytes: &[u8]| format!("\"blake3\": \"{}\",\n      \"length\": {}", Digest::of(bytes), bytes.len());
    assert!(manifest.contains(&named(&old)), "{manifest}");
    let forged = manifest.replace(&named(&old), &named(new));
    let object = |bytes: &[u8], extension: &str| {
        let hex = Digest::of(bytes).to_string();
        format!("out/objects/{}/{hex}.{extension}", &hex[..2])
    };
    sandbox.write(&object(new, "csv"), new);
    sandbox.write(&object(forged.as_bytes(), "json"), forged.as_bytes());
    let packs = sandbox.read(&format!("out/packs/{}", Digest::of(manifest.as_bytes())));
    sandbox.write(&format!("out/packs/{}", Digest::of(forged.as_bytes())), &packs);
    sandbox.write("out/manifest.json", forged.as_bytes());
    refused(&sandbox, "ant_2.png is in the version, but the ledger removes ant/ant_2");
    refused(&sandbox, "bee_1.png is of class bee, but the ledger says cat");
}

/// Adds twenty copies of images of `raw` under other names: unchanged, or saved again as JPEG.
fn plant(sandbox: &Sandbox) -> usize {
    let mut planted = 0;
    for class in CLASSES {
        for i in 0..7 {
            let from = sandbox.path(&format!("raw/{class}/{class}_{i}.png"));
            let to = sandbox.path(&format!("raw/{class}/copy_{i}.jpg"));
            match i % 2 {
                _ if planted == 20 => continue,
                0 => drop(std::fs::copy(&from, to.with_extension("png")).unwrap()),
                _ => image::open(&from).unwrap().save(&to).unwrap(),
            }
            planted += 1;
        }
    }
    planted
}

#[test]
fn pictures_that_are_in_two_splits() {
    let sandbox = Sandbox::new();
    sandbox.noise("raw", &CLASSES, 40);
    assert_eq!(plant(&sandbox), 20);
    sandbox.recipe("grads", "1.0", &CLASSES, "[gates]\nleakage = \"refuse\"");
    // Size 160 keeps the noise as it is; at 24 pixels it would become grey.
    let recipe =
        String::from_utf8(sandbox.read("grads-1.0.toml")).unwrap().replace("size = 24", "size = 160");
    sandbox.write("grads-1.0.toml", recipe.as_bytes());
    sandbox.isn(&BUILD).ok();
    sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();
    let audit = sandbox.isn(&["audit", "duplicates", "out", "--json"]).fails(8, "");
    let across = audit.json()["cross_split"].as_u64().unwrap();
    assert!(across > 4, "{}", audit.stdout);
    refused(&sandbox, "show one picture");
    let ran = sandbox.isn(&PUBLISH);
    assert_eq!(ran.stderr.matches("leakage: ").count() as u64, across, "{}", ran.stderr);

    // With the groups in the recipe, no picture appears in two splits.
    sandbox.isn(&["audit", "duplicates", "raw", "--groups", "groups.csv"]).fails(8, "");
    let groups = String::from_utf8(sandbox.read("groups.csv")).unwrap();
    assert_eq!(groups.lines().count(), 41, "{groups}");
    sandbox.write("grads-1.0.toml", recipe.replace("salt =", "groups = \"groups.csv\"\nsalt =").as_bytes());
    std::fs::remove_dir_all(sandbox.path("out")).unwrap();
    sandbox.isn(&BUILD).ok();
    let audit = sandbox.isn(&["audit", "duplicates", "out", "--json"]).json();
    assert_eq!(audit["cross_split"], 0);
    sandbox.publish("out");
    // The groups are an object of the version, and a rebuild needs them.
    let rebuild = ["pull", "grads@1.0", "--registry", "reg", "--source", "raw", "--to", "rebuilt"];
    sandbox.isn(&rebuild).ok();
}

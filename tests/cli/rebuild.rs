use std::fs;

use crate::sandbox::{ISN, Sandbox, contents, gradient, has_tool, ran};

/// A registry that has everything except the images.
fn without_shards() -> (Sandbox, String) {
    let (sandbox, pin) = Sandbox::published();
    remove_shards(&sandbox);
    (sandbox, pin)
}

fn remove_shards(sandbox: &Sandbox) {
    for (name, _) in contents(&sandbox.path("reg")) {
        if name.ends_with(".tar.zst") {
            fs::remove_file(sandbox.path("reg").join(name)).unwrap();
        }
    }
    fs::remove_dir_all(sandbox.path("reg/packs")).unwrap();
}

#[test]
fn a_version_is_built_again_from_the_users_own_source() {
    let (sandbox, pin) = without_shards();
    sandbox.isn(&["pull", "grads@1.0", "--registry", "reg"]).fails(7, "has no images of grads@1.0");
    assert!(!sandbox.path("grads-1.0").exists());
    let ran = sandbox.isn(&["pull", "grads@1.0", "--registry", "reg", "--source", "raw", "--json"]).ok();
    assert_eq!(ran.json()["pin"], pin.as_str());
    sandbox.isn(&["verify", "grads-1.0", "--expect", &pin]).ok();
    assert_eq!(sandbox.leftovers(), Vec::<String>::new());
}

#[test]
fn another_source_is_refused_and_the_image_is_named() {
    let (sandbox, _) = without_shards();
    gradient(41, 30, 99).save(sandbox.path("raw/bee/bee_1.png")).unwrap();
    let pull = ["pull", "grads@1.0", "--registry", "reg", "--source", "raw"];
    let ran = sandbox.isn(&pull).fails(3, "/bee/bee_1.png: its source file differs");
    assert!(!ran.stderr.contains("bee_2"), "{}", ran.stderr);
    assert!(!sandbox.path("grads-1.0").exists());
}

#[test]
fn what_is_to_be_built_is_not_copied() {
    let (sandbox, pin) = Sandbox::published();
    // The cache knows this tree.
    sandbox.isn(&["pull", &pin, "--registry", "reg", "--to", "fetched"]).ok();
    fs::create_dir(sandbox.path("empty")).unwrap();
    let pull = |source: &str, to: &str| {
        sandbox.isn(&["pull", &pin, "--registry", "reg", "--source", source, "--to", to, "--json"])
    };
    for source in ["empty", "absent"] {
        assert_ne!(pull(source, "built").code, 0, "{source}");
        assert!(!sandbox.path("built").exists());
    }
    assert_eq!(pull("raw", "built").ok().json()["reused_images"], 0);
    sandbox.isn(&["attest", "built", "--key", "me", "--out", "statement"]).ok();
    assert_eq!(pull("raw", "built").ok().stderr, "");
    assert_eq!(sandbox.leftovers(), Vec::<String>::new());
    // What is there already is not built, and that is said.
    let said = pull("raw", "fetched").ok().stderr;
    assert!(said.contains("the source was not read"), "{said}");
    sandbox.isn(&["attest", "fetched", "--key", "me", "--out", "none"]).fails(1, "--to NEW-DIR");
}

/// Kills a pull at its last step, when all images are in its staging folder.
fn killed_at_the_end(sandbox: &Sandbox, args: &[&str]) {
    let mut strace = sandbox.program("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat2"]);
    strace.args(["-e", "inject=renameat2:signal=KILL:when=1", ISN]).args(args);
    assert_ne!(ran(strace).code, 0);
}

#[test]
fn what_a_killed_pull_fetched_is_not_taken_for_built() {
    if !has_tool("strace") {
        return;
    }
    let (sandbox, pin) = Sandbox::published();
    fs::create_dir(sandbox.path("empty")).unwrap();
    let to = ["pull", &pin, "--registry", "reg", "--to", "t"];
    killed_at_the_end(&sandbox, &to);
    if sandbox.leftovers().is_empty() {
        return; // strace may not trace here.
    }
    assert_ne!(sandbox.isn(&[&to[..], &["--source", "empty"]].concat()).code, 0);
    assert!(!sandbox.path("t").exists());
    // What was killed while it was built, is built when it is done.
    killed_at_the_end(&sandbox, &[&to[..], &["--source", "raw"]].concat());
    sandbox.isn(&[&to[..], &["--source", "raw"]].concat()).ok();
    sandbox.isn(&["attest", "t", "--key", "me", "--out", "statement"]).ok();
    // Nor is what was fetched taken for what is in a build.
    sandbox.copy("out", "hollow");
    for shard in sandbox.objects("hollow", ".tar.zst") {
        fs::remove_file(sandbox.path(&shard)).unwrap();
    }
    sandbox.isn(&["pull", &pin, "--registry", "reg", "--to", "fetched"]).ok();
    assert_ne!(sandbox.isn(&["pull", "./hollow", "--to", "made"]).code, 0);
    assert!(!sandbox.path("made").exists());
}

#[test]
fn a_recipe_names_the_version_that_it_follows_by_its_number() {
    let (sandbox, _) = Sandbox::published();
    sandbox.build_second_version();
    let drawn = String::from_utf8(sandbox.read("grads-1.1.toml")).unwrap();
    let follows = |previous: &str| {
        let two = drawn.replace("isn-recipe/1", "isn-recipe/2");
        let text = two.replace("salt =", &format!("previous = \"{previous}\"\nsalt ="));
        sandbox.write("follows.toml", text.as_bytes());
        let args = ["build", "follows.toml", "--source", "raw2", "--registry", "reg", "--out"];
        move |sandbox: &Sandbox, out: &str| sandbox.isn(&[&args[..], &[out, "--json"]].concat())
    };
    let built = follows("1.0")(&sandbox, "named").ok().json();
    assert!(!built["warnings"].to_string().contains("may move"), "{built}");
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(sandbox.path("out/manifest.json")).unwrap()).unwrap();
    let assignments = manifest["objects"]["assignments"]["blake3"].as_str().unwrap();
    let hashed = follows(&format!("b3:{assignments}"))(&sandbox, "hashed").ok().json();
    assert_eq!(hashed["dataset"], built["dataset"]);
    // What 1.0 has in train is not in val of 1.1.
    let pin = sandbox.publish("named");
    let report = sandbox.isn(&["diff", "grads@1.0", "grads@1.1", "--registry", "reg", "--json"]).ok().json();
    assert_eq!(report["moved"].as_array().map(Vec::len), Some(0), "{report}");
    // Whoever has the source builds it again: the manifest says which assignments they were.
    remove_shards(&sandbox);
    let pulled = sandbox.isn(&["pull", "grads@1.1", "--registry", "reg", "--source", "raw2", "--json"]).ok();
    assert_eq!(pulled.json()["pin"], pin.as_str());
    follows("0.9")(&sandbox, "other").fails(6, "grads@0.9 is not in registry");
    let offline = ["build", "follows.toml", "--source", "raw2", "--out", "other"];
    sandbox.isn(&offline).fails(6, "grads");
    assert!(!sandbox.path("other").exists());
}

#[test]
fn an_image_does_not_change_its_split_by_another_name() {
    let sandbox = Sandbox::new();
    let classes = ["ant", "bee", "cat"];
    sandbox.noise("raw", &classes, 8);
    sandbox.recipe("grads", "1.0", &classes, "[gates]\nval_min = 1");
    sandbox.isn(&["build", "grads-1.0.toml", "--source", "raw", "--out", "out"]).ok();
    sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();
    sandbox.publish("out");
    let val = ["images", "grads@1.0", "--registry", "reg", "--split", "val", "--json"];
    let listed = sandbox.isn(&val).ok().json();
    let id = listed["images"][0]["source_id"].as_str().unwrap();
    let file = |suffix: &str| sandbox.path("raw").join(format!("{id}{suffix}.png"));
    fs::rename(file(""), file("-renamed")).unwrap();
    let text = String::from_utf8(sandbox.read("grads-1.0.toml")).unwrap();
    let two = text.replace("isn-recipe/1", "isn-recipe/2").replace("\"1.0\"", "\"1.1\"");
    sandbox.write("follows.toml", two.replace("salt =", "previous = \"1.0\"\nsalt =").as_bytes());
    let args = ["build", "follows.toml", "--source", "raw", "--registry", "reg", "--out", "next", "--json"];
    let warnings = sandbox.isn(&args).ok().json()["warnings"].to_string();
    let said = format!("of the 24 images of the earlier version, the source lacks 1: {id}. A renamed");
    assert!(warnings.contains(&said), "{warnings}");
    let ran = sandbox.isn(&["publish", "next", "--registry", "reg", "--key", "me"]);
    let why = format!("moved: {id}-renamed is in train, and grads@1.0 has that image in val as {id}");
    ran.fails(8, &why);
    // Nor by a name that another image had.
    let listed =
        sandbox.isn(&["images", "grads@1.0", "--registry", "reg", "--split", "train", "--json"]).ok().json();
    let other = listed["images"][0]["source_id"].as_str().unwrap();
    let train = sandbox.path("raw").join(format!("{other}.png"));
    fs::rename(&train, file("")).unwrap();
    fs::rename(file("-renamed"), &train).unwrap();
    let mut again = args;
    again[7] = "swapped";
    sandbox.isn(&again).ok();
    let ran = sandbox.isn(&["publish", "swapped", "--registry", "reg", "--key", "me"]);
    let said =
        ran.fails(8, &format!("moved: {other} is in train, and grads@1.0 has the same image in val as {id}"));
    assert!(
        said.stderr.contains(&format!(
            "moved: {id} is in val, and grads@1.0 has the same image in train as {other}"
        ))
    );
}

#[test]
fn what_a_build_takes_over_is_the_earlier_version_of_the_registry_that_it_goes_to() {
    let (sandbox, _) = Sandbox::published();
    sandbox.build_second_version();
    // Another 1.0, drawn with another salt, in another registry.
    let first = String::from_utf8(sandbox.read("grads-1.0.toml")).unwrap();
    sandbox.write("other.toml", first.replace("salt = \"tests\"", "salt = \"others\"").as_bytes());
    sandbox.isn(&["build", "other.toml", "--source", "raw", "--out", "other"]).ok();
    let publish = |build: &str, registry: &str| {
        sandbox.isn(&["publish", build, "--registry", registry, "--key", "me", "--rebuild-only"])
    };
    publish("other", "elsewhere").ok();
    sandbox.trust_me("elsewhere");
    let second = String::from_utf8(sandbox.read("grads-1.1.toml")).unwrap();
    let two = second.replacen("isn-recipe/1", "isn-recipe/2", 1);
    sandbox.write("follows.toml", two.replace("salt =", "previous = \"1.0\"\nsalt =").as_bytes());
    let build = |registry: &str, out: &str| {
        sandbox.isn(&["build", "follows.toml", "--source", "raw2", "--registry", registry, "--out", out])
    };
    build("reg", "follows").ok();
    build("reg", "follows").ok();
    build("elsewhere", "follows").fails(1, "is not the output of this recipe");
    build("elsewhere", "astray").ok();
    publish("astray", "reg").fails(1, "follows another grads@1.0 than that of registry reg");
    publish("follows", "fresh").fails(1, "follows grads@1.0, which registry fresh has not released");
    assert!(!sandbox.path("fresh").exists());
    publish("follows", "reg").ok();
    // A mirror of that version alone has what it takes to build it again.
    sandbox.isn(&["mirror", "reg", "copy", "grads@1.1"]).ok();
    sandbox.isn(&["pull", "grads@1.1", "--registry", "copy", "--source", "raw2", "--no-cache"]).ok();
}

use std::fs;

use crate::sandbox::{Ran, Sandbox, contents};
use crate::server::Server;

fn pull(sandbox: &Sandbox, server: &Server, reference: &str, to: &str, more: &[&str]) -> Ran {
    let args = ["pull", reference, "--registry", &server.url, "--to", to, "--json"];
    sandbox.isn(&[&args[..], more].concat())
}

fn files(sandbox: &Sandbox, tree: &str) -> Vec<(String, Vec<u8>)> {
    let mut files = contents(&sandbox.path(tree));
    files.retain(|(name, _)| name != "ISN.json");
    files
}

/// The files in one of the cache's folders, as paths relative to the sandbox.
fn kept(sandbox: &Sandbox, part: &str) -> Vec<String> {
    let root = sandbox.path("home/cache").join(part);
    if !root.exists() {
        return Vec::new();
    }
    contents(&root).into_iter().map(|(name, _)| format!("home/cache/{part}/{name}")).collect()
}

fn remove_tree(sandbox: &Sandbox, tree: &str) {
    fs::remove_dir_all(sandbox.path(tree)).unwrap();
}

#[test]
fn what_was_fetched_once_is_not_fetched_again() {
    let (sandbox, _) = Sandbox::published();
    let server = Server::new(&sandbox.path("reg"));
    sandbox.trust_me(&server.url);
    let first = pull(&sandbox, &server, "grads@1.0", "tree", &[]).ok().json();
    let tree = files(&sandbox, "tree");
    assert!(first["fetched_bytes"].as_u64().unwrap() > 10_000, "{first}");
    assert!(!kept(&sandbox, "pieces").is_empty());
    let before = server.log().len();
    remove_tree(&sandbox, "tree");
    let second = pull(&sandbox, &server, "grads@1.0", "tree", &[]).ok().json();
    let asked: Vec<String> = server.log()[before..].iter().map(|request| request.path.clone()).collect();
    assert!(second["fetched_bytes"].as_u64().unwrap() < 2000, "{second}: {asked:?}");
    assert!(asked.iter().all(|path| !path.starts_with("objects/")), "{asked:?}");
    assert_eq!(files(&sandbox, "tree"), tree);
    // A part is served from a version that was fetched whole; `--no-cache` fetches everything again.
    let part = pull(&sandbox, &server, "grads@1.0", "part", &["--class", "bee"]).ok().json();
    assert!(part["fetched_bytes"].as_u64().unwrap() < 2000, "{part}");
    let again = pull(&sandbox, &server, "grads@1.0", "again", &["--no-cache"]).ok().json();
    // Everything is fetched again but the part of the log that is remembered.
    assert!(again["fetched_bytes"].as_u64().unwrap() > 10_000, "{again}");
    assert_eq!(again["reused_images"], 0);
    let info = sandbox.isn(&["cache", "info", "--json"]).ok().json();
    assert_eq!(info["quarantine"]["files"], 0);
    assert!(info["pieces"]["bytes"].as_u64().unwrap() > 10_000 && info["trees"] == 2, "{info}");
}

#[test]
fn whatever_is_damaged_in_the_cache_is_set_aside_and_fetched_again() {
    let (sandbox, _) = Sandbox::published();
    let server = Server::new(&sandbox.path("reg"));
    sandbox.trust_me(&server.url);
    pull(&sandbox, &server, "grads@1.0", "tree", &[]).ok();
    let tree = files(&sandbox, "tree");
    let whole: Vec<(String, Vec<u8>)> = ["pieces", "objects", "hints"]
        .iter()
        .flat_map(|part| kept(&sandbox, part))
        .map(|name| (name.clone(), sandbox.read(&name)))
        .collect();
    assert!(whole.len() >= 6, "{whole:?}");
    let restore = || whole.iter().for_each(|(name, bytes)| sandbox.write(name, bytes));
    for (name, bytes) in &whole {
        for how in ["empty", "half", "flip at the start", "flip in the middle", "append", "delete"] {
            remove_tree(&sandbox, "tree");
            let mut damaged = bytes.clone();
            match how {
                "empty" => damaged.clear(),
                "half" => damaged.truncate(bytes.len() / 2),
                "flip at the start" => damaged[0] ^= 1,
                "flip in the middle" => damaged[bytes.len() / 2] ^= 0x80,
                _ => damaged.push(0),
            }
            match how {
                "delete" => fs::remove_file(sandbox.path(name)).unwrap(),
                _ => sandbox.write(name, &damaged),
            }
            let ran = pull(&sandbox, &server, "grads@1.0", "tree", &[]);
            assert_eq!(ran.code, 0, "{name}: {how}: {}", ran.stderr);
            assert_eq!(files(&sandbox, "tree"), tree, "{name}: {how}");
            restore();
        }
    }
    assert!(!kept(&sandbox, "quarantine").is_empty());
    sandbox.isn(&["cache", "verify"]).ok();
    let piece = kept(&sandbox, "pieces").remove(0);
    sandbox.write(&piece, b"nothing of the kind");
    let report = sandbox.isn(&["cache", "verify", "--json"]).fails(3, "").json();
    assert_eq!(report["damaged"].as_array().unwrap().len(), 1);
    assert!(!sandbox.path(&piece).exists());
    sandbox.isn(&["cache", "verify"]).ok();
}

#[test]
fn a_cache_that_cannot_be_written_to_costs_nothing_but_time() {
    let (sandbox, pin) = Sandbox::published();
    let server = Server::new(&sandbox.path("reg"));
    // A file stands where the folder should be, so even root cannot write below it.
    sandbox.write("home/cache", b"in the way");
    pull(&sandbox, &server, &pin, "tree", &[]).ok();
    sandbox.isn(&["verify", "tree", "--expect", &pin]).ok();
    fs::remove_file(sandbox.path("home/cache")).unwrap();
    sandbox.write("home/cache/pieces", b"in the way");
    pull(&sandbox, &server, &pin, "tree2", &["--class", "bee"]).ok();
    sandbox.isn(&["verify", "tree2", "--expect", &pin]).ok();
}

#[test]
fn a_fetch_that_kept_nothing_fails() {
    let (sandbox, pin) = Sandbox::published();
    let server = Server::new(&sandbox.path("reg"));
    let fetch = |why: &str| {
        let ran = sandbox.isn(&["fetch", &pin, "--registry", &server.url, "--json"]).fails(1, why);
        assert!(ran.stderr.contains("help: ") && ran.stderr.contains("ISN_CACHE"), "{}", ran.stderr);
        let asked = sandbox.isn(&["pull", &pin, "--registry", &server.url, "--offline"]);
        assert_ne!(asked.code, 0, "{}", asked.stdout);
    };
    sandbox.write("home/cache", b"in the way");
    fetch("cache cannot be written to");
    fs::remove_file(sandbox.path("home/cache")).unwrap();
    for (part, why) in [
        ("pieces", "cache cannot be written to"),
        ("objects", "cache has all images, but not the files that describe the version"),
    ] {
        sandbox.write(&format!("home/cache/{part}"), b"in the way");
        fetch(why);
        remove_tree(&sandbox, "home/cache");
    }
    sandbox.isn(&["fetch", &pin, "--registry", &server.url]).ok();
    sandbox.isn(&["pull", &pin, "--registry", &server.url, "--offline"]).ok();
    // A cache that has everything need not be written to.
    sandbox.isn(&["fetch", &pin, "--registry", &server.url]).ok();
}

#[test]
fn fetched_once_a_version_needs_no_network() {
    let (sandbox, pin) = Sandbox::published();
    let server = Server::new(&sandbox.path("reg"));
    sandbox.trust_me(&server.url);
    let offline = |args: &[&str]| sandbox.isn(&[args, &["--offline", "--json"]].concat());
    let from = ["--registry", &server.url];
    let hint = offline(&[&["pull", "grads@1.0"], &from[..]].concat()).fails(5, "offline").stderr;
    assert!(hint.contains("isn fetch REF"), "{hint}");
    let report = sandbox.isn(&[&["fetch", "grads@1.0", "--json"], &from[..]].concat()).ok().json();
    assert_eq!(report["images"], 24);
    assert!(!sandbox.path("grads-1.0").exists());
    let again = sandbox.isn(&[&["fetch", "grads@1.0", "--json"], &from[..]].concat()).ok().json();
    assert!(again["fetched_bytes"].as_u64().unwrap() < 2000, "{again}");

    // No registry is asked.
    let asked = server.log().len();
    let by_name = offline(&[&["pull", "grads@1.0", "--to", "a"], &from[..]].concat()).ok();
    assert!(by_name.stderr.contains("as it was last seen"), "{}", by_name.stderr);
    assert_eq!(by_name.json()["fetched_bytes"], 0);
    offline(&[&["pull", &pin, "--to", "b"], &from[..]].concat()).ok();
    offline(&[&["pull", "grads", "--to", "c"], &from[..]].concat()).ok();
    offline(&[&["info", "grads@1.0"], &from[..]].concat()).ok();
    offline(&[&["pull", "grads@1.1"], &from[..]].concat()).fails(5, "offline");
    for tree in ["a", "b", "c"] {
        sandbox.isn(&["verify", tree, "--expect", &pin]).ok();
    }
    let variable = |value: &str| {
        let mut command = sandbox.command(&["pull", "grads@9.0", "--registry", &server.url]);
        command.env("ISN_OFFLINE", value).output().unwrap().status.code()
    };
    assert_eq!(variable("1"), Some(5));
    assert_eq!(server.log().len(), asked);
    assert_eq!(variable("0"), Some(6));

    // The lock file restores a tree with `--offline`, and also without it if the server is gone.
    sandbox.isn(&[&["pull", "grads@1.0", "--lock"], &from[..]].concat()).ok();
    for more in [&["--offline"][..], &[]] {
        remove_tree(&sandbox, "grads-1.0");
        let mut sync = sandbox.command(&[&["sync", "--locked", "--json"], more].concat());
        let lock = String::from_utf8(sandbox.read("isn.lock")).unwrap();
        sandbox.write("isn.lock", lock.replace(&server.url, "http://127.0.0.1:1").as_bytes());
        let ran = sync.env("ISN_REGISTRY", "http://127.0.0.1:1").output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        sandbox.isn(&["verify", "grads-1.0", "--expect", &pin]).ok();
    }
    sandbox.isn(&["fetch", "grads@1.0", "--registry", "reg", "--no-cache"]).fails(1, "nowhere to put");
    // A mirror that answers is asked before isn falls back to the cache; a missing folder counts as one that
    // does not answer.
    let (before, mirrors) = (server.log().len(), format!("gone,http://127.0.0.1:1,{}", server.url));
    let ran = sandbox.isn(&["pull", &pin, "--registry", &mirrors, "--to", "mirrored"]).ok();
    assert!(server.log().len() > before && !ran.stderr.contains("could not be read"), "{}", ran.stderr);
}

#[test]
fn what_was_not_used_for_long_goes_first() {
    let (sandbox, pin) = Sandbox::published();
    let server = Server::new(&sandbox.path("reg"));
    pull(&sandbox, &server, &pin, "tree", &[]).ok();
    let all = sandbox.isn(&["cache", "info", "--json"]).ok().json()["bytes"].as_u64().unwrap();
    let gc = |args: &[&str]| sandbox.isn(&[&["cache", "gc", "--json"], args].concat()).ok().json();
    assert_eq!(gc(&["--older-than", "1h"])["files"], 0);
    let dry = gc(&["--max-size", "0", "--dry-run"]);
    assert_eq!((dry["left"].as_u64(), dry["bytes"].as_u64()), (Some(0), Some(all)));
    let half = gc(&["--max-size", &format!("{}B", all / 2)]);
    assert!(half["left"].as_u64().unwrap() <= all / 2 && half["files"].as_u64().unwrap() > 0, "{half}");
    // Bytes are probably not meant.
    sandbox
        .isn(&["cache", "gc", "--max-size", "20"])
        .fails(2, "expected a whole number and a unit: 500MB, 20GiB");
    gc(&["--max-size", "0"]);
    assert_eq!(sandbox.isn(&["cache", "info", "--json"]).ok().json()["bytes"], 0);
    remove_tree(&sandbox, "tree");
    gc(&[]);
    assert_eq!(sandbox.isn(&["cache", "info", "--json"]).ok().json()["trees"], 0);
    pull(&sandbox, &server, &pin, "tree", &[]).ok();
}

#[test]
fn a_mirror_takes_over_what_the_first_registry_lacks_or_has_wrong() {
    let (sandbox, pin) = Sandbox::published();
    sandbox.copy("reg", "mirror");
    let shard = sandbox.objects("reg", ".tar.zst").remove(0);
    let index = sandbox.objects("reg", ".jsonl.zst").remove(0);
    sandbox.trust_me("mirror");
    let (whole, index_bytes) = (sandbox.read(&shard), sandbox.read(&index));
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    let both = "reg,mirror";
    let pull =
        |to: &str| sandbox.isn(&["pull", &pin, "--registry", both, "--to", to, "--no-cache", "--json"]);

    fs::remove_file(sandbox.path(&shard)).unwrap();
    let ran = pull("missing").ok();
    assert!(!ran.stderr.contains("set aside"), "{}", ran.stderr);
    sandbox.write(&shard, &flipped);
    let ran = pull("flipped").ok();
    assert!(ran.stderr.contains("reg served bad bytes and was set aside"), "{}", ran.stderr);
    assert!(ran.json()["warnings"].to_string().contains("set aside"));
    sandbox.write(&shard, &whole[..whole.len() / 2]);
    assert!(pull("short").ok().stderr.contains("set aside"));
    sandbox.write(&shard, &whole);
    sandbox.write(&index, &index_bytes[1..]);
    assert!(pull("index").ok().stderr.contains("set aside"));
    fs::remove_dir_all(sandbox.path("reg/packs")).unwrap();
    pull("packs").ok();
    for tree in ["missing", "flipped", "short", "index", "packs"] {
        sandbox.isn(&["verify", tree, "--expect", &pin]).ok();
    }
    // If both are damaged the pull fails, and the error names both.
    sandbox.write(&shard, &flipped);
    sandbox.write(&shard.replace("reg/", "mirror/"), &flipped);
    pull("none").fails(3, "frame's BLAKE3");
    assert!(!sandbox.path("none").exists());
}

#[test]
fn a_version_that_gave_wrong_bytes_is_named_by_verify() {
    let (sandbox, reference) = Sandbox::published();
    sandbox.pull(&reference, &["--to", "tree"]).ok();
    assert!(!sandbox.isn(&["cache", "verify"]).ok().stdout.contains("doubted"));
    let index = "ab".repeat(32);
    sandbox.write(&format!("home/cache/hints/doubted/{index}"), b"");
    let said = sandbox.isn(&["cache", "verify", "--json"]).ok();
    assert_eq!(said.json()["doubted"], serde_json::json!([format!("b3:{index}")]));
    assert!(
        sandbox.isn(&["cache", "verify"]).ok().stdout.contains("doubted: 1 version, which gave wrong bytes")
    );
}

#[test]
fn a_fetch_that_keeps_nothing_says_nothing_of_a_network() {
    let (sandbox, _) = Sandbox::published();
    sandbox.write("file", b"");
    for (version, registry) in [("grads@1.0", "reg"), ("demobirds@1.0", "bundled")] {
        let mut fetch = sandbox.command(&["fetch", version, "--registry", registry]);
        let ran = crate::sandbox::ran(fetch.env("ISN_CACHE", "file"));
        let ran = ran.fails(1, "the cache file cannot be written to");
        assert!(!ran.stderr.contains("offline"), "{registry}: {}", ran.stderr);
    }
}

#[test]
fn versions_of_the_same_images_have_tables_of_their_own() {
    let sandbox = Sandbox::new();
    sandbox.image_folder("raw", &["ant", "bee"], 4);
    sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();
    for (version, out) in [("1.0", "out"), ("1.1", "out2")] {
        sandbox.recipe("grads", version, &["ant", "bee"], "");
        let recipe = format!("grads-{version}.toml");
        sandbox.isn(&["build", &recipe, "--source", "raw", "--out", out]).ok();
        sandbox.publish(out);
        // A source file that is another one, of the same picture: its index is another one, too.
        let name = format!("raw/{}", files(&sandbox, "raw")[0].0);
        let bytes = sandbox.read(&name);
        sandbox.write(&name, &[&bytes[..], b"more"].concat());
    }
    sandbox.trust_me("reg");
    let args = |verb: &'static str, version| vec![verb, version, "--registry", "reg"];
    let hash = |version| sandbox.isn(&[&args("info", version)[..], &["--json"]].concat()).ok().json();
    assert_eq!(hash("grads@1.0")["dataset"], hash("grads@1.1")["dataset"]);
    sandbox.isn(&args("fetch", "grads@1.0")).ok();
    for (version, to) in [("grads@1.1", "one"), ("grads@1.0", "other")] {
        sandbox.isn(&[&args("export", version)[..], &["--as", "webdataset", "--to", to]].concat()).ok();
    }
    assert_eq!(kept(&sandbox, "tables").len(), 2);
    sandbox.isn(&["cache", "verify"]).ok();
}

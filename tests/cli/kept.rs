//! Files that isn 0.1.0 wrote, `tests/vectors/program-0.1.0`, are read, continued and restored by the current
//! program. A fixture is never edited, and each of its folders has a test here.

use std::fs;
use std::path::{Path, PathBuf};

use crate::sandbox::{Ran, Sandbox, contents, ran};

const PIN: &str = "golden@1.0#b3:f88ef4a341873343381f766de3c1a6bccbb0e0829470ab1b863375c027e1ae2f";

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/program-0.1.0")
}

/// Copies the whole fixture as if this sandbox had written it; nothing answers on its server's port.
fn kept() -> Sandbox {
    let sandbox = Sandbox::new();
    let here = fs::canonicalize(sandbox.path("")).unwrap();
    for (name, mut bytes) in contents(&vectors()) {
        if let Ok(text) = std::str::from_utf8(&bytes) {
            bytes = text.replace("@DIR@", here.to_str().unwrap()).replace("@PORT@", "1").into_bytes();
        }
        sandbox.write(&name, &bytes);
        // Git keeps no file modes, and keys must be readable by their owner alone.
        #[cfg(unix)]
        if name.starts_with("home/") {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(sandbox.path(&name), fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
    sandbox
}

/// Runs isn in the kept project, with the kept cache.
fn isn(sandbox: &Sandbox, args: &[&str]) -> Ran {
    let mut command = sandbox.command(args);
    ran(command.current_dir(sandbox.path("project")).env("ISN_CACHE", sandbox.path("cache")))
}

/// The files of a folder except `ISN.json`, which names the program.
fn files(sandbox: &Sandbox, name: &str) -> Vec<(String, Vec<u8>)> {
    let mut files = contents(&sandbox.path(name));
    files.retain(|(name, _)| name != "ISN.json");
    files
}

#[test]
fn trees_are_whole() {
    let sandbox = kept();
    for tree in ["tree", "tree-val", "fetched"] {
        isn(&sandbox, &["verify", tree, "--expect", PIN]).ok();
        isn(&sandbox, &["verify", tree, "--expect", "golden@1.0", "--registry", "../registries/one"]).ok();
    }
    isn(&sandbox, &["verify", "newer", "--expect", "golden@1.1", "--registry", "../registries/all"]).ok();
    // They are pulled again, byte for byte.
    isn(&sandbox, &["pull", "golden@1.0", "--registry", "../registries/one", "--no-cache", "--to", "again"])
        .ok();
    assert_eq!(files(&sandbox, "project/again"), files(&sandbox, "project/tree"));
}

#[test]
fn registries_are_whole_and_their_logs_go_on_from_what_was_seen() {
    let sandbox = kept();
    let sizes = [
        ("empty", 0),
        ("one", 2),
        ("all", 7),
        ("rebuild", 2),
        ("mirror", 2),
        ("served", 2),
        ("claimed", 2),
        ("written", 2),
    ];
    for (name, size) in sizes {
        let registry = format!("../registries/{name}");
        let report = isn(&sandbox, &["log", "verify", "--registry", &registry, "--json"]).ok().json();
        assert_eq!(report["size"], size, "{name}");
        isn(&sandbox, &["verify", &registry]).ok();
    }
    let info = isn(&sandbox, &["info", "golden@1.0", "--registry", "../registries/all"]);
    info.fails(6, "withdrawn");
    let pulled = isn(&sandbox, &["pull", "golden", "--registry", "../registries/all", "--to", "newest"]).ok();
    assert!(!pulled.stderr.contains("first contact"), "{}", pulled.stderr);
    assert_eq!(files(&sandbox, "project/newest"), files(&sandbox, "project/newer"));
    isn(&sandbox, &["prove", "golden@1.1", "--registry", "../registries/all", "--out", "proof"]).ok();
    assert_eq!(sandbox.read("project/proof"), sandbox.read("project/golden.tlog-proof"));
    // What was built but not published is published with the kept keys.
    isn(&sandbox, &["publish", "../build-1.1", "--registry", "../registries/one", "--key", "me"]).ok();
    isn(&sandbox, &["pull", "golden@1.1", "--registry", "../registries/one", "--to", "published"]).ok();
    assert_eq!(files(&sandbox, "project/published"), files(&sandbox, "project/newer"));
}

#[test]
fn the_lock_file_restores_its_trees() {
    let sandbox = kept();
    for tree in ["tree", "tree-val", "newer"] {
        let before = files(&sandbox, &format!("project/{tree}"));
        fs::remove_dir_all(sandbox.path("project").join(tree)).unwrap();
        isn(&sandbox, &["sync", "--locked"]).ok();
        assert_eq!(files(&sandbox, &format!("project/{tree}")), before);
    }
}

#[test]
fn the_cache_serves_offline() {
    let sandbox = kept();
    isn(&sandbox, &["cache", "verify"]).ok();
    // Only the cache is left: the registry does not answer, and the trees are gone.
    for tree in ["tree", "tree-val", "fetched"] {
        fs::remove_dir_all(sandbox.path("project").join(tree)).unwrap();
    }
    let pull = ["pull", PIN, "--offline", "--registry", "http://127.0.0.1:1", "--to", "offline"];
    isn(&sandbox, &pull).ok();
    isn(&sandbox, &["verify", "offline", "--expect", PIN]).ok();
}

#[test]
fn exports_come_out_as_they_did() {
    let sandbox = kept();
    for (format, more) in [
        ("webdataset", &[][..]),
        ("npz", &["--size", "8"]),
        ("tfrecord", &[]),
        ("mds", &[]),
        ("croissant", &[]),
    ] {
        let to = format!("again/{format}");
        let export = ["export", "golden@1.0", "--registry", "../registries/one", "--as", format, "--to", &to];
        isn(&sandbox, &[&export[..], more].concat()).ok();
        let (now, then) = (format!("project/{to}"), format!("project/exports/{format}"));
        assert_eq!(files(&sandbox, &now), files(&sandbox, &then), "{format}");
    }
}

#[test]
fn claims_of_killed_publishers_are_not_signed_unread_and_their_keys_holder_may_remove_them() {
    let sandbox = kept();
    for name in ["claimed", "written"] {
        let registry = format!("../registries/{name}");
        let publish = ["publish", "../build-1.1", "--registry", &registry, "--key", "me"];
        // 0.1.0 did not sign claims, so anybody may have made this one.
        isn(&sandbox, &publish).fails(4, "isn log unclaim");
        assert_eq!(
            isn(&sandbox, &["log", "verify", "--registry", &registry, "--json"]).ok().json()["size"],
            2
        );
        isn(&sandbox, &["log", "unclaim", "--registry", &registry]).ok();
        isn(&sandbox, &publish).ok();
        isn(&sandbox, &["verify", &registry]).ok();
    }
}

#[test]
fn what_killed_commands_left_stays_and_is_named() {
    let sandbox = kept();
    let one = ["--registry", "../registries/one"];
    let commands: [(&str, Vec<&str>); 3] = [
        (
            ".killed.06d9955dd09e4a12.isn-partial",
            [&["pull", "golden@1.0", "--to", "killed", "--no-cache"][..], &one[..]].concat(),
        ),
        (
            ".killed-export.isn-partial",
            [&["export", "golden@1.0", "--as", "webdataset", "--to", "killed-export"][..], &one[..]].concat(),
        ),
        (
            ".killed-build.isn-partial",
            vec!["build", "../recipe-1.0.toml", "--source", "../source", "--out", "killed-build"],
        ),
    ];
    for (left, command) in commands {
        let folder = format!("project/{left}");
        let before = contents(&sandbox.path(&folder));
        // 0.1.0 did not mark its folders, so isn cannot tell it from somebody else's folder.
        let refused = isn(&sandbox, &command).fails(1, left);
        assert!(refused.stderr.contains("was not made by isn"), "{}", refused.stderr);
        assert_eq!(contents(&sandbox.path(&folder)), before);
        fs::remove_dir_all(sandbox.path(&folder)).unwrap();
        isn(&sandbox, &command).ok();
    }
}

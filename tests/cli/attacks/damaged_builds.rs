//! A build or a registry in which something is not what it must be is told with help that fits it.

use std::fs;

use crate::sandbox::{Ran, Sandbox};

/// A build whose files were changed, and what its verbs say.
struct Build {
    sandbox: Sandbox,
}

impl Build {
    fn new() -> Self {
        let sandbox = Sandbox::built();
        sandbox.copy("out", "kept");
        Build { sandbox }
    }

    fn restore(&self) {
        fs::remove_dir_all(self.sandbox.path("out")).unwrap();
        self.sandbox.copy("kept", "out");
    }

    /// Runs every verb that reads a build.
    fn verbs(&self) -> Vec<Ran> {
        let verbs = [
            &["verify", "out"][..],
            &["diff", "out", "kept"],
            &["audit", "duplicates", "out"],
            &["publish", "out", "--registry", "reg", "--key", "me"],
        ];
        verbs.iter().map(|args| self.sandbox.isn(args)).collect()
    }
}

#[test]
fn a_damaged_build_is_to_be_built_again() {
    let build = Build::new();
    let sandbox = &build.sandbox;
    let manifest = isn_format::digest::Digest::of(&sandbox.read("out/manifest.json")).to_string();
    let object = format!("out/objects/{}/{manifest}.json", &manifest[..2]);
    let json: serde_json::Value = serde_json::from_slice(&sandbox.read("out/manifest.json")).unwrap();
    let index = json["objects"]["index"]["blake3"].as_str().unwrap();
    let index = format!("out/objects/{}/{index}.jsonl.zst", &index[..2]);
    let changes: [(&str, &dyn Fn()); 5] = [
        ("the object is missing", &|| fs::remove_file(sandbox.path(&object)).unwrap()),
        ("an object is missing", &|| fs::remove_file(sandbox.path(&index)).unwrap()),
        ("an object is cut", &|| sandbox.write(&index, b"x")),
        ("manifest.json is too long", &|| {
            let file = fs::File::options().write(true).open(sandbox.path("out/manifest.json")).unwrap();
            file.set_len(3 << 30).unwrap();
        }),
        ("a folder is in the place of an object", &|| {
            fs::remove_file(sandbox.path(&object)).unwrap();
            fs::create_dir(sandbox.path(&object)).unwrap();
        }),
    ];
    for (what, change) in changes {
        change();
        for ran in build.verbs() {
            let ran = ran.fails(3, "");
            assert!(ran.stderr.contains("build it again"), "{what}: {}", ran.stderr);
            assert!(!ran.stderr.contains("operator"), "{what}: {}", ran.stderr);
        }
        build.restore();
    }
    // The verbs that are not for folders without a manifest say that it is none.
    fs::remove_file(sandbox.path("out/manifest.json")).unwrap();
    fs::create_dir(sandbox.path("out/manifest.json")).unwrap();
    for args in [&["verify", "out"][..], &["publish", "out", "--registry", "reg", "--key", "me"]] {
        let ran = sandbox.isn(args).fails(3, "manifest.json");
        assert!(ran.stderr.contains("build it again") && !ran.stderr.contains("ls -l"), "{}", ran.stderr);
    }
}

#[test]
fn a_build_of_a_newer_format_is_not_to_be_removed() {
    let build = Build::new();
    let sandbox = &build.sandbox;
    let manifest = String::from_utf8(sandbox.read("out/manifest.json")).unwrap();
    let newer = manifest.replace("isn-manifest/1", "isn-manifest/9");
    sandbox.write("out/manifest.json", newer.as_bytes());
    let digest = isn_format::digest::Digest::of(newer.as_bytes()).to_string();
    for is_named in [false, true] {
        if is_named {
            sandbox.write(&format!("out/objects/{}/{digest}.json", &digest[..2]), newer.as_bytes());
        }
        for ran in build.verbs() {
            let ran = ran.fails(1, "a newer isn may read it");
            assert!(!ran.stderr.contains("build it again"), "{}", ran.stderr);
        }
    }
}

/// What is in the place of a registry's file has no permissions to be changed.
#[test]
fn what_is_no_file_in_the_place_of_a_registrys() {
    let (sandbox, pin) = Sandbox::published();
    let shard = sandbox.objects("reg", ".tar.zst").remove(0);
    for path in ["reg/releases/names", "reg/releases/grads/1.0", &shard] {
        let bytes = sandbox.read(path);
        for kind in ["folder", "pipe"] {
            fs::remove_file(sandbox.path(path)).unwrap();
            match kind {
                "folder" => fs::create_dir(sandbox.path(path)).unwrap(),
                _ => {
                    let made = std::process::Command::new("mkfifo").arg(sandbox.path(path)).status().unwrap();
                    assert!(made.success());
                }
            }
            let ran = sandbox.isn(&["verify", "reg"]).fails(3, path.trim_start_matches("reg/"));
            assert!(!ran.stderr.contains("ls -l"), "{kind} {path}: {}", ran.stderr);
            if path == shard {
                let pull = ["pull", &pin, "--registry", "reg", "--no-cache", "--to", "tree"];
                let ran = sandbox.isn(&pull).fails(5, path);
                let help = "move away what is there, and restore the file";
                assert!(ran.stderr.contains(help) && !ran.stderr.contains("ls -l"), "{}", ran.stderr);
            }
            match kind {
                "folder" => fs::remove_dir(sandbox.path(path)).unwrap(),
                _ => fs::remove_file(sandbox.path(path)).unwrap(),
            }
            sandbox.write(path, &bytes);
        }
    }
    sandbox.isn(&["verify", "reg"]).ok();
}

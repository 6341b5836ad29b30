//! What a user does in a tree while isn works there is not lost, and a tree's own files do not override what
//! isn knows.

use std::fs;
use std::process::Stdio;

use crate::sandbox::{Sandbox, contents, ended, eventually};
use crate::server::{Fault, Server};

#[test]
fn what_is_written_while_a_tree_is_replaced_is_not_lost() {
    let (sandbox, _) = Sandbox::published();
    sandbox.build_second_version();
    sandbox.publish("out2");
    sandbox.pull("grads@1.0", &["--to", "tree"]).ok();
    let image = contents(&sandbox.path("tree/train"))[0].0.clone();
    let image = format!("tree/train/{image}");
    let whole = contents(&sandbox.path("tree"));
    for name in ["tree/notes.txt", "tree/train/ant/mine.csv", &image, "tree/mine/"] {
        let server = Server::faulty(&sandbox.path("reg"), ".tar.zst", usize::MAX, Fault::Throttle(20_000));
        sandbox.trust_me(&server.url);
        let args = ["pull", "grads@1.1", "--registry", &server.url, "--no-cache", "--to", "tree"];
        let mut command = sandbox.command(&args);
        let pull = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        eventually("an image is asked for", || {
            server.log().iter().any(|request| request.path.ends_with(".tar.zst"))
        });
        match name.strip_suffix('/') {
            Some(folder) => fs::create_dir(sandbox.path(folder)).unwrap(),
            None => sandbox.write(name, b"all of it"),
        }
        let changed = format!("{} changed during the pull", name.trim_end_matches('/'));
        ended(pull).fails(1, &changed);
        match name.strip_suffix('/') {
            Some(folder) => fs::remove_dir(sandbox.path(folder)).unwrap(),
            None => {
                assert_eq!(sandbox.read(name), b"all of it");
                fs::remove_file(sandbox.path(name)).unwrap();
            }
        }
        if let Some((_, bytes)) = whole.iter().find(|(path, _)| format!("tree/{path}") == name) {
            sandbox.write(name, bytes);
        }
        assert!(contents(&sandbox.path("tree")) == whole, "{name}");
        assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());
    }
    sandbox.pull("grads@1.1", &["--to", "tree"]).ok();
}

#[test]
fn what_a_tree_says_of_itself_is_what_the_last_pull_knows() {
    let (sandbox, pin) = Sandbox::published();
    sandbox.pull("grads@1.0", &["--to", "tree"]).ok();
    let json = sandbox.read("tree/ISN.json");
    let text = String::from_utf8(json.clone()).unwrap();
    let forged = text.replace("Drawn gradients", "Free birds").replace("CC0-1.0", "MIT");
    assert_ne!(forged, text);
    for bad in [forged.as_bytes(), b"{}", b"no JSON"] {
        sandbox.write("tree/ISN.json", bad);
        sandbox.pull("grads@1.0", &["--to", "tree"]).fails(0, "tree/ISN.json was written anew");
        assert_eq!(sandbox.read("tree/ISN.json"), json);
    }
    fs::remove_file(sandbox.path("tree/ISN.json")).unwrap();
    sandbox.pull("grads@1.0", &["--to", "tree"]).ok();
    assert_eq!(sandbox.read("tree/ISN.json"), json);
    let again = sandbox.pull("grads@1.0", &["--to", "tree"]).ok();
    assert!(!again.stderr.contains("ISN.json"), "{}", again.stderr);

    // A user who trusts nobody does not remove a signature.
    fs::rename(sandbox.path("home"), sandbox.path("kept")).unwrap();
    sandbox.pull(&pin, &["--to", "tree"]).fails(0, "(signed_by): it was left as it is");
    assert_eq!(sandbox.read("tree/ISN.json"), json);
    sandbox.pull(&pin, &["--to", "stranger"]).ok();
    let unsigned = sandbox.read("stranger/ISN.json");
    assert_ne!(unsigned, json);
    let _ = fs::remove_dir_all(sandbox.path("home"));
    fs::rename(sandbox.path("kept"), sandbox.path("home")).unwrap();
    sandbox.pull("grads@1.0", &["--to", "stranger"]).fails(0, "(signed_by)");
    assert_eq!(sandbox.read("stranger/ISN.json"), json);
    assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());
}

#[test]
fn a_list_of_another_versions_images_is_refused() {
    let (sandbox, _) = Sandbox::published();
    sandbox.image_folder("raw2", &["ant", "bee", "cat"], 8);
    for name in ["ant/ant_3.png", "bee/bee_5.png"] {
        crate::sandbox::gradient(70, 50, 222).save(sandbox.path("raw2").join(name)).unwrap();
    }
    sandbox.recipe("grads", "1.1", &["ant", "bee", "cat"], "");
    sandbox.isn(&["build", "grads-1.1.toml", "--source", "raw2", "--out", "out2"]).ok();
    sandbox.publish("out2");
    for version in ["1.0", "1.1"] {
        sandbox.pull(&format!("grads@{version}"), &["--to", version]).ok();
    }
    let lines = |version: &str| -> Vec<String> {
        let sums = String::from_utf8(sandbox.read(&format!("{version}/B3SUMS"))).unwrap();
        sums.lines().filter(|line| line.ends_with(".png")).map(Into::into).collect()
    };
    let (old, new) = (lines("1.0"), lines("1.1"));
    let other: Vec<&String> =
        old.iter().filter(|line| !new.contains(line) && new.iter().any(|n| n[66..] == line[66..])).collect();
    assert_eq!(other.len(), 2);
    sandbox.write("list", (old[..].join("\n") + "\n").as_bytes());
    let verbs: [&[&str]; 4] =
        [&["pull", "--to", "part"], &["images"], &["fetch"], &["export", "--as", "npz", "--to", "part"]];
    for verb in verbs {
        let args = [verb, &["grads@1.1", "--registry", "reg", "--images", "list"]].concat();
        let ran = sandbox.isn(&args).fails(1, &format!("--images has {} mistakes", other.len()));
        assert!(other.iter().all(|line| ran.stderr.contains(&line[..64])), "{verb:?}: {}", ran.stderr);
        assert!(!sandbox.path("part").exists());
    }
    // For the version itself the listed images are valid.
    sandbox.isn(&["pull", "grads@1.0", "--registry", "reg", "--images", "list", "--to", "part"]).ok();
}

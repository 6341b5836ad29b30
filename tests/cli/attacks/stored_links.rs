//! Links in a registry's folder, at every level of every path that a writer uses, to a folder and to a file.
//! isn must not write, replace or remove anything at the target; the link stays, and a writer that would have
//! written there is told its name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::forger::{Forger, WRITERS};
use crate::sandbox::Ran;
#[cfg(all(feature = "serve", target_os = "linux"))]
use crate::sandbox::{contents, ran};

/// Somebody's files at a link's target, some with names like isn's own.
const PRECIOUS: [&str; 8] = ["0", "1", "2", "4", "thesis", "photos/1", ".isn-tmp-mine", "versions"];

/// Returns everything below a folder: files with their bytes, folders, links with their targets.
fn all(root: &Path) -> BTreeMap<String, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_string();
            let about = path.symlink_metadata().unwrap();
            if about.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                found.insert(name, Some(target.to_str().unwrap().as_bytes().to_vec()));
            } else if about.is_dir() {
                open.push(path);
                found.insert(name, None);
            } else {
                found.insert(name, Some(fs::read(&path).unwrap()));
            }
        }
    }
    found
}

fn copy(forger: &Forger, from: &str, to: &str) {
    let _ = fs::remove_dir_all(forger.path(to));
    // Keeps permissions, times and empty folders.
    let copied = Command::new("cp").arg("-a").arg(forger.path(from)).arg(forger.path(to)).status().unwrap();
    assert!(copied.success());
}

/// Runs a writer of `folder` with a link at each path that it finds or makes.
fn follows_nothing(forger: &Forger, folder: &str, write: impl Fn(&Forger) -> Ran) {
    copy(forger, folder, "saved-folder");
    copy(forger, "home", "saved-home");
    let before = all(&forger.path(folder));
    write(forger).ok();
    let after = all(&forger.path(folder));
    let is_passing = |path: &str| path.ends_with(".isn-lock") || path.contains(".isn-tmp-");
    let paths: BTreeSet<&String> =
        before.keys().chain(after.keys()).filter(|path| !is_passing(path)).collect();
    // Paths that changed, and the folders above them, are those that were written or removed.
    let changed: BTreeSet<&String> =
        paths.iter().copied().filter(|path| before.get(*path) != after.get(*path)).collect();
    let is_written = |path: &String| changed.iter().any(|other| Path::new(other).starts_with(path));
    assert!(!changed.is_empty());

    let mut faults = Vec::new();
    for path in paths {
        for to_folder in [true, false] {
            copy(forger, "saved-folder", folder);
            copy(forger, "saved-home", "home");
            let _ = fs::remove_dir_all(forger.path("outside"));
            let (link, target) = (forger.path(&format!("{folder}/{path}")), forger.path("outside/it"));
            fs::create_dir_all(forger.path("outside")).unwrap();
            // The link's target is the original, if it is of that kind.
            if link.exists() && link.is_dir() == to_folder {
                fs::rename(&link, &target).unwrap();
            } else if link.is_dir() {
                fs::remove_dir_all(&link).unwrap();
            } else {
                let _ = fs::remove_file(&link);
            }
            match to_folder {
                true => PRECIOUS.iter().for_each(|name| {
                    if !target.join(name).exists() {
                        forger.write(&format!("outside/it/{name}"), b"all of it");
                    }
                }),
                false if !target.exists() => forger.write("outside/it", b"all of it"),
                false => {}
            }
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(&target, &link).unwrap();
            let precious = all(&forger.path("outside"));
            let ran = write(forger);
            let what = if to_folder { "a folder" } else { "a file" };
            let mut wrong = |why: &str| {
                faults.push(format!("{folder}/{path} is a link to {what}: {why}\n  {}", ran.stderr))
            };
            if all(&forger.path("outside")) != precious {
                wrong("something outside changed");
            }
            if !link.is_symlink() {
                wrong("the link was replaced");
            }
            if is_written(path) && (ran.code == 0 || !ran.stderr.contains(&format!("{folder}/{path}"))) {
                wrong("it is not an error that names it");
            }
        }
    }
    copy(forger, "saved-folder", folder);
    copy(forger, "saved-home", "home");
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

const BY_ME: [&str; 4] = ["--registry", "reg", "--key", "me"];

fn isn<'a>(args: &'a [&'a str]) -> impl Fn(&Forger) -> Ran + 'a {
    move |forger| forger.isn(&[args, &BY_ME].concat())
}

#[test]
fn publish_writes_through_no_link() {
    follows_nothing(&Forger::new(), "reg", isn(&["publish", "out2"]));
}

#[test]
fn what_owners_say_is_written_through_no_link() {
    let forger = Forger::new();
    forger.new_key("you");
    follows_nothing(&forger, "reg", isn(&["yank", "grads@1.0", "--reason", "why"]));
    follows_nothing(&forger, "reg", isn(&["owner", "add", "grads", "you"]));
    follows_nothing(&forger, "reg", isn(&["key", "rotate", "me", "you"]));
    follows_nothing(&forger, "reg", |forger| forger.isn(&["registry", "rotate-key", "reg"]));
}

/// Other writers share the code of those above; this tests each of them where a link does most harm.
#[test]
fn no_writer_writes_through_a_link_in_the_place_of_the_log() {
    let forger = Forger::new();
    forger.new_key("stranger");
    let yank = ["yank", "grads@1.0", "--reason", "why", "--registry", "reg", "--key", "me"];
    forger.isn(&[&yank[..], &["--statement", "collected"]].concat()).ok();
    for folder in ["log", "log/.isn-claims", "log/tile"] {
        copy(&forger, "reg", "outside");
        let link = forger.path("reg").join(folder);
        let _ = fs::remove_dir_all(&link);
        fs::create_dir_all(forger.path("outside").join(folder)).unwrap();
        symlink(forger.path("outside").join(folder), &link).unwrap();
        let (before, in_home) = (all(&forger.path("outside")), all(&forger.path("home/logs")).len());
        for args in WRITERS.into_iter().filter(|args| **args != ["registry", "init", "reg"]) {
            let ran = forger.isn(args);
            assert!(ran.code != 0 && ran.stderr.contains(folder), "{folder}, {args:?}: {}", ran.stderr);
            assert!(all(&forger.path("outside")) == before, "{folder}, {args:?} wrote through it");
            assert!(link.is_symlink(), "{folder}, {args:?}");
        }
        assert!(all(&forger.path("home/logs")).len() >= in_home);
        fs::remove_file(&link).unwrap();
        copy(&forger, "outside", "reg");
    }
}

#[test]
fn mirror_writes_through_no_link() {
    let forger = Forger::new();
    forger.isn(&["mirror", "reg", "copy"]).ok();
    forger.isn(&["publish", "out2", "--registry", "reg", "--key", "me"]).ok();
    follows_nothing(&forger, "copy", |forger| forger.isn(&["mirror", "reg", "copy"]));
}

/// The server may read the registry through links, but writes through none.
#[cfg(all(feature = "serve", target_os = "linux"))]
#[test]
fn serve_accepts_nothing_through_a_link() {
    use crate::serve::Served;
    const TOKEN: &str = "2f6b0c3e9a7d4851b6c0d2e4f6a8091b";
    let forger = Forger::new();
    forger.write("tokens", format!("ci {}\n", blake3::hash(TOKEN.as_bytes())).as_bytes());
    copy(&forger, "reg", "saved-reg");
    copy(&forger, "home", "saved-home");
    let publish = |forger: &Forger| {
        let served = Served::start(forger, &["--publish-tokens", "tokens"]);
        let host = served.url.split("//").nth(1).unwrap().trim_end_matches('/');
        let mut command = forger.command(&["publish", "out2", "--registry", &served.url, "--key", "me"]);
        ran(command.env("ISN_TOKENS", format!("{host}={TOKEN}")))
    };
    let before = contents(&forger.path("reg"));
    publish(&forger).ok();
    let after = contents(&forger.path("reg"));
    let is_new = |(name, bytes): &&(String, Vec<u8>)| !before.contains(&(name.clone(), bytes.clone()));
    let written: Vec<&String> = after.iter().filter(is_new).map(|(name, _)| name).collect();
    let folders: BTreeSet<&Path> = written
        .iter()
        .filter(|path| !path.contains(".isn-"))
        .flat_map(|path| Path::new(path).ancestors().filter(|path| !path.as_os_str().is_empty()))
        .collect();
    assert!(folders.contains(Path::new("log/tile")) && folders.contains(Path::new("releases/grads")));
    let mut accepted = Vec::new();
    for path in folders {
        copy(&forger, "saved-reg", "reg");
        copy(&forger, "saved-home", "home");
        let _ = fs::remove_dir_all(forger.path("outside"));
        let (link, target) = (forger.path("reg").join(path), forger.path("outside/it"));
        fs::create_dir_all(forger.path("outside")).unwrap();
        if fs::rename(&link, &target).is_err() {
            fs::create_dir_all(&target).unwrap();
        }
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        if target.is_dir() {
            PRECIOUS.iter().filter(|name| !target.join(name).exists()).for_each(|name| {
                forger.write(&format!("outside/it/{name}"), b"all of it");
            });
        }
        symlink(&target, &link).unwrap();
        let precious = all(&forger.path("outside"));
        // What it would not serve keeps the server from starting.
        let top = ["log/checkpoint", "objects", "packs", "pins", "releases"];
        let starts = !top.iter().any(|served| Path::new(served).starts_with(path));
        let path = path.display();
        if !starts {
            forger.isn(&["serve", "reg", "--listen", "127.0.0.1:0"]).fails(1, "is a symlink to what");
        } else if publish(&forger).code == 0 {
            accepted.push(path.to_string());
        }
        assert!(all(&forger.path("outside")) == precious, "{path}: the target was changed");
        assert!(link.is_symlink(), "{path} was replaced");
    }
    assert_eq!(accepted, [""; 0]);
}

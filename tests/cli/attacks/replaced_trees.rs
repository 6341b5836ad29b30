//! Destinations of trees: what others have, write or mount there, and what a kill leaves between two steps.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use crate::sandbox::{ISN, Sandbox, contents, has_tool};

/// Returns a sandbox with versions 1.0 and 1.1 published, and 1.0 pulled to `tree`.
pub(super) fn with_tree() -> Sandbox {
    let (sandbox, _) = Sandbox::published();
    sandbox.build_second_version();
    sandbox.publish("out2");
    sandbox.pull("grads@1.0", &["--to", "tree"]).ok();
    sandbox
}

const TO_SECOND: [&str; 7] = ["pull", "grads@1.1", "--registry", "reg", "--no-cache", "--to", "tree"];

/// Runs `isn` under strace, which injects the faults of `inject`, and returns its log of `calls`.
fn traced(sandbox: &Sandbox, args: &[&str], calls: &str, inject: &[String]) -> String {
    let log = sandbox.path("strace.log");
    let mut command = sandbox.program("strace");
    command.args(["-f", "-o"]).arg(&log).args(["-e", &format!("trace={calls}")]);
    for inject in inject {
        command.args(["-e", &format!("inject={inject}")]);
    }
    command.arg(ISN).args(args).output().unwrap();
    fs::read_to_string(log).unwrap()
}

/// Whether system calls can be counted and changed here: the names in use are those of x86_64.
fn can_trace() -> bool {
    cfg!(target_arch = "x86_64") && has_tool("strace")
}

/// Kills `isn` just before the call that `which` selects from the log of an earlier run in an equal sandbox.
fn killed_at(
    make: impl Fn() -> Sandbox,
    args: &[&str],
    inject: &[String],
    which: impl Fn(&[&str]) -> Option<usize>,
) -> Sandbox {
    let (sandbox, log) = failing_at(make, args, inject, "signal=KILL", which);
    assert!(log.contains("killed by SIGKILL"), "{log}");
    sandbox
}

/// Makes a selected call of `isn` fail with `fault`; returns the sandbox and the log.
fn failing_at(
    make: impl Fn() -> Sandbox,
    args: &[&str],
    inject: &[String],
    fault: &str,
    which: impl Fn(&[&str]) -> Option<usize>,
) -> (Sandbox, String) {
    const CALLS: &str = "fsync,rename,renameat,renameat2";
    let log = traced(&make(), args, CALLS, inject);
    let lines: Vec<&str> = log.lines().collect();
    let at = which(&lines).unwrap_or_else(|| panic!("no such call in {log}"));
    let (thread, call) = lines[at].split_once(' ').unwrap();
    let name = call.trim_start().split('(').next().unwrap();
    let is_call = |line: &&&str| line.starts_with(thread) && line.contains(&format!(" {name}("));
    let when = lines[..=at].iter().filter(is_call).count();
    let sandbox = make();
    // A second injection into the same call would replace the first.
    assert!(inject.iter().all(|inject| !inject.starts_with(&format!("{name}:"))));
    let log = traced(&sandbox, args, CALLS, &[inject, &[format!("{name}:{fault}:when={when}")]].concat());
    (sandbox, log)
}

/// Returns the index of the `number`th line with `after`, counted from the first line with `mark`.
fn line_of(lines: &[&str], mark: &str, after: &str, number: usize) -> Option<usize> {
    let at = lines.iter().position(|line| line.contains(mark))?;
    let mut behind = (at..lines.len()).filter(|at| lines[*at].contains(after));
    behind.nth(number)
}

/// Kills a pull of the second version right after the exchange of the trees.
fn killed_after_the_exchange() -> Sandbox {
    killed_at(with_tree, &TO_SECOND, &[], |lines| line_of(lines, "RENAME_EXCHANGE", " fsync(", 0))
}

/// Makes the `number`th `call` since the exchange of the trees fail, and checks that the new tree is in
/// place.
fn failed_after_the_exchange(call: &str, number: usize) -> Sandbox {
    let (sandbox, log) = failing_at(with_tree, &TO_SECOND, &[], "error=EIO", |lines| {
        line_of(lines, "RENAME_EXCHANGE", call, number)
    });
    assert!(log.contains("EIO"), "{log}");
    sandbox.isn(&["verify", "tree", "--expect", "grads@1.1", "--registry", "reg"]).ok();
    sandbox
}

/// Returns the path of a tree of the first version that is not at `tree`.
fn replaced(sandbox: &Sandbox) -> PathBuf {
    let folders = sandbox.leftovers().into_iter().map(|name| sandbox.path(&name));
    let below =
        |folder: PathBuf| fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let is_first = |path: &PathBuf| {
        fs::read_to_string(path.join("ISN.json")).is_ok_and(|json| json.contains("grads@1.0#"))
    };
    let found = folders.flat_map(|folder| [folder.clone()].into_iter().chain(below(folder)));
    found.into_iter().find(is_first).unwrap_or_else(|| panic!("{:?}", sandbox.leftovers()))
}

fn kept(sandbox: &Sandbox) -> String {
    String::from_utf8(sandbox.read("tree.before-1/notes")).unwrap()
}

#[test]
fn what_was_written_to_a_replaced_tree_outlives_a_kill() {
    if !can_trace() {
        return;
    }
    for next in ["grads@1.1", "grads@1.0"] {
        let sandbox = killed_after_the_exchange();
        let old = replaced(&sandbox);
        fs::write(old.join("notes"), "all of it").unwrap();
        let ran = sandbox.pull(next, &["--to", "tree"]).ok();
        assert_eq!(kept(&sandbox), "all of it", "{next}");
        assert!(ran.stderr.contains("what was there is in tree.before-1"), "{}", ran.stderr);
        sandbox.isn(&["verify", "tree", "--expect", next, "--registry", "reg"]).ok();
        // A tree that nobody has written to is not kept.
        let sandbox = killed_after_the_exchange();
        replaced(&sandbox);
        sandbox.pull(next, &["--to", "tree"]).ok();
        assert!(!sandbox.path("tree.before-1").exists());
        assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());
    }
}

#[test]
fn where_folders_cannot_be_exchanged_a_kill_loses_nothing_and_leaves_nothing() {
    if !can_trace() {
        return;
    }
    let cannot = ["renameat2:error=EINVAL".to_string()];
    // Before the old tree is moved away, before the new one arrives, and before the old one takes the new
    // one's former place.
    for step in 0..3 {
        for write in [false, true] {
            let which = |lines: &[&str]| line_of(lines, "RENAME_EXCHANGE", " rename(", step);
            let sandbox = killed_at(with_tree, &TO_SECOND, &cannot, which);
            let is_there = fs::read_to_string(sandbox.path("tree/ISN.json"));
            if write && !is_there.is_ok_and(|json| json.contains("grads@1.0#")) {
                fs::write(replaced(&sandbox).join("notes"), "all of it").unwrap();
            }
            let wrote = contents(&sandbox.path("")).iter().any(|(name, _)| name.ends_with("/notes"));
            let ran = sandbox.pull("grads@1.1", &["--to", "tree"]);
            // A tree that was put back and changed blocks the pull, like any other changed tree.
            if ran.code != 0 {
                assert_eq!(sandbox.read("tree/notes"), b"all of it", "{step}: {}", ran.stderr);
                continue;
            }
            sandbox.isn(&["verify", "tree", "--expect", "grads@1.1", "--registry", "reg"]).ok();
            assert_eq!(wrote, sandbox.path("tree.before-1").exists(), "{step}");
            let mut left = sandbox.leftovers();
            left.retain(|name| !name.ends_with("-lock"));
            assert!(left.is_empty(), "{step}: {left:?}");
        }
    }
}

#[test]
fn what_fails_after_the_exchange_does_not_undo_it_and_loses_nothing() {
    if !can_trace() {
        return;
    }
    let sandbox = failed_after_the_exchange(" fsync(", 0);
    // If the disk loses the new names, the old tree is the only one.
    sandbox.isn(&["verify", "tree.before-1", "--expect", "grads@1.0", "--registry", "reg"]).ok();
    assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());

    // If the old tree cannot even be renamed, the message says where it is, and the next pull cleans up.
    let sandbox = failed_after_the_exchange("renameat2(", 1);
    sandbox.pull("grads@1.1", &["--to", "tree"]).ok();
    assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());
}

#[test]
fn doctor_says_that_folders_cannot_be_exchanged() {
    if !can_trace() {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.write("run", b"#!/bin/sh\nexec strace -f -o log -e inject=renameat2:error=EINVAL \"$@\"\n");
    let ran = crate::sandbox::ran(sandbox.program("sh").args(["run", ISN, "doctor"]));
    assert!(ran.stdout.contains("cannot exchange folders in one step"), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("gone for a moment"), "{}", ran.stdout);
    assert!(!sandbox.isn(&["doctor"]).ok().stdout.contains("exchange"));
}

/// Anybody who may write to a file changes every tree that has a hard link to it.
#[test]
fn what_others_may_write_to_is_copied_and_not_linked() {
    let (sandbox, _) = Sandbox::published();
    let pull = ["pull", "grads@1.0", "--registry", "reg", "--hardlink", "--to"];
    sandbox.isn(&[&pull[..], &["first"]].concat()).ok();
    let images: Vec<String> = contents(&sandbox.path("first")).into_iter().map(|(name, _)| name).collect();
    let images: Vec<&String> = images.iter().filter(|name| name.ends_with(".png")).collect();
    let (all, group, others) = (images[0], images[1], images[2]);
    for (image, mode) in [(all, 0o646), (group, 0o664)] {
        let path = sandbox.path("first").join(image);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    // Only root can give a file away.
    let is_given = std::os::unix::fs::chown(sandbox.path("first").join(others), Some(1), None).is_ok();
    let ran = sandbox.isn(&[&pull[..], &["second", "--json"]].concat()).ok();
    assert_eq!(ran.json()["reused_images"], 24);
    let number = |tree: &str, image: &str| fs::metadata(sandbox.path(tree).join(image)).unwrap().ino();
    for image in &images {
        let is_alone = *image == all || *image == group || (*image == others && is_given);
        assert_eq!(number("first", image) != number("second", image), is_alone, "{image}");
    }
    let warnings = ran.json()["warnings"].to_string();
    let copied = 2 + u32::from(is_given);
    assert!(warnings.contains(&format!("{copied} images were copied, not linked")), "{warnings}");
    assert!(warnings.contains("others may write to") && warnings.contains("chmod -R go-w"), "{warnings}");
    sandbox.isn(&["verify", "second", "--expect", "grads@1.0", "--registry", "reg"]).ok();
}

#[test]
fn a_place_that_cannot_be_had_is_said_before_anything_is_fetched() {
    let (sandbox, pin) = Sandbox::published();
    let server = crate::server::Server::new(&sandbox.path("reg"));
    symlink("nowhere", sandbox.path("link")).unwrap();
    for args in [
        &["pull", &pin, "--registry", &server.url, "--to", "link"][..],
        &["export", &pin, "--registry", &server.url, "--as", "webdataset", "--to", "link"],
        &["build", "grads-1.0.toml", "--source", "raw", "--out", "link"],
        &["demo", "source", "link"],
    ] {
        let said = sandbox.isn(args).fails(1, "link already exists").stderr;
        assert!(said.contains("help: choose another path"), "{said}");
    }
    assert_eq!(server.sent(".tar.zst"), 0);
    assert!(!sandbox.path("nowhere").exists());
    // The same for a mount point.
    let script = format!(
        "mkdir data && mount -t tmpfs none data && for args in 'pull {pin} --registry {} --to data' \
         'export {pin} --registry {} --as webdataset --to data/' \
         'build grads-1.0.toml --source raw --out data' 'demo source data'; do {} $args; echo $?; done",
        server.url, server.url, ISN,
    );
    let Ok(output) = sandbox.program("unshare").args(["-rm", "sh", "-c", &script]).output() else { return };
    let (said, codes) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    if codes.is_empty() {
        eprintln!("nothing can be mounted here: not tried");
        return;
    }
    assert_eq!(codes.split_whitespace().collect::<Vec<_>>(), ["1"; 4], "{said}");
    assert_eq!(said.matches("data already exists, and is a mount point").count(), 4, "{said}");
    assert_eq!(server.sent(".tar.zst"), 0);
}

#[test]
fn what_a_killed_publish_or_lock_left_goes_with_the_next() {
    if !can_trace() {
        return;
    }
    let built = || {
        let (sandbox, _) = Sandbox::published();
        sandbox.build_second_version();
        sandbox
    };
    let publish = ["publish", "out2", "--registry", "reg", "--key", "me"];
    let lock = ["pull", "grads@1.0", "--registry", "reg", "--lock", "--to", "tree"];
    for (args, mark) in [(&publish[..], ".tar.zst\""), (&lock, "isn.lock\"")] {
        let sandbox = killed_at(built, args, &[], |lines| line_of(lines, mark, "", 0));
        let left = sandbox.leftovers();
        assert!(!left.is_empty());
        sandbox.isn(args).ok();
        assert!(sandbox.leftovers().is_empty(), "{left:?}, then {:?}", sandbox.leftovers());
    }
}

/// Somebody's own folder that happens to have the name.
#[test]
fn what_is_beside_a_build_and_not_isns_stays() {
    let (sandbox, _) = Sandbox::published();
    sandbox.build_second_version();
    sandbox.write(".out2.publish.isn-partial/thesis", b"all of it");
    let publish = ["publish", "out2", "--registry", "reg", "--key", "me"];
    sandbox.isn(&publish).fails(1, ".out2.publish.isn-partial was not made by isn");
    assert_eq!(contents(&sandbox.path(".out2.publish.isn-partial")).len(), 1);
    fs::remove_dir_all(sandbox.path(".out2.publish.isn-partial")).unwrap();
    sandbox.isn(&publish).ok();
}

/// Remains of a tree that was being removed are not taken for a tree that somebody changed.
#[test]
fn what_is_left_of_a_tree_whose_removal_ended_early_is_not_kept_for_somebodys() {
    if !can_trace() {
        return;
    }
    for when in [2, 5, 11] {
        let sandbox = with_tree();
        let log = traced(&sandbox, &TO_SECOND, "unlinkat", &[format!("unlinkat:signal=KILL:when={when}")]);
        assert!(log.contains("killed by SIGKILL"), "{log}");
        for next in ["grads@1.1", "grads@1.0"] {
            sandbox.pull(next, &["--to", "tree"]).ok();
            sandbox.isn(&["verify", "tree", "--expect", next, "--registry", "reg"]).ok();
        }
        let kept = fs::read_dir(sandbox.path("")).unwrap().find_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.contains(".before-").then_some(name)
        });
        assert_eq!(kept, None, "killed at removal {when}");
        assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());
    }
}

#[test]
fn the_folder_that_one_is_in_has_a_name_and_is_not_replaced() {
    let sandbox = with_tree();
    let at = |folder: &str, args: &[&str]| {
        let mut command = sandbox.command(args);
        crate::sandbox::ran(command.current_dir(sandbox.path(folder)))
    };
    let build = ["build", "../grads-1.0.toml", "--source", "../raw", "--out", "."];
    at("out", &build).ok();
    fs::create_dir(sandbox.path("empty")).unwrap();
    let pull = ["pull", "grads@1.0", "--registry", "../reg", "--to", "."];
    at("empty", &pull).fails(1, "is the current folder, or contains it");
    at("tree", &pull).ok();
}

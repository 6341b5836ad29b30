//! Replacing a tree removes the tree and nothing that merely lies inside; what cannot be removed is reported
//! and blocks nobody.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::{Command, Stdio};

use super::hidden_files::names_of_pull;
use super::replaced_trees::with_tree;
use crate::sandbox::{ISN, Ran, Sandbox, ended, has_tool};

/// Runs a shell with private mounts; `None` if the machine does not allow it.
fn with_mounts(sandbox: &Sandbox, script: &str) -> Option<Ran> {
    let mut command = sandbox.program("unshare");
    command.args(["-rm", "sh", "-c", &format!("{script}\necho shell: $?")]);
    let ran = ended(command.env("ISN", ISN).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().ok()?);
    if !ran.stdout.contains("shell: ") || ran.stdout.contains("no mount") {
        eprintln!("nothing can be mounted here: not tried");
        return None;
    }
    Some(ran)
}

fn chmod(sandbox: &Sandbox, path: &str, mode: u32) {
    fs::set_permissions(sandbox.path(path), Permissions::from_mode(mode)).unwrap();
}

fn mode(sandbox: &Sandbox, path: &str) -> u32 {
    fs::metadata(sandbox.path(path)).unwrap().mode() & 0o7777
}

const TO_SECOND: [&str; 6] = ["pull", "grads@1.1", "--registry", "reg", "--to", "tree"];

#[test]
fn what_is_mounted_in_a_tree_is_not_removed_with_it() {
    for (what, at) in [("train", "train"), ("train/ant", "train/ant"), ("B3SUMS", "B3SUMS")] {
        let sandbox = with_tree();
        sandbox.copy("tree", "big");
        let all = crate::sandbox::contents(&sandbox.path("big"));
        let script = format!(
            "mount --bind big/{what} tree/{at} || echo no mount\n\
             $ISN pull grads@1.1 --registry reg --to tree; echo isn: $?; findmnt -rno TARGET | grep -c tree/{at}"
        );
        let Some(ran) = with_mounts(&sandbox, &script) else { return };
        assert_eq!(crate::sandbox::contents(&sandbox.path("big")), all, "{what}: {}", ran.stderr);
        assert!(ran.stdout.contains("isn: 1\n1\n"), "{what}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains(&format!("tree/{at} is a mount point")), "{}", ran.stderr);
        assert!(ran.stderr.contains("help: "), "{}", ran.stderr);
        assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());
    }
}

/// Something was mounted in the folder of a killed run.
#[test]
fn what_is_mounted_in_a_folder_of_isns_is_not_removed_with_it() {
    let sandbox = with_tree();
    sandbox.write("precious/thesis", b"all of it");
    let script = "mkdir .tree.0123456789abcdef.isn-partial && cd .tree.0123456789abcdef.isn-partial || exit\n\
                  mkdir -p tree/train/ant old-0\n\
                  printf 'isn made this folder, and removes it when it is done\\n%s\\n' $(stat -c %i .) > .made-by-isn\n\
                  for at in tree/train/ant old-0; do mount --bind ../precious $at || echo no mount; done; cd ..\n\
                  $ISN pull grads@1.1 --registry reg --to tree; echo isn: $?";
    let Some(ran) = with_mounts(&sandbox, script) else { return };
    assert_eq!(sandbox.read("precious/thesis"), b"all of it");
    assert!(ran.stdout.contains("isn: 0"), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("warning: ") && ran.stderr.contains("cannot be removed"), "{}", ran.stderr);
}

/// Nor is it removed by the pull that resumes.
#[test]
fn what_is_mounted_in_what_a_pull_goes_on_with_is_not_removed() {
    let (sandbox, pin) = Sandbox::published();
    sandbox.write("precious/thesis", b"all of it");
    let [partial, _] = names_of_pull("tree", &pin);
    for at in ["tree", "tree/train/ant"] {
        let script = format!(
            "mkdir -p {partial}/{at} && cd {partial} || exit\n\
             printf 'isn made this folder, and removes it when it is done\\n%s\\n' $(stat -c %i .) > .made-by-isn\n\
             mount --bind ../precious {at} || echo no mount; cd ..\n\
             $ISN pull grads@1.0 --registry reg --to tree; echo isn: $?"
        );
        let Some(ran) = with_mounts(&sandbox, &script) else { return };
        assert_eq!(sandbox.read("precious/thesis"), b"all of it");
        assert!(ran.stdout.contains("isn: 1"), "{}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains(&format!("{at} is a mount point")), "{}", ran.stderr);
    }
    sandbox.pull("grads@1.0", &["--to", "tree"]).ok();
}

#[test]
fn a_write_protected_folder_in_a_replaced_tree_goes_with_it() {
    let sandbox = with_tree();
    for folder in ["tree/train/ant", "tree/train"] {
        chmod(&sandbox, folder, 0o555);
    }
    let Some(ran) = sandbox.bound(&TO_SECOND) else { return };
    ran.ok();
    assert_eq!(sandbox.leftovers(), [""; 0]);
}

/// The tree contains another user's folder, which only that user can empty.
#[test]
fn what_cannot_be_removed_is_said_and_stands_in_nobodys_way() {
    if !rustix::process::geteuid().is_root() || !has_tool("setpriv") {
        return;
    }
    let sandbox = with_tree();
    std::os::unix::fs::chown(sandbox.path("tree/train/ant"), Some(65534), None).unwrap();
    let said = |ran: Ran| {
        let ran = ran.ok();
        let line = ran.stderr.lines().find(|line| line.contains("cannot be removed")).unwrap_or_default();
        assert!(line.starts_with("warning: ./.tree.") && line.contains("isn-partial"), "{}", ran.stderr);
        assert!(line.contains("train/ant") && line.contains("ermission denied"), "{}", ran.stderr);
    };
    said(sandbox.bound(&TO_SECOND).unwrap());
    said(sandbox.bound(&TO_SECOND).unwrap());
    // To another version, and back.
    for next in ["grads@1.0", "grads@1.1"] {
        said(sandbox.bound(&["pull", next, "--registry", "reg", "--to", "tree"]).unwrap());
        sandbox.isn(&["verify", "tree", "--expect", next, "--registry", "reg"]).ok();
    }
    // A user who can remove it does.
    sandbox.isn(&TO_SECOND).ok();
    assert_eq!(sandbox.leftovers(), [""; 0]);
}

#[test]
fn a_tree_keeps_the_mode_of_the_folder_that_it_takes_the_place_of() {
    let sandbox = with_tree();
    fs::create_dir(sandbox.path("empty")).unwrap();
    for (folder, wanted) in [("empty", 0o2700), ("tree", 0o2750)] {
        chmod(&sandbox, folder, wanted);
        let before = fs::metadata(sandbox.path(folder)).unwrap();
        sandbox.pull("grads@1.1", &["--to", folder]).ok();
        assert_eq!(mode(&sandbox, folder), wanted, "{folder}");
        let after = fs::metadata(sandbox.path(folder)).unwrap();
        assert_ne!(before.ino(), after.ino());
    }
    fs::create_dir(sandbox.path("closed")).unwrap();
    chmod(&sandbox, "closed", 0o500);
    if let Some(ran) = sandbox.bound(&["pull", "grads@1.1", "--registry", "reg", "--to", "closed"]) {
        ran.ok();
        assert_eq!(mode(&sandbox, "closed"), 0o500);
    }
    if !rustix::process::geteuid().is_root() {
        return;
    }
    // The set-group-ID bit belongs to the group: keep both, or the tree is shared with the wrong group.
    std::os::unix::fs::chown(sandbox.path("tree"), Some(7), Some(8)).unwrap();
    chmod(&sandbox, "tree", 0o2770);
    sandbox.pull("grads@1.0", &["--to", "tree"]).ok();
    let about = fs::metadata(sandbox.path("tree")).unwrap();
    assert_eq!((about.mode() & 0o7777, about.uid(), about.gid()), (0o2770, 7, 8));
}

#[test]
fn a_neighbour_whose_name_is_not_utf8_keeps_nothing_from_being_tidied() {
    let sandbox = with_tree();
    let left = sandbox.path(".tree.0123456789abcdef.isn-partial");
    fs::create_dir(&left).unwrap();
    fs::write(sandbox.path("").join(OsStr::from_bytes(b"\xff\xfe")), "").unwrap();
    sandbox.pull("grads@1.1", &["--to", "tree"]).ok();
    assert!(!left.exists());
}

/// A backup of hard links shares each file with its original.
#[test]
fn a_backup_of_hard_links_stands_in_nobodys_way() {
    let sandbox = with_tree();
    let left = sandbox.path(".tree.0123456789abcdef.isn-partial");
    fs::create_dir(&left).unwrap();
    let number = fs::metadata(&left).unwrap().ino();
    let says = format!("isn made this folder, and removes it when it is done\n{number}\n");
    fs::write(left.join(".made-by-isn"), says).unwrap();
    fs::create_dir(left.join("tree")).unwrap();
    fs::write(left.join("tree/B3SUMS"), "half").unwrap();
    let backup = sandbox.path("backup");
    let copied = Command::new("cp").arg("-al").arg(&left).arg(&backup).status().unwrap();
    assert!(copied.success());
    sandbox.pull("grads@1.1", &["--to", "tree"]).ok();
    assert!(!left.exists());
    assert_eq!(fs::read(backup.join("tree/B3SUMS")).unwrap(), b"half");
    assert!(backup.join(".made-by-isn").exists());
    // The backup is not one of isn's folders, because no copy is.
    fs::rename(&backup, &left).unwrap();
    sandbox.pull("grads@1.0", &["--to", "tree"]).ok();
    assert!(left.join("tree/B3SUMS").exists());
}

//! What the machine itself can do to a pull: full disks, few file descriptors, kills, and concurrent pulls of
//! the same version.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::sandbox::{ISN, Ran, Sandbox, contents, ended, eventually, ran};
use crate::server::{Fault, Server};

/// A file system of this many bytes mounted on a folder of the sandbox, unmounted on drop. `None` if mounting
/// is not allowed.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    fn new(path: &'a Path, size: &str) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let options = format!("size={size}");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(path).output().unwrap();
        if !mounted.status.success() {
            eprintln!("no file system can be mounted here: not tried");
        }
        mounted.status.success().then_some(Disk(path))
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).output();
    }
}

fn images(sandbox: &Sandbox, tree: &str) -> Vec<(String, Vec<u8>)> {
    let mut files = contents(&sandbox.path(tree));
    files.retain(|(name, _)| name != "ISN.json");
    files
}

fn pull(sandbox: &Sandbox, url: &str, reference: &str, to: &str, more: &[&str]) -> Ran {
    let args = ["pull", reference, "--registry", url, "--to", to, "--json"];
    sandbox.isn(&[&args[..], more].concat())
}

fn spawn(sandbox: &Sandbox, args: &[&str]) -> Child {
    sandbox.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_full_disk_is_told_without_the_names_of_temporary_files() {
    let sandbox = Sandbox::new();
    let path = sandbox.path("small");
    let Some(_disk) = Disk::new(&path, "64k") else { return };
    let ran = sandbox.isn(&["man", "small/pages"]).fails(1, "the disk is full");
    assert!(!ran.stderr.contains(".isn-tmp"), "{}", ran.stderr);
}

#[test]
fn a_disk_that_is_too_small_is_told_before_anything_is_written() {
    let (sandbox, pin) = Sandbox::published_large();
    let server = Server::new(&sandbox.path("reg"));
    let path = sandbox.path("small");
    let Some(_disk) = Disk::new(&path, "3m") else { return };
    let asked = server.log().len();
    let ran = pull(&sandbox, &server.url, &pin, "small/tree", &["--no-cache"]).fails(1, "are needed");
    assert!(
        ran.stderr.contains("small has 3.00 MiB free") && ran.stderr.contains("isn cache gc"),
        "{}",
        ran.stderr
    );
    assert!(server.log()[asked..].iter().all(|request| !request.path.ends_with(".tar.zst")));
    assert_eq!(contents(&path), []);
    // A part of the version fits.
    pull(&sandbox, &server.url, &pin, "small/tree", &["--class", "bee"]).ok();
    sandbox.isn(&["verify", "small/tree", "--expect", &pin]).ok();
}

#[test]
fn a_fetch_into_a_cache_that_is_too_small_fails() {
    let (sandbox, pin) = Sandbox::published_large();
    let server = Server::new(&sandbox.path("reg"));
    let path = sandbox.path("home/cache");
    let Some(_disk) = Disk::new(&path, "1m") else { return };
    let ran = sandbox.isn(&["fetch", &pin, "--registry", &server.url]).fails(1, "are needed");
    assert!(ran.stderr.contains("error: the cache ") && ran.stderr.contains("ISN_CACHE"), "{}", ran.stderr);
    assert!(server.log().iter().all(|request| !request.path.ends_with(".tar.zst")));
}

#[test]
fn a_disk_that_fills_up_meanwhile_leaves_no_tree() {
    let (sandbox, pin) = Sandbox::published_large();
    let server = Server::faulty(&sandbox.path("reg"), ".tar.zst", usize::MAX, Fault::Throttle(1_000_000));
    let path = sandbox.path("small");
    let Some(_disk) = Disk::new(&path, "8m") else { return };
    let args = ["pull", &pin, "--registry", &server.url, "--to", "small/tree", "--no-cache"];
    let child = spawn(&sandbox, &args);
    eventually("images are sent", || server.sent(".tar.zst") >= 500_000);
    fs::write(path.join("somebody else's"), vec![0; 5 << 20]).unwrap();
    let ended = ended(child);
    ended.fails(1, "No space left on device").fails(1, "help: the disk is full: free some space");
    assert!(!path.join("tree").exists());
    fs::remove_file(path.join("somebody else's")).unwrap();
    let report = pull(&sandbox, &server.url, &pin, "small/tree", &["--no-cache"]).ok().json();
    assert!(report["reused_images"].as_u64().unwrap() > 0, "{report}");
    sandbox.isn(&["verify", "small/tree", "--expect", &pin]).ok();
    let names: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["tree"]);
}

#[test]
fn a_cache_whose_disk_is_full_is_done_without() {
    let (sandbox, pin) = Sandbox::published_large();
    let server = Server::new(&sandbox.path("reg"));
    let path = sandbox.path("home/cache");
    let Some(_disk) = Disk::new(&path, "1m") else { return };
    let ran = pull(&sandbox, &server.url, &pin, "tree", &[]).ok();
    assert!(ran.stderr.contains("the cache's disk is too full"), "{}", ran.stderr);
    fs::write(path.join("full"), vec![0; 1 << 20]).unwrap_err();
    pull(&sandbox, &server.url, &pin, "part", &["--class", "bee"]).ok();
    for tree in ["tree", "part"] {
        sandbox.isn(&["verify", tree, "--expect", &pin]).ok();
    }
}

#[test]
fn a_destination_that_cannot_be_written_to() {
    let (sandbox, pin) = Sandbox::published();
    let path = sandbox.path("fixed");
    if let Some(_disk) = Disk::new(&path, "8m") {
        let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(&path).output().unwrap();
        assert!(remounted.status.success());
        pull(&sandbox, "reg", &pin, "fixed/tree", &[]).fails(1, "Read-only file system");
    }
    // Root may write anywhere.
    if rustix::process::geteuid().is_root() {
        return;
    }
    fs::create_dir_all(sandbox.path("closed")).unwrap();
    fs::set_permissions(sandbox.path("closed"), fs::Permissions::from_mode(0o555)).unwrap();
    pull(&sandbox, "reg", &pin, "closed/tree", &[]).fails(1, "Permission denied");
    fs::set_permissions(sandbox.path("closed"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_destination_that_becomes_something_else_meanwhile_is_left_alone() {
    let (sandbox, pin) = Sandbox::published_large();
    sandbox.build_second_version();
    sandbox.write("elsewhere/thesis.txt", b"all of it");
    let elsewhere = contents(&sandbox.path("elsewhere"));
    // Into an empty place, and over a part of the version that the pull replaces.
    for before in ["nothing", "a part"] {
        let server = Server::faulty(&sandbox.path("reg"), ".tar.zst", usize::MAX, Fault::Throttle(2_000_000));
        if before == "a part" {
            pull(&sandbox, "reg", &pin, "tree", &["--class", "bee"]).ok();
        }
        let args = ["pull", &pin, "--registry", &server.url, "--to", "tree", "--no-cache"];
        let child = spawn(&sandbox, &args);
        eventually("images are sent", || server.sent(".tar.zst") >= 1_000_000);
        if before == "a part" {
            fs::rename(sandbox.path("tree"), sandbox.path("moved")).unwrap();
        }
        std::os::unix::fs::symlink("elsewhere", sandbox.path("tree")).unwrap();
        ended(child).fails(1, "tree already exists");
        assert_eq!(contents(&sandbox.path("elsewhere")), elsewhere, "{before}");
        assert!(fs::symlink_metadata(sandbox.path("tree")).unwrap().is_symlink(), "{before}");
        fs::remove_file(sandbox.path("tree")).unwrap();
        pull(&sandbox, "reg", &pin, "tree", &[]).ok();
        sandbox.isn(&["verify", "tree", "--expect", &pin]).ok();
        fs::remove_dir_all(sandbox.path("tree")).unwrap();
    }
}

#[test]
fn sixty_four_descriptors_are_enough() {
    let (sandbox, pin) = Sandbox::published_large();
    let server = Server::new(&sandbox.path("reg"));
    let mut limited = sandbox.program("sh");
    limited.arg("-c").arg("ulimit -n 64; exec \"$0\" \"$@\"").arg(ISN);
    limited.args(["pull", &pin, "--registry", &server.url, "--to", "tree", "-j", "8"]);
    ran(&mut limited).ok();
    sandbox.isn(&["verify", "tree", "--expect", &pin]).ok();
}

/// Pseudo-random numbers less than `below`, the same in every run.
fn random(seed: u64, below: u64) -> u64 {
    let hash = blake3::hash(&seed.to_le_bytes());
    u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap()) % below
}

#[test]
fn fifty_kills_at_random_points_of_a_pull_over_the_network() {
    let (sandbox, pin) = Sandbox::published_large();
    sandbox.pull(&pin, &["--to", "whole"]).ok();
    let whole = images(&sandbox, "whole");
    fs::remove_dir_all(sandbox.path("whole")).unwrap();
    let server = Server::faulty(&sandbox.path("reg"), ".tar.zst", usize::MAX, Fault::Throttle(20_000_000));
    let args = ["pull", &pin, "--registry", &server.url, "--to", "tree"];
    let begun = Instant::now();
    sandbox.isn(&args).ok();
    let full = begun.elapsed();
    let (mut hit, mut kill) = (0, 0);
    // Kills more often if the machine is faster now than when `full` was measured, so that many
    // kills come too late.
    while kill < 50 || (hit <= 10 && kill < 300) {
        kill += 1;
        let _ = fs::remove_dir_all(sandbox.path("tree"));
        // Every other pull starts with the cache that the last one left.
        if kill % 2 == 0 {
            let _ = fs::remove_dir_all(sandbox.path("home/cache"));
        }
        let mut child = spawn(&sandbox, &args);
        thread::sleep(Duration::from_micros(random(kill, full.as_micros() as u64)));
        child.kill().unwrap();
        hit += u32::from(child.wait().unwrap().code().is_none());
        if sandbox.path("tree").exists() {
            assert!(images(&sandbox, "tree") == whole, "a half tree was visible");
        }
        sandbox.isn(&args).ok();
        assert!(images(&sandbox, "tree") == whole, "the next run ended in other bytes");
        let left = sandbox.leftovers();
        assert!(left.iter().all(|name| name.ends_with("-lock")), "{left:?}");
    }
    assert!(hit > 10, "{hit} of {kill} kills hit");
    sandbox.isn(&["cache", "verify"]).ok();
    assert_eq!(sandbox.isn(&["cache", "info", "--json"]).ok().json()["quarantine"]["files"], 0);
}

#[test]
fn eight_processes_pull_the_same_at_once() {
    let (sandbox, pin) = Sandbox::published_large();
    let server = Server::new(&sandbox.path("reg"));
    for same_place in [true, false] {
        for cold in [true, false] {
            if cold {
                let _ = fs::remove_dir_all(sandbox.path("home/cache"));
            }
            let before = server.sent(".tar.zst");
            let to = |n: usize| if same_place { "tree".to_string() } else { format!("trees/{n}") };
            let children: Vec<Child> = (0..8)
                .map(|n| {
                    spawn(&sandbox, &["pull", &pin, "--registry", &server.url, "--to", &to(n), "--json"])
                })
                .collect();
            for (n, child) in children.into_iter().enumerate() {
                let ended = ended(child);
                assert_eq!(ended.code, 0, "{}", ended.stderr);
                sandbox.isn(&["verify", &to(n), "--expect", &pin]).ok();
            }
            if same_place {
                // One pull fetched; the others waited.
                assert!(server.sent(".tar.zst") - before < 6_500_000, "{}", server.sent(".tar.zst") - before);
            }
            let dir = if same_place { "tree" } else { "trees" };
            fs::remove_dir_all(sandbox.path(dir)).unwrap();
            assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());
        }
    }
    sandbox.isn(&["cache", "verify"]).ok();
    let info = sandbox.isn(&["cache", "info", "--json"]).ok().json();
    assert_eq!((&info["quarantine"]["files"], &info["temporary"]["files"]), (&0.into(), &0.into()));
}

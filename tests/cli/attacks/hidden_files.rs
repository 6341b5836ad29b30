//! Something else stands where a verb keeps a hidden file or folder of its own: tests every verb with every
//! such name and every kind of obstacle. isn must not follow, change or remove it, and the verb must name
//! what is in its way.

use std::fs;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use isn_format::digest::Digest;
use isn_format::tree::Selection;

use crate::forger::Forger;
use crate::sandbox::{Ran, Sandbox, contents, ended, hash_of};

/// How long a verb may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(30);

/// What may stand in the way.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Plant {
    LinkToFolder,
    LinkToFile,
    DanglingLink,
    Pipe,
    Folder,
    /// A folder that contains a copy of a marker of isn's.
    FolderWithMarker,
    /// A folder that contains only a marker, which is a hard link to a file outside.
    FolderWithLinkedMarker,
    File,
}

const ALL: [Plant; 8] = [
    Plant::LinkToFolder,
    Plant::LinkToFile,
    Plant::DanglingLink,
    Plant::Pipe,
    Plant::Folder,
    Plant::FolderWithMarker,
    Plant::FolderWithLinkedMarker,
    Plant::File,
];
/// The obstacles for folders that isn does not mark, because they lie in a place that is entirely isn's:
/// there a folder is no obstacle.
const NO_FOLDER: [Plant; 5] =
    [Plant::LinkToFolder, Plant::LinkToFile, Plant::DanglingLink, Plant::Pipe, Plant::File];

impl Plant {
    fn put(self, sandbox: &Sandbox, name: &str) {
        let path = sandbox.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match self {
            Plant::LinkToFolder => symlink(sandbox.path("precious"), &path).unwrap(),
            Plant::LinkToFile => symlink(sandbox.path("precious/thesis"), &path).unwrap(),
            Plant::DanglingLink => symlink(sandbox.path("elsewhere/new"), &path).unwrap(),
            Plant::Pipe => assert!(Command::new("mkfifo").arg(&path).status().unwrap().success()),
            Plant::Folder | Plant::FolderWithMarker => {
                // The names that trees, builds and caches use.
                for file in ["thesis", "tree/thesis", "train/ant/thesis", "objects/thesis"] {
                    sandbox.write(&format!("{name}/{file}"), b"all of it");
                }
                if self == Plant::FolderWithMarker {
                    sandbox.write(
                        &format!("{name}/.made-by-isn"),
                        b"isn made this folder, and removes it when it is done\n1\n",
                    );
                }
            }
            Plant::FolderWithLinkedMarker => {
                fs::create_dir(&path).unwrap();
                fs::hard_link(sandbox.path("precious/thesis"), path.join(".made-by-isn")).unwrap();
            }
            Plant::File => sandbox.write(name, b"all of it"),
        }
    }

    /// Whether the obstacle is as it was put there.
    fn is_untouched(self, path: &Path) -> bool {
        let Ok(about) = path.symlink_metadata() else { return false };
        match self {
            Plant::LinkToFolder | Plant::LinkToFile | Plant::DanglingLink => about.is_symlink(),
            Plant::Pipe => about.file_type().is_fifo(),
            Plant::Folder => contents(path).len() == 4,
            Plant::FolderWithMarker => contents(path).len() == 5,
            Plant::FolderWithLinkedMarker => {
                contents(path) == [(".made-by-isn".to_string(), b"all of it".to_vec())]
            }
            Plant::File => fs::read(path).is_ok_and(|bytes| bytes == b"all of it"),
        }
    }

    fn remove(path: &Path) {
        match path.symlink_metadata() {
            Ok(about) if about.is_dir() => fs::remove_dir_all(path).unwrap(),
            Ok(_) => fs::remove_file(path).unwrap(),
            Err(_) => {}
        }
    }
}

/// Creates files that must not change, and a folder in which nothing may be created.
fn with_precious(sandbox: &Sandbox) {
    for file in ["thesis", "tree/thesis", "objects/ab/thesis", ".isn-tmp-mine", "ci/.isn-upload-mine"] {
        sandbox.write(&format!("precious/{file}"), b"all of it");
    }
    // Names in isn's own form, which a cleanup would take for its own files.
    let name = Digest::of(b"object").to_string();
    for file in [format!("{name}.json"), format!("{}/{name}.json", &name[..2]), format!("{name}.jsonl")] {
        sandbox.write(&format!("precious/{file}"), b"all of it");
    }
    fs::create_dir_all(sandbox.path("elsewhere")).unwrap();
}

fn precious(sandbox: &Sandbox) -> (Vec<(String, Vec<u8>)>, Vec<PathBuf>) {
    let elsewhere = fs::read_dir(sandbox.path("elsewhere")).unwrap();
    (contents(&sandbox.path("precious")), elsewhere.map(|entry| entry.unwrap().path()).collect())
}

/// Runs a verb that must not hang.
fn run(sandbox: &Sandbox, args: &[&str]) -> Ran {
    let mut child = sandbox.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() && begun.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(5));
    }
    let hangs = child.try_wait().unwrap().is_none();
    let _ = child.kill();
    let mut ended = ended(child);
    if hangs {
        ended.stderr += "it hangs";
    }
    ended
}

/// Puts each of `plants` at `hidden` and runs `args`. The run must fail and name it, and everything else must
/// stay unchanged. Returns what was wrong.
fn faults_of(
    sandbox: &Sandbox,
    args: &[&str],
    hidden: &str,
    plants: &[Plant],
    must_fail: bool,
) -> Vec<String> {
    let before = precious(sandbox);
    let mut faults = Vec::new();
    for plant in plants {
        let path = sandbox.path(hidden);
        let aside = sandbox.path("aside");
        let is_aside = fs::rename(&path, &aside).is_ok();
        plant.put(sandbox, hidden);
        let ran = run(sandbox, args);
        let mut wrong = |what: &str| {
            faults.push(format!("isn {}\n  {hidden} is {plant:?}: {what}\n  {}", args.join(" "), ran.stderr))
        };
        if ran.stderr.ends_with("it hangs") {
            wrong("it hangs");
        }
        if precious(sandbox) != before {
            wrong("something outside changed");
        }
        if !plant.is_untouched(&path) {
            wrong("it is not as it was");
        }
        if must_fail && (ran.code == 0 || !ran.stderr.contains(hidden.rsplit('/').next().unwrap())) {
            wrong("it is not an error that names it");
        }
        for (name, bytes) in &before.0 {
            sandbox.write(&format!("precious/{name}"), bytes);
        }
        Plant::remove(&sandbox.path("elsewhere"));
        fs::create_dir_all(sandbox.path("elsewhere")).unwrap();
        Plant::remove(&path);
        if is_aside {
            fs::rename(&aside, &path).unwrap();
        }
    }
    faults
}

#[track_caller]
fn check(faults: &[Vec<String>]) {
    let faults: Vec<&str> = faults.iter().flatten().map(String::as_str).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// The hidden names beside `to` that a pull works with.
pub(super) fn names_of_pull(to: &str, pin: &str) -> [String; 2] {
    let dataset = Digest::from_prefixed(hash_of(pin)).unwrap();
    let selection = serde_json::to_vec(&Selection::default()).unwrap();
    let key = Digest::of(&[dataset.as_bytes().as_slice(), &selection].concat()).to_string();
    ["partial", "lock"].map(|what| format!(".{to}.{}.isn-{what}", &key[..16]))
}

#[test]
fn pull_and_sync_follow_and_remove_nothing_that_is_not_isns() {
    let (sandbox, pin) = Sandbox::published();
    with_precious(&sandbox);
    sandbox.write(
        "isn.lock",
        format!(
            "format = \"isn-lock/1\"\n[[dataset]]\npath = \"tree\"\npin = \"{pin}\"\nregistry = \"{}\"\n",
            sandbox.path("reg").display()
        )
        .as_bytes(),
    );
    let pull = ["pull", "grads@1.0", "--registry", "reg", "--to", "tree"];
    let from_source = [&pull[..], &["--source", "raw"]].concat();
    let export = ["export", "grads@1.0", "--registry", "reg", "--as", "imagefolder", "--to", "tree"];
    let mut faults = Vec::new();
    for hidden in names_of_pull("tree", &pin) {
        for args in [&pull[..], &from_source, &export, &["sync", "--registry", "reg"]] {
            faults.push(faults_of(&sandbox, args, &hidden, &ALL, true));
        }
    }
    assert!(!sandbox.path("tree").exists());
    // Names that an earlier isn used, and those of other selections of the version, do not concern this pull.
    for hidden in [".tree.rebuilt", "..tree.rebuilt.isn-partial", ".tree.0123456789abcdef.isn-partial"] {
        for args in [&pull[..], &from_source] {
            faults.push(faults_of(&sandbox, args, hidden, &ALL, false));
            fs::remove_dir_all(sandbox.path("tree")).unwrap();
        }
    }
    check(&faults);
}

/// As with every other file lock, the message appears even with `-q`.
#[test]
fn a_pull_that_waits_for_another_says_so_however_quiet() {
    let (sandbox, pin) = Sandbox::published();
    let [_, lock] = names_of_pull("tree", &pin);
    sandbox.write(&lock, b"");
    let held = fs::File::options().write(true).open(sandbox.path(&lock)).unwrap();
    held.lock().unwrap();
    let pull = ["-q", "pull", "grads@1.0", "--registry", "reg", "--to", "tree"];
    let mut waiting = sandbox.command(&pull).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = std::io::BufReader::new(waiting.stderr.take().unwrap());
    let (line, heard) = std::sync::mpsc::channel();
    let reader = thread::spawn(move || {
        let mut first = String::new();
        std::io::BufRead::read_line(&mut said, &mut first).unwrap();
        line.send(first).unwrap();
    });
    let first = heard.recv_timeout(PATIENCE);
    held.unlock().unwrap();
    assert!(waiting.wait().unwrap().success());
    reader.join().unwrap();
    let first = first.unwrap_or_default();
    assert!(first.contains("waiting for the file lock") && first.contains(&lock), "{first}");
}

#[test]
fn the_lock_of_a_lock_file_is_no_link() {
    let (sandbox, _) = Sandbox::published();
    with_precious(&sandbox);
    let reg = sandbox.path("reg").display().to_string();
    sandbox.write("isn.toml", format!("registry = [\"{reg}\"]\ndatasets = [\"grads\"]\n").as_bytes());
    check(&[faults_of(&sandbox, &["sync"], ".isn.lock.isn-lock", &ALL, true)]);
    assert!(!sandbox.path("isn.lock").exists() && !sandbox.path("grads-1.0").exists());
}

#[test]
fn pull_of_what_is_there_follows_and_removes_nothing_that_is_not_isns() {
    let (sandbox, pin) = Sandbox::published();
    with_precious(&sandbox);
    let pull = ["pull", "grads@1.0", "--registry", "reg", "--to", "tree"];
    sandbox.isn(&pull).ok();
    let [partial, _] = names_of_pull("tree", &pin);
    check(&[faults_of(&sandbox, &pull, &partial, &ALL, true)]);
}

#[test]
fn build_follows_and_removes_nothing_that_is_not_isns() {
    let sandbox = Sandbox::built();
    with_precious(&sandbox);
    let build = ["build", "grads-1.0.toml", "--source", "raw", "--out", "new"];
    check(
        &[".new.isn-partial", ".new.isn-lock"].map(|hidden| faults_of(&sandbox, &build, hidden, &ALL, true)),
    );
    // Also for a build that already exists.
    let build = ["build", "grads-1.0.toml", "--source", "raw", "--out", "out"];
    check(&[faults_of(&sandbox, &build, ".out.isn-partial", &ALL, true)]);
}

#[test]
fn export_follows_and_removes_nothing_that_is_not_isns() {
    let (sandbox, _) = Sandbox::published();
    with_precious(&sandbox);
    let export = ["export", "grads@1.0", "--registry", "reg", "--as", "webdataset", "--to", "new"];
    check(
        &[".new.isn-partial", ".new.isn-lock"].map(|hidden| faults_of(&sandbox, &export, hidden, &ALL, true)),
    );
}

#[test]
fn writers_of_a_registry_follow_nothing() {
    let (sandbox, _) = Sandbox::published();
    with_precious(&sandbox);
    let publish = ["publish", "out", "--registry", "reg", "--key", "me"];
    let yank = ["yank", "grads@1.0", "--reason", "wrong", "--registry", "reg", "--key", "me"];
    let init = ["registry", "init", "new"];
    check(&[
        faults_of(&sandbox, &publish, "reg/.isn-lock", &ALL, true),
        faults_of(&sandbox, &yank, "reg/.isn-lock", &ALL, true),
        faults_of(&sandbox, &init, "new/.isn-lock", &ALL, true),
    ]);
    // Temporary files are removed in the registry, but not through a link.
    check(&[faults_of(&sandbox, &publish, "reg/more", &[Plant::LinkToFolder], false)]);
}

#[test]
fn mirror_follows_nothing() {
    let forger = Forger::new();
    with_precious(&forger);
    let mirror = ["mirror", "reg", "new"];
    // A file here means that another mirror is unfinished; the message names its registry.
    let is_another = || {
        forger.write("new/.isn-mirror", b"all of it");
        forger.isn(&mirror).fails(1, "registry new is the unfinished mirror of another registry");
        assert_eq!(forger.bytes("new/.isn-mirror"), b"all of it");
        fs::remove_file(forger.path("new/.isn-mirror")).unwrap();
    };
    check(&[
        faults_of(&forger, &mirror, "new/.isn-lock", &ALL, true),
        faults_of(&forger, &mirror, "new/.isn-mirror", &ALL[..7], true),
    ]);
    is_another();
    forger.isn(&mirror).ok();
    check(&[faults_of(&forger, &mirror, "new/.isn-mirror", &ALL[..7], true)]);
    is_another();
}

#[test]
fn serve_stages_nowhere_else() {
    let (sandbox, _) = Sandbox::published();
    with_precious(&sandbox);
    sandbox.write("tokens", format!("ci {}\n", blake3::hash(b"2f6b0c3e9a7d4851b6c0d2e4f6a8091b")).as_bytes());
    let serve = ["serve", "reg", "--listen", "127.0.0.1:0", "--publish-tokens", "tokens"];
    check(&[
        faults_of(&sandbox, &serve, "reg/.isn-staging", &ALL, true),
        faults_of(&sandbox, &serve, "reg/.isn-staging/.lock", &ALL, true),
    ]);
}

/// Somebody's own folder that happens to have the name and contains files that a cleanup would take for old
/// or incomplete.
#[test]
fn serve_takes_over_no_folder_that_it_has_not_made() {
    let (sandbox, _) = Sandbox::published();
    sandbox.write("tokens", format!("ci {}\n", blake3::hash(b"2f6b0c3e9a7d4851b6c0d2e4f6a8091b")).as_bytes());
    let files = ["photos/thesis", "photos/.isn-upload-mine", "photos/objects/ab/thesis"];
    let serve = ["serve", "reg", "--listen", "127.0.0.1:0", "--publish-tokens", "tokens"];
    for file in files {
        let path = format!("reg/.isn-staging/{file}");
        sandbox.write(&path, b"all of it");
        let long_ago = std::time::SystemTime::now() - Duration::from_secs(3 * 24 * 3600);
        fs::File::options().write(true).open(sandbox.path(&path)).unwrap().set_modified(long_ago).unwrap();
        let ran = run(&sandbox, &serve).fails(1, &format!("{path} was not made by isn"));
        assert!(!ran.stderr.contains("it hangs"));
        assert_eq!(sandbox.read(&path), b"all of it");
        fs::remove_dir_all(sandbox.path("reg/.isn-staging")).unwrap();
    }
}

#[test]
fn the_lock_of_the_trust_store_is_no_link() {
    let (sandbox, _) = Sandbox::published();
    with_precious(&sandbox);
    let key = sandbox.isn(&["key", "show", "me"]).ok().stdout;
    let add = ["trust", "add", "other", key.trim()];
    check(&[faults_of(&sandbox, &add, "home/trust.lock", &ALL, true)]);
    sandbox.isn(&add).ok();
}

#[test]
fn the_locks_of_known_logs_are_no_links() {
    let (sandbox, _) = Sandbox::published();
    with_precious(&sandbox);
    let logs = fs::read_dir(sandbox.path("home/logs")).unwrap();
    let log = logs.map(Result::unwrap).find(|log| log.path().is_dir()).unwrap();
    let log = log.file_name().into_string().unwrap();
    let yank = ["yank", "grads@1.0", "--reason", "wrong", "--registry", "reg", "--key", "me"];
    check(&[faults_of(&sandbox, &yank, &format!("home/logs/{log}/.lock"), &ALL, true)]);
}

#[test]
fn a_cache_is_not_left_through_a_link() {
    let (sandbox, pin) = Sandbox::published();
    with_precious(&sandbox);
    let fetch = ["fetch", "grads@1.0", "--registry", "reg"];
    sandbox.isn(&fetch).ok();
    let gc = ["cache", "gc", "--max-size", "0"];
    let mut faults = Vec::new();
    for part in ["objects", "pieces", "tables", "sources", "trees", "hints", "quarantine"] {
        let hidden = format!("home/cache/{part}");
        for args in [&gc[..], &["cache", "verify"], &["cache", "info"]] {
            faults.push(faults_of(&sandbox, args, &hidden, &NO_FOLDER, true));
        }
        faults.push(faults_of(&sandbox, &gc, &hidden, &[Plant::Folder], false));
        faults.push(faults_of(&sandbox, &fetch, &hidden, &NO_FOLDER, false));
    }
    // Obstacles at folders and files further down.
    for object in contents(&sandbox.path("home/cache")) {
        let hidden = format!("home/cache/{}", object.0);
        let folder = hidden.rsplit_once('/').unwrap().0.to_string();
        let walked =
            !hidden.contains("/hints/") && !folder.ends_with("/cache") && folder.matches('/').count() > 2;
        for hidden in [hidden, folder].iter().filter(|_| walked) {
            faults.push(faults_of(&sandbox, &gc, hidden, &NO_FOLDER[..4], true));
            sandbox.isn(&fetch).ok();
        }
    }
    check(&faults);
    sandbox.isn(&["cache", "verify"]).ok();
    // Damaged files are not moved out of the cache.
    let object = contents(&sandbox.path("home/cache/objects")).remove(0).0;
    for plant in NO_FOLDER {
        sandbox.write(&format!("home/cache/objects/{object}"), b"damaged");
        let pull = ["pull", &pin, "--registry", "reg", "--to", "tree"];
        check(&[faults_of(&sandbox, &pull, "home/cache/quarantine", &[plant], false)]);
        check(&[faults_of(&sandbox, &["cache", "verify"], "home/cache/quarantine", &[plant], true)]);
    }
}

#[test]
fn a_dangling_link_as_checkpoint_is_not_a_log_that_was_never_seen() {
    let (sandbox, _) = Sandbox::published();
    with_precious(&sandbox);
    sandbox.pull("grads@1.0", &["--to", "tree"]).ok();
    let checkpoint = contents(&sandbox.path("home/logs"));
    let checkpoint = checkpoint.iter().find(|(name, _)| name.ends_with("/checkpoint")).unwrap().0.clone();
    let pull = ["pull", "grads@1.0", "--registry", "reg", "--to", "again"];
    check(&[faults_of(&sandbox, &pull, &format!("home/logs/{checkpoint}"), &ALL, true)]);
    assert!(!sandbox.path("again").exists());
}

#[test]
fn what_a_killed_trust_add_left_goes_with_the_next() {
    let (sandbox, _) = Sandbox::published();
    let key = sandbox.isn(&["key", "show", "me"]).ok().stdout;
    let names = || {
        let names = fs::read_dir(sandbox.path("home")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.contains("tmp")).collect::<Vec<String>>()
    };
    for at in 0..200 {
        let registry = format!("other{at}");
        let mut child = sandbox
            .command(&["trust", "add", &registry, key.trim()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_micros(at * 50));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(names().iter().all(|name| name.starts_with(".isn-tmp-")), "{:?}", names());
    }
    sandbox.write("home/.isn-tmp-trust.toml-0123456789abcdef", b"");
    sandbox.write("home/.isn-tmp-another", b"");
    sandbox.isn(&["trust", "add", "last", key.trim()]).ok();
    assert_eq!(names(), [".isn-tmp-another"]);
}

/// The staging folder of an older isn that was killed keeps its name, and this isn does not remove its
/// contents.
#[test]
fn the_staging_folder_of_an_older_isn_is_named_and_stays() {
    let (sandbox, pin) = Sandbox::published();
    let [partial, _] = names_of_pull("tree", &pin);
    sandbox.write(&format!("{partial}/train/ant/ant_0.png"), b"half of it");
    let pull = ["pull", "grads@1.0", "--registry", "reg", "--to", "tree"];
    let ran = sandbox.isn(&pull).fails(1, &format!("{partial} was not made by isn"));
    assert!(ran.stderr.contains("an older isn") && ran.stderr.contains("remove it"), "{}", ran.stderr);
    assert_eq!(sandbox.read(&format!("{partial}/train/ant/ant_0.png")), b"half of it");
    fs::remove_dir_all(sandbox.path(&partial)).unwrap();
    sandbox.isn(&pull).ok();
    assert_eq!(sandbox.leftovers(), [""; 0]);
}

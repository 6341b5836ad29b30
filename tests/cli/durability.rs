//! What survives a power cut: before the log's checkpoint is renamed into place, everything it refers to is
//! on disk, including file names. Checked by the system calls of a publish.
#![cfg(target_os = "linux")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::sandbox::{ISN, Sandbox, has_tool, ran};

/// The state of a registry's folder according to the system calls, and which part of it is not on disk.
#[derive(Default)]
struct Disk {
    root: PathBuf,
    /// Files with bytes that were written but not synced.
    dirty: BTreeSet<PathBuf>,
    /// Folders with new names that were not synced, and those names.
    names: BTreeMap<PathBuf, BTreeSet<PathBuf>>,
    /// The number of system calls of each kind.
    calls: BTreeMap<String, usize>,
    /// The faults that were found.
    faults: Vec<String>,
    checkpoints: usize,
    /// The folder of a checkpoint that the home does not yet have on disk, and the number of
    /// checkpoints that it has.
    to_remember: Option<PathBuf>,
    remembered: usize,
    /// The number of checkpoints that the home had on disk before each checkpoint of the registry.
    shown_after: Vec<usize>,
}

impl Disk {
    fn named(&mut self, path: &Path) {
        let Some(folder) = path.parent().filter(|_| path.starts_with(&self.root)) else { return };
        self.names.entry(folder.into()).or_default().insert(path.into());
    }

    fn unnamed(&mut self, path: &Path) {
        self.dirty.remove(path);
        if let Some(names) = path.parent().and_then(|folder| self.names.get_mut(folder)) {
            names.remove(path);
        }
    }

    /// Called just before the log shows what was appended.
    fn check(&mut self, what: &str) {
        self.faults.extend(self.dirty.iter().map(|path| format!("{what}: {} is not synced", path.display())));
        let lost = self.lost();
        self.faults
            .extend(lost.iter().map(|path| format!("{what}: the name {} is not synced", path.display())));
    }

    /// The names that a power cut could remove, except those of locks and temporary files.
    fn lost(&self) -> Vec<PathBuf> {
        let is_passing = |path: &&PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.starts_with(".isn-") || name.ends_with("lock")
        };
        self.names.values().flatten().filter(|path| !is_passing(path)).cloned().collect()
    }

    fn call(&mut self, line: &str) {
        let Some((name, rest)) = line.split_once('(') else { return };
        let name = name.rsplit(' ').next().unwrap_or(name);
        let Some((arguments, result)) = rest.rsplit_once(" = ") else { return };
        if result.starts_with('-') {
            return;
        }
        *self.calls.entry(name.into()).or_default() += 1;
        // strace quotes a path after the folder that it starts from, or prints it in angle brackets after the
        // number of an open file.
        let parts: Vec<&str> = arguments.split('"').collect();
        let from = |before: &str| Some(before.strip_suffix(">, ")?.rsplit_once('<')?.1.to_string());
        let quoted: Vec<PathBuf> = parts
            .chunks_exact(2)
            .map(|pair| Path::new(&from(pair[0]).unwrap_or_default()).join(pair[1]))
            .collect();
        let opened = |text: &str| {
            let (_, path) = text.split_once('<')?;
            Some(PathBuf::from(path.split_once('>')?.0))
        };
        let root = self.root.clone();
        let is_ours = |path: &PathBuf| path.starts_with(&root);
        match (name, quoted.as_slice()) {
            ("openat" | "openat2", [path]) if arguments.contains("O_CREAT") && is_ours(path) => {
                self.named(path)
            }
            ("mkdir" | "mkdirat", [path]) => self.named(path),
            ("write" | "pwrite64" | "copy_file_range" | "sendfile", _) => {
                // For a copy, the second file is the one that is written.
                let files = arguments.split(", ").filter_map(opened).collect::<Vec<_>>();
                let written = if name == "copy_file_range" { files.get(1) } else { files.first() };
                self.dirty.extend(written.filter(|path| is_ours(path)).cloned());
            }
            ("fsync" | "fdatasync", _) => {
                if let Some(path) = opened(arguments) {
                    self.dirty.remove(&path);
                    self.names.remove(&path);
                    self.remembered +=
                        usize::from(self.to_remember.take_if(|folder| *folder == path).is_some());
                }
            }
            ("syncfs", _) => {
                self.dirty.clear();
                self.names.clear();
            }
            ("rename" | "renameat" | "renameat2" | "link" | "linkat", [from, to]) => {
                if to.ends_with("checkpoint") && !is_ours(to) {
                    // The home remembers this checkpoint: from now on nothing else of that size is signed.
                    self.check("what is remembered");
                    self.to_remember = to.parent().map(Path::to_path_buf);
                }
                if to.ends_with("log/checkpoint") && is_ours(to) {
                    self.checkpoints += 1;
                    self.shown_after.push(self.remembered);
                    self.check(&format!("checkpoint {}", self.checkpoints));
                }
                let is_dirty = self.dirty.contains(from);
                if name.starts_with("rename") {
                    self.unnamed(from);
                }
                if is_dirty && is_ours(to) {
                    self.faults.push(format!("{} was named before it was synced", to.display()));
                }
                self.named(to);
            }
            ("unlink" | "unlinkat" | "rmdir", [path]) => self.unnamed(path),
            _ => {}
        }
    }
}

/// The system calls of one run of isn, in order.
fn calls(sandbox: &Sandbox, args: &[&str]) -> Vec<String> {
    let trace = sandbox.path("trace");
    let mut command = sandbox.program("strace");
    command.args(["-f", "-y", "-qq", "-s", "0", "-e", "signal=none", "-o"]).arg(&trace);
    command.args([
        "-e",
        "trace=openat,openat2,write,pwrite64,copy_file_range,sendfile,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,\
         unlink,unlinkat,rmdir,fsync,fdatasync,syncfs",
    ]);
    ran(command.arg(ISN).args(args)).ok();
    let mut calls = Vec::new();
    let mut unfinished: BTreeMap<String, String> = BTreeMap::new();
    for line in String::from_utf8_lossy(&sandbox.read("trace")).lines() {
        let Some((thread, call)) = line.trim_start().split_once(' ') else { continue };
        let call = call.trim_start();
        if let Some((begun, _)) = call.split_once(" <unfinished ...>") {
            unfinished.insert(thread.into(), begun.into());
        } else if let Some((_, end)) = call.split_once(" resumed>") {
            let begun = unfinished.remove(thread).unwrap_or_default();
            calls.push(format!("{begun}{end}"));
        } else {
            calls.push(call.into());
        }
    }
    calls
}

/// Returns the state of a folder after a run of isn.
fn traced(sandbox: &Sandbox, folder: &str, args: &[&str]) -> Disk {
    let calls = calls(sandbox, args);
    let mut disk = Disk { root: sandbox.path(folder).canonicalize().unwrap(), ..Disk::default() };
    calls.iter().for_each(|call| disk.call(call));
    disk
}

pub fn can_trace() -> bool {
    let works = || {
        Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status().is_ok_and(|s| s.success())
    };
    has_tool("strace")
        && (works() || {
            eprintln!("strace may not trace here: not tried");
            false
        })
}

#[test]
fn what_a_checkpoint_refers_to_is_on_disk_before_it() {
    if !can_trace() {
        return;
    }
    let sandbox = Sandbox::built();
    sandbox.build_second_version();
    let reg = sandbox.path("reg").display().to_string();
    for out in ["out", "out2"] {
        let disk = traced(&sandbox, "reg", &["publish", out, "--registry", &reg, "--key", "me"]);
        assert_eq!(disk.faults, [""; 0], "{out}");
        // One checkpoint of the empty log, and one of the log with the release.
        assert_eq!(disk.checkpoints, if out == "out" { 2 } else { 1 });
        // isn remembers a checkpoint before it signs it, except the empty log's, which is
        // the same for everybody.
        assert_eq!(disk.shown_after, if out == "out" { vec![0, 2] } else { vec![1] }, "{out}");
        assert_eq!((disk.dirty.len(), disk.lost()), (0, Vec::new()), "{out}");
        let calls = |name: &str| disk.calls.get(name).copied().unwrap_or_default();
        println!(
            "{out}: {} fsync, {} fdatasync, {} syncfs",
            calls("fsync"),
            calls("fdatasync"),
            calls("syncfs")
        );
    }
}

#[test]
fn what_is_trusted_is_on_disk_when_it_is_said_to_be() {
    if !can_trace() {
        return;
    }
    let sandbox = Sandbox::built();
    let key = sandbox.isn(&["key", "show", "me"]).ok().stdout;
    sandbox.isn(&["registry", "init", "reg"]).ok();
    for verb in ["add", "remove"] {
        let disk = traced(&sandbox, "home", &["trust", verb, "reg", key.trim()]);
        assert!(disk.calls.keys().any(|call| call.starts_with("rename")), "{verb}: {:?}", disk.calls);
        assert_eq!((disk.dirty.len(), disk.lost(), disk.faults), (0, Vec::new(), Vec::new()), "{verb}");
    }
}

/// Without the mark, isn would not recognise its own folder after a power cut.
#[test]
fn a_folder_of_isn_is_marked_on_disk_before_anything_is_in_it() {
    if !can_trace() {
        return;
    }
    let (sandbox, _) = Sandbox::published();
    let calls = calls(&sandbox, &["pull", "grads@1.0", "--registry", "reg", "--to", "tree"]);
    let at = |call: &str, end: &str| {
        let found = calls.iter().position(|line| line.contains(call) && line.contains(end));
        found.unwrap_or_else(|| panic!("no {call} … {end} in\n{}", calls.join("\n")))
    };
    let made = at("mkdir", ".isn-partial\"");
    let marked = at("fsync(", ".isn-partial/.isn-tmp-");
    let placed = at("rename", "\".made-by-isn\"");
    let named = at("fsync(", ".isn-partial>");
    let used = at("mkdir", "\"tree\"");
    let steps = [made, marked, placed, named, used];
    assert!(steps.is_sorted(), "{steps:?}");
}

/// A name that leads to a new tree must not outlive its images. An image that the old tree had is on disk.
#[test]
fn an_upgrade_reads_each_image_once_and_is_on_disk_before_it_shows() {
    if !can_trace() {
        return;
    }
    let (sandbox, _) = Sandbox::published();
    sandbox.build_second_version();
    sandbox.publish("out2");
    sandbox.isn(&["pull", "grads@1.0", "--registry", "reg", "--to", "tree"]).ok();
    let calls = calls(&sandbox, &["pull", "grads@1.1", "--registry", "reg", "--to", "tree"]);
    let all = calls.join("\n");
    let shown = calls.iter().position(|line| line.contains("RENAME_EXCHANGE")).expect(&all);
    let before = |call: &str, end: &str| {
        calls[..shown].iter().filter(|line| line.contains(call) && line.contains(end)).count()
    };
    let opened = |name: &str| before("open", &format!("{name}\""));
    // The last number on such a line is that of the open file.
    assert_eq!((before("link", "ant_3.png"), opened("ant_3.png"), before("fsync(", "ant_3.png>")), (1, 1, 0));
    assert_eq!((opened("ant_new.png"), before("fsync(", "ant_new.png>")), (2, 1), "{all}");
    assert_eq!((before("syncfs(", ""), before("linkat(", ".png")), (0, 24), "{all}");
    for name in ["B3SUMS", "classes.csv", "ISN.json", "tree", "tree/val", "tree/val/ant"] {
        assert_eq!(before("fsync(", &format!("{name}>")), 1, "{name} in {all}");
    }
}

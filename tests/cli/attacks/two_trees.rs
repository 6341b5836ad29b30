//! A writer is killed at every rename and link, and the registry's host then restores an earlier state but
//! keeps copies of what was signed: it never gets two trees of one size signed by the log's key.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;

use isn_format::log::{Hash, SignedCheckpoint};

use crate::durability::can_trace;
use crate::forger::Forger;
use crate::sandbox::{ISN, contents};

fn copy(forger: &Forger, from: &str, to: &str) {
    let _ = fs::remove_dir_all(forger.path(to));
    let copied = Command::new("cp").arg("-a").arg(forger.path(from)).arg(forger.path(to)).status().unwrap();
    assert!(copied.success());
}

/// Records what the host finds signed by the log's key, under any name.
fn keep(forger: &Forger, kept: &mut BTreeMap<u64, Hash>) {
    let key = forger.anchor("reg");
    let notes = contents(&forger.path("reg/log")).into_iter().filter_map(|(name, bytes)| {
        SignedCheckpoint::parse("a note", bytes).ok()?.verify(&key).ok().map(|note| (name, note))
    });
    for (name, note) in notes {
        let root = *kept.entry(note.size).or_insert(note.root);
        assert_eq!(root, note.root, "{name} is the second tree of {} entries", note.size);
    }
}

/// Runs isn and kills it at its `at`th rename or link; returns whether it was killed.
fn killed(forger: &Forger, at: usize, args: &[&str]) -> bool {
    let mut command = forger.program("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=rename,renameat,renameat2,link,linkat", "-e"]);
    command.arg(format!("inject=rename,renameat,renameat2,link,linkat:signal=KILL:when={at}"));
    let status = command.arg(ISN).args(args).output().unwrap().status;
    assert!(status.success() || status.signal() == Some(9) || status.code() == Some(137), "{status}");
    !status.success()
}

#[test]
fn writer_that_is_killed_anywhere_signs_no_second_tree_of_a_size() {
    if !can_trace() {
        return;
    }
    let forger = Forger::new();
    let reg = forger.path("reg").display().to_string();
    let yank = |reason| ["yank", "grads@1.0", "--reason", reason, "--registry", &reg, "--key", "me"];
    for folder in ["reg", "home"] {
        copy(&forger, folder, &format!("saved-{folder}"));
    }
    let (mut at, mut refused) = (1, 0);
    loop {
        for folder in ["reg", "home"] {
            copy(&forger, &format!("saved-{folder}"), folder);
        }
        let mut kept = BTreeMap::new();
        if !killed(&forger, at, &yank("labels")) {
            break;
        }
        keep(&forger, &mut kept);
        // If the host restores nothing, the next writer finishes what was begun.
        copy(&forger, "reg", "left-reg");
        copy(&forger, "home", "left-home");
        forger.isn(&yank("labels"));
        keep(&forger, &mut kept.clone());
        forger.isn(&["log", "verify", "--registry", "reg"]).ok();
        // The host takes back only the claim, and then everything.
        for takes_all in [false, true] {
            for folder in ["reg", "home"] {
                copy(&forger, &format!("left-{folder}"), folder);
            }
            let from = if takes_all { "saved-reg" } else { "left-reg" };
            copy(&forger, from, "reg");
            let _ = fs::remove_file(forger.path("reg/log/.isn-claims/4"));
            let ran = forger.isn(&yank("another"));
            keep(&forger, &mut kept.clone());
            let is_refusal = ran.code == 4 && ran.stderr.contains("does not have the rest");
            // The first yank was finished, and another would have no effect.
            let is_finished = ran.code == 4 && ran.stderr.contains("says again what entry 4 says");
            assert!(ran.code == 0 || is_finished || is_refusal, "kill {at}: {}", ran.stderr);
            assert!(!is_refusal || takes_all, "kill {at}: {}", ran.stderr);
            refused += usize::from(is_refusal);
        }
        at += 1;
    }
    assert!(at > 5 && refused > 0, "{at} names, {refused} refusals");
    assert!(Path::new(&reg).exists());
}

//! stdout or stderr that accepts nothing: a closed pipe, a full disk. No verb panics, a closed pipe does not
//! change the exit code, and finished work stays done and is reported as done.
#![cfg(target_os = "linux")]

use std::fs::OpenOptions;
use std::process::{Command, Stdio};

use crate::forger::Forger;
use crate::sandbox::{Ran, Sandbox, ended};

/// Where a stream goes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum To {
    /// Somebody who reads.
    Reader,
    /// A pipe that nobody reads any more.
    ClosedPipe,
    /// A disk that is full.
    FullDisk,
}

fn stream(to: To) -> Stdio {
    match to {
        To::Reader => Stdio::piped(),
        To::ClosedPipe => std::io::pipe().unwrap().1.into(),
        To::FullDisk => OpenOptions::new().write(true).open("/dev/full").unwrap().into(),
    }
}

fn with(mut command: Command, out: To, err: To) -> Ran {
    ended(command.stdout(stream(out)).stderr(stream(err)).spawn().unwrap())
}

/// Verbs that print: the arguments, the exit code when the output is read, and the file that shows that the
/// work was done. `{n}` is another number in each run.
const VERBS: &[(&[&str], i32, Option<&str>)] = &[
    (&["pull", "grads", "--registry", "reg", "--to", "t{n}"], 0, Some("t{n}/B3SUMS")),
    (&["fetch", "grads", "--registry", "reg"], 0, Some("home/cache/objects")),
    (
        &["export", "grads", "--registry", "reg", "--as", "imagefolder", "--to", "e{n}"],
        0,
        Some("e{n}/ISN.json"),
    ),
    (&["sync", "--registry", "reg"], 0, Some("locked/B3SUMS")),
    (&["verify", "reg"], 0, None),
    (&["verify", "whole"], 0, None),
    (&["verify", "changed"], 3, None),
    (&["verify", "--proof", "proof"], 0, None),
    (&["verify", "whole", "--proof", "proof"], 0, None),
    (&["info", "grads", "--registry", "reg"], 0, None),
    (&["images", "grads", "--registry", "reg"], 0, None),
    (&["list", "--registry", "reg"], 0, None),
    (&["diff", "whole", "out", "--html", "d{n}.html"], 0, Some("d{n}.html")),
    (&["cite", "grads", "--registry", "reg"], 0, None),
    (&["build", "grads-1.0.toml", "--source", "raw", "--out", "b{n}"], 0, Some("b{n}/manifest.json")),
    (&["source", "check", "raw", "--recipe", "grads-1.0.toml"], 0, None),
    (&["verify-source", "grads", "--source", "raw", "--registry", "reg"], 0, None),
    (&["audit", "labels", "raw", "--pixels", "--scores", "s{n}.csv"], 0, Some("s{n}.csv")),
    (&["audit", "duplicates", "raw"], 8, None),
    (&["audit", "images", "raw", "--html", "i{n}.html"], 8, Some("i{n}.html")),
    (&["audit", "balance", "raw"], 0, None),
    (&["audit", "all", "raw"], 8, None),
    (&["publish", "out", "--registry", "new{n}", "--key", "me"], 0, Some("new{n}/log/checkpoint")),
    (&["publish", "out", "--registry", "reg", "--key", "me", "--dry-run"], 0, None),
    (&["owner", "show", "grads", "--registry", "reg"], 0, None),
    (&["log", "show", "--registry", "reg"], 0, None),
    (&["log", "verify", "--registry", "reg"], 0, None),
    (&["log", "watch", "--once", "--registry", "reg"], 0, None),
    (&["log", "evidence"], 0, None),
    (&["prove", "grads", "--registry", "reg", "--out", "p{n}"], 0, Some("p{n}")),
    (&["key", "new", "k{n}", "--no-passphrase"], 0, Some("home/keys/k{n}")),
    (&["key", "list"], 0, None),
    (&["key", "show", "me"], 0, None),
    (&["trust", "add", "reg", "home/keys/me.pub"], 0, None),
    (&["trust", "list"], 0, None),
    (&["registry", "init", "r{n}"], 0, Some("r{n}/registry.json")),
    (&["registry", "check", "reg"], 0, None),
    (&["mirror", "reg", "m{n}"], 0, Some("m{n}/log/checkpoint")),
    (&["ledger", "show", "l.csv"], 0, None),
    (
        &["ledger", "add", "l{n}.csv", "a", "keep", "--reason", "correct", "--reviewer", "Ann"],
        0,
        Some("l{n}.csv"),
    ),
    (&["ledger", "import", "j{n}.csv", "l.csv"], 0, Some("j{n}.csv")),
    (&["ledger", "check", "led-1.0.toml", "--source", "raw"], 0, None),
    (&["ledger", "diff", "l.csv", "l.csv"], 0, None),
    (&["cache", "info"], 0, None),
    (&["cache", "verify"], 0, None),
    (&["cache", "gc", "--older-than", "7d"], 0, None),
    (&["doctor", "--registry", "reg"], 0, None),
    (&["help"], 0, None),
    (&["--help"], 0, None),
    (&["--version"], 0, None),
    (&["pull", "--help"], 0, None),
    (&["pull", "none@1.0", "--registry", "reg"], 6, None),
    (&["verify", "nowhere/at/all"], 6, None),
    (&["pull"], 2, None),
];

fn sandbox() -> Sandbox {
    let (sandbox, pin) = Sandbox::published();
    sandbox.pull(&pin, &["--to", "whole"]).ok();
    sandbox.copy("whole", "changed");
    sandbox.write("changed/classes.csv", b"other");
    sandbox.isn(&["pull", &pin, "--registry", "reg", "--to", "locked", "--lock"]).ok();
    sandbox.isn(&["prove", "grads", "--registry", "reg", "--out", "proof"]).ok();
    let ledger = "kind,source_id,says,labels,reason,source,reviewer,date,evidence\n\
                  decision,ant/ant_0,keep,,correct,,Ann,2026-01-01,\n";
    sandbox.write("l.csv", ledger.as_bytes());
    sandbox.recipe("led", "1.0", &["ant", "bee", "cat"], "\n[corrections]\nfile = \"l.csv\"\n");
    sandbox
}

/// Runs every verb as `check` asks, and checks that its work was done whatever happened to its report.
fn every_verb(check: impl Fn(&str, i32, bool, &mut dyn FnMut(&[&str], To, To) -> Ran)) {
    let sandbox = sandbox();
    let mut number = 0;
    for (args, code, made) in VERBS {
        let mut run = |more: &[&str], out: To, err: To| {
            number += 1;
            let named = |text: &str| text.replace("{n}", &number.to_string());
            let args: Vec<String> = more.iter().chain(*args).map(|arg| named(arg)).collect();
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let ran = with(sandbox.command(&args), out, err);
            let done = made.is_none_or(|made| sandbox.path(&named(made)).exists());
            assert!(done, "{args:?}, stdout {out:?}, stderr {err:?}: {}", ran.stderr);
            ran
        };
        check(&args.join(" "), *code, made.is_some(), &mut run);
    }
}

#[test]
fn a_closed_pipe_ends_every_verb_quietly_with_its_own_code() {
    every_verb(|verb, code, _, run| {
        for more in [&[][..], &["--json"]] {
            let read = run(more, To::Reader, To::Reader);
            assert_eq!(read.code, code, "{verb} {more:?}: {}", read.stderr);
            let closed = run(more, To::ClosedPipe, To::Reader);
            assert_eq!(closed.code, code, "{verb} {more:?}: {}", closed.stderr);
            assert!(
                !closed.stderr.contains("panic") && !closed.stderr.contains("stdout"),
                "{}",
                closed.stderr
            );
        }
    });
}

#[test]
fn a_full_disk_behind_stdout_is_an_error_that_says_what_is_done() {
    every_verb(|verb, code, makes, run| {
        for more in [&[][..], &["--json"]] {
            let read = run(more, To::Reader, To::Reader);
            let full = run(more, To::FullDisk, To::Reader);
            // A verdict keeps its exit code, and a verb that prints only to stderr has lost nothing.
            let expected = if code == 0 && !read.stdout.is_empty() { 1 } else { code };
            assert_eq!(full.code, expected, "{verb} {more:?}: {}", full.stderr);
            let is_usage = code == 2 || code == 6;
            if !read.stdout.is_empty() && !is_usage {
                let why = "error: cannot write to stdout: No space left on device";
                assert!(full.stderr.contains(why), "{verb} {more:?}: {}", full.stderr);
                let reports = makes && !verb.starts_with("audit") && !verb.starts_with("diff");
                let said =
                    full.stderr.contains("help: the work is done; only its report could not be written");
                assert!(said || !reports, "{verb} {more:?}: {}", full.stderr);
            }
        }
    });
}

#[test]
fn a_stderr_that_takes_nothing_changes_nothing() {
    every_verb(|verb, code, _, run| {
        let read = run(&[], To::Reader, To::Reader);
        for err in [To::ClosedPipe, To::FullDisk] {
            let ran = run(&[], To::Reader, err);
            assert_eq!(ran.code, code, "{verb}, stderr {err:?}");
            assert_eq!(ran.stdout.is_empty(), read.stdout.is_empty(), "{verb}, stderr {err:?}");
            for out in [To::ClosedPipe, To::FullDisk] {
                let ran = run(&[], out, err);
                assert!(ran.code == code || (ran.code == 1 && out == To::FullDisk), "{verb}: {}", ran.code);
            }
        }
    });
}

#[test]
fn a_server_whose_address_nobody_can_read_does_not_start() {
    let sandbox = sandbox();
    for (args, file) in [
        (&["serve", "reg", "--listen", "127.0.0.1:0", "--log"][..], "reg"),
        (&["review", "raw", "--ledger", "q.csv", "--suspects", "list.csv", "--reviewer", "Ann"], "raw"),
    ] {
        sandbox.write("list.csv", b"source_id\nant_0\nant/ant_0\n");
        for (out, code) in [(To::ClosedPipe, 0), (To::FullDisk, 1)] {
            let ran = with(sandbox.command(args), out, To::Reader);
            assert_eq!(ran.code, code, "{file}: {}", ran.stderr);
        }
    }
}

#[test]
fn a_watcher_ends_when_nobody_reads_what_it_finds() {
    let forger = Forger::new();
    let mut command = forger.command(&["log", "watch", "--every", "1s", "--registry", "reg"]);
    command.env("ISN_HOME", forger.path("reader"));
    let ran = with(command, To::ClosedPipe, To::Reader);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

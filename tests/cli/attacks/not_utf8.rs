//! Environment variables and paths that are not UTF-8 work like any others, or are refused with a message
//! before any work.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

use crate::forger::Forger;
use crate::sandbox::{Ran, Sandbox, ran};

const NAME: &[u8] = b"\xff\xfe";

/// Returns what a command printed; fails if it panicked or reported a defect in itself.
#[track_caller]
fn ends(mut command: Command) -> Ran {
    let ran = ran(&mut command);
    let said = &ran.stderr;
    assert!(![-1, 101].contains(&ran.code), "{command:?}: {said}");
    assert!(!said.contains("internal error") && !said.contains("bug in isn"), "{command:?}: {said}");
    ran
}

#[test]
fn a_variable_that_is_not_utf8_is_nobodys_setting() {
    let (sandbox, _) = Sandbox::published();
    let info = ["info", "grads@1.0", "--registry", "reg"];
    let bad = OsStr::from_bytes(b"\xff");
    for name in [OsStr::new("X"), OsStr::new("PWD"), OsStr::new("AWS_REGION"), bad] {
        for args in [&info[..], &["list", "--registry", "reg"], &["trust", "list"], &["doctor"]] {
            let mut command = sandbox.command(args);
            command.env(name, bad);
            let ran = ends(command);
            assert!(args[0] == "doctor" || ran.code == 0, "{name:?} {args:?}: {}", ran.stderr);
        }
    }
    // Settings are not silently ignored, least of all `--offline`.
    for name in ["ISN_REGISTRY", "ISN_OFFLINE", "ISN_TIMEOUT", "ISN_RETRIES", "ISN_TOKENS"] {
        let mut command = sandbox.command(&["info", "grads@1.0"]);
        command.env(name, bad);
        ends(command).fails(1, &format!("{name} is not UTF-8 text"));
    }
    let mut command = sandbox.command(&["key", "new", "other"]);
    command.env("ISN_PASSPHRASE", bad);
    ends(command).fails(1, "ISN_PASSPHRASE is not UTF-8 text");
    // A working folder with such a name.
    let folder = sandbox.path("").join(OsStr::from_bytes(NAME));
    fs::create_dir(&folder).unwrap();
    for args in [&["pull", "demobirds@1.0"][..], &["list"], &["doctor"], &["pull", "demobirds@1.0", "--lock"]]
    {
        let mut command = sandbox.command(args);
        command.current_dir(&folder).env("PWD", &folder);
        let ran = ends(command);
        assert!(args[0] == "doctor" || ran.code == 0, "{args:?}: {}", ran.stderr);
    }
}

/// Every verb, with `PATH` where it takes a path.
const VERBS: [&str; 46] = [
    "pull grads@1.0 --registry reg --to PATH",
    "pull grads@1.0 --registry reg --to PATH --lock",
    "pull grads@1.0 --registry reg --to PATH --lock --allow-outside",
    "pull grads@1.0 --registry reg --to tree --source PATH",
    "pull grads@1.0 --registry PATH --to tree",
    "pull grads@1.0 --registry reg --to tree --images PATH",
    "export grads@1.0 --registry reg --as mds --to PATH",
    "export grads@1.0 --registry reg --as imagefolder --to PATH",
    "build grads-1.0.toml --source raw --out PATH",
    "build grads-1.0.toml --source PATH --out new",
    "build PATH --source raw --out new",
    "demo source PATH",
    "publish PATH --registry reg --key me",
    "publish out --registry PATH --key me",
    "publish out --registry reg --key me --statement PATH",
    "yank grads@1.0 --reason x --registry reg --key me --statement PATH",
    "yank grads@1.0 --reason x --registry PATH --key me",
    "yank grads@1.0 --reason x --registry reg --key PATH",
    "sign PATH --key me",
    "append PATH --registry reg",
    "prove grads@1.0 --registry reg --out PATH",
    "verify PATH",
    "verify out --proof PATH",
    "verify --proof proof --log-key PATH",
    "diff out PATH",
    "diff grads@1.0 grads@1.0 --registry reg --html PATH",
    "audit duplicates out --html PATH",
    "audit duplicates out --groups PATH",
    "audit images PATH",
    "audit all PATH",
    "audit labels out --scores PATH",
    "audit mask PATH --kept PATH",
    "audit mask out --issues PATH",
    "audit labels out --probs PATH",
    "ledger add PATH ant/ant_1.png remove --reason broken --evidence x --reviewer me",
    "ledger show PATH",
    "ledger check PATH",
    "ledger import corrections.csv PATH",
    "ledger diff corrections.csv PATH",
    "source inspect PATH",
    "verify-source grads@1.0 --registry reg --source PATH",
    "mirror reg PATH",
    "mirror PATH copy",
    "registry init PATH",
    "registry check PATH",
    "trust add PATH PATH",
];

#[test]
fn no_verb_panics_at_a_path_that_is_not_utf8() {
    let forger = Forger::new();
    forger.isn(&["trust", "add", "reg", &forger.anchor("reg").to_string()]).ok();
    fs::write(forger.path("corrections.csv"), "").unwrap();
    let path = OsStr::from_bytes(NAME);
    let clear = || {
        for name in [path, OsStr::new("tree"), OsStr::new("new"), OsStr::new("copy")] {
            let at = forger.path("").join(name);
            let _ = fs::remove_dir_all(&at);
            let _ = fs::remove_file(&at);
        }
    };
    let mut done = 0;
    for verb in VERBS {
        for kind in ["nothing", "a file", "a folder"] {
            for json in [false, true] {
                // It draws for seconds wherever it may write.
                if verb.starts_with("demo") && (json || kind == "a folder") {
                    continue;
                }
                clear();
                match kind {
                    "a file" => fs::write(forger.path("").join(path), "x").unwrap(),
                    "a folder" => fs::create_dir(forger.path("").join(path)).unwrap(),
                    _ => {}
                }
                let words = verb.split(' ').map(|word| if word == "PATH" { path } else { OsStr::new(word) });
                let mut command = forger.command(&[]);
                command.args(words).args(json.then_some("--json"));
                done += u32::from(ends(command).code == 0);
            }
        }
    }
    clear();
    assert!(done > 30, "{done}");
    // The pull is refused before it starts, because its path cannot be locked.
    let mut command = forger.command(&["pull", "grads@1.0", "--registry", "reg", "--lock", "--to"]);
    command.arg(path);
    ends(command).fails(1, "is not UTF-8, as paths in isn.lock must be");
    assert!(!forger.path("").join(path).exists());
    // The cache and the home.
    for variable in ["ISN_CACHE", "ISN_HOME"] {
        for args in
            ["cache info", "cache verify", "cache gc", "key new a --no-passphrase", "doctor", "log evidence"]
        {
            for json in [&[][..], &["--json"]] {
                let args: Vec<OsString> =
                    args.split(' ').chain(json.iter().copied()).map(Into::into).collect();
                let mut command = forger.command(&[]);
                command.args(args).env(variable, forger.path("").join(path));
                ends(command);
            }
        }
    }
}

/// An image that loaders read is one too many, whatever its name.
#[test]
fn a_file_of_a_tree_whose_name_is_not_utf8_is_extra() {
    let (sandbox, pin) = Sandbox::published();
    sandbox.pull("grads@1.0", &[]).ok();
    let folder = fs::read_dir(sandbox.path("grads-1.0/train")).unwrap().next().unwrap().unwrap().path();
    fs::write(folder.join(OsStr::from_bytes(b"\xff.png")), b"x").unwrap();
    let verified = sandbox.isn(&["verify", "grads-1.0"]).fails(3, "");
    assert!(verified.stdout.contains("extra: train/"), "{}", verified.stdout);
    sandbox.isn(&["pull", &pin, "--registry", "reg"]).fails(1, "damaged or edited (extra: train/");
}

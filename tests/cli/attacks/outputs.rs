//! Files that options name, and the user's own files: isn does not change what kind of thing is in their
//! place.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::process::{Command, Stdio};

use crate::forger::Forger;
use crate::sandbox::{ISN, Sandbox};

/// Every option that names an output file, which is the last argument.
const OPTIONS: [&[&str]; 8] = [
    &["prove", "grads@1.0", "--registry", "reg", "--out", "FILE"],
    &["diff", "grads@1.0", "grads@1.0", "--registry", "reg", "--html", "FILE"],
    &["audit", "duplicates", "tree", "--html", "FILE"],
    &["audit", "duplicates", "tree", "--groups", "FILE"],
    &["audit", "images", "tree", "--html", "FILE"],
    &["audit", "all", "tree", "--html", "FILE"],
    &[
        "audit",
        "labels",
        "--probs",
        "p.csv",
        "--labels",
        "l.csv",
        "--classes",
        "classes.csv",
        "--scores",
        "FILE",
    ],
    &["audit", "labels", "tree", "--pixels", "--html", "FILE"],
];

fn with_file<'a>(args: &[&'a str], file: &'a str) -> Vec<&'a str> {
    args.iter().map(|&arg| if arg == "FILE" { file } else { arg }).collect()
}

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn is_done(code: i32) -> bool {
    [0, 8].contains(&code)
}

#[test]
fn an_output_goes_to_where_its_option_leads() {
    let forger = Forger::new();
    forger.isn(&["trust", "add", "reg", &forger.anchor("reg").to_string()]).ok();
    forger.isn(&["pull", "grads@1.0", "--registry", "reg", "--to", "tree"]).ok();
    let tables = [
        ("p.csv", "ant,bee\n0.9,0.1\n0.2,0.8\n0.95,0.05\n0.1,0.9\n0.85,0.15\n"),
        ("l.csv", "path,label\na,ant\nb,bee\nc,bee\nd,bee\ne,ant\n"),
        ("classes.csv", "index,id,label,group\n0,ant,the ant,\n1,bee,the bee,\n"),
    ];
    for (name, text) in tables {
        fs::write(forger.path(name), text).unwrap();
    }
    for option in OPTIONS {
        let run = |file: &str| forger.isn(&with_file(option, file));
        // A file of the same kind is replaced and keeps its mode.
        let _ = fs::remove_file(forger.path("file"));
        assert!(is_done(run("file").code), "{option:?}");
        let before = [&forger.bytes("file")[..], b"before"].concat();
        fs::write(forger.path("file"), &before).unwrap();
        fs::set_permissions(forger.path("file"), fs::Permissions::from_mode(0o640)).unwrap();
        let ran = run("file");
        assert!(is_done(ran.code), "{option:?}: {}", ran.stderr);
        let right = forger.bytes("file");
        assert!(right != before && mode(&forger.path("file")) == 0o640, "{option:?}");
        // So is the target of a link, and the link stays.
        fs::write(forger.path("file"), &before).unwrap();
        symlink("file", forger.path("link")).unwrap();
        assert!(is_done(run("link").code), "{option:?}");
        assert!(forger.path("link").is_symlink(), "{option:?}");
        assert!(forger.bytes("file").len() == right.len(), "{option:?}");
        fs::remove_file(forger.path("link")).unwrap();
        // Neither a dangling link nor a folder is removed.
        symlink("nowhere", forger.path("link")).unwrap();
        run("link").fails(1, "leads nowhere");
        assert!(forger.path("link").is_symlink() && !forger.path("nowhere").exists(), "{option:?}");
        fs::remove_file(forger.path("link")).unwrap();
        fs::create_dir(forger.path("folder")).unwrap();
        run("folder").fails(1, "is a folder");
        fs::remove_dir(forger.path("folder")).unwrap();
        // A device receives what is written.
        symlink("/dev/null", forger.path("null")).unwrap();
        assert!(is_done(run("null").code), "{option:?}");
        assert!(fs::read_link(forger.path("null")).unwrap().ends_with("dev/null"), "{option:?}");
        fs::remove_file(forger.path("null")).unwrap();
        let device = forger.path("device");
        let is_made = Command::new("mknod").arg(&device).args(["c", "1", "3"]).status();
        if is_made.is_ok_and(|status| status.success()) {
            // Only where devices can be used at all.
            if fs::write(&device, "x").is_ok() {
                assert!(is_done(run("device").code), "{option:?}");
            }
            assert!(fs::symlink_metadata(&device).unwrap().file_type().is_char_device(), "{option:?}");
            fs::remove_file(&device).unwrap();
        }
        // So does a pipe.
        let pipe = forger.path("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        // Open at both ends, so that the reader does not block for ever if nothing is written.
        let mut reader = fs::File::options().read(true).write(true).open(&pipe).unwrap();
        let reading = std::thread::spawn(move || {
            let mut bytes = vec![0; right.len()];
            reader.read_exact(&mut bytes).map(|()| bytes.len() == right.len())
        });
        let ran = run("pipe");
        assert!(is_done(ran.code), "{option:?}: {}", ran.stderr);
        assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo(), "{option:?}");
        assert!(reading.join().unwrap().unwrap(), "{option:?}");
        fs::remove_file(&pipe).unwrap();
    }
}

/// Runs a shell command, with isn as `$ISN`.
fn shell(sandbox: &Sandbox, line: &str) -> std::process::Output {
    sandbox.program("sh").args(["-c", line]).env("ISN", ISN).output().unwrap()
}

#[test]
fn an_output_that_is_open_already_loses_nothing() {
    let forger = Forger::new();
    forger.isn(&["trust", "add", "reg", &forger.anchor("reg").to_string()]).ok();
    symlink("/dev/stdout", forger.path("link")).unwrap();
    let verbs = ["prove grads@1.0 --registry reg --out", "diff grads@1.0 grads@1.0 --registry reg --html"];
    for (verb, there) in verbs.iter().flat_map(|verb| ["before\n", ""].map(|there| (verb, there))) {
        forger.isn(&[&verb.split(' ').collect::<Vec<_>>()[..], &["right"]].concat());
        let right = forger.bytes("right");
        fs::remove_file(forger.path("right")).unwrap();
        let lines = [
            "/dev/stdout",
            "/dev/fd/1",
            "/proc/self/fd/1",
            "link",
            "/proc/$$/fd/1",
            "/proc/thread-self/fd/1",
        ]
        .map(|to| format!("{{ printf %s '{there}'; $ISN {verb} {to}; }} >> file"))
        .into_iter()
        .chain([
            format!("{{ printf %s '{there}'; $ISN {verb} /dev/stdout; }} > file"),
            format!("{{ printf %s '{there}'; $ISN {verb} /dev/stdout; }} | cat > file"),
            format!("printf %s '{there}' > file; $ISN {verb} /dev/stderr 2>> file"),
            format!("printf %s '{there}' > file; $ISN {verb} /dev/fd/7 7>> file"),
            format!("{{ printf %s '{there}' >&7; $ISN {verb} /dev/fd/7; }} 7> file"),
        ]);
        for line in lines {
            let _ = fs::remove_file(forger.path("file"));
            let ran = shell(&forger, &line);
            assert!(
                ran.status.code().is_some_and(is_done),
                "{line}: {}",
                String::from_utf8_lossy(&ran.stderr)
            );
            let file = forger.bytes("file");
            assert!(file.starts_with(there.as_bytes()), "{line}: the former content is gone");
            let has = file[there.len()..].windows(right.len()).any(|part| part == right);
            assert!(has, "{line}: {}", String::from_utf8_lossy(&file));
        }
    }
    let ran = shell(&forger, &format!("$ISN {} /dev/fd/77", verbs[0]));
    assert_eq!(ran.status.code(), Some(6), "a closed file descriptor");
}

/// Runs isn as another user if possible, because permissions do not bind root.
fn as_other(sandbox: &Sandbox, args: &[&str]) -> Option<crate::sandbox::Ran> {
    use std::os::unix::process::CommandExt as _;
    let home = sandbox.path("");
    let is_given = Command::new("chown").args(["-R", "4321:4321"]).arg(&home).status().unwrap().success();
    let mut command = sandbox.command(args);
    command.uid(4321).gid(4321);
    let child =
        is_given.then(|| command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().ok()).flatten()?;
    Some(crate::sandbox::ended(child))
}

#[test]
fn an_output_that_its_user_may_not_write_to_is_refused() {
    let forger = Forger::new();
    forger.isn(&["trust", "add", "reg", &forger.anchor("reg").to_string()]).ok();
    let prove = ["prove", "grads@1.0", "--registry", "reg", "--out", "file"];
    fs::write(forger.path("file"), "before").unwrap();
    fs::set_permissions(forger.path("file"), fs::Permissions::from_mode(0o444)).unwrap();
    let Some(ran) = as_other(&forger, &prove) else { return };
    ran.fails(1, "cannot write").fails(1, "ermission denied").fails(1, "help: ");
    assert_eq!(forger.bytes("file"), b"before");
    // Nor a folder in which no file can be created.
    fs::create_dir(forger.path("shut")).unwrap();
    fs::set_permissions(forger.path("shut"), fs::Permissions::from_mode(0o555)).unwrap();
    let prove = ["prove", "grads@1.0", "--registry", "nowhere", "--out", "shut/file"];
    as_other(&forger, &prove).unwrap().fails(1, "cannot write");
}

#[test]
fn an_output_runs_as_nobody() {
    let forger = Forger::new();
    forger.isn(&["trust", "add", "reg", &forger.anchor("reg").to_string()]).ok();
    fs::write(forger.path("file"), "before").unwrap();
    fs::set_permissions(forger.path("file"), fs::Permissions::from_mode(0o6755)).unwrap();
    forger.isn(&["prove", "grads@1.0", "--registry", "reg", "--out", "file"]).ok();
    assert_eq!(mode(&forger.path("file")), 0o755);
}

#[test]
fn a_statement_is_written_to_a_new_file_alone() {
    let forger = Forger::new();
    let path = forger.path("there");
    let yank =
        ["yank", "grads@1.0", "--reason", "x", "--registry", "reg", "--key", "me", "--statement", "there"];
    fs::write(&path, "before").unwrap();
    forger.isn(&yank).fails(1, "exists");
    assert_eq!(fs::read(&path).unwrap(), b"before");
    fs::remove_file(&path).unwrap();
    for to in ["nowhere", "/dev/null"] {
        symlink(to, &path).unwrap();
        forger.isn(&yank).fails(1, "exists");
        assert!(path.is_symlink());
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_ledger_of_the_older_form_keeps_its_mode_and_its_names() {
    let sandbox = Sandbox::new();
    let old = b"source_id,action,to,reason,source,reviewer,date\na.png,remove,,broken,x,Ann,2024-01-01\n";
    sandbox.write("old.csv", old);
    let path = sandbox.path("old.csv");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let owner = std::os::unix::fs::chown(&path, Some(4321), Some(4321)).map(|()| 4321);
    let add = [
        "ledger",
        "add",
        "old.csv",
        "b.png",
        "remove",
        "--reason",
        "broken",
        "--evidence",
        "x",
        "--reviewer",
        "me",
    ];
    fs::hard_link(&path, sandbox.path("other.csv")).unwrap();
    sandbox.isn(&add).fails(1, "hard links");
    assert_eq!(sandbox.read("old.csv"), old);
    fs::remove_file(sandbox.path("other.csv")).unwrap();
    sandbox.isn(&add).ok();
    assert!(sandbox.read("old.csv") != old);
    assert_eq!(mode(&path), 0o600);
    if let Ok(owner) = owner {
        let about = fs::metadata(&path).unwrap();
        assert_eq!((about.uid(), about.gid()), (owner, owner));
    }
}

#[test]
fn a_link_to_a_file_of_the_users_own_stays_one() {
    let forger = Forger::new();
    forger.isn(&["trust", "add", "reg", &forger.anchor("reg").to_string()]).ok();
    fs::create_dir(forger.path("dotfiles")).unwrap();
    let moved = |name: &str, to: &str| {
        let mode = fs::Permissions::from_mode(0o640);
        fs::set_permissions(forger.path(name), mode).unwrap();
        fs::rename(forger.path(name), forger.path("dotfiles").join(to)).unwrap();
        symlink(forger.path("dotfiles").join(to), forger.path(name)).unwrap();
    };
    let is_kept = |name: &str, to: &str| {
        let to = forger.path("dotfiles").join(to);
        assert!(forger.path(name).is_symlink(), "{name}");
        assert_eq!(mode(&to), 0o640, "{name}");
        fs::read_to_string(to).unwrap()
    };
    // The trust store.
    let key = forger.isn(&["key", "show", "me"]).ok().stdout;
    let words = |verb| ["trust", verb, "elsewhere", key.trim()];
    forger.isn(&words("add")).ok();
    moved("home/trust.toml", "trust.toml");
    forger.isn(&words("remove")).ok();
    assert!(!is_kept("home/trust.toml", "trust.toml").contains("elsewhere"));
    forger.isn(&words("add")).ok();
    assert!(is_kept("home/trust.toml", "trust.toml").contains("elsewhere"));
    // The lock file.
    let lock = |to: &'static str| ["pull", "grads@1.0", "--registry", "reg", "--to", to, "--lock"];
    forger.isn(&lock("tree")).ok();
    moved("isn.lock", "isn.lock");
    forger.isn(&lock("other")).ok();
    assert!(is_kept("isn.lock", "isn.lock").contains("other"));
    fs::remove_file(forger.path("dotfiles/isn.lock")).unwrap();
    forger.isn(&lock("third")).fails(1, "leads nowhere");
    assert!(!forger.path("third").exists(), "the pull is refused before it starts");
    // A statement.
    let yank = [
        "yank",
        "grads@1.0",
        "--reason",
        "x",
        "--registry",
        "reg",
        "--key",
        "me",
        "--statement",
        "statement",
    ];
    forger.isn(&yank).ok();
    forger.new_key("second");
    moved("statement", "statement");
    let before = fs::read_to_string(forger.path("statement")).unwrap();
    forger.isn(&["sign", "statement", "--key", "second"]).ok();
    assert!(is_kept("statement", "statement").len() > before.len());
}

#[test]
fn a_link_that_leads_nowhere_is_no_folder_with_something_in_it() {
    let sandbox = Sandbox::new();
    symlink("nowhere", sandbox.path("source")).unwrap();
    let ran = sandbox.isn(&["demo", "source", "source"]).fails(1, "leads nowhere");
    assert!(!ran.stderr.contains("not empty"), "{}", ran.stderr);
}

#[test]
fn too_few_open_files_are_no_defect_in_isn() {
    let (sandbox, pin) = Sandbox::published();
    for files in 4..16 {
        let mut limited = sandbox.program("sh");
        limited.arg("-c").arg(format!("ulimit -n {files}; exec \"$0\" \"$@\"")).arg(ISN);
        limited.args(["pull", &pin, "--registry", "reg", "--to", "tree", "--no-cache"]);
        let ran = crate::sandbox::ran(&mut limited);
        assert!(ran.code != 101 && !ran.stderr.contains("bug in isn"), "{files}: {}", ran.stderr);
        if ran.stderr.contains("Too many open files") {
            assert!(ran.stderr.contains("ulimit -n"), "{files}: {}", ran.stderr);
        }
        let _ = fs::remove_dir_all(sandbox.path("tree"));
    }
}

#[test]
fn a_secret_of_no_use_is_said_by_a_build() {
    let sandbox = Sandbox::built();
    let build = ["build", "grads-1.0.toml", "--source", "raw", "--out", "new"];
    for (bytes, mode, why) in
        [(32, 0o644, "may be read by others"), (0, 0o600, "not 32"), (31, 0o600, "not 32")]
    {
        sandbox.write("home/cache.key", &vec![7; bytes]);
        fs::set_permissions(sandbox.path("home/cache.key"), fs::Permissions::from_mode(mode)).unwrap();
        let ran = sandbox.isn(&build).ok();
        let warnings: Vec<&str> =
            ran.stderr.lines().filter(|line| line.contains("without an index")).collect();
        assert!(warnings.len() == 1 && warnings[0].contains(why), "{}", ran.stderr);
        fs::remove_dir_all(sandbox.path("new")).unwrap();
    }
    fs::remove_file(sandbox.path("home/cache.key")).unwrap();
    assert!(!sandbox.isn(&build).ok().stderr.contains("without an index"));
}

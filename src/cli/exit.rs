//! Turns errors into an exit code, a message with its causes, and what to do next. Nothing else does.

mod damage;
mod missing;
mod source;

use std::io;
use std::path::Path;

use serde_json::json;

use super::{console, near};
use isn_format::error::{
    Blame, Breach, Difference, Error, Input, KeyFault, LockFault, Missing, NetworkKind, There, chain,
};
use isn_format::text::{self, shell_word};
use isn_registry::files;

/// The input is wrong, or the system refused something.
pub(super) const ERROR: u8 = 1;
/// Bytes do not match their hash or the format.
pub(super) const INTEGRITY: u8 = 3;
const TRUST: u8 = 4;
/// Something did not answer, or could not be read where it is.
pub(super) const NETWORK: u8 = 5;
const NOT_FOUND: u8 = 6;
const SOURCE_NEEDED: u8 = 7;
/// The command worked and found something to look into.
pub(super) const FINDINGS: u8 = 8;
/// Ctrl-C.
pub(super) const INTERRUPTED: u8 = 130;

/// The exit code of a run. Unlike [`std::process::ExitCode`] it can be read by a program that has isn inside
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitCode(u8);

impl ExitCode {
    /// Success, 0.
    pub const SUCCESS: ExitCode = ExitCode(0);
}

/// Returns 0 if all is well, and otherwise this code.
pub(super) fn success_if(is_well: bool, otherwise: u8) -> ExitCode {
    ExitCode(if is_well { 0 } else { otherwise })
}

impl From<u8> for ExitCode {
    fn from(code: u8) -> Self {
        ExitCode(code)
    }
}

impl From<ExitCode> for u8 {
    fn from(code: ExitCode) -> u8 {
        code.0
    }
}

/// Prints an error on stderr, and with `--json` also as an object on stdout.
pub(super) fn report(error: Error, advice: Advice<'_>, json: bool) -> ExitCode {
    let error = near::nearest_first(error);
    let message = chain(&error);
    let kept = files::take_kept();
    let kept = kept.iter().map(|folder| {
        let folder = folder.display();
        format!("what is done is kept in {folder}: run the same command again to resume, or remove it")
    });
    let help = help(&error, advice).into_iter().chain(kept).reduce(|help, kept| format!("{help}\n{kept}"));
    console::message("error: ", &message);
    if let Some(help) = &help {
        console::message("help: ", help);
    }
    let code = code(&error);
    if json {
        let mut object = json!({ "error": message, "help": help, "exit_code": code });
        match &error {
            Error::Mistakes { mistakes, .. } => object["mistakes"] = json!(mistakes),
            Error::Rejects { rejects, .. } => object["rejects"] = json!(rejects),
            Error::Incomplete { findings, .. } | Error::Gates { findings, .. } => {
                object["findings"] = json!(findings);
            }
            Error::Rebuilt { differences, unsigned, .. } => {
                object["unsigned"] = json!(unsigned);
                object["differences"] = json!(differences);
            }
            _ => {}
        }
        print_json(&object);
    }
    ExitCode::from(code)
}

/// Prints the object of an error. Nothing is lost if stdout fails: stderr has the message too.
pub(super) fn print_json(object: &serde_json::Value) {
    let _ = console::stdout(&format!("{}\n", text::json(&object.to_string())));
}

/// Reports that stdout failed, and what is nevertheless `done`. Returns the exit code of the run: its own, or
/// an error if that is 0. A closed pipe is not reported, since its reader has seen enough.
pub(super) fn unwritten(why: &std::io::Error, done: Option<&str>, code: ExitCode) -> ExitCode {
    if why.kind() == std::io::ErrorKind::BrokenPipe {
        return code;
    }
    console::message("error: ", &format!("cannot write to stdout: {why}"));
    let help = match done {
        Some(done) => format!("the work is done; only its report could not be written:\n  {done}"),
        None => "free space where stdout is written to, and run the command again".into(),
    };
    console::message("help: ", &help);
    if code == ExitCode::SUCCESS { ExitCode(ERROR) } else { code }
}

/// What advice to the user depends on, beside the error.
#[derive(Debug, Clone, Copy)]
pub(super) struct Advice<'a> {
    /// What the command is for.
    pub(super) to: Aim,
    /// The registry that its arguments name.
    pub(super) registry: Option<&'a str>,
}

impl Advice<'_> {
    /// The argument that makes another command ask the same registry, after a blank.
    fn same_registry(self) -> String {
        self.registry.map_or(String::new(), |registry| format!(" --registry {}", text::shell_word(registry)))
    }
}

/// What a command is for. What it has done when it fails, and what to do next, depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// To bring a version to this machine.
    Bring,
    /// To look at something.
    Look,
    /// To change a registry, or a statement for its log.
    Write,
    /// To serve a registry, as its operator.
    Serve,
}

/// Returns the exit code of an error.
pub(super) fn code(error: &Error) -> u8 {
    match error {
        // A source that only lacks images is not whole; nothing in it is wrong.
        Error::Rebuilt { differences, .. } if only_missing(differences) => FINDINGS,
        Error::Integrity { .. } | Error::Rebuilt { .. } => INTEGRITY,
        Error::Trust { .. }
        | Error::TrustFile { .. }
        | Error::Claim { .. }
        | Error::OtherLog { .. }
        | Error::UnknownLog { .. }
        | Error::Refused { .. }
        | Error::Denied { .. }
        | Error::UnknownSigner { .. } => TRUST,
        Error::Network { .. } | Error::Unanswered { .. } => NETWORK,
        Error::NotFound { .. } | Error::Unreleased { .. } | Error::Withdrawn { .. } => NOT_FOUND,
        Error::SourceNeeded { .. } => SOURCE_NEEDED,
        Error::Gates { .. } | Error::Incomplete { .. } => FINDINGS,
        Error::Unfinished { source, .. } => code(source),
        Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => NOT_FOUND,
        Error::Io { .. }
        | Error::Invalid { .. }
        | Error::LockFile { .. }
        | Error::Mistakes { .. }
        | Error::Rejects { .. }
        | Error::Source { .. }
        | Error::Exists { .. }
        | Error::Overlap { .. }
        | Error::Foreign { .. }
        | Error::Conflict { .. }
        | Error::NoRoom { .. }
        | Error::NotKept { .. }
        | Error::Key { .. }
        | Error::Token { .. }
        | Error::NoToken { .. }
        | Error::Subject { .. }
        | Error::Internal(_) => ERROR,
    }
}

/// Whether a source has all of its files as released, and lacks others.
fn only_missing(differences: &[Difference]) -> bool {
    !differences.is_empty() && differences.iter().all(|one| one.cause == Blame::SourceMissing)
}

/// Returns what to do next, if there is something.
pub(super) fn help(error: &Error, advice: Advice<'_>) -> Option<String> {
    let to = advice.to;
    Some(match error {
        Error::Unfinished { .. } => {
            "what was copied is kept and verified, and readers still see the mirror as it was before. Fix \
             the cause, or mirror from another copy, and run the same command again to resume"
                .into()
        }
        Error::UnknownSigner { registry, public_key, log_key, .. } => {
            let log = log_key.as_ref().map(|log| {
                format!(
                    "\nor, if you know that this is the registry's log, trust everything its owners \
                     release:\n  isn trust add {} {}",
                    shell_word(registry),
                    shell_word(log)
                )
            });
            format!(
                "if you know that this is the publisher's key, trust it:\n  isn trust add {} {}{}\n\
                 or pull by a pin from a paper (NAME@VERSION#b3:…), which needs no key",
                shell_word(registry),
                shell_word(public_key),
                log.unwrap_or_default()
            )
        }
        Error::UnknownLog { .. } => format!(
            "take the log's vkey from somebody whom you believe, and trust it: `isn trust add {} VKEY` (`isn \
             verify --proof` also takes it by --log-key)",
            advice.registry.map_or("REGISTRY".into(), shell_word)
        ),
        Error::Integrity { at, what, .. } => damage::help(*at, what, to),
        Error::Trust { .. } if to == Aim::Write => format!(
            "the log keeps its entries, and what this run wrote is kept. Find out who changed the registry \
             (`isn verify {}` lists the faults), repair it, and run the same command again",
            advice.registry.map_or("REGISTRY".into(), shell_word)
        ),
        Error::Trust { .. } if to == Aim::Serve => damage::SERVE.into(),
        Error::OtherLog { registry, known, .. } => format!(
            "isn writes to a registry only if it shows the log that you know it by. If a disk is not mounted \
             or a folder was moved, put it back. If this registry really has a new log, forget the old \
             one:\n  isn trust remove {} {}",
            shell_word(registry),
            shell_word(known)
        ),
        Error::Refused { breach: Breach::Stranger, what, .. } => format!(
            "nothing was added to the log. `isn owner show {}{}` lists the owners: sign with the key of one \
             (--key), or ask one to add your key (`isn owner add`)",
            near::name_in(what),
            advice.same_registry()
        ),
        Error::Refused { breach: Breach::SecondRelease, .. } => {
            format!("nothing was added to the log: {RAISE}")
        }
        Error::Refused { breach: Breach::Full, .. } => {
            "nothing was added to the log, and it takes no more entries. Start another registry (`isn registry \
             init`), and tell the users of this one"
                .into()
        }
        Error::Denied { .. } => format!(
            "nothing was added to the server's log. Ask the server's operator, or an owner of the name: `isn \
             owner show NAME{}` lists the owners, and one of them can add your key (`isn owner add`)",
            advice.same_registry()
        ),
        Error::Refused { what, .. } => format!(
            "nothing was added to the log. `isn log show{0}` lists its entries, and `isn owner show {1}{0}` \
             the owners of the name",
            advice.same_registry(),
            near::name_in(what)
        ),
        Error::Trust { .. } if to == Aim::Look => {
            "do not rely on this registry: tell its operator, or use a pin".into()
        }
        Error::Trust { .. } => {
            "the destination was not changed. Do not use what this registry shows, and tell its operator. Name \
             only another copy of it (--registry), or pull by a pin"
                .into()
        }
        Error::Claim { .. } => format!(
            "nothing was changed. Find out who else can write to the registry's storage. Then remove the log \
             claim on the machine that has the log's key: `isn log unclaim --registry {}`",
            advice.registry.map_or("DIR|URL".into(), shell_word)
        ),
        Error::TrustFile { cure, .. } => cure.clone(),
        Error::Network { kind, .. } => network(*kind).into(),
        Error::Unanswered { registry, .. } => format!(
            "a name belongs to the first registry of the list that has it, and this one may have it. Run the \
             same command again when it answers, leave it out (--registry), or pull by a pin. If it is a \
             mirror of a log that you trust, say so once: `isn trust add {} VKEY`",
            shell_word(registry)
        ),
        Error::Unreleased { reference, registry } => source::unreleased(reference, registry),
        Error::NotFound { kind: Missing::ClassLabel, near, .. } => {
            format!("name the class by its id: --class {}", near.iter().map(shell_word).collect::<Vec<_>>().join(" --class "))
        }
        Error::NotFound { what, kind, place, near } => {
            let next = missing::help(*kind, what, place, advice);
            return match (near::meant(what, near), next) {
                (Some(meant), Some(next)) => Some(format!("did you mean '{meant}'? {next}")),
                (Some(meant), None) => Some(format!("did you mean '{meant}'?")),
                (None, next) => next,
            };
        }
        Error::Withdrawn { .. } => format!(
            "`isn list{}` shows the other versions: use one of them, and delete your copies of this one if the \
             reason asks for that",
            advice.same_registry()
        ),
        Error::NoRoom { .. } => {
            "nothing was written. Free space (`isn cache gc`, if the cache is on this disk), choose another \
             folder (--to), or pull a part (--split, --class)"
                .into()
        }
        Error::NotKept { cache, .. } => {
            if let Some(in_the_way) = in_the_way(cache) {
                return Some(format!("{in_the_way}: set ISN_CACHE to another path"));
            }
            "the cache does not have the whole version. Run the same command again, but not while `isn cache \
             gc` runs. If the cache is full or read-only, free some space, or set ISN_CACHE to a folder on \
             another disk"
                .into()
        }
        Error::Conflict { .. } => "somebody else changed the registry at the same time: run the same \
                                   command again"
            .into(),
        Error::SourceNeeded { reference, about, .. } => source::needed(reference, about),
        Error::Rebuilt { differences, .. } => damage::rebuilt(differences),
        Error::Source { .. } => {
            "--source takes a folder: with train/ and val/, with the official tar files or parquet files, or \
             with a folder of images for each class (`isn source check DIR --recipe RECIPE` reports what a \
             folder has)"
                .into()
        }
        Error::Rejects { rejects, ledger, is_named, exported } => {
            source::rejects(rejects, ledger, *is_named, exported.as_ref())
        }
        Error::Incomplete { root, recipe, .. } => source::incomplete(root, recipe),
        Error::Gates { is_unstated: true, .. } => {
            "nothing was published. Keep this build and its recipe: those statements are about them. Publish \
             it when enough of the keys state that they built it, and prove that they have the images"
                .into()
        }
        Error::Gates { .. } => {
            "nothing was published. Correct the ledger (`isn ledger add`), the groups, the pairs (`isn pairs \
             add`) or the recipe (its [gates] set the requirements), and build again"
                .into()
        }
        Error::Foreign { path, .. } if path.extension().is_some_and(|end| end == "isn-partial") => {
            "nothing was changed there. Check what it is, and move it elsewhere. If an older isn left it \
             there when it was killed, or if it is a copy of such a folder, remove it"
                .into()
        }
        Error::Foreign { .. } => "nothing was changed there. Check what it is, and move it elsewhere".into(),
        Error::LockFile { fault: LockFault::Behind, .. } => {
            "`isn sync` without --locked adds it to isn.lock: commit the change".into()
        }
        Error::LockFile { fault: LockFault::Newer, .. } => {
            "use the version of isn that wrote it, or a newer one".into()
        }
        Error::LockFile { fault: LockFault::Conflict, .. } => {
            "delete the lines that begin with <<<<<<<, ======= and >>>>>>>. Where two entries have the same \
             path, keep the one whose version you want. Then run `isn sync`"
                .into()
        }
        Error::LockFile { fault: LockFault::Damaged, .. } => {
            "restore isn.lock from version control, for example `git checkout HEAD -- isn.lock`. If there is \
             no older one, remove it and lock every dataset again: `isn pull NAME@VERSION --lock`, or `isn \
             sync` for those that isn.toml lists"
                .into()
        }
        Error::Io { source, .. } if files::is_out_of_files(source) => {
            "this shell allows too few open files: `ulimit -n 1024` raises the limit".into()
        }
        Error::Io { source, .. } if is_full(source) => {
            "the disk is full: free some space or choose another folder, and run the same command again".into()
        }
        Error::Io { path, source, .. } if source.kind() == io::ErrorKind::IsADirectory => {
            let recipe = path.join("recipe.toml");
            match recipe.is_file() {
                true => format!("it is a folder: name the file in it, {}", recipe.display()),
                false => "it is a folder, and a file is needed: name a file in it, or move it away".into(),
            }
        }
        Error::Io { path, source, .. }
            if matches!(source.kind(), io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists) =>
        {
            format!("{}: name another path", in_the_way(path)?)
        }
        Error::Io { path, source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            // What was to be made in a folder is not there.
            let there = path.ancestors().find(|above| above.symlink_metadata().is_ok()).unwrap_or(path);
            format!(
                "`ls -ld {}` shows the permissions: change them, or choose another path",
                shell_word(there.display())
            )
        }
        Error::Overlap { .. } => "nothing was written. Choose a folder outside it".into(),
        Error::Exists { what, there, .. } => exists(*there, what),
        Error::Subject { text, .. } => return near::reference(text),
        Error::Key { fault, .. } => key(*fault).into(),
        Error::NoToken { host, .. } => format!(
            "ask the server's operator for a token, and set it in ISN_TOKENS as {host}=TOKEN, or in the file \
             `tokens.toml` of ISN_HOME as a line \"{host}\" = \"TOKEN\""
        ),
        Error::Token { .. } => {
            "ask the server's operator for a token, and set it in ISN_TOKENS as HOST=TOKEN, or in the file \
             `tokens.toml` of ISN_HOME as a line \"HOST\" = \"TOKEN\""
                .into()
        }
        Error::Internal(_) => "this is a bug in isn: please report it with the command that you ran".into(),
        Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => CHECK_PATH.into(),
        Error::Invalid { kind: Input::Conflict, .. } => {
            "choose the lines to keep, and delete those that begin with <<<<<<<, ======= and >>>>>>>".into()
        }
        Error::Invalid { kind: Input::Location, .. } => {
            "a registry is the path of a folder, a URL that begins with https://, http://, s3://, gs:// or \
             az://, or `bundled`, the registry that comes with isn"
                .into()
        }
        Error::Invalid { kind: Input::ReadOnly, .. } => {
            "write to a registry in a folder or a bucket (--registry), or to a server whose operator accepts \
             it (`isn serve --publish-tokens FILE`)"
                .into()
        }
        Error::Mistakes { mistakes, .. } => {
            let what = if mistakes.len() == 1 { "it" } else { "all of them" };
            format!("correct {what}, and run the same command again")
        }
        Error::Io { source, .. } if is_of_device(source) => {
            "the disk or network drive reports an error: check it, and try again".into()
        }
        // The message or the system's reason says what would be right.
        Error::Io { .. } | Error::Invalid { kind: Input::Other, .. } => return None,
    })
}

/// Returns what to do about a key.
fn key(fault: KeyFault) -> &'static str {
    match fault {
        KeyFault::Passphrase => "try again, or correct ISN_PASSPHRASE if it is set",
        KeyFault::Agent => "`ssh-add -l` lists the keys that the agent holds",
        KeyFault::NoAgent => {
            "start an ssh agent (`eval $(ssh-agent)`), and add the key to it (`ssh-add FILE`)"
        }
        KeyFault::Unusable => "`isn key list` lists your keys; `isn key new NAME` makes one",
        KeyFault::Unasked => "set ISN_PASSPHRASE, or run the command in a terminal",
        KeyFault::NewPassphrase => "no key was made: run the command again, and enter one passphrase twice",
        KeyFault::NoPassphrase => {
            "no key was made: set ISN_PASSPHRASE, or use --no-passphrase for a key without protection"
        }
        KeyFault::Elsewhere => "run the command on the machine that has the log's key, or bring the key here",
    }
}

/// What to do if a version is released already.
const RAISE: &str =
    "a released version never changes: raise the version in the recipe, build it and publish that";

/// What to do about a path at which nothing is.
const CHECK_PATH: &str = "check the path: a relative path starts in the current folder";

fn network(kind: NetworkKind) -> &'static str {
    match kind {
        NetworkKind::Offline => {
            "the network is disabled (--offline or ISN_OFFLINE). Run `isn fetch REF` once with a network, \
             for a part with the same --split and --class: after that the version's name and pin need none"
        }
        NetworkKind::Certificate => {
            "`isn doctor` looks for the cause, for example a wrong clock. If the system has no certificates, \
             install them (often a package called ca-certificates); if a proxy re-signs TLS, set ISN_CA_BUNDLE \
             to a file with its certificate, which isn then trusts instead of the system's"
        }
        NetworkKind::Dns => {
            "the host was not found: check its name, and whether you need a proxy (https_proxy); `isn \
             doctor` looks for the cause"
        }
        NetworkKind::Proxy | NetworkKind::Status(407) => {
            "the proxy requires a name and a password: https_proxy=http://NAME:PASSWORD@HOST:PORT"
        }
        NetworkKind::Status(401 | 403) => {
            "the server refuses access: ask its operator for a token (ISN_TOKENS); for a bucket, check your \
             credentials and their permissions"
        }
        NetworkKind::Unreadable => {
            "`ls -l` shows the file's permissions, and `isn verify` lists all faults of the registry. Another \
             copy of the registry may have the file (--registry)"
        }
        NetworkKind::NoFile => {
            "move away what is there, and restore the file: `isn verify` lists all faults of the registry. \
             Another copy of the registry may have it (--registry)"
        }
        NetworkKind::Gone => {
            "the cache has only part of the version. Put the folder back (is its disk mounted?), name \
             another copy of the registry (--registry), or ask only for what the cache has (--split, \
             --class). `isn fetch REF`, while the registry is there, brings the whole version into the cache"
        }
        NetworkKind::NotTls => {
            "the server does not speak TLS: if it is yours, try http:// instead of https://"
        }
        NetworkKind::Status(500..) => {
            "the server failed: run the same command again later, which resumes, or tell its operator. Another \
             copy of the registry may answer (--registry)"
        }
        NetworkKind::Refused | NetworkKind::Timeout | NetworkKind::Status(_) | NetworkKind::Broken => {
            "check the address and the connection (`isn doctor` helps), then run the same command again: it \
             resumes"
        }
    }
}

fn exists(there: There, what: &str) -> String {
    let next = match there {
        There::Place => "choose another path, or move away what is there",
        There::Changed => {
            let tree = shell_word(what);
            return format!(
                "`isn verify {tree}` lists the differences. To restore it, move your own files out of it, \
                 remove it and run the same command again"
            );
        }
        There::WorkingFolder => "run the command outside that folder, or choose another path",
        There::MountPoint => "unmount it, or choose another path",
        There::Protected => "change the permissions, or choose another path",
        There::KeyFile => "`isn key list` lists your keys: give the new one another name",
        There::LogKey => "you trust that log for this registry: ask its operator before you remove it",
        There::Release => RAISE,
        There::Said => "it is there already: there is nothing to do",
        There::Running => "wait for the other run to end, or choose another path",
    };
    next.into()
}

/// What is where a path needs a folder, at its end or above it.
fn in_the_way(path: &Path) -> Option<String> {
    let there = path.ancestors().find(|above| above.symlink_metadata().is_ok())?;
    let why = match there.metadata() {
        Ok(about) if about.is_dir() => return None,
        Ok(about) if about.is_file() => "is a file, where a folder is needed",
        Ok(_) => "is no folder, and one is needed there",
        Err(_) => "is a link that leads nowhere",
    };
    Some(format!("{} {why}", there.display()))
}

/// Whether the disk itself fails.
fn is_of_device(why: &io::Error) -> bool {
    // EIO; ERROR_IO_DEVICE.
    why.raw_os_error() == Some(if cfg!(windows) { 1117 } else { 5 })
}

/// Whether the disk or the user's quota is full.
fn is_full(why: &io::Error) -> bool {
    matches!(why.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests;

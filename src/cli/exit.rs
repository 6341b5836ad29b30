//! Errors become an exit code, a message with its causes, and what to do next: here and nowhere else.

use serde_json::json;

use super::console;
use isn_format::error::{At, Blame, Difference, Error, Missing, NetworkKind, There, chain};
use isn_format::text::{self, shell_word};
use isn_registry::files;

/// Something is wrong with the input.
pub(super) const ERROR: u8 = 1;
/// Bytes are not what they must be.
pub(super) const INTEGRITY: u8 = 3;
const TRUST: u8 = 4;
const NETWORK: u8 = 5;
const NOT_FOUND: u8 = 6;
const SOURCE_NEEDED: u8 = 7;
/// What was looked at is whole, and there is something to look into.
pub(super) const FINDINGS: u8 = 8;

/// What a run ends with: the number that [`std::process::ExitCode`] would hide from whoever runs isn inside of another
/// program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitCode(u8);

impl ExitCode {
    /// 0.
    pub const SUCCESS: ExitCode = ExitCode(0);
}

/// 0 if all is as it should be, else this code.
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

/// Prints an error on stderr, and with `--json` as an object on stdout.
pub(super) fn report(error: &Error, to: Aim, json: bool) -> ExitCode {
    let message = chain(error);
    let help = help(error, to);
    console::message("error: ", &message);
    if let Some(help) = &help {
        console::message("help: ", help);
    }
    let code = code(error);
    if json {
        let mut object = json!({ "error": message, "help": help, "exit_code": code });
        if let Error::Rebuilt { differences, unsigned, .. } = error {
            object["unsigned"] = json!(unsigned);
            object["differences"] = json!(differences);
        }
        // stderr has it as well, and the code: nothing is lost where stdout takes nothing.
        let _ = console::stdout(&format!("{}\n", text::json(&object.to_string())));
    }
    ExitCode::from(code)
}

/// Says that stdout did not take what was to be printed, and what is nevertheless `done`; gives what the run ends with: its
/// own code, unless that is 0. A closed pipe is no loss, since whoever reads has seen enough: nothing is said of it.
pub(super) fn unwritten(why: &std::io::Error, done: Option<&str>, code: ExitCode) -> ExitCode {
    if why.kind() == std::io::ErrorKind::BrokenPipe {
        return code;
    }
    console::message("error: ", &format!("cannot write to stdout: {why}"));
    let help = match done {
        Some(done) => format!("the work is done, and only its report could not be written:\n  {done}"),
        None => "make room where stdout goes to, and run the command again".into(),
    };
    console::message("help: ", &help);
    if code == ExitCode::SUCCESS { ExitCode(ERROR) } else { code }
}

/// What a command is for: what it has done when it fails, and what helps then, differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// To bring something here.
    Bring,
    /// To look at what is here or elsewhere.
    Look,
    /// To change a registry, or a statement that is to go into its log.
    Write,
}

pub(super) fn code(error: &Error) -> u8 {
    match error {
        Error::Integrity { .. } | Error::Rebuilt { .. } => INTEGRITY,
        Error::Trust { .. }
        | Error::TrustFile { .. }
        | Error::Claim { .. }
        | Error::OtherLog { .. }
        | Error::Refused { .. }
        | Error::Denied { .. }
        | Error::UnknownSigner { .. } => TRUST,
        Error::Network { .. } | Error::Unanswered { .. } => NETWORK,
        Error::NotFound { .. } | Error::Unreleased { .. } | Error::Withdrawn { .. } => NOT_FOUND,
        Error::SourceNeeded { .. } => SOURCE_NEEDED,
        Error::Gates { .. } => FINDINGS,
        Error::Unfinished { source, .. } => code(source),
        Error::Io { .. }
        | Error::Invalid { .. }
        | Error::Mistakes { .. }
        | Error::Rejects { .. }
        | Error::Source { .. }
        | Error::Exists { .. }
        | Error::Foreign { .. }
        | Error::Conflict { .. }
        | Error::NoRoom { .. }
        | Error::Key { .. }
        | Error::Token { .. }
        | Error::Internal(_) => ERROR,
    }
}

pub(super) fn help(error: &Error, to: Aim) -> Option<String> {
    Some(match error {
        Error::Unfinished { .. } => {
            "what was copied so far stays there, and is what it must be; the checkpoint there is as it was, so readers see no \
             less than before. Mend what is wrong, or mirror from another copy, and run the same command again: it goes on \
             where it stopped"
                .into()
        }
        Error::UnknownSigner { registry, public_key, log_key, .. } => {
            let log = log_key.as_ref().map(|log| {
                format!(
                    "\nor, if you know this to be the registry's log, all that its owners release:\n  isn trust add {} {}",
                    shell_word(registry),
                    shell_word(log)
                )
            });
            format!(
                "if you know this key to be the publisher's, trust it:\n  isn trust add {} {}{}\n\
                 or pull by a pin from a paper (NAME@VERSION#b3:…), which needs no key",
                shell_word(registry),
                shell_word(public_key),
                log.unwrap_or_default()
            )
        }
        Error::Integrity { at, .. } => integrity(*at, to).into(),
        Error::Trust { .. } if to == Aim::Write => {
            "what the log has stays in it, and so does what this run has written. Find out who changed that place (`isn verify \
             REGISTRY` names what is wrong with a registry), put it right, and run the same command again"
                .into()
        }
        Error::OtherLog { registry, known, .. } => format!(
            "a place is written to only while it shows the log that it is known by. If a disk is not there or a folder was \
             moved, put it back. If this place is to have another log from now on, let isn forget the old one:\n  \
             isn trust remove {} {}",
            shell_word(registry),
            shell_word(known)
        ),
        Error::Refused { is_strangers: true, .. } => {
            "nothing of it is in the log, where it would have no effect. `isn owner show NAME` says whose the name is: sign with \
             an owner's key (--key), or let an owner add yours (`isn owner add`)"
                .into()
        }
        Error::Denied { .. } => {
            "the server's log has nothing of it. What it says is for its keeper, or an owner of the name, to change: `isn owner \
             show NAME` says who they are, and `isn owner add` is how one of them adds your key"
                .into()
        }
        Error::Refused { .. } => {
            "nothing of it is in the log, where it would have no effect. `isn log show` lists what the log has, and `isn owner \
             show NAME` says whose a name is"
                .into()
        }
        Error::Trust { .. } if to == Aim::Look => {
            "do not use what it says: tell the keeper of the registry, or go by a pin".into()
        }
        Error::Trust { .. } => {
            "the destination was not touched. Do not use this release: tell the keeper of the registry, or pull by a pin".into()
        }
        Error::Claim { .. } => {
            "nothing was changed. Find out who can write to the registry's storage beside you; then `isn log unclaim --registry \
             DIR|URL`, on the machine that has the log's key, removes the claim"
                .into()
        }
        Error::TrustFile { cure, .. } => cure.clone(),
        Error::Network { kind, .. } => network(*kind).into(),
        Error::Unanswered { registry, .. } => format!(
            "a name belongs to the first registry of the list that has it, and one that does not answer may have it. Run the \
             command again when it answers, leave it out (--registry), or pull by a pin; if it is a mirror of a log that you \
             trust, say so once: `isn trust add {} VKEY`",
            shell_word(registry)
        ),
        Error::Unreleased { reference, recipe } => format!(
            "build it from your own copy of the source images:\n  isn build {} --source DIR --out {}-build",
            shell_word(recipe),
            reference.to_string().split('@').next().unwrap_or("dataset")
        ),
        Error::NotFound { kind, place, .. } => return not_found(*kind, place),
        Error::Withdrawn { .. } => {
            "a copy elsewhere can still be pulled by its pin (NAME@VERSION#b3:…); `isn list` shows other versions".into()
        }
        Error::NoRoom { .. } => {
            "nothing was written. Make room (`isn cache gc`), choose another place (--to), or pull a part (--split, --class)".into()
        }
        Error::Conflict { .. } => "somebody else changed the registry meanwhile: run the command again, on the new state".into(),
        Error::SourceNeeded { reference, .. } => format!(
            "build it from your own copy of the source images:\n  isn pull {reference} --source DIR\n\
             or use a registry that has its images (--registry)"
        ),
        Error::Rebuilt { differences, .. } => rebuilt(differences),
        Error::Source { .. } => {
            "--source names a folder: with train/ and val/, the official tar files or parquet files, or a folder of images for \
             each class (`isn source check` says what it finds in one)"
                .into()
        }
        Error::Rejects { ledger: None, .. } => {
            "the recipe names no ledger that could say what becomes of them. Add these lines to it:\n  [corrections]\n  \
             file = \"corrections.csv\"\nand say it of each there, for example\n  \
             isn ledger add corrections.csv SOURCE_ID remove --reason broken --evidence truncated --reviewer 'YOUR NAME'"
                .into()
        }
        Error::Rejects { ledger: Some(ledger), .. } => format!(
            "say what to do with each in the recipe's ledger, for example\n  \
             isn ledger add {} SOURCE_ID remove --reason broken --evidence truncated --reviewer 'YOUR NAME'",
            shell_word(ledger)
        ),
        Error::Gates { .. } => {
            "nothing was published. Correct the ledger (`isn ledger add`), the groups or the recipe, and build again; what the \
             gates ask for stands in the recipe's [gates]"
                .into()
        }
        Error::Foreign { path, .. } if path.extension().is_some_and(|end| end == "isn-partial") => {
            "nothing was changed there. Look at what it is, and move it away. If an isn 0.1 left it when it was killed, or if it \
             is a copy of such a folder, it may be removed"
                .into()
        }
        Error::Foreign { .. } => "nothing was changed there. Look at what it is, and move it away".into(),
        Error::Io { source, .. } if files::is_out_of_files(source) => {
            "this shell lets a program have too few files open: `ulimit -n 1024` allows more".into()
        }
        Error::Io { path, source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
            format!("`ls -ld {}` says who may: give yourself the right, or choose another place", shell_word(path.display()))
        }
        Error::Exists { there, .. } => exists(*there).into(),
        Error::Key { .. } => "`isn key list` shows your keys; `isn key new NAME` makes one".into(),
        Error::Token { .. } => {
            "the server's keeper hands out tokens; yours goes into ISN_TOKENS as HOST=TOKEN, or into the file `tokens.toml` \
             of ISN_HOME as a line \"HOST\" = \"TOKEN\""
                .into()
        }
        Error::Internal(_) => "this is a defect in isn: please report it with the command you ran".into(),
        Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            "check the path: one that begins with no slash begins in the folder that you are in".into()
        }
        Error::Io { .. } | Error::Invalid { .. } | Error::Mistakes { .. } => return None,
    })
}

/// What helps where bytes are not what they must be depends on whose they are.
fn integrity(at: At, to: Aim) -> &'static str {
    match (at, to) {
        (At::Build, _) => {
            "nothing was published of it. The build is damaged: remove that folder, and build it again (`isn build`)"
        }
        (At::Cache, _) => {
            "the cache was damaged there, and that file is set aside: run the same command again, with a network (without \
             --offline), and it is fetched again"
        }
        (At::Tree, _) => {
            "a tree that was pulled before was changed: `isn verify TREE` names all that is wrong with it. Remove that file, and \
             the image is fetched, or pull the tree again"
        }
        (At::Registry | At::Unknown, Aim::Write) => {
            "the bytes at that place are damaged or were replaced. Put the right ones there, or tell who keeps them; then run \
             the same command again: what it has written so far stays"
        }
        (At::Registry, Aim::Look) => {
            "the bytes at that place are damaged or were replaced. Another copy of the registry may have them whole \
             (--registry): tell its keeper"
        }
        (At::Unknown, Aim::Look) => {
            "the bytes at that place are damaged or were replaced. What is yours is pulled again; what is a registry's, another \
             copy of it may have whole (--registry): tell its keeper"
        }
        (At::Registry | At::Unknown, Aim::Bring) => {
            "the destination was not touched. The bytes at that place are damaged or were replaced: pull from another copy \
             of the registry (--registry), and tell its keeper"
        }
    }
}

fn network(kind: NetworkKind) -> &'static str {
    match kind {
        NetworkKind::Offline => {
            "no network is to be used (--offline, ISN_OFFLINE). Run it once with one: `isn fetch REF` brings a version into the \
             cache, and then its name and its pin need none"
        }
        NetworkKind::Certificate => {
            "ISN_CA_BUNDLE names a file of certificates to believe instead of the system's; `isn doctor` looks for what is \
             wrong (a clock that is off makes certificates invalid, too)"
        }
        NetworkKind::Dns => {
            "nobody knows that host here: check its name, and whether a proxy is needed (https_proxy); `isn doctor` helps"
        }
        NetworkKind::Proxy | NetworkKind::Status(407) => {
            "the proxy wants a name and a password: https_proxy=http://NAME:PASSWORD@HOST:PORT"
        }
        NetworkKind::Status(401 | 403) => {
            "the server refuses you: for a token, ask its keeper (ISN_TOKENS); for a bucket, check the credentials and what they \
             allow"
        }
        NetworkKind::Unreadable => {
            "`ls -l` says who may read it, and `isn verify` of the registry what else is wrong there. Another copy of the \
             registry may have it (--registry)"
        }
        NetworkKind::Refused | NetworkKind::Timeout | NetworkKind::Status(_) | NetworkKind::Broken => {
            "check the address and the connection (`isn doctor` helps), then run the same command again: it goes on where it stopped"
        }
    }
}

fn not_found(kind: Missing, place: &str) -> Option<String> {
    Some(match kind {
        Missing::Registry => {
            "this place is no registry; `isn publish` or `isn registry init` makes one of an empty folder or bucket".into()
        }
        Missing::Lock => "lock a version with `isn pull REF --lock`, or list datasets in isn.toml".into(),
        Missing::Key => {
            "`isn key list` shows your keys; `isn key new NAME` makes one; a key file is named by its path".into()
        }
        Missing::Version => "`isn list` shows what a registry has; --registry names another one".into(),
        // The place is the version's pin.
        Missing::Split | Missing::Class => format!("`isn info {}` shows what it has", shell_word(place)),
        Missing::File => "check the path".into(),
        Missing::Object => {
            "what refers to it is there, so it was lost: tell the registry's keeper, or name another copy (--registry)".into()
        }
        Missing::Image | Missing::Other => return None,
    })
}

fn exists(there: There) -> &'static str {
    match there {
        There::Place => "choose another place, or remove what is there",
        There::WorkingFolder => "run it from outside that folder, or choose another place",
        There::MountPoint => "unmount what is there, or choose another place",
        There::Protected => "give yourself the right to write there, or choose another place",
        There::KeyFile => "`isn key list` shows your keys: give the new one another name",
        There::LogKey => "ask the registry's keeper which key is its log's before you believe another",
        There::Release => {
            "a version that was released stays what it is: raise the version in the recipe, build again, and publish that"
        }
        There::Said => "it is there already: nothing has to be added",
        There::Running => "wait until it has ended, or choose another place",
    }
}

/// What helps depends on what is to blame first.
fn rebuilt(differences: &[Difference]) -> String {
    match differences.iter().map(|difference| difference.cause).min() {
        Some(Blame::SourceMissing | Blame::SourceFile) => {
            "nothing was written. Get the named files from where the source comes from; `isn verify-source REF --source DIR` \
             checks the source alone"
                .into()
        }
        Some(Blame::Recipe) | None => {
            "nothing was written. The source files are right: look for images that the source has and ImageNet has not \
             (`isn source check`)"
                .into()
        }
        Some(Blame::Decoder | Blame::Encoder) => {
            "nothing was written. The source is right, and this isn makes other bits of it: please report it, with \
             `isn doctor`"
                .into()
        }
    }
}

#[cfg(test)]
mod tests;

//! Holds the message, exit code and help of every error against `tests/cli/errors.txt`.

use std::fmt::Write as _;
use std::io::{self, ErrorKind};

use isn_format::error::{
    At, Blame, Breach, Difference, KeyFault, LockFault, Missing, Mistake, NetworkKind, Overlap, Reject,
    There, chain,
};

use super::*;
use isn_registry::trust::RegistryId;

/// The examples, after the pattern that they are of. The patterns are those of a `match` without a wildcard:
/// the compiler asks for an example of what is new.
macro_rules! examples {
    ($($pattern:pat => $($example:expr);+),* $(,)?) => {{
        fn has_an_example(error: &Error) {
            match error { $($pattern => {})* }
        }
        let mut examples = Vec::new();
        $($({
            let example: Error = $example;
            has_an_example(&example);
            assert!(matches!(example, $pattern), "{example:?} is no {}", stringify!($pattern));
            examples.push(example);
        })+)*
        examples
    }};
}

fn io(kind: ErrorKind) -> Error {
    let why = match kind {
        ErrorKind::NotFound => "No such file or directory (os error 2)",
        ErrorKind::PermissionDenied => "Permission denied (os error 13)",
        ErrorKind::StorageFull => "No space left on device (os error 28)",
        ErrorKind::IsADirectory => "Is a directory (os error 21)",
        _ => "Input/output error (os error 5)",
    };
    if kind == ErrorKind::Other {
        return Error::io("read", "birds-1.0/B3SUMS")(io::Error::from_raw_os_error(5));
    }
    let action = if kind == ErrorKind::StorageFull { "write" } else { "read" };
    Error::io(action, "birds-1.0/B3SUMS")(io::Error::new(kind, why))
}

fn damaged(at: At) -> Error {
    let (what, why) = match at {
        At::Reference => ("reg/pins/birds-1.0", "has dataset hash b3:5f1d…, and the reference has b3:07aa…"),
        At::Lock => (
            "isn.lock",
            "locks birds@1.0#b3:5f1d… for birds-1.0: releases/birds/1.0 has dataset hash b3:07aa…",
        ),
        At::Rebuilt => {
            ("birds@1.0", "has dataset hash b3:5f1d… in birds-1.0, and b3:07aa… as it is built now")
        }
        At::Build => ("out/manifest.json", "is missing"),
        At::Tree => ("birds-1.0/train/n01614925/1.png", "has BLAKE3 5f1d…, expected 07aa…"),
        At::Decoded => (
            "decoded images /home/alice/.cache/isn/decoded/5f1d…",
            "ends too early: another program has cut it",
        ),
        At::Cache => ("image 5f1d… in the cache", "has BLAKE3 07aa…, expected 5f1d…"),
        At::Registry | At::Unknown => {
            ("shard reg/objects/5f/5f1d….shard", "has BLAKE3 07aa…, expected 5f1d…")
        }
    };
    Error::integrity(what, why).at(at)
}

fn unreached(kind: NetworkKind) -> Error {
    let why = match kind {
        NetworkKind::Certificate => "cannot be reached: invalid peer certificate: UnknownIssuer",
        NetworkKind::Dns => "cannot be reached: failed to lookup address information",
        NetworkKind::Proxy => "cannot be reached: the proxy answered 407 Proxy Authentication Required",
        NetworkKind::NotTls => "cannot be reached: received corrupt message of type InvalidContentType",
        NetworkKind::Refused => "cannot be reached: Connection refused (os error 111)",
        NetworkKind::Timeout => "no answer in 30 seconds",
        NetworkKind::Status(403) => "the server answered 403 Forbidden",
        NetworkKind::Status(_) => "the server answered 500 Internal Server Error",
        _ => "the connection broke: unexpected end of file",
    };
    Error::network(kind, "https://data.example.org/birds/registry.json", why)
}

fn missing(kind: Missing, what: &str) -> Error {
    let place = match kind {
        Missing::Registry | Missing::RegistryJson => "birds-registry",
        Missing::Lock => "/home/alice/thesis",
        Missing::Key => "home/keys",
        Missing::File => "",
        Missing::RegistryInFile => "birds.tar",
        Missing::RegistryInTree | Missing::RegistryInBuild => "birds-1.0",
        Missing::Location | Missing::LocationInCache => "ISN_REGISTRY",
        Missing::Version | Missing::Object | Missing::Recipe => "registry birds-registry",
        Missing::Split
        | Missing::Class
        | Missing::ClassLabel
        | Missing::Image
        | Missing::Other
        | Missing::Log
        | Missing::AttestationLog
        | Missing::Owner
        | Missing::Trusted => "birds@1.0#b3:00",
    };
    Error::not_found(kind, what, place)
}

fn key(fault: KeyFault, why: &str) -> Error {
    Error::Key { key: "alice".into(), why: why.into(), fault }
}

fn taken(there: There) -> Error {
    let (what, why) = match there {
        There::Place => ("birds-1.0", ", and is not empty"),
        There::WorkingFolder => ("birds-1.0", ", and is the current folder, or contains it"),
        There::Changed => ("birds-1.0", ", and is birds@1.0, damaged or edited"),
        There::MountPoint => ("birds-1.0", ", and is a mount point"),
        There::Protected => ("birds-1.0", ", and cannot be replaced: its permissions forbid it"),
        There::KeyFile => ("key alice", ": home/keys/alice is never overwritten; choose another name"),
        There::LogKey => ("a log key for registry reg", ", reg+00+A: a registry is one log"),
        There::Release => ("release birds@1.0", " with dataset hash b3:5f1d…, but this build has b3:07aa…"),
        There::Said => ("a signature of birds.statement by SHA256:abc", ""),
        There::Running => ("another build of out", ""),
    };
    Error::exists(there, what, why)
}

fn rebuilt(cause: Blame) -> Error {
    let why = match cause {
        Blame::SourceMissing => "is missing from the source",
        Blame::SourceFile => "the source file has other bytes than the released one",
        Blame::Decoder => "the source file decodes to other pixels",
        Blame::Encoder => "the same pixels are encoded to another file",
        Blame::Recipe => "is of another class",
    };
    let difference = Difference {
        image: "train/n01614925/n01614925_1.png".into(),
        source_id: "n01614925_1".into(),
        source_path: (cause != Blame::SourceMissing).then(|| "train/n01614925/n01614925_1.JPEG".into()),
        cause,
        why: why.into(),
    };
    let what = "birds@1.0#b3:5f1d… built from ilsvrc".into();
    let why = "has dataset hash b3:07aa…, 1 difference".into();
    Error::Rebuilt { what, why, differences: vec![difference], unsigned: &[] }
}

fn rejected(is_named: bool) -> Error {
    let (path, reason) = ("train/n01614925/n01614925_1.jpg".into(), "is truncated".into());
    let rejects = vec![Reject { path, id: "n01614925_1".into(), reason }];
    Error::Rejects { rejects, ledger: "recipes/birds/corrections.csv".into(), is_named, exported: None }
}

fn rejected_by_bundled() -> Error {
    match rejected(true) {
        Error::Rejects { rejects, .. } => Error::Rejects {
            rejects,
            ledger: "birds/corrections.csv".into(),
            is_named: true,
            exported: Some("birds".parse().unwrap()),
        },
        error => error,
    }
}

fn unreleased(registry: &str) -> Error {
    Error::Unreleased { reference: "birds@1.0".parse().unwrap(), registry: registry.into() }
}

fn refused(breach: Breach) -> Error {
    let why = match breach {
        Breach::Stranger => "is signed by SHA256:abc, which is not an owner of the name",
        Breach::SecondRelease => "is a second release of that version: entry 7 is the first",
        Breach::Full => "is one too many: log example.org/birds may have 9 entries",
        Breach::Other => "was said already, as entry 7",
    };
    Error::Refused { what: "the release of birds@1.0".into(), why: why.into(), breach }
}

fn foreign(path: &str) -> Error {
    Error::Foreign { path: path.into(), why: "was not made by isn".into() }
}

fn examples() -> Vec<Error> {
    examples! {
        Error::Io { .. } => io(ErrorKind::Other); io(ErrorKind::NotFound); io(ErrorKind::PermissionDenied);
            io(ErrorKind::StorageFull);
            io(ErrorKind::IsADirectory),
        Error::Invalid { kind: Input::Other, .. } => Error::invalid("recipe.toml", "is not UTF-8 text"),
        Error::Invalid { kind: Input::Conflict, .. } =>
            Error::invalid("isn.toml", "line 4: the marks of a merge conflict").of(Input::Conflict),
        Error::Invalid { kind: Input::Location, .. } =>
            "htps://data.example.org".parse::<RegistryId>().unwrap_err(),
        Error::Invalid { kind: Input::ReadOnly, .. } => {
            let why = "does not accept publishing: this server is read-only";
            Error::invalid("https://data.example.org", why).of(Input::ReadOnly)
        },
        Error::Subject { .. } => Error::Subject {
            text: "Birds-1.0".into(),
            why: "Birds-1.0".parse::<isn_format::dataset_ref::DatasetRef>().unwrap_err(),
        },
        Error::LockFile { fault: LockFault::Damaged, .. } => Error::LockFile {
            what: "isn.lock".into(),
            why: "line 5: key with no value, expected `=`".into(),
            fault: LockFault::Damaged,
        },
        Error::LockFile { fault: LockFault::Conflict, .. } => Error::LockFile {
            what: "isn.lock".into(),
            why: "line 4: the marks of a merge conflict".into(),
            fault: LockFault::Conflict,
        },
        Error::LockFile { fault: LockFault::Newer, .. } => Error::LockFile {
            what: "isn.lock".into(),
            why: "has format 'isn-lock/9', this isn reads isn-lock/1".into(),
            fault: LockFault::Newer,
        },
        Error::LockFile { fault: LockFault::Behind, .. } => Error::LockFile {
            what: "isn.lock".into(),
            why: "does not lock birds, which isn.toml asks for".into(),
            fault: LockFault::Behind,
        },
        Error::Mistakes { .. } => Error::Mistakes {
            what: "recipe.toml".into(),
            mistakes: vec![Mistake { line: Some(3), why: "[[class]] id 'n01614925' occurs twice".into() }],
        },
        Error::Source { .. } => Error::Source { root: "photos.tar".into(), why: "is not a folder".into() },
        Error::Rejects { is_named: false, .. } => rejected(false),
        Error::Rejects { is_named: true, .. } => rejected(true); rejected_by_bundled(),
        Error::Incomplete { .. } => Error::Incomplete {
            root: "ilsvrc".into(),
            recipe: "imagebirds".into(),
            findings: vec!["train/n01614925: 1299 images, and the whole source has 1300".into()],
        },
        Error::Gates { is_unstated: false, .. } => Error::Gates {
            what: "birds@1.0".into(),
            findings: vec!["leakage: train/n01/a.png and val/n01/b.png show one picture".into()],
            is_unstated: false,
        },
        Error::Gates { is_unstated: true, .. } => Error::Gates {
            what: "birds@1.0".into(),
            findings: vec!["rebuilt: 2 of 3 keys must state that they built this".into()],
            is_unstated: true,
        },
        Error::Exists { there: There::Place, .. } => taken(There::Place),
        Error::Exists { there: There::WorkingFolder, .. } => taken(There::WorkingFolder),
        Error::Exists { there: There::Changed, .. } => taken(There::Changed),
        Error::Exists { there: There::MountPoint, .. } => taken(There::MountPoint),
        Error::Exists { there: There::Protected, .. } => taken(There::Protected),
        Error::Exists { there: There::KeyFile, .. } => taken(There::KeyFile),
        Error::Exists { there: There::LogKey, .. } => taken(There::LogKey),
        Error::Exists { there: There::Release, .. } => taken(There::Release),
        Error::Exists { there: There::Said, .. } => taken(There::Said),
        Error::Exists { there: There::Running, .. } => taken(There::Running),
        Error::Foreign { .. } => foreign("birds"); foreign(".birds.isn-partial"),
        Error::Integrity { at: At::Unknown, .. } => damaged(At::Unknown),
        Error::Integrity { at: At::Registry, .. } => damaged(At::Registry),
        Error::Integrity { at: At::Cache, .. } => damaged(At::Cache),
        Error::Integrity { at: At::Decoded, .. } => damaged(At::Decoded),
        Error::Integrity { at: At::Tree, .. } => damaged(At::Tree),
        Error::Integrity { at: At::Lock, .. } => damaged(At::Lock),
        Error::Integrity { at: At::Rebuilt, .. } => damaged(At::Rebuilt),
        Error::Integrity { at: At::Build, .. } => damaged(At::Build),
        Error::Integrity { at: At::Reference, .. } => damaged(At::Reference),
        Error::Rebuilt { .. } =>
            rebuilt(Blame::SourceMissing);
            rebuilt(Blame::SourceFile);
            rebuilt(Blame::Decoder);
            rebuilt(Blame::Encoder);
            rebuilt(Blame::Recipe),
        Error::Trust { .. } => Error::trust("the release of birds@1.0", "has a signature that is wrong"),
        Error::Claim { .. } => Error::Claim { what: "reg/log/.isn-claims/7".into(), why: "is not signed by the log's key".into() },
        Error::OtherLog { .. } => Error::OtherLog {
            registry: "reg".into(),
            known: "reg+00+A".into(),
            other: Some("reg+11+B".into()),
        },
        Error::Refused { breach: Breach::SecondRelease, .. } => refused(Breach::SecondRelease),
        Error::Refused { breach: Breach::Stranger, .. } => refused(Breach::Stranger),
        Error::UnknownLog { .. } => Error::UnknownLog { log: "log example.org/birds".into() },
        Error::Refused { breach: Breach::Full, .. } => refused(Breach::Full),
        Error::Refused { breach: Breach::Other, .. } => refused(Breach::Other),
        Error::Denied { .. } => Error::Denied {
            server: "https://data.example.org".into(),
            why: "the release of birds@1.0 is signed by SHA256:abc, which is not an owner of the name".into(),
        },
        Error::TrustFile { .. } => Error::TrustFile {
            path: "home/trust.toml".into(),
            why: "line 2: expected a string".into(),
            cure: "correct the line, or move the file away and trust the keys again".into(),
        },
        Error::UnknownSigner { .. } => Error::UnknownSigner {
            what: "the release of birds@1.0".into(),
            registry: "reg".into(),
            fingerprint: "SHA256:abc".into(),
            public_key: "ssh-ed25519 AAAA".into(),
            log_key: Some("reg+00+A".into()),
        },
        Error::Network { kind: NetworkKind::Offline, .. } => Error::offline("https://data.example.org/birds"),
        Error::Network { kind: NetworkKind::Certificate, .. } => unreached(NetworkKind::Certificate),
        Error::Network { kind: NetworkKind::Dns, .. } => unreached(NetworkKind::Dns),
        Error::Network { kind: NetworkKind::Proxy, .. } => unreached(NetworkKind::Proxy),
        Error::Network { kind: NetworkKind::NotTls, .. } => unreached(NetworkKind::NotTls),
        Error::Network { kind: NetworkKind::Refused, .. } => unreached(NetworkKind::Refused),
        Error::Network { kind: NetworkKind::Timeout, .. } => unreached(NetworkKind::Timeout),
        Error::Network { kind: NetworkKind::Status(_), .. } =>
            unreached(NetworkKind::Status(403));
            unreached(NetworkKind::Status(500)),
        Error::Network { kind: NetworkKind::Broken, .. } => unreached(NetworkKind::Broken),
        Error::Network { kind: NetworkKind::Unreadable, .. } =>
            Error::network(NetworkKind::Unreadable, "birds-registry/registry.json", "cannot be read: Permission denied"),
        Error::Network { kind: NetworkKind::NoFile, .. } =>
            Error::network(NetworkKind::NoFile, "birds-registry/registry.json", "is not a file"),
        Error::Network { kind: NetworkKind::Gone, .. } => {
            let why = "is not in the cache, and there is no folder reg";
            Error::network(NetworkKind::Gone, "reg/objects/5f/5f1d….shard", why)
        },
        Error::Unfinished { .. } => Error::Unfinished {
            destination: "mirror-of-birds".into(),
            source: Box::new(damaged(At::Unknown)),
        },
        Error::Unanswered { .. } => Error::Unanswered {
            registry: "reg".into(),
            name: "birds".into(),
            why: "no answer in time".into(),
        },
        Error::NotFound { kind: Missing::Other, .. } => Error::not_found(Missing::Other, "image n01614925_1", "ledger corrections.csv"),
        Error::NotFound { kind: Missing::Log, .. } => Error::not_found(Missing::Log, "log", "registry reg"),
        Error::NotFound { kind: Missing::AttestationLog, .. } =>
            Error::not_found(Missing::AttestationLog, "attestation log", "registry reg"),
        Error::NotFound { kind: Missing::Owner, .. } =>
            Error::not_found(Missing::Owner, "key SHA256:abc", "the owners of birds"),
        Error::NotFound { kind: Missing::Trusted, .. } =>
            Error::not_found(Missing::Trusted, "key SHA256:abc", "the trusted keys of registry reg"),
        Error::NotFound { kind: Missing::Registry, .. } => missing(Missing::Registry, "registry.json"),
        Error::NotFound { kind: Missing::RegistryInFile, .. } => {
            missing(Missing::RegistryInFile, "registry.json")
        },
        Error::NotFound { kind: Missing::RegistryInTree, .. } => {
            missing(Missing::RegistryInTree, "registry.json")
        },
        Error::NotFound { kind: Missing::RegistryInBuild, .. } => {
            missing(Missing::RegistryInBuild, "registry.json")
        },
        Error::NotFound { kind: Missing::RegistryJson, .. } => {
            missing(Missing::RegistryJson, "registry.json")
        },
        Error::NotFound { kind: Missing::Location, .. } =>
            missing(Missing::Location, "bundeled");
            Error::not_found(Missing::Location, "127.0.0.1:80/reg", ""),
        Error::NotFound { kind: Missing::LocationInCache, .. } => missing(Missing::LocationInCache, "reg"),
        Error::NotFound { kind: Missing::Lock, .. } => missing(Missing::Lock, "isn.lock"),
        Error::NotFound { kind: Missing::Key, .. } => missing(Missing::Key, "key alice"),
        Error::NotFound { kind: Missing::Version, .. } =>
            missing(Missing::Version, "birds@1.7").near(["1.0", "1.1"]);
            missing(Missing::Version, &"0a".repeat(32)).nor_folder()
        ,
        Error::NotFound { kind: Missing::Split, .. } => {
            missing(Missing::Split, "split trian").near(["train", "val"])
        },
        Error::NotFound { kind: Missing::Recipe, .. } => missing(Missing::Recipe, "brids").near(["birds"]),
        Error::NotFound { kind: Missing::Class, .. } => missing(Missing::Class, "class n016141925").near(["n01614925", "n01616318"]),
        Error::NotFound { kind: Missing::ClassLabel, .. } =>
            missing(Missing::ClassLabel, "vulture").near(["n01616318"]),
        Error::NotFound { kind: Missing::Image, .. } => missing(Missing::Image, "image train/n01614925/2.png"),
        Error::NotFound { kind: Missing::File, .. } => missing(Missing::File, "B3SUMS"),
        Error::NotFound { kind: Missing::Object, .. } => missing(Missing::Object, "index reg/objects/5f/5f1d….index"),
        Error::Unreleased { .. } => unreleased("bundled"); unreleased("lab registry"),
        Error::Withdrawn { .. } => {
            Error::Withdrawn { reference: "birds@1.0".parse().unwrap(), reason: "two people withdrew their consent".into() }
        },
        Error::Conflict { .. } => {
            let why = "builds on an owner statement that is no longer in force".into();
            Error::Conflict { what: "the owner statement of birds".into(), why }
        },
        Error::SourceNeeded { .. } => {
            let about = "Birds.\ngit clone https://example.org/birds".into();
            let why = "registry reg has no images of birds@1.0: it was published to be built from your own source";
            Error::SourceNeeded { reference: "birds@1.0#b3:00".into(), why: why.into(), about }
        },
        Error::Overlap { .. } => {
            let input = "the source folder birds".into();
            Error::Overlap { output: "birds/out".into(), how: Overlap::IsIn, input }
        },
        Error::NoRoom { .. } => Error::NoRoom { place: "birds".into(), needed: 2 << 30, free: 5 },
        Error::NotKept { .. } => {
            Error::NotKept { cache: "/home/alice/.cache/isn".into(), why: "has 5 B free, but 2.00 GiB are needed".into() }
        },
        Error::Key { fault: KeyFault::Passphrase, .. } => key(KeyFault::Passphrase, "the passphrase is wrong"),
        Error::Key { fault: KeyFault::Unasked, .. } => key(KeyFault::Unasked, "is protected by a passphrase"),
        Error::Key { fault: KeyFault::NoAgent, .. } => {
            let why = "is a public key, and no ssh agent is running to sign with it: name the private key file";
            key(KeyFault::NoAgent, why)
        },
        Error::Key { fault: KeyFault::NewPassphrase, .. } =>
            key(KeyFault::NewPassphrase, "the two passphrases differ"),
        Error::Key { fault: KeyFault::NoPassphrase, .. } =>
            key(KeyFault::NoPassphrase, "there is no terminal to ask for a passphrase"),
        Error::Key { fault: KeyFault::Elsewhere, .. } => key(KeyFault::Elsewhere, "is not on this machine; whoever created the registry has it"),
        Error::Key { fault: KeyFault::Agent, .. } => key(KeyFault::Agent, "is not held by the agent"),
        Error::Key { fault: KeyFault::Unusable, .. } =>
            key(KeyFault::Unusable, "is not an OpenSSH private key"),
        Error::Token { .. } => {
            Error::Token { server: "https://data.example.org".into(), why: "is not one that it knows".into() }
        },
        Error::NoToken { .. } => Error::NoToken {
            server: "https://data.example.org:8443/reg".into(),
            host: "data.example.org:8443".into(),
        },
        Error::Internal(_) => Error::Internal("a frame without a place".into()),
    }
}

fn advice(to: Aim) -> Advice<'static> {
    Advice { to, registry: None }
}

#[test]
fn advice_names_the_registry_of_the_command_line() {
    let advice = Advice { to: Aim::Look, registry: Some("my registry") };
    let class = Error::not_found(Missing::Class, "class n02", "birds@1.0");
    let version = Error::not_found(Missing::Version, "birds@2.0", "registry my registry");
    let refused = |breach| Error::Refused { what: "the release of x@1.0".into(), why: "y".into(), breach };
    let denied = Error::Denied { server: "x".into(), why: "y".into() };
    let reason = "y".into();
    let withdrawn = Error::Withdrawn { reference: "birds@1.0".parse().unwrap(), reason };
    for error in [class, version, withdrawn, refused(Breach::Stranger), refused(Breach::Other), denied] {
        let help = help(&error, advice).unwrap();
        assert!(help.contains(" --registry 'my registry'` "), "{help}");
    }
}

/// Returns the message, exit code and help of an error, with the help for each aim if they differ.
fn shown(error: &Error) -> String {
    let debug = format!("{error:?}");
    let variant = debug.split([' ', '(']).next().unwrap_or_default();
    let mut text = format!("[{variant}, exit code {}]\nerror: {}\n", code(error), chain(error));
    let aims = [Aim::Bring, Aim::Look, Aim::Write, Aim::Serve].map(|aim| (aim, help(error, advice(aim))));
    let same = aims.iter().all(|(_, help)| *help == aims[0].1);
    for (aim, help) in aims.iter().take(if same { 1 } else { 4 }) {
        let to = if same { String::new() } else { format!(" to {}", format!("{aim:?}").to_lowercase()) };
        let _ = writeln!(text, "help{to}: {}", help.as_deref().unwrap_or("none"));
    }
    text
}

#[test]
fn what_every_error_says_is_as_it_is_written_down() {
    let now = examples().iter().map(shown).collect::<Vec<_>>().join("\n");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/errors.txt");
    if std::env::var_os("ISN_BLESS").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    let differs = now.lines().zip(written.lines()).find(|(now, written)| now != written);
    assert!(
        now == written,
        "errors say otherwise at {differs:?}: if that is right, run ISN_BLESS=1 cargo test --lib exit"
    );
}

/// Every error says what to do next, except those of which the message says all there is.
#[test]
fn every_error_has_a_next_step() {
    for error in examples() {
        let says_all = match &error {
            // What is wrong with an input, and what would be right.
            Error::Invalid { kind, .. } => *kind == Input::Other,
            // What a registry or a file never had: nothing is to be done about it.
            Error::NotFound { kind, .. } => matches!(kind, Missing::Other),
            _ => false,
        };
        for aim in [Aim::Bring, Aim::Look, Aim::Write, Aim::Serve] {
            assert_eq!(help(&error, advice(aim)).is_none(), says_all, "{error}");
        }
    }
}

#[test]
fn words_in_a_message_change_nothing() {
    let odd = "shard piece pieces, offline certificate registry key split in a tree, mount point isn.lock";
    for (error, same) in [
        (Error::integrity(odd, odd), damaged(At::Unknown)),
        (Error::network(NetworkKind::Refused, odd, odd), unreached(NetworkKind::Refused)),
        (Error::not_found(Missing::Object, odd, odd), missing(Missing::Object, "index")),
        (Error::invalid(odd, odd), Error::invalid("recipe.toml", "is empty")),
        (Error::exists(There::Place, odd, odd), taken(There::Place)),
    ] {
        for aim in [Aim::Bring, Aim::Look, Aim::Write, Aim::Serve] {
            assert_eq!(help(&error, advice(aim)), help(&same, advice(aim)), "{error}");
        }
    }
}

#[cfg(unix)]
#[test]
fn too_few_open_files_are_known_by_their_number() {
    let few = io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error());
    let help = help(&Error::io("open", "birds")(few), advice(Aim::Bring));
    assert!(help.unwrap().contains("ulimit -n"));
}

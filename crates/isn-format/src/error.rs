//! [`Error`]: everything that can go wrong, divided by what a user can do about it. The command line maps it
//! to an exit code and a `help:` line in one place (`cli/exit.rs`), by variants and kinds and never by the
//! text of a message. A cause is a `source`; [`chain`] prints it.

mod findings;
mod kinds;
mod words;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::dataset_ref::{DatasetRef, Name, RefError};

pub use findings::{Blame, Difference, Mistake, Reject};
pub use kinds::{At, Breach, Input, KeyFault, LockFault, Missing, NetworkKind, Overlap, There};
pub use words::{about, bytes, count, cut_list};
use words::{is_missing, is_there, it_has, list};

/// The result of every fallible function of the library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The error of a lower layer.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong. The message names paths, names and reasons; the command line adds the remedy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused an operation.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as an infinitive: "read", "create".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// An input is not valid, for one reason.
    #[error("{}", about(what, why))]
    Invalid {
        /// The file, field or argument.
        what: String,
        /// What is wrong with it.
        why: String,
        /// What kind of input it is.
        kind: Input,
    },
    /// An argument is neither the path of a folder nor a reference.
    #[error("{text} is neither a folder nor a version: {why}")]
    Subject {
        /// The argument.
        text: String,
        /// Why it is not a reference.
        why: RefError,
    },
    /// `isn.lock` cannot be used as it is. Exit code 1.
    #[error("{}", about(what, why))]
    LockFile {
        /// The file.
        what: String,
        /// What is wrong with it.
        why: String,
        /// The kind of fault.
        fault: LockFault,
    },
    /// A text file has mistakes. All of them are listed.
    #[error("{what} has {}{}", count(mistakes.len(), "mistake"), list(mistakes))]
    Mistakes {
        /// The file.
        what: String,
        /// Each mistake, in the order of the file.
        mistakes: Vec<Mistake>,
    },
    /// Source images cannot be built, and no rule of the recipe and no correction says what to do with them.
    #[error("{} cannot be built{}", count(rejects.len(), "source image"), list(rejects))]
    Rejects {
        /// Each image with its reason.
        rejects: Vec<Reject>,
        /// The ledger that the recipe names or, if it names none, where it could have one.
        ledger: PathBuf,
        /// Whether the recipe names it.
        is_named: bool,
        /// The dataset, if its recipe is a registry's, which the user has to export to change it.
        exported: Option<Name>,
    },
    /// A folder is not a usable source.
    #[error("{}", about(root.display(), why))]
    Source {
        /// The path that was given.
        root: PathBuf,
        /// Why it cannot be used.
        why: String,
    },
    /// A source is not whole, as its recipe says it must be. Exit code 8.
    #[error("{} is not the complete source{}", root.display(), list(findings))]
    Incomplete {
        /// The source.
        root: PathBuf,
        /// The recipe, as the user named it.
        recipe: String,
        /// What is missing or too much, one line for each class and split.
        findings: Vec<String>,
    },
    /// A version fails its gates and must not be published. Exit code 8.
    #[error("{what} does not pass the gates for publishing{}", list(findings))]
    Gates {
        /// The version.
        what: String,
        /// Each finding, starting with the name of its gate.
        findings: Vec<String>,
        /// Whether nothing is wrong with the build, and only statements of others who built it are missing.
        is_unstated: bool,
    },
    /// Something else already has that name.
    #[error("{what} {}{why}", is_there(*there))]
    Exists {
        /// What already exists.
        what: String,
        /// How it differs (starts with a separator), or empty.
        why: String,
        /// The kind of thing that exists.
        there: There,
    },
    /// A command would write into what it reads, or in its place. Exit code 1.
    #[error("{} {how} {input}", output.display())]
    Overlap {
        /// The folder to write.
        output: PathBuf,
        /// How it lies to the input.
        how: Overlap,
        /// The folder that is read, with its noun.
        input: String,
    },
    /// A file or folder has a name that isn reserves for its own, but isn did not make it. Exit code 1.
    #[error("{} {why}: isn uses and removes only what it made itself", path.display())]
    Foreign {
        /// The path.
        path: PathBuf,
        /// Why it is not isn's, as a predicate.
        why: String,
    },
    /// Bytes do not match their hash or their format. Exit code 3.
    #[error("{}", about(what, why))]
    Integrity {
        /// The file or object.
        what: String,
        /// What was found.
        why: String,
        /// Where the bytes were.
        at: At,
    },
    /// A version rebuilt from a source differs from the release. Exit code 3, or 8 if the source only lacks
    /// images.
    #[error("{}{}", about(what, why), cut_list(differences))]
    Rebuilt {
        /// The version and the source.
        what: String,
        /// What is wrong with the result as a whole.
        why: String,
        /// Every image that differs. The message lists only the first ones.
        differences: Vec<Difference>,
        /// The parts of the release that the comparison depends on and that no signature covers, by their
        /// names in `--json`.
        unsigned: &'static [&'static str],
    },
    /// A signature or a key cannot be relied on. Exit code 4.
    #[error("{}", about(what, why))]
    Trust {
        /// The release, key or registry.
        what: String,
        /// What was found.
        why: String,
    },
    /// The user trusts no key of a log. Exit code 4.
    #[error("no key is trusted for {log}")]
    UnknownLog {
        /// The log, in words.
        log: String,
    },
    /// No writer may finish a log claim that is in a registry. Exit code 4.
    #[error("{}", about(what, why))]
    Claim {
        /// The file.
        what: String,
        /// Why not.
        why: String,
    },
    /// A location was to be written as the registry of one log, but it shows another log or none. Exit code
    /// 4.
    #[error("registry {registry} is known by its log {known}, but {}",
        other.as_ref().map_or_else(|| "shows no log".into(), |other| format!("this is another log: {other}")))]
    OtherLog {
        /// The registry, by its name in the trust store.
        registry: String,
        /// The key of the log that the registry is known by.
        known: String,
        /// The key of the log that it shows, or that it was to get.
        other: Option<String>,
    },
    /// A statement would have no effect as an entry of the log. Exit code 4.
    #[error("{what} {why}")]
    Refused {
        /// The statement.
        what: String,
        /// Why, worded to follow the statement's title.
        why: String,
        /// Which rule it breaks.
        breach: Breach,
    },
    /// A server does not accept what was sent. Exit code 4.
    #[error("{server} refuses what was sent: {why}")]
    Denied {
        /// Its URL.
        server: String,
        /// The server's reason.
        why: String,
    },
    /// A file in which the user says whom to trust cannot be relied on. Exit code 4.
    #[error("{}", about(path.display(), why))]
    TrustFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
        /// What the user should do.
        cure: String,
    },
    /// A valid release is signed by a key that the user does not trust for this registry. Exit code 4.
    #[error("{what} is signed by a key that is not trusted for registry {registry}: {fingerprint}")]
    UnknownSigner {
        /// The release.
        what: String,
        /// The registry, as the user would name it.
        registry: String,
        /// `SHA256:…`, as `ssh-keygen -lf` prints it.
        fingerprint: String,
        /// The OpenSSH public key line.
        public_key: String,
        /// The key of the registry's log, according to the registry.
        log_key: Option<String>,
    },
    /// A server gave no answer, or not a usable one. Exit code 5.
    #[error("{}", about(url, why))]
    Network {
        /// What was requested.
        url: String,
        /// What happened.
        why: String,
        /// The kind of failure.
        kind: NetworkKind,
        /// The error of the lower layer, if any.
        source: Option<Cause>,
    },
    /// A mirror operation stopped after it had begun to write. The exit code is that of the source.
    #[error("the mirror {destination} is incomplete")]
    Unfinished {
        /// Where the mirror was to be.
        destination: String,
        /// Why it stopped.
        source: Box<Error>,
    },
    /// A registry in the list of registries does not answer, so it is unknown whether a name belongs to it.
    /// Exit code 5.
    #[error("cannot ask registry {registry} for {name}: {why}")]
    Unanswered {
        /// The registry, as the user named it.
        registry: String,
        /// The name.
        name: String,
        /// What happened instead, and why the log as last seen does not help.
        why: String,
    },
    /// Something does not exist. Exit code 6.
    #[error("{}{}", is_missing(*kind, what, place), it_has(*kind, near))]
    NotFound {
        /// The reference, object or file.
        what: String,
        /// Where it was looked for.
        place: String,
        /// The kind of thing.
        kind: Missing,
        /// Similar things that do exist, one of which may have been meant.
        near: Vec<String>,
    },
    /// The version exists only as a recipe: the user has to build it from their own source images. Exit code
    /// 6.
    #[error("{reference} has not been released: there is only its recipe")]
    Unreleased {
        /// What was asked for.
        reference: DatasetRef,
        /// The registry that has the recipe.
        registry: String,
    },
    /// The owners have withdrawn the version. Exit code 6.
    #[error("{reference} has been withdrawn by its owners: {reason}")]
    Withdrawn {
        /// The version, or its pin.
        reference: DatasetRef,
        /// The owners' reason.
        reason: String,
    },
    /// Somebody else changed the registry first. Exit code 1.
    #[error("{what} can no longer be appended: it {why}")]
    Conflict {
        /// The statement.
        what: String,
        /// The conflict, worded to follow "it".
        why: String,
    },
    /// No registry provides the images: they have to be built from the user's own source. Exit code 7.
    #[error("{why}")]
    SourceNeeded {
        /// The version, as a pin.
        reference: String,
        /// Which registry lacks what of which version.
        why: String,
        /// The version's description.
        about: String,
    },
    /// The disk is too full. Exit code 1.
    #[error("the disk of {} has {} free, but {} are needed", place.display(), bytes(*free), bytes(*needed))]
    NoRoom {
        /// The folder.
        place: PathBuf,
        /// How many bytes are needed.
        needed: u64,
        /// How many there are.
        free: u64,
    },
    /// The cache cannot keep what a fetch brings, which is all that a fetch is for. Exit code 1.
    #[error("the cache {} {why}", cache.display())]
    NotKept {
        /// The folder.
        cache: PathBuf,
        /// Why not, as a predicate.
        why: String,
    },
    /// A key cannot be used: its passphrase or another secret is missing or wrong.
    #[error("{}", about(format_args!("key {key}"), why))]
    Key {
        /// The key's name or file.
        key: String,
        /// What is wrong.
        why: String,
        /// What kind of fault it is.
        fault: KeyFault,
    },
    /// A server requires a token for publishing, and the given one is wrong.
    #[error("the token for {server} {why}")]
    Token {
        /// Its URL.
        server: String,
        /// What is wrong.
        why: String,
    },
    /// A server requires a token for publishing, and the user has none for it.
    #[error("no token is set for {server}")]
    NoToken {
        /// Its URL.
        server: String,
        /// Its host, with the port that the URL has, as tokens are kept under.
        host: String,
    },
    /// A defect in isn.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Error {
    /// Returns a closure for `map_err` on a file operation: `fs::read(p).map_err(Error::io("read", p))`.
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.as_ref().to_path_buf();
        move |source| Error::Io { action, path, source }
    }

    /// Creates an [`Error::Invalid`].
    pub fn invalid(what: impl fmt::Display, why: impl fmt::Display) -> Error {
        Error::Invalid { what: what.to_string(), why: why.to_string(), kind: Input::Other }
    }

    /// Sets what kind of input an [`Error::Invalid`] is about. Other errors stay as they are.
    pub fn of(mut self, input: Input) -> Error {
        if let Error::Invalid { kind, .. } = &mut self {
            *kind = input;
        }
        self
    }

    /// Creates an [`Error::Integrity`] whose bytes are of unknown origin; [`Error::at`] sets the origin.
    pub fn integrity(what: impl fmt::Display, why: impl fmt::Display) -> Error {
        Error::Integrity { what: what.to_string(), why: why.to_string(), at: At::Unknown }
    }

    /// Sets where the bytes of an [`Error::Integrity`] were, unless it is already set. Other errors stay as
    /// they are.
    pub fn at(mut self, whose: At) -> Error {
        if let Error::Integrity { at: at @ At::Unknown, .. } = &mut self {
            *at = whose;
        }
        self
    }

    /// Creates an [`Error::Network`] without a cause.
    pub fn network(kind: NetworkKind, url: impl fmt::Display, why: impl fmt::Display) -> Error {
        Error::Network { url: url.to_string(), why: why.to_string(), kind, source: None }
    }

    /// Creates an [`Error::Network`] for a request that is not made because the network is not to be used.
    pub fn offline(url: impl fmt::Display) -> Error {
        Error::network(NetworkKind::Offline, url, "was not contacted, because isn is offline")
    }

    /// Creates an [`Error::Exists`].
    pub fn exists(there: There, what: impl fmt::Display, why: impl fmt::Display) -> Error {
        Error::Exists { what: what.to_string(), why: why.to_string(), there }
    }

    /// Creates an [`Error::Trust`].
    pub fn trust(what: impl fmt::Display, why: impl fmt::Display) -> Error {
        Error::Trust { what: what.to_string(), why: why.to_string() }
    }

    /// Creates an [`Error::NotFound`].
    pub fn not_found(kind: Missing, what: impl fmt::Display, place: impl fmt::Display) -> Error {
        Error::NotFound { what: what.to_string(), place: place.to_string(), kind, near: Vec::new() }
    }

    /// Adds to an [`Error::NotFound`] about a dataset's name that there is no folder of that name either.
    /// Other errors stay as they are.
    pub fn nor_folder(mut self) -> Error {
        if let Error::NotFound { kind: Missing::Version, what, .. } = &mut self
            && !what.contains(['@', ':'])
        {
            *what = format!("there is no folder {what}, and {what}");
        }
        self
    }

    /// Adds similar things that do exist to an [`Error::NotFound`], each once. Other errors stay as they are.
    pub fn near(mut self, there: impl IntoIterator<Item = impl fmt::Display>) -> Error {
        if let Error::NotFound { near, .. } = &mut self {
            for item in there.into_iter().map(|item| item.to_string()) {
                if !near.contains(&item) {
                    near.push(item);
                }
            }
        }
        self
    }
}

/// Returns an error with its causes, each after a colon. A cause that the text already contains is left out.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut message = error.to_string();
    for cause in std::iter::successors(error.source(), |cause| cause.source()) {
        let cause = cause.to_string();
        if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    message
}

impl From<RefError> for Error {
    fn from(error: RefError) -> Self {
        Error::invalid("reference", error)
    }
}

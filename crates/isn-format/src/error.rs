//! [`Error`]: all that can go wrong, by what a user can do about it. The command line folds it to an exit code
//! and a `help:` line in one place (`cli/exit.rs`), by variants and kinds, never by words; [`chain`] prints a cause, which is
//! a `source`.

mod kinds;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::dataset_ref::{DatasetRef, RefError};

pub use kinds::{At, Missing, NetworkKind, There};

/// The result of everything fallible in the library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What failed below.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong. Paths, names and reasons are in the message; the remedy is the command line's to say.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as an infinitive: "read", "create".
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// An input that is not what it must be: one reason.
    #[error("{what}: {why}")]
    Invalid {
        /// The file, field or argument.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// A text file with one or more mistakes, all of them listed.
    #[error("{what} has {}{}", count(mistakes.len(), "mistake"), list(mistakes))]
    Mistakes {
        /// The file.
        what: String,
        /// Each mistake, in the order of the file.
        mistakes: Vec<Mistake>,
    },
    /// Source images that no rule of the recipe and no correction accounts for.
    #[error("{} cannot be built{}", count(rejects.len(), "source image"), list(rejects))]
    Rejects {
        /// Each image with its reason.
        rejects: Vec<Reject>,
        /// The ledger that the recipe names, if it names one.
        ledger: Option<String>,
    },
    /// A folder of source images that is none.
    #[error("{}: {why}", root.display())]
    Source {
        /// What was named as one.
        root: PathBuf,
        /// What it is instead.
        why: String,
    },
    /// A version that must not be published as it is. Exit code 8.
    #[error("{what} must not be published as it is{}", list(findings))]
    Gates {
        /// The version, as a pin.
        what: String,
        /// Each thing that stands in the way, after the name of its gate.
        findings: Vec<String>,
    },
    /// Something of that name is there already, and it is another thing.
    #[error("{what} exists already{why}")]
    Exists {
        /// What is there.
        what: String,
        /// How it differs (starts with a separator), or nothing.
        why: String,
        /// What kind of thing is there.
        there: There,
    },
    /// Something stands where isn keeps what is its own, and is not isn's. Exit code 1.
    #[error("{} {why}: isn uses and removes only what it made itself", path.display())]
    Foreign {
        /// What is there.
        path: PathBuf,
        /// By what it is known, as a predicate.
        why: String,
    },
    /// Bytes that are not what their hash or the format says. Exit code 3.
    #[error("{what}: {why}")]
    Integrity {
        /// The file or object.
        what: String,
        /// What was found.
        why: String,
        /// Whose it is.
        at: At,
    },
    /// A version that was to be built again from a source, and did not become what was released. Exit code 3.
    #[error("{what}: {why}{}", cut_list(differences))]
    Rebuilt {
        /// The version and the source.
        what: String,
        /// What is wrong as a whole.
        why: String,
        /// Every image that differs. The message names the first of them.
        differences: Vec<Difference>,
        /// What of the release they hang on and nobody vouches for, as `--json` calls it.
        unsigned: &'static [&'static str],
    },
    /// A signature or a key that cannot be relied on. Exit code 4.
    #[error("{what}: {why}")]
    Trust {
        /// The release, key or registry.
        what: String,
        /// What was found.
        why: String,
    },
    /// Entries that wait in a registry to be appended to its log, and that no writer may append. Exit code 4.
    #[error("{what}: {why}")]
    Claim {
        /// The file.
        what: String,
        /// Why not.
        why: String,
    },
    /// A place was to be written to as the registry of another log than the one that it must have, or of none. Exit code 4.
    #[error("registry {registry} is known by its log {known}, and {}",
        other.as_ref().map_or_else(|| "shows none".into(), |other| format!("this is another: {other}")))]
    OtherLog {
        /// The registry, as it is named in the trust store.
        registry: String,
        /// The key that its log is known by.
        known: String,
        /// The key of the log that it shows, or that it was to have.
        other: Option<String>,
    },
    /// A statement that its log would not take: as an entry it would have no effect. Exit code 4.
    #[error("{what}: it {why}")]
    Refused {
        /// The statement.
        what: String,
        /// Why, as what follows its title.
        why: String,
        /// Whether it is by a key that has no say.
        is_strangers: bool,
    },
    /// What was sent to a server, and it does not take. Exit code 4.
    #[error("{server}: {why}")]
    Denied {
        /// Its URL.
        server: String,
        /// Why, in its words.
        why: String,
    },
    /// A file of the user's own, by which isn decides whom to believe, that cannot be relied on. Exit code 4.
    #[error("{}: {why}", path.display())]
    TrustFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
        /// What to do about it.
        cure: String,
    },
    /// A well-formed release by a key that the user has not trusted for this registry. Exit code 4.
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
        /// The key of the registry's log, as the registry says itself.
        log_key: Option<String>,
    },
    /// No answer, or none that makes sense. Exit code 5.
    #[error("{url}: {why}")]
    Network {
        /// What was asked for.
        url: String,
        /// What came.
        why: String,
        /// What kind of failure it is.
        kind: NetworkKind,
        /// What failed below, if something did.
        source: Option<Cause>,
    },
    /// A mirror that ended early, after it had begun to write. The exit code is that of the reason.
    #[error("{destination} is a mirror that is not finished")]
    Unfinished {
        /// Where it was to be.
        destination: String,
        /// Why it ended.
        source: Box<Error>,
    },
    /// A registry of a list does not answer, so that nobody can say whose a name is. Exit code 5.
    #[error("registry {registry} cannot be asked for {name}: {why}")]
    Unanswered {
        /// The registry, as the user named it.
        registry: String,
        /// The name.
        name: String,
        /// What came instead of an answer, and why its log as last seen does not help.
        why: String,
    },
    /// There is no such thing. Exit code 6.
    #[error("{what} is not in {place}{}", it_has(near))]
    NotFound {
        /// The reference, object or file.
        what: String,
        /// Where it was looked for.
        place: String,
        /// What kind of thing it is.
        kind: Missing,
        /// What may have been meant: such things as are there.
        near: Vec<String>,
    },
    /// The version exists as a recipe only: it has to be built from the user's own source images. Exit code 6.
    #[error("{reference} has not been released: there is only its recipe")]
    Unreleased {
        /// What was asked for.
        reference: DatasetRef,
        /// Its recipe, as a path in the registry.
        recipe: String,
    },
    /// The owners have withdrawn the version. Exit code 6.
    #[error("{reference} has been withdrawn by its owners: {reason}")]
    Withdrawn {
        /// The version.
        reference: String,
        /// Why, as they said.
        reason: String,
    },
    /// Somebody else changed the registry first. Exit code 1.
    #[error("{what} does not fit any more: it {why}")]
    Conflict {
        /// The statement.
        what: String,
        /// What stands in its way now.
        why: String,
    },
    /// The images are not to be had from a registry: they have to be built from the user's own source. Exit code 7.
    #[error("{reference} cannot be pulled: {why}")]
    SourceNeeded {
        /// The version, as a pin.
        reference: String,
        /// Who lacks what.
        why: String,
    },
    /// The disk is too full. Exit code 1.
    #[error("{} has {} free, and {} are needed", place.display(), bytes(*free), bytes(*needed))]
    NoRoom {
        /// The folder.
        place: PathBuf,
        /// How many bytes are needed.
        needed: u64,
        /// How many there are.
        free: u64,
    },
    /// A key needs its passphrase, or another secret is missing or wrong.
    #[error("key {key}: {why}")]
    Key {
        /// The key's name or file.
        key: String,
        /// What is wrong.
        why: String,
    },
    /// A server wants a token to let somebody publish.
    #[error("the token for {server} {why}")]
    Token {
        /// Its URL.
        server: String,
        /// What is wrong.
        why: String,
    },
    /// A defect in isn.
    #[error("internal error: {0}")]
    Internal(String),
}

/// One mistake in a text file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// 1-based, where it is known.
    pub line: Option<usize>,
    /// What is wrong and what would be right.
    pub why: String,
}

/// A source image that cannot become part of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Reject {
    /// Its path in the source.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// How an image of a rebuilt version differs from the released one.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// Its path in the tree; of one that only the rebuilt version has, its path there.
    pub image: String,
    /// Its source id.
    pub source_id: String,
    /// Its file in the source, where there is one.
    pub source_path: Option<String>,
    /// What is to blame.
    pub cause: Blame,
    /// In words.
    pub why: String,
}

/// What is to blame for a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blame {
    /// The source does not have the file.
    SourceMissing,
    /// The source's file has other bytes.
    SourceFile,
    /// The same file gave other pixels.
    Decoder,
    /// The same pixels gave another file.
    Encoder,
    /// The image is in another class or split, is not there, or should not be: recipe, corrections or assignments, or the
    /// set of source images that they are applied to, are others.
    Recipe,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source_path {
            Some(path) => write!(f, "{}: {} ({path})", self.image, self.why),
            None => write!(f, "{}: {}", self.image, self.why),
        }
    }
}

impl Error {
    /// For `map_err` on a file operation: `fs::read(p).map_err(Error::io("read", p))`.
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.as_ref().to_path_buf();
        move |source| Error::Io { action, path, source }
    }

    /// An [`Error::Invalid`].
    pub fn invalid(what: impl fmt::Display, why: impl fmt::Display) -> Error {
        Error::Invalid { what: what.to_string(), why: why.to_string() }
    }

    /// An [`Error::Integrity`] of bytes that may be anybody's; [`Error::at`] says whose.
    pub fn integrity(what: impl fmt::Display, why: impl fmt::Display) -> Error {
        Error::Integrity { what: what.to_string(), why: why.to_string(), at: At::Unknown }
    }

    /// The same, of bytes that are `whose`, if it is an [`Error::Integrity`] of which nobody has said so yet.
    pub fn at(mut self, whose: At) -> Error {
        if let Error::Integrity { at: at @ At::Unknown, .. } = &mut self {
            *at = whose;
        }
        self
    }

    /// An [`Error::Network`] without a cause.
    pub fn network(kind: NetworkKind, url: impl fmt::Display, why: impl fmt::Display) -> Error {
        Error::Network { url: url.to_string(), why: why.to_string(), kind, source: None }
    }

    /// An [`Error::Network`] of what is not asked, since no network is to be used.
    pub fn offline(url: impl fmt::Display) -> Error {
        Error::network(NetworkKind::Offline, url, "is not asked: offline")
    }

    /// An [`Error::Exists`].
    pub fn exists(there: There, what: impl fmt::Display, why: impl fmt::Display) -> Error {
        Error::Exists { what: what.to_string(), why: why.to_string(), there }
    }

    /// An [`Error::Trust`].
    pub fn trust(what: impl fmt::Display, why: impl fmt::Display) -> Error {
        Error::Trust { what: what.to_string(), why: why.to_string() }
    }

    /// An [`Error::NotFound`].
    pub fn not_found(kind: Missing, what: impl fmt::Display, place: impl fmt::Display) -> Error {
        Error::NotFound { what: what.to_string(), place: place.to_string(), kind, near: Vec::new() }
    }

    /// The same, with what may have been meant, if it is an [`Error::NotFound`].
    pub fn near(mut self, there: impl IntoIterator<Item = impl fmt::Display>) -> Error {
        if let Error::NotFound { near, .. } = &mut self {
            *near = there.into_iter().map(|item| item.to_string()).collect();
        }
        self
    }
}

/// An error with its causes, each after a colon, but for what has been said by then.
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

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.why),
            None => f.write_str(&self.why),
        }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.reason)
    }
}

/// `512 B`, `1.50 GiB`: three figures and a binary unit.
pub fn bytes(n: u64) -> String {
    let mut value = n as f64;
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
        if value < 1000.0 {
            break;
        }
        (value, unit) = (value / 1024.0, larger);
    }
    if unit == "B" { format!("{n} B") } else { format!("{value:.2} {unit}") }
}

/// `1 image`, `2 images`.
pub fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(|item| format!("\n  {item}")).collect()
}

/// ` (it has a, b)`, cut where it gets long; nothing where there is nothing.
fn it_has(near: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = near[..near.len().min(SHOWN)].join(", ");
    match near.len() {
        0 => String::new(),
        n if n > SHOWN => format!(" (it has {shown} and {} more)", n - SHOWN),
        _ => format!(" (it has {shown})"),
    }
}

/// The first 20, and how many there are beside them.
pub fn cut_list<T: fmt::Display>(items: &[T]) -> String {
    const SHOWN: usize = 20;
    let more = items.len().saturating_sub(SHOWN);
    let rest = if more > 0 { format!("\n  and {more} more (--json has them all)") } else { String::new() };
    list(&items[..items.len() - more]) + &rest
}

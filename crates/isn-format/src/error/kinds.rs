//! The kinds in [`Error`](super::Error): they determine the help that is printed, so that nobody has to match
//! the text of a message.

use std::fmt;

/// Where bytes were that are not what they must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum At {
    /// Unknown.
    #[default]
    Unknown,
    /// A registry or one of its mirrors.
    Registry,
    /// The user's cache.
    Cache,
    /// A file of decoded images in the user's cache.
    Decoded,
    /// A tree that was pulled earlier and is read in place, or instead of a registry.
    Tree,
    /// The output of a build.
    Build,
    /// A registry, or the reference that the user gave: they name different dataset hashes.
    Reference,
    /// A registry, or `isn.lock`: they have different dataset hashes of one version.
    Lock,
    /// A version that was built from a source, or its release: they have different dataset hashes.
    Rebuilt,
}

/// What kind of input is not valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Input {
    /// None of the others: the message says what would be right.
    #[default]
    Other,
    /// A text with the marks of a merge conflict.
    Conflict,
    /// The location of a registry, which is neither a path nor a URL that isn reads.
    Location,
    /// A registry that takes nothing from writers.
    ReadOnly,
}

/// What is wrong with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFault {
    /// The passphrase of an existing key is wrong.
    Passphrase,
    /// A passphrase is needed, and there is nobody to ask for it.
    Unasked,
    /// The passphrase of a new key was not entered twice.
    NewPassphrase,
    /// A new key has no passphrase, and nobody said that it needs none.
    NoPassphrase,
    /// The private key of a log is on another machine.
    Elsewhere,
    /// The SSH agent does not sign with it.
    Agent,
    /// No SSH agent is running to sign with it.
    NoAgent,
    /// The file is not a key that isn can use.
    Unusable,
}

/// How an output lies to an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// They are one folder.
    Is,
    /// The output is in the input.
    IsIn,
    /// The input is in the output.
    Contains,
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Overlap::Is => "is",
            Overlap::IsIn => "is in",
            Overlap::Contains => "contains",
        })
    }
}

/// Why a request gave nothing usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkKind {
    /// No network is to be used.
    Offline,
    /// The server's certificate is not trusted.
    Certificate,
    /// The server does not speak TLS.
    NotTls,
    /// The host name does not resolve.
    Dns,
    /// The proxy cannot be reached, or refuses.
    Proxy,
    /// Nothing accepts the connection.
    Refused,
    /// Nothing, or too little, arrived before the timeout.
    Timeout,
    /// The server answered with this HTTP status.
    Status(u16),
    /// The connection broke, or the answer makes no sense.
    Broken,
    /// The registry is a folder, and this file in it cannot be read.
    Unreadable,
    /// Something that is not a file is in the place of one in a folder.
    NoFile,
    /// The registry is a folder that does not exist, and the cache lacks this file.
    Gone,
}

/// The kind of thing that is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// None of the others.
    #[default]
    Other,
    /// A log that a registry does not have.
    Log,
    /// The attestation log of a registry.
    AttestationLog,
    /// A key among the owners of a name.
    Owner,
    /// A key that the user trusts.
    Trusted,
    /// A registry, at the location that was named.
    Registry,
    /// A registry, at the path of a file.
    RegistryInFile,
    /// A registry, in a folder that is a tree.
    RegistryInTree,
    /// A registry, in a folder that is the output of a build.
    RegistryInBuild,
    /// `registry.json`, in a folder that is a registry by its other files.
    RegistryJson,
    /// The folder that was named as a registry. The place is the setting that names it; empty for an
    /// argument.
    Location,
    /// As [`Missing::Location`], but the cache has the version, which `--offline` uses.
    LocationInCache,
    /// `isn.lock`, or datasets to lock.
    Lock,
    /// One of the user's keys.
    Key,
    /// A recipe in a registry.
    Recipe,
    /// A name or a version in a registry.
    Version,
    /// A split of a version.
    Split,
    /// A class of a version.
    Class,
    /// A class of a version, which was named by its label. The similar things are the ids with that label.
    ClassLabel,
    /// An image of a version.
    Image,
    /// A file or folder of the user. The place is empty if it was looked for at its own path.
    File,
    /// A file of a registry that another file refers to.
    Object,
}

/// Which rule a statement breaks that would have no effect as an entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// It is signed by a key that has no right to do so.
    Stranger,
    /// It releases a version that is released already.
    SecondRelease,
    /// The log has as many entries as it may have.
    Full,
    /// Another.
    Other,
}

/// Why `isn.lock` cannot be used as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockFault {
    /// It lacks a dataset that `isn.toml` names.
    Behind,
    /// It has a format of a newer version of isn.
    Newer,
    /// It has the marks of a merge conflict.
    Conflict,
    /// It is none of isn's, or was damaged.
    Damaged,
}

/// The kind of thing that already exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum There {
    /// A file or folder where one is to be made.
    #[default]
    Place,
    /// The current folder or one above it, which cannot be replaced.
    WorkingFolder,
    /// A mount point, or a folder that contains one.
    MountPoint,
    /// A tree of the same dataset that is damaged or was edited.
    Changed,
    /// A folder that its owner has protected.
    Protected,
    /// A key of that name.
    KeyFile,
    /// Another log key for the registry.
    LogKey,
    /// Another release of that name and version.
    Release,
    /// A signature or key that was to be added to a statement.
    Said,
    /// The same operation, which is running.
    Running,
}

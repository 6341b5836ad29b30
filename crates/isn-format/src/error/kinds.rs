//! What [`Error`](super::Error) says beside its message, for whoever has to decide what helps: nobody looks for words.

/// Whose bytes are not what they must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum At {
    /// Whoever found it cannot say.
    #[default]
    Unknown,
    /// A registry or one of its mirrors.
    Registry,
    /// The cache of this home.
    Cache,
    /// A tree that was pulled before, and is read in place or instead of a registry.
    Tree,
    /// The output of a build.
    Build,
}

/// Why a network gave nothing of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkKind {
    /// None is to be used.
    Offline,
    /// The server's certificate is not believed.
    Certificate,
    /// The host's name leads nowhere.
    Dns,
    /// The proxy is not there, or refuses.
    Proxy,
    /// Nothing takes the connection.
    Refused,
    /// Nothing came, or too little, in the time there was.
    Timeout,
    /// The server answered with this HTTP status.
    Status(u16),
    /// The connection broke, or what came makes no sense.
    Broken,
    /// The registry is a folder, and this file of it cannot be read.
    Unreadable,
}

/// What there is none of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// A thing of its own kind.
    #[default]
    Other,
    /// A registry, where one was named.
    Registry,
    /// A lock file, and datasets to lock.
    Lock,
    /// A key of the user's.
    Key,
    /// A name or a version that a registry was asked for.
    Version,
    /// A split of a version.
    Split,
    /// A class of a version.
    Class,
    /// An image of a version.
    Image,
    /// A file or folder of the user's.
    File,
    /// A file of a registry that something in it refers to.
    Object,
}

/// What is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum There {
    /// A file or folder, where something is to be made.
    #[default]
    Place,
    /// The folder that the user is in, or one above it, whose place nothing can take.
    WorkingFolder,
    /// A mount point, or a folder with one in it.
    MountPoint,
    /// A folder that its owner has protected.
    Protected,
    /// A key of that name.
    KeyFile,
    /// Another log's key for the registry.
    LogKey,
    /// Another release of the name and version.
    Release,
    /// What was to be added to a statement: its signature or one of its keys.
    Said,
    /// The same work, at work.
    Running,
}

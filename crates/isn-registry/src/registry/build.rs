//! The output of a build, which is read as if it were a registry.

use std::io::{self, ErrorKind};
use std::path::Path;

use super::layout::{self, MANIFEST_JSON};
use super::{Registry, Snapshot};
use crate::files;
use crate::transport::folder::Folder;
use isn_format::error::{At, Error, Missing, NetworkKind, Result};
use isn_format::manifest::{self, Manifest};
use isn_format::object::{ObjectKind, ObjectRef};

/// Opens the build in the folder `root`, and returns what its manifest is named by.
///
/// # Errors
/// [`Error::Integrity`] if its `manifest.json` is damaged; [`Error::Invalid`] if that is of another format,
/// which a newer isn may know; [`Error::Io`] if it cannot be read.
pub(crate) fn open(root: &Path) -> Result<(Registry, ObjectRef)> {
    named(root).map_err(of_build)
}

/// As [`open`], with the description of the version, which is the user's own.
///
/// # Errors
/// As [`open`]; [`Error::Integrity`] also if an object that describes the version is missing or damaged.
pub(crate) async fn describe(root: &Path) -> Result<(Registry, Snapshot)> {
    let (registry, manifest) = open(root)?;
    let described = async {
        let mut head = registry.head_of_build(manifest, Vec::new()).await?;
        // Nobody vouches for their lengths, either.
        head.check_unsigned(&root.join(MANIFEST_JSON).display().to_string())?;
        head.is_own = true;
        registry.complete(head).await
    };
    let snapshot = described.await.map_err(of_build)?;
    Ok((registry, snapshot))
}

fn named(root: &Path) -> Result<(Registry, ObjectRef)> {
    let path = root.join(MANIFEST_JSON);
    let bytes = files::read_capped(&path, manifest::MAX_LEN)?;
    let reference = ObjectRef::of(&bytes);
    let is_named_by = |place: String| !files::is_absent(&root.join(place));
    let digest = &reference.blake3;
    // A build that has lost the manifest's object still has its list of packs.
    if !is_named_by(layout::object(ObjectKind::Manifest, digest)) && !is_named_by(layout::packs(digest)) {
        let why = match Manifest::parse(&path.display().to_string(), &bytes) {
            _ if bytes.is_empty() => "is empty".into(),
            Ok(_) => format!("was changed: the build has no object of its hash, {digest}"),
            Err(Error::Integrity { why, .. }) => format!("is not the manifest of a build: {why}"),
            Err(e) => return Err(e),
        };
        return Err(Error::integrity(path.display(), why).at(At::Build));
    }
    Ok((Registry::over(root.display().to_string(), Box::new(Folder::new(root))), reference))
}

/// Turns the error of a file that is missing or cannot be read in a registry into that of one in a build,
/// which has no other copy.
pub(crate) fn of_build(error: Error) -> Error {
    let missing = |what: String| Error::integrity(what, "is missing").at(At::Build);
    match error {
        Error::Io { path, source, .. } if source.kind() == ErrorKind::NotFound => {
            missing(path.display().to_string())
        }
        Error::NotFound { kind: Missing::Object, what, .. } => missing(what),
        Error::Network { kind: NetworkKind::NoFile, url, why, .. } => {
            Error::integrity(url, why).at(At::Build)
        }
        Error::Io { path, source, .. } if source.kind() == ErrorKind::IsADirectory => {
            Error::integrity(path.display(), "is a folder").at(At::Build)
        }
        Error::Network { kind: NetworkKind::Unreadable, url, why, source } => {
            match source.map(|cause| cause.downcast::<io::Error>()) {
                Some(Ok(cause)) => Error::io("read", url)(*cause),
                source => {
                    let source = source.and_then(Result::err);
                    Error::Network { kind: NetworkKind::Unreadable, url, why, source }
                }
            }
        }
        error => error.at(At::Build),
    }
}

//! The output of a build, which is read as if it were a registry.

use std::path::Path;

use super::Registry;
use super::layout::{self, MANIFEST_JSON};
use crate::files;
use crate::transport::folder::Folder;
use isn_format::error::{At, Error, Result};
use isn_format::manifest::{self, Manifest};
use isn_format::object::{ObjectKind, ObjectRef};

/// Opens the build in the folder `root`, and returns what its manifest is named by.
///
/// # Errors
/// [`Error::Integrity`] if its `manifest.json` is damaged; [`Error::Invalid`] if that is of another format,
/// which a newer isn may know; [`Error::Io`] if it cannot be read.
pub(crate) fn open(root: &Path) -> Result<(Registry, ObjectRef)> {
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

//! [`Scratch`]: the temporary folder for what a publish makes for one registry.

use std::path::{Path, PathBuf};

use crate::files::{self, Workplace};
use isn_format::error::{Error, Result};

/// Distinguishes this folder from the one that a build of the same name has.
const KEY: &str = "publish";

/// A folder that is removed with the publish. It is beside the build if possible, where there is enough room
/// for a build.
pub(super) enum Scratch {
    Beside { work: Workplace, folder: PathBuf },
    Elsewhere(tempfile::TempDir),
}

impl Scratch {
    /// Makes the folder for a publish of `build`.
    pub(super) fn new(build: &Path) -> Result<Self> {
        match beside(build) {
            Err(Error::Io { .. }) => {
                let folder = tempfile::Builder::new().prefix(files::TEMP_PREFIX).tempdir();
                folder.map(Scratch::Elsewhere).map_err(Error::io("create folder", build))
            }
            beside => beside,
        }
    }

    /// Returns the folder.
    pub(super) fn path(&self) -> &Path {
        match self {
            Scratch::Beside { folder, .. } => folder,
            Scratch::Elsewhere(folder) => folder.path(),
        }
    }
}

fn beside(build: &Path) -> Result<Scratch> {
    let build = named(build);
    let work = match Workplace::open(&build, KEY)? {
        Some(work) => work,
        // Another publish of the same build is running.
        None => Workplace::open_aside(&build, KEY)?,
    };
    work.own.clear()?;
    Ok(Scratch::Beside { folder: work.own.folder(KEY)?, work })
}

/// Returns a path that has a file name, unlike `.`, and is the same from every working folder.
fn named(build: &Path) -> PathBuf {
    let place = files::place(build);
    std::path::absolute(&place).unwrap_or(place)
}

/// Removes what a killed publish of `build` left.
pub(super) fn tidy(build: &Path) {
    // A folder that is not isn's is kept, and reported when its place is needed.
    let _ = Workplace::discard_abandoned(&named(build), KEY);
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Scratch::Beside { work, .. } = self {
            let _ = work.discard();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scratch_folder_goes_and_so_does_that_of_a_killed_publish() {
        let dir = tempfile::tempdir().unwrap();
        let build = dir.path().join("out");
        let one = Scratch::new(&build).unwrap();
        let other = Scratch::new(&build).unwrap();
        assert_ne!(one.path(), other.path());
        std::fs::write(one.path().join("shard"), "x").unwrap();
        drop((one, other));
        assert_eq!(files::names_in(dir.path()).unwrap(), [""; 0]);
        let killed = Workplace::open(&build, KEY).unwrap().unwrap();
        std::fs::write(killed.own.folder(KEY).unwrap().join("half"), "x").unwrap();
        drop(killed);
        assert_eq!(files::names_in(Scratch::new(&build).unwrap().path()).unwrap(), [""; 0]);
        assert_eq!(files::names_in(dir.path()).unwrap(), [""; 0]);
        let killed = Workplace::open(&build, KEY).unwrap().unwrap();
        drop(killed);
        tidy(&build);
        assert_eq!(files::names_in(dir.path()).unwrap(), [""; 0]);
    }
}

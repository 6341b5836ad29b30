//! [`Scratch`]: where a publish has what it makes for one registry alone.

use std::path::{Path, PathBuf};

use crate::files::{self, Workplace};
use isn_format::error::{Error, Result};

/// What the folder is for: a build of the same name has one of its own.
const KEY: &str = "publish";

/// A folder that goes away with the publish: beside the build, where there is room for what a build has, if it may be.
pub(super) enum Scratch {
    Beside { work: Workplace, folder: PathBuf },
    Elsewhere(tempfile::TempDir),
}

impl Scratch {
    /// For a publish of `build`.
    pub(super) fn new(build: &Path) -> Result<Self> {
        match beside(build) {
            Err(Error::Io { .. }) => {
                let folder = tempfile::Builder::new().prefix(files::TEMP_PREFIX).tempdir();
                folder.map(Scratch::Elsewhere).map_err(Error::io("create folder", build))
            }
            beside => beside,
        }
    }

    /// The folder.
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
        // Another publishes the same build.
        None => Workplace::open_aside(&build, KEY)?,
    };
    work.own.clear()?;
    Ok(Scratch::Beside { folder: work.own.folder(KEY)?, work })
}

/// With a name, which `.` has not, and the same wherever it is published from.
fn named(build: &Path) -> PathBuf {
    let place = files::place(build);
    std::path::absolute(&place).unwrap_or(place)
}

/// Removes what a publish of `build` left that was killed.
pub(super) fn tidy(build: &Path) {
    // What is not isn's stays, and is said where its place is needed.
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

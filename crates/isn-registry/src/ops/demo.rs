//! `isn demo source`: writes the drawn birds as a raw ILSVRC2012 source, to try the whole chain with.

use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

use crate::demo::{Photo, roll};
use crate::progress::{Progress, Unit};
use crate::steps::new_folder::new_folder;
use isn_format::error::{Error, Result};

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DemoReport {
    /// The source folder.
    pub path: PathBuf,
    /// The number of files in it.
    pub images: u64,
    /// The sum of their lengths, in bytes.
    pub bytes: u64,
}

/// Writes the source of `demobirds` to `dir`: `train/<wnid>/<wnid>_N.JPEG` and a flat `val/`, with the same
/// bytes on every machine. The folder gets its name only when it is complete.
///
/// # Errors
/// [`Error::Exists`] if `dir` exists and is not an empty folder, or another isn is writing to it;
/// [`Error::Io`] if the system refuses.
pub fn write_source(dir: &Path, progress: &dyn Progress) -> Result<DemoReport> {
    write(dir, &roll(), progress)
}

fn write(dir: &Path, photos: &[Photo], progress: &dyn Progress) -> Result<DemoReport> {
    let (path, bytes) = new_folder(dir, "source", progress, |source| draw(source, photos, progress))?;
    Ok(DemoReport { path, images: photos.len() as u64, bytes })
}

/// Draws the photos below `source`. Returns the sum of their lengths, in bytes.
fn draw(source: &Path, photos: &[Photo], progress: &dyn Progress) -> Result<u64> {
    for photo in photos {
        let folder = source.join(photo.path()).with_file_name("");
        fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
    }
    progress.begin("drawing", Unit::Images, photos.len() as u64);
    let lengths = photos.par_iter().map(|photo| {
        let (bytes, path) = (photo.develop()?, source.join(photo.path()));
        fs::write(&path, &bytes).map_err(Error::io("write", &path))?;
        progress.advance(1);
        Ok(bytes.len() as u64)
    });
    let bytes = lengths.collect::<Result<Vec<u64>>>().map(|lengths| lengths.iter().sum());
    progress.end();
    bytes
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::files::Workplace;
    use crate::progress::Silent;

    fn few() -> Vec<Photo> {
        roll().into_iter().step_by(60).collect()
    }

    #[derive(Default)]
    struct Counting {
        expected: AtomicU64,
        done: AtomicU64,
    }

    impl Progress for Counting {
        fn begin(&self, _: &str, _: Unit, total: u64) {
            self.expected.store(total, Ordering::Relaxed);
        }
        fn advance(&self, count: u64) {
            self.done.fetch_add(count, Ordering::Relaxed);
        }
        fn end(&self) {}
        fn note(&self, _: &str) {}
    }

    #[test]
    fn two_runs_write_the_same_files() {
        let place = tempfile::tempdir().unwrap();
        let (first, second) = (place.path().join("new/first"), place.path().join("second"));
        fs::create_dir(&second).unwrap();
        let progress = Counting::default();
        let report = write(&first, &few(), &progress).unwrap();
        assert_eq!(report.images, few().len() as u64);
        assert_eq!(progress.expected.into_inner(), report.images);
        assert_eq!(progress.done.into_inner(), report.images);
        write(&second, &few(), &Silent).unwrap();
        let mut bytes = 0;
        for photo in few() {
            let file = fs::read(first.join(photo.path())).unwrap();
            assert_eq!(file, fs::read(second.join(photo.path())).unwrap(), "{}", photo.path());
            bytes += file.len() as u64;
        }
        assert_eq!(bytes, report.bytes);
        let left: Vec<_> =
            fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "nothing temporary is left: {left:?}");
    }

    #[test]
    fn what_a_killed_run_left_goes_with_the_next() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("raw");
        let killed = Workplace::open(&dir, "").unwrap().unwrap();
        fs::write(killed.own.folder("source").unwrap().join("half"), "x").unwrap();
        let error = write(&dir, &few(), &Silent).unwrap_err().to_string();
        assert!(error.contains("another isn is writing to it"), "{error}");
        drop(killed);
        write(&dir, &few(), &Silent).unwrap();
        assert!(!dir.join("half").exists());
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_there_is_not_touched() {
        let place = tempfile::tempdir().unwrap();
        let full = place.path().join("full");
        fs::create_dir(&full).unwrap();
        fs::write(full.join("mine.txt"), "x").unwrap();
        let error = write(&full, &few(), &Silent).unwrap_err().to_string();
        assert!(error.contains("full already exists, and it is not empty"), "{error}");
        let error = write(&full.join("mine.txt"), &few(), &Silent).unwrap_err().to_string();
        assert!(error.contains("it is not a folder"), "{error}");
        assert_eq!(fs::read(full.join("mine.txt")).unwrap(), b"x");
    }
}

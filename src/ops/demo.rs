//! `isn demo source`: writes the drawn birds as a raw ILSVRC2012 source, so that anyone can try the whole
//! chain.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

use crate::demo::{Photo, roll};
use crate::error::{Error, Result};
use crate::files;
use crate::progress::{Progress, Unit};

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DemoReport {
    /// The source folder.
    pub path: PathBuf,
    /// Files in it.
    pub images: u64,
    /// Their bytes in all.
    pub bytes: u64,
}

/// Writes the source of `demobirds` to `dir`: `train/<wnid>/<wnid>_N.JPEG` and a flat `val/`, the same bytes
/// on every machine. The folder appears under its name when it is complete.
///
/// # Errors
/// [`Error::Exists`] if `dir` is there and is not an empty folder; [`Error::Io`] as the system says.
pub fn write_source(dir: &Path, progress: &dyn Progress) -> Result<DemoReport> {
    write(dir, &roll(), progress)
}

fn write(dir: &Path, photos: &[Photo], progress: &dyn Progress) -> Result<DemoReport> {
    refuse_unless_free(dir)?;
    let parent = match dir.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
    let temporary = tempfile::Builder::new()
        .prefix(files::TEMP_PREFIX)
        .tempdir_in(parent)
        .map_err(Error::io("create a folder in", parent))?;
    // Below the temporary folder, which only its owner may enter, one with everyday permissions.
    let source = temporary.path().join("source");
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
    let bytes = lengths.collect::<Result<Vec<u64>>>()?.iter().sum();
    progress.end();
    // An empty folder that is in the way: not every system renames over it.
    match fs::remove_dir(dir) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(Error::io("replace", dir)(e)),
        _ => fs::rename(&source, dir).map_err(Error::io("create", dir))?,
    }
    Ok(DemoReport { path: dir.to_path_buf(), images: photos.len() as u64, bytes })
}

fn refuse_unless_free(dir: &Path) -> Result<()> {
    let taken = |why: &str| Error::Exists { what: dir.display().to_string(), why: why.to_string() };
    match fs::read_dir(dir) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(taken(", and it is not empty: name a folder that is not there yet")),
        },
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) if e.kind() == ErrorKind::NotADirectory => {
            Err(taken(", and it is not a folder: name another"))
        }
        Err(e) => Err(Error::io("list", dir)(e)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
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
    fn what_is_there_is_not_touched() {
        let place = tempfile::tempdir().unwrap();
        let full = place.path().join("full");
        fs::create_dir(&full).unwrap();
        fs::write(full.join("mine.txt"), "x").unwrap();
        let error = write(&full, &few(), &Silent).unwrap_err().to_string();
        assert!(error.contains("full exists already, and it is not empty"), "{error}");
        let error = write(&full.join("mine.txt"), &few(), &Silent).unwrap_err().to_string();
        assert!(error.contains("it is not a folder"), "{error}");
        assert_eq!(fs::read(full.join("mine.txt")).unwrap(), b"x");
    }
}

//! Makes a folder that has its name only once it is complete.

use std::path::{Path, PathBuf};

use crate::files::{self, Workplace};
use crate::progress::Progress;
use isn_format::error::{Error, Result, There};

const NOT_EMPTY: &str = ", and it is not empty: name a folder that is not there yet";

/// Makes the folder `dir`, which `fill` writes under another path; `what` is its name there. Returns the
/// path of `dir` without links, and what `fill` returns.
///
/// # Errors
/// [`Error::Exists`] if `dir` exists and is not an empty folder, or another isn is writing to it;
/// [`Error::Io`] if the system refuses; those of `fill`.
pub(crate) fn new_folder<T>(
    dir: &Path,
    what: &str,
    progress: &dyn Progress,
    fill: impl FnOnce(&Path) -> Result<T>,
) -> Result<(PathBuf, T)> {
    let dir = files::destination(dir)?;
    if !files::is_free(&dir)? {
        let why = match (dir.is_dir(), dir.exists()) {
            (true, _) => NOT_EMPTY,
            (false, true) => ", and it is not a folder: name another",
            (false, false) => ", and it is a link that leads nowhere: name another",
        };
        // It may be whole, and a run was killed before it had tidied up.
        let _ = Workplace::discard_abandoned(&dir, "");
        return Err(taken(&dir, why));
    }
    files::create_dir_all(files::parent(&dir))?;
    let work = Workplace::open(&dir, "")?.ok_or_else(|| taken(&dir, ": another isn is writing to it"))?;
    // Removes what a killed run left.
    let filled = work.own.clear().and_then(|()| fill(&work.own.folder(what)?));
    let placed = filled.and_then(|made| {
        match files::rename_new_and(&work.own.join(what), &dir, || progress.complete())? {
            true => Ok(made),
            false => Err(taken(&dir, NOT_EMPTY)),
        }
    });
    let _ = work.discard();
    placed.map(|made| (dir, made))
}

fn taken(dir: &Path, why: &str) -> Error {
    Error::exists(There::Place, dir.display(), why)
}

//! [`Staging`]: the folder in which a tree is written.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rayon::prelude::*;

use super::PullOptions;
use super::destination::{Destination, is_whole_tree};
use super::seeds::Reuse;
use super::seen::Seen;
use crate::files::{self, Workplace};
use crate::progress::Progress;
use isn_format::digest::Digest;
use isn_format::error::{Error, Result, chain};
use isn_format::index::RowRef;

/// How long to wait for another process that writes the same tree.
const PATIENCE: Duration = Duration::from_secs(600);
/// The number of hex digits of the key, which tells what is being written.
const KEY_LEN: usize = 16;
/// The tree, in the staging folder.
const TREE: &str = "tree";
/// The name of the new tree while it is exchanged for the one at its destination, and then of that one. What
/// has this name may contain files of the user.
const WHOLE: &str = "whole";
/// The name of the old tree between the two steps, on file systems that cannot exchange folders in one.
const REPLACED: &str = "replaced";

/// The name, with a number, of an old tree that nobody has changed, and that only has to be removed.
const OLD: &str = "old";

/// A hidden sibling of the destination that contains the tree. If this run is killed, the next one finds it
/// again.
pub(super) struct Staging {
    work: Workplace,
    root: PathBuf,
    is_changed: bool,
}

/// The outcome of putting a tree in place.
pub(super) enum Finished {
    /// It is in place.
    InPlace {
        /// Messages for the user: where the old tree is, if somebody wrote to it at the last moment, and what
        /// could not be removed.
        said: Vec<String>,
        /// The path of an image in it that somebody wrote to at the last moment, when it was in the old tree.
        edited: Option<PathBuf>,
    },
    /// It is not in place, because something else was put there meanwhile, or this path in the old tree was
    /// changed.
    InTheWay(Option<PathBuf>),
}

/// Returns a key for what is being written, so that two versions, or two parts of one, never mix.
fn key(dataset: &Digest, options: &PullOptions<'_>) -> Result<String> {
    let selection = serde_json::to_vec(&options.selection).map_err(|e| Error::Internal(e.to_string()))?;
    let key = Digest::of(&[dataset.as_bytes().as_slice(), &selection].concat()).to_string();
    Ok(key[..KEY_LEN].into())
}

impl Staging {
    /// Opens the staging folder, or waits for the process that is using it.
    pub(super) fn open(
        to: &Path,
        dataset: &Digest,
        options: &PullOptions<'_>,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let key = key(dataset, options)?;
        let (work, was_waited_for) = Workplace::wait(to, &key, PATIENCE)?;
        let work = match work {
            Some(work) => work,
            // The other process takes too long. Work beside it; the first to finish wins.
            None => Workplace::open_aside(to, &key)?,
        };
        let is_put_back = rescue(&work, to, options.jobs, progress)?;
        let is_changed = was_waited_for || is_put_back;
        Ok(Staging { root: work.own.folder(TREE)?, work, is_changed })
    }

    /// Removes what a run left that was killed just after it had put its tree in place. Returns a message
    /// about what cannot be removed.
    pub(super) fn tidy(
        to: &Path,
        dataset: &Digest,
        options: &PullOptions<'_>,
        progress: &dyn Progress,
    ) -> Result<Option<String>> {
        clear_up(to, &key(dataset, options)?, options.jobs, progress)
    }

    /// Removes what killed runs left that were writing something else to this place, which is now taken.
    /// Folders of running processes are kept. Returns messages about what cannot be removed.
    pub(super) fn tidy_others(
        to: &Path,
        dataset: &Digest,
        options: &PullOptions<'_>,
        progress: &dyn Progress,
    ) -> Result<Vec<String>> {
        let (own, prefix) = (key(dataset, options)?, files::hidden_sibling(to, "")?);
        let prefix = prefix.file_name().unwrap_or_default().as_encoded_bytes();
        let mut said = Vec::new();
        for entry in std::fs::read_dir(files::parent(to)).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let rest = name.as_encoded_bytes().strip_prefix(prefix);
            let key = rest.and_then(|rest| rest.strip_suffix(b".isn-partial"));
            let Some(key) = key.and_then(|key| std::str::from_utf8(key).ok()) else { continue };
            // A folder of a run that worked aside belongs to that run alone, which may be on another machine.
            let is_ours = key.len() == KEY_LEN && key.bytes().all(|b| b.is_ascii_hexdigit());
            if is_ours && key != own {
                // A folder that is not isn's is kept, and does no harm.
                said.extend(clear_up(to, key, options.jobs, progress).ok().flatten());
            }
        }
        Ok(said)
    }

    /// Whether the destination may have changed: another process was writing this tree until now, or the tree
    /// that a killed run had taken away was put back.
    pub(super) fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// Returns the folder of the tree.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the folders of images.
    pub(super) fn create_folders(&self, rows: &[RowRef<'_>]) -> Result<()> {
        let folders: BTreeSet<&Path> =
            rows.iter().map(|row| files::parent(Path::new(row.path().as_str()))).collect();
        folders.into_iter().try_for_each(|folder| files::create_dir_all(&self.root.join(folder)))
    }

    /// Returns the images that are not here yet, whole and right. Removes everything else that is here.
    pub(super) fn missing<'a>(
        &self,
        mut rows: Vec<RowRef<'a>>,
        reuse: Reuse,
        jobs: usize,
    ) -> Result<Vec<RowRef<'a>>> {
        let found = files::walk(&self.root)?;
        if found.is_empty() {
            return Ok(rows);
        }
        let known: HashMap<&str, RowRef<'_>> = rows.iter().map(|row| (row.path().as_str(), *row)).collect();
        let check = |(path, kind): &(String, files::Kind)| -> Result<Option<String>> {
            let file = self.root.join(path);
            if let (Some(row), files::Kind::File(length)) = (known.get(path.as_str()), kind)
                && row.length() == *length
                && (reuse == Reuse::HardLink || !has_other_names(&file))
                && Digest::of(&files::read_capped(&file, row.length())?) == row.blake3()
            {
                return Ok(Some(path.clone()));
            }
            std::fs::remove_file(&file).map_err(Error::io("remove", &file))?;
            Ok(None)
        };
        let kept = crate::parallel::pool(jobs)?
            .install(|| found.par_iter().map(check).collect::<Result<Vec<_>>>())?;
        let kept: HashSet<String> = kept.into_iter().flatten().collect();
        rows.retain(|row| !kept.contains(row.path().as_str()));
        Ok(rows)
    }

    /// Removes all that is here, whatever it is of, so that all of `rows` is missing.
    pub(super) fn nothing_of<'a>(&self, rows: Vec<RowRef<'a>>) -> Result<Vec<RowRef<'a>>> {
        for (path, _) in files::walk(&self.root)? {
            let file = self.root.join(path);
            std::fs::remove_file(&file).map_err(Error::io("remove", &file))?;
        }
        Ok(rows)
    }

    /// Puts the tree in place.
    pub(super) fn finish(
        self,
        to: &Path,
        destination: &Destination,
        progress: &dyn Progress,
    ) -> Result<Finished> {
        // All of the new tree is on disk before it gets its name, so after a power cut that name leads to the
        // old tree or to the new one, whole. The bytes of an image that both have are on disk already, under
        // its old name; its new name keeps them when the old one goes.
        files::sync_tree(&self.root)?;
        self.work.own.check()?;
        let replaced = match destination {
            Destination::Earlier { seen, .. } => {
                if let Some(changed) = seen.change(to) {
                    self.discard();
                    return Ok(Finished::InTheWay(Some(changed)));
                }
                self.exchange(to, seen, progress)?
            }
            _ if files::rename_new_and(&self.root, to, || progress.complete())? => Replaced::default(),
            _ => {
                self.discard();
                return Ok(Finished::InTheWay(None));
            }
        };
        // It is done, whatever becomes of what is left.
        let stays = if replaced.is_staged { None } else { self.discard() };
        let said = replaced.said.into_iter().chain(stays).collect();
        Ok(Finished::InPlace { said, edited: replaced.edited })
    }

    /// Exchanges the tree with the one at `to`. Keeps the old one if somebody has written to it since it was
    /// `seen`, or if the disk does not confirm the exchange. Failures after the exchange are reported as
    /// warnings.
    fn exchange(&self, to: &Path, seen: &Seen, progress: &dyn Progress) -> Result<Replaced> {
        let (whole, replaced) = (self.work.own.join(WHOLE), self.work.own.join(REPLACED));
        std::fs::rename(&self.root, &whole).map_err(Error::io("rename", &self.root))?;
        self.work.take_in();
        let exchanged = files::exchange(&whole, to, &replaced).inspect_err(|_| {
            // The next run finds it there.
            if std::fs::rename(&whole, &self.root).is_ok() && !replaced.exists() {
                self.work.put_back();
            }
        });
        let mut unsettled = exchanged?;
        progress.complete();
        // From here on nobody finds the old tree by its name, so later writes get into the new one.
        let is_changed = seen.change(&whole).is_some();
        // A write to an image that both trees have, just before the exchange, is one to the new tree as well.
        let edited = if is_changed { seen.change_of_shared(to) } else { None };
        if !is_changed && unsettled.is_none() {
            // If its removal is interrupted, the remains must not be taken for a tree that somebody has
            // changed.
            match let_go(&self.work, &whole) {
                Ok(_) => {
                    self.work.put_back();
                    return Ok(Replaced::default());
                }
                Err(e) => unsettled = Some(e),
            }
        }
        let (kept, is_staged) = match keep(&whole, to) {
            Ok(kept) => (kept, false),
            // The next pull to this path finds it there, and keeps it if somebody has written to it.
            Err(e) => {
                unsettled.get_or_insert(e);
                (whole, true)
            }
        };
        let said = unsettled.map(|why| {
            let (to, kept, why) = (to.display(), kept.display(), chain(&why));
            format!(
                "{to} is in place, but not all could be done after that: {why}. What was there is in {kept}"
            )
        });
        let said = said.into_iter().chain(is_changed.then(|| told(to, &kept))).collect();
        Ok(Replaced { said, is_staged, edited })
    }

    /// Returns the path of another folder in the staging folder, which is removed with it.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        self.work.own.join(name)
    }

    /// Removes such a folder.
    pub(super) fn remove_beside(&self, name: &str) -> Result<()> {
        self.work.own.remove_from(name)
    }

    /// Removes the staging folder and everything in it. Returns a message about what cannot be removed, which
    /// does no harm.
    pub(super) fn discard(&self) -> Option<String> {
        discard(&self.work)
    }

    /// Removes the staging folder unless it has something that the next run can use.
    pub(super) fn discard_if_empty(&self) {
        if self.work.own.is_empty().unwrap_or(false) {
            self.discard();
        }
    }
}

/// The outcome of an exchange of trees.
#[derive(Debug, Default, PartialEq, Eq)]
struct Replaced {
    /// Warnings for the user.
    said: Vec<String>,
    /// Whether the old tree is still in the staging folder, which must then be kept.
    is_staged: bool,
    /// The path in the new tree of an image that somebody wrote to after it was taken over.
    edited: Option<PathBuf>,
}

fn discard(work: &Workplace) -> Option<String> {
    let error = work.discard().err()?;
    let folder = files::place(&work.own.join(""));
    let folder = folder.display();
    Some(format!("{folder} cannot be removed, and nothing needs it: {}. Remove it by hand", chain(&error)))
}

/// Renames an old tree, so that it is not examined again. Returns its new name.
fn let_go(work: &Workplace, tree: &Path) -> Result<String> {
    let mut number = 0;
    loop {
        let name = format!("{OLD}-{number}");
        if files::move_new(tree, &work.own.join(&name))? {
            return Ok(name);
        }
        // The remains of an earlier run already have this name.
        number += 1;
    }
}

/// Deals with trees that a run left which was killed while it exchanged them. A tree that is whole and has no
/// other files can be pulled again, and is removed. Any other was written to by somebody, and is kept beside
/// `to`. Returns whether one was put back to `to`, where nothing was.
fn rescue(work: &Workplace, to: &Path, jobs: usize, progress: &dyn Progress) -> Result<bool> {
    let replaced = work.own.join(REPLACED);
    let is_put_back = replaced.is_dir() && files::rename_new(&replaced, to)?;
    for name in [WHOLE, REPLACED] {
        let tree = work.own.join(name);
        if tree.is_dir() && !is_whole_tree(&tree, jobs, progress) {
            let kept = keep(&tree, to)?;
            progress.note(&format!("warning: {}", told(to, &kept)));
        } else if tree.is_dir() {
            // What cannot be removed is reported when the folder is removed.
            let _ = work.own.remove_from(let_go(work, &tree)?);
        }
    }
    Ok(is_put_back)
}

/// Whether a killed run linked a file to another tree. That one may not be the tree that is replaced any
/// more, and would then stay: an edit must not show in both.
fn has_other_names(file: &Path) -> bool {
    std::fs::symlink_metadata(file).is_ok_and(|about| files::names(&about).is_some_and(|names| names > 1))
}

/// Gives a tree that is kept files of its own, in place of those that the tree at `to` has taken over.
fn part(tree: &Path, to: &Path) -> Result<()> {
    // Nothing is at `to` if nothing was exchanged.
    let Ok(other) = Seen::of(to) else { return Ok(()) };
    let seen = Seen::of(tree)?;
    let shared = seen.shared(&other);
    for path in &shared {
        let path = tree.join(path);
        let copy = files::temp_file_in(files::parent(&path))?;
        std::fs::copy(&path, copy.path()).map_err(Error::io("copy", &path))?;
        copy.persist(&path).map_err(|e| Error::io("write", &path)(e.error))?;
    }
    // It may be the only tree whose names are on disk.
    if shared.is_empty() { Ok(()) } else { files::sync_tree(tree) }
}

/// Removes what a killed run left, except files of the user. Returns a message about what cannot be removed.
fn clear_up(to: &Path, key: &str, jobs: usize, progress: &dyn Progress) -> Result<Option<String>> {
    let Some(work) = Workplace::abandoned(to, key)? else { return Ok(None) };
    rescue(&work, to, jobs, progress)?;
    Ok(discard(&work))
}

/// Moves the tree that was at `to` to a new name beside it, with files of its own.
fn keep(tree: &Path, to: &Path) -> Result<PathBuf> {
    part(tree, to)?;
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let mut number = 1;
    loop {
        let kept = to.with_file_name(format!("{name}.before-{number}"));
        if files::move_new(tree, &kept)? {
            let _ = files::sync_dir(files::parent(&kept));
            return Ok(kept);
        }
        number += 1;
    }
}

/// Returns a message on where the tree is that was at `to`.
fn told(to: &Path, kept: &Path) -> String {
    format!("{} was written to as it was replaced: what was there is in {}", to.display(), kept.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;

    #[test]
    fn what_is_written_at_the_last_moment_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("tree");
        std::fs::create_dir(&to).unwrap();
        std::fs::write(to.join("a"), "old").unwrap();
        for (number, write) in [false, true, true].into_iter().enumerate() {
            let work = Workplace::open(&to, "key").unwrap().unwrap();
            let staging = Staging { root: work.own.folder(TREE).unwrap(), work, is_changed: false };
            std::fs::write(staging.root.join("a"), number.to_string()).unwrap();
            let seen = Seen::of(&to).unwrap();
            if write {
                std::fs::write(to.join("notes"), number.to_string()).unwrap();
            }
            let replaced = staging.exchange(&to, &seen, &Silent).unwrap();
            assert_eq!(staging.discard(), None);
            assert_eq!(std::fs::read_to_string(to.join("a")).unwrap(), number.to_string());
            let kept = dir.path().join(format!("tree.before-{number}"));
            let said = write.then(|| told(&to, &kept)).into_iter().collect();
            assert_eq!(replaced, Replaced { said, is_staged: false, edited: None });
            if write {
                assert_eq!(std::fs::read_to_string(kept.join("notes")).unwrap(), number.to_string());
            }
        }
        assert_eq!(files::names_in(dir.path()).unwrap(), ["tree", "tree.before-1", "tree.before-2"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_tree_that_is_kept_shares_nothing_with_the_one_in_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("tree");
        std::fs::create_dir(&to).unwrap();
        for name in ["a", "b", "c"] {
            std::fs::write(to.join(name), "old").unwrap();
        }
        let work = Workplace::open(&to, "key").unwrap().unwrap();
        let staging = Staging { root: work.own.folder(TREE).unwrap(), work, is_changed: false };
        let seen = Seen::of(&to).unwrap();
        std::fs::hard_link(to.join("a"), staging.root.join("a")).unwrap();
        std::fs::hard_link(to.join("b"), staging.root.join("elsewhere")).unwrap();
        std::fs::write(staging.root.join("c"), "new").unwrap();
        // Just before the exchange, somebody edits an image that both trees have.
        std::fs::write(to.join("b"), "edited").unwrap();
        let replaced = staging.exchange(&to, &seen, &Silent).unwrap();
        assert_eq!(staging.discard(), None);
        assert_eq!(replaced.edited.as_deref(), Some(Path::new("elsewhere")));
        let kept = dir.path().join("tree.before-1");
        let read = |path: PathBuf| std::fs::read_to_string(path).unwrap();
        assert_eq!(["a", "b", "c"].map(|name| read(kept.join(name))), ["old", "edited", "old"]);
        assert_eq!(["a", "elsewhere", "c"].map(|name| read(to.join(name))), ["old", "edited", "new"]);
        assert!(["a", "b", "c"].iter().all(|name| !has_other_names(&kept.join(name))));
        assert!(["a", "elsewhere", "c"].iter().all(|name| !has_other_names(&to.join(name))));
    }
}

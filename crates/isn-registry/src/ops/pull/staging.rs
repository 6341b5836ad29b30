//! The tree while it is being written.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rayon::prelude::*;

use super::PullOptions;
use super::destination::{Destination, is_whole_tree};
use super::seen::Seen;
use crate::files::{self, Workplace};
use crate::progress::Progress;
use isn_format::digest::Digest;
use isn_format::error::{Error, Result, chain};
use isn_format::index::Row;

/// So long another process is waited for that writes the same tree.
const PATIENCE: Duration = Duration::from_secs(600);
/// How many hex digits tell what is being written.
const KEY_LEN: usize = 16;
/// The tree, in the folder of isn's own.
const TREE: &str = "tree";
/// What it is called once it is whole and is to be exchanged for the one at its place, and that one after it. What has this
/// name may be the user's.
const WHOLE: &str = "whole";
/// The one that was at its place, between two steps, where folders cannot be exchanged in one.
const REPLACED: &str = "replaced";

/// What it is called when nobody has changed it, with a number: it only has to be removed.
const OLD: &str = "old";

/// A hidden sibling of the destination with the tree in it, found again by the next run if this one is killed.
pub(super) struct Staging {
    work: Workplace,
    root: PathBuf,
    is_changed: bool,
}

/// What became of a tree that was to be put in place.
pub(super) enum Finished {
    /// It is there.
    InPlace {
        /// Where the tree is that was there before, if somebody wrote to it at the last moment, and what of it cannot be removed.
        said: Vec<String>,
    },
    /// It is not: somebody has put something there meanwhile, or written to this in the tree that was there.
    InTheWay(Option<PathBuf>),
}

/// Images by their bytes: several rows may have the same.
pub(super) fn by_image<'a>(rows: &[&'a Row]) -> HashMap<Digest, Vec<&'a Row>> {
    let mut by_image: HashMap<Digest, Vec<&Row>> = HashMap::new();
    for row in rows {
        by_image.entry(row.blake3).or_default().push(row);
    }
    by_image
}

/// What is being written, so that two versions, or two parts of one, never mix.
fn key(dataset: &Digest, options: &PullOptions<'_>) -> Result<String> {
    let selection = serde_json::to_vec(&options.selection).map_err(|e| Error::Internal(e.to_string()))?;
    let key = Digest::of(&[dataset.as_bytes().as_slice(), &selection].concat()).to_string();
    Ok(key[..KEY_LEN].into())
}

impl Staging {
    /// Takes the place where the tree is written, or waits for whoever is writing it.
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
            // It takes too long: work beside it, the first to finish wins.
            None => Workplace::open_aside(to, &key)?,
        };
        let is_put_back = rescue(&work, to, options.jobs, progress)?;
        let is_changed = was_waited_for || is_put_back;
        Ok(Staging { root: work.own.folder(TREE)?, work, is_changed })
    }

    /// Removes what a run left that was killed right after it had put its tree in place. Gives what cannot be removed.
    pub(super) fn tidy(
        to: &Path,
        dataset: &Digest,
        options: &PullOptions<'_>,
        progress: &dyn Progress,
    ) -> Result<Option<String>> {
        clear_up(to, &key(dataset, options)?, options.jobs, progress)
    }

    /// Removes what killed runs left that wrote something else to this place: it is taken now. What a run that is alive
    /// writes stays. Gives what cannot be removed.
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
            // What is aside belongs to nobody but the run that made it, which may be on another machine.
            let is_ours = key.len() == KEY_LEN && key.bytes().all(|b| b.is_ascii_hexdigit());
            if is_ours && key != own {
                // What is not isn's stays, and is in nobody's way.
                said.extend(clear_up(to, key, options.jobs, progress).ok().flatten());
            }
        }
        Ok(said)
    }

    /// Whether the tree's place may be another than it was before: somebody else was writing this very tree until now, or a
    /// killed run had taken away what was there.
    pub(super) fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// The folder.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the folders of images.
    pub(super) fn create_folders(&self, rows: &[&Row]) -> Result<()> {
        let folders: BTreeSet<&Path> =
            rows.iter().map(|row| files::parent(Path::new(row.path.as_str()))).collect();
        folders.into_iter().try_for_each(|folder| files::create_dir_all(&self.root.join(folder)))
    }

    /// The images that are not here yet, whole and right. Anything else that is here is removed.
    pub(super) fn missing<'a>(&self, rows: &[&'a Row], jobs: usize) -> Result<Vec<&'a Row>> {
        let known: HashMap<&str, &Row> = rows.iter().map(|&row| (row.path.as_str(), row)).collect();
        let found = files::walk(&self.root)?;
        let check = |(path, kind): &(String, files::Kind)| -> Result<Option<String>> {
            let file = self.root.join(path);
            if let (Some(row), files::Kind::File(length)) = (known.get(path.as_str()), kind)
                && row.length == *length
                && Digest::of(&files::read_capped(&file, row.length)?) == row.blake3
            {
                return Ok(Some(path.clone()));
            }
            std::fs::remove_file(&file).map_err(Error::io("remove", &file))?;
            Ok(None)
        };
        let kept = crate::parallel::pool(jobs)?
            .install(|| found.par_iter().map(check).collect::<Result<Vec<_>>>())?;
        let kept: HashSet<String> = kept.into_iter().flatten().collect();
        Ok(rows.iter().filter(|row| !kept.contains(row.path.as_str())).copied().collect())
    }

    /// Puts the tree where it is to be.
    pub(super) fn finish(self, to: &Path, destination: &Destination) -> Result<Finished> {
        files::sync_file_system(&self.root)?;
        self.work.own.check()?;
        let replaced = match destination {
            Destination::Earlier { seen, .. } => {
                if let Some(changed) = seen.change(to) {
                    self.discard();
                    return Ok(Finished::InTheWay(Some(changed)));
                }
                self.exchange(to, seen)?
            }
            _ if files::rename_new(&self.root, to)? => Replaced::default(),
            _ => {
                self.discard();
                return Ok(Finished::InTheWay(None));
            }
        };
        // It is done, whatever becomes of what is left.
        let stays = if replaced.is_staged { None } else { self.discard() };
        Ok(Finished::InPlace { said: replaced.said.into_iter().chain(stays).collect() })
    }

    /// Lets the tree take the place of the one at `to`. If somebody has written to that since it was `seen`, or the disk does
    /// not say that the new one will last, it is kept. What fails after the trees have changed places is no error any more.
    fn exchange(&self, to: &Path, seen: &Seen) -> Result<Replaced> {
        let (whole, replaced) = (self.work.own.join(WHOLE), self.work.own.join(REPLACED));
        std::fs::rename(&self.root, &whole).map_err(Error::io("rename", &self.root))?;
        self.work.take_in();
        let exchanged = files::exchange(&whole, to, &replaced).inspect_err(|_| {
            // The next run finds it.
            if std::fs::rename(&whole, &self.root).is_ok() && !replaced.exists() {
                self.work.put_back();
            }
        });
        let mut unsettled = exchanged?;
        // From here on nobody finds the old tree by its name: who was faster is in it by now.
        let is_changed = seen.change(&whole).is_some();
        if !is_changed && unsettled.is_none() {
            // What is left of it if its removal ends early is not to be taken for a tree that somebody has changed.
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
            // There the next pull to this place finds it, and keeps it if somebody has written to it.
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
        Ok(Replaced { said, is_staged })
    }

    /// A folder in it that has another name than the tree, and goes with it.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        self.work.own.join(name)
    }

    /// Removes such a folder.
    pub(super) fn remove_beside(&self, name: &str) -> Result<()> {
        self.work.own.remove_from(name)
    }

    /// Removes it with all that is in it. Gives what cannot be removed: it is in nobody's way.
    pub(super) fn discard(&self) -> Option<String> {
        discard(&self.work)
    }

    /// Removes it unless it has something that the next run can use.
    pub(super) fn discard_if_empty(&self) {
        if self.work.own.is_empty().unwrap_or(false) {
            self.discard();
        }
    }
}

/// How a tree was replaced.
#[derive(Debug, Default, PartialEq, Eq)]
struct Replaced {
    /// What the user should hear.
    said: Vec<String>,
    /// Whether the old tree is still in the staging folder, which must not go then.
    is_staged: bool,
}

fn discard(work: &Workplace) -> Option<String> {
    let error = work.discard().err()?;
    let folder = files::place(&work.own.join(""));
    let folder = folder.display();
    Some(format!("{folder} cannot be removed, and nothing needs it: {}. Remove it by hand", chain(&error)))
}

/// Takes from an old tree the name by which it would be looked at again. Gives its new one.
fn let_go(work: &Workplace, tree: &Path) -> Result<String> {
    let mut number = 0;
    loop {
        let name = format!("{OLD}-{number}");
        if files::move_new(tree, &work.own.join(&name))? {
            return Ok(name);
        }
        // What an earlier run could not remove has such a name already.
        number += 1;
    }
}

/// Sees to the trees that a run left which was killed as it exchanged them: one that lacks nothing and has nothing beside it
/// can be pulled again; to another somebody has written, and it is kept beside `to`. Whether one was put back to `to`, where
/// nothing was.
fn rescue(work: &Workplace, to: &Path, jobs: usize, progress: &dyn Progress) -> Result<bool> {
    let replaced = work.own.join(REPLACED);
    let is_put_back = replaced.is_dir() && files::rename_new(&replaced, to)?;
    for name in [WHOLE, REPLACED] {
        let tree = work.own.join(name);
        if tree.is_dir() && !is_whole_tree(&tree, jobs, progress) {
            let kept = keep(&tree, to)?;
            progress.note(&format!("warning: {}", told(to, &kept)));
        } else if tree.is_dir() {
            // What of it cannot be removed is said when the folder goes.
            let _ = work.own.remove_from(let_go(work, &tree)?);
        }
    }
    Ok(is_put_back)
}

/// Removes what a killed run left, but for what is the user's. Gives what cannot be removed.
fn clear_up(to: &Path, key: &str, jobs: usize, progress: &dyn Progress) -> Result<Option<String>> {
    let Some(work) = Workplace::abandoned(to, key)? else { return Ok(None) };
    rescue(&work, to, jobs, progress)?;
    Ok(discard(&work))
}

/// Gives the tree that was at `to` a name of its own beside it.
fn keep(tree: &Path, to: &Path) -> Result<PathBuf> {
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

/// Says where a tree is that was at `to`.
fn told(to: &Path, kept: &Path) -> String {
    format!("{} was written to as it was replaced: what was there is in {}", to.display(), kept.display())
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let replaced = staging.exchange(&to, &seen).unwrap();
            assert_eq!(staging.discard(), None);
            assert_eq!(std::fs::read_to_string(to.join("a")).unwrap(), number.to_string());
            let kept = dir.path().join(format!("tree.before-{number}"));
            let said = write.then(|| told(&to, &kept)).into_iter().collect();
            assert_eq!(replaced, Replaced { said, is_staged: false });
            if write {
                assert_eq!(std::fs::read_to_string(kept.join("notes")).unwrap(), number.to_string());
            }
        }
        assert_eq!(files::names_in(dir.path()).unwrap(), ["tree", "tree.before-1", "tree.before-2"]);
    }
}

//! Images that are on this machine already, in trees that were pulled before.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::cache::Cache;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::files;
use crate::index::Row;
use crate::tree::{B3SUMS, ISN_JSON, Line, Lines, list_of};

/// So many neighbours of the destination are looked at.
const MAX_NEIGHBOURS: usize = 1000;
/// So many places of one image are tried.
const MAX_SOURCES: usize = 8;

/// How an image of another tree becomes one of this tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// Shares the blocks on disk where the file system can, and is a copy where it cannot: an edit shows in one tree only.
    Copy,
    /// Is the same file: an edit shows in both trees.
    HardLink,
}

/// The trees that may have images for a tree at `to`: the one that is there, its neighbours, and those that were pulled
/// before.
pub(super) fn trees(to: &Path, cache: &Cache) -> Vec<PathBuf> {
    let mut found = vec![to.to_path_buf()];
    if let Ok(entries) = fs::read_dir(files::parent(to)) {
        let mut neighbours: Vec<PathBuf> =
            entries.take(MAX_NEIGHBOURS).filter_map(|entry| Some(entry.ok()?.path())).collect();
        neighbours.sort();
        found.extend(neighbours);
    }
    found.extend(cache.trees());
    let mut seen = BTreeSet::new();
    found.retain(|tree| {
        tree.join(ISN_JSON).is_file() && fs::canonicalize(tree).is_ok_and(|real| seen.insert(real))
    });
    found
}

/// Puts those of the images `missing` below `root` that one of `trees` has, checked; gives the others.
pub(super) fn reuse<'a>(
    trees: &[PathBuf],
    missing: Vec<&'a Row>,
    root: &Path,
    how: Reuse,
    jobs: usize,
) -> Result<Vec<&'a Row>> {
    let sources = sources(trees, &missing);
    if sources.is_empty() {
        return Ok(missing);
    }
    let bring = |row: &&'a Row| -> Result<Option<&'a Row>> {
        let to = row.path.under(root);
        for from in sources.get(&row.blake3).into_iter().flatten() {
            // A source that is gone, unreadable or changed is no source; a place that cannot be written to is an error.
            if copy(from, &to, row, how)? {
                return Ok(None);
            }
        }
        Ok(Some(*row))
    };
    let left = crate::parallel::pool(jobs)?
        .install(|| missing.par_iter().map(bring).collect::<Result<Vec<Option<&Row>>>>())?;
    Ok(left.into_iter().flatten().collect())
}

/// Where the trees say that they have images of these.
fn sources(trees: &[PathBuf], missing: &[&Row]) -> HashMap<Digest, Vec<PathBuf>> {
    let wanted: BTreeSet<&Digest> = missing.iter().map(|row| &row.blake3).collect();
    let mut sources: HashMap<Digest, Vec<PathBuf>> = HashMap::new();
    for tree in trees {
        for line in lines(tree).filter(|line| wanted.contains(&line.blake3)) {
            let places = sources.entry(line.blake3).or_default();
            if places.len() < MAX_SOURCES {
                places.push(line.path.under(tree));
            }
        }
    }
    sources
}

/// What a tree says that it has, a line at a time, since it may say anything; nothing if it is gone, and nothing from the
/// first line on that makes no sense.
pub(in crate::ops) fn lines(tree: &Path) -> impl Iterator<Item = Line> + use<> {
    let list = files::open(&tree.join(list_of(tree))).ok();
    let lines = list.map(|list| Lines::new(B3SUMS, BufReader::new(list)));
    lines.into_iter().flatten().map_while(Result::ok)
}

/// `false` if `from` is not the image.
fn copy(from: &Path, to: &Path, row: &Row, how: Reuse) -> Result<bool> {
    let is_candidate =
        fs::symlink_metadata(from).is_ok_and(|meta| meta.is_file() && meta.len() == row.length);
    if !is_candidate {
        return Ok(false);
    }
    let made = match how {
        Reuse::HardLink => fs::hard_link(from, to).is_ok(),
        Reuse::Copy => clone(from, to).is_ok(),
    };
    if made {
        // What counts is what stands there now, whoever wrote to the other meanwhile.
        if files::read_capped(to, row.length).is_ok_and(|bytes| Digest::of(&bytes) == row.blake3) {
            return Ok(true);
        }
        files::remove_file(to)?;
        return Ok(false);
    }
    let Ok(bytes) = files::read_capped(from, row.length) else { return Ok(false) };
    if Digest::of(&bytes) != row.blake3 {
        return Ok(false);
    }
    fs::write(to, bytes).map_err(Error::io("write", to))?;
    Ok(true)
}

/// A file that shares its blocks with another until one of them is written to. Fails where the file system cannot.
fn clone(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let source = files::open(from).map_err(io::Error::other)?;
        let target = File::create_new(to)?;
        rustix::fs::ioctl_ficlone(&target, &source).map_err(|e| {
            let _ = fs::remove_file(to);
            e.into()
        })
    }
    #[cfg(not(target_os = "linux"))]
    {
        // Where std knows a way to share blocks (as on macOS), its copy takes it.
        let _ = files::open(from).map_err(io::Error::other)?;
        fs::copy(from, to).map(|_| ())
    }
}

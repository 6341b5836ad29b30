//! Reuses images that are on this machine already, in trees that were pulled before.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::cache::Cache;
use crate::files;
use crate::tree_file::list_of;
use isn_format::digest::Digest;
use isn_format::error::Result;
use isn_format::index::RowRef;
use isn_format::sums::{Line, Lines};
use isn_format::tree::{B3SUMS, ISN_JSON};

/// The maximum number of neighbours of the destination that are considered.
const MAX_NEIGHBOURS: usize = 1000;
/// The maximum number of places of one image that are tried.
const MAX_SOURCES: usize = 8;

/// How an image of another tree is reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// Clone the file, so that both share blocks, if the file system can; copy it if not. An edit shows in
    /// one tree only.
    Copy,
    /// Make a hard link to the file. An edit shows in both trees.
    HardLink,
}

/// Returns the trees that may have images for a tree at `to`: the one that is there, its neighbours, and
/// those that were pulled before.
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

/// The outcome of reusing images from other trees.
pub(super) struct Reused<'a> {
    /// The images that no other tree has.
    pub(super) missing: Vec<RowRef<'a>>,
    /// Messages on why images were copied instead of linked.
    pub(super) said: Vec<String>,
}

/// Puts each image of `missing` that one of `trees` has below `root`, checked. Returns the others. Calls
/// `has_room` with all images that are still missing before the first image is copied without sharing blocks.
pub(super) fn reuse<'a>(
    trees: &[PathBuf],
    missing: Vec<RowRef<'a>>,
    root: &Path,
    how: Reuse,
    jobs: usize,
    has_room: &dyn Fn(&[RowRef<'_>]) -> Result<bool>,
) -> Result<Reused<'a>> {
    let sources = sources(trees, &missing);
    if sources.is_empty() {
        return Ok(Reused { missing, said: Vec::new() });
    }
    let pool = crate::parallel::pool(jobs)?;
    let bring = |missing: Vec<RowRef<'a>>, bring: Bring| -> Result<Vec<RowRef<'a>>> {
        let one = |row: &RowRef<'a>| -> Result<Option<RowRef<'a>>> {
            let to = row.path().under(root);
            for from in sources.get(&row.blake3()).into_iter().flatten() {
                // A source that is gone, unreadable or changed is skipped. A destination that cannot be
                // written to is an error.
                if bring(from, &to, *row)? {
                    return Ok(None);
                }
            }
            Ok(Some(*row))
        };
        let left =
            pool.install(|| missing.par_iter().map(one).collect::<Result<Vec<Option<RowRef<'_>>>>>())?;
        Ok(left.into_iter().flatten().collect())
    };
    let left = bring(
        missing,
        match how {
            Reuse::HardLink => link,
            Reuse::Copy => share,
        },
    )?;
    if !left.iter().any(|row| sources.contains_key(&row.blake3())) {
        return Ok(Reused { missing: left, said: Vec::new() });
    }
    has_room(&left)?;
    let is_open = |row: &&RowRef<'_>| {
        let places = sources.get(&row.blake3()).into_iter().flatten();
        places.into_iter().any(|from| is_candidate(from, **row) && !is_ours_alone(from))
    };
    let (to_copy, open) = (left.len(), left.iter().filter(is_open).count());
    let missing = bring(left, copy)?;
    let said = match how {
        Reuse::HardLink => why_copied(to_copy - missing.len(), open),
        Reuse::Copy => Vec::new(),
    };
    Ok(Reused { missing, said })
}

/// Explains why this many images were copied instead of linked. `open` of them can be written to by other
/// users.
fn why_copied(copied: usize, open: usize) -> Vec<String> {
    let (open, others) = (open.min(copied), copied.saturating_sub(open));
    let say = |number: usize, why: &str| {
        let were = if number == 1 { "image was" } else { "images were" };
        (number > 0).then(|| format!("{number} {were} copied, not linked: {why}"))
    };
    let open = say(
        open,
        "another user owns them, or others may write to them, and could change both trees. \
        `chmod -R go-w TREE`, for the tree that they are from, lets the next pull link to your own files",
    );
    let others = say(others, "they cannot be linked to, for example because they are on another file system");
    open.into_iter().chain(others).collect()
}

/// A way to bring an image from one file to another. Returns `false` if the first is not the image, or this
/// way does not work here.
type Bring = fn(&Path, &Path, RowRef<'_>) -> Result<bool>;

/// Returns the places where the trees list these images.
fn sources(trees: &[PathBuf], missing: &[RowRef<'_>]) -> HashMap<Digest, Vec<PathBuf>> {
    let wanted: BTreeSet<Digest> = missing.iter().map(|row| row.blake3()).collect();
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

/// Reads the list of a tree line by line, because it may be of any length. Yields nothing if the tree is
/// gone, and stops at the first line that is malformed.
pub(in crate::ops) fn lines(tree: &Path) -> impl Iterator<Item = Line> + use<> {
    let list = files::open(&tree.join(list_of(tree))).ok();
    let lines = list.map(|list| Lines::new(B3SUMS, BufReader::new(list)));
    lines.into_iter().flatten().map_while(Result::ok)
}

/// Whether a file may be the image, judged without reading it.
fn is_candidate(from: &Path, row: RowRef<'_>) -> bool {
    fs::symlink_metadata(from).is_ok_and(|meta| meta.is_file() && meta.len() == row.length())
}

fn link(from: &Path, to: &Path, row: RowRef<'_>) -> Result<bool> {
    if !is_candidate(from, row) || !is_ours_alone(from) || fs::hard_link(from, to).is_err() {
        return Ok(false);
    }
    // Another user may have replaced the file between the check and the link.
    if !is_ours_alone(to) {
        return files::remove_file(to).map(|()| false);
    }
    checked(to, row)
}

/// Whether only the caller may write to a file. A hard link would keep what other users write.
fn is_ours_alone(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let me = rustix::process::geteuid().as_raw();
        // Rights that an access control list grants to others show in the group bits.
        fs::symlink_metadata(path).is_ok_and(|about| about.uid() == me && about.mode() & 0o022 == 0)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        true
    }
}

fn share(from: &Path, to: &Path, row: RowRef<'_>) -> Result<bool> {
    if is_candidate(from, row) && clone(from, to).is_ok() { checked(to, row) } else { Ok(false) }
}

/// Checks the new file, because the other may have been written to meanwhile.
fn checked(to: &Path, row: RowRef<'_>) -> Result<bool> {
    let is_image = files::read_capped(to, row.length()).is_ok_and(|bytes| Digest::of(&bytes) == row.blake3());
    if !is_image {
        files::remove_file(to)?;
    }
    Ok(is_image)
}

fn copy(from: &Path, to: &Path, row: RowRef<'_>) -> Result<bool> {
    let bytes = match is_candidate(from, row) {
        true => files::read_capped(from, row.length()).ok(),
        false => None,
    };
    let Some(bytes) = bytes.filter(|bytes| Digest::of(bytes) == row.blake3()) else { return Ok(false) };
    files::write_new(to, &bytes).map(|()| true)
}

/// Makes a file that shares its blocks with another until one of them is written to. Fails if the file system
/// does not support it.
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
        // The standard library's copy shares blocks where it can, as on macOS.
        let _ = files::open(from).map_err(io::Error::other)?;
        fs::copy(from, to).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use isn_format::error::Error;
    use isn_format::index::{Index, Row};

    #[test]
    fn there_is_room_before_a_copy_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, root) = (dir.path().join("tree"), dir.path().join("new"));
        for folder in [&tree, &root] {
            fs::create_dir_all(folder.join("val/ant")).unwrap();
        }
        let rows: Vec<Row> = (0..3u8)
            .map(|i| Row {
                path: format!("val/ant/{i}.png").parse().unwrap(),
                class: "ant".parse().unwrap(),
                split: "val".parse().unwrap(),
                blake3: Digest::of(&[i]),
                length: 1,
                width: 1,
                height: 1,
                pixels: Digest::of(b"pixels"),
                source: format!("{i}.png"),
                source_blake3: Digest::of(b"source"),
            })
            .collect();
        let mut list = String::new();
        let (index, _) = Index::new(rows).unwrap();
        for (row, i) in index.rows().zip(0u8..).take(2) {
            fs::write(row.path().under(&tree), [i]).unwrap();
            list += &format!("{}  {}\n", row.blake3(), row.path());
        }
        fs::write(tree.join(B3SUMS), list).unwrap();
        if clone(&tree.join(B3SUMS), &dir.path().join("clone")).is_ok() {
            return;
        }
        let trees = [tree];
        let reuse = |how, has_room: &dyn Fn(&[RowRef<'_>]) -> Result<bool>| {
            reuse(&trees, index.rows().collect(), &root, how, 2, has_room)
        };
        let full = |missing: &[RowRef<'_>]| {
            assert_eq!(missing.len(), 3);
            Err(Error::NoRoom { place: root.clone(), needed: 3, free: 0 })
        };
        assert!(matches!(reuse(Reuse::Copy, &full), Err(Error::NoRoom { .. })));
        assert_eq!(files::walk(&root).unwrap(), []);
        assert_eq!(reuse(Reuse::Copy, &|_| Ok(true)).unwrap().missing.len(), 1);
        assert_eq!(files::walk(&root).unwrap().len(), 2);
        // A hard link needs no space.
        fs::remove_dir_all(&root).unwrap();
        fs::create_dir_all(root.join("val/ant")).unwrap();
        assert_eq!(reuse(Reuse::HardLink, &full).unwrap().missing.len(), 1);
    }
}

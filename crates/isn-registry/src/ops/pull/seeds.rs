//! Images that are on this machine already, in trees that were pulled before.

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
use isn_format::index::Row;
use isn_format::tree::{B3SUMS, ISN_JSON, Line, Lines};

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

/// What came of looking for images in other trees.
pub(super) struct Reused<'a> {
    /// The images that none of them has.
    pub(super) missing: Vec<&'a Row>,
    /// Why images were copied that were to be linked.
    pub(super) said: Vec<String>,
}

/// Puts those of the images `missing` below `root` that one of `trees` has, checked; gives the others. Before the first one
/// is copied that shares no blocks with its source, `has_room` is asked for all that are not there by then.
pub(super) fn reuse<'a>(
    trees: &[PathBuf],
    missing: Vec<&'a Row>,
    root: &Path,
    how: Reuse,
    jobs: usize,
    has_room: &dyn Fn(&[&Row]) -> Result<bool>,
) -> Result<Reused<'a>> {
    let sources = sources(trees, &missing);
    if sources.is_empty() {
        return Ok(Reused { missing, said: Vec::new() });
    }
    let pool = crate::parallel::pool(jobs)?;
    let bring = |missing: Vec<&'a Row>, bring: Bring| -> Result<Vec<&'a Row>> {
        let one = |row: &&'a Row| -> Result<Option<&'a Row>> {
            let to = row.path.under(root);
            for from in sources.get(&row.blake3).into_iter().flatten() {
                // A source that is gone, unreadable or changed is no source; a place that cannot be written to is an error.
                if bring(from, &to, row)? {
                    return Ok(None);
                }
            }
            Ok(Some(*row))
        };
        let left = pool.install(|| missing.par_iter().map(one).collect::<Result<Vec<Option<&Row>>>>())?;
        Ok(left.into_iter().flatten().collect())
    };
    let left = bring(
        missing,
        match how {
            Reuse::HardLink => link,
            Reuse::Copy => share,
        },
    )?;
    if !left.iter().any(|row| sources.contains_key(&row.blake3)) {
        return Ok(Reused { missing: left, said: Vec::new() });
    }
    has_room(&left)?;
    let is_open = |row: &&&Row| {
        let places = sources.get(&row.blake3).into_iter().flatten();
        places.into_iter().any(|from| is_candidate(from, row) && !is_ours_alone(from))
    };
    let (to_copy, open) = (left.len(), left.iter().filter(is_open).count());
    let missing = bring(left, copy)?;
    let said = match how {
        Reuse::HardLink => why_copied(to_copy - missing.len(), open),
        Reuse::Copy => Vec::new(),
    };
    Ok(Reused { missing, said })
}

/// Why so many images were copied that were to be linked, `open` of them for whoever may write to them.
fn why_copied(copied: usize, open: usize) -> Vec<String> {
    let (open, others) = (open.min(copied), copied.saturating_sub(open));
    let say = |number: usize, why: &str| {
        let were = if number == 1 { "image was" } else { "images were" };
        (number > 0).then(|| format!("{number} {were} copied, not linked: {why}"))
    };
    let open = say(
        open,
        "another user has them, or others may write to them, and could change both trees. `chmod -R go-w TREE`, of the tree \
         that they are from, lets the next pull link to what is yours",
    );
    let others = say(others, "no link can be made to where they are, as on another file system");
    open.into_iter().chain(others).collect()
}

/// A way to bring an image from a file to another; `false` if the first is not the image, or this way is none here.
type Bring = fn(&Path, &Path, &Row) -> Result<bool>;

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

/// Whether a file may be the image, by what costs nothing.
fn is_candidate(from: &Path, row: &Row) -> bool {
    fs::symlink_metadata(from).is_ok_and(|meta| meta.is_file() && meta.len() == row.length)
}

fn link(from: &Path, to: &Path, row: &Row) -> Result<bool> {
    if !is_candidate(from, row) || !is_ours_alone(from) || fs::hard_link(from, to).is_err() {
        return Ok(false);
    }
    // Another may have put something else there in between.
    if !is_ours_alone(to) {
        return files::remove_file(to).map(|()| false);
    }
    checked(to, row)
}

/// Whether nobody but the caller may write to a file: what is linked to stays as others leave it.
fn is_ours_alone(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let me = rustix::process::geteuid().as_raw();
        // What an access list grants to others shows in the bits of the group.
        fs::symlink_metadata(path).is_ok_and(|about| about.uid() == me && about.mode() & 0o022 == 0)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        true
    }
}

fn share(from: &Path, to: &Path, row: &Row) -> Result<bool> {
    if is_candidate(from, row) && clone(from, to).is_ok() { checked(to, row) } else { Ok(false) }
}

/// What counts is what stands there now, whoever wrote to the other meanwhile.
fn checked(to: &Path, row: &Row) -> Result<bool> {
    let is_image = files::read_capped(to, row.length).is_ok_and(|bytes| Digest::of(&bytes) == row.blake3);
    if !is_image {
        files::remove_file(to)?;
    }
    Ok(is_image)
}

fn copy(from: &Path, to: &Path, row: &Row) -> Result<bool> {
    let bytes = match is_candidate(from, row) {
        true => files::read_capped(from, row.length).ok(),
        false => None,
    };
    let Some(bytes) = bytes.filter(|bytes| Digest::of(bytes) == row.blake3) else { return Ok(false) };
    files::write_new(to, &bytes).map(|()| true)
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

#[cfg(test)]
mod tests {
    use super::*;
    use isn_format::error::Error;

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
        for (row, i) in rows.iter().zip(0u8..).take(2) {
            fs::write(row.path.under(&tree), [i]).unwrap();
            list += &format!("{}  {}\n", row.blake3, row.path);
        }
        fs::write(tree.join(B3SUMS), list).unwrap();
        if clone(&tree.join(B3SUMS), &dir.path().join("clone")).is_ok() {
            return;
        }
        let trees = [tree];
        let reuse = |how, has_room: &dyn Fn(&[&Row]) -> Result<bool>| {
            reuse(&trees, rows.iter().collect(), &root, how, 2, has_room)
        };
        let full = |missing: &[&Row]| {
            assert_eq!(missing.len(), 3);
            Err(Error::NoRoom { place: root.clone(), needed: 3, free: 0 })
        };
        assert!(matches!(reuse(Reuse::Copy, &full), Err(Error::NoRoom { .. })));
        assert_eq!(files::walk(&root).unwrap(), []);
        assert_eq!(reuse(Reuse::Copy, &|_| Ok(true)).unwrap().missing.len(), 1);
        assert_eq!(files::walk(&root).unwrap().len(), 2);
        // A link takes none.
        fs::remove_dir_all(&root).unwrap();
        fs::create_dir_all(root.join("val/ant")).unwrap();
        assert_eq!(reuse(Reuse::HardLink, &full).unwrap().missing.len(), 1);
    }
}

//! Reuses images that are on this machine already, in trees that were pulled before.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, Metadata};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::seen::Seen;
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

/// Where images may be.
pub(super) struct Places<'a> {
    /// The trees of [`trees`].
    pub(super) trees: Vec<PathBuf>,
    /// The tree that the new one takes the place of, if there is one: its folder, and the state of its files
    /// before each was read and found right.
    pub(super) replaced: Option<(&'a Path, &'a Seen)>,
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

/// Puts each image of `missing` that one of the places has below `root`, checked. Returns the others. Calls
/// `has_room` with all images that are still missing before the first image is copied without sharing blocks.
pub(super) fn reuse<'a>(
    places: &Places<'_>,
    missing: Vec<RowRef<'a>>,
    root: &Path,
    how: Reuse,
    jobs: usize,
    has_room: &dyn Fn(&[RowRef<'_>]) -> Result<bool>,
) -> Result<Reused<'a>> {
    let sources = sources(&places.trees, &missing);
    if sources.is_empty() {
        return Ok(Reused { missing, said: Vec::new() });
    }
    let pool = crate::parallel::pool(jobs)?;
    let bring = |missing: Vec<RowRef<'a>>, bring: &Bring<'_>| -> Result<Vec<RowRef<'a>>> {
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
    let missing = match places.replaced {
        // Elsewhere nothing says whether a third tree shares a file.
        Some((tree, seen)) if cfg!(unix) => {
            bring(missing, &|from, to, row| take_over(tree, seen, from, to, row))?
        }
        _ => missing,
    };
    let sharing = Sharing::new(&clone);
    let left = match how {
        Reuse::HardLink => bring(missing, &link)?,
        Reuse::Copy => bring(missing, &|from, to, row| sharing.share(from, to, row))?,
    };
    if !left.iter().any(|row| sources.contains_key(&row.blake3())) {
        return Ok(Reused { missing: left, said: Vec::new() });
    }
    has_room(&left)?;
    let is_open = |row: &&RowRef<'_>| {
        let places = sources.get(&row.blake3()).into_iter().flatten();
        places.into_iter().any(|from| is_candidate(from, **row) && !is_ours_alone(from))
    };
    let (to_copy, open) = (left.len(), left.iter().filter(is_open).count());
    let missing = bring(left, &copy)?;
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
type Bring<'b> = dyn Fn(&Path, &Path, RowRef<'_>) -> Result<bool> + Sync + 'b;

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

/// Gives an image of the tree that is replaced a name in the new tree as well. Its bytes were read and found
/// right when the destination was looked at, and nobody has written to it since, so they are not read again.
/// Until the new tree is in place, the old one stays whole; then its names are removed.
///
/// An image that a third tree shares, or another path of this one, is not taken over: an edit of the new tree
/// would show there.
fn take_over(tree: &Path, seen: &Seen, from: &Path, to: &Path, row: RowRef<'_>) -> Result<bool> {
    let Ok(path) = from.strip_prefix(tree) else { return Ok(false) };
    // Who writes to an image and restores its times is found out by the time of that.
    let is_untouched = |about: Metadata| seen.is_untouched(&about);
    if !is_candidate(from, row)
        || !is_ours_alone(from)
        || !fs::symlink_metadata(from).is_ok_and(is_untouched)
        || fs::hard_link(from, to).is_err()
    {
        return Ok(false);
    }
    // Looked at under its new name, since somebody may have replaced the file before the link.
    let about = fs::symlink_metadata(to)
        .ok()
        .filter(|about| files::names(about) == Some(2) && seen.has(path, about) && is_ours_alone(to));
    about.iter().for_each(|about| seen.note_link(about));
    let is_it = about.is_some();
    if !is_it {
        files::remove_file(to)?;
    }
    Ok(is_it)
}

/// Makes files that share blocks, and remembers between which file systems that cannot be done: to try it for
/// each image costs more than to copy a small one.
struct Sharing<'c> {
    clone: &'c (dyn Fn(&Path, &Path) -> io::Result<()> + Sync),
    /// The devices from which nothing can be shared with the new tree.
    unable: Mutex<BTreeSet<u64>>,
}

impl<'c> Sharing<'c> {
    fn new(clone: &'c (dyn Fn(&Path, &Path) -> io::Result<()> + Sync)) -> Self {
        Sharing { clone, unable: Mutex::default() }
    }

    fn unable(&self) -> std::sync::MutexGuard<'_, BTreeSet<u64>> {
        self.unable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn share(&self, from: &Path, to: &Path, row: RowRef<'_>) -> Result<bool> {
        let Ok(about) = fs::symlink_metadata(from) else { return Ok(false) };
        let disk = files::identity(&about).map_or(0, |(disk, _)| disk);
        if !is_candidate(from, row) || self.unable().contains(&disk) {
            return Ok(false);
        }
        match (self.clone)(from, to) {
            Ok(()) => checked(to, row),
            Err(e) => {
                if is_unsupported(&e) {
                    self.unable().insert(disk);
                }
                Ok(false)
            }
        }
    }
}

/// Whether the file system, or the pair of them, cannot do this for any file.
fn is_unsupported(why: &io::Error) -> bool {
    #[cfg(target_os = "linux")]
    {
        use rustix::io::Errno;
        let code = Errno::from_io_error(why);
        code.is_some_and(|code| [Errno::OPNOTSUPP, Errno::XDEV, Errno::NOTTY, Errno::NOSYS].contains(&code))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = why;
        false
    }
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

    /// The image of the byte `image` at the path `number`.
    fn row(number: u8, image: u8) -> Row {
        Row {
            path: format!("val/ant/{number}.png").parse().unwrap(),
            class: "ant".parse().unwrap(),
            split: "val".parse().unwrap(),
            blake3: Digest::of(&[image]),
            length: 1,
            width: 1,
            height: 1,
            pixels: Digest::of(b"pixels"),
            source: format!("{number}.png"),
            source_blake3: Digest::of(b"source"),
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_replaced_is_taken_over_and_nothing_that_others_share_or_that_was_written_to() {
        use std::os::unix::fs::MetadataExt as _;
        let dir = tempfile::tempdir().unwrap();
        let (tree, root) = (dir.path().join("tree"), dir.path().join("new"));
        for folder in [&tree, &root] {
            fs::create_dir_all(folder.join("val/ant")).unwrap();
        }
        let old: Vec<Row> = (0..7u8).map(|i| row(i, i)).collect();
        let mut list = String::new();
        for (row, i) in old.iter().zip(0u8..) {
            fs::write(row.path.under(&tree), [i]).unwrap();
            list += &format!("{}  {}\n", row.blake3, row.path);
        }
        fs::write(tree.join(B3SUMS), list).unwrap();
        // A third tree shares one image. Two are written to after they were looked at, one with wrong bytes.
        fs::hard_link(old[1].path.under(&tree), dir.path().join("third")).unwrap();
        let seen = Seen::of(&tree).unwrap();
        for (number, byte) in [(2, 9), (3, 3)] {
            let path = old[number].path.under(&tree);
            fs::write(&path, [byte]).unwrap();
            let later = std::time::SystemTime::now() + std::time::Duration::from_secs(9);
            File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
        }
        // Somebody writes to one and restores its time.
        let path = old[6].path.under(&tree);
        let before = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, [9]).unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
        // The image 4 is at two paths in the new tree, and 5 at another one.
        let new = [row(0, 0), row(1, 1), row(2, 2), row(3, 3), row(4, 4), row(7, 4), row(8, 5), row(9, 6)];
        let places = Places { trees: vec![tree.clone()], replaced: Some((&tree, &seen)) };
        let (index, _) = Index::new(new.to_vec()).unwrap();
        let reused = reuse(&places, index.rows().collect(), &root, Reuse::Copy, 2, &|_| Ok(true)).unwrap();
        let missing: Vec<&str> = reused.missing.iter().map(|row| row.path().as_str()).collect();
        assert_eq!(missing, [new[2].path.as_str(), new[7].path.as_str()]);
        let number = |path: PathBuf| fs::metadata(path).unwrap().ino();
        let is_linked = |new: &Row, old: &Row| number(new.path.under(&root)) == number(old.path.under(&tree));
        let linked = [(&new[0], &old[0]), (&new[1], &old[1]), (&new[3], &old[3]), (&new[6], &old[5])];
        assert_eq!(linked.map(|(new, old)| is_linked(new, old)), [true, false, false, true]);
        assert_ne!(number(new[4].path.under(&root)), number(new[5].path.under(&root)));
        for new in new.iter().filter(|row| !missing.contains(&row.path.as_str())) {
            assert_eq!(Digest::of(&fs::read(new.path.under(&root)).unwrap()), new.blake3, "{}", new.path);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_a_file_system_cannot_share_is_tried_once() {
        use rustix::io::Errno;
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let (index, _) = Index::new(vec![row(0, 0)]).unwrap();
        fs::write(&from, [0]).unwrap();
        for (errno, expected) in [(Errno::OPNOTSUPP, 1), (Errno::XDEV, 1), (Errno::NOTTY, 1), (Errno::IO, 3)]
        {
            let tries = Mutex::new(0);
            let clone = |_: &Path, _: &Path| {
                *tries.lock().unwrap() += 1;
                Err(errno.into())
            };
            let sharing = Sharing::new(&clone);
            for _ in 0..3 {
                assert!(!sharing.share(&from, &to, index.row(0)).unwrap());
            }
            assert_eq!(*tries.lock().unwrap(), expected, "{errno}");
        }
    }

    #[test]
    fn there_is_room_before_a_copy_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, root) = (dir.path().join("tree"), dir.path().join("new"));
        for folder in [&tree, &root] {
            fs::create_dir_all(folder.join("val/ant")).unwrap();
        }
        let rows: Vec<Row> = (0..3u8).map(|i| row(i, i)).collect();
        let mut list = String::new();
        for (row, i) in rows.iter().zip(0u8..).take(2) {
            fs::write(row.path.under(&tree), [i]).unwrap();
            list += &format!("{}  {}\n", row.blake3, row.path);
        }
        fs::write(tree.join(B3SUMS), list).unwrap();
        if clone(&tree.join(B3SUMS), &dir.path().join("clone")).is_ok() {
            return;
        }
        let (index, _) = Index::new(rows).unwrap();
        let places = Places { trees: vec![tree], replaced: None };
        let reuse = |how, has_room: &dyn Fn(&[RowRef<'_>]) -> Result<bool>| {
            reuse(&places, index.rows().collect(), &root, how, 2, has_room)
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

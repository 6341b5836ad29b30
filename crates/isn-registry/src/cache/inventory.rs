//! Lists what is in a cache, checks it, and removes what is no longer needed.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use cap_std::fs::Metadata;
use rayon::prelude::*;

use super::MAX_METADATA;
use super::piece::hash;
use super::{
    Cache, DECODED, DOUBTED, HINTS, MAX_HINT, MAX_NOTE, OBJECTS, PACKS_OF, PIECES, Piece, QUARANTINE,
    SOURCES, TABLES, TREES,
};
use crate::files::{self, Below};
use crate::progress::{Progress, Unit};
use crate::source::MAX_INDEX;
use isn_format::digest::Digest;
use isn_format::error::{Error, Result};

/// After this time, no process can still be writing to a temporary file.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// What a cache contains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The number of objects, and their total length in bytes.
    pub objects: (u64, u64),
    /// As `objects`, for pieces of shards.
    pub pieces: (u64, u64),
    /// As `objects`, for indexes of source archives.
    pub sources: (u64, u64),
    /// As `objects`, for files in quarantine.
    pub quarantine: (u64, u64),
    /// As `objects`, for temporary files: being fetched now, or by a process that was killed.
    pub temporary: (u64, u64),
    /// As `objects`, for tables, which can be made again.
    pub tables: (u64, u64),
    /// As `objects`, for files of decoded images, which can be made again. Bytes are those on the disk: rows
    /// that were never asked for take none.
    pub decoded: (u64, u64),
    /// The number of remembered trees.
    pub trees: u64,
}

impl Inventory {
    /// The total length of all files, in bytes.
    pub fn bytes(&self) -> u64 {
        let parts = [self.objects, self.pieces, self.sources, self.tables, self.decoded];
        parts.iter().chain([&self.quarantine, &self.temporary]).map(|(_, bytes)| bytes).sum()
    }
}

/// A file that does not match its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// The path of the file before it was set aside.
    pub path: PathBuf,
}

/// What a sweep removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// The number of removed files.
    pub files: u64,
    /// Their total length in bytes.
    pub bytes: u64,
    /// The total length of what is left, in bytes.
    pub left: u64,
}

/// A file of the cache.
struct Entry {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

impl Cache {
    /// Counts the contents.
    ///
    /// # Errors
    /// [`Error::Foreign`] if a symlink leads out of the cache; [`Error::Io`] if it cannot be read.
    pub fn inventory(&self) -> Result<Inventory> {
        self.check_parts()?;
        let mut inventory = Inventory::default();
        let add = |count: &mut (u64, u64), entry: &Entry| *count = (count.0 + 1, count.1 + entry.bytes);
        for entry in self.entries(OBJECTS)? {
            let is_temp = is_temporary(&entry.path);
            add(if is_temp { &mut inventory.temporary } else { &mut inventory.objects }, &entry);
        }
        for entry in self.entries(PIECES)? {
            let is_temp = is_temporary(&entry.path);
            add(if is_temp { &mut inventory.temporary } else { &mut inventory.pieces }, &entry);
        }
        for entry in self.entries(SOURCES)? {
            let is_temp = is_temporary(&entry.path);
            add(if is_temp { &mut inventory.temporary } else { &mut inventory.sources }, &entry);
        }
        for entry in self.entries(TABLES)? {
            let is_temp = is_temporary(&entry.path);
            add(if is_temp { &mut inventory.temporary } else { &mut inventory.tables }, &entry);
        }
        for entry in self.entries(DECODED)? {
            let is_temp = is_temporary(&entry.path);
            add(if is_temp { &mut inventory.temporary } else { &mut inventory.decoded }, &entry);
        }
        for entry in self.entries(QUARANTINE)? {
            add(&mut inventory.quarantine, &entry);
        }
        inventory.trees = self.trees().len() as u64;
        Ok(inventory)
    }

    /// Hashes every object, piece and decoded image, and sets aside files that do not match their names, what
    /// is too long to be read, and what is no file in the place of one. Returns how many there were, and the
    /// damaged ones.
    ///
    /// # Errors
    /// As [`Cache::inventory`].
    pub fn verify(&self, jobs: usize, progress: &dyn Progress) -> Result<(u64, Vec<Damaged>)> {
        self.check_parts()?;
        let mut files = self.files_of(OBJECTS)?;
        files.extend(self.files_of(PIECES)?);
        files.extend(self.files_of(DECODED)?);
        files.retain(|(path, _)| !is_temporary(path));
        let mut wrong = Vec::new();
        for part in [OBJECTS, PIECES, SOURCES, TABLES, DECODED, TREES, HINTS] {
            wrong.extend(self.no_files(part)?);
        }
        let mut indexes = self.files_of(SOURCES)?;
        indexes.retain(|(path, _)| !is_temporary(path));
        progress.begin("verify the cache", Unit::Files, files.len() as u64);
        let check = |(path, _): &(PathBuf, Metadata)| -> Result<Option<Damaged>> {
            progress.advance(1);
            // Another process may have removed it meanwhile.
            let Some(file) = self.open(path)? else { return Ok(None) };
            let is_whole = match Piece::at(path.clone()) {
                _ if files::parent(path).ends_with(DECODED) => !self.is_decoded_damaged(path, &file),
                Some(piece) => piece.is_whole(file).unwrap_or(false),
                None => object_is_whole(path, file).unwrap_or(false),
            };
            Ok((!is_whole).then(|| Damaged { path: path.clone() }))
        };
        let pool = crate::parallel::pool(jobs)?;
        let damaged: Vec<Option<Damaged>> =
            pool.install(|| files.par_iter().map(check).collect::<Result<_>>())?;
        let mut damaged: Vec<Damaged> = damaged.into_iter().flatten().collect();
        progress.end();
        let checked = (files.len() + indexes.len() + wrong.len()) as u64;
        // Of these, only the length can be wrong: an index is of a source that is not here.
        for (part, most) in [(SOURCES, MAX_INDEX), (HINTS, MAX_HINT), (TREES, MAX_NOTE)] {
            let long = self.files_of(part)?.into_iter().filter(|(_, about)| about.len() > most);
            wrong.extend(long.map(|(path, _)| path));
        }
        damaged.extend(wrong.into_iter().map(|path| Damaged { path }));
        damaged.iter().for_each(|damaged| self.set_aside(&damaged.path));
        Ok((checked, damaged))
    }

    /// Returns the hashes of the indexes whose versions must be checked before they are read.
    ///
    /// # Errors
    /// As [`Cache::inventory`].
    pub fn doubted(&self) -> Result<Vec<Digest>> {
        let files = self.files_of(&format!("{HINTS}/{DOUBTED}"))?;
        Ok(files.iter().filter_map(|(path, _)| hash_of(path)).collect())
    }

    /// Returns the hashes of the indexes that have tables, with the paths of the tables.
    ///
    /// # Errors
    /// As [`Cache::inventory`].
    pub fn tables(&self) -> Result<Vec<(Digest, PathBuf)>> {
        let files = self.files_of(TABLES)?.into_iter();
        Ok(files.filter_map(|(path, _)| Some((hash_of(&path)?, path))).collect())
    }

    /// Removes files that were not used for `older_than`, then the least recently used ones until at most
    /// `max_size` bytes are left. Always removes quarantined and abandoned files, and notes of trees that are
    /// gone. With `dry_run` it only counts.
    ///
    /// # Errors
    /// As [`Cache::inventory`]; [`Error::Io`] also if a file cannot be removed.
    pub fn sweep(
        &self,
        max_size: Option<u64>,
        older_than: Option<Duration>,
        now: SystemTime,
        dry_run: bool,
    ) -> Result<Swept> {
        self.check_parts()?;
        let mut kept = self.entries(OBJECTS)?;
        kept.extend(self.entries(PIECES)?);
        kept.extend(self.entries(SOURCES)?);
        kept.extend(self.entries(TABLES)?);
        kept.extend(self.entries(DECODED)?);
        let mut gone = self.entries(QUARANTINE)?;
        let notes = self.entries(TREES)?;
        let age = |entry: &Entry| now.duration_since(entry.used).unwrap_or_default();
        let mut part = |is_gone: &dyn Fn(&Entry) -> bool| {
            let (out, stay) = std::mem::take(&mut kept).into_iter().partition(|entry| is_gone(entry));
            kept = stay;
            gone.extend::<Vec<Entry>>(out);
        };
        part(&|entry| is_temporary(&entry.path) && age(entry) > ABANDONED);
        if let Some(limit) = older_than {
            part(&|entry| age(entry) > limit && !is_temporary(&entry.path));
        }
        let mut left: u64 = kept.iter().map(|entry| entry.bytes).sum();
        kept.sort_by_key(|entry| entry.used);
        for entry in kept {
            if left > max_size.unwrap_or(u64::MAX) && !is_temporary(&entry.path) {
                left -= entry.bytes;
                gone.push(entry);
            }
        }
        let swept = Swept { files: gone.len() as u64, bytes: gone.iter().map(|e| e.bytes).sum(), left };
        if !dry_run {
            gone.iter().try_for_each(|entry| self.remove(&entry.path))?;
            notes.iter().try_for_each(|note| self.forget_gone_tree(&note.path))?;
        }
        Ok(swept)
    }

    fn forget_gone_tree(&self, note: &Path) -> Result<()> {
        let is_there = self.tree_of(note).is_some_and(|tree| tree.is_dir());
        if is_there { Ok(()) } else { self.remove(note) }
    }

    /// Refuses a cache if a symlink leads out of it.
    fn check_parts(&self) -> Result<()> {
        for part in [OBJECTS, PIECES, SOURCES, TABLES, DECODED, TREES, HINTS, QUARANTINE] {
            Below::check(&self.root, &self.root.join(part))?;
        }
        Ok(())
    }

    /// Lists the files of a part that have names as isn gives them; other files are not isn's.
    pub(super) fn files_of(&self, part: &str) -> Result<Vec<(PathBuf, Metadata)>> {
        let mut files = self.named(part, Below::files_and_pipes)?;
        files.retain(|(_, about)| about.is_file());
        Ok(files)
    }

    fn named(
        &self,
        part: &str,
        list: impl Fn(&Below) -> Result<Vec<(PathBuf, Metadata)>>,
    ) -> Result<Vec<(PathBuf, Metadata)>> {
        let folder = Below::find(&self.root, &self.root.join(part))?;
        let mut found = folder.map_or(Ok(Vec::new()), |folder| list(&folder))?;
        found.retain(|(path, _)| is_named_by_isn(path));
        Ok(found)
    }

    /// Lists what has the name of a file of a part and is none: a folder, a pipe, a socket or a device.
    fn no_files(&self, part: &str) -> Result<Vec<PathBuf>> {
        let pipes = self.named(part, Below::files_and_pipes)?;
        let mut found: Vec<PathBuf> =
            pipes.into_iter().filter(|(_, about)| !about.is_file()).map(|(path, _)| path).collect();
        if let Some(folder) = Below::find(&self.root, &self.root.join(part))? {
            let mut folders = folder.folders()?;
            folders.retain(|path| match part {
                // Some folders of these parts have the hash of a shard or a location as their name.
                PIECES => Piece::at(path.to_path_buf()).is_some(),
                HINTS => hash_of(path).is_some() && !files::parent(path).ends_with(PACKS_OF),
                _ => hash_of(path).is_some(),
            });
            found.extend(folders);
        }
        Ok(found)
    }

    /// Lists the files of a part; anything in it that is neither a file nor a folder is an error.
    fn entries(&self, part: &str) -> Result<Vec<Entry>> {
        let entries = self.named(part, Below::files)?.into_iter().map(|(path, about)| {
            let used = about.modified().map_err(Error::io("look at", &path))?.into_std();
            let has_holes = [DECODED, QUARANTINE].contains(&part);
            Ok(Entry { used, bytes: if has_holes { on_disk(&about) } else { about.len() }, path })
        });
        entries.collect()
    }
}

/// How many bytes a file takes. Files of decoded images have holes.
fn on_disk(about: &Metadata) -> u64 {
    #[cfg(unix)]
    return about.len().min(cap_std::fs::MetadataExt::blocks(about).saturating_mul(512));
    #[cfg(not(unix))]
    about.len()
}

fn is_temporary(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(files::TEMP_PREFIX))
}

fn is_named_by_isn(path: &Path) -> bool {
    is_temporary(path) || hash_of(path).is_some() || Piece::at(path.to_path_buf()).is_some()
}

/// Returns the hash in a file's name, before its first dot; pieces have other names.
fn hash_of(path: &Path) -> Option<Digest> {
    path.file_name()?.to_str()?.split('.').next()?.parse().ok()
}

/// Whether a file has the hash in its name. One that is longer than any object is not read.
fn object_is_whole(path: &Path, file: File) -> io::Result<bool> {
    let is_short = file.metadata()?.len() <= MAX_METADATA;
    Ok(is_short && hash_of(path).is_some() && hash(file, MAX_METADATA)? == hash_of(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;
    use isn_format::object::ObjectKind;

    /// Makes a cache with three objects of 10 bytes, used 3, 2 and 1 days ago, and a piece used now.
    fn sample(dir: &Path) -> (Cache, SystemTime) {
        let cache = Cache::new(dir);
        let now = SystemTime::now();
        for days in 1..=3u64 {
            let bytes = [days as u8; 10];
            cache.keep_object(ObjectKind::Index, &Digest::of(&bytes), &bytes).unwrap();
            let path = cache.object_path(ObjectKind::Index, &Digest::of(&bytes));
            let file = std::fs::File::options().append(true).open(path).unwrap();
            file.set_modified(now - Duration::from_secs(days * 86_400)).unwrap();
        }
        let mut piece = cache.new_piece(&Digest::of(b"shard"), 0).unwrap();
        piece.write(&[7; 100]).unwrap();
        drop(piece);
        (cache, now)
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let dir = tempfile::tempdir().unwrap();
        let (cache, now) = sample(dir.path());
        let before = cache.inventory().unwrap();
        assert_eq!((before.objects, before.pieces, before.bytes()), ((3, 30), (1, 100), 130));
        let dry = cache.sweep(Some(115), None, now, true).unwrap();
        assert_eq!(dry, Swept { files: 2, bytes: 20, left: 110 });
        assert_eq!(cache.inventory().unwrap(), before);
        assert_eq!(cache.sweep(Some(115), None, now, false).unwrap(), dry);
        assert!(cache.object(ObjectKind::Index, &Digest::of(&[1; 10]), 10).is_some());
        assert!(cache.object(ObjectKind::Index, &Digest::of(&[2; 10]), 10).is_none());
        let none = cache.sweep(None, Some(Duration::from_secs(36 * 3600)), now, false).unwrap();
        assert_eq!((none.files, none.left), (0, 110));
        let all = cache.sweep(Some(0), None, now, false).unwrap();
        assert_eq!((all.files, all.left), (2, 0));
    }

    #[test]
    fn what_is_damaged_is_found_and_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let (cache, now) = sample(dir.path());
        assert_eq!(cache.verify(2, &Silent).unwrap(), (4, Vec::new()));
        let piece = cache.pieces(&Digest::of(b"shard")).remove(0);
        std::fs::write(&piece.path, [8; 100]).unwrap();
        let object = cache.object_path(ObjectKind::Index, &Digest::of(&[1; 10]));
        std::fs::write(&object, b"short").unwrap();
        let (checked, damaged) = cache.verify(2, &Silent).unwrap();
        assert_eq!((checked, damaged.len()), (4, 2));
        assert_eq!(cache.inventory().unwrap().quarantine.0, 2);
        assert!(!piece.path.exists() && !object.exists());
        cache.sweep(None, None, now, false).unwrap();
        assert_eq!(cache.inventory().unwrap().quarantine, (0, 0));
    }
}

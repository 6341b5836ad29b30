//! [`Dataset`]: the images of a version, or of a part of it, read in place: from pieces of shards in the
//! cache, from the shards of a folder, from the binary, or from trees that were pulled before. Any number of
//! threads and forked processes may read at once: each read gives its own offset, so no read moves a file
//! position that another relies on.

mod batch;
mod chosen;
mod decoded;
mod places;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

pub use batch::Batch;
pub use chosen::Chosen;
pub use places::{IN_TREE, Places};

use self::decoded::Rows;
use self::places::Bytes;
use crate::identity::Identity;
use isn_format::class::Class;
use isn_format::description::Description;
use isn_format::digest::Digest;
use isn_format::error::{At, Error, Result};
use isn_format::shard::FrameReader;
use isn_format::split::Split;
use isn_format::table::{Entry, FrameAt, Record, Table};
use isn_format::tree::Selection;
use isn_pixels::ImageReader;
use rayon::prelude::*;

/// How often an image's bytes are checked against the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// When the image is first read in this process.
    Once,
    /// At every read.
    Always,
    /// Never. Its place in the shard must still contain an entry of its name and length.
    Never,
}

/// The source of the positions of images in shards, which are not signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// From a table in the cache, which may be damaged.
    KeptTable,
    /// From the packs of a registry, which may be wrong.
    Packs,
    /// Images are files of a tree, and in no shard.
    Files,
    /// From packs by which every image was just fetched and checked: whatever disagrees with them is wrong.
    CheckedPacks,
}

/// The error for a text that is not a [`Verify`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a way to verify: expected once, always or never")]
pub struct VerifyError(String);

impl std::str::FromStr for Verify {
    type Err = VerifyError;

    fn from_str(text: &str) -> Result<Self, VerifyError> {
        match text {
            "once" => Ok(Verify::Once),
            "always" => Ok(Verify::Always),
            "never" => Ok(Verify::Never),
            _ => Err(VerifyError(text.into())),
        }
    }
}

/// Images of a version, in the order of the index, with their labels. The example of [this crate](crate)
/// opens one.
pub struct Dataset {
    identity: Identity,
    part: Selection,
    /// The BLAKE3 of its index, which the cache names it by; a tree has none.
    index: Option<Digest>,
    description: Description<Table>,
    warnings: Vec<String>,
    unsigned: &'static [&'static str],
    /// The images of the selection.
    chosen: Chosen,
    places: Places,
    verify: Verify,
    /// One bit for each image of the selection: whether its bytes were found right.
    verified: Vec<AtomicU8>,
    scratch: Mutex<Vec<Scratch>>,
    /// How many times an image's bytes were checked against the index, for tests and diagnostics.
    checks: AtomicU32,
    basis: Basis,
    /// The number of files of the cache that were set aside.
    set_aside: AtomicU32,
    /// Whether damage of the table was found.
    is_table_damaged: AtomicBool,
    /// The pixels of its images, if they are kept.
    decoded: Option<Rows>,
}

/// What a thread needs to read images.
struct Scratch {
    frame: Vec<u8>,
    frames: FrameReader,
    images: ImageReader,
    row: Vec<u8>,
}

/// The parts of a [`Dataset`].
pub struct Parts {
    /// What it is.
    pub identity: Identity,
    /// The part of it that is selected.
    pub part: Selection,
    /// The BLAKE3 of its index, if it has one.
    pub index: Option<Digest>,
    /// All classes and images of the version.
    pub description: Description<Table>,
    /// What the user should know: that the version is yanked, or the mirror is stale.
    pub warnings: Vec<String>,
    /// The properties that no trusted key vouches for.
    pub unsigned: &'static [&'static str],
    /// The selected images.
    pub chosen: Chosen,
    /// Where they are.
    pub places: Places,
    /// How the places are known.
    pub basis: Basis,
    /// How often images are checked.
    pub verify: Verify,
}

impl Dataset {
    /// Makes a dataset of its parts.
    pub fn new(parts: Parts) -> Self {
        let Parts { identity, part, index, description, warnings, unsigned, chosen, places, basis, verify } =
            parts;
        let verified = (0..chosen.len().div_ceil(8)).map(|_| AtomicU8::new(0)).collect();
        let (scratch, checks) = (Mutex::default(), AtomicU32::new(0));
        Dataset {
            identity,
            part,
            index,
            description,
            warnings,
            unsigned,
            chosen,
            places,
            verify,
            verified,
            scratch,
            checks,
            basis,
            set_aside: AtomicU32::new(0),
            is_table_damaged: AtomicBool::new(false),
            decoded: None,
        }
    }

    /// Adds warnings.
    pub(crate) fn with_warnings(mut self, warnings: Vec<String>) -> Self {
        self.warnings.extend(warnings);
        self
    }

    /// Checks every image against the index, on `jobs` threads.
    ///
    /// # Errors
    /// As [`Dataset::file`].
    pub(crate) fn check(&self, jobs: usize) -> Result<()> {
        let check = |image| self.with_file(self.verify, image, &self.entry(image)?, |_, _| Ok(()));
        crate::parallel::pool(jobs)?.install(|| (0..self.len()).into_par_iter().try_for_each(check))
    }

    /// What the version is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The part of the version that it has.
    pub fn part(&self) -> &Selection {
        &self.part
    }

    /// All classes of the version, sorted by id; a label is a rank in this list.
    pub fn classes(&self) -> &[Class] {
        self.description.classes()
    }

    /// What the user should know: that the version is yanked, or the mirror is stale.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The properties of the version that no trusted key vouches for, as `--json` calls them.
    pub fn unsigned(&self) -> &'static [&'static str] {
        self.unsigned
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.chosen.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.chosen.is_empty()
    }

    /// The label of each image: the rank of its class.
    pub fn labels(&self) -> impl Iterator<Item = u32> {
        self.chosen.labels()
    }

    /// The label of an image.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such image.
    pub fn label(&self, image: usize) -> Result<u32> {
        self.chosen.label(image).ok_or_else(|| self.no_such(image))
    }

    /// The split of an image.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such image.
    pub fn split(&self, image: usize) -> Result<Split> {
        self.chosen.split(image).ok_or_else(|| self.no_such(image))
    }

    /// The path of an image in the tree: `split/class/stem.ext`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such image; [`Error::Integrity`] if the table is damaged there.
    pub fn path(&self, image: usize) -> Result<String> {
        Ok(self.entry(image)?.path)
    }

    /// The paths of all images.
    ///
    /// # Errors
    /// As [`Dataset::path`].
    pub fn paths(&self) -> impl Iterator<Item = Result<String>> {
        let entries = self.chosen.ranges().flat_map(|rows| self.table().entries(rows));
        entries.map(|entry| Ok(self.of_table(entry)?.path))
    }

    /// The width and height of an image, in pixels.
    ///
    /// # Errors
    /// As [`Dataset::path`].
    pub fn size(&self, image: usize) -> Result<(u32, u32)> {
        let record = self.record(image)?;
        Ok((record.width, record.height))
    }

    /// The length of an image's file, in bytes.
    ///
    /// # Errors
    /// As [`Dataset::path`].
    pub fn length(&self, image: usize) -> Result<u64> {
        Ok(self.record(image)?.length)
    }

    /// The BLAKE3 of an image's file, by the index.
    ///
    /// # Errors
    /// As [`Dataset::path`].
    pub fn blake3(&self, image: usize) -> Result<Digest> {
        Ok(self.entry(image)?.blake3)
    }

    /// How many times an image's bytes were checked against the index so far.
    pub fn checks(&self) -> u32 {
        self.checks.load(Ordering::Relaxed)
    }

    /// How many files of the cache gave wrong bytes and were set aside. When the version is opened again, it
    /// reads them from elsewhere.
    pub fn set_aside(&self) -> u32 {
        self.set_aside.load(Ordering::Relaxed)
    }

    /// Whether lengths and sizes come from a table in the cache that was not checked against the index.
    pub(crate) fn is_by_kept_table(&self) -> bool {
        self.basis == Basis::KeptTable
    }

    /// Returns the bytes of an image's file.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such image; [`Error::Integrity`] if its bytes are wrong;
    /// [`Error::Io`] if they cannot be read.
    pub fn file(&self, image: usize) -> Result<Vec<u8>> {
        self.with_file(self.verify, image, &self.entry(image)?, |file, _| Ok(file.to_vec()))
    }

    /// Writes the pixels of an image to `out`, which must have `height × width × 3` bytes.
    ///
    /// # Errors
    /// As [`Dataset::file`]; [`Error::Integrity`] also if the image cannot be decoded to pixels of its size.
    pub fn pixels(&self, image: usize, out: &mut [u8]) -> Result<()> {
        if self.decoded.is_some() {
            let (width, height) = self.size(image)?;
            if let Some((rows, at)) = self.whole_row(image, (width, height))
                && out.len() as u64 == at.length()
            {
                return self.read_row(rows, image, &at, out);
            }
        }
        let entry = self.entry(image)?;
        let Record { width, height, .. } = entry.record;
        self.with_file(self.verify, image, &entry, |file, images| {
            images.pixels(file, width, height, out).map_err(|e| self.other_pixels(&entry.path, e))
        })
    }

    fn table(&self) -> &Table {
        self.description.rows()
    }

    fn row_of(&self, image: usize) -> Result<usize> {
        self.chosen.row(image).ok_or_else(|| self.no_such(image))
    }

    fn entry(&self, image: usize) -> Result<Entry> {
        self.of_table(self.table().entry(self.row_of(image)?))
    }

    fn record(&self, image: usize) -> Result<Record> {
        self.of_table(self.table().record(self.row_of(image)?))
    }

    /// Acts on damage of the table where it is read: it is set aside, and made anew when the version is
    /// opened again.
    fn of_table<T>(&self, read: Result<T>) -> Result<T> {
        let (Err(Error::Integrity { .. }), Some((cache, index))) =
            (&read, self.places.cache().zip(self.index))
        else {
            return read;
        };
        // What is there later is another table.
        if !self.is_table_damaged.swap(true, Ordering::Relaxed) {
            self.set_aside.fetch_add(u32::from(cache.set_aside_table(&index)), Ordering::Relaxed);
        }
        read.map_err(|e| e.at(At::Cache))
    }

    /// Acts on wrong bytes. A piece of the cache that is damaged, or that disagrees with packs known to be
    /// right, is set aside. Otherwise the piece, the table, the packs or a tree may be wrong: then the table
    /// is set aside, and the cache notes that the version must be checked when it is opened next, so that
    /// lying packs do not cost a good piece.
    fn doubt(&self, image: usize, frame: Option<&FrameAt>, error: &Error) {
        if !matches!(error, Error::Integrity { .. }) {
            return;
        }
        if let Some(cache) = self.places.cache() {
            let is_checked = self.basis == Basis::CheckedPacks;
            if let Some(piece) = self.places.piece(image, frame)
                && cache.set_aside_piece(piece, is_checked)
            {
                self.set_aside.fetch_add(u32::from(!piece.exists()), Ordering::Relaxed);
                return;
            }
            let _ = self.index.map(|index| cache.doubt(&index));
        }
        self.set_aside.fetch_add(u32::from(self.set_aside_table()), Ordering::Relaxed);
    }

    fn set_aside_table(&self) -> bool {
        let cache = self.places.cache().filter(|_| self.basis == Basis::KeptTable);
        cache.zip(self.index).is_some_and(|(cache, index)| cache.set_aside_table(&index))
    }

    /// Returns the error for an image whose bytes are right, but whose pixels are not as the table says.
    fn other_pixels(&self, path: &str, why: impl std::fmt::Display) -> Error {
        if !self.set_aside_table() {
            return Error::integrity(path, why);
        }
        self.set_aside.fetch_add(1, Ordering::Relaxed);
        Error::integrity(format!("the cache's table, {path}"), why).at(At::Cache)
    }

    fn no_such(&self, image: usize) -> Error {
        Error::invalid("image", format!("there is no {image}th of {}", self.len()))
    }

    fn with_file<T>(
        &self,
        verify: Verify,
        image: usize,
        entry: &Entry,
        take: impl FnOnce(&[u8], &mut ImageReader) -> Result<T>,
    ) -> Result<T> {
        let mut scratch = self.take_scratch()?;
        let taken = self.read(verify, (image, entry), &mut scratch, take);
        // After a fork, a thread that no longer exists may hold the lock, so this does not wait for it.
        if let Ok(mut kept) = self.scratch.try_lock() {
            kept.push(scratch);
        }
        taken
    }

    fn take_scratch(&self) -> Result<Scratch> {
        if let Some(scratch) = self.scratch.try_lock().ok().and_then(|mut kept| kept.pop()) {
            return Ok(scratch);
        }
        let frames = FrameReader::new().map_err(|e| Error::Internal(format!("zstd: {e}")))?;
        Ok(Scratch { frame: Vec::new(), frames, images: ImageReader::default(), row: Vec::new() })
    }

    fn read<T>(
        &self,
        verify: Verify,
        (image, entry): (usize, &Entry),
        scratch: &mut Scratch,
        take: impl FnOnce(&[u8], &mut ImageReader) -> Result<T>,
    ) -> Result<T> {
        let Entry { path, blake3, record } = entry;
        let Scratch { frame, frames, images, .. } = scratch;
        let (read, at) = (self.places.read(image, record, frame), record.frame.as_ref());
        let read = read.inspect_err(|e| self.doubt(image, at, e))?;
        let (bits, bit) = (&self.verified[image / 8], 1 << (image % 8));
        let is_known = match verify {
            Verify::Never => true,
            Verify::Always => false,
            Verify::Once => bits.load(Ordering::Relaxed) & bit != 0,
        };
        if !is_known {
            self.checks.fetch_add(1, Ordering::Relaxed);
        }
        // The empty names would only appear in messages, which `fault` replaces.
        let checked = match (read, at) {
            (Bytes::Frame(frame), _) if is_known => frames.unchecked("", frame, blake3, record.length),
            (Bytes::Frame(frame), Some(at)) => frames.image("", frame, &at.blake3, blake3, record.length),
            (Bytes::Image(file), _) if is_known || Digest::of(file) == *blake3 => Ok(file),
            (Bytes::Image(_), _) => {
                Err(Error::integrity("", format!("is not the image of the index, {blake3}")))
            }
            (Bytes::Frame(_), None) => Err(Error::Internal(format!("{path} has no place"))),
        };
        let checked = checked.map_err(|e| match e {
            Error::Integrity { why, .. } => self.places.fault(image, at, &why),
            e => e,
        });
        let file = checked.inspect_err(|e| self.doubt(image, at, e))?;
        if !is_known {
            bits.fetch_or(bit, Ordering::Relaxed);
        }
        take(file, images)
    }
}

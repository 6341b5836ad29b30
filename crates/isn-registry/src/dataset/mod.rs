//! [`Dataset`]: the images of a version, or of a part of it, read in place: from pieces of shards in the cache, from the
//! shards of a folder, from the binary, or from trees that were pulled before. Any number of threads may read, and processes
//! that were forked: reads say where they begin, so nobody moves a position that somebody else relies on.

mod batch;
mod places;

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

pub use batch::Batch;
pub use places::Places;

use self::places::Bytes;
use isn_format::class::Class;
use isn_format::description::Description;
use isn_format::digest::Digest;
use isn_format::error::{At, Error, Result};
use isn_format::manifest::Manifest;
use isn_format::shard::FrameReader;
use isn_format::table::{Record, Table};
use isn_pixels::ImageReader;

/// How often an image's bytes are compared with the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// When it is read for the first time in this process.
    Once,
    /// Whenever it is read.
    Always,
    /// Not at all. Its place in the shard still has to hold an entry of its name and length.
    Never,
}

/// By what it is known where in a shard an image is. Nobody signs that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// By a table that the cache kept, which may be damaged.
    KeptTable,
    /// By the packs of a registry, which may lie.
    Packs,
    /// By packs that every image was just brought and checked by. What disagrees with them is wrong.
    CheckedPacks,
}

/// Why a text is not a [`Verify`].
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

/// Images of a version, in the order of the index, with their labels.
pub struct Dataset {
    manifest: Manifest,
    description: Description<Table>,
    warnings: Vec<String>,
    unsigned: &'static [&'static str],
    /// For each image of the selection its row in the table.
    rows: Vec<u32>,
    labels: Vec<u32>,
    places: Places,
    verify: Verify,
    /// For each image of the selection, whether it was found to be right. Bits.
    verified: Vec<AtomicU8>,
    scratch: Mutex<Vec<Scratch>>,
    /// Images whose bytes were compared with the index, for tests and the curious.
    checks: AtomicU32,
    basis: Basis,
    /// Files of the cache that were set aside.
    set_aside: AtomicU32,
}

/// What a thread needs to read images.
struct Scratch {
    frame: Vec<u8>,
    frames: FrameReader,
    images: ImageReader,
}

/// What a dataset is made of.
pub struct Parts {
    /// The manifest.
    pub manifest: Manifest,
    /// All classes and images of the version.
    pub description: Description<Table>,
    /// What the user should hear.
    pub warnings: Vec<String>,
    /// What nobody vouches for.
    pub unsigned: &'static [&'static str],
    /// Which of them.
    pub rows: Vec<u32>,
    /// Where they are, each at its place among `rows`.
    pub places: Places,
    /// By what that is known.
    pub basis: Basis,
    /// How often they are checked.
    pub verify: Verify,
}

impl Dataset {
    /// Of its parts.
    pub fn new(parts: Parts) -> Self {
        let Parts { manifest, description, warnings, unsigned, rows, places, basis, verify } = parts;
        let (table, classes) = (description.rows(), description.classes());
        let ranks: HashMap<&str, u32> =
            (0u32..).zip(classes).map(|(rank, class)| (class.id.as_str(), rank)).collect();
        // A description has no image of a class that it does not have.
        let label = |&row: &u32| ranks[table.path(row as usize).split('/').nth(1).unwrap_or_default()];
        let labels = rows.iter().map(label).collect();
        let verified = (0..rows.len().div_ceil(8)).map(|_| AtomicU8::new(0)).collect();
        let (scratch, checks) = (Mutex::default(), AtomicU32::new(0));
        Dataset {
            manifest,
            description,
            warnings,
            unsigned,
            rows,
            labels,
            places,
            verify,
            verified,
            scratch,
            checks,
            basis,
            set_aside: AtomicU32::new(0),
        }
    }

    /// The version.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// All classes of the version, sorted by id; a label is a rank in this list.
    pub fn classes(&self) -> &[Class] {
        self.description.classes()
    }

    /// What the user should hear: that the version is yanked, that the mirror is behind.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What of the version nobody vouches for whom the user believes, as `--json` calls it.
    pub fn unsigned(&self) -> &'static [&'static str] {
        self.unsigned
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The label of each image.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// Where an image stands in the tree: `split/class/stem.ext`.
    pub fn path(&self, image: usize) -> &str {
        self.rows.get(image).map_or("", |&row| self.table().path(row as usize))
    }

    /// Width and height of an image, in pixels.
    pub fn size(&self, image: usize) -> Result<(u32, u32)> {
        let record = self.record(image)?;
        Ok((record.width, record.height))
    }

    /// The length of an image's file, in bytes.
    pub fn length(&self, image: usize) -> Result<u64> {
        Ok(self.record(image)?.length)
    }

    /// BLAKE3 of an image's file, as the index has it.
    pub fn blake3(&self, image: usize) -> Result<Digest> {
        let digest = self.rows.get(image).and_then(|&row| self.table().blake3(row as usize));
        digest.ok_or_else(|| self.no_such(image))
    }

    /// How often an image's bytes were compared with the index so far.
    pub fn checks(&self) -> u32 {
        self.checks.load(Ordering::Relaxed)
    }

    /// How many files of the cache gave wrong bytes and were set aside: opened again, the version has them from elsewhere.
    pub fn set_aside(&self) -> u32 {
        self.set_aside.load(Ordering::Relaxed)
    }

    /// Whether lengths and sizes are as a table in the cache says, which nobody has held against the index.
    pub fn is_by_kept_table(&self) -> bool {
        self.basis == Basis::KeptTable
    }

    /// The bytes of an image's file.
    pub fn file(&self, image: usize) -> Result<Vec<u8>> {
        self.with_file(image, |file, _| Ok(file.to_vec()))
    }

    /// The pixels of an image into `out`, which has `height × width × 3` bytes.
    pub fn pixels(&self, image: usize, out: &mut [u8]) -> Result<()> {
        let (width, height) = self.size(image)?;
        self.with_file(image, |file, images| {
            images.pixels(file, width, height, out).map_err(|e| self.other_pixels(image, e))
        })
    }

    fn table(&self) -> &Table {
        self.description.rows()
    }

    fn record(&self, image: usize) -> Result<Record> {
        let record = self.rows.get(image).and_then(|&row| self.table().record(row as usize));
        record.ok_or_else(|| self.no_such(image))
    }

    /// After wrong bytes: sets aside the piece of the cache that they are from, if it is damaged, or if it disagrees with packs
    /// that are right. Else the piece, the table, the packs or a tree are wrong, and nobody can tell which: the table goes, and
    /// the cache notes that the version is to be checked when it is opened next. Packs that lie cost no good piece so.
    fn doubt(&self, image: usize, error: &Error) {
        if !matches!(error, Error::Integrity { .. }) {
            return;
        }
        if let Some(cache) = self.places.cache() {
            let is_checked = self.basis == Basis::CheckedPacks;
            if let Some(piece) = self.places.piece(image)
                && cache.set_aside_piece(piece, is_checked)
            {
                self.set_aside.fetch_add(u32::from(!piece.exists()), Ordering::Relaxed);
                return;
            }
            cache.doubt(&self.manifest.objects.index.blake3);
        }
        self.set_aside.fetch_add(u32::from(self.set_aside_table()), Ordering::Relaxed);
    }

    fn set_aside_table(&self) -> bool {
        let index = &self.manifest.objects.index.blake3;
        let cache = self.places.cache().filter(|_| self.basis == Basis::KeptTable);
        cache.is_some_and(|cache| cache.set_aside_table(index))
    }

    /// The error of an image that is the right one, and has not the pixels that the table says.
    fn other_pixels(&self, image: usize, why: impl std::fmt::Display) -> Error {
        if !self.set_aside_table() {
            return Error::integrity(self.path(image), why);
        }
        self.set_aside.fetch_add(1, Ordering::Relaxed);
        Error::integrity(format!("the cache's table, {}", self.path(image)), why).at(At::Cache)
    }

    fn no_such(&self, image: usize) -> Error {
        Error::invalid("image", format!("there is no {image}th of {}", self.len()))
    }

    fn with_file<T>(
        &self,
        image: usize,
        take: impl FnOnce(&[u8], &mut ImageReader) -> Result<T>,
    ) -> Result<T> {
        let mut scratch = self.take_scratch()?;
        let taken = self.read(image, &mut scratch, take);
        // After a fork somebody who is not there any more may hold the lock: then it is not waited for.
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
        Ok(Scratch { frame: Vec::new(), frames, images: ImageReader::default() })
    }

    fn read<T>(
        &self,
        image: usize,
        scratch: &mut Scratch,
        take: impl FnOnce(&[u8], &mut ImageReader) -> Result<T>,
    ) -> Result<T> {
        let (record, blake3) = (self.record(image)?, self.blake3(image)?);
        let Scratch { frame, frames, images } = scratch;
        let frame_length = record.frame.map(|at| at.length);
        let read = self.places.read(image, frame_length, record.length, frame);
        let read = read.inspect_err(|e| self.doubt(image, e))?;
        let (bits, bit) = (&self.verified[image / 8], 1 << (image % 8));
        let is_known = match self.verify {
            Verify::Never => true,
            Verify::Always => false,
            Verify::Once => bits.load(Ordering::Relaxed) & bit != 0,
        };
        if !is_known {
            self.checks.fetch_add(1, Ordering::Relaxed);
        }
        // Names are for messages alone.
        let checked = match (read, record.frame) {
            (Bytes::Frame(frame), _) if is_known => frames.unchecked("", frame, &blake3, record.length),
            (Bytes::Frame(frame), Some(at)) => frames.image("", frame, &at.blake3, &blake3, record.length),
            (Bytes::Image(file), _) if is_known || Digest::of(file) == blake3 => Ok(file),
            (Bytes::Image(_), _) => {
                Err(Error::integrity("", format!("is not the image of the index, {blake3}")))
            }
            (Bytes::Frame(_), None) => Err(Error::Internal(format!("{} has no place", self.path(image)))),
        };
        let checked = checked.map_err(|e| match e {
            Error::Integrity { why, .. } => self.places.fault(image, &why),
            e => e,
        });
        let file = checked.inspect_err(|e| self.doubt(image, e))?;
        if !is_known {
            bits.fetch_or(bit, Ordering::Relaxed);
        }
        take(file, images)
    }
}

//! Reads pixels from decoded images in the cache, instead of decoding them again. What the file has not, in
//! another size or in a random crop, is decoded as without it, so the pixels are always the same.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU8, Ordering};

use super::batch::view_of;
use super::{Batch, Dataset, Verify};
use crate::cache::decoded::{Decoded, Layout, RowAt, length_of};
use crate::cache::{Cache, Mapped};
use crate::files;
use crate::progress::{Progress, Unit};
use isn_format::augment::{Augment, Crop};
use isn_format::error::{Error, Result, bytes};
use isn_pixels::SampleOrder;
use rayon::prelude::*;

/// The decoded images of a dataset: as they are, or the squares in their middle, at one size.
pub(super) struct Rows {
    file: Decoded,
    layout: Layout,
    /// Where the row of each image of the selection begins, if they have sizes of their own.
    offsets: Vec<u64>,
    /// One bit for each image of the selection: whether its row was found right.
    touched: Vec<AtomicU8>,
}

impl RowAt {
    /// The length of the row, in bytes.
    pub(super) fn length(&self) -> u64 {
        length_of(self.width, self.height)
    }
}

impl Dataset {
    /// Keeps the pixels of its images in the cache, and reads them from there: as they are, or, with `size`,
    /// the largest square in the middle of each at that size. Images that are not there yet are read, checked
    /// and decoded on `jobs` threads.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no cache; [`Error::NotKept`] if it is full or cannot be written to; as
    /// [`Dataset::pixels`] if an image cannot be decoded.
    pub fn with_decoded(
        mut self,
        cache: Option<&Cache>,
        size: Option<u32>,
        jobs: usize,
        progress: &dyn Progress,
    ) -> Result<Dataset> {
        let cache = cache.ok_or_else(|| {
            Error::invalid("the cache", "is not to be used: there is nowhere to put decoded images")
        })?;
        let rows = self.rows_in(cache, size, |rows| self.make_rows(rows, cache, jobs, progress))?;
        self.decoded = Some(rows);
        Ok(self)
    }

    /// Copies decoded images that were found right from memory that `map` maps. If it fails, they are read as
    /// before.
    #[must_use]
    pub fn map_decoded(mut self, map: impl FnOnce(&File) -> io::Result<Box<dyn Mapped>>) -> Dataset {
        if let Some(rows) = &mut self.decoded {
            let _ = rows.file.map(map);
        }
        self
    }

    /// Opens the file, and lets `make` make what is not there.
    fn rows_in(
        &self,
        cache: &Cache,
        size: Option<u32>,
        make: impl Fn(&Rows) -> Result<bool>,
    ) -> Result<Rows> {
        // A tree may have a part of a version: its rows are those of its own list.
        let (dataset, images) = (self.table().dataset(), self.table().images());
        let (layout, offsets) = match size {
            Some(size) => (Layout::of_squares(dataset, images as u64, size), Vec::new()),
            None => {
                let records = self.table().records(0..images);
                let sizes = records.map(|record| record.map(|record| (record.width, record.height)));
                let sizes: Vec<(u32, u32)> = self.of_table(sizes.collect())?;
                let rows: Vec<u32> = self.chosen.ranges().flatten().map(|row| row as u32).collect();
                Layout::of_sizes(dataset, sizes.into_iter(), &rows)
            }
        };
        loop {
            let touched = (0..self.len().div_ceil(8)).map(|_| AtomicU8::new(0)).collect();
            let (layout, offsets) = (layout.clone(), offsets.clone());
            let rows = Rows { file: cache.decoded(&layout)?, layout, offsets, touched };
            if make(&rows)? {
                return Ok(rows);
            }
        }
    }

    /// Makes the rows that are not there. Returns `false` if the file was removed before it began.
    fn make_rows(&self, rows: &Rows, cache: &Cache, jobs: usize, progress: &dyn Progress) -> Result<bool> {
        if self.not_made(rows)?.is_empty() {
            return Ok(true);
        }
        let file = &rows.file;
        if !file.is_writable() {
            return Err(cache.unwritable(&format!("{} may only be read", file.path().display())));
        }
        let unlock = Unlock(file.lock().then_some(file));
        if !file.is_in_place() {
            return Ok(false);
        }
        // Another process may have made some meanwhile.
        let missing = self.not_made(rows)?;
        let places: Vec<(usize, RowAt)> =
            missing.into_iter().filter_map(|image| Some((image, self.row_in(rows, image)?))).collect();
        let needed = places.iter().map(|(_, at)| at.length()).sum();
        if let Some((_, free)) = files::free_space(cache.root()).filter(|&(_, free)| needed > free) {
            let why =
                format!("has {} free, but {} are needed for decoded images", bytes(free), bytes(needed));
            return Err(cache.not_kept(why));
        }
        progress.begin("decode images", Unit::Images, places.len() as u64);
        let made = crate::parallel::pool(jobs)?.install(|| {
            places.par_iter().try_for_each_init(Vec::new, |pixels, (image, at)| {
                pixels.resize(at.length() as usize, 0);
                self.decode(rows, *image, pixels)?;
                file.put(at, pixels)?;
                progress.advance(1);
                Ok(())
            })
        });
        progress.end();
        drop(unlock);
        made.map(|()| true)
    }

    fn not_made(&self, rows: &Rows) -> Result<Vec<usize>> {
        let none = RowAt { row: 0, offset: 0, width: 0, height: 0 };
        rows.file.not_made((0..self.len()).map(|image| self.row_in(rows, image).unwrap_or(none)))
    }

    /// Returns where the row of an image is.
    fn row_in(&self, rows: &Rows, image: usize) -> Option<RowAt> {
        let size = if rows.layout.size().is_some() { (0, 0) } else { self.size(image).ok()? };
        self.row_at(rows, image, size)
    }

    /// As [`Dataset::row_in`], of an image of this size.
    fn row_at(&self, rows: &Rows, image: usize, (width, height): (u32, u32)) -> Option<RowAt> {
        let row = self.chosen.row(image)? as u32;
        Some(match rows.layout.size() {
            Some(size) => RowAt { row, offset: rows.layout.square_at(row.into()), width: size, height: size },
            None => RowAt { row, offset: *rows.offsets.get(image)?, width, height },
        })
    }

    /// Returns where the pixels of a whole image are, if they are kept.
    pub(super) fn whole_row(&self, image: usize, size: (u32, u32)) -> Option<(&Rows, RowAt)> {
        let rows = self.decoded.as_ref()?;
        let at = self.row_at(rows, image, size)?;
        (size == (at.width, at.height)).then_some((rows, at))
    }

    /// Returns where the pixels that a batch takes of an image are, if they are kept. The row is then to be
    /// seen as the image, and the second value says whether as a whole.
    pub(super) fn row_for(
        &self,
        image: usize,
        size: (u32, u32),
        batch: &Batch,
    ) -> Option<(&Rows, RowAt, bool)> {
        if let Some((rows, at)) = self.whole_row(image, size) {
            return Some((rows, at, false));
        }
        let rows = self.decoded.as_ref()?;
        let at = self.row_at(rows, image, size)?;
        let is_square = batch.augment.crop == Crop::Centre && rows.layout.size().is_some();
        (is_square && batch.image_size == (at.width, at.height)).then_some((rows, at, true))
    }

    /// Returns where the square that a batch takes of an image is, if it is kept and nothing else decides
    /// what is taken: then the table need not be asked about the image.
    pub(super) fn ready_row(&self, image: usize, batch: &Batch) -> Option<(&Rows, RowAt)> {
        let rows = self.decoded.as_ref()?;
        let side = rows.layout.size()?;
        let is_ready = (batch.augment.crop, batch.augment.flip) == (Crop::Centre, false)
            && batch.image_size == (side, side);
        is_ready.then(|| self.row_at(rows, image, (side, side))).flatten().map(|at| (rows, at))
    }

    /// Returns width, height and pixels of an image, or of the square in its middle, if they are kept.
    ///
    /// # Errors
    /// As [`Dataset::pixels`]; [`Error::Integrity`] also if another program has cut the file.
    pub fn row(&self, image: usize, size: Option<u32>) -> Result<Option<(u32, u32, Vec<u8>)>> {
        if self.decoded.is_none() {
            return Ok(None);
        }
        let found = match size {
            None => self.whole_row(image, self.size(image)?),
            Some(side) => match self.ready_row(image, &square(side)) {
                None => self.whole_row(image, self.size(image)?).filter(|(_, at)| side_of(at) == Some(side)),
                ready => ready,
            },
        };
        let Some((rows, at)) = found else { return Ok(None) };
        let pixels = if self.is_known(rows, image) {
            rows.file.copy_new(&at)?
        } else {
            let mut pixels = rows.file.read_new(&at)?;
            self.check_row(rows, image, &at, &mut pixels)?;
            pixels
        };
        Ok(Some((at.width, at.height, pixels)))
    }

    /// Reads a row into `out`, which has its length.
    pub(super) fn read_row(&self, rows: &Rows, image: usize, at: &RowAt, out: &mut [u8]) -> Result<()> {
        if self.is_known(rows, image) {
            return rows.file.copy(at, out);
        }
        rows.file.read(at, out)?;
        self.check_row(rows, image, at, out)
    }

    /// Whether a row needs no check, by [`Verify`].
    fn is_known(&self, rows: &Rows, image: usize) -> bool {
        match self.verify {
            Verify::Never => true,
            Verify::Always => false,
            Verify::Once => rows.touched[image / 8].load(Ordering::Relaxed) & (1 << (image % 8)) != 0,
        }
    }

    /// Checks a row. One that is wrong is made again.
    fn check_row(&self, rows: &Rows, image: usize, at: &RowAt, pixels: &mut [u8]) -> Result<()> {
        self.checks.fetch_add(1, Ordering::Relaxed);
        if !rows.file.is_right(at, pixels)? {
            self.decode(rows, image, pixels)?;
            // If it cannot be written, it is made again by the next process.
            let _ = rows.file.put(at, pixels);
        }
        rows.touched[image / 8].fetch_or(1 << (image % 8), Ordering::Relaxed);
        Ok(())
    }

    /// Decodes the row of an image from its file, whose bytes are checked whatever [`Verify`] says.
    fn decode(&self, rows: &Rows, image: usize, out: &mut [u8]) -> Result<()> {
        let entry = self.entry(image)?;
        let size = (entry.record.width, entry.record.height);
        let view = rows.layout.size().map(|side| view_of(&entry, &square(side))).transpose()?;
        let verify = if self.verify == Verify::Never { Verify::Once } else { self.verify };
        self.with_file(verify, image, &entry, |file, images| {
            let decoded = match &view {
                None => images.pixels(file, size.0, size.1, out),
                Some(view) => images.view(file, size, view, out),
            };
            decoded.map_err(|e| self.other_pixels(&entry.path, e))
        })
    }
}

/// The side of a row that is a square.
fn side_of(at: &RowAt) -> Option<u32> {
    (at.width == at.height).then_some(at.width)
}

/// The largest square in the middle of an image.
fn square(side: u32) -> Batch {
    Batch {
        image_size: (side, side),
        augment: Augment { crop: Crop::Centre, flip: false },
        seed: 0,
        epoch: 0,
        layout: SampleOrder::Interleaved,
        threads: 1,
    }
}

/// Unlocks a file of decoded images when dropped. Closing it may not be enough, since a process that was
/// forked meanwhile has it open as well.
struct Unlock<'a>(Option<&'a Decoded>);

impl Drop for Unlock<'_> {
    fn drop(&mut self) {
        if let Some(file) = self.0 {
            file.unlock();
        }
    }
}

//! Reads many images of one size into one buffer, with several threads.

use std::sync::{Mutex, PoisonError};

use super::decoded::Rows;
use super::{Dataset, Scratch};
use crate::cache::decoded::RowAt;
use isn_format::augment::{Augment, Crop};
use isn_format::error::{Error, Result};
use isn_format::table::Entry;
use isn_pixels::{SampleOrder, View};

/// What to put into a batch.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// The width and height of every image in the batch, in pixels.
    pub image_size: (u32, u32),
    /// Which part of each image to take.
    pub augment: Augment,
    /// The seed of random choices.
    pub seed: u64,
    /// The epoch, on which random choices depend too.
    pub epoch: u64,
    /// The order of the pixels in memory.
    pub layout: SampleOrder,
    /// The number of threads.
    pub threads: usize,
}

impl Dataset {
    /// Writes the images one after another to `out`, which must have `images × width × height × 3` bytes.
    ///
    /// # Errors
    /// Returns the first fault of an image; the contents of `out` are then undefined.
    pub fn batch(&self, images: &[u32], batch: &Batch, out: &mut [u8]) -> Result<()> {
        let each = batch.image_size.0 as usize * batch.image_size.1 as usize * 3;
        if each == 0 || out.len() != images.len() * each {
            return Err(Error::Internal("a batch of another size than its memory".into()));
        }
        let work = Mutex::new(images.iter().zip(out.chunks_exact_mut(each)));
        let run = || -> Result<()> {
            let mut scratch = self.take_scratch()?;
            loop {
                let next = work.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((&image, out)) = next else { break };
                let image = image as usize;
                if let Some((rows, at)) = self.ready_row(image, batch) {
                    let part = (at.width, at.height);
                    let (size, layout) = (batch.image_size, batch.layout);
                    let view = View { corner: (0, 0), part, size, mirrored: false, layout };
                    self.view_row((rows, &at), image, &view, &mut scratch, out)?;
                    continue;
                }
                let entry = self.entry(image)?;
                let size = (entry.record.width, entry.record.height);
                let view = view_of(&entry, batch)?;
                if let Some((rows, at, is_whole)) = self.row_for(image, size, batch) {
                    let part = (at.width, at.height);
                    let view = if is_whole { View { corner: (0, 0), part, ..view } } else { view };
                    self.view_row((rows, &at), image, &view, &mut scratch, out)?;
                    continue;
                }
                self.read(self.verify, (image, &entry), &mut scratch, |file, images| {
                    images.view(file, size, &view, out).map_err(|e| self.other_pixels(&entry.path, e))
                })?;
            }
            if let Ok(mut kept) = self.scratch.try_lock() {
                kept.push(scratch);
            }
            Ok(())
        };
        // After an error, no thread begins another image.
        let run = || {
            run().inspect_err(|_| work.lock().unwrap_or_else(PoisonError::into_inner).by_ref().for_each(drop))
        };
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..batch.threads.min(images.len())).map(|_| scope.spawn(run)).collect();
            let mut ended = run();
            for other in others {
                let other = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                ended = ended.and(other);
            }
            ended
        })
    }

    /// Writes a part of a row to `out`.
    fn view_row(
        &self,
        (rows, at): (&Rows, &RowAt),
        image: usize,
        view: &View,
        scratch: &mut Scratch,
        out: &mut [u8],
    ) -> Result<()> {
        let part = (at.width, at.height);
        let is_row = (view.part, view.size, view.layout) == (part, part, SampleOrder::Interleaved);
        if is_row && !view.mirrored {
            return self.read_row(rows, image, at, out);
        }
        scratch.row.resize(at.length() as usize, 0);
        self.read_row(rows, image, at, &mut scratch.row)?;
        let Scratch { images, row, .. } = scratch;
        images
            .view_of_pixels(row, part, view, out)
            .map_err(|e| self.other_pixels(&self.path(image).unwrap_or_default(), e))
    }
}

/// Returns the part of an image that a batch takes.
pub(super) fn view_of(entry: &Entry, batch: &Batch) -> Result<View> {
    let (path, size) = (&entry.path, (entry.record.width, entry.record.height));
    let (window, mirrored) = batch.augment.choose(batch.seed, batch.epoch, path, size.0, size.1);
    if batch.augment.crop == Crop::None && size != batch.image_size {
        let (has, first) =
            (format!("{}x{}", size.0, size.1), format!("{}x{}", batch.image_size.0, batch.image_size.1));
        let why = format!("has {has} pixels and the first image {first}: a batch of both needs a crop");
        return Err(Error::invalid(path, why));
    }
    Ok(View {
        corner: (window.x, window.y),
        part: (window.width, window.height),
        size: batch.image_size,
        mirrored,
        layout: batch.layout,
    })
}

//! [`Neighbours`]: images whose embeddings are near each other. They may be copies that no hash tells, or
//! show the same thing.

use std::path::Path;

use super::features::of_path;
use super::subject::Subject;
use crate::audit::learn::Space;
use crate::audit::learn::neighbours::nearest;
use crate::audit::matrix::Matrix;
use crate::parallel;
use crate::progress::Progress;
use isn_format::error::{Error, Result};

/// The number of neighbours of an image that are considered.
const NEAREST: usize = 50;

/// The default minimum cosine of neighbours.
pub const COSINE: f64 = 0.9;

/// Two images whose embeddings are near each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbours {
    /// The first image, by its position in [`Subject::images`].
    pub a: usize,
    /// The second image, which comes after the first.
    pub b: usize,
    /// The cosine of their embeddings.
    pub cosine: f32,
}

/// Finds the images that are among the fifty nearest of another, with at least this cosine, by the embeddings
/// in a file or folder. Images that cannot be decoded are in no pair.
///
/// # Errors
/// [`Error::Invalid`] if the embeddings are not valid, or not those of the
/// images; those of reading an image.
pub fn neighbours(
    subject: &Subject,
    embeddings: &Path,
    cosine: f64,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<Vec<Neighbours>> {
    let ByImage { space, images } = ByImage::read(subject, embeddings, Space::unit, jobs, progress)?;
    let pairs = |row: usize, others: &[(f32, usize)]| -> Vec<Neighbours> {
        let near = others.iter().filter(|(near, _)| f64::from(*near) >= cosine);
        let pair = near.map(|&(cosine, other)| {
            let (a, b) = (images[row.min(other)], images[row.max(other)]);
            Neighbours { a, b, cosine: cosine.min(1.0) }
        });
        pair.collect()
    };
    let mut all = parallel::pool(jobs)?.install(|| nearest(&space, NEAREST, pairs));
    all.sort_unstable_by_key(|pair| (pair.a, pair.b));
    all.dedup_by_key(|pair| (pair.a, pair.b));
    Ok(all)
}

/// Embeddings of the images of a subject.
pub struct ByImage {
    space: Space,
    /// The image of each row, by its position in [`Subject::images`].
    images: Vec<usize>,
}

impl ByImage {
    /// Reads the embeddings in a file or folder, normalised as learners of labels do.
    ///
    /// # Errors
    /// As [`neighbours`].
    pub fn open(
        subject: &Subject,
        embeddings: &Path,
        jobs: usize,
        progress: &dyn Progress,
    ) -> Result<ByImage> {
        ByImage::read(subject, embeddings, Space::of, jobs, progress)
    }

    fn read(
        subject: &Subject,
        embeddings: &Path,
        normalise: fn(&Matrix) -> Space,
        jobs: usize,
        progress: &dyn Progress,
    ) -> Result<ByImage> {
        let (rows, undecodable) = of_path(subject, embeddings, jobs, progress)?;
        if rows.columns() == 0 {
            return Err(Error::invalid(embeddings.display(), "has rows of no numbers"));
        }
        rows.check_finite(&embeddings.display().to_string())?;
        let mut images: Vec<usize> = (0..subject.images.len()).collect();
        for (at, _) in undecodable.iter().rev() {
            images.remove(*at);
        }
        Ok(ByImage { space: normalise(&rows), images })
    }

    /// Returns those of some images that are nearest to one, the nearest first, at most `count`. Images
    /// without an embedding are left out.
    pub fn nearest(&self, at: usize, among: &[usize], count: usize) -> Vec<usize> {
        let row = |image: &usize| self.images.binary_search(image).ok();
        let Some(own) = row(&at) else { return Vec::new() };
        let cosine = |row: usize| -> f64 {
            self.space.row(own).iter().zip(self.space.row(row)).map(|(a, b)| a * b).sum()
        };
        let others = among.iter().filter(|&&image| image != at);
        let mut near: Vec<(f64, usize)> =
            others.filter_map(|image| Some((cosine(row(image)?), *image))).collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        near.truncate(count);
        near.into_iter().map(|(_, image)| image).collect()
    }
}

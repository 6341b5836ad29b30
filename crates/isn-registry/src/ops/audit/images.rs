//! `isn audit images`: finds images that are broken, tiny, blank, without colour, or much longer than wide.

use std::collections::BTreeMap;

use super::looks::look;
use super::subject::Subject;
use crate::audit::health::{Limits, Remark, remarks};
use crate::audit::look::Look;
use crate::progress::Progress;
use isn_format::error::Result;

/// A remark about one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remarked {
    /// The position of the image in [`Subject::images`].
    pub at: usize,
    /// The remark.
    pub remark: Remark,
    /// The figures behind the remark, or why the image cannot be decoded.
    pub why: String,
}

/// The outcome of the audit.
#[derive(Debug)]
pub struct ImagesReport {
    /// The number of images.
    pub images: usize,
    /// The remarks, the gravest first, then in the order of the images.
    pub found: Vec<Remarked>,
    /// The images with an EXIF orientation, by their positions, each with it: 1 turns nothing.
    pub orientations: Vec<(usize, u8)>,
}

impl ImagesReport {
    /// Returns the images whose orientation turns or mirrors the picture.
    pub fn turned(&self) -> impl Iterator<Item = (usize, u8)> {
        self.orientations.iter().copied().filter(|(_, orientation)| *orientation != 1)
    }

    /// Returns the images with a remark, by their positions, each with the figures behind it.
    pub fn with(&self, remark: Remark) -> impl Iterator<Item = (usize, String)> {
        self.found
            .iter()
            .filter(move |found| found.remark == remark)
            .map(|found| (found.at, found.why.clone()))
    }

    /// Counts each kind of remark, including zeros.
    pub fn counts(&self) -> BTreeMap<Remark, usize> {
        let mut counts: BTreeMap<Remark, usize> = Remark::ALL.iter().map(|&remark| (remark, 0)).collect();
        self.found.iter().for_each(|found| *counts.entry(found.remark).or_default() += 1);
        counts
    }
}

/// Finds single images that are not as they should be.
///
/// # Errors
/// `Error::Integrity` or `Error::Network` if an image of a version cannot be fetched.
pub fn images(
    subject: &Subject,
    limits: &Limits,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<ImagesReport> {
    Ok(among(&look(subject, jobs, progress)?, limits))
}

/// Makes the report for images that have been decoded.
pub fn among(looks: &[Look], limits: &Limits) -> ImagesReport {
    let of_one = |(at, look): (usize, &Look)| {
        let remarks = match &look.seen {
            Ok(seen) => remarks(seen, limits),
            Err(why) => vec![(Remark::Broken, why.clone())],
        };
        remarks.into_iter().map(move |(remark, why)| Remarked { at, remark, why }).collect::<Vec<_>>()
    };
    let mut found: Vec<Remarked> = looks.iter().enumerate().flat_map(of_one).collect();
    found.sort_by_key(|found| (found.remark, found.at));
    let orientations =
        looks.iter().enumerate().filter_map(|(at, look)| Some((at, look.orientation?))).collect();
    ImagesReport { images: looks.len(), found, orientations }
}

//! `isn audit images`: images that are broken, tiny, blank, without colour, or much longer than wide.

use std::collections::BTreeMap;

use super::looks::look;
use super::subject::Subject;
use crate::audit::health::{Limits, Remark, remarks};
use crate::audit::look::Look;
use crate::progress::Progress;
use isn_format::error::Result;

/// One remarkable thing about one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remarked {
    /// Its place in [`Subject::images`].
    pub at: usize,
    /// What it is.
    pub remark: Remark,
    /// By which figures, or why there are no pixels.
    pub why: String,
}

/// What was found.
#[derive(Debug)]
pub struct ImagesReport {
    /// How many images there are.
    pub images: usize,
    /// What is remarkable, the gravest first, then in the order of the images.
    pub found: Vec<Remarked>,
}

impl ImagesReport {
    /// How often each remark is made; all of them are there.
    pub fn counts(&self) -> BTreeMap<Remark, usize> {
        let mut counts: BTreeMap<Remark, usize> = Remark::ALL.iter().map(|&remark| (remark, 0)).collect();
        self.found.iter().for_each(|found| *counts.entry(found.remark).or_default() += 1);
        counts
    }
}

/// Looks for what is wrong with single images.
pub fn images(
    subject: &Subject,
    limits: &Limits,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<ImagesReport> {
    Ok(among(&look(subject, jobs, progress)?, limits))
}

/// The same of images that were looked at.
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
    ImagesReport { images: looks.len(), found }
}

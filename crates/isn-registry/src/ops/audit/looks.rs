//! Looking at every image of a [`Subject`] once, on all threads: what the audits of pixels are made of.

use super::subject::Subject;
use crate::audit::look::Look;
use crate::parallel::in_order;
use crate::progress::{Progress, Unit};
use isn_format::error::{Error, Result};

/// A look at each image, in their order. An image that cannot be read is one that has no pixels; a registry that cannot be
/// reached, or that has other bytes, ends it.
pub fn look(subject: &Subject, jobs: usize, progress: &dyn Progress) -> Result<Vec<Look>> {
    let all: Vec<usize> = (0..subject.images.len()).collect();
    let mut looks = Vec::with_capacity(all.len());
    progress.begin("look at images", Unit::Images, all.len() as u64);
    let work = |(): &mut (), at: &usize| match subject.read(*at) {
        Ok(bytes) => Ok(Look::at(&bytes)),
        Err(Error::Io { source, .. }) => {
            let mut look = Look::at(&[]);
            look.seen = Err(format!("cannot be read: {source}"));
            Ok(look)
        }
        Err(e) => Err(e),
    };
    in_order(
        jobs,
        jobs * 8,
        &all,
        || (),
        work,
        |_, look| {
            looks.push(look?);
            progress.advance(1);
            Ok::<(), Error>(())
        },
    )?;
    progress.end();
    Ok(looks)
}

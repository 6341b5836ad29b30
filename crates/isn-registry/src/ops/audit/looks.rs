//! Decodes every image of a [`Subject`] once, on all threads, for the audits of pixels.

use super::subject::Subject;
use crate::audit::look::Look;
use crate::parallel::in_order;
use crate::progress::{Progress, Unit};
use isn_format::digest::Digest;
use isn_format::error::{Error, Result};

/// Decodes each image, in order. An image that cannot be read counts as one without pixels.
///
/// # Errors
/// [`Error::Network`] or [`Error::Integrity`] if a registry does not answer or serves wrong bytes.
pub fn look(subject: &Subject, jobs: usize, progress: &dyn Progress) -> Result<Vec<Look>> {
    let all: Vec<usize> = (0..subject.images.len()).collect();
    let mut looks = Vec::with_capacity(all.len());
    progress.begin("look at images", Unit::Images, all.len() as u64);
    let work = |(): &mut (), at: &usize| match subject.read(*at) {
        Ok(bytes) => Ok(Look::at(&bytes, subject.orientation)),
        Err(Error::Io { source, .. }) if subject.is_folder() => {
            Ok(unread(format!("cannot be read: {source}")))
        }
        Err(Error::Invalid { why, .. }) if subject.is_folder() => Ok(unread(why)),
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

/// An image without pixels, for the reason `why`.
fn unread(why: String) -> Look {
    Look { blake3: Digest::of(&[]), orientation: None, seen: Err(why) }
}

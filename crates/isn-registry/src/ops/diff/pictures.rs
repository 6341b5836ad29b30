//! Thumbnails of the images that changed.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::runtime::Runtime;

use super::Change;
use super::side::{From, Side};
use crate::files;
use crate::progress::{Progress, Unit};
use crate::steps::images::{self, Carrier};
use isn_format::digest::Digest;
use isn_format::error::{Error, Result};
use isn_format::index::Images;
use isn_format::pixel_spec::{Encoding, ExifOrientation, Filter, PixelSpec, Small};
use isn_format::shard::MAX_IMAGE_LEN;
use isn_pixels::{Outcome, Pipeline};

/// The shortest side of a picture, in pixels.
const SIDE: u32 = 160;

/// Adds pictures to each change, as far as they are available. Returns why some are not.
pub(super) fn add(
    runtime: &Runtime,
    old: &Side,
    new: &Side,
    changes: &mut [Change],
    jobs: usize,
    progress: &dyn Progress,
) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    let mut of = |side: &Side, placements: Vec<(Digest, String)>| -> Result<BTreeMap<Digest, Vec<u8>>> {
        match thumbnails(runtime, side, &placements, jobs, progress) {
            // A rebuild-only release has no images to show.
            Err(e @ Error::SourceNeeded { .. }) => {
                warnings.push(format!("no pictures: {e}"));
                Ok(BTreeMap::new())
            }
            other => other,
        }
    };
    let placements =
        |placement: fn(&Change) -> Option<&super::Placement>, changes: &[Change]| -> Vec<(Digest, String)> {
            changes
                .iter()
                .filter_map(placement)
                .map(|placement| (placement.blake3, placement.path.clone()))
                .collect()
        };
    let before = of(old, placements(|change| change.old.as_ref(), changes))?;
    let after = of(new, placements(|change| change.new.as_ref(), changes))?;
    for change in changes {
        let picture = |from: &BTreeMap<Digest, Vec<u8>>, placement: &Option<super::Placement>| {
            placement.as_ref().and_then(|placement| from.get(&placement.blake3).cloned())
        };
        change.pictures = (picture(&before, &change.old), picture(&after, &change.new));
    }
    Ok(warnings)
}

fn thumbnails(
    runtime: &Runtime,
    side: &Side,
    placements: &[(Digest, String)],
    jobs: usize,
    progress: &dyn Progress,
) -> Result<BTreeMap<Digest, Vec<u8>>> {
    let made = Mutex::new(BTreeMap::new());
    let make = |image: &Digest, bytes: &[u8]| -> Result<()> {
        // An image that cannot be decoded gets no picture.
        if let Ok(Outcome::Built(built)) = pipeline().build(bytes) {
            made.lock().unwrap_or_else(PoisonError::into_inner).insert(*image, built.bytes);
        }
        progress.advance(1);
        Ok(())
    };
    progress.begin("pictures", Unit::Images, placements.len() as u64);
    let outcome =
        match &side.from {
            From::Tree(root) => placements.iter().try_for_each(|(image, path)| {
                match files::read_capped_if_there(&root.join(path), MAX_IMAGE_LEN)?
                    .filter(|bytes| Digest::of(bytes) == *image)
                {
                    Some(bytes) => make(image, &bytes),
                    None => Ok(()),
                }
            }),
            From::Registry(registry, snapshot) => {
                let all = Images::all(snapshot.index());
                let wanted = placements.iter().filter_map(|(image, _)| all.get(image));
                let wanted = Images::of(snapshot.index(), wanted);
                let mut packs = runtime.block_on(registry.packs(snapshot, &wanted))?;
                images::by_any_list(runtime, registry, (snapshot, &wanted), &mut packs, |packs| {
                    let segments = images::plan(runtime, registry, snapshot, packs, &wanted)?;
                    Carrier { runtime, registry, packs, jobs }.bring(segments, &wanted, &make)
                })
            }
        };
    progress.end();
    outcome?;
    Ok(made.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn pipeline() -> Pipeline {
    Pipeline::new(PixelSpec {
        size: SIDE,
        filter: Filter::Bilinear,
        encode: Encoding::Jpeg { quality: 85 },
        small: Small::Keep,
        exif_orientation: ExifOrientation::Ignore,
    })
}

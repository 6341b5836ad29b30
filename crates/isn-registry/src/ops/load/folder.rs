//! Opens the images of a build or of a tree, where they lie. Neither a registry nor the cache is asked.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::{LoadOptions, TABLE, frames, select};
use crate::client::version_at::{Local, describe_build};
use crate::dataset::{Basis, Dataset, Parts, Places};
use crate::files;
use crate::identity::Identity;
use crate::parallel;
use crate::registry::{UNSIGNED, build};
use crate::transport;
use crate::tree_file::read_lists;
use isn_format::description::Description;
use isn_format::error::{At, Error, Result};
use isn_format::index::Images;
use isn_format::pixel_spec::ExifOrientation;
use isn_format::rel_path::RelPath;
use isn_format::shard::MAX_IMAGE_LEN;
use isn_format::split::Split;
use isn_format::sums::LineRef;
use isn_format::table::Table;
use isn_format::tree::{CLASSES, Origin, Selection};
use isn_pixels::dimensions;

/// What may come before the size of an image that isn has encoded, in bytes, and much more.
const MAX_HEADER: u64 = 64 << 10;

pub(super) fn open(folder: &Path, options: &LoadOptions<'_>) -> Result<Dataset> {
    match Local::at(folder)? {
        Local::Build => of_build(folder, options).map_err(build::of_build),
        Local::Tree => of_tree(folder, options),
    }
}

fn of_build(folder: &Path, options: &LoadOptions<'_>) -> Result<Dataset> {
    let runtime = transport::runtime()?;
    let (registry, snapshot) = runtime.block_on(describe_build(folder))?;
    let packs = runtime.block_on(registry.packs(&snapshot, &Images::all(snapshot.index())))?;
    let table = Table::new(snapshot.index(), snapshot.sums(), &packs)?;
    let (manifest, classes_csv) = (&snapshot.head.manifest, snapshot.classes_csv().to_vec());
    let description = Description::new((TABLE, table), (CLASSES, classes_csv), manifest)?;
    let identity = snapshot.head.identity();
    let chosen = select(&identity.pin, &manifest.tally.splits(), &description, options.selection)?;
    let table = description.rows();
    let at_hand = |shard: &_| registry.shard_at_hand(shard);
    let (places, missing) = Places::find(table.shards(), frames(table, &chosen), at_hand, None)?;
    if let Some(first) = missing.first().and_then(|first| chosen.row(*first)) {
        let why = format!("has no shard with {}", table.entry(first)?.path);
        return Err(Error::integrity(folder.display(), why));
    }
    let (unsigned, verify) = (snapshot.head.unsigned(), options.verify);
    let (warnings, places) = (snapshot.head.warnings, places.of_build());
    let (index, basis) = (Some(manifest.objects.index.blake3), Basis::Packs);
    let part = options.selection.clone();
    Ok(Dataset::new(Parts {
        identity,
        part,
        index,
        description,
        warnings,
        unsigned,
        chosen,
        places,
        basis,
        verify,
    }))
}

/// A tree has no index: the sizes of its images come from their headers.
fn of_tree(folder: &Path, options: &LoadOptions<'_>) -> Result<Dataset> {
    let lists = read_lists(folder)?;
    let lines: Vec<LineRef<'_>> = lists.sums.images().collect();
    let sizes = parallel::pool(options.jobs)?.install(|| {
        lines.par_iter().map(|line| size(&line.path.under(folder))).collect::<Result<Vec<_>>>()
    })?;
    let what = folder.display().to_string();
    let table = Table::of_files(&what, &lists.sums, &sizes).map_err(|e| e.at(At::Tree))?;
    let classes_what = folder.join(CLASSES).display().to_string();
    let (description, counts) = Description::of_tree((&what, table), (&classes_what, lists.classes_csv))
        .map_err(|e| e.at(At::Tree))?;
    let identity = Identity::of_tree(&what, lists.origin.clone(), lists.images)?;
    let splits: Vec<Split> = counts.keys().copied().collect();
    let chosen = select(&identity.pin, &splits, &description, options.selection)?;
    let chosen_lines = || chosen.ranges().flat_map(|rows| &lines[rows]);
    let paths = chosen_lines().map(|line| line.path.under(folder));
    let places = Places::of_files(paths.collect::<Vec<PathBuf>>());
    let part = part_of(lists.origin, options.selection, || {
        chosen_lines().map(|line| line.path.to_owned()).collect()
    });
    let (index, warnings, basis, verify) = (None, Vec::new(), Basis::Files, options.verify);
    // What a pull has checked is said in a file that anybody may have changed since.
    let unsigned = &UNSIGNED;
    Ok(Dataset::new(Parts {
        identity,
        part,
        index,
        description,
        warnings,
        unsigned,
        chosen,
        places,
        basis,
        verify,
    }))
}

/// Returns what a selection of a tree is of the whole version, of which the tree may have a part.
fn part_of(origin: Origin, selected: &Selection, images: impl Fn() -> Vec<RelPath>) -> Selection {
    match (origin.selection(), selected.is_all()) {
        (of_tree, true) => of_tree,
        (of_tree, false) if of_tree.is_all() => selected.clone(),
        (_, false) => Selection { images: images(), ..Selection::default() },
    }
}

/// Returns the width and height in pixels of the image at `path`, and its length in bytes. Only its header is
/// read: the rest may be long.
fn size(path: &Path) -> Result<(u32, u32, u64)> {
    let wrong = |why: String| Error::integrity(path.display(), why).at(At::Tree);
    let file = files::if_there(files::open(path))?.ok_or_else(|| wrong("is missing".into()))?;
    let length = file.metadata().map_err(Error::io("look at", path))?.len();
    if length > MAX_IMAGE_LEN {
        return Err(wrong(format!("has {length} bytes, and an image has at most {MAX_IMAGE_LEN}")));
    }
    let mut header = Vec::new();
    file.take(MAX_HEADER).read_to_end(&mut header).map_err(Error::io("read", path))?;
    let damaged = |e| wrong(format!("is damaged or edited: {e}"));
    let (width, height) = dimensions(&header, ExifOrientation::Ignore).map_err(damaged)?;
    Ok((width, height, length))
}

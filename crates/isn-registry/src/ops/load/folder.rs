//! Opens the images of a build or of a tree, where they lie. Neither a registry nor the cache is asked.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::{LoadOptions, TABLE, frames};
use crate::client::version_at::{Local, describe_build};
use crate::dataset::{Basis, Dataset, Parts, Places};
use crate::files;
use crate::identity::Identity;
use crate::parallel;
use crate::registry::build;
use crate::steps::selection::check_parts;
use crate::transport;
use crate::tree_file::read_lists;
use isn_format::description::{Counts, Description};
use isn_format::error::{At, Error, Result};
use isn_format::pixel_spec::ExifOrientation;
use isn_format::shard::MAX_IMAGE_LEN;
use isn_format::table::Table;
use isn_format::tree::{CLASSES, Line};
use isn_pixels::dimensions;

pub(super) fn open(folder: &Path, options: &LoadOptions<'_>) -> Result<Dataset> {
    match Local::at(folder)? {
        Local::Build => of_build(folder, options).map_err(build::of_build),
        Local::Tree => of_tree(folder, options),
    }
}

fn of_build(folder: &Path, options: &LoadOptions<'_>) -> Result<Dataset> {
    let runtime = transport::runtime()?;
    let (registry, snapshot) = runtime.block_on(describe_build(folder))?;
    let packs = runtime.block_on(registry.packs(&snapshot))?;
    let table = Table::new(snapshot.index(), snapshot.sums(), &packs)?;
    let (manifest, classes_csv) = (&snapshot.head.manifest, snapshot.classes_csv().to_vec());
    let description = Description::new((TABLE, table), (CLASSES, classes_csv), manifest)?;
    let identity = snapshot.head.identity();
    let rows = selected(&identity, &description, &manifest.splits, options)?;
    let table = description.rows();
    let at_hand = |shard: &_| registry.shard_at_hand(shard);
    let (places, missing) = Places::find(table.shards(), &frames(table, &rows), at_hand, None);
    if let Some(&first) = missing.first() {
        let why = format!("has no shard with {}", table.path(rows[first] as usize));
        return Err(Error::integrity(folder.display(), why));
    }
    let (unsigned, verify) = (snapshot.head.unsigned(), options.verify);
    let warnings = snapshot.head.warnings;
    let (index, basis) = (Some(manifest.objects.index.blake3), Basis::Packs);
    Ok(Dataset::new(Parts { identity, index, description, warnings, unsigned, rows, places, basis, verify }))
}

/// A tree has no index: the sizes of its images come from their headers.
fn of_tree(folder: &Path, options: &LoadOptions<'_>) -> Result<Dataset> {
    let lists = read_lists(folder)?;
    let lines: Vec<&Line> = lists.sums.lines().iter().filter(|line| line.path.as_str() != CLASSES).collect();
    let sizes = parallel::pool(options.jobs)?.install(|| {
        lines.par_iter().map(|line| size(&line.path.under(folder))).collect::<Result<Vec<_>>>()
    })?;
    let what = folder.display().to_string();
    let table = Table::of_files(&what, &lists.sums, &sizes)?;
    let classes_what = folder.join(CLASSES).display().to_string();
    let (description, counts) = Description::of_tree((&what, table), (&classes_what, lists.classes_csv))
        .map_err(|e| e.at(At::Tree))?;
    let identity = Identity::of_tree(&what, lists.origin, lists.images)?;
    let rows = selected(&identity, &description, &counts, options)?;
    let paths = rows.iter().map(|&row| lines[row as usize].path.under(folder));
    let places = Places::of_files(paths.collect::<Vec<PathBuf>>());
    let (index, warnings, basis, verify) = (None, Vec::new(), Basis::Packs, options.verify);
    let unsigned = &[];
    Ok(Dataset::new(Parts { identity, index, description, warnings, unsigned, rows, places, basis, verify }))
}

/// Returns the rows of the selected images.
fn selected(
    identity: &Identity,
    description: &Description<Table>,
    counts: &Counts,
    options: &LoadOptions<'_>,
) -> Result<Vec<u32>> {
    let (table, selection) = (description.rows(), options.selection);
    check_parts(&identity.pin, counts.keys(), description.classes(), selection)?;
    let includes = selection.filter();
    Ok((0..table.images() as u32).filter(|&image| includes(table.path(image as usize))).collect())
}

/// Returns the width and height in pixels of the image at `path`, and its length in bytes.
fn size(path: &Path) -> Result<(u32, u32, u64)> {
    let missing = || Error::integrity(path.display(), "is missing").at(At::Tree);
    let bytes = files::read_capped_if_there(path, MAX_IMAGE_LEN)?.ok_or_else(missing)?;
    let damaged = |e| Error::integrity(path.display(), format!("is damaged or edited: {e}")).at(At::Tree);
    let (width, height) = dimensions(&bytes, ExifOrientation::Ignore).map_err(damaged)?;
    Ok((width, height, bytes.len() as u64))
}

//! `isn images`: lists the images of a version, without their pixels.

use crate::client::Client;
use crate::client::version_at::VersionAt;
use crate::registry::Snapshot;
use crate::steps::selection::check_selection;
use crate::steps::unsigned;
use crate::transport;
use isn_format::error::{Error, Result};
use isn_format::index::Row;
use isn_format::source_kind::SourceKind;
use isn_format::split::Split;
use isn_format::tree::Selection;

/// The images of a version.
pub struct ImagesReport {
    /// The version.
    pub snapshot: Snapshot,
    /// The selected images, sorted by path, each with its split in the source.
    pub images: Vec<(Row, Split)>,
}

/// Lists the images of `selection`. With `origin`, lists only those that are in that split of the source.
///
/// # Errors
/// [`Error::NotFound`] if the version does not exist or the selection is empty; otherwise those of describing
/// a version.
pub fn images(
    client: &Client,
    version: &VersionAt,
    selection: &Selection,
    origin: Option<Split>,
) -> Result<ImagesReport> {
    let (_, mut snapshot) = transport::runtime()?.block_on(version.describe(client))?;
    check_selection(&snapshot, selection)?;
    let source: SourceKind =
        snapshot.head.manifest.source.parse().map_err(|why| Error::invalid(snapshot.head.pin(), why))?;
    let notice = unsigned::notice(snapshot.head.unsigned());
    snapshot.head.warnings.extend(notice);
    let includes = selection.filter();
    let images = snapshot.index().rows().iter().filter(|row| includes(row.path.as_str()));
    let images = images.map(|row| (row.clone(), row.origin(source)));
    let images = images.filter(|(_, split)| origin.is_none_or(|wanted| wanted == *split)).collect();
    Ok(ImagesReport { snapshot, images })
}

//! `isn images`: lists the images of a version, without their pixels.

use crate::client::Client;
use crate::client::version_at::VersionAt;
use crate::registry::Snapshot;
use crate::steps::selection::check_selection;
use crate::steps::unsigned;
use crate::transport;
use isn_format::error::{Error, Result};
use isn_format::index::{Full, FullRow, Sources};
use isn_format::source_kind::SourceKind;
use isn_format::split::Split;
use isn_format::tree::Selection;

/// The images of a version.
pub struct ImagesReport {
    /// The version.
    pub snapshot: Snapshot,
    sources: Sources,
    /// The rows of the selected images, each with its split in the source.
    rows: Vec<(usize, Split)>,
}

impl ImagesReport {
    /// The selected images, sorted by path, each with its split in the source.
    pub fn images(&self) -> impl Iterator<Item = (FullRow<'_>, Split)> {
        let full = Full { index: self.snapshot.index(), sources: &self.sources };
        self.rows.iter().map(move |(at, origin)| (full.row(*at), *origin))
    }
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
    let runtime = transport::runtime()?;
    let (registry, mut snapshot) = runtime.block_on(version.describe_part(client, selection))?;
    check_selection(&snapshot, selection)?;
    let source: SourceKind =
        snapshot.head.manifest.source.parse().map_err(|why| Error::invalid(snapshot.head.pin(), why))?;
    let notice = unsigned::notice(snapshot.head.unsigned());
    snapshot.head.warnings.extend(notice);
    let includes = selection.filter();
    let sources = runtime.block_on(registry.sources(&snapshot))?;
    let full = Full { index: snapshot.index(), sources: &sources };
    let rows = full.rows().filter(|row| includes(row.path().as_str()));
    let rows = rows.map(|row| (row.at(), row.origin(source)));
    let rows = rows.filter(|(_, split)| origin.is_none_or(|wanted| wanted == *split)).collect();
    Ok(ImagesReport { snapshot, sources, rows })
}

//! A version built again from the user's own source, in place of fetching its images.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use tokio::runtime::Runtime;

use crate::error::{Error, Result};
use crate::files;
use crate::index::{Index, Row};
use crate::object::ObjectRef;
use crate::ops::build::{BuildOptions, Inputs, build};
use crate::ops::verify::store::MANIFEST_JSON;
use crate::progress::Progress;
use crate::registry::{Registry, Snapshot};
use crate::transport::folder::Folder;

/// What was built.
pub(super) struct Rebuilt {
    pub(super) out: PathBuf,
    pub(super) build: Registry,
    pub(super) snapshot: Snapshot,
}

/// Builds the version of `snapshot` into `out`; it must arrive at the same dataset hash.
pub(super) fn rebuild(
    runtime: &Runtime,
    registry: &Registry,
    snapshot: &Snapshot,
    source: &Path,
    out: PathBuf,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<Rebuilt> {
    let inputs = Inputs::of_version(runtime, registry, snapshot)?;
    build(&BuildOptions { inputs: &inputs, source, out: &out, jobs }, progress)?;
    let manifest = ObjectRef::of(&files::read(&out.join(MANIFEST_JSON))?);
    let build = Registry::over(out.display().to_string(), Box::new(Folder::new(&out)));
    let rebuilt = runtime.block_on(build.describe(manifest, Vec::new()))?;
    if rebuilt.manifest.dataset != snapshot.manifest.dataset {
        let why = differences(&snapshot.index, &rebuilt.index);
        files::remove_dir_all(&out)?;
        let what = format!("{} built from {}", snapshot.manifest.pin(), source.display());
        return Err(Error::integrity(
            what,
            format!("has dataset hash {}{why}", rebuilt.manifest.dataset.prefixed()),
        ));
    }
    Ok(Rebuilt { out, build, snapshot: rebuilt })
}

/// Which images of a rebuilt version are not those of the release, and whether the source file is to blame.
fn differences(released: &Index, rebuilt: &Index) -> String {
    let ours: HashMap<&str, &Row> = rebuilt.rows().iter().map(|row| (row.path.as_str(), row)).collect();
    let theirs: HashMap<&str, &Row> = released.rows().iter().map(|row| (row.path.as_str(), row)).collect();
    let mut lines = Vec::new();
    for row in released.rows() {
        let why = match ours.get(row.path.as_str()) {
            Some(found) if found.blake3 == row.blake3 => continue,
            None => "is not made from this source",
            Some(found) if found.source_blake3 != row.source_blake3 => "its source file is another",
            Some(_) => "its source file is the same: the decoder differs",
        };
        lines.push(format!("\n  {}: {why}", row.path));
    }
    let extra = rebuilt.rows().iter().filter(|row| !theirs.contains_key(row.path.as_str()));
    lines.extend(extra.map(|row| format!("\n  {}: is not in the release", row.path)));
    lines.concat()
}

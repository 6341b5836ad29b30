//! `isn cache verify`: checks the files of the cache against their names, and tables against the index and
//! packs that they were made from.

use tokio::runtime::Runtime;

use crate::cache::{Cache, Damaged};
use crate::client::complete;
use crate::progress::Progress;
use crate::registry::{Head, Registry};
use crate::transport;
use crate::transport::folder::Folder;
use isn_format::digest::Digest;
use isn_format::error::Result;
use isn_format::index::Images;
use isn_format::table::{Check, Table};

/// No index has more rows than this.
const MAX_IMAGES: u64 = 10_000_000;

/// Checks every file of the cache that can be checked, and sets aside the damaged ones. Returns the number of
/// files checked, and the damaged ones.
///
/// # Errors
/// `Error::Io` if the cache cannot be read.
pub fn verify(cache: &Cache, jobs: usize, progress: &dyn Progress) -> Result<(u64, Vec<Damaged>)> {
    let (mut checked, mut damaged) = cache.verify(jobs, progress)?;
    let runtime = transport::runtime()?;
    for (index, path) in cache.tables()? {
        checked += 1;
        if !is_right(&runtime, cache, &index) {
            cache.set_aside(&path);
            damaged.push(Damaged { path });
        }
    }
    Ok((checked, damaged))
}

/// Whether a table agrees with its index and packs. If the cache does not hold all of these, whether the
/// table is consistent in itself. One that isn 0.1.0 made is not read by anybody.
fn is_right(runtime: &Runtime, cache: &Cache, index: &Digest) -> bool {
    let Some(file) = cache.look_at_table(index) else { return false };
    if Table::is_old(&file) {
        return true;
    }
    let Ok(table) = Table::open("table", file, Check::Once, MAX_IMAGES) else { return false };
    if table.check().is_err() {
        return false;
    }
    // The cache stores objects as a registry does; its lists of packs are in `hints`.
    let hints = Box::new(Folder::new(&cache.root().join("hints")));
    let registry = Registry::over("the cache".into(), hints).with_cache(Some(cache.clone()));
    let is_its = |head: &Head| head.manifest.objects.index.blake3 == *index;
    let head = runtime.block_on(registry.cached_head(&table.dataset())).filter(is_its);
    // Versions with the same images have one dataset hash, by which the cache finds one of them.
    let Some(head) = head else {
        return !cache
            .pins()
            .any(|pin| runtime.block_on(registry.cached_head(&pin)).is_some_and(|head| is_its(&head)));
    };
    let version = runtime.block_on(async {
        let snapshot = complete(&registry, head).await.ok()?;
        let packs = registry.packs(&snapshot, &Images::all(snapshot.index())).await.ok()?;
        Some((snapshot, packs))
    });
    version.is_none_or(|(snapshot, packs)| table.is_of(snapshot.index(), &packs))
}

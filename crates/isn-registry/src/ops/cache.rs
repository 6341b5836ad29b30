//! `isn cache verify`: what is in the cache against its names, and tables against what they were made of.

use tokio::runtime::Runtime;

use crate::cache::{Cache, Damaged};
use crate::client::complete;
use crate::progress::Progress;
use crate::registry::Registry;
use crate::transport;
use crate::transport::folder::Folder;
use isn_format::digest::Digest;
use isn_format::error::Result;
use isn_format::table::Table;

/// No index has more.
const MAX_IMAGES: u64 = 10_000_000;

/// Checks every file that isn can check, and sets aside those that are wrong. Gives how many there were, and these.
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

/// Whether a table is as its index and packs say. Where the cache has not all of these, it has to agree with itself alone.
fn is_right(runtime: &Runtime, cache: &Cache, index: &Digest) -> bool {
    let table = cache.look_at_table(index, Table::max_len(MAX_IMAGES));
    let Some(table) = table.and_then(|bytes| Table::parse("table", &bytes).ok()) else { return false };
    // Objects are in the cache as a registry has them; lists of packs are hints there.
    let hints = Box::new(Folder::new(&cache.root().join("hints")));
    let registry = Registry::over("the cache".into(), hints).with_cache(Some(cache.clone()));
    let version = runtime.block_on(async {
        let head = registry.cached_head(&table.dataset()).await?;
        let snapshot = complete(&registry, head).await.ok()?;
        let packs = registry.packs(&snapshot).await.ok()?;
        Some((snapshot, packs))
    });
    version.is_none_or(|(snapshot, packs)| {
        snapshot.head.manifest.objects.index.blake3 == *index && table.is_of(snapshot.index(), &packs)
    })
}

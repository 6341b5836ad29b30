//! What `isn cache` prints.

use serde_json::json;

use super::{Output, path_json, size};
use crate::cli::console::Page;
use isn_format::error::count;
use isn_registry::cache::{Cache, Damaged, Inventory, Swept};

impl Output {
    pub(in crate::cli) fn cache(&self, cache: &Cache, inventory: &Inventory) {
        let mut text = Page::of(format_args!("{}: {}", cache.root().display(), size(inventory.bytes())));
        let parts = [
            ("shards", inventory.pieces, "piece"),
            ("objects", inventory.objects, "file"),
            ("sources", inventory.sources, "file"),
            ("tables", inventory.tables, "file"),
            ("damaged", inventory.quarantine, "file"),
            ("unfinished", inventory.temporary, "file"),
        ];
        for (name, (files, bytes), noun) in parts {
            if files > 0 || matches!(name, "shards" | "objects") {
                writeln!(text, "  {name:<10}  {}, {}", size(bytes), count(files as usize, noun));
            }
        }
        writeln!(text, "  {:<10}  {} known", "trees", inventory.trees);
        let part = |(files, bytes): (u64, u64)| json!({ "files": files, "bytes": bytes });
        let object = json!({
            "path": path_json(cache.root()),
            "bytes": inventory.bytes(),
            "pieces": part(inventory.pieces),
            "objects": part(inventory.objects),
            "sources": part(inventory.sources),
            "tables": part(inventory.tables),
            "quarantine": part(inventory.quarantine),
            "temporary": part(inventory.temporary),
            "trees": inventory.trees,
        });
        self.print(&text, object);
    }

    pub(in crate::cli) fn cache_verified(&self, checked: u64, damaged: &[Damaged]) {
        let mut text = Page::default();
        for one in damaged {
            writeln!(text, "damaged: {}", one.path.display());
        }
        let checked_text = count(checked as usize, "file");
        match damaged.len() {
            0 => writeln!(text, "ok: {checked_text} checked"),
            n => writeln!(
                text,
                "FAILED: {n} of {checked_text} damaged and set aside: they are fetched again when they are needed"
            ),
        };
        let paths: Vec<_> = damaged.iter().map(|one| path_json(&one.path)).collect();
        self.print(&text, json!({ "ok": damaged.is_empty(), "checked": checked, "damaged": paths }));
    }

    pub(in crate::cli) fn cache_swept(&self, swept: &Swept, dry_run: bool) {
        let verb = if dry_run { "would remove" } else { "removed" };
        let text = Page::of(format_args!(
            "{verb} {}, {}; {} left",
            count(swept.files as usize, "file"),
            size(swept.bytes),
            size(swept.left)
        ));
        let object =
            json!({ "files": swept.files, "bytes": swept.bytes, "left": swept.left, "dry_run": dry_run });
        self.write(&text, &object, !dry_run);
    }
}

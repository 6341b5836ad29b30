//! What `isn mirror` has done.

use serde_json::json;

use super::{Output, size};
use crate::cli::console::Page;
use crate::error::count;
use crate::ops::mirror::MirrorReport;

impl Output {
    pub(in crate::cli) fn mirrored(&self, report: &MirrorReport, destination: &str) {
        let gone =
            report.gone.iter().map(|version| format!("{version} is withdrawn, and objects of it are gone"));
        self.warn(gone);
        let copied = count(report.copied, "object");
        let mut text = Page::of(format_args!(
            "{destination}: {copied} copied, {}; {} there",
            size(report.copied_bytes),
            report.there
        ));
        if report.repaired > 0 {
            writeln!(text, "  repaired {}", count(report.repaired, "object"));
        }
        writeln!(text, "  versions {}", report.versions);
        if !report.rebuild_only.is_empty() {
            writeln!(text, "  rebuild-only, without images: {}", report.rebuild_only.join(", "));
        }
        writeln!(text, "  entries  {} of log {}, {} new", report.entries, report.log_key, report.new_entries);
        let object = json!({
            "registry": destination,
            "log_key": report.log_key,
            "entries": report.entries,
            "new_entries": report.new_entries,
            "versions": report.versions,
            "gone": report.gone,
            "rebuild_only": report.rebuild_only,
            "copied": report.copied,
            "copied_bytes": report.copied_bytes,
            "there": report.there,
            "repaired": report.repaired,
        });
        self.print_done(&text, object);
    }
}

//! What `isn mirror` has done.

use serde_json::json;

use super::log::claimed;
use super::{Output, size};
use crate::cli::console::Page;
use isn_format::error::count;
use isn_registry::ops::mirror::MirrorReport;
use isn_registry::ops::verify::store::unsigned_lack;

impl Output {
    pub(in crate::cli) fn mirrored(&self, report: &MirrorReport, source: &str, destination: &str) {
        self.warn(claimed(source, report.is_claimed));
        let gone =
            report.gone.iter().map(|version| format!("{version} is withdrawn, and objects of it are gone"));
        self.warn(gone);
        self.warn(report.rebuild_only.iter().map(|version| unsigned_lack(version)));
        self.warn(report.kept.iter().map(|version| {
            format!("{source} shows no images of {version}: the mirror keeps those that it has")
        }));
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
            "trusted": !report.is_claimed,
            "entries": report.entries,
            "new_entries": report.new_entries,
            "versions": report.versions,
            "gone": report.gone,
            "rebuild_only": report.rebuild_only,
            "kept": report.kept,
            "copied": report.copied,
            "copied_bytes": report.copied_bytes,
            "there": report.there,
            "repaired": report.repaired,
        });
        self.print_done(&text, object);
    }
}

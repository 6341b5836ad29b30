//! What `isn audit labels` prints.

use serde_json::json;

use super::Output;
use crate::cli::console::Page;
use isn_format::error::count;
use isn_registry::audit::labels::Suspect;
use isn_registry::ops::audit::labels::LabelsReport;

/// How many suspects the text shows if nobody says.
const SHOWN: usize = 20;

impl Output {
    pub(in crate::cli) fn audited_labels(&self, report: &LabelsReport, top: Option<usize>) {
        self.warn(&report.warnings);
        let all = &report.suspects;
        let mut text = Page::of(format_args!(
            "{} of {} flagged by {}, the most suspect first by {}",
            all.len(),
            count(report.rows, "label"),
            report.filter.as_str(),
            report.rank.as_str()
        ));
        let shown = &all[..top.unwrap_or(SHOWN).min(all.len())];
        let named = report.subject.is_some();
        if !shown.is_empty() {
            let image = if named { "  image" } else { "" };
            text.blank();
            writeln!(text, "  {:>7}  {:>9}  {:<12}  {:<12}{image}", "row", "score", "given", "suggested");
        }
        for suspect in shown {
            let image =
                if named { format!("  {}", report.images()[suspect.row].path) } else { String::new() };
            let (given, suggested) = (report.class(suspect.given), report.class(suspect.suggested));
            let line =
                format!("  {:>7}  {:>9.6}  {given:<12}  {suggested:<12}{image}", suspect.row, suspect.score);
            writeln!(text, "{}", line.trim_end());
        }
        if shown.len() < all.len() {
            text.blank();
            writeln!(
                text,
                "{} more: --top {} shows all, --json has them",
                all.len() - shown.len(),
                all.len()
            );
        }
        let listed = &all[..top.unwrap_or(all.len()).min(all.len())];
        let mut by_class = vec![0; report.classes];
        all.iter().for_each(|suspect| by_class[suspect.given] += 1);
        let column = |of: &dyn Fn(&Suspect) -> serde_json::Value| listed.iter().map(of).collect::<Vec<_>>();
        let mut object = json!({
            "flagged": column(&|suspect| json!(suspect.row)),
            "scores": column(&|suspect| json!(suspect.score)),
            "given": column(&|suspect| json!(suspect.given)),
            "suggested": column(&|suspect| json!(suspect.suggested)),
            "counts": { "rows": report.rows, "flagged": all.len(), "by_class": by_class },
            "filter": report.filter.as_str(),
            "rank": report.rank.as_str(),
            "classes": report.classes,
            "class_ids": report.class_ids.as_ref().map(|ids| ids.iter().map(|id| id.as_str()).collect::<Vec<_>>()),
            "learner": report.learner.map(|learner| learner.as_str()),
            "warnings": report.warnings,
        });
        if named {
            object["images"] = json!(column(&|suspect| json!(report.images()[suspect.row].path)));
            object["source_ids"] = json!(column(&|suspect| json!(report.images()[suspect.row].source_id)));
        }
        self.print(&text, object);
    }
}

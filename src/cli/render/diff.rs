//! What `isn diff` prints.

use std::path::Path;

use serde_json::{Value, json};

use super::{Output, path_json};
use crate::cli::console::Page;
use isn_format::error::count;
use isn_registry::ops::diff::{Change, DiffReport, Kind};

/// How many changes of each kind the text shows.
const SHOWN: usize = 50;

impl Output {
    pub(in crate::cli) fn compared(&self, report: &DiffReport, page: Option<&Path>) {
        self.warn(&report.warnings);
        let (before, after) = report.images;
        let mut text = Page::of(format_args!("- {}  {}", report.old, count(before, "image")));
        writeln!(text, "+ {}  {}", report.new, count(after, "image"));
        if report.is_same() {
            writeln!(text, "no image, label, split or class differs");
        }
        for (sign, ids) in [('+', &report.classes_added), ('-', &report.classes_removed)] {
            for id in ids {
                writeln!(text, "{sign} class {id}");
            }
        }
        for (id, was, is) in &report.classes_renamed {
            writeln!(text, "~ class {id}: {was} → {is}");
        }
        for kind in Kind::ALL {
            let changes: Vec<&Change> = report.of(kind).collect();
            if changes.is_empty() {
                continue;
            }
            text.blank();
            writeln!(text, "{}: {}", kind.as_str(), changes.len());
            for change in changes.iter().take(SHOWN) {
                writeln!(text, "  {}", line(change, kind));
                for reason in &change.reasons {
                    writeln!(text, "      {reason}");
                }
            }
            if changes.len() > SHOWN {
                writeln!(text, "  {} more: --json has them", changes.len() - SHOWN);
            }
        }
        if let Some(page) = page {
            text.blank();
            writeln!(text, "page: {}", page.display());
        }
        let mut object = json!({
            "old": report.old,
            "new": report.new,
            "images": { "old": before, "new": after },
            "same": report.is_same(),
            "classes": {
                "added": report.classes_added.iter().map(|id| id.as_str()).collect::<Vec<_>>(),
                "removed": report.classes_removed.iter().map(|id| id.as_str()).collect::<Vec<_>>(),
                "renamed": report.classes_renamed.iter()
                    .map(|(id, was, is)| json!({ "id": id.as_str(), "old": was, "new": is })).collect::<Vec<_>>(),
            },
            "page": page.map(path_json),
            "unsigned": report.unsigned,
            "warnings": report.warnings,
        });
        for kind in Kind::ALL {
            let name = kind.as_str().replace('-', "");
            object[name] = report.of(kind).map(|change| described(change, kind)).collect();
        }
        self.print(&text, object);
    }
}

/// A change in a line.
pub(super) fn line(change: &Change, kind: Kind) -> String {
    match (&change.old, &change.new, kind) {
        (Some(old), Some(new), Kind::Relabelled) => format!("{}: {} → {}", change.id, old.class, new.class),
        (Some(old), Some(new), Kind::Moved) => format!("{}: {} → {}", change.id, old.split, new.split),
        (Some(_), Some(new), _) => {
            let pixels = match change.same_pixels {
                Some(true) => "of the same pixels",
                Some(false) => "of other pixels",
                None => "of pixels that were not compared",
            };
            format!("{}: {pixels}", new.path)
        }
        (Some(place), None, _) | (None, Some(place), _) => place.path.clone(),
        (None, None, _) => change.id.clone(),
    }
}

fn described(change: &Change, kind: Kind) -> Value {
    let mut object = json!({
        "id": change.id,
        "old": change.old.as_ref().map(|place| &place.path),
        "new": change.new.as_ref().map(|place| &place.path),
        "reasons": change.reasons,
    });
    if let (Some(old), Some(new)) = (&change.old, &change.new) {
        match kind {
            Kind::Relabelled => {
                object["from"] = json!(old.class.as_str());
                object["to"] = json!(new.class.as_str());
            }
            Kind::Moved => {
                object["from"] = json!(old.split.as_str());
                object["to"] = json!(new.split.as_str());
            }
            _ => object["same_pixels"] = json!(change.same_pixels),
        }
    }
    object
}

//! The text and JSON of one change.

use serde_json::{Value, json};

use isn_registry::ops::diff::{Change, Kind};

/// Describes a change in a line.
pub(super) fn line(change: &Change, kind: Kind) -> String {
    match (&change.old, &change.new, kind) {
        (Some(old), Some(new), Kind::Relabelled) => format!("{}: {} → {}", change.id, old.class, new.class),
        (Some(old), Some(new), Kind::Moved) => format!("{}: {} → {}", change.id, old.split, new.split),
        (Some(_), Some(new), _) => {
            let pixels = match change.same_pixels {
                Some(true) => "same pixels",
                Some(false) => "other pixels",
                None => "pixels not compared",
            };
            format!("{}: {pixels}", new.path)
        }
        (Some(placement), None, _) | (None, Some(placement), _) => placement.path.clone(),
        (None, None, _) => change.id.clone(),
    }
}

/// Returns a change as JSON.
pub(super) fn described(change: &Change, kind: Kind) -> Value {
    let mut object = json!({
        "id": change.id,
        "old": change.old.as_ref().map(|placement| &placement.path),
        "new": change.new.as_ref().map(|placement| &placement.path),
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

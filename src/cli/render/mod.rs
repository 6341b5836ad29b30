//! Words and JSON that the reports of several verbs have.

pub(super) mod faults;
pub(super) mod statements;

use std::path::Path;

use serde_json::{Value, json};

use isn_format::error::count;
use isn_format::key::PublicKey;
use isn_registry::registry::Snapshot;
use isn_registry::steps::unsigned;

/// Which version it is, and who says so.
pub(super) fn version(snapshot: &Snapshot, images: u64, bytes: u64) -> Value {
    let manifest = &snapshot.head.manifest;
    json!({
        "name": manifest.name,
        "version": manifest.version,
        "dataset": manifest.dataset.prefixed(),
        "manifest": snapshot.head.manifest_ref.blake3.prefixed(),
        "pin": manifest.pin(),
        "images": images,
        "bytes": bytes,
        "signed_by": snapshot.head.signed_by.iter().map(PublicKey::fingerprint).collect::<Vec<_>>(),
        "unsigned": snapshot.head.unsigned(),
        "log": snapshot.head.logged,
        "warnings": snapshot.head.warnings,
    })
}

/// Who signed a version.
pub(super) fn signed(snapshot: &Snapshot) -> String {
    if snapshot.head.signed_by.is_empty() {
        return format!("not checked: {}", unsigned::REACH);
    }
    let keys: Vec<String> = snapshot.head.signed_by.iter().map(PublicKey::fingerprint).collect();
    let keys = keys.join(" and ");
    match &snapshot.head.logged {
        None => format!("by {keys}, which you trust"),
        Some(log) => format!("by {keys}; entry {} of log {}, which you trust", log.index, log.origin),
    }
}

/// That nobody vouches for the log that is shown, if so.
pub(super) fn claimed(registry: &str, is_claimed: bool) -> Option<String> {
    is_claimed.then(|| {
        format!(
            "this is a log as registry {registry} shows it: you trust no key of it, and nobody vouches for it"
        )
    })
}

/// How many images, and how large they are.
pub(super) fn images(images: u64, bytes: u64) -> String {
    format!("{}, {}", count(images as usize, "image"), size(bytes))
}

/// A path in JSON: its text, with replacement characters where it has none.
pub(super) fn path_json(path: &Path) -> Value {
    json!(path.to_string_lossy())
}

/// Bytes as people read them.
pub(super) fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

pub(super) fn first_line(text: &str) -> &str {
    text.trim().lines().next().unwrap_or("")
}

pub(super) fn fingerprints(keys: &[PublicKey]) -> Vec<String> {
    keys.iter().map(PublicKey::fingerprint).collect()
}

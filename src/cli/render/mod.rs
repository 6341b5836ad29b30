//! Text and JSON that the reports of several verbs share.

pub(super) mod faults;
pub(super) mod rebuilt;
pub(super) mod statements;

use std::path::Path;

use serde_json::{Value, json};

use isn_format::error::count;
use isn_format::key::PublicKey;
use isn_registry::registry::Head;
use isn_registry::steps::unsigned;

/// Returns the JSON that identifies a version, its signers and its log entry.
pub(super) fn version(head: &Head, images: u64, bytes: u64) -> Value {
    let manifest = &head.manifest;
    json!({
        "name": manifest.name,
        "version": head.identity().version,
        "dataset": manifest.dataset.prefixed(),
        "manifest": head.manifest_ref.blake3.prefixed(),
        "pin": head.pin(),
        "images": images,
        "bytes": bytes,
        "signed_by": head.signed_by.iter().map(PublicKey::fingerprint).collect::<Vec<_>>(),
        "unsigned": head.unsigned(),
        "log": head.logged,
        "warnings": head.warnings,
    })
}

/// Describes who signed a version.
pub(super) fn signed(head: &Head) -> String {
    if head.signed_by.is_empty() {
        return format!("not checked: {}", unsigned::REACH);
    }
    let keys: Vec<String> = head.signed_by.iter().map(PublicKey::fingerprint).collect();
    let keys = keys.join(" and ");
    match &head.logged {
        None => format!("by {keys}, which you trust"),
        Some(log) => format!("by {keys}; entry {} of log {}, which you trust", log.index, log.origin),
    }
}

/// Warns that the log that is shown is not trusted, if it is not.
pub(super) fn claimed(registry: &str, is_claimed: bool) -> Option<String> {
    is_claimed.then(|| {
        format!(
            "this is the log that registry {registry} shows; you do not trust its key, so nobody vouches for \
             it"
        )
    })
}

/// Describes a number of images and their size.
pub(super) fn images(images: u64, bytes: u64) -> String {
    format!("{}, {}", count(images as usize, "image"), size(bytes))
}

/// Returns a path as JSON, with replacement characters for bytes that are not UTF-8.
pub(super) fn path_json(path: &Path) -> Value {
    json!(path.to_string_lossy())
}

/// Formats a number of bytes, as `2.79 MiB`.
pub(super) fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

pub(super) fn first_line(text: &str) -> &str {
    text.trim().lines().next().unwrap_or("")
}

pub(super) fn fingerprints(keys: &[PublicKey]) -> Vec<String> {
    keys.iter().map(PublicKey::fingerprint).collect()
}

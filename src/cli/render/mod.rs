//! Reports as text or JSON. stdout has what was asked for, and with `--json` one object as its last line.

mod audit_labels;
mod cache;
mod diff;
pub(in crate::cli) mod diff_page;
mod ledger;
mod log;
mod mirror;
mod output;
mod pixels;
#[cfg(feature = "serve")]
mod review;
#[cfg(feature = "serve")]
mod serve;

use std::path::Path;

use serde_json::{Value, json};

use super::console::{self, Page};
use isn_format::error::count;
use isn_format::index::Row;
use isn_format::key::PublicKey;
use isn_format::split::Split;
use isn_registry::keyring::{KeyName, NamedKey};
use isn_registry::ops::build::BuildReport;
use isn_registry::ops::cite::Citation;
use isn_registry::ops::demo::DemoReport;
use isn_registry::ops::doctor::{DoctorReport, State};
use isn_registry::ops::fetch::FetchReport;
use isn_registry::ops::images::ImagesReport;
use isn_registry::ops::info::InfoReport;
use isn_registry::ops::list::Listed;
use isn_registry::ops::publish::PublishReport;
use isn_registry::ops::pull::PullReport;
use isn_registry::ops::sync::Synced;
use isn_registry::ops::verify::{Assurance, VerifyReport};
use isn_registry::registry::Snapshot;
use isn_registry::steps::submit::Fate;
use isn_registry::steps::unsigned;

pub(in crate::cli) use output::Output;

impl Output {
    pub(in crate::cli) fn pulled(&self, report: &PullReport, locked: bool) {
        self.warn(&report.snapshot.head.warnings);
        let manifest = &report.snapshot.head.manifest;
        let path = report.path.display();
        let mut text = Page::default();
        if report.was_there {
            writeln!(text, "{path} is there already and whole: {}", images(report.images, report.bytes))
        } else {
            let reused = match report.reused_images {
                0 => String::new(),
                n => format!(", {n} of them from this machine"),
            };
            let _ = report.replaced.as_ref().map(|what| writeln!(text, "{path} was {what}"));
            writeln!(text, "{path}: {}{reused}, every one verified", images(report.images, report.bytes))
        };
        writeln!(text, "  title    {}", manifest.title);
        writeln!(text, "  licence  {}", first_line(&manifest.licence));
        writeln!(text, "  signed   {}", signed(&report.snapshot));
        writeln!(text, "  pin      {}", manifest.pin());
        if locked {
            writeln!(text, "  locked in isn.lock");
        }
        let mut object = version(&report.snapshot, report.images, report.bytes);
        object["path"] = path_json(&report.path);
        object["fetched_bytes"] = json!(report.fetched_bytes);
        object["reused_images"] = json!(report.reused_images);
        object["replaced"] = json!(report.replaced);
        object["registry"] = json!(report.registry);
        self.print_done(&text, object);
    }

    pub(in crate::cli) fn fetched(&self, report: &FetchReport) {
        self.warn(&report.snapshot.head.warnings);
        let manifest = &report.snapshot.head.manifest;
        let mut text = Page::of(format_args!(
            "{}@{}: {} in the cache, every one verified, {} fetched",
            manifest.name,
            manifest.version,
            images(report.images, report.bytes),
            size(report.fetched_bytes)
        ));
        writeln!(text, "  pin      {}", manifest.pin());
        let mut object = version(&report.snapshot, report.images, report.bytes);
        object["fetched_bytes"] = json!(report.fetched_bytes);
        object["registry"] = json!(report.registry);
        self.print_done(&text, object);
    }

    pub(in crate::cli) fn synced(&self, synced: &[Synced]) {
        let mut text = Page::default();
        for one in synced {
            self.warn(&one.warnings);
            let how = match one.fetched_bytes {
                Some(bytes) => format!("pulled, {} fetched", size(bytes)),
                None => "there already and whole".into(),
            };
            writeln!(text, "{}: {how}", one.entry.path.display());
            writeln!(text, "  pin      {}", one.entry.pin);
        }
        let entries = synced.iter().map(|one| {
            let fetched_bytes = one.fetched_bytes.unwrap_or(0);
            json!({ "path": path_json(&one.entry.path), "pin": one.entry.pin, "fetched_bytes": fetched_bytes, "warnings": one.warnings })
        });
        self.print_done(&text, json!({ "synced": entries.collect::<Vec<_>>() }));
    }

    pub(in crate::cli) fn images(&self, report: &ImagesReport) {
        self.warn(&report.snapshot.head.warnings);
        let mut paths = Page::default();
        report.images.iter().for_each(|(row, _)| writeln!(paths, "{}", row.path));
        let mut object = json!({
            "dataset": report.snapshot.head.manifest.dataset.prefixed(), "unsigned": report.snapshot.head.unsigned(),
        });
        let image = |(row, origin): &(Row, Split)| {
            json!({
                "path": row.path.as_str(), "class": row.class.as_str(), "split": row.split, "origin": origin,
                "source_id": row.source, "width": row.width, "height": row.height,
            })
        };
        object["images"] = report.images.iter().map(image).collect();
        self.print(&paths, object);
    }

    pub(in crate::cli) fn info(&self, report: &InfoReport) {
        self.warn(&report.snapshot.head.warnings);
        let manifest = &report.snapshot.head.manifest;
        let mut text = Page::default();
        writeln!(text, "{}@{}  {}", manifest.name, manifest.version, manifest.title);
        // The bar tells it from what isn says: whose signature is trusted, for one.
        text.block("  | ", manifest.description.trim());
        let fields = [
            ("images", images(manifest.images, manifest.bytes)),
            ("pipeline", manifest.pipeline.clone()),
            ("source", manifest.source.clone()),
            ("licence", manifest.licence.trim().into()),
            ("authors", manifest.authors.join(", ")),
            ("registry", report.registry.clone()),
            ("signed", signed(&report.snapshot)),
            ("manifest", report.snapshot.head.manifest_ref.blake3.prefixed()),
            ("dataset", manifest.dataset.prefixed()),
            ("pin", manifest.pin()),
        ];
        for (name, value) in fields {
            let mut lines = value.lines();
            writeln!(text, "  {name:<9}  {}", lines.next().unwrap_or_default());
            lines.for_each(|line| text.block("             ", line));
        }
        if report.rebuild_only {
            writeln!(
                text,
                "  rebuild-only: no images here, `isn pull {} --source DIR` builds them",
                manifest.pin()
            );
        }
        let splits: Vec<_> = manifest.splits.keys().collect();
        let heads: String = splits.iter().map(|split| format!("{:>8}", split.as_str())).collect();
        text.blank();
        writeln!(text, "  {:<12}{heads}  class", "id");
        for class in report.snapshot.classes() {
            let counts: String = splits
                .iter()
                .map(|split| format!("{:>8}", manifest.splits[split].get(&class.id).unwrap_or(&0)))
                .collect();
            let group = class.group.as_ref().map(|group| format!(" ({group})")).unwrap_or_default();
            writeln!(text, "  {:<12}{counts}  {}{group}", class.id.as_str(), class.label);
        }
        let mut object = version(&report.snapshot, manifest.images, manifest.bytes);
        object["title"] = json!(manifest.title);
        object["description"] = json!(manifest.description);
        object["licence"] = json!(manifest.licence);
        object["authors"] = json!(manifest.authors);
        object["citation"] = json!(manifest.citation);
        object["pipeline"] = json!(manifest.pipeline);
        object["source"] = json!(manifest.source);
        object["splits"] = json!(manifest.splits);
        object["registry"] = json!(report.registry);
        object["rebuild_only"] = json!(report.rebuild_only);
        self.print(&text, object);
    }

    pub(in crate::cli) fn listed(&self, listed: &[Listed]) {
        let mut text = Page::default();
        for one in listed {
            let versions: Vec<String> = one.versions.iter().map(ToString::to_string).collect();
            writeln!(text, "{}  {}  ({})", one.name, versions.join(" "), one.registry);
        }
        if listed.is_empty() && !self.json {
            console::message("", "no datasets");
            return;
        }
        let datasets = listed
            .iter()
            .map(|one| json!({ "name": one.name, "versions": one.versions, "registry": one.registry }));
        self.print(&text, json!({ "datasets": datasets.collect::<Vec<_>>() }));
    }

    pub(in crate::cli) fn cited(&self, citation: &Citation) {
        self.warn(&citation.warnings);
        let mut text = Page::default();
        text.block("", &citation.text);
        self.print(
            &text,
            json!({ "pin": citation.pin, "citation": citation.text, "unsigned": citation.unsigned }),
        );
    }

    pub(in crate::cli) fn built(&self, report: &BuildReport, out: &Path, is_new: bool) {
        let mut text = Page::default();
        let verb = if is_new { "built" } else { "was built already" };
        writeln!(text, "{}: {verb}, {}", out.display(), images(report.images, report.bytes));
        writeln!(text, "  source   {}", report.source);
        writeln!(text, "  shards   {}, {}", report.shards, size(report.shard_bytes));
        for (split, classes) in &report.balance {
            let (least, most) = (classes.values().min().unwrap_or(&0), classes.values().max().unwrap_or(&0));
            let range = if least == most { format!("{least}") } else { format!("{least} to {most}") };
            let total: u64 = classes.values().sum();
            writeln!(
                text,
                "  {:<7}  {}, {range} a class, {} classes",
                split.as_str(),
                count(total as usize, "image"),
                classes.len()
            );
        }
        let changed =
            [("removed", &report.removed), ("relabelled", &report.relabelled), ("dropped", &report.dropped)];
        for (what, ids) in changed.iter().filter(|(_, ids)| !ids.is_empty()) {
            writeln!(text, "  {what:<7}  {}", count(ids.len(), "image"));
        }
        self.warn(&report.warnings);
        writeln!(text, "  pin      {}", report.pin);
        let mut object = json!(report);
        object["path"] = path_json(out);
        self.print_done(&text, object);
    }

    pub(in crate::cli) fn published(&self, report: &PublishReport, registry: &str, dry_run: bool) {
        let mut text = Page::default();
        let (name, version) = (&report.statement.name, report.statement.version);
        let new = format!(
            "{} of {} new, {}",
            report.new_objects,
            count(report.objects, "object"),
            size(report.new_bytes)
        );
        match (dry_run, report.was_there) {
            (true, true) => {
                writeln!(text, "{name}@{version} is in {registry} already: nothing would change")
            }
            (true, false) => writeln!(text, "would publish {name}@{version} to {registry}: {new}"),
            (false, true) => writeln!(text, "{name}@{version} is in {registry} already, the very same"),
            (false, false) => match &report.fate {
                Some(Fate::Collecting(file, missing)) => {
                    let how = log::collecting(file, *missing);
                    writeln!(text, "{registry} has the objects of {name}@{version}: {new}");
                    writeln!(text, "the release is {how}")
                }
                _ => writeln!(text, "published {name}@{version} to {registry}: {new}"),
            },
        };
        if !report.was_there {
            for signer in &report.signers {
                writeln!(text, "  key      {signer}");
            }
            if report.new_name {
                writeln!(text, "  name     {name} is owned by this key from now on");
            }
        }
        if report.rebuild_only {
            writeln!(text, "  rebuild-only: no images");
        }
        if let (Some(Fate::Logged(index)), Some(log)) = (&report.fate, &report.log_key) {
            writeln!(text, "  entry    {index} of log {log}");
        }
        writeln!(text, "  pin      {}", report.pin);
        let mut object = json!({
            "name": name,
            "version": version,
            "dataset": report.statement.dataset.prefixed(),
            "manifest": report.statement.manifest.prefixed(),
            "pin": report.pin,
            "registry": registry,
            "signer": report.signers.first(),
            "signers": report.signers,
            "log_key": report.log_key,
            "new_name": report.new_name,
            "objects": report.objects,
            "new_objects": report.new_objects,
            "new_bytes": report.new_bytes,
            "already_published": report.was_there,
            "new_registry": report.new_registry,
            "rebuild_only": report.rebuild_only,
            "dry_run": dry_run,
        });
        if let Some(fate) = &report.fate {
            log::fate_json(&mut object, fate);
        }
        self.write(&text, &object, !dry_run);
    }

    pub(in crate::cli) fn verified(&self, report: &VerifyReport) {
        self.warn(&report.warnings);
        let mut text = Page::default();
        for fault in &report.faults {
            writeln!(text, "{fault}");
        }
        let things = match report.kind {
            "tree" => "file",
            "version" => "image",
            _ => "object",
        };
        let checked = count(report.checked as usize, things);
        let what = &report.what;
        match report.faults.len() {
            0 => writeln!(text, "ok: {what}: {checked} checked{}", assurance(report)),
            faults => writeln!(text, "FAILED: {what}: {} in {checked}", count(faults, "fault")),
        };
        if !report.rebuild_only.is_empty() {
            writeln!(text, "  rebuild-only, without images: {}", report.rebuild_only.join(", "));
        }
        if let Some(dataset) = &report.dataset {
            writeln!(text, "  dataset  {}", dataset.prefixed());
        }
        let object = json!({
            "ok": report.faults.is_empty(),
            "kind": report.kind,
            "path": report.what,
            "dataset": report.dataset.map(|dataset| dataset.prefixed()),
            "checked": report.checked,
            "partial": report.partial.is_some(),
            "selection": report.partial,
            "assurance": report.assurance,
            "unsigned": report.unsigned(),
            "rebuild_only": report.rebuild_only,
            "warnings": report.warnings,
            "faults": report.faults,
        });
        self.print(&text, object);
    }

    pub(in crate::cli) fn key_made(&self, name: &KeyName, key: &PublicKey) {
        console::message("", &format!("key {name}: {}", key.fingerprint()));
        self.print_done(&Page::of(format_args!("{key}")), key_json(name, key));
    }

    pub(in crate::cli) fn key(&self, name: &KeyName, key: &PublicKey) {
        self.print(&Page::of(format_args!("{key}")), key_json(name, key));
    }

    pub(in crate::cli) fn keys(&self, keys: &[NamedKey]) {
        if keys.is_empty() && !self.json {
            console::message("", "no keys: `isn key new NAME` makes one");
            return;
        }
        let mut text = Page::default();
        for key in keys {
            writeln!(text, "{}  {}", key.name, key.public_key.fingerprint());
        }
        let list: Vec<Value> = keys.iter().map(|key| key_json(&key.name, &key.public_key)).collect();
        self.print(&text, json!({ "keys": list }));
    }

    pub(in crate::cli) fn diagnosed(&self, report: &DoctorReport) {
        let mut text = Page::default();
        for (name, value) in &report.facts {
            writeln!(text, "{name:<14}  {value}");
        }
        text.blank();
        for finding in &report.findings {
            let state = match finding.state {
                State::Ok => "ok",
                State::Note => "note",
                State::Wrong => "WRONG",
            };
            writeln!(text, "{state:<5}  {}: {}", finding.what, finding.found);
            text.block("       ", finding.cure.as_deref().unwrap_or_default());
        }
        let facts: serde_json::Map<String, Value> =
            report.facts.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let object = json!({ "ok": !report.is_ill(), "facts": facts, "findings": report.findings });
        self.print(&text, object);
    }

    pub(in crate::cli) fn demo_made(&self, report: &DemoReport, dir: &Path) {
        let text = Page::of(format_args!(
            "{}: {} drawn, laid out as ILSVRC2012",
            dir.display(),
            count(report.images as usize, "image")
        ));
        self.print_done(&text, json!({ "path": path_json(dir), "images": report.images }));
    }
}

fn version(snapshot: &Snapshot, images: u64, bytes: u64) -> Value {
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

fn key_json(name: &KeyName, key: &PublicKey) -> Value {
    json!({ "name": name.as_str(), "public_key": key.to_string(), "fingerprint": key.fingerprint() })
}

fn images(images: u64, bytes: u64) -> String {
    format!("{}, {}", count(images as usize, "image"), size(bytes))
}

/// A path in JSON: its text, with replacement characters where it has none.
pub(in crate::cli) fn path_json(path: &Path) -> Value {
    json!(path.to_string_lossy())
}

pub(in crate::cli) fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

fn signed(snapshot: &Snapshot) -> String {
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

fn assurance(report: &VerifyReport) -> String {
    let whole = match report.partial.as_deref() {
        None => String::new(),
        Some("") => " (a part of the dataset)".into(),
        Some(selection) => format!(" (a part of the dataset: {selection})"),
    };
    let reach = match (report.kind, report.assurance) {
        ("tree", Assurance::SelfConsistent) => {
            "; consistent with itself only: compare the hash below, or give --expect"
        }
        (_, Assurance::SelfConsistent) => "; consistent with itself, no trusted key at hand",
        (_, Assurance::Hash) => "; has the expected dataset hash",
        (_, Assurance::Signed) => "; signed by a key you trust",
    };
    format!("{whole}{reach}")
}

pub(in crate::cli) fn first_line(text: &str) -> &str {
    text.trim().lines().next().unwrap_or("")
}

//! Reports about logs, statements and whom to trust.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Output, path_json};
use crate::cli::console::{self, Page};
use isn_format::dataset_ref::Name;
use isn_format::error::count;
use isn_format::key::PublicKey;
use isn_format::log::LogKey;
use isn_format::release::Standing;
use isn_format::statement::Statement;
use isn_registry::ops::log::{Entry, LogReport, ProveReport};
use isn_registry::ops::owner::Shown;
use isn_registry::ops::registry::RegistryReport;
use isn_registry::ops::sign::SignReport;
use isn_registry::ops::verify::ProofReport;
use isn_registry::steps::submit::{Fate, Submitted};
use isn_registry::trust::{AnyKey, RegistryId, TrustStore};

impl Output {
    pub(in crate::cli) fn submitted(&self, submitted: &[Submitted]) {
        let mut text = Page::default();
        for one in submitted {
            let title = one.statement.title();
            match &one.fate {
                Fate::Logged(index) => writeln!(text, "{title} is entry {index} of the log"),
                Fate::Collecting(file, missing) => writeln!(text, "{title}: {}", collecting(file, *missing)),
            };
        }
        let list: Vec<Value> = submitted
            .iter()
            .map(|one| {
                let mut object = statement_json(&one.statement);
                fate_json(&mut object, &one.fate);
                object
            })
            .collect();
        self.print_done(&text, json!({ "statements": list }));
    }

    pub(in crate::cli) fn unclaimed(&self, removed: &[String]) {
        let mut text = Page::default();
        if removed.is_empty() {
            writeln!(text, "no claim stands in the way of the next entry");
        }
        for path in removed {
            writeln!(text, "removed {path}");
        }
        self.print_done(&text, json!({ "removed": removed }));
    }

    pub(in crate::cli) fn signed(&self, report: &SignReport, file: &Path) {
        let mut text = Page::default();
        text.block("", &report.statement.to_string());
        for signer in &report.signers {
            writeln!(text, "signed by {}", signer.fingerprint());
        }
        let mut object = statement_json(&report.statement);
        object["file"] = path_json(file);
        object["signers"] = json!(fingerprints(&report.signers));
        self.print_done(&text, object);
    }

    pub(in crate::cli) fn owners(&self, name: &Name, shown: &Shown) {
        self.warn(claimed(&shown.registry, shown.is_claimed));
        let dataset = &shown.dataset;
        let owners = &dataset.owners;
        let mut text = Page::of(format_args!(
            "{name}: {} of {} must sign; since entry {} of the log",
            owners.threshold,
            count(owners.keys.len(), "key"),
            owners.index
        ));
        for (role, keys) in [("owner", &owners.keys), ("recovery", &owners.recovery)] {
            for key in keys {
                writeln!(text, "  {role:<9} {}  {key}", key.fingerprint());
            }
        }
        for (key, index) in &dataset.revoked {
            writeln!(text, "  revoked   {}  by entry {index}", key.fingerprint());
        }
        let lines = |keys: &[PublicKey]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
        let object = json!({
            "name": name,
            "entry": owners.index,
            "threshold": owners.threshold,
            "keys": lines(&owners.keys),
            "recovery": lines(&owners.recovery),
            "revoked": dataset.revoked.keys().map(ToString::to_string).collect::<Vec<_>>(),
            "registry": shown.registry,
            "trusted": !shown.is_claimed,
        });
        self.print(&text, object);
    }

    pub(in crate::cli) fn log_entries(&self, report: &LogReport) {
        self.warn(claimed(&report.registry, report.is_claimed));
        self.warn(report.behind.iter());
        let mut text = Page::default();
        report.entries.iter().for_each(|entry| writeln!(text, "{}", entry_line(entry)));
        let entries: Vec<Value> = report.entries.iter().map(entry_json).collect();
        let mut object = log_json(report);
        object["entries"] = json!(entries);
        self.print(&text, object);
    }

    /// News of a log, as they come: a line an entry, in JSON an object a line.
    pub(in crate::cli) fn log_news(&self, report: &LogReport) {
        self.warn(report.behind.iter());
        for entry in &report.entries {
            self.print(&Page::of(format_args!("{}", entry_line(entry))), entry_json(entry));
        }
    }

    pub(in crate::cli) fn log_verified(&self, report: &LogReport) {
        let rejected: Vec<&Entry> = report.entries.iter().filter(|entry| entry.is_err()).collect();
        let mut text = Page::default();
        rejected.iter().for_each(|entry| writeln!(text, "{}", entry_line(entry)));
        let entries = count(report.size as usize, "entry").replace("entrys", "entries");
        let checked = match &report.behind {
            None => "every entry and tile checked",
            Some(_) => "what was seen before counts, and was not read again",
        };
        writeln!(text, "ok: {}: {entries}, {checked}, {} without effect", report.registry, rejected.len());
        let how =
            if report.is_claimed { "  (as the registry says itself: nobody vouches for it)" } else { "" };
        writeln!(text, "  log      {}{how}", report.anchor);
        if report.key != report.anchor {
            writeln!(text, "  key now  {}", report.key);
        }
        writeln!(text, "  root     {}", report.root);
        self.warn(report.behind.iter());
        let mut object = log_json(report);
        object["rejected"] = json!(rejected.iter().map(|entry| entry_json(entry)).collect::<Vec<_>>());
        self.print(&text, object);
    }

    pub(in crate::cli) fn evidence(&self, found: &[(LogKey, PathBuf)]) {
        if found.is_empty() && !self.json {
            console::message("", "no evidence of a fork");
            return;
        }
        let mut text = Page::default();
        found.iter().for_each(|(log, path)| writeln!(text, "{}  {log}", path.display()));
        let list: Vec<Value> = found
            .iter()
            .map(|(log, path)| json!({ "log": log.to_string(), "path": path_json(path) }))
            .collect();
        self.print(&text, json!({ "evidence": list }));
    }

    pub(in crate::cli) fn proved(&self, report: &ProveReport, file: &Path) {
        let release = &report.release;
        let title = format!("{}@{}", release.name(), release.version());
        let Standing::Logged(position) = release.standing() else { return };
        let (file_shown, index, origin) = (file.display(), position.index, &position.origin);
        let mut text = Page::of(format_args!("{file_shown}: {title} is entry {index} of log {origin}"));
        writeln!(text, "  `isn verify --proof {file_shown}` checks it, with no network");
        let object =
            json!({ "file": path_json(file), "dataset": release.dataset().prefixed(), "log": position });
        self.print_done(&text, object);
    }

    pub(in crate::cli) fn proof_verified(&self, report: &ProofReport) {
        let release = &report.release;
        let (title, position) = (format!("{}@{}", release.name, release.version), &report.position);
        let mut text = Page::of(format_args!(
            "ok: the release of {title} is entry {} of log {}, which had {} entries",
            position.index, position.origin, position.size
        ));
        for signer in &report.signers {
            writeln!(text, "  signed   by {}", signer.fingerprint());
        }
        writeln!(text, "  log      {}", report.log_key);
        writeln!(text, "  dataset  {}", release.dataset.prefixed());
        let mut object = json!({
            "ok": report.tree.as_ref().is_none_or(|tree| tree.faults.is_empty()),
            "kind": "proof",
            "name": release.name,
            "version": release.version,
            "dataset": release.dataset.prefixed(),
            "manifest": release.manifest.prefixed(),
            "signers": fingerprints(&report.signers),
            "log": position,
        });
        if let Some(tree) = &report.tree {
            object["faults"] = json!(tree.faults);
        }
        self.print(&text, object);
        if let Some(tree) = report.tree.as_ref().filter(|_| !self.json) {
            self.verified(tree);
        }
    }

    pub(in crate::cli) fn registry_made(&self, registry: &str, report: &RegistryReport) {
        let how = if report.made { "is a registry now" } else { "is a registry already" };
        let mut text = Page::of(format_args!("{registry} {how}"));
        writeln!(text, "  log      {}", report.log_key);
        if let Some(path) = &report.key_path {
            writeln!(text, "  key      {} (keep a copy: without it nothing can be added)", path.display());
        }
        let object = json!({
            "path": registry,
            "made": report.made,
            "log_key": report.log_key,
            "key_path": report.key_path.as_deref().map(path_json),
        });
        self.print_done(&text, object);
    }

    pub(in crate::cli) fn log_key_changed(&self, submitted: Submitted, key: &LogKey) {
        self.submitted(&[submitted]);
        if !self.json {
            self.print_done(&Page::of(format_args!("  log      {key}")), Value::Null);
        }
    }

    pub(in crate::cli) fn trust_added(&self, registry: &RegistryId, key: &AnyKey) {
        let text = match key {
            AnyKey::Publisher(line) => {
                format!("registry {registry}: releases by {} are believed", line.key.fingerprint())
            }
            AnyKey::Log(log) => format!("registry {registry}: known by its log's key, {log}"),
            AnyKey::Witness(witness) => format!("registry {registry}: {witness} must have seen its log"),
        };
        self.print_done(&Page::of(format_args!("{text}")), key_json(registry, key));
    }

    pub(in crate::cli) fn trust_removed(&self, registry: &RegistryId, key: &AnyKey) {
        let text = match key {
            AnyKey::Publisher(line) => {
                format!("registry {registry}: releases by {} are believed no more", line.key.fingerprint())
            }
            AnyKey::Log(log) => format!("registry {registry}: not known by {log} any more"),
            AnyKey::Witness(witness) => format!("registry {registry}: {witness} is no witness any more"),
        };
        self.print_done(&Page::of(format_args!("{text}")), key_json(registry, key));
    }

    pub(in crate::cli) fn trusted(&self, store: &TrustStore) {
        let all: Vec<(&RegistryId, AnyKey)> = store
            .list()
            .flat_map(|(id, trusted)| {
                let log = trusted.believed_log().cloned().into_iter().map(AnyKey::Log);
                let keys = trusted.keys.iter().cloned().map(AnyKey::Publisher);
                let witnesses = trusted.witnesses.iter().cloned().map(AnyKey::Witness);
                log.chain(keys).chain(witnesses).map(move |key| (id, key))
            })
            .collect();
        if all.is_empty() && !self.json {
            console::message("", "no keys are trusted: `isn trust add REGISTRY KEY` trusts one");
            return;
        }
        let line = |(registry, key): &(&RegistryId, AnyKey)| match key {
            AnyKey::Publisher(line) => format!("{registry}  key      {}", line.key.fingerprint()),
            AnyKey::Log(log) => format!("{registry}  log      {log}"),
            AnyKey::Witness(witness) => format!("{registry}  witness  {witness}"),
        };
        let mut text = Page::default();
        all.iter().for_each(|one| writeln!(text, "{}", line(one)));
        let list: Vec<Value> = all.iter().map(|(registry, key)| key_json(registry, key)).collect();
        self.print(&text, json!({ "trusted": list }));
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

/// What is to be done with a statement that waits.
pub(super) fn collecting(file: &Path, missing: usize) -> String {
    let file = file.display();
    let lack = match missing {
        0 => "needs no more signatures".to_string(),
        n => format!("needs {}", count(n, "more signature")),
    };
    format!(
        "written to {file}; it {lack}: `isn sign {file} --key NAME` adds one, `isn append {file} --registry DIR` puts it \
         into the log"
    )
}

pub(super) fn fate_json(object: &mut Value, fate: &Fate) {
    match fate {
        Fate::Logged(index) => object["entry"] = json!(index),
        Fate::Collecting(file, missing) => {
            object["file"] = path_json(file);
            object["missing_signatures"] = json!(missing);
        }
    }
}

fn fingerprints(keys: &[PublicKey]) -> Vec<String> {
    keys.iter().map(PublicKey::fingerprint).collect()
}

fn statement_json(statement: &Statement) -> Value {
    json!({
        "kind": statement.kind(),
        "name": statement.name(),
        "version": statement.version(),
        "statement": statement.to_string(),
    })
}

fn entry_line(entry: &Entry) -> String {
    match entry {
        Ok(accepted) => {
            let signers = fingerprints(&accepted.attested.signers).join(" ");
            format!("{:>6}  {}  {signers}", accepted.index, accepted.attested.statement.title())
        }
        Err(rejected) => format!("{:>6}  NO EFFECT: {}", rejected.index, rejected.why),
    }
}

fn entry_json(entry: &Entry) -> Value {
    match entry {
        Ok(accepted) => {
            let mut object = statement_json(&accepted.attested.statement);
            object["entry"] = json!(accepted.index);
            object["effect"] = json!(true);
            object["signers"] = json!(fingerprints(&accepted.attested.signers));
            object
        }
        Err(rejected) => json!({
            "entry": rejected.index,
            "effect": false,
            "name": rejected.name,
            "version": rejected.version,
            "why": rejected.why,
        }),
    }
}

fn log_json(report: &LogReport) -> Value {
    json!({
        "registry": report.registry,
        "log": report.anchor,
        "key": report.key,
        "trusted": !report.is_claimed,
        "size": report.size,
        "root": report.root,
        "behind": report.behind.is_some(),
    })
}

fn key_json(registry: &RegistryId, key: &AnyKey) -> Value {
    match key {
        AnyKey::Publisher(line) => json!({
            "registry": registry.as_str(),
            "public_key": line.key.to_string(),
            "fingerprint": line.key.fingerprint(),
        }),
        AnyKey::Log(log) => json!({ "registry": registry.as_str(), "log_key": log }),
        AnyKey::Witness(witness) => json!({ "registry": registry.as_str(), "witness": witness }),
    }
}

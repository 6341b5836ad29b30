//! `isn list`.

use std::collections::BTreeSet;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli::args::RegistryArg;
use crate::cli::console::{self, Page};
use crate::cli::exit::ExitCode;
use crate::cli::output::Output;
use crate::cli::render::rebuilt::{counted, keys_json, of_known, outcome_json};
use crate::cli::run::{Run, Verb};
use isn_format::dataset_ref::{Name, Version, VersionId};
use isn_format::digest::Digest;
use isn_format::error::{Error, Result, chain, count};
use isn_format::key::PublicKey;
use isn_format::log::{History, Notice, Released};
use isn_registry::client::Client;
use isn_registry::ops::list::{Listed, list};
use isn_registry::ops::standings::{Histories, histories};
use isn_registry::registry::{Outcome, outcomes};

/// The maximum number of results in a registry, stated by unknown keys alone, that get a line each.
const MAX_STRANGERS: usize = 10;

/// Arguments of `isn list`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ListArgs {
    #[command(flatten)]
    registry: RegistryArg,
}

/// What a registry has.
struct Shelf {
    location: String,
    datasets: Vec<Listed>,
    /// Its log, which says what is yanked and withdrawn.
    history: Option<History>,
    /// Its attestation log, which says what keys state to have built.
    attestations: Option<History>,
    /// The names that it has a recipe for, and no version.
    unreleased: Vec<Name>,
}

impl Verb for ListArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        let (access, client) = (run.access()?, run.client(&self.registry));
        let (mut shelves, mut failed) = (Vec::new(), Vec::new());
        for location in run.settings.registries(self.registry.registry.as_deref())? {
            let (datasets, errors) = list(std::slice::from_ref(&location), &access)?;
            if errors.is_empty() {
                let (history, attestations, unreleased) = (None, None, Vec::new());
                let shelf = Shelf { location, datasets, history, attestations, unreleased };
                shelves.push(shelf.with_marks(&run.output, client.as_ref()));
            }
            failed.extend(errors.into_iter().map(|e| match &client {
                Ok(client) => client.named(e),
                Err(_) => e,
            }));
        }
        if !shelves.is_empty() || failed.is_empty() {
            print(&run.output, &shelves, &run.known_keys());
        }
        // The first failure is the error of the run, and the others are warnings.
        let mut failed = failed.into_iter();
        let first = failed.next();
        run.output.warn(failed);
        first.map_or(Ok(ExitCode::SUCCESS), Err)
    }
}

impl Shelf {
    /// Adds what marks the datasets. Without a client, or where the log cannot be read, they are listed all
    /// the same.
    fn with_marks(self, output: &Output, client: std::result::Result<&Client, &Error>) -> Self {
        let location = &*self.location;
        let unmarked = |why: &Error| {
            let lack = "yanked and withdrawn versions are not marked";
            output.warn([format!("registry {location}: {lack}: {}", chain(why))]);
        };
        let client = match client {
            Ok(client) => client,
            Err(why) => {
                unmarked(why);
                return self;
            }
        };
        let Histories { log: history, behind, attestations } =
            histories(client, location).unwrap_or_else(|why| {
                unmarked(&why);
                Histories::default()
            });
        output.warn(behind);
        let attestations = attestations.and_then(|read| {
            let lack = "what keys state to have built is not listed";
            let warn = |why: &Error| output.warn([format!("registry {location}: {lack}: {}", chain(why))]);
            read.inspect_err(warn).ok()
        });
        let has_versions =
            |name: &Name| self.datasets.iter().any(|one| one.name == *name && !one.versions.is_empty());
        let unreleased = client.recipes(location).into_iter().filter(|name| !has_versions(name)).collect();
        Shelf { history, attestations, unreleased, ..self }
    }

    /// The versions of a dataset that the log has a notice about, with its reason.
    fn marked(&self, one: &Listed, notice: fn(&Released) -> Option<&Notice>) -> Map<String, Value> {
        let dataset = self.history.as_ref().and_then(|history| history.dataset(&one.name));
        let released = |version| notice(dataset?.releases.get(version)?);
        let marked = one.versions.iter().filter_map(|version| Some((version, released(version)?)));
        marked.map(|(version, notice)| (version.to_string(), json!(notice.reason))).collect()
    }

    /// What keys state to have built of a version.
    fn stated(&self, id: &VersionId) -> Vec<Outcome> {
        let built = self.attestations.iter().flat_map(|log| log.built(id));
        outcomes(built.map(|(key, built)| (*key, built.dataset, built.inputs)))
    }

    /// The keys that state the released hash of a version. What they built it from is in the manifest, which
    /// is not read here.
    fn same_hash(&self, id: &VersionId) -> Option<(Digest, BTreeSet<PublicKey>)> {
        let (_, released) = self.history.as_ref()?.release(id)?;
        let built = self.attestations.iter().flat_map(|log| log.built(id));
        let same = built.filter(|(_, built)| built.dataset == released.dataset);
        let keys: BTreeSet<PublicKey> = same.map(|(key, _)| *key).collect();
        (!keys.is_empty()).then_some((released.dataset, keys))
    }

    /// What keys state of versions that are not released: what a key that is known to you states, and, as
    /// far as they are few, what others state of names that the registry has. Also returns the number of
    /// those that are left out, because anybody can state anything of any name.
    fn only_stated(&self, known: &BTreeSet<PublicKey>) -> (Vec<(VersionId, Outcome)>, usize) {
        let (mut stated, mut by_strangers, mut more) = (Vec::new(), 0, 0);
        for id in self.attestations.iter().flat_map(History::built_versions) {
            let named = self.datasets.iter().find(|one| one.name == id.name);
            if named.is_some_and(|one| one.versions.contains(&id.version)) {
                continue;
            }
            let is_here = named.is_some() || self.unreleased.contains(&id.name);
            for one in self.stated(&id) {
                let is_known = !one.keys.is_disjoint(known);
                if is_known || is_here && by_strangers < MAX_STRANGERS {
                    by_strangers += usize::from(!is_known);
                    stated.push((id.clone(), one));
                } else {
                    more += 1;
                }
            }
        }
        (stated, more)
    }

    fn yanked(&self, one: &Listed) -> Map<String, Value> {
        self.marked(one, |released| released.yanked.as_deref())
    }

    fn withdrawn(&self, one: &Listed) -> Map<String, Value> {
        self.marked(one, |released| released.withdrawn.as_deref())
    }
}

fn print(output: &Output, shelves: &[Shelf], known: &BTreeSet<PublicKey>) {
    let (mut text, mut datasets, mut unreleased) = (Page::default(), Vec::new(), Vec::new());
    let (mut stated, mut more_stated) = (Vec::new(), 0);
    for shelf in shelves {
        for one in &shelf.datasets {
            let (yanked, withdrawn) = (shelf.yanked(one), shelf.withdrawn(one));
            let same_hash =
                |version: &Version| shelf.same_hash(&VersionId { name: one.name.clone(), version: *version });
            let mut confirmed = Map::new();
            let versions = one.versions.iter().map(|version| {
                let same_hash = same_hash(version);
                let version = version.to_string();
                let by = same_hash.as_ref().map_or_else(String::new, |(_, keys)| {
                    let state =
                        if keys.len() == 1 { "1 key states" } else { &format!("{} keys state", keys.len()) };
                    format!(" ({state} this hash, {})", of_known(keys, known))
                });
                confirmed.extend(
                    same_hash.map(|(dataset, keys)| (version.clone(), keys_json(dataset, &keys, known))),
                );
                let mark = match (withdrawn.contains_key(&version), yanked.contains_key(&version)) {
                    (true, _) => " (withdrawn)",
                    (_, true) => " (yanked)",
                    _ => "",
                };
                version + mark + &by
            });
            let versions: Vec<String> = versions.collect();
            writeln!(text, "{}  {}  ({})", one.name, versions.join(" "), one.registry);
            datasets.push(json!({
                "name": one.name, "versions": one.versions, "registry": one.registry,
                "yanked": yanked, "withdrawn": withdrawn, "same_hash": confirmed,
            }));
        }
        let (only_stated, more) = shelf.only_stated(known);
        for (id, one) in only_stated {
            let (hash, by) = (one.dataset.prefixed(), counted(&one.keys, known));
            writeln!(text, "{}  {}  (not released: {by}: {hash})  ({})", id.name, id.version, shelf.location);
            let mut object = outcome_json(&one, known);
            object["name"] = json!(id.name);
            object["version"] = json!(id.version);
            object["registry"] = json!(shelf.location);
            stated.push(object);
        }
        more_stated += more;
        if more > 0 {
            let results = count(more, "result");
            writeln!(
                text,
                "{results} of versions that are not released, stated by keys not known to you  ({})",
                shelf.location
            );
        }
        for name in &shelf.unreleased {
            writeln!(text, "{name}  (not released: a recipe only)  ({})", shelf.location);
            unreleased.push(json!({ "name": name, "registry": shelf.location }));
        }
    }
    if datasets.is_empty() && unreleased.is_empty() && stated.is_empty() && more_stated == 0 && !output.json {
        console::message("", "no datasets");
        return;
    }
    let object = json!({
        "datasets": datasets, "unreleased": unreleased, "stated": stated, "more_stated": more_stated,
    });
    output.print(&text, object);
}

//! `isn list`.

use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli::args::RegistryArg;
use crate::cli::console::{self, Page};
use crate::cli::exit::ExitCode;
use crate::cli::output::Output;
use crate::cli::run::{Run, Verb};
use isn_format::dataset_ref::Name;
use isn_format::error::{Error, Result, chain};
use isn_format::log::{History, Notice, Released};
use isn_registry::client::Client;
use isn_registry::ops::list::{Listed, list};
use isn_registry::ops::standings::{history, recipes};

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
                let shelf = Shelf { location, datasets, history: None, unreleased: Vec::new() };
                shelves.push(shelf.with_marks(&run.output, client.as_ref()));
            }
            failed.extend(errors.into_iter().map(|e| match &client {
                Ok(client) => client.named(e),
                Err(_) => e,
            }));
        }
        if !shelves.is_empty() || failed.is_empty() {
            print(&run.output, &shelves);
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
        let history = history(client, location).unwrap_or_else(|why| {
            unmarked(&why);
            None
        });
        let has_versions =
            |name: &Name| self.datasets.iter().any(|one| one.name == *name && !one.versions.is_empty());
        let unreleased = recipes(client, location).into_iter().filter(|name| !has_versions(name)).collect();
        Shelf { history, unreleased, ..self }
    }

    /// The versions of a dataset that the log has a notice about, with its reason.
    fn marked(&self, one: &Listed, notice: fn(&Released) -> Option<&Notice>) -> Map<String, Value> {
        let dataset = self.history.as_ref().and_then(|history| history.dataset(&one.name));
        let released = |version| notice(dataset?.releases.get(version)?);
        let marked = one.versions.iter().filter_map(|version| Some((version, released(version)?)));
        marked.map(|(version, notice)| (version.to_string(), json!(notice.reason))).collect()
    }

    fn yanked(&self, one: &Listed) -> Map<String, Value> {
        self.marked(one, |released| released.yanked.as_ref())
    }

    fn withdrawn(&self, one: &Listed) -> Map<String, Value> {
        self.marked(one, |released| released.withdrawn.as_ref())
    }
}

fn print(output: &Output, shelves: &[Shelf]) {
    let (mut text, mut datasets, mut unreleased) = (Page::default(), Vec::new(), Vec::new());
    for shelf in shelves {
        for one in &shelf.datasets {
            let (yanked, withdrawn) = (shelf.yanked(one), shelf.withdrawn(one));
            let versions = one.versions.iter().map(ToString::to_string).map(|version| {
                let mark = match (withdrawn.contains_key(&version), yanked.contains_key(&version)) {
                    (true, _) => " (withdrawn)",
                    (_, true) => " (yanked)",
                    _ => "",
                };
                version + mark
            });
            let versions: Vec<String> = versions.collect();
            writeln!(text, "{}  {}  ({})", one.name, versions.join(" "), one.registry);
            datasets.push(json!({
                "name": one.name, "versions": one.versions, "registry": one.registry,
                "yanked": yanked, "withdrawn": withdrawn,
            }));
        }
        for name in &shelf.unreleased {
            writeln!(text, "{name}  (not released: a recipe only)  ({})", shelf.location);
            unreleased.push(json!({ "name": name, "registry": shelf.location }));
        }
    }
    if datasets.is_empty() && unreleased.is_empty() && !output.json {
        console::message("", "no datasets");
        return;
    }
    output.print(&text, json!({ "datasets": datasets, "unreleased": unreleased }));
}

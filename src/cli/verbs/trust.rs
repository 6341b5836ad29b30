//! `isn trust …`

use std::path::Path;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::console::{self, Page};
use crate::cli::exit::ExitCode;
use crate::cli::output::Output;
use crate::cli::run::{Run, Verb};
use isn_format::error::{Error, Result};
use isn_registry::keyring::KeyName;
use isn_registry::ops::trust::{add, remove};
use isn_registry::trust::{AnyKey, RegistryId, TrustStore};

/// Arguments of `isn trust`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum TrustCommand {
    /// Trust a registry's log or witness (a vkey), or a publisher's releases in it (an SSH key)
    Add {
        /// The registry: a folder, bucket or URL
        registry: String,
        /// The key: a vkey, a public key file, or a public key line ('ssh-ed25519 …')
        key: String,
        /// The number of the registry's witnesses that must have signed [default: all]
        #[arg(long, value_name = "N")]
        need: Option<usize>,
    },
    /// List the keys you trust
    List,
    /// Stop trusting a key
    Remove {
        /// The registry: a folder, bucket or URL
        registry: String,
        /// The key: a vkey, a public key file, a public key line, or a fingerprint (SHA256:…)
        key: String,
    },
}

impl Verb for TrustCommand {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        let mut store = run.settings.trust()?;
        match self {
            TrustCommand::Add { registry, key, need } => {
                check_no_name(key, run)?;
                let (id, key) = add(&mut store, registry, key, *need)?;
                run.complete();
                print_add(&run.output, &id, &key);
            }
            TrustCommand::List => print_list(&run.output, &store),
            TrustCommand::Remove { registry, key } => {
                let (id, key) = remove(&mut store, &run.settings.logs(), registry, key)?;
                run.complete();
                print_remove(&run.output, &id, &key);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Refuses the name of a key in the keyring, with what to give instead: a registry is trusted for a public
/// key.
fn check_no_name(key: &str, run: &Run) -> Result<()> {
    let is_name = |name: KeyName| run.settings.keyring().public(&name).is_ok();
    if Path::new(key).exists() || !key.parse().is_ok_and(is_name) {
        return Ok(());
    }
    let why = format!("is the name of a key of yours: give the line that `isn key show {key}` prints");
    Err(Error::invalid(format!("'{key}'"), why))
}

fn print_add(output: &Output, registry: &RegistryId, key: &AnyKey) {
    let text = match key {
        AnyKey::Publisher(line) => {
            format!("registry {registry}: trusts releases by {}", line.key.fingerprint())
        }
        AnyKey::Log(log) => format!("registry {registry}: trusts the log {log}"),
        AnyKey::Witness(witness) => {
            format!("registry {registry}: witness {witness} must have signed the log")
        }
    };
    output.print_done(&Page::of(format_args!("{text}")), key_json(registry, key));
}

fn print_list(output: &Output, store: &TrustStore) {
    let all: Vec<(&RegistryId, AnyKey)> = store
        .list()
        .flat_map(|(id, trusted)| {
            let log = trusted.believed_log().cloned().into_iter().map(AnyKey::Log);
            let keys = trusted.keys.iter().cloned().map(AnyKey::Publisher);
            let witnesses = trusted.witnesses.iter().cloned().map(AnyKey::Witness);
            log.chain(keys).chain(witnesses).map(move |key| (id, key))
        })
        .collect();
    if all.is_empty() && !output.json {
        console::message("", "you trust no keys: `isn trust add REGISTRY KEY` adds one");
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
    output.print(&text, json!({ "trusted": list }));
}

fn print_remove(output: &Output, registry: &RegistryId, key: &AnyKey) {
    let text = match key {
        AnyKey::Publisher(line) => {
            format!("registry {registry}: no longer trusts releases by {}", line.key.fingerprint())
        }
        AnyKey::Log(log) => format!("registry {registry}: no longer trusts the log {log}"),
        AnyKey::Witness(witness) => format!("registry {registry}: {witness} is no longer a witness"),
    };
    output.print_done(&Page::of(format_args!("{text}")), key_json(registry, key));
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

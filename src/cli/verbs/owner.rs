//! `isn owner …`

use clap::Subcommand;
use serde_json::json;

use crate::cli::args::{RegistryArg, SpeakArgs};
use crate::cli::console::Page;
use crate::cli::exit::{Aim, ExitCode};
use crate::cli::output::Output;
use crate::cli::render::claimed;
use crate::cli::run::{Run, Verb};
use isn_format::dataset_ref::Name;
use isn_format::error::{Result, count};
use isn_format::key::PublicKey;
use isn_registry::ops::owner::{Change, Shown, change, show};

/// Arguments of `isn owner`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum OwnerCommand {
    /// Show the owners of a name
    Show {
        /// The dataset
        name: Name,
        #[command(flatten)]
        registry: RegistryArg,
    },
    /// Add an owner's key
    Add {
        /// The dataset
        name: Name,
        /// The key: a name from `isn key list`, a public key file, or a public key line ('ssh-ed25519 …')
        #[arg(value_name = "KEY")]
        added: String,
        /// Add it as a recovery key, which can sign only changes of owners and revocations
        #[arg(long)]
        recovery: bool,
        #[command(flatten)]
        to: SpeakArgs,
    },
    /// Remove an owner's key
    Remove {
        /// The dataset
        name: Name,
        /// The key: a name from `isn key list`, a public key file, or a public key line ('ssh-ed25519 …')
        #[arg(value_name = "KEY")]
        removed: String,
        #[command(flatten)]
        to: SpeakArgs,
    },
    /// Set how many owners must sign
    Threshold {
        /// The dataset
        name: Name,
        /// The number of signatures
        #[arg(value_name = "N")]
        threshold: usize,
        #[command(flatten)]
        to: SpeakArgs,
    },
}

impl Verb for OwnerCommand {
    fn aim(&self) -> Aim {
        match self {
            OwnerCommand::Show { .. } => Aim::Look,
            _ => Aim::Write,
        }
    }

    fn run(&self, run: &Run) -> Result<ExitCode> {
        let (name, change_to, to) = match self {
            OwnerCommand::Show { name, registry } => {
                let client = run.client(registry)?;
                print_show(&run.output, name, &show(&client, name)?);
                return Ok(ExitCode::SUCCESS);
            }
            OwnerCommand::Add { name, added, recovery, to } => {
                let key = run.public_key(added)?;
                (name, if *recovery { Change::AddRecovery(key) } else { Change::Add(key) }, to)
            }
            OwnerCommand::Remove { name, removed, to } => {
                (name, Change::Remove(run.public_key(removed)?), to)
            }
            OwnerCommand::Threshold { name, threshold, to } => (name, Change::Threshold(*threshold), to),
        };
        run.speak(to, |speaker| change(speaker, name, &change_to))
    }
}

fn print_show(output: &Output, name: &Name, shown: &Shown) {
    output.warn(claimed(&shown.registry, shown.is_claimed));
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
    output.print(&text, object);
}

//! `isn key …`

use clap::{Subcommand, ValueHint};
use serde_json::{Value, json};

use crate::cli::args::SpeakArgs;
use crate::cli::console::{self, Page};
use crate::cli::exit::{Aim, ExitCode};
use crate::cli::output::Output;
use crate::cli::passphrase;
use crate::cli::run::{Run, Verb};
use isn_format::dataset_ref::Name;
use isn_format::error::Result;
use isn_format::key::PublicKey;
use isn_registry::keyring::{KeyName, NamedKey};
use isn_registry::ops::owner::rotate;

/// Arguments of `isn key`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum KeyCommand {
    /// Make a key pair
    New {
        /// The name of the key
        name: KeyName,
        /// Store the private key unencrypted
        #[arg(long)]
        no_passphrase: bool,
    },
    /// List your keys
    List,
    /// Print the public key line of a key
    Show {
        /// The name of the key
        name: KeyName,
    },
    /// Replace an old key by a new one in the datasets that the old one owns
    Rotate {
        /// The old key: a name from `isn key list`, a public key file, or a public key line ('ssh-ed25519 …')
        #[arg(value_name = "OLD", value_hint = ValueHint::FilePath)]
        old: String,
        /// The new key, in the same form; `isn key new` makes one
        #[arg(value_name = "NEW", value_hint = ValueHint::FilePath)]
        new: String,
        /// Only in this dataset (may be repeated) [default: all that the key owns]
        #[arg(long = "name", value_name = "NAME")]
        names: Vec<Name>,
        #[command(flatten)]
        to: SpeakArgs,
    },
}

impl Verb for KeyCommand {
    fn aim(&self) -> Aim {
        match self {
            KeyCommand::Rotate { .. } => Aim::Write,
            _ => Aim::Look,
        }
    }

    fn run(&self, run: &Run) -> Result<ExitCode> {
        let keyring = run.settings.keyring();
        match self {
            KeyCommand::New { name, no_passphrase } => {
                let passphrase = if *no_passphrase { None } else { Some(passphrase::ask_new(name)?) };
                let key = keyring.new_key(name, passphrase.as_deref())?;
                run.complete();
                print_new(&run.output, name, &key);
            }
            KeyCommand::List => print_list(&run.output, &keyring.list()?),
            KeyCommand::Show { name } => print_show(&run.output, name, &keyring.public(name)?),
            KeyCommand::Rotate { old, new, names, to } => {
                let (old, new) = (run.public_key(old)?, run.public_key(new)?);
                return run.speak(to, |speaker| rotate(speaker, names, &old, &new));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print_new(output: &Output, name: &KeyName, key: &PublicKey) {
    console::message("", &format!("key {name}: {}", key.fingerprint()));
    output.print_done(&Page::of(format_args!("{key}")), key_json(name, key));
}

fn print_list(output: &Output, keys: &[NamedKey]) {
    if keys.is_empty() && !output.json {
        console::message("", "no keys: `isn key new NAME` makes one");
        return;
    }
    let mut text = Page::default();
    for key in keys {
        writeln!(text, "{}  {}", key.name, key.public_key.fingerprint());
    }
    let list: Vec<Value> = keys.iter().map(|key| key_json(&key.name, &key.public_key)).collect();
    output.print(&text, json!({ "keys": list }));
}

fn print_show(output: &Output, name: &KeyName, key: &PublicKey) {
    output.print(&Page::of(format_args!("{key}")), key_json(name, key));
}

fn key_json(name: &KeyName, key: &PublicKey) -> Value {
    json!({ "name": name.as_str(), "public_key": key.to_string(), "fingerprint": key.fingerprint() })
}

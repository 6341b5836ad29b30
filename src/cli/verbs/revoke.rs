//! `isn revoke`.

use clap::Args;

use crate::cli::args::SpeakArgs;
use crate::cli::exit::{Aim, ExitCode};
use crate::cli::run::{Run, Verb};
use crate::cli::values::parse_reason;
use isn_format::dataset_ref::Name;
use isn_format::error::Result;
use isn_registry::ops::owner::revoke;

/// Arguments of `isn revoke`.
#[derive(Debug, Args)]
pub(in crate::cli) struct RevokeArgs {
    /// The key: a name from `isn key list`, a public key file, or a public key line ('ssh-ed25519 …')
    #[arg(value_name = "KEY")]
    revoked: String,
    /// Only in this dataset (may be repeated) [default: all that the key owns]
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<Name>,
    /// The reason, in one line
    #[arg(long, value_parser = parse_reason)]
    reason: String,
    #[command(flatten)]
    to: SpeakArgs,
}

impl Verb for RevokeArgs {
    fn aim(&self) -> Aim {
        Aim::Write
    }

    fn run(&self, run: &Run) -> Result<ExitCode> {
        let key = run.public_key(&self.revoked)?;
        run.speak(&self.to, |speaker| revoke(speaker, &self.names, &key, &self.reason))
    }
}

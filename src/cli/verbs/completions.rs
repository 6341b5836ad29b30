//! `isn completions`.

use std::collections::BTreeSet;

use clap::{Args, ValueEnum};
use clap_complete::Shell;
use serde_json::json;

use crate::cli::complete;
use crate::cli::console::Page;
use crate::cli::exit::ExitCode;
use crate::cli::run::{Run, Verb};
use isn_format::dataset_ref::Name;
use isn_format::error::Result;
use isn_registry::client::Client;

/// Arguments of `isn completions`.
#[derive(Debug, Args)]
pub(in crate::cli) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: For,
}

/// What to print.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum For {
    Bash,
    Elvish,
    Fish,
    #[value(name = "powershell")]
    PowerShell,
    Zsh,
    /// The names that the scripts complete.
    #[value(hide = true)]
    Names,
}

impl Verb for CompletionsArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        let shell = match self.shell {
            For::Bash => Shell::Bash,
            For::Elvish => Shell::Elvish,
            For::Fish => Shell::Fish,
            For::PowerShell => Shell::PowerShell,
            For::Zsh => Shell::Zsh,
            For::Names => {
                let names = names(&run.settings.client(None, true)?);
                let mut text = Page::default();
                names.iter().for_each(|name| writeln!(text, "{name}"));
                run.output.print(&text, json!({ "names": names }));
                return Ok(ExitCode::SUCCESS);
            }
        };
        let (mut command, mut script) = ((run.command)(), Vec::new());
        clap_complete::generate(shell, &mut command, "isn", &mut script);
        let script = complete::with_names(shell, &String::from_utf8_lossy(&script), &command);
        let mut text = Page::default();
        text.block("", &script);
        run.output.print(&text, json!({ "shell": shell.to_string(), "script": script }));
        Ok(ExitCode::SUCCESS)
    }
}

/// The names of datasets that this machine knows without a network: of the registry in the binary, of
/// recipes, and of the logs as they were last seen.
fn names(client: &Client) -> BTreeSet<Name> {
    let released = client.access.bundled.paths().filter_map(|path| {
        let (name, _) = path.strip_prefix("releases/")?.split_once('/')?;
        name.parse().ok()
    });
    let mut names: BTreeSet<Name> = released.collect();
    names.extend(client.locations.iter().flat_map(|location| client.recipes(location)));
    for history in client.remembered().0 {
        names.extend(history.datasets().map(|(name, _)| name.clone()));
    }
    names
}

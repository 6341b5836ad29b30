//! `isn completions`.

use clap::Args;
use clap_complete::Shell;
use serde_json::json;

use crate::cli::console::Page;
use crate::cli::exit::ExitCode;
use crate::cli::run::{Run, Verb};
use isn_format::error::Result;

/// Arguments of `isn completions`.
#[derive(Debug, Args)]
pub(in crate::cli) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Verb for CompletionsArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut (run.command)(), "isn", &mut script);
        let script = String::from_utf8_lossy(&script);
        let mut text = Page::default();
        text.block("", &script);
        run.output.print(&text, json!({ "shell": self.shell.to_string(), "script": script }));
        Ok(ExitCode::SUCCESS)
    }
}

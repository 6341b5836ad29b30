//! `isn man`, which packagers run.

use std::path::PathBuf;
use std::{fs, io};

use clap::{Args, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use serde_json::json;

use crate::cli::console::Page;
use crate::cli::exit::ExitCode;
use crate::cli::help::groups;
use crate::cli::render::path_json;
use crate::cli::run::{Run, Verb};
use isn_format::error::{Error, Result};

/// Arguments of `isn man`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ManArgs {
    /// The folder to write a page for each command to
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

impl Verb for ManArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        fs::create_dir_all(&self.dir).map_err(Error::io("create", &self.dir))?;
        let command = (run.command)();
        clap_mangen::generate_to(command.clone(), &self.dir).map_err(Error::io("write", &self.dir))?;
        let page = self.dir.join("isn.1");
        grouped(command).and_then(|text| fs::write(&page, text)).map_err(Error::io("write", &page))?;
        let text = Page::of(format_args!("{}: man pages written", self.dir.display()));
        run.output.print_done(&text, json!({ "path": path_json(&self.dir) }));
        Ok(ExitCode::SUCCESS)
    }
}

/// The page of `isn` itself, with its commands in the groups of the help, which clap does not know.
fn grouped(command: Command) -> io::Result<Vec<u8>> {
    let mut commands = Roff::new();
    commands.control("SH", ["COMMANDS"]);
    for (title, verbs) in groups(&command) {
        commands.control("SS", [title]);
        for verb in verbs {
            commands.control("TP", []);
            commands.text([roman(format!("isn-{}(1)", verb.get_name()))]);
            commands.text([roman(verb.get_about().map(ToString::to_string).unwrap_or_default())]);
        }
    }
    let (man, mut page) = (Man::new(command.disable_help_subcommand(true)), Vec::new());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    commands.to_writer(&mut page)?;
    man.render_extra_section(&mut page)?;
    man.render_version_section(&mut page)?;
    Ok(page)
}

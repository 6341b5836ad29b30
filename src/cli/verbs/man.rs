//! `isn man`, which packagers run.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use serde_json::json;

use crate::cli::console::Page;
use crate::cli::exit::ExitCode;
use crate::cli::help::groups;
use crate::cli::render::path_json;
use crate::cli::run::{Run, Verb};
use isn_format::error::{Error, Result, There};
use isn_registry::files;

/// Arguments of `isn man`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ManArgs {
    /// The folder to write a page for each command to
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

impl Verb for ManArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        let dir = files::destination(&self.dir)?;
        files::create_dir_all(&dir)?;
        let mut command = (run.command)().disable_help_subcommand(true);
        // Only a command that is not built yet can be grouped: the names of built ones are those of pages.
        let (top, path) = (grouped(command.clone()), dir.join("isn.1"));
        write(&path, &top.map_err(Error::io("write", &path))?)?;
        command.build();
        for below in command.get_subcommands() {
            write_pages(below, &dir)?;
        }
        run.complete();
        let text = Page::of(format_args!("{}: man pages written", self.dir.display()));
        run.output.print_done(&text, json!({ "path": path_json(&self.dir) }));
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes the pages of a command and of those below it that help lists.
fn write_pages(command: &Command, dir: &Path) -> Result<()> {
    if command.is_hide_set() {
        return Ok(());
    }
    for below in command.get_subcommands() {
        write_pages(below, dir)?;
    }
    let page = Man::new(command.clone());
    let (path, mut text) = (dir.join(page.get_filename()), Vec::new());
    page.render(&mut text).map_err(Error::io("write", &path))?;
    write(&path, &text)
}

/// Writes a page. Only a page is replaced, not a pipe or what a symlink leads to.
fn write(path: &Path, text: &[u8]) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(about) if !about.is_file() => {
            Err(Error::exists(There::Place, path.display(), ", and is not a file"))
        }
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("look at", path)(e)),
        _ => files::replace(path, text),
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

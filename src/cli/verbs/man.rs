//! `isn man`, which packagers run. The help does not list it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_mangen::Man;
use serde_json::json;

use crate::cli::console::Page;
use crate::cli::exit::ExitCode;
use crate::cli::render::path_json;
use crate::cli::run::{Run, Verb};
use isn_format::error::{Error, Result, There};
use isn_registry::files;

/// Arguments of `isn man`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ManArgs {
    /// The folder to write a page for each verb to
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

impl Verb for ManArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        fs::create_dir_all(&self.dir).map_err(Error::io("create", &self.dir))?;
        let mut command = (run.command)().disable_help_subcommand(true);
        command.build();
        write(command, &self.dir)?;
        let text = Page::of(format_args!("{}: man pages written", self.dir.display()));
        run.output.print_done(&text, json!({ "path": path_json(&self.dir) }));
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes the pages of a command and of those below it that help lists. Only a page is replaced, not a pipe or
/// what a symlink leads to.
fn write(command: Command, dir: &Path) -> Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        write(below.clone(), dir)?;
    }
    let page = Man::new(command);
    let path = dir.join(page.get_filename());
    match fs::symlink_metadata(&path) {
        Ok(about) if !about.is_file() => {
            return Err(Error::exists(There::Place, path.display(), ", and is not a file"));
        }
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(Error::io("look at", path)(e)),
        _ => {}
    }
    let mut text = Vec::new();
    page.render(&mut text).map_err(Error::io("write", &path))?;
    files::replace(&path, &text)
}

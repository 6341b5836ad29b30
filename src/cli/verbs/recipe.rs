//! `isn recipe …`

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::args::RegistryArg;
use crate::cli::console::Page;
use crate::cli::exit::ExitCode;
use crate::cli::output::Output;
use crate::cli::render::path_json;
use crate::cli::run::{Run, Verb};
use isn_format::dataset_ref::DatasetRef;
use isn_format::error::Result;
use isn_format::recipe::Earlier;
use isn_format::text::shell_word;
use isn_registry::ops::recipe::{Found, export, find};
use isn_registry::recipe_file::RECIPE_TOML;

/// Arguments of `isn recipe`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum RecipeCommand {
    /// Print a recipe that comes with isn, that a registry has, or that a version was built by
    Show(ShowArgs),
    /// Write a recipe and the files beside it to a folder, to change them
    Export(ExportArgs),
}

/// Arguments of `isn recipe show`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ShowArgs {
    /// The dataset, or a version (NAME@VERSION or a pin): the recipe that it was built by
    #[arg(value_name = "REF")]
    name: DatasetRef,
    #[command(flatten)]
    registry: RegistryArg,
}

/// Arguments of `isn recipe export`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ExportArgs {
    /// The dataset, or a version (NAME@VERSION or a pin): the recipe that it was built by, with its ledger,
    /// groups and pairs
    #[arg(value_name = "REF")]
    name: DatasetRef,
    /// The folder to write [default: ./NAME]
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    #[command(flatten)]
    registry: RegistryArg,
}

impl Verb for RecipeCommand {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        match self {
            RecipeCommand::Show(args) => {
                let found = find(&run.client(&args.registry)?, &args.name)?;
                run.output.warn(&found.warnings);
                print_show(&run.output, &found);
            }
            RecipeCommand::Export(args) => {
                let found = find(&run.client(&args.registry)?, &args.name)?;
                run.output.warn(&found.warnings);
                let name = found.recipe.recipe.name.as_str();
                let dir = args.to.clone().unwrap_or_else(|| name.into());
                let files = export(&found.recipe, &dir, &run.progress)?;
                print_export(&run.output, &found, &dir, &files);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print_show(output: &Output, found: &Found) {
    let Found { recipe: file, registry, warnings } = found;
    let mut text = Page::default();
    text.block("", &file.text);
    let files: Vec<&str> = file.files().into_keys().collect();
    let object = json!({
        "name": file.recipe.name, "version": file.recipe.version, "registry": registry,
        "files": files, "recipe": file.text, "warnings": warnings,
    });
    output.print(&text, object);
}

fn print_export(output: &Output, found: &Found, dir: &Path, files: &[PathBuf]) {
    let Found { recipe: file, registry, warnings } = found;
    let mut text = Page::default();
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    writeln!(text, "{}: recipe of {}, from registry {registry}", dir.display(), file.recipe.id());
    writeln!(text, "  files    {}", names.join(", "));
    // An earlier version is looked up there.
    let follows = matches!(file.recipe.split.previous, Some(Earlier::Version(_)));
    let from = if follows { format!(" --registry {}", shell_word(registry)) } else { String::new() };
    writeln!(text, "  build    isn build {} --source DIR{from}", shell_word(dir.join(RECIPE_TOML).display()));
    let object = json!({
        "name": file.recipe.name, "version": file.recipe.version, "registry": registry,
        "path": path_json(dir), "files": names, "warnings": warnings,
    });
    output.print_done(&text, object);
}

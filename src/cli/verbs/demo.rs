//! `isn demo …`

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use crate::cli::console::Page;
use crate::cli::exit::ExitCode;
use crate::cli::output::Output;
use crate::cli::render::path_json;
use crate::cli::run::{Run, Verb};
use isn_format::error::{Result, count};
use isn_registry::ops::demo::{DemoReport, write_source};

/// Arguments of `isn demo`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum DemoCommand {
    /// Draw the source images of demobirds, in the layout of ImageNet
    Source {
        /// The folder to write
        dir: PathBuf,
    },
}

impl Verb for DemoCommand {
    fn kept(&self) -> Option<&'static str> {
        Some(
            "what was drawn is in a hidden folder beside the destination; the same command removes it and \
             begins again",
        )
    }

    fn run(&self, run: &Run) -> Result<ExitCode> {
        let DemoCommand::Source { dir } = self;
        print_source(&run.output, &write_source(dir, &run.progress)?, dir);
        Ok(ExitCode::SUCCESS)
    }
}

fn print_source(output: &Output, report: &DemoReport, dir: &Path) {
    let text = Page::of(format_args!(
        "{}: {} drawn, in the layout of ILSVRC2012",
        dir.display(),
        count(report.images as usize, "image")
    ));
    output.print_done(&text, json!({ "path": path_json(dir), "images": report.images }));
}

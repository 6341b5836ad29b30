//! `isn audit all`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::balance::{self, DiscordanceArg};
use super::duplicates::{self, NearArgs};
use super::images::{self, LimitArgs};
use super::target::{self, TargetArgs, check_outputs, write_sheet};
use crate::cli::exit::{self, ExitCode};
use crate::cli::run::{Run, Verb};
use isn_format::error::Result;
use isn_format::groups::HEADER;
use isn_registry::files::Replaced;
use isn_registry::ops::audit;
use isn_registry::ops::audit::looks::look;
use isn_registry::ops::audit::sheet;
use isn_registry::ops::audit::todo::todo;

/// Arguments of `isn audit all`.
#[derive(Debug, Args)]
pub(in crate::cli) struct AllArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    near: NearArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    discordance: DiscordanceArg,
    /// Write a page of all findings, what to do first on top: an HTML file with its pictures in it; an
    /// existing file is replaced
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

impl Verb for AllArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        check_outputs([(&self.near.groups, Replaced::Table(HEADER)), (&self.html, Replaced::Page)])?;
        let mut subject = self.target.open(run, self.near.groups.as_deref())?;
        subject.warn_of_pairs();
        let looks = look(&subject, run.jobs, &run.progress)?;
        let neighbours = self.near.neighbours(&subject, run)?;
        let near = self.near.options(&neighbours);
        let copies = audit::duplicates::among(&subject, &looks, near, run.jobs, &run.progress)?;
        let remarks = audit::images::among(&looks, &self.limits.limits());
        let counts = audit::balance::balance(&subject, self.discordance.discordance);
        self.near.write_groups(&copies)?;
        let todo = todo(&copies, &remarks, &counts);
        write_sheet(self.html.as_deref(), &subject, |page| {
            sheet::add_all(page, &subject, (&copies, &remarks, &counts), &todo)
        })?;

        let mut text = duplicates::text(&subject, &copies);
        self.target.say_how_to_judge(&subject, &copies, &mut text);
        for more in [images::text(&subject, &remarks), balance::text(&subject, &counts)] {
            text.blank();
            text.append(&more);
        }
        if !todo.is_empty() {
            text.blank();
            writeln!(text, "what to do, the most important first");
        }
        for one in &todo {
            writeln!(text, "  {}: {}", one.what, one.next);
        }
        let mut object = duplicates::json(&subject, &copies);
        object.extend(images::json(&subject, &remarks));
        object.extend(balance::json(&counts));
        object.insert("todo".into(), json!(todo));
        target::print(&run.output, &subject, &text, object);
        Ok(exit::success_if(copies.groups.is_empty() && remarks.found.is_empty(), exit::FINDINGS))
    }
}

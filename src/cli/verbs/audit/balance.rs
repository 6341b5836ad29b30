//! `isn audit balance`.

use clap::Args;
use serde_json::{Map, Value, json};

use super::target::{self, TargetArgs, object, parse_share};
use crate::cli::console::Page;
use crate::cli::exit::ExitCode;
use crate::cli::run::{Run, Verb};
use isn_format::error::{Result, count};
use isn_format::split::Split;
use isn_registry::ops::audit::Subject;
use isn_registry::ops::audit::balance::{ACCURACIES, BalanceReport, balance};

/// Arguments of `isn audit balance`.
#[derive(Debug, Args)]
pub(in crate::cli) struct BalanceArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    discordance: DiscordanceArg,
}

/// How much two models disagree.
#[derive(Debug, Args)]
pub(super) struct DiscordanceArg {
    /// The assumed share of images that only one of two compared models gets right
    #[arg(long, value_name = "SHARE", default_value = "0.1", value_parser = parse_share)]
    pub(super) discordance: f64,
}

impl Verb for BalanceArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        let subject = self.target.open(run, None)?;
        let report = balance(&subject, self.discordance.discordance);
        target::print(&run.output, &subject, &text(&subject, &report), json(&report));
        Ok(ExitCode::SUCCESS)
    }
}

pub(super) fn text(subject: &Subject, report: &BalanceReport) -> Page {
    let imbalance = report.imbalance().filter(|_| report.classes.len() > 1);
    let imbalance =
        imbalance.map_or_else(String::new, |times| format!(", the largest {times:.2} times the smallest"));
    let images = count(report.images as usize, "image");
    let mut text = Page::of(format_args!("{images} in {} classes{imbalance}", report.classes.len()));
    if report.without_class > 0 {
        writeln!(text, "  {} without a class", count(report.without_class as usize, "image"));
    }
    let heads: String = report.splits.iter().map(|one| format!("{:>8}", split_name(one.split))).collect();
    let width = report.classes.keys().map(|class| class.as_str().len()).max().unwrap_or(2).max(5);
    text.blank();
    writeln!(text, "  {:<width$}{heads}", "class");
    for (class, counts) in &report.classes {
        let cells: String = report.splits.iter().map(|one| format!("{:>8}", counts[&one.split])).collect();
        let label = subject.labels.get(class).map(|label| format!("  {label}")).unwrap_or_default();
        writeln!(text, "  {:<width$}{cells}{label}", class.as_str());
    }
    text.blank();
    writeln!(text, "  what an accuracy can tell, in percent points (95%)");
    let heads: String =
        ACCURACIES.iter().map(|p| format!("{:>9}", format!("at {:.0}%", p * 100.0))).collect();
    writeln!(text, "  {:<26}{heads}", "");
    for one in &report.splits {
        let rows = [("all of it", one.half_widths), ("its smallest class", one.class_half_widths)];
        for (what, widths) in rows.iter().take(if report.classes.is_empty() { 1 } else { 2 }) {
            let cells: String =
                widths.iter().map(|width| format!("{:>9}", format!("±{}", percent(*width)))).collect();
            writeln!(text, "  {:<26}{cells}", format!("{}, {what}", split_name(one.split)));
        }
        let discordance = format!("{}%", report.discordance * 100.0);
        match one.smallest_difference {
            Some(least) => writeln!(
                text,
                "    two models that disagree on {discordance} are told apart from {} points on (McNemar, \
                 power 80%)",
                percent(least)
            ),
            None => writeln!(text, "    two models that disagree on {discordance} cannot be told apart"),
        };
    }
    text
}

pub(super) fn json(report: &BalanceReport) -> Map<String, Value> {
    let by_accuracy = |widths: &[f64; 3]| -> Map<String, Value> {
        ACCURACIES.iter().zip(widths).map(|(p, width)| (p.to_string(), json!(width))).collect()
    };
    let classes = report.classes.iter().map(|(class, counts)| {
        let counts: Map<String, Value> =
            counts.iter().map(|(split, count)| (split_name(*split).into(), json!(count))).collect();
        (class.to_string(), Value::Object(counts))
    });
    let splits = report.splits.iter().map(|one| {
        let figures = json!({
            "images": one.images,
            "fewest": one.range.0,
            "most": one.range.1,
            "half_width": by_accuracy(&one.half_widths),
            "class_half_width": by_accuracy(&one.class_half_widths),
            "smallest_difference": one.smallest_difference,
        });
        (split_name(one.split).to_string(), figures)
    });
    object(json!({
        "classes": classes.collect::<Map<String, Value>>(),
        "splits": splits.collect::<Map<String, Value>>(),
        "imbalance": report.imbalance(),
        "without_class": report.without_class,
        "discordance": report.discordance,
    }))
}

fn split_name(split: Option<Split>) -> &'static str {
    split.map_or("all", Split::as_str)
}

fn percent(share: f64) -> String {
    format!("{:.2}", share * 100.0)
}

//! `isn audit images`.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use super::target::{self, TargetArgs, check_outputs, write_sheet};
use crate::cli::console::Page;
use crate::cli::exit::{self, ExitCode};
use crate::cli::run::{Run, Verb};
use isn_format::error::{Result, count};
use isn_registry::audit::health::{Limits, Remark};
use isn_registry::files::Replaced;
use isn_registry::ops::audit::images::{ImagesReport, images};
use isn_registry::ops::audit::{Subject, sheet};

/// The number of images of each kind in the text; JSON has all.
const SHOWN: usize = 20;

/// Arguments of `isn audit images`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ImagesArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    limits: LimitArgs,
    /// Write a contact sheet: an HTML file with all pictures in it; an existing file is replaced
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// The limits beyond which an image is reported.
#[derive(Debug, Args)]
pub(super) struct LimitArgs {
    /// Report an image as tiny if its shortest side has fewer pixels
    #[arg(long, value_name = "PIXELS", default_value = "32")]
    tiny: u32,
    /// Report an image as blank if the standard deviation of its luminance has fewer grey levels
    #[arg(long, value_name = "LEVELS", default_value = "5")]
    blank: f64,
    /// Report an image as extreme if its long side is more than this many times its short side
    #[arg(long, value_name = "RATIO", default_value = "4")]
    aspect: f64,
}

impl LimitArgs {
    pub(super) fn limits(&self) -> Limits {
        Limits { tiny: self.tiny, blank: self.blank, aspect: self.aspect }
    }
}

impl Verb for ImagesArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        check_outputs([(&self.html, Replaced::Page)])?;
        let subject = self.target.open(run, None)?;
        let report = images(&subject, &self.limits.limits(), run.jobs, &run.progress)?;
        write_sheet(self.html.as_deref(), &subject, |page| sheet::add_images(page, &subject, &report))?;
        target::print(&run.output, &subject, &text(&subject, &report), json(&subject, &report));
        Ok(exit::success_if(report.found.is_empty(), exit::FINDINGS))
    }
}

pub(super) fn text(subject: &Subject, report: &ImagesReport) -> Page {
    let counts = report.counts();
    let found: Vec<String> =
        Remark::ALL.iter().map(|remark| format!("{} {}", counts[remark], remark.as_str())).collect();
    let mut text = Page::of(format_args!("{}: {}", count(report.images, "image"), found.join(", ")));
    for remark in Remark::ALL {
        let found = || report.found.iter().filter(move |found| found.remark == remark);
        for one in found().take(SHOWN) {
            let why = if one.why.is_empty() { String::new() } else { format!("  {}", one.why) };
            writeln!(text, "  {:<8}{}{why}", remark.as_str(), subject.images[one.at].path);
        }
        if counts[&remark] > SHOWN {
            let more = counts[&remark] - SHOWN;
            writeln!(text, "  … and {more} more {} (--json and --html have all)", remark.as_str());
        }
    }
    let (tagged, turned) = (report.orientations.len(), report.turned().count());
    if tagged > 0 {
        let turns = match (turned, subject.turns()) {
            (0, _) => "none of them is turned by it".to_owned(),
            (_, true) => format!("it turns {turned} of them, and so does a build by the recipe"),
            (_, false) => format!("it turns {turned} of them, and a build ignores it"),
        };
        writeln!(text, "  {} with an EXIF orientation: {turns}", count(tagged, "image"));
    }
    for (at, orientation) in report.turned().take(SHOWN) {
        writeln!(text, "  turned  {}  orientation {orientation}", subject.images[at].path);
    }
    if turned > SHOWN {
        writeln!(text, "  … and {} more turned (--json has all)", turned - SHOWN);
    }
    text
}

pub(super) fn json(subject: &Subject, report: &ImagesReport) -> Map<String, Value> {
    let mut map = Map::new();
    for remark in Remark::ALL {
        let found = report.found.iter().filter(|found| found.remark == remark).map(|found| {
            let item = &subject.images[found.at];
            json!({ "path": item.path, "source_id": item.source_id, "why": found.why })
        });
        map.insert(remark.as_str().into(), found.collect());
    }
    let turned = report.turned().map(|(at, orientation)| {
        let item = &subject.images[at];
        json!({ "path": item.path, "source_id": item.source_id, "orientation": orientation })
    });
    let turned: Vec<Value> = turned.collect();
    map.insert("orientation".into(), json!({ "tagged": report.orientations.len(), "turned": turned }));
    map
}

//! `isn ledger add`.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::json;

use super::rows::{row, said};
use crate::cli::console::Page;
use crate::cli::exit::ExitCode;
use crate::cli::output::Output;
use crate::cli::render::path_json;
use crate::cli::run::{Run, Verb};
use isn_format::class::ClassId;
use isn_format::error::{Error, Result, count};
use isn_format::ledger::date::timestamp;
use isn_format::ledger::{Claim, Decision, MAX_LEN, Reason, Row, Says, Verdict};
use isn_format::source_spec::nfc;
use isn_registry::ops::ledger::{add, looks_like_a_file, of_no_image};

/// Arguments of `isn ledger add`.
#[derive(Debug, Args)]
pub(in crate::cli) struct AddArgs {
    /// The ledger, which is made if it does not exist
    #[arg(value_name = "LEDGER")]
    ledger: PathBuf,
    /// The source id of the image, for example ILSVRC2012_val_00000318: for ImageNet the file name, for an
    /// imagefolder the path in the source, without the extension; after -- if it starts with -. The ID -
    /// reads ids from stdin, one on each line
    #[arg(value_name = "ID")]
    source_id: String,
    /// The decision: keep, remove, relabel, unsure or withdraw. With --claim: label, several, none or unclear
    #[arg(value_name = "WHAT")]
    what: String,
    /// The class to relabel to; the other classes that are right of an image to keep; or the
    /// classes of a claim
    #[arg(value_name = "CLASS", allow_negative_numbers = true)]
    labels: Vec<ClassId>,
    /// Add a label claim, not a decision
    #[arg(long, requires = "source", conflicts_with_all = ["reason", "reviewer"])]
    claim: bool,
    /// The reason for the decision
    #[arg(long, value_name = "CODE", required_unless_present = "claim",
          value_parser = PossibleValuesParser::new(Reason::ALL.iter().map(|code| code.as_str())))]
    reason: Option<String>,
    /// The name of the person who decides
    #[arg(long, value_name = "NAME", required_unless_present = "claim")]
    reviewer: Option<String>,
    /// Where the decision comes from, or who makes the claim
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// The evidence, in one line
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    evidence: String,
    /// The date, as YYYY-MM-DD [default: now]
    #[arg(long, value_name = "DATE")]
    date: Option<String>,
}

impl Verb for AddArgs {
    fn run(&self, run: &Run) -> Result<ExitCode> {
        let ids = self.ids()?;
        let rows = ids.iter().map(|id| self.row(id)).collect::<Result<Vec<_>>>()?;
        let mut warnings = Vec::new();
        if let Some(file) = ids.iter().find(|id| looks_like_a_file(id)) {
            warnings.push(format!(
                "{file} looks like a file, and a source id has no extension: `isn ledger check` finds ids \
                 that no image has"
            ));
        }
        if let Some(beside) = run.recipe_beside(&self.ledger) {
            let images = ids.iter().map(String::as_str);
            warnings.extend(of_no_image(&beside.file.recipe, !self.claim, images));
        }
        run.output.warn(&warnings);
        let is_new = !self.ledger.exists();
        add(&self.ledger, &rows)?;
        run.complete();
        print(&run.output, &self.ledger, &rows, is_new, &warnings);
        Ok(ExitCode::SUCCESS)
    }
}

impl AddArgs {
    /// The ids that the user names: one, or those on stdin.
    fn ids(&self) -> Result<Vec<String>> {
        if self.source_id != "-" {
            return Ok(vec![self.source_id.clone()]);
        }
        let mut text = String::new();
        let read = io::stdin().take(MAX_LEN + 1).read_to_string(&mut text);
        read.map_err(Error::io("read", Path::new("stdin")))?;
        if text.len() as u64 > MAX_LEN {
            return Err(Error::invalid("stdin", format!("is longer than {MAX_LEN} bytes")));
        }
        let ids: Vec<String> =
            text.lines().map(str::trim).filter(|id| !id.is_empty()).map(Into::into).collect();
        match ids.is_empty() {
            true => Err(Error::invalid("stdin", "has no source id: expected one on each line")),
            false => Ok(ids),
        }
    }

    fn row(&self, source_id: &str) -> Result<Row> {
        let now = timestamp(SystemTime::now());
        let AddArgs { what, labels, evidence, .. } = self;
        // As in the source, where a name that a system has in parts is composed.
        let (source_id, evidence) = (nfc(source_id).into_owned(), evidence.clone());
        let date = self.date.clone().unwrap_or(now);
        let source = self.source.clone().unwrap_or_default();
        let wrong = |why: &str| Error::invalid(format!("'{what}'"), why);
        if source_id == "SOURCE_ID" {
            return Err(Error::invalid("ID", "SOURCE_ID only stands for the source id of an image"));
        }
        if self.claim {
            let says = match (what.as_str(), &labels[..]) {
                ("label", [class]) => Says::Label(class.clone()),
                ("several", _) => Says::Several(labels.clone()),
                ("none", []) => Says::None,
                ("unclear", []) => Says::Unclear,
                ("label", _) => return Err(wrong("takes one class")),
                ("none" | "unclear", _) => return Err(wrong("takes no class")),
                _ => {
                    return Err(wrong(
                        "is not a claim: expected label CLASS, several CLASS…, none or unclear",
                    ));
                }
            };
            return Ok(Row::Claim(Claim { source_id, says, source, date, evidence }));
        }
        let verdict = match (what.as_str(), &labels[..]) {
            ("relabel", [class]) => Verdict::Relabel(class.clone()),
            ("keep", _) => Verdict::Keep(labels.clone()),
            ("remove", []) => Verdict::Remove,
            ("unsure", []) => Verdict::Unsure,
            ("withdraw", []) => Verdict::Withdraw,
            ("relabel", _) => return Err(wrong("takes one class")),
            ("remove" | "unsure" | "withdraw", _) => return Err(wrong("takes no class")),
            _ => {
                return Err(wrong(
                    "is not a decision: expected keep [CLASS…], remove, relabel CLASS, unsure or withdraw",
                ));
            }
        };
        let reason = self.reason.as_deref().and_then(Reason::of_code);
        let (Some(reason), Some(reviewer)) = (reason, self.reviewer.clone()) else {
            return Err(wrong("needs --reason and --reviewer"));
        };
        Ok(Row::Decision(Decision { source_id, verdict, reason, source, reviewer, date, evidence }))
    }
}

fn print(output: &Output, path: &Path, added: &[Row], is_new: bool, warnings: &[String]) {
    let new = if is_new { " (a new ledger)" } else { "" };
    let Some(first) = added.first() else { return };
    let ids = match added.len() {
        1 => first.source_id().to_string(),
        several => count(several, "image"),
    };
    let text = Page::of(format_args!("{}{new}: {ids}: {}", path.display(), said(first)));
    let mut object =
        json!({ "ledger": path_json(path), "new": is_new, "row": row(first), "warnings": warnings });
    if added.len() > 1 {
        object["rows"] = added.iter().map(row).collect();
    }
    output.print_done(&text, object);
}

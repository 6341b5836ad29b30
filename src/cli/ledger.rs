//! `isn ledger …`

use std::path::PathBuf;
use std::time::SystemTime;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};

use super::exit;
use super::exit::ExitCode;
use super::render::Output;
use isn_format::class::ClassId;
use isn_format::error::{Error, Result};
use isn_format::ledger::date::timestamp;
use isn_format::ledger::import::Unsaid;
use isn_format::ledger::{Claim, Decision, Reason, Row, Says, Verdict};
use isn_registry::ops;

/// `isn ledger …`
#[derive(Debug, Subcommand)]
pub(super) enum LedgerCommand {
    /// Print what is claimed and decided, image by image
    Show {
        /// The ledger's file
        #[arg(value_name = "LEDGER")]
        ledger: PathBuf,
        /// Only this image (may be repeated)
        #[arg(long = "image", value_name = "ID")]
        images: Vec<String>,
    },
    /// Add a decision, or with --claim a claim; an earlier decision of the same reviewer counts no more
    Add(AddArgs),
    /// Take in the rows of another ledger, or published claims: ReaL's real.json, imagenet_mturk.json, CSV
    Import {
        /// The ledger's file; it is made if there is none
        #[arg(value_name = "LEDGER")]
        ledger: PathBuf,
        /// What to read
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Only images of this recipe's classes
        #[arg(long, value_name = "RECIPE.toml")]
        recipe: Option<PathBuf>,
        /// Whose claims these are, where the file does not say
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
        /// When they were made, YYYY-MM-DD, where the file does not say [default: today]
        #[arg(long, value_name = "DATE")]
        date: Option<String>,
    },
    /// Settle a recipe's ledger as a build does; exit 8 if something stands in a build's way
    Check {
        /// The recipe
        #[arg(value_name = "RECIPE.toml")]
        recipe: PathBuf,
        /// The raw images, where their names do not tell their classes
        #[arg(long, value_name = "DIR")]
        source: Option<PathBuf>,
    },
    /// Compare two ledgers
    Diff {
        /// The older one
        #[arg(value_name = "OLD")]
        old: PathBuf,
        /// The newer one
        #[arg(value_name = "NEW")]
        new: PathBuf,
    },
}

/// A row.
#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// The ledger's file; it is made if there is none
    #[arg(value_name = "LEDGER")]
    ledger: PathBuf,
    /// The image: its source id, for example ILSVRC2012_val_00000318
    #[arg(value_name = "ID")]
    source_id: String,
    /// keep, remove, relabel, unsure or withdraw; with --claim label, several, none or unclear
    #[arg(value_name = "WHAT")]
    what: String,
    /// The class of a relabel, or the classes that a claim names
    #[arg(value_name = "CLASS")]
    labels: Vec<ClassId>,
    /// A claim, not a decision
    #[arg(long, requires = "source", conflicts_with_all = ["reason", "reviewer"])]
    claim: bool,
    /// Why
    #[arg(long, value_name = "CODE", required_unless_present = "claim",
          value_parser = PossibleValuesParser::new(Reason::ALL.iter().map(|code| code.as_str())))]
    reason: Option<String>,
    /// Who decides
    #[arg(long, value_name = "NAME", required_unless_present = "claim")]
    reviewer: Option<String>,
    /// Where it comes from; of a claim, who claims it
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// In words, one line
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    evidence: String,
    /// YYYY-MM-DD [default: now]
    #[arg(long, value_name = "DATE")]
    date: Option<String>,
}

impl AddArgs {
    fn row(self) -> Result<Row> {
        let now = timestamp(SystemTime::now());
        let AddArgs { source_id, what, labels, evidence, .. } = self;
        let (date, source) = (self.date.unwrap_or(now), self.source.unwrap_or_default());
        let wrong = |why: &str| Error::invalid(format!("'{what}'"), why);
        if self.claim {
            let says = match (what.as_str(), &labels[..]) {
                ("label", [class]) => Says::Label(class.clone()),
                ("several", _) => Says::Several(labels),
                ("none", []) => Says::None,
                ("unclear", []) => Says::Unclear,
                ("label", _) => return Err(wrong("takes one class")),
                ("none" | "unclear", _) => return Err(wrong("takes no class")),
                _ => return Err(wrong("is no claim: label CLASS, several CLASS…, none or unclear")),
            };
            return Ok(Row::Claim(Claim { source_id, says, source, date, evidence }));
        }
        let verdict = match (what.as_str(), &labels[..]) {
            ("relabel", [class]) => Verdict::Relabel(class.clone()),
            ("keep", []) => Verdict::Keep,
            ("remove", []) => Verdict::Remove,
            ("unsure", []) => Verdict::Unsure,
            ("withdraw", []) => Verdict::Withdraw,
            ("relabel", _) => return Err(wrong("takes one class")),
            ("keep" | "remove" | "unsure" | "withdraw", _) => return Err(wrong("takes no class")),
            _ => return Err(wrong("is no decision: keep, remove, relabel CLASS, unsure or withdraw")),
        };
        let reason = Reason::ALL.iter().copied().find(|code| Some(code.as_str()) == self.reason.as_deref());
        let (Some(reason), Some(reviewer)) = (reason, self.reviewer) else {
            return Err(wrong("needs --reason and --reviewer"));
        };
        Ok(Row::Decision(Decision { source_id, verdict, reason, source, reviewer, date, evidence }))
    }
}

impl LedgerCommand {
    pub(super) fn run(self, output: &Output) -> Result<ExitCode> {
        match self {
            LedgerCommand::Show { ledger: path, images } => {
                let ledger = ops::ledger::open(&path)?;
                let known = ledger.source_ids();
                if let Some(id) = images.iter().find(|id| !known.contains(&id.as_str())) {
                    return Err(Error::not_found(
                        format!("image {id}"),
                        format!("ledger {}", path.display()),
                    ));
                }
                output.ledger(&path, &ledger, &images);
            }
            LedgerCommand::Add(args) => {
                let (path, row) = (args.ledger.clone(), args.row()?);
                ops::ledger::add(&path, &row)?;
                output.ledger_added(&path, &row);
            }
            LedgerCommand::Import { ledger, file, recipe, source, date } => {
                let today = timestamp(SystemTime::now());
                let date = date.as_deref().unwrap_or(&today[..10]);
                let unsaid = Unsaid { source: source.as_deref(), date };
                let report = ops::ledger::import(&ledger, &file, recipe.as_deref(), unsaid)?;
                output.ledger_imported(&ledger, &file, &report);
            }
            LedgerCommand::Check { recipe, source } => {
                let report = ops::ledger::check(&recipe, source.as_deref())?;
                output.ledger_checked(&report);
                if !report.problems.is_empty() {
                    return Ok(ExitCode::from(exit::FINDINGS));
                }
            }
            LedgerCommand::Diff { old, new } => output.ledger_diff(&ops::ledger::diff(&old, &new)?),
        }
        Ok(ExitCode::SUCCESS)
    }
}

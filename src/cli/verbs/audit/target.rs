//! The subject of an audit, and the outputs that several audits share.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli::args::{RecipeArg, RegistryArg};
use crate::cli::console::Page;
use crate::cli::output::Output;
use crate::cli::run::Run;
use isn_format::error::Result;
use isn_registry::files::{self, Replaced};
use isn_registry::ops::audit::Subject;
use isn_registry::ops::audit::duplicates::DuplicatesReport;
use isn_registry::ops::pairs::judging;
use isn_registry::sheet::Sheet;

/// The subject of an audit.
#[derive(Debug, Args)]
pub(super) struct TargetArgs {
    /// A folder of images, a tree, a build, or a version (NAME, NAME@VERSION or a pin)
    #[arg(value_name = "DIR|REF")]
    target: String,
    #[command(flatten)]
    recipe: RecipeArg,
    #[command(flatten)]
    registry: RegistryArg,
}

impl TargetArgs {
    /// Opens the images, whose source ids are written to a file if one is given.
    pub(super) fn open(&self, run: &Run, written: Option<&Path>) -> Result<Subject> {
        let recipe = run.folder_recipe(&self.recipe, written)?;
        let client = run.client(&self.registry)?;
        let mut subject = Subject::open(&client, &self.target, recipe.as_ref(), &run.progress)?;
        let guess = written.and_then(|_| subject.guess());
        subject.warnings.extend(guess);
        Ok(subject)
    }

    /// Adds the command line that judges a pair which nobody has judged, if source ids are known.
    pub(super) fn say_how_to_judge(&self, subject: &Subject, report: &DuplicatesReport, text: &mut Page) {
        let pair = report.to_judge(&subject.judged).filter(|_| subject.guess().is_none());
        let Some(pair) = pair else { return };
        let (file, with) = match &subject.pairs {
            Some(file) => (file.clone(), ""),
            None => {
                let beside = self.recipe.recipe.as_deref().map_or(Path::new(""), files::parent);
                (beside.join("pairs.csv"), ", with [split] pairs in the recipe")
            }
        };
        writeln!(text, "if two are different pictures, say so{with}, for example");
        writeln!(text, "  {}", judging(file, pair));
    }
}

/// Parses a share from 0 to 1.
pub(super) fn parse_share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "expected a number from 0 to 1".into())
}

/// Fails if an output cannot be written, or would replace a file of another kind, before the audit, which may
/// take long.
pub(super) fn check_outputs<'f>(
    outputs: impl IntoIterator<Item = (&'f Option<PathBuf>, Replaced)>,
) -> Result<()> {
    let given = outputs.into_iter().filter_map(|(file, kind)| Some((file.as_ref()?, kind)));
    given.into_iter().try_for_each(|(file, kind)| files::check_replaced(file, kind))
}

/// Writes the page that `fill` makes, if a file is given.
pub(super) fn write_sheet(
    file: Option<&Path>,
    subject: &Subject,
    fill: impl FnOnce(&mut Sheet),
) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    let mut page = Sheet::new(&format!("isn audit: {}", subject.what));
    fill(&mut page);
    files::write_output(file, &page.finish())
}

/// Prints a report. `object` is its JSON.
pub(super) fn print(output: &Output, subject: &Subject, text: &Page, object: Map<String, Value>) {
    output.warn(&subject.warnings);
    output.print(text, with_what(subject, object));
}

fn with_what(subject: &Subject, mut object: Map<String, Value>) -> Value {
    object.insert("what".into(), json!(subject.what));
    object.insert("images".into(), json!(subject.images.len()));
    object.insert("unsigned".into(), json!(subject.unsigned));
    object.insert("warnings".into(), json!(subject.warnings));
    Value::Object(object)
}

/// Returns the members of an object.
pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

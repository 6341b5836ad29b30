//! `isn audit labels`: finds labels that are probably wrong, the most suspect first.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::path::Path;

use super::features::{self, ModelOptions};
use super::sheet::{SHOWN, Thumbnails};
use super::subject::{FolderRecipe, Item, Subject};
use crate::audit::labels::{self, Filter, Rank, Suspect};
use crate::audit::learn::{self, Learner, ridge};
use crate::audit::matrix::{MAX_LEN, Matrix};
use crate::audit::{npy, table};
use crate::client::Client;
use crate::files;
use crate::progress::Progress;
use crate::sheet::{Figure, Sheet};
use isn_format::class::{ClassId, MAX_CLASSES, csv_field, parse_classes};
use isn_format::error::{Error, Result, count};
use isn_format::ledger::{Claim, Row, Says};
use isn_format::text::is_formula;

/// How many classes without a label a warning names.
const UNUSED: usize = 8;
/// The maximum length of a table of labels, in bytes: those of ten million images have some 0.2 GB.
const MAX_LABELS: u64 = 1 << 30;
/// The maximum length of a table of probabilities, in bytes. More of them are an array.
const MAX_PROBABILITIES: u64 = 4 << 30;

/// What the audit relies on.
pub enum Evidence<'a> {
    /// A file of out-of-sample predicted probabilities.
    Probabilities(&'a Path),
    /// Embeddings: a file with one row for each image, or a folder of saved ones.
    Embeddings(&'a Path),
    /// A model that computes embeddings of the images.
    Model {
        /// The file of the model.
        model: &'a Path,
        /// The input that it expects.
        options: ModelOptions,
        /// A folder in which they are kept.
        save: Option<&'a Path>,
    },
    /// The images' pixels alone.
    Pixels,
}

impl Evidence<'_> {
    /// Returns the default filter: cleanlab's own for probabilities, and for embeddings the one that does
    /// best in `benches/labels.py`.
    pub fn filter(&self) -> Filter {
        match self {
            Evidence::Probabilities(_) => Filter::PruneByNoiseRate,
            _ => Filter::PruneByClass,
        }
    }
}

/// What to audit, and how.
pub struct LabelsOptions<'a> {
    /// What the audit relies on.
    pub evidence: Evidence<'a>,
    /// The images: a folder or a version. Rows are in the order of their paths.
    pub target: Option<&'a str>,
    /// The recipe of a folder, see [`Subject::open`].
    pub recipe: Option<&'a FolderRecipe>,
    /// A file of labels, one row for each image; the classes of the images if `None`.
    pub labels: Option<&'a Path>,
    /// A `classes.csv` that gives the class of each column.
    pub classes: Option<&'a Path>,
    /// The filter that flags labels.
    pub filter: Filter,
    /// The score that ranks them.
    pub rank: Rank,
    /// The learner that computes probabilities from embeddings.
    pub learner: Learner,
    /// The number of threads.
    pub jobs: usize,
}

/// The outcome of an audit of labels.
pub struct LabelsReport {
    /// The filter that flagged labels.
    pub filter: Filter,
    /// The score that ranked them.
    pub rank: Rank,
    /// The learner that computed probabilities, if there were embeddings.
    pub learner: Option<Learner>,
    /// The number of images.
    pub rows: usize,
    /// The number of classes.
    pub classes: usize,
    /// The ids of the classes by column, if they are known.
    pub class_ids: Option<Vec<ClassId>>,
    /// The flagged labels, the most suspect first.
    pub suspects: Vec<Suspect>,
    /// All labels, flagged or not, the most suspect first.
    pub scored: Vec<Suspect>,
    /// The images by row, if they are known.
    pub subject: Option<Subject>,
    /// Warnings for the user.
    pub warnings: Vec<String>,
}

impl LabelsReport {
    /// Returns the images by row; empty if they are not known.
    pub fn images(&self) -> &[Item] {
        self.subject.as_ref().map_or(&[], |subject| &subject.images)
    }

    /// Returns the name of a class by its column: its id, or the column's number if the id is not known.
    pub fn class(&self, column: usize) -> String {
        self.class_ids.as_ref().map_or_else(|| column.to_string(), |ids| ids[column].to_string())
    }
}

/// Adds the suspects to a contact sheet, the most suspect first. Adds nothing if the images are not known.
pub fn add_to_sheet(sheet: &mut Sheet, report: &LabelsReport) {
    let Some(subject) = &report.subject else { return };
    let mut thumbnails = Thumbnails::new(subject.orientation);
    let named = |column: usize| {
        let id = report.class(column);
        let label = id.parse().ok().and_then(|id: ClassId| subject.labels.get(&id));
        label.map_or_else(|| id.clone(), |label| format!("{id} {label}"))
    };
    let figure = |suspect: &Suspect| {
        let mut figure = thumbnails.figure(subject, suspect.row);
        figure.facts.retain(|(fact, _)| fact != "class");
        figure.facts.push(("given".into(), named(suspect.given)));
        figure.facts.push(("suggested".into(), named(suspect.suggested)));
        figure.facts.push((report.rank.as_str().into(), format!("{:.4}", suspect.score)));
        figure
    };
    let all = report.suspects.len();
    sheet.heading(&format!("Labels flagged by {}: {all}", report.filter.as_str()));
    let figures: Vec<Figure> = report.suspects.iter().take(SHOWN).map(figure).collect();
    sheet.group("", &figures);
    if all > SHOWN {
        sheet.paragraph(&format!("The first {SHOWN} of {all} are shown; --json has all."));
    }
}

/// Finds labels that are probably wrong.
///
/// # Errors
/// [`Error::Invalid`] with the row and column of what is wrong in a file, or if something is missing; those
/// of [`Subject::open`].
pub fn audit(client: &Client, options: &LabelsOptions<'_>, progress: &dyn Progress) -> Result<LabelsReport> {
    let open = |target| Subject::open(client, target, options.recipe, progress);
    let mut subject = options.target.map(open).transpose()?;
    let mut class_ids = options.classes.map(read_classes).transpose()?;
    if class_ids.is_none() && options.labels.is_none() {
        class_ids = subject.as_ref().map(classes_of);
    }
    let (labels_what, mut given) = match (options.labels, &subject) {
        (Some(file), _) => (file.display().to_string(), read_labels(file, class_ids.as_deref())?),
        (None, Some(subject)) => {
            (subject.what.clone(), given_by(subject, class_ids.as_deref().unwrap_or_default())?)
        }
        (None, None) => return Err(Error::invalid("--labels", "is needed if no images are named")),
    };
    let need_images = || Error::invalid("images", "are needed: name their folder or version");
    let (what, probabilities, learner) = match &options.evidence {
        Evidence::Probabilities(file) => {
            (file.display().to_string(), read_probabilities(file, class_ids.as_deref())?, None)
        }
        other => {
            let (what, embeddings) = match other {
                Evidence::Probabilities(file) | Evidence::Embeddings(file) if !file.is_dir() => {
                    (file.display().to_string(), read_npy(file)?.into_matrix(&file.display().to_string())?)
                }
                seen => {
                    let subject = subject.as_mut().ok_or_else(need_images)?;
                    let (what, (rows, undecodable)) = match seen {
                        Evidence::Model { model, options: how, save } => (
                            model.display().to_string(),
                            features::of_model(subject, (model, how), *save, options.jobs, progress)?,
                        ),
                        Evidence::Embeddings(folder) => (
                            folder.display().to_string(),
                            features::of_path(subject, folder, options.jobs, progress)?,
                        ),
                        _ => (subject.what.clone(), features::of_pixels(subject, options.jobs, progress)?),
                    };
                    if let (Some((first, why)), Some(file)) = (undecodable.first(), options.labels) {
                        let what = count(undecodable.len(), "image");
                        let why = format!(
                            "has a label for each image, and {what} cannot be decoded, the first is {}: {why}. \
                             Leave both out",
                            subject.images[*first].path
                        );
                        return Err(Error::invalid(file.display(), why));
                    }
                    for (at, _) in undecodable.iter().rev() {
                        given.remove(*at);
                    }
                    subject.leave_out(&undecodable);
                    (what, rows)
                }
            };
            let known = class_ids.as_ref().map(Vec::len);
            let labels = check_embeddings(&what, &embeddings, &labels_what, &given, known)?;
            let classes = known.unwrap_or_else(|| labels.iter().max().map_or(0, |most| most + 1));
            let smaller = embeddings.rows().min(embeddings.columns() + 1);
            if matches!(options.learner, Learner::Ridge | Learner::Both) && smaller > ridge::MOST {
                let why = format!(
                    "has {} rows of {} numbers, and ridge regression needs at most {} of one of the two: use \
                     --learner logistic",
                    embeddings.rows(),
                    embeddings.columns(),
                    ridge::MOST
                );
                return Err(Error::invalid(what, why));
            }
            let pool = crate::parallel::pool(options.jobs)?;
            let predicted = pool.install(|| learn::predict(&embeddings, &labels, classes, options.learner));
            let predicted = predicted.ok_or_else(|| {
                let why = "says nothing of the images: no column varies, or only by numbers too large or too small \
                           to be squared";
                Error::invalid(&what, why)
            })?;
            (what, predicted, Some(options.learner))
        }
    };
    if let Some(ids) = class_ids.as_ref().filter(|ids| ids.len() != probabilities.columns()) {
        let why = format!("has {} columns, but there are {} classes", probabilities.columns(), ids.len());
        return Err(Error::invalid(what, why));
    }
    let labels = labels::check(&what, &probabilities, &labels_what, &given)?;
    if let Some(images) = subject.as_ref().filter(|subject| subject.images.len() != labels.len()) {
        let why = format!("has {} images, but there are {} labels", images.images.len(), labels.len());
        return Err(Error::invalid(&images.what, why));
    }
    let suspects = labels::find(&probabilities, &labels, options.filter, options.rank);
    let scored = labels::scored(&probabilities, &labels, options.rank);
    let mut warnings = subject.as_ref().map_or_else(Vec::new, |subject| subject.warnings.clone());
    let unused: Vec<String> = (0..probabilities.columns())
        .filter(|class| !labels.contains(class))
        .map(|class| class.to_string())
        .collect();
    let (shown, more) = unused.split_at(unused.len().min(UNUSED));
    if !shown.is_empty() {
        let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
        warnings.push(format!(
            "no label is of class {}{more}: only predicted_neq_given flags a label as one of these",
            shown.join(", ")
        ));
    }
    Ok(LabelsReport {
        filter: options.filter,
        rank: options.rank,
        learner,
        rows: labels.len(),
        classes: probabilities.columns(),
        class_ids,
        suspects,
        scored,
        subject,
        warnings,
    })
}

/// Returns the suspects as label claims for a ledger, each for the suggested class, or with
/// [`Filter::Several`] for that and its own.
///
/// # Errors
/// [`Error::Invalid`] if the images or the ids of the classes are not known.
pub fn claims(report: &LabelsReport, date: &str) -> Result<Vec<Row>> {
    let Some(ids) = report.class_ids.as_ref().filter(|_| report.subject.is_some()) else {
        let why = "need the images, so that rows have names: give their folder or version";
        return Err(Error::invalid("claims", why));
    };
    let claim = |suspect: &Suspect| {
        let (given, suggested) = (&ids[suspect.given], &ids[suspect.suggested]);
        Row::Claim(Claim {
            source_id: report.images()[suspect.row].source_id.clone(),
            says: match report.filter {
                Filter::Several => Says::Several(vec![given.clone(), suggested.clone()]),
                _ => Says::Label(suggested.clone()),
            },
            source: "audit-labels".into(),
            date: date.into(),
            evidence: format!(
                "{}, {} {:.6}: given {given}, suggested {suggested}",
                report.filter.as_str(),
                report.rank.as_str(),
                suspect.score
            ),
        })
    };
    Ok(report.suspects.iter().map(claim).collect())
}

/// The first line of [`table()`].
pub const SCORES: &str = "row,image,given,suggested,score,flagged";

/// Returns all labels as a table, the most suspect first: `row,image,given,suggested,score,flagged`. A path
/// that a spreadsheet would run as a formula gets the prefix `./`, with which it is still the same path.
pub fn table(report: &LabelsReport) -> String {
    let flagged: HashSet<usize> = report.suspects.iter().map(|suspect| suspect.row).collect();
    let mut text = format!("{SCORES}\n");
    for Suspect { row, given, suggested, score } in &report.scored {
        let image = report.images().get(*row).map_or("", |image| image.path.as_str());
        let image = if is_formula(image) { format!("./{image}") } else { image.into() };
        let (image, given, suggested) = (csv_field(&image), report.class(*given), report.class(*suggested));
        let flagged = u8::from(flagged.contains(row));
        text += &format!("{row},{image},{given},{suggested},{score},{flagged}\n");
    }
    text
}

fn read_classes(file: &Path) -> Result<Vec<ClassId>> {
    let classes = parse_classes(&file.display().to_string(), &files::read_input(file, MAX_CLASSES)?)?;
    Ok(classes.into_iter().map(|class| class.id).collect())
}

/// Returns the classes of the images, sorted as in `classes.csv` and by ImageFolder.
fn classes_of(subject: &Subject) -> Vec<ClassId> {
    let mut classes: Vec<ClassId> = subject.images.iter().filter_map(|image| image.class.clone()).collect();
    classes.sort();
    classes.dedup();
    classes
}

fn given_by(subject: &Subject, classes: &[ClassId]) -> Result<Vec<i64>> {
    let label = |image: &Item| {
        let class = image.class.as_ref().ok_or("is not in the folder of a class")?;
        let at = classes.binary_search(class).map_err(|_| "is of a class that classes.csv does not have")?;
        Ok(at as i64)
    };
    let of = |image| label(image).map_err(|why: &str| Error::invalid(&image.path, why));
    subject.images.iter().map(of).collect()
}

fn has_ending(file: &Path, ending: &str) -> bool {
    file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(ending))
}

pub(super) fn read_npy(file: &Path) -> Result<npy::Array> {
    let opened = files::open_named(file)?;
    let about = opened.metadata().map_err(Error::io("look at", file))?;
    check_no_folder(file, &about)?;
    let (what, length) = (file.display().to_string(), about.len());
    let buffered = std::io::BufReader::with_capacity(1 << 16, opened);
    if !about.is_file() {
        return npy::read_pipe(&what, buffered, MAX_LEN);
    }
    if length > MAX_LEN {
        return Err(Error::invalid(what, format!("is longer than {MAX_LEN} bytes: it has {length}")));
    }
    npy::read(&what, buffered, length)
}

fn check_no_folder(file: &Path, about: &Metadata) -> Result<()> {
    if about.is_dir() { Err(Error::io("read", file)(ErrorKind::IsADirectory.into())) } else { Ok(()) }
}

fn read_labels(file: &Path, classes: Option<&[ClassId]>) -> Result<Vec<i64>> {
    let what = file.display().to_string();
    if has_ending(file, "csv") {
        return table::labels(&what, &files::read_input(file, MAX_LABELS)?, classes);
    }
    if has_ending(file, "npy") {
        return read_npy(file)?.into_integers(&what);
    }
    Err(Error::invalid(what, "is neither a .npy nor a .csv file by its name"))
}

fn read_probabilities(file: &Path, classes: Option<&[ClassId]>) -> Result<Matrix> {
    let what = file.display().to_string();
    if has_ending(file, "csv") {
        return table::probabilities(&what, &files::read_input(file, MAX_PROBABILITIES)?, classes);
    }
    if has_ending(file, "parquet") {
        let about = fs::metadata(file).map_err(Error::io("read", file))?;
        check_no_folder(file, &about)?;
        if !about.is_file() {
            return Err(Error::invalid(what, "is a pipe: parquet is read from a file only"));
        }
        return read_parquet(file);
    }
    if has_ending(file, "npy") {
        return read_npy(file)?.into_matrix(&what);
    }
    Err(Error::invalid(what, "is neither a .npy, a .csv nor a .parquet file by its name"))
}

#[cfg(feature = "parquet")]
fn read_parquet(file: &Path) -> Result<Matrix> {
    crate::audit::parquet::probabilities(file)
}

#[cfg(not(feature = "parquet"))]
fn read_parquet(file: &Path) -> Result<Matrix> {
    let why = "is parquet, which this isn was built without: build it with `cargo build --release --features parquet`";
    Err(Error::invalid(file.display(), why))
}

/// Checks what a learner needs. `known` is the number of classes, if it is given.
fn check_embeddings(
    what: &str,
    embeddings: &Matrix,
    labels_what: &str,
    given: &[i64],
    known: Option<usize>,
) -> Result<Vec<usize>> {
    let (rows, columns) = (embeddings.rows(), embeddings.columns());
    if rows == 0 || columns == 0 {
        return Err(Error::invalid(
            what,
            format!("has {rows} rows and {columns} columns: there is nothing to audit"),
        ));
    }
    if given.len() != rows {
        return Err(Error::invalid(
            labels_what,
            format!("has {} labels, but {what} has {rows} rows", given.len()),
        ));
    }
    embeddings.check_finite(what)?;
    // Without a known number of classes, labels must be smaller than the number of rows; a larger one is a
    // mistake.
    let most = known.unwrap_or(rows);
    let labels = given.iter().enumerate().map(|(row, label)| {
        usize::try_from(*label).ok().filter(|label| *label < most).ok_or_else(|| {
            Error::invalid(
                labels_what,
                format!("row {row} is {label}: expected a class from 0 to {}", most - 1),
            )
        })
    });
    let labels = labels.collect::<Result<Vec<usize>>>()?;
    if labels.iter().all(|label| *label == labels[0]) {
        let why = format!("rows 0 to {} are all {}: at least two classes need labels", rows - 1, labels[0]);
        return Err(Error::invalid(labels_what, why));
    }
    Ok(labels)
}

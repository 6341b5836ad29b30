//! Reads label claims that others have published, from their own files.

mod lists;
pub mod raters;

use std::path::Path;

use serde::Deserialize;

use super::{Claim, HEADER, Ledger, OLD_HEADER, Row, Says};
use crate::class::ClassId;
use crate::error::{Error, Mistake, Result, about, count};
use crate::ilsvrc2012;

/// The recognised format of a file of claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `real.json`: ReaL, the reassessed labels of ImageNet's 50,000 val images (Beyer et al., 2020).
    Real,
    /// `scores.npz`: from which `real.json` was made.
    Scores,
    /// `raters.npz`: the votes from which `scores.npz` was made.
    Raters,
    /// `imagenet_mturk.json`: five votes on each val image that confident learning had flagged (Northcutt et
    /// al., 2021).
    Mturk,
    /// Multi-labels of val images by experts (Shankar et al., 2020), as CSV.
    Shankar,
    /// All three side by side, one row per image.
    Table,
    /// `clean_validation.csv`: val images on which several of these and others agree (Kisel et al., 2025).
    Kisel,
    /// A list of ImageNet-S (Gao et al., 2022): images with masks that people drew.
    ImageNetS,
    /// `fnames_clean.txt`: the train images that ReaL's authors kept.
    Clean,
    /// `multilabel_compressed.tsv`: the labels of all train images by a model (Chen et al., 2026).
    Multilabel,
    /// A list of images, with or without labels, as CSV.
    List,
    /// A ledger.
    Ledger,
}

/// The dates of the papers, which are the dates of their claims.
const REAL: (&str, &str) = ("real", "2020-06-12");
const MTURK: (&str, &str) = ("mturk", "2021-03-26");
const SHANKAR: (&str, &str) = ("shankar", "2020-07-13");
const KISEL: (&str, &str) = ("kisel", "2025-03-20");

impl Format {
    /// Returns its name in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Real => "ReaL's labels",
            Format::Scores => "ReaL's scores",
            Format::Raters => "votes by ReaL's raters",
            Format::Mturk => "votes by MTurk",
            Format::Shankar => "multi-labels by experts",
            Format::Table => "a table of ReaL's, MTurk's and experts' claims",
            Format::Kisel => "labels on which studies agree",
            Format::ImageNetS => "a list of ImageNet-S",
            Format::Clean => "ReaL's clean train images",
            Format::Multilabel => "multi-labels by a model",
            Format::List => "a list of images",
            Format::Ledger => "a ledger",
        }
    }
}

/// What a list of images does not contain itself.
#[derive(Clone, Copy, Debug)]
pub struct Unsaid<'a> {
    /// The source of the claims.
    pub source: Option<&'a str>,
    /// The date of the claims, `YYYY-MM-DD`.
    pub date: &'a str,
}

/// Reads a file of claims and recognises its format by its contents.
///
/// # Errors
/// [`Error::Invalid`] or [`Error::Mistakes`], naming `what`, if the format is unknown, rows or labels make no
/// sense, or a list has no source.
pub fn read(what: &str, bytes: &[u8], unsaid: Unsaid<'_>) -> Result<(Format, Vec<Row>)> {
    let start = bytes.iter().position(|b| !b.is_ascii_whitespace()).map_or(0, |at| bytes[at]);
    if start == b'[' {
        return read_json(what, bytes);
    }
    let line = bytes.split(|&b| b == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let header = line.trim_start_matches('\u{feff}').trim_end();
    if header == HEADER || header == OLD_HEADER {
        return Ok((Format::Ledger, Ledger::parse(what, bytes)?.rows().to_vec()));
    }
    if let Some(format) = lists::recognise(what, header)? {
        return Ok((format, lists::read(what, bytes, format)?));
    }
    let columns = csv::Reader::from_reader(bytes).headers().map_err(|e| Error::invalid(what, e))?.clone();
    let has = |name: &str| columns.iter().any(|column| plain(column) == name);
    let format = match () {
        () if has("real_status") && has("mturk_votes") => Format::Table,
        () if has("shankar_correct") || (has("correct") && has("problematic")) => Format::Shankar,
        () if has("proposed_labels") && has("validation") => Format::Kisel,
        () if ID_COLUMNS.iter().any(|id| has(id)) => {
            check_list(what, &columns)?;
            Format::List
        }
        () => {
            let why = format!(
                "is not a file of claims that isn knows: ReaL's real.json, scores.npz, raters.npz or \
                 fnames_clean.txt, imagenet_mturk.json, a list of ImageNet-S, multilabel_compressed.tsv, \
                 clean_validation.csv, or CSV whose header has source_id (with labels and evidence, or \
                 correct and problematic), or is {HEADER}"
            );
            return Err(Error::invalid(what, why));
        }
    };
    let source = match (format, unsaid.source) {
        (Format::List, None) => {
            return Err(Error::invalid(what, "is a list: name its source with --source NAME"));
        }
        (_, source) => source.unwrap_or_default(),
    };
    read_csv(what, bytes, format, source, unsaid.date)
}

fn read_json(what: &str, bytes: &[u8]) -> Result<(Format, Vec<Row>)> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Entry {
        Real(Vec<usize>),
        Mturk(Voted),
    }
    #[derive(Deserialize)]
    struct Voted {
        url: String,
        given_original_label: usize,
        our_guessed_label: usize,
        mturk: Votes,
    }
    let entries: Vec<Entry> = serde_json::from_slice(bytes).map_err(|e| match e.is_data() {
        true => Error::invalid(
            what,
            "is neither real.json nor imagenet_mturk.json: its entries are of another form",
        ),
        false => Error::invalid(what, e),
    })?;
    let wrong = |at: usize, why: String| Error::invalid(what, about(format_args!("entry {at}"), why));
    let class = |at: usize, rank: usize| {
        ilsvrc2012::class_at(rank).ok_or_else(|| wrong(at, format!("{rank} is not one of the 1,000 classes")))
    };
    let mut rows = Vec::new();
    let mut format = Format::Real;
    for (at, entry) in entries.into_iter().enumerate() {
        match entry {
            Entry::Real(labels) => {
                if at as u64 >= u64::from(ilsvrc2012::VAL_IMAGES) {
                    return Err(wrong(at, "there are 50,000 val images".into()));
                }
                let labels = labels.into_iter().map(|rank| class(at, rank)).collect::<Result<Vec<_>>>()?;
                let id = format!("ILSVRC2012_val_{:08}", at + 1);
                rows.push(claim(id, fits(labels, Says::None), REAL, String::new()));
            }
            Entry::Mturk(voted) => {
                format = Format::Mturk;
                let given = class(at, voted.given_original_label)?;
                let guessed = class(at, voted.our_guessed_label)?;
                rows.push(voted.mturk.claim(stem(&voted.url), given, guessed));
            }
        }
    }
    let (entries, images) = (rows.len(), ilsvrc2012::VAL_IMAGES as usize);
    if format == Format::Real && entries != images {
        let why = format!(
            "has {}, not one for each of the {images} val images in their order: entries of other images would \
             be taken for theirs",
            count(entries, "list")
        );
        return Err(Error::invalid(what, why));
    }
    Ok((format, rows))
}

/// The votes of five people between the label of an image and the label that a model guessed.
#[derive(Deserialize)]
struct Votes {
    given: u32,
    guessed: u32,
    neither: u32,
    both: u32,
}

impl Votes {
    /// Parses `given=1;guessed=4;neither=0;both=0`.
    fn parse(text: &str) -> Option<Votes> {
        let mut votes = [None; 4];
        for part in text.split(';') {
            let (name, n) = part.split_once('=')?;
            let at = ["given", "guessed", "neither", "both"].iter().position(|known| *known == name)?;
            votes[at] = Some(n.parse().ok()?);
        }
        let [given, guessed, neither, both] = votes;
        Some(Votes { given: given?, guessed: guessed?, neither: neither?, both: both? })
    }

    /// Returns the claim of more than half of the votes; without such a majority, it is unclear.
    fn claim(&self, id: &str, given: ClassId, guessed: ClassId) -> Row {
        let Votes { given: g, guessed: u, neither: n, both: b } = *self;
        let half = (g + u + n + b) / 2;
        let says = match () {
            () if g > half => Says::Label(given),
            () if u > half => Says::Label(guessed.clone()),
            () if n > half => Says::None,
            () if b > half => Says::Several(vec![given, guessed.clone()]),
            () => Says::Unclear,
        };
        let evidence = format!("given={g} guessed={u} neither={n} both={b}; guessed {guessed}");
        claim(id.into(), says, MTURK, evidence)
    }
}

const ID_COLUMNS: [&str; 3] = ["source_id", "filename", "image"];
const LABEL_COLUMNS: [&str; 2] = ["labels", "label"];
/// The other columns that a list of images may have.
const LIST_COLUMNS: [&str; 2] = ["date", "evidence"];

/// Returns the name of a column without a byte order mark.
fn plain(column: &str) -> &str {
    column.trim_start_matches('\u{feff}')
}

/// Checks that the columns of a list of images are ones that isn reads, each once: a label that is not read
/// would claim that no label is right.
fn check_list(what: &str, columns: &csv::StringRecord) -> Result<()> {
    let of = |known: &[&str]| columns.iter().map(plain).filter(|name| known.contains(name)).count();
    let known = |name: &str| [&ID_COLUMNS[..], &LABEL_COLUMNS, &LIST_COLUMNS].concat().contains(&name);
    let unknown: Vec<String> =
        columns.iter().map(plain).filter(|name| !known(name)).map(|name| format!("'{name}'")).collect();
    let why = match () {
        () if !unknown.is_empty() => format!("has columns that isn does not read: {}", unknown.join(", ")),
        () if of(&ID_COLUMNS) > 1 => "names images by more than one column".into(),
        () if of(&LABEL_COLUMNS) > 1 => "has more than one column of labels".into(),
        () => return Ok(()),
    };
    Err(Error::invalid(
        what,
        format!(
            "{why}. A list of images has source_id, and may have labels, evidence and date; without labels, \
             every row claims that no label is right"
        ),
    ))
}

fn read_csv(
    what: &str,
    bytes: &[u8],
    format: Format,
    source: &str,
    date: &str,
) -> Result<(Format, Vec<Row>)> {
    let mut reader = csv::Reader::from_reader(bytes);
    let columns = reader.headers().map_err(|e| Error::invalid(what, e))?.clone();
    let mut rows = Vec::new();
    let mut mistakes = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| Error::invalid(what, e))?;
        let line = record.position().map_or(0, |p| p.line() as usize);
        let row = Record { columns: &columns, record: &record };
        let id = match format {
            Format::Kisel => row.field("id"),
            _ => ID_COLUMNS.iter().map(|name| row.field(name)).find(|id| !id.is_empty()).unwrap_or(""),
        };
        let id = stem(id);
        let found = match (id, format) {
            ("", _) => Err("names no image".to_owned()),
            (id, Format::List) => row.listed(id, source, date),
            (id, Format::Kisel) => row.agreed(id),
            (id, Format::Shankar) => row.expert(id, "").map(|claim| claim.into_iter().collect()),
            (id, _) => row.three(id),
        };
        match found {
            Ok(found) => rows.extend(found),
            Err(why) => mistakes.push(Mistake { line: Some(line), why }),
        }
    }
    match mistakes.is_empty() {
        true => Ok((format, rows)),
        false => Err(Error::Mistakes { what: what.into(), mistakes }),
    }
}

/// A row of a CSV file, accessed by the names of the columns.
struct Record<'a> {
    columns: &'a csv::StringRecord,
    record: &'a csv::StringRecord,
}

impl Record<'_> {
    /// Returns the field of a column; empty if there is no such column.
    fn field(&self, column: &str) -> &str {
        let at = self.columns.iter().position(|name| plain(name) == column);
        at.and_then(|at| self.record.get(at)).unwrap_or("").trim_ascii()
    }

    /// Returns the ids in a field, separated by white space.
    fn classes(&self, column: &str) -> Result<Vec<ClassId>, String> {
        let class = |id: &str| id.parse().map_err(|e| format!("{column}: {e}"));
        self.field(column).split_whitespace().map(class).collect()
    }

    fn listed(&self, id: &str, source: &str, date: &str) -> Result<Vec<Row>, String> {
        let [labels, label] = LABEL_COLUMNS;
        let column = if self.field(labels).is_empty() { label } else { labels };
        let says = fits(self.classes(column)?, Says::None);
        let date = if self.field("date").is_empty() { date } else { self.field("date") };
        Ok(vec![claim(id.into(), says, (source, date), self.field("evidence").into())])
    }

    fn agreed(&self, id: &str) -> Result<Vec<Row>, String> {
        let labels = self.field("proposed_labels").split(',').map(ranked).collect::<Result<_, _>>()?;
        let evidence = format!("agreement {}", self.field("validation"));
        Ok(vec![claim(id.into(), fits(labels, Says::None), KISEL, evidence)])
    }

    /// Returns what experts say, from columns with or without a prefix; `None` if they did not review the
    /// image.
    fn expert(&self, id: &str, prefix: &str) -> Result<Option<Row>, String> {
        let prefix =
            if self.field("shankar_correct").is_empty() && prefix.is_empty() { "" } else { "shankar_" };
        let correct = self.classes(&format!("{prefix}correct"))?;
        let problematic = self.field(&format!("{prefix}problematic")).eq_ignore_ascii_case("true");
        let unclear = self.field(&format!("{prefix}unclear")).to_owned();
        if correct.is_empty() && !problematic && unclear.is_empty() {
            return Ok(None);
        }
        let mut evidence = Vec::new();
        if problematic {
            evidence.push("problematic".to_owned());
        }
        if !unclear.is_empty() {
            evidence.push(format!("unclear {unclear}"));
        }
        Ok(Some(claim(id.into(), fits(correct, Says::Unclear), SHANKAR, evidence.join("; "))))
    }

    fn three(&self, id: &str) -> Result<Vec<Row>, String> {
        let mut rows = Vec::new();
        match self.field("real_status") {
            "" => {}
            "agree" | "wrong" | "multi_incl" | "multi_excl" | "empty" => {
                rows.push(claim(
                    id.into(),
                    fits(self.classes("real_wnids")?, Says::None),
                    REAL,
                    String::new(),
                ));
            }
            other => return Err(format!("real_status '{other}' is not agree, wrong, multi_incl or empty")),
        }
        if !self.field("mturk_votes").is_empty() {
            let votes = Votes::parse(self.field("mturk_votes"));
            let votes = votes.ok_or("mturk_votes are not given=N;guessed=N;neither=N;both=N")?;
            let one = |column: &str| {
                <[ClassId; 1]>::try_from(self.classes(column)?)
                    .map_err(|_| format!("{column} is not one class"))
            };
            let ([given], [guessed]) = (one("original_wnid")?, one("mturk_guessed_wnid")?);
            rows.push(votes.claim(id, given, guessed));
        }
        rows.extend(self.expert(id, "shankar_")?);
        Ok(rows)
    }
}

/// Returns what a set of fitting labels says; `empty` if there are none.
fn fits(labels: Vec<ClassId>, empty: Says) -> Says {
    match <[ClassId; 1]>::try_from(labels) {
        Ok([class]) => Says::Label(class),
        Err(labels) if labels.is_empty() => empty,
        Err(labels) => Says::Several(labels),
    }
}

fn claim(source_id: String, says: Says, (source, date): (&str, &str), evidence: String) -> Row {
    Row::Claim(Claim { source_id, says, source: source.into(), date: date.into(), evidence })
}

/// Returns the class of a number from 0 to 999.
fn ranked(number: &str) -> Result<ClassId, String> {
    let rank = number.trim().parse().ok();
    rank.and_then(ilsvrc2012::class_at).ok_or_else(|| format!("'{number}' is not one of the 1,000 classes"))
}

/// Returns the name of a file without its folders.
fn file_name(path: &str) -> &str {
    Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// Returns the `ILSVRC2012_val_00000293` of a path or URL that ends with it and an extension; other names
/// keep their folders.
fn stem(path: &str) -> &str {
    let image = ["jpeg", "jpg", "png"];
    match path.rsplit_once('.') {
        Some((stem, end)) if image.iter().any(|known| end.eq_ignore_ascii_case(known)) => {
            if stem.contains("://") || stem.contains("ILSVRC2012_val_") {
                stem.rsplit('/').next().unwrap_or(stem)
            } else {
                stem
            }
        }
        _ => path,
    }
}

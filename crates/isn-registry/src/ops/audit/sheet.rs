//! The contact sheets of the audits of pixels.

use std::collections::BTreeMap;

use super::balance::BalanceReport;
use super::duplicates::{DuplicatesReport, Group};
use super::images::ImagesReport;
use super::subject::Subject;
use super::todo::{Finding, Todo, groups};
use crate::audit::health::Remark;
use crate::sheet::{Figure, Sheet};
use isn_format::class::ClassId;
use isn_format::error::count;
use isn_format::pixel_spec::{Encoding, ExifOrientation, Filter, PixelSpec, Small};
use isn_format::split::Split;
use isn_pixels::{Outcome, Pipeline};

/// The maximum number of groups or images of a kind on a sheet, which a browser has to hold.
pub(super) const SHOWN: usize = 500;
/// The maximum number of images shown of a group.
const MEMBERS: usize = 24;

/// Makes thumbnails: JPEG, with the shortest side at most 160 pixels.
pub(crate) struct Thumbnails(Pipeline);

impl Thumbnails {
    /// Of images whose orientations count as `exif_orientation` says.
    pub(crate) fn new(exif_orientation: ExifOrientation) -> Self {
        Thumbnails(Pipeline::new(PixelSpec {
            size: 160,
            filter: Filter::Bilinear,
            encode: Encoding::Jpeg { quality: 80 },
            small: Small::Keep,
            exif_orientation,
        }))
    }

    /// Returns the thumbnail of an image; `None` if it cannot be decoded.
    pub(crate) fn of(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        match self.0.build(bytes) {
            Ok(Outcome::Built(built)) => Some(built.bytes),
            _ => None,
        }
    }

    /// Returns an image of a subject with what is known about it.
    pub(crate) fn figure(&mut self, subject: &Subject, at: usize) -> Figure {
        let item = &subject.images[at];
        let mut facts = Vec::new();
        if let Some(class) = &item.class {
            let label = subject.labels.get(class).map(|label| format!(" {label}")).unwrap_or_default();
            facts.push(("class".into(), format!("{class}{label}")));
        }
        facts.extend(item.split.map(|split| ("split".into(), split.to_string())));
        let picture = subject.read(at).ok().and_then(|bytes| self.of(&bytes));
        Figure { picture, name: item.path.clone(), facts }
    }
}

/// Adds duplicates: first groups in more than one split, then groups of more than one class, then the others.
pub fn add_duplicates(sheet: &mut Sheet, subject: &Subject, report: &DuplicatesReport) {
    for (title, finding) in [
        ("Across splits (leakage)", Finding::Leakage),
        ("Across classes, in one split", Finding::TwoClasses),
        ("In one class and one split", Finding::Copies),
    ] {
        let groups: Vec<&Group> = groups(report, finding).collect();
        sheet.heading(&format!("{title}: {}", count(groups.len(), "group")));
        add_groups(sheet, subject, report, &groups);
    }
    if !report.similar.is_empty() {
        sheet.heading(&format!("Similar by their embeddings: {}", count(report.similar.len(), "pair")));
        add_similar(sheet, subject, report);
    }
}

/// Adds the neighbours that are no copies.
fn add_similar(sheet: &mut Sheet, subject: &Subject, report: &DuplicatesReport) {
    let mut thumbnails = Thumbnails::new(subject.orientation);
    for pair in report.similar.iter().take(SHOWN) {
        let figures = [pair.a, pair.b].map(|at| thumbnails.figure(subject, at));
        sheet.group(&format!("cosine {:.4}", pair.cosine), &figures);
    }
    more(sheet, report.similar.len());
}

/// Adds groups of copies.
fn add_groups(sheet: &mut Sheet, subject: &Subject, report: &DuplicatesReport, groups: &[&Group]) {
    let mut thumbnails = Thumbnails::new(subject.orientation);
    for group in groups.iter().take(SHOWN) {
        let is_exact = report.exact.iter().any(|exact| exact.places == group.places);
        let kind = if is_exact { "exact" } else { "near" };
        let figures: Vec<Figure> =
            group.places.iter().take(MEMBERS).map(|&at| thumbnails.figure(subject, at)).collect();
        sheet.group(&format!("{}, {kind}: {}", count(group.places.len(), "image"), group.name()), &figures);
    }
    more(sheet, groups.len());
}

/// Adds the remarks about single images.
pub fn add_images(sheet: &mut Sheet, subject: &Subject, report: &ImagesReport) {
    for remark in Remark::ALL {
        let found: Vec<_> = report.with(remark).collect();
        sheet.heading(&format!("{}: {}", remark.as_str(), count(found.len(), "image")));
        add_figures(sheet, subject, &found);
    }
}

/// Adds images, by their positions, each with what there is to say about it.
fn add_figures(sheet: &mut Sheet, subject: &Subject, found: &[(usize, String)]) {
    let mut thumbnails = Thumbnails::new(subject.orientation);
    let figure = |(at, why): &(usize, String)| {
        let mut figure = thumbnails.figure(subject, *at);
        figure.facts.extend(Some(why.clone()).filter(|why| !why.is_empty()).map(|why| ("why".into(), why)));
        figure
    };
    let figures: Vec<Figure> = found.iter().take(SHOWN).map(figure).collect();
    if !figures.is_empty() {
        sheet.group("", &figures);
    }
    more(sheet, found.len());
}

/// Adds everything: what to do first, a section for each kind of finding in this order, and the counts.
pub fn add_all(
    sheet: &mut Sheet,
    subject: &Subject,
    (copies, remarks, counts): (&DuplicatesReport, &ImagesReport, &BalanceReport),
    todo: &[Todo],
) {
    subject.warnings.iter().for_each(|warning| sheet.paragraph(&format!("Warning: {warning}")));
    match todo {
        [] => sheet.paragraph(&format!("Nothing was found in {}.", count(subject.images.len(), "image"))),
        todo => {
            sheet.heading("What to do, the most important first");
            sheet.steps(todo.iter().map(|one| (one.finding.as_str(), &*one.what, one.next)));
        }
    }
    // What a split lacks is in the counts.
    for one in todo.iter().filter(|one| one.finding != Finding::NoImage) {
        sheet.section(one.finding.as_str(), &one.what);
        match one.finding.remark() {
            Some(remark) => add_figures(sheet, subject, &remarks.with(remark).collect::<Vec<_>>()),
            None if one.finding == Finding::Turned => {
                let why = |(at, orientation)| (at, format!("EXIF orientation {orientation}"));
                add_figures(sheet, subject, &remarks.turned().map(why).collect::<Vec<_>>());
            }
            None => add_groups(sheet, subject, copies, &groups(copies, one.finding).collect::<Vec<_>>()),
        }
    }
    if !copies.similar.is_empty() {
        let what = count(copies.similar.len(), "pair");
        sheet.section("similar", &format!("{what} similar by their embeddings, which may be no copies"));
        add_similar(sheet, subject, copies);
    }
    sheet.section(Finding::NoImage.as_str(), "Images by class and split");
    let split = |split: Option<Split>| split.map_or("all", Split::as_str).to_owned();
    let heads = std::iter::once("class".to_owned()).chain(counts.splits.iter().map(|one| split(one.split)));
    let row = |(class, of_splits): (&ClassId, &BTreeMap<Option<Split>, u64>)| {
        let label = subject.labels.get(class).map(|label| format!(" {label}")).unwrap_or_default();
        let cells = counts.splits.iter().map(|one| of_splits[&one.split].to_string());
        std::iter::once(format!("{class}{label}")).chain(cells).collect()
    };
    sheet.table(&heads.collect::<Vec<_>>(), &counts.classes.iter().map(row).collect::<Vec<_>>());
}

fn more(sheet: &mut Sheet, found: usize) {
    if found > SHOWN {
        sheet.paragraph(&format!("The first {SHOWN} of {found} are shown; --json has all."));
    }
}

//! The contact sheets of the audits of pixels.

use super::duplicates::{DuplicatesReport, Group};
use super::images::ImagesReport;
use super::subject::Subject;
use crate::audit::health::Remark;
use crate::sheet::{Figure, Sheet};
use isn_format::error::count;
use isn_format::pixel_spec::{Encoding, ExifOrientation, Filter, PixelSpec, Small};
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
    let mut thumbnails = Thumbnails::new(subject.orientation);
    let (leaks, rest): (Vec<&Group>, Vec<&Group>) =
        report.groups.iter().partition(|group| group.is_across_splits());
    let (classes, rest): (Vec<&Group>, Vec<&Group>) =
        rest.into_iter().partition(|group| group.is_across_classes());
    let kinds = [
        ("Across splits (leakage)", leaks),
        ("Across classes, in one split", classes),
        ("In one class and one split", rest),
    ];
    for (title, groups) in kinds {
        sheet.heading(&format!("{title}: {}", count(groups.len(), "group")));
        for group in groups.iter().take(SHOWN) {
            let is_exact = report.exact.iter().any(|exact| exact.places == group.places);
            let kind = if is_exact { "exact" } else { "near" };
            let figures: Vec<Figure> =
                group.places.iter().take(MEMBERS).map(|&at| thumbnails.figure(subject, at)).collect();
            sheet.group(
                &format!("{}, {kind}: {}", count(group.places.len(), "image"), group.name()),
                &figures,
            );
        }
        more(sheet, groups.len());
    }
}

/// Adds the remarks about single images.
pub fn add_images(sheet: &mut Sheet, subject: &Subject, report: &ImagesReport) {
    let mut thumbnails = Thumbnails::new(subject.orientation);
    for remark in Remark::ALL {
        let found: Vec<_> = report.found.iter().filter(|found| found.remark == remark).collect();
        sheet.heading(&format!("{}: {}", remark.as_str(), count(found.len(), "image")));
        let figure = |found: &&super::images::Remarked| {
            let mut figure = thumbnails.figure(subject, found.at);
            let why = Some(found.why.clone()).filter(|why| !why.is_empty());
            figure.facts.extend(why.map(|why| ("why".into(), why)));
            figure
        };
        let figures: Vec<Figure> = found.iter().take(SHOWN).map(figure).collect();
        if !figures.is_empty() {
            sheet.group("", &figures);
        }
        more(sheet, found.len());
    }
}

fn more(sheet: &mut Sheet, found: usize) {
    if found > SHOWN {
        sheet.paragraph(&format!("The first {SHOWN} of {found} are shown; --json has all."));
    }
}

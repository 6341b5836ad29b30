//! Checks whether a version has what a user has selected.

use std::fmt::Display;

use crate::registry::Snapshot;
use isn_format::class::{Class, ClassId};
use isn_format::description::has_class;
use isn_format::digest::Digest;
use isn_format::error::{Error, Missing, Mistake, Result, count};
use isn_format::rel_path::RelPath;
use isn_format::split::Split;
use isn_format::sums::Line;
use isn_format::tree::Selection;

/// Checks that the version has every selected split, class and image; one that it lacks is a mistake, not an
/// empty tree.
pub(crate) fn check_selection(snapshot: &Snapshot, selection: &Selection) -> Result<()> {
    let manifest = &snapshot.head.manifest;
    check_parts(&snapshot.head.pin(), &manifest.tally.splits(), snapshot.classes(), selection)?;
    let blake3_of = |image: &RelPath| snapshot.index().find(image.as_str()).map(|row| row.blake3());
    check_images(&snapshot.head.pin(), selection, blake3_of)
}

/// As [`check_selection`], for images alone; also checks the hashes that the user's list gives for them.
pub(crate) fn check_images(
    what: &dyn Display,
    selection: &Selection,
    hash: impl Fn(&RelPath) -> Option<Digest>,
) -> Result<()> {
    let mut unknown = selection.images.iter().filter(|image| hash(image).is_none());
    if let Some(image) = unknown.next() {
        let more = match unknown.count() {
            0 => String::new(),
            n => format!(" and {} more", count(n, "image")),
        };
        return Err(Error::not_found(Missing::Image, format!("image {image}{more}"), what));
    }
    let mistake = |line: &Line| {
        let here = hash(&line.path).filter(|here| *here != line.blake3)?;
        let (path, listed) = (&line.path, line.blake3);
        let why = format!("{path} is listed with BLAKE3 {listed}, and is {here} in {what}");
        Some(Mistake { line: None, why })
    };
    let mistakes: Vec<Mistake> = selection.lines.iter().filter_map(mistake).collect();
    if mistakes.is_empty() { Ok(()) } else { Err(Error::Mistakes { what: "--images".into(), mistakes }) }
}

/// As [`check_selection`], for splits and classes alone; `what` names the version in errors.
pub(crate) fn check_parts(
    what: &dyn Display,
    splits: &[Split],
    classes: &[Class],
    selection: &Selection,
) -> Result<()> {
    for split in &selection.splits {
        if !splits.contains(split) {
            let missing = Error::not_found(Missing::Split, format!("split {split}"), what);
            return Err(missing.near(splits));
        }
    }
    for class in &selection.classes {
        if !has_class(classes, class) {
            return Err(missing_class(what, classes, class.as_str()));
        }
    }
    Ok(())
}

/// The error that a version has no class of this id. If it is a label, the error says of which ids.
fn missing_class(what: &dyn Display, classes: &[Class], id: &str) -> Error {
    let labelled = classes.iter().filter(|class| class.label.to_lowercase() == id.to_lowercase());
    let labelled: Vec<&ClassId> = labelled.map(|class| &class.id).collect();
    if labelled.is_empty() {
        let missing = Error::not_found(Missing::Class, format!("class {id}"), what);
        return missing.near(classes.iter().map(|class| &class.id));
    }
    Error::not_found(Missing::ClassLabel, id, what).near(labelled)
}

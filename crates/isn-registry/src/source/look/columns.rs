//! What the names of columns say.

use super::names::rest;

/// Names of columns of paths, as [`plain`] has them, the most telling first.
const PATHS: [&str; 13] = [
    "path",
    "filepath",
    "filepaths",
    "imagepath",
    "imgpath",
    "filename",
    "imagename",
    "imgname",
    "file",
    "image",
    "img",
    "imageid",
    "id",
];

/// Names of columns of labels.
const LABELS: [&str; 25] = [
    "label",
    "labels",
    "class",
    "classes",
    "classname",
    "classlabel",
    "classid",
    "classindex",
    "category",
    "categoryname",
    "categoryid",
    "breed",
    "species",
    "variety",
    "diagnosis",
    "disease",
    "dx",
    "target",
    "targetname",
    "wnid",
    "synset",
    "labelid",
    "labelname",
    "labelindex",
    "commonname",
];

/// Names of columns of splits.
const SPLITS: [&str; 8] = ["split", "splits", "subset", "set", "partition", "phase", "dataset", "usage"];

/// Words that end the name of a column that may be the class, as well.
const RIVALS: [&str; 19] = [
    "label",
    "labels",
    "class",
    "classes",
    "category",
    "name",
    "species",
    "breed",
    "tag",
    "target",
    "truth",
    "prediction",
    "corrected",
    "consensus",
    "final",
    "gold",
    "majority",
    "adjudicated",
    "verified",
];

/// Names of columns that say something of a picture, or of its file, and no class.
const NO_LABELS: [&str; 40] = [
    "width",
    "height",
    "w",
    "h",
    "x",
    "y",
    "xmin",
    "xmax",
    "ymin",
    "ymax",
    "x1",
    "x2",
    "y1",
    "y2",
    "size",
    "filesize",
    "imagesize",
    "bytes",
    "channels",
    "url",
    "imageurl",
    "link",
    "date",
    "datetime",
    "time",
    "timestamp",
    "year",
    "month",
    "licence",
    "license",
    "copyright",
    "author",
    "credit",
    "credits",
    "photographer",
    "camera",
    "latitude",
    "longitude",
    "md5",
    "sha256",
];

/// Names of columns of numbers that count other things than images.
const NO_PATHS: [&str; 6] = ["epoch", "epochs", "step", "steps", "iteration", "iter"];

/// The name of a column in lower case, without blanks and the like.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, ' ' | '_' | '-' | '.')).flat_map(char::to_lowercase).collect()
}

/// How telling the name of a column of paths is: 0 is the most.
pub(super) fn rank_of_path(name: &str) -> Option<usize> {
    let name = plain(name);
    PATHS.iter().position(|known| *known == name)
}

/// Whether a column says something of a picture or its file, and no class.
pub(super) fn is_no_label(name: &str) -> bool {
    NO_LABELS.contains(&plain(name).as_str())
}

/// Whether a field of a column says yes or no, and no class.
pub(super) fn is_answer(field: &str) -> bool {
    ["yes", "no", "true", "false", "0", "1", "y", "n", ""].contains(&field.trim().to_lowercase().as_str())
}

/// Whether a column counts other things than images.
pub(super) fn counts_steps(name: &str) -> bool {
    NO_PATHS.contains(&plain(name).as_str())
}

/// Whether a column is that of splits, by its name.
pub(crate) fn is_split(name: &str) -> bool {
    SPLITS.contains(&plain(name).as_str())
}

/// Whether a column is that of paths, by its name.
pub(super) fn is_path(name: &str) -> bool {
    PATHS.contains(&plain(name).as_str())
}

/// Whether a column may be that of labels, by the last word of its name.
pub(super) fn may_be_label(name: &str) -> bool {
    is_label(name) || rest(name).last().is_some_and(|word| RIVALS.contains(&word.as_str()))
}

/// Whether a column is that of labels, by its name.
pub(super) fn is_label(name: &str) -> bool {
    LABELS.contains(&plain(name).as_str())
}

/// Whether a file or a column has the guesses of a model, by its name.
pub(super) fn is_guess(name: &str) -> bool {
    const GUESSES: [&str; 12] = [
        "submission",
        "submissions",
        "pred",
        "preds",
        "predicted",
        "prediction",
        "predictions",
        "pseudo",
        "guess",
        "guessed",
        "nearest",
        "yhat",
    ];
    // `auto_label` is one, and `auto` is a car.
    const MAKERS: [&str; 3] = ["auto", "clip", "machine"];
    let words = rest(name.rsplit('/').next().unwrap_or(name));
    let has = |known: &[&str]| words.iter().any(|word| known.contains(&word.as_str()));
    has(&GUESSES) || words == ["y", "hat"] || (has(&MAKERS) && has(&["label", "labels", "class", "classes"]))
}

//! Builds a version from the user's own source instead of fetching its images.

use std::collections::HashMap;
use std::path::Path;

use super::Pull;
use super::staging::Staging;
use crate::ops::build::{BuildOptions, Inputs, build};
use crate::registry::{self, Registry, Snapshot};
use crate::steps::unsigned;
use isn_format::error::{Blame, Difference, Error, Result, count};
use isn_format::index::{Full, FullRow, Sources};
use isn_format::tree::{B3SUMS, CLASSES};

/// The folder of the build, beside the tree that is written. A killed build resumes there.
const BUILD: &str = "rebuilt";

/// A finished build.
pub(super) struct Rebuilt {
    pub(super) build: Registry,
    pub(super) snapshot: Snapshot,
    pub(super) sources: Sources,
}

/// Builds the pulled version from `source`. The result must have the same dataset hash. The build is in
/// `staging` and is removed with it.
pub(super) fn rebuild(pull: &Pull<'_>, source: &Path, staging: &Staging) -> Result<Rebuilt> {
    let snapshot = &pull.snapshot;
    let out = staging.beside(BUILD);
    let inputs = Inputs::of_version(pull.runtime, &pull.registry, snapshot)?;
    let indexes = pull.client.cache.as_ref().and_then(|cache| cache.indexes());
    let released = pull.runtime.block_on(pull.registry.sources(snapshot))?;
    let released = Full { index: snapshot.index(), sources: &released };
    let options = BuildOptions {
        inputs: &inputs,
        source,
        out: &out,
        jobs: pull.options.jobs,
        indexes: indexes.as_ref(),
        partial: false,
        slices: &[],
        in_blocks: None,
        expected: Some(released),
        named: &|| (),
    };
    build(&options, pull.progress).map_err(|e| doubted(e, snapshot))?;
    let (build, rebuilt) = pull.runtime.block_on(registry::build::describe(&out))?;
    let sources = pull.runtime.block_on(build.sources(&rebuilt))?;
    if rebuilt.head.manifest.dataset != snapshot.head.manifest.dataset {
        let mut differences = differences(released, Full { index: rebuilt.index(), sources: &sources });
        if rebuilt.classes_csv() != snapshot.classes_csv() {
            differences.push(of_file(CLASSES, "the classes differ"));
        } else if differences.is_empty() {
            differences.push(of_file(B3SUMS, "the list of images differs"));
        }
        staging.remove_beside(BUILD)?;
        let what = format!("{} built from {}", snapshot.head.manifest.pin(), source.display());
        let images = count(differences.len(), "difference");
        let why = format!("has dataset hash {}, {images}", rebuilt.head.manifest.dataset.prefixed());
        return Err(doubted(Error::Rebuilt { what, why, differences, unsigned: &[] }, snapshot));
    }
    Ok(Rebuilt { build, snapshot: rebuilt, sources })
}

/// The comparison relies on the index, so the error says if no signature covers it.
fn doubted(error: Error, snapshot: &Snapshot) -> Error {
    let unsigned = snapshot.head.unsigned();
    match (error, unsigned::notice(unsigned)) {
        (Error::Rebuilt { what, why, differences, .. }, Some(notice)) => {
            Error::Rebuilt { what, why: format!("{why}, as its index says; {notice}"), differences, unsigned }
        }
        (other, _) => other,
    }
}

fn of_file(path: &str, why: &str) -> Difference {
    let (image, source_id, why) = (path.into(), String::new(), why.into());
    Difference { image, source_id, source_path: None, cause: Blame::Recipe, why }
}

/// Returns the images in which a rebuilt version differs from the release, each with the first stage of its
/// processing that differs.
fn differences(released: Full<'_>, rebuilt: Full<'_>) -> Vec<Difference> {
    fn by_source(full: Full<'_>) -> HashMap<&str, FullRow<'_>> {
        full.rows().map(|row| (row.source(), row)).collect()
    }
    let (ours, theirs) = (by_source(rebuilt), by_source(released));
    let difference = |row: FullRow<'_>, cause, why: String| Difference {
        image: row.path().to_string(),
        source_id: row.source().into(),
        source_path: None,
        cause,
        why,
    };
    let mut differences = Vec::new();
    for row in released.rows() {
        let (cause, why) = match ours.get(row.source()) {
            None => (Blame::Recipe, "is left out here".into()),
            Some(found) if found.source_blake3() != row.source_blake3() => {
                (Blame::SourceFile, "its source file differs".into())
            }
            Some(found) if found.pixels() != row.pixels() => (
                Blame::Decoder,
                "its source file is the same but its pixels are not: the decoder differs".into(),
            ),
            Some(found) if found.blake3() != row.blake3() => {
                (Blame::Encoder, "its pixels are the same but its file is not: the encoder differs".into())
            }
            Some(found) if found.path() != row.path() => (Blame::Recipe, format!("is {} here", found.path())),
            Some(_) => continue,
        };
        differences.push(difference(row, cause, why));
    }
    let extra = rebuilt.rows().filter(|row| !theirs.contains_key(row.source()));
    differences.extend(extra.map(|row| difference(row, Blame::Recipe, "is not in the release".into())));
    differences
}

#[cfg(test)]
mod tests {
    use super::*;
    use isn_format::digest::Digest;
    use isn_format::index::{Index, Row};

    fn row(path: &str, source: &str) -> Row {
        let mut parts = path.split('/');
        let (split, class) = (parts.next().unwrap(), parts.next().unwrap());
        Row {
            path: path.parse().unwrap(),
            class: class.parse().unwrap(),
            split: split.parse().unwrap(),
            blake3: Digest::of(source.as_bytes()),
            length: 1,
            width: 1,
            height: 1,
            pixels: Digest::of(b"pixels"),
            source: source.into(),
            source_blake3: Digest::of(b"source"),
        }
    }

    #[test]
    fn the_first_thing_that_differs_is_to_blame() {
        let other = Digest::of(b"other");
        let released: Vec<Row> =
            ["a", "b", "c", "d", "e", "f"].map(|id| row(&format!("train/x/{id}.png"), id)).into();
        let mut rebuilt = released.clone();
        rebuilt[0] = Row { source_blake3: other, pixels: other, blake3: other, ..rebuilt[0].clone() };
        rebuilt[1] = Row { pixels: other, blake3: other, ..rebuilt[1].clone() };
        rebuilt[2] = Row { blake3: other, ..rebuilt[2].clone() };
        rebuilt[3] = row("val/x/d.png", "d");
        rebuilt[4] = row("train/x/new.png", "new");
        let differences = |released: &[Row], rebuilt: &[Row]| {
            let (ours, theirs) =
                (Index::new(rebuilt.to_vec()).unwrap(), Index::new(released.to_vec()).unwrap());
            super::differences(
                Full { index: &theirs.0, sources: &theirs.1 },
                Full { index: &ours.0, sources: &ours.1 },
            )
        };
        let found = differences(&released, &rebuilt);
        let found: Vec<(&str, Blame)> = found.iter().map(|d| (d.image.as_str(), d.cause)).collect();
        assert_eq!(
            found,
            [
                ("train/x/a.png", Blame::SourceFile),
                ("train/x/b.png", Blame::Decoder),
                ("train/x/c.png", Blame::Encoder),
                ("train/x/d.png", Blame::Recipe),
                ("train/x/e.png", Blame::Recipe),
                ("train/x/new.png", Blame::Recipe),
            ]
        );
        assert_eq!(differences(&released, &released), []);
    }
}

//! [`Found`]: the pairs that an audit of duplicates found, from its run or from its JSON.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde::Deserialize;

use isn_format::error::{Error, Result, count};
use isn_format::pairs::MAX_LEN;
use isn_registry::files;
use isn_registry::ops::audit::Subject;
use isn_registry::ops::audit::duplicates::{DuplicatesReport, NearPair};
use isn_registry::ops::audit::neighbours::Neighbours;

/// What an audit found. Images are told by their positions in [`Subject::images`].
pub struct Found {
    /// Where it is from, for messages.
    pub what: String,
    /// Groups with the same bytes or the same pixels.
    pub exact: Vec<Vec<usize>>,
    /// Near copies: the pairs that join groups.
    pub near: Vec<NearPair>,
    /// Neighbours by their embeddings that are no copies by their pixels.
    pub similar: Vec<Neighbours>,
    /// How many of them are about images that are not there, in words.
    pub elsewhere: Option<String>,
}

/// What `isn audit duplicates --json` prints, as far as it is needed.
#[derive(Deserialize)]
struct Printed {
    exact: Vec<Vec<String>>,
    pairs: Vec<PrintedPair>,
    /// An isn from before it knew embeddings prints none.
    #[serde(default)]
    similar: Vec<PrintedSimilar>,
    source_ids: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct PrintedPair {
    a: String,
    b: String,
    distance: u32,
    mirrored: bool,
    turned: u16,
    inverted: bool,
    similarity: f64,
}

#[derive(Deserialize)]
struct PrintedSimilar {
    a: String,
    b: String,
    cosine: f32,
}

impl Found {
    /// Takes the findings of a run on the same images.
    pub fn of(subject: &Subject, report: &DuplicatesReport) -> Found {
        Found {
            what: subject.what.clone(),
            exact: report.exact.iter().map(|group| group.places.clone()).collect(),
            near: report.pairs.clone(),
            similar: report.similar.clone(),
            elsewhere: None,
        }
    }

    /// Reads a file in which the JSON of `isn audit duplicates` is.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::Invalid`] if it is no such JSON, if it is about
    /// other images, or if these have other source ids.
    pub fn read(file: &Path, subject: &Subject) -> Result<Found> {
        let what = file.display().to_string();
        let text = files::read_text(file, MAX_LEN)?;
        Found::parse(what, &text, subject)
    }

    fn parse(what: String, text: &str, subject: &Subject) -> Result<Found> {
        let printed: Printed = serde_json::from_str(text).map_err(|why| {
            Error::invalid(&what, format!("is not what `isn audit duplicates --json` prints: {why}"))
        })?;
        let places: HashMap<&str, usize> =
            subject.images.iter().enumerate().map(|(at, item)| (item.path.as_str(), at)).collect();
        let here = subject.images.first().map_or("", |item| &item.path);
        let absent: Vec<&String> =
            printed.source_ids.keys().filter(|path| !places.contains_key(path.as_str())).collect();
        let elsewhere = absent.first().map(|first| {
            let (some, all) = (absent.len(), count(printed.source_ids.len(), "image"));
            let are = if some == 1 { "is" } else { "are" };
            format!(
                "{some} of {all} in {what} {are} not in {}: the first is {first}, and an image there is {here}",
                subject.what
            )
        });
        if absent.len() == printed.source_ids.len()
            && let Some(why) = elsewhere
        {
            return Err(Error::invalid(what, format!("is about other images: {why}")));
        }
        for (path, id) in &printed.source_ids {
            let Some(item) = places.get(path.as_str()).map(|&at| &subject.images[at]) else { continue };
            if item.source_id != *id {
                let why = format!(
                    "calls {path} {id}, and here it is {}: give the audit and the review the same --recipe",
                    item.source_id
                );
                return Err(Error::invalid(what, why));
            }
        }
        let at = |path: &String| match printed.source_ids.contains_key(path) {
            true => Ok(places.get(path.as_str()).copied()),
            false => Err(Error::invalid(&what, format!("has no source id of {path}"))),
        };
        let mut exact = Vec::new();
        for group in &printed.exact {
            let found: Result<Vec<_>> = group.iter().map(at).collect();
            exact.push(found?.into_iter().flatten().collect());
        }
        let mut near = Vec::new();
        for pair in &printed.pairs {
            let PrintedPair { distance, mirrored, turned, inverted, similarity, .. } = *pair;
            let (Some(a), Some(b)) = (at(&pair.a)?, at(&pair.b)?) else { continue };
            if a == b || !matches!(turned, 0 | 90 | 180 | 270) {
                let why =
                    format!("has a pair of {} and {}, turned by {turned}, which is none", pair.a, pair.b);
                return Err(Error::invalid(what, why));
            }
            near.push(NearPair { a, b, distance, mirrored, turned, inverted, similarity });
        }
        let mut similar = Vec::new();
        for pair in &printed.similar {
            let (Some(a), Some(b)) = (at(&pair.a)?, at(&pair.b)?) else { continue };
            if a == b {
                return Err(Error::invalid(what, format!("has a pair of {} and itself", pair.a)));
            }
            similar.push(Neighbours { a, b, cosine: pair.cosine });
        }
        Ok(Found { what, exact, near, similar, elsewhere })
    }
}

//! [`Suspect`]: an image that a label claim puts in question.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::time::SystemTime;

use isn_format::class::ClassId;
use isn_format::error::{Error, Result, count};
use isn_format::ledger::date::timestamp;
use isn_format::ledger::import::Unsaid;
use isn_format::ledger::{Claim, Ledger, MAX_LEN, Row};
use isn_registry::files;
use isn_registry::ops::audit::Subject;
use isn_registry::ops::ledger::published;

/// How many other images of a class to show beside a suspect.
const NEIGHBOURS: usize = 6;

/// An image to decide on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// Its index in [`Subject::images`].
    pub at: usize,
    /// The claims about it.
    pub claims: Vec<Claim>,
    /// The classes of the dataset that the claims name, except its own, the most frequent first.
    pub suggested: Vec<ClassId>,
    /// The indexes of images of its own class that nobody puts in question.
    pub like_given: Vec<usize>,
    /// As `like_given`, for the first suggested class.
    pub like_suggested: Vec<usize>,
}

/// Finds the suspects among the images: those of the claims in `file`, in its order, or without it those of
/// the ledger. Also says how many images with claims are not there.
pub(super) fn find(
    subject: &Subject,
    classes: &BTreeMap<ClassId, String>,
    ledger: &Path,
    file: Option<&Path>,
) -> Result<(Ledger, Vec<Suspect>, Option<String>)> {
    let ledger = match files::if_there(files::read_beside(ledger, MAX_LEN))? {
        Some(bytes) if !bytes.is_empty() => Ledger::parse(&ledger.display().to_string(), &bytes)?,
        _ => Ledger::default(),
    };
    let given = match file {
        Some(file) => {
            let today = timestamp(SystemTime::now());
            let unsaid = Unsaid { source: Some("suspects"), date: &today[..10] };
            Some(Ledger::new(published::read(file, unsaid)?.1))
        }
        None => None,
    };
    let places: HashMap<&str, usize> =
        subject.images.iter().enumerate().map(|(at, item)| (item.source_id.as_str(), at)).collect();
    let claiming = given.as_ref().unwrap_or(&ledger);
    let mut seen = BTreeSet::new();
    let mut suspects = Vec::new();
    for row in claiming.rows() {
        let (Some(_), Some(&at)) = (row.claim(), places.get(row.source_id())) else { continue };
        // An image of a class that the dataset does not have is not part of it.
        let foreign = subject.images[at].class.as_ref().is_some_and(|class| !classes.contains_key(class));
        if foreign || !seen.insert(at) {
            continue;
        }
        let mut claims: Vec<Claim> = claiming.claims(row.source_id()).cloned().collect();
        if given.is_some() {
            claims.extend(ledger.claims(row.source_id()).cloned());
        }
        let own = subject.images[at].class.as_ref();
        // If all claims agree with the label, there is nothing to decide. A plain list names no classes, so
        // it never agrees.
        let agrees = |claim: &Claim| {
            own.is_some() && claim.says.classes() == own.map(std::slice::from_ref).unwrap_or_default()
        };
        if !claims.iter().all(agrees) {
            suspects.push(suspect(subject, classes, at, claims));
        }
    }
    let what = file.map_or_else(|| "the ledger".to_owned(), |file| file.display().to_string());
    let claimed: BTreeSet<&str> =
        claiming.rows().iter().filter_map(Row::claim).map(|one| &*one.source_id).collect();
    let absent: Vec<&str> = claimed.iter().copied().filter(|id| !places.contains_key(id)).collect();
    let here = subject.images.first().map_or("", |item| &item.source_id);
    let elsewhere = absent.first().map(|first| {
        format!(
            "{} of {} with claims in {what} {} not in {}: the first is {first}, and an image there is called {here}",
            absent.len(),
            count(claimed.len(), "image"),
            if absent.len() == 1 { "is" } else { "are" },
            subject.what
        )
    });
    if suspects.is_empty() {
        let why = match absent.first() {
            Some(first) if absent.len() == claimed.len() => format!(
                "has claims about no image of {}: the first is about {first}, and an image there is called {here}",
                subject.what
            ),
            _ => format!("puts no image of {} in question: give claims with --suspects FILE", subject.what),
        };
        return Err(Error::invalid(what, why));
    }
    let questioned: BTreeSet<usize> = suspects.iter().map(|one| one.at).collect();
    let mut by_class: HashMap<&ClassId, Vec<usize>> = HashMap::new();
    for (at, item) in subject.images.iter().enumerate().filter(|(at, _)| !questioned.contains(at)) {
        if let Some(class) = &item.class {
            by_class.entry(class).or_default().push(at);
        }
    }
    for suspect in &mut suspects {
        let like = |class: Option<&ClassId>| {
            class.and_then(|class| by_class.get(class)).map_or_else(Vec::new, |all| spread(all, suspect.at))
        };
        let (given, suggested) =
            (like(subject.images[suspect.at].class.as_ref()), like(suspect.suggested.first()));
        (suspect.like_given, suspect.like_suggested) = (given, suggested);
    }
    Ok((ledger, suspects, elsewhere))
}

/// Returns some of `all`, evenly spread, and different ones for each suspect.
fn spread(all: &[usize], turn: usize) -> Vec<usize> {
    let n = all.len().min(NEIGHBOURS);
    (0..n).map(|i| all[(turn + i * all.len() / n) % all.len()]).collect()
}

fn suspect(subject: &Subject, classes: &BTreeMap<ClassId, String>, at: usize, claims: Vec<Claim>) -> Suspect {
    let own = subject.images[at].class.as_ref();
    let mut named: Vec<(ClassId, usize)> = Vec::new();
    for class in claims.iter().flat_map(|claim| claim.says.classes()) {
        match named.iter_mut().find(|(one, _)| one == class) {
            Some((_, count)) => *count += 1,
            None if Some(class) != own && classes.contains_key(class) => named.push((class.clone(), 1)),
            None => {}
        }
    }
    named.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let suggested = named.into_iter().map(|(class, _)| class).collect();
    Suspect { at, claims, suggested, like_given: Vec::new(), like_suggested: Vec::new() }
}

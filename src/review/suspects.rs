//! [`Suspects`]: the images that label claims put in question. The decisions are in the ledger.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::time::SystemTime;

use maud::Markup;

use super::{Desk, Form, Nearest, Then, Work, page};
use isn_format::class::ClassId;
use isn_format::error::{Error, Result, count};
use isn_format::ledger::date::timestamp;
use isn_format::ledger::import::Unsaid;
use isn_format::ledger::{Claim, Decision, Ledger, Reason, Row, Verdict};
use isn_registry::ops::audit::Subject;
use isn_registry::ops::ledger::published;

/// How many other images of a class to show beside a suspect.
const NEIGHBOURS: usize = 6;

/// An image to decide on.
pub(super) struct Suspect {
    /// Its index in [`Subject::images`].
    pub(super) at: usize,
    /// The claims about it.
    pub(super) claims: Vec<Claim>,
    /// The classes of the dataset that the claims name, except its own, the most frequent first.
    pub(super) suggested: Vec<ClassId>,
    /// The indexes of images of its own class that nobody puts in question.
    pub(super) like_given: Vec<usize>,
    /// As `like_given`, for the first suggested class.
    pub(super) like_suggested: Vec<usize>,
}

/// The images to decide on, in order.
pub(super) struct Suspects(pub(super) Vec<Suspect>);

impl Work for Suspects {
    type File = Ledger;
    type Said = (Verdict, Reason, String);

    const NOUN: &'static str = "suspects";

    fn count(&self) -> usize {
        self.0.len()
    }

    fn is_decided(desk: &Desk<Self>, ledger: &Ledger, at: usize) -> bool {
        desk.decision(ledger, at).is_some()
    }

    fn show(desk: &Desk<Self>, at: usize) -> (String, Markup) {
        (desk.id(at).to_owned(), page::suspect(desk, at))
    }

    fn read(desk: &Desk<Self>, form: &Form<'_>) -> Result<(Self::Said, Then), &'static str> {
        let reason = form.reason().map(|code| Reason::of_code(&code));
        let class = form.field("class").map(|class| class.parse::<ClassId>());
        let (verdict, usual) = match (form.field("what").as_deref(), class) {
            (Some("keep"), _) => (Verdict::Keep(Vec::new()), Reason::Correct),
            (Some("also"), Some(Ok(class))) if desk.classes.contains_key(&class) => {
                (Verdict::Keep(vec![class]), Reason::Several)
            }
            (Some("remove"), _) => (Verdict::Remove, Reason::NoneOfThese),
            (Some("unsure"), _) => (Verdict::Unsure, Reason::Ambiguous),
            (Some("undo"), _) => (Verdict::Withdraw, Reason::Other),
            (Some("relabel"), Some(Ok(class))) if desk.classes.contains_key(&class) => {
                (Verdict::Relabel(class), Reason::WrongLabel)
            }
            (Some("relabel" | "also"), _) => return Err("relabel to one of the classes"),
            _ => return Err("keep, also, remove, relabel, unsure or undo"),
        };
        let reason = match (&verdict, reason) {
            // The page offers these reasons only for `remove`.
            (Verdict::Remove, Some(Some(reason))) => reason,
            (_, Some(None)) => return Err("no such reason"),
            _ => usual,
        };
        let then = if verdict == Verdict::Withdraw { Then::Stay } else { Then::Next };
        Ok(((verdict, reason, form.note()), then))
    }

    fn rows(desk: &Desk<Self>, at: usize, said: &Self::Said, ledger: &Ledger) -> Vec<Row> {
        let (verdict, reason, note) = said;
        // Nothing is left to take back.
        if *verdict == Verdict::Withdraw && desk.decision(ledger, at).is_none() {
            return Vec::new();
        }
        vec![Row::Decision(Decision {
            source_id: desk.id(at).into(),
            verdict: verdict.clone(),
            reason: *reason,
            source: "isn review".into(),
            reviewer: desk.reviewer.clone(),
            date: timestamp(SystemTime::now()),
            evidence: note.clone(),
        })]
    }
}

impl Desk<Suspects> {
    fn id(&self, at: usize) -> &str {
        &self.subject.images[self.work.0[at].at].source_id
    }

    /// Returns this reviewer's present decision on a suspect.
    pub(super) fn decision<'l>(&self, ledger: &'l Ledger, at: usize) -> Option<&'l Decision> {
        ledger.opinions(self.id(at)).into_iter().find(|one| one.reviewer == self.reviewer)
    }
}

impl Suspects {
    /// Finds the suspects among the images: those of the claims in `file`, in its order, or without it those
    /// of the ledger. With embeddings, the images beside them are the nearest. Also says how many images with
    /// claims are not there.
    pub(super) fn find(
        subject: &Subject,
        classes: &BTreeMap<ClassId, String>,
        ledger: &Ledger,
        file: Option<&Path>,
        near: Option<Nearest<'_>>,
    ) -> Result<(Self, Option<String>)> {
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
        let claiming = given.as_ref().unwrap_or(ledger);
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
            // If all claims agree with the label, there is nothing to decide. A plain list names no classes,
            // so it never agrees.
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
                _ => {
                    format!("puts no image of {} in question: give claims with --suspects FILE", subject.what)
                }
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
        let near = near.map(|open| open(subject)).transpose()?;
        for suspect in &mut suspects {
            let some = |all: &Vec<usize>| match &near {
                Some(near) => near.nearest(suspect.at, all, NEIGHBOURS),
                None => spread(all, suspect.at),
            };
            let like = |class: Option<&ClassId>| {
                class.and_then(|class| by_class.get(class)).map_or_else(Vec::new, some)
            };
            let (given, suggested) =
                (like(subject.images[suspect.at].class.as_ref()), like(suspect.suggested.first()));
            (suspect.like_given, suspect.like_suggested) = (given, suggested);
        }
        Ok((Suspects(suspects), elsewhere))
    }
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

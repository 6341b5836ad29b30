//! [`Policy`]: how claims become corrections, and which images are left to a person.

use std::collections::BTreeMap;

use super::{Claim, Decision, Ledger, Says, Verdict};
use crate::class::{Class, ClassId};
use crate::corrections::{Action, Because, Correction, Corrections};

/// How claims become corrections. A reviewer's decision overrides it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// The number of independent sources that must agree for a correction, if no source says otherwise.
    /// `None`: only reviewers decide.
    pub agree: Option<u32>,
    /// What to do with an image that shows its class and others.
    pub several: Several,
    /// Groups of sources that are not independent: each group counts as one source.
    pub together: Vec<Vec<String>>,
}

/// What to do with an image that shows several classes, its own among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Several {
    /// Keep it.
    #[default]
    Keep,
    /// Leave it out.
    Remove,
}

/// The corrections of a ledger under a policy, and what the policy does not decide.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// The decided corrections.
    pub corrections: Corrections,
    /// The images that are left to a person, sorted by source id. They stay as they are.
    pub open: Vec<Open>,
    /// What makes the ledger unusable: reviewers who disagree, classes that are not in the dataset. One line
    /// each.
    pub problems: Vec<String>,
}

/// An image that the policy leaves to a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The image.
    pub source_id: String,
    /// Its class in the source.
    pub given: ClassId,
    /// What each source's claim would do with it.
    pub votes: Vec<Vote>,
    /// Why it is left to a person.
    pub why: OpenBecause,
}

/// The effect of a source's claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// The source.
    pub source: String,
    /// What would happen to the image; `None` if the claim does not decide that.
    pub action: Option<Action>,
}

/// Why an image is left to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenBecause {
    /// Sources disagree.
    Conflict,
    /// Too few independent sources agree.
    TooFew,
    /// The reviewers are unsure.
    Unsure,
}

impl OpenBecause {
    /// Returns the reason in words.
    pub fn as_str(self) -> &'static str {
        match self {
            OpenBecause::Conflict => "the claims conflict",
            OpenBecause::TooFew => "too few independent claims",
            OpenBecause::Unsure => "the reviewers are unsure",
        }
    }
}

impl Policy {
    /// Derives the corrections of `ledger` for the images in `given`, which are pairs of a source id and the
    /// class in the source. Claims about other images are ignored; decisions about them are kept, and the
    /// caller checks them against the source.
    pub fn settle<'a>(
        &self,
        ledger: &Ledger,
        classes: &[Class],
        given: impl IntoIterator<Item = (&'a str, &'a ClassId)>,
    ) -> Settled {
        let given: BTreeMap<&str, &ClassId> = given.into_iter().collect();
        let mut settled = Settled::default();
        for id in ledger.source_ids() {
            let class = given.get(id).copied();
            let opinions = ledger.opinions(id);
            let firm: Vec<&Decision> =
                opinions.iter().copied().filter(|one| one.verdict != Verdict::Unsure).collect();
            match (firm.first(), class) {
                (Some(first), _) => reviewed(first, &firm, classes, &mut settled),
                // Claims about an image that is not in this source do not matter.
                (None, None) => {}
                (None, Some(class)) => {
                    self.voted(id, class, classes, ledger, !opinions.is_empty(), &mut settled)
                }
            }
        }
        settled
    }

    fn voted(
        &self,
        id: &str,
        given: &ClassId,
        classes: &[Class],
        ledger: &Ledger,
        unsure: bool,
        settled: &mut Settled,
    ) {
        let claims: Vec<&Claim> = ledger.claims(id).collect();
        let votes: Vec<Vote> = claims
            .iter()
            .map(|claim| Vote {
                source: claim.source.clone(),
                action: self.action(&claim.says, given, classes),
            })
            .collect();
        let Some(action) = votes.iter().filter_map(|vote| vote.action.as_ref()).find(|a| **a != Action::Keep)
        else {
            // No source wants a change.
            if unsure {
                settled.open.push(open(id, given, votes, OpenBecause::Unsure));
            }
            return;
        };
        let against = votes.iter().any(|vote| vote.action.as_ref().is_some_and(|other| other != action));
        let sources: Vec<Claim> = claims
            .iter()
            .zip(&votes)
            .filter(|(_, vote)| vote.action.as_ref() == Some(action))
            .map(|(&claim, _)| claim.clone())
            .collect();
        let independent = self.independent(sources.iter().map(|claim| claim.source.as_str()));
        let why = match self.agree {
            _ if unsure => OpenBecause::Unsure,
            _ if against => OpenBecause::Conflict,
            Some(agree) if independent >= agree as usize => {
                settled.corrections.insert(Correction {
                    source_id: id.into(),
                    action: action.clone(),
                    because: Because::Claims(sources),
                });
                return;
            }
            _ => OpenBecause::TooFew,
        };
        settled.open.push(open(id, given, votes, why));
    }

    /// Returns what a claim would do with an image of the class `given`.
    fn action(&self, says: &Says, given: &ClassId, classes: &[Class]) -> Option<Action> {
        let several = match self.several {
            Several::Keep => Action::Keep,
            Several::Remove => Action::Remove,
        };
        Some(match says {
            Says::Label(class) if class == given => Action::Keep,
            Says::Label(class) if has(classes, class) => Action::Relabel(class.clone()),
            Says::Label(_) | Says::None => Action::Remove,
            Says::Several(classes) if classes.is_empty() || classes.contains(given) => several,
            Says::Several(_) => Action::Remove,
            Says::Unclear => return None,
        })
    }

    /// Returns the number of independent sources.
    fn independent<'s>(&self, sources: impl Iterator<Item = &'s str>) -> usize {
        let group = |source: &str| self.together.iter().position(|group| group.iter().any(|s| s == source));
        let mut counted: Vec<Result<usize, &str>> =
            sources.map(|source| group(source).ok_or(source)).collect();
        counted.sort_unstable();
        counted.dedup();
        counted.len()
    }
}

fn reviewed(first: &Decision, firm: &[&Decision], classes: &[Class], settled: &mut Settled) {
    let id = &first.source_id;
    if firm.iter().any(|other| other.verdict != first.verdict) {
        let said: Vec<String> =
            firm.iter().map(|one| format!("{} says {}", one.reviewer, one.verdict)).collect();
        return settled.problems.push(format!("{id}: the reviewers differ: {}", said.join(", ")));
    }
    let action = match &first.verdict {
        Verdict::Keep => Action::Keep,
        Verdict::Remove => Action::Remove,
        Verdict::Relabel(class) if has(classes, class) => Action::Relabel(class.clone()),
        Verdict::Relabel(class) => {
            return settled
                .problems
                .push(format!("{id}: relabel to {class}, which is no class of the recipe"));
        }
        // Both were excluded above.
        Verdict::Unsure | Verdict::Withdraw => return,
    };
    let because = Because::Reviewed(firm.iter().map(|&one| one.clone()).collect());
    settled.corrections.insert(Correction { source_id: id.clone(), action, because });
}

fn has(classes: &[Class], class: &ClassId) -> bool {
    classes.binary_search_by(|other| other.id.cmp(class)).is_ok()
}

fn open(id: &str, given: &ClassId, votes: Vec<Vote>, why: OpenBecause) -> Open {
    Open { source_id: id.into(), given: given.clone(), votes, why }
}

//! [`Policy`]: how claims become corrections, and which images are left to a person.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Claim, Decision, Ledger, Says, Verdict};
use crate::class::{Class, ClassId};
use crate::corrections::{Action, Because, Correction, Corrections};

/// How claims become corrections. A reviewer's decision overrides it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// When claims decide.
    pub rule: Rule,
    /// What to do with an image that shows its class and others.
    pub several: Several,
    /// Groups of sources that are not independent: each group counts as one source.
    pub together: Vec<Vec<String>>,
}

/// When claims decide what becomes of an image. Sources that are not independent count as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rule {
    /// Never: only reviewers do.
    #[default]
    Never,
    /// If this number of sources say the same, and none says otherwise.
    Agree(u32),
    /// If this number more sources say one thing than say another, and nothing else has as great a lead.
    Net(u32),
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
    /// The number of images that have decisions.
    pub decided: usize,
    /// Those of them that are none of the images given, sorted by source id.
    pub absent: Vec<String>,
    /// How many claims are about the images given.
    pub claims: ClaimCount,
    /// The other images that have claims, sorted by source id.
    pub elsewhere: Vec<String>,
}

/// How many claims of a ledger are about images of a source. The others may be about other sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimCount {
    /// All claims.
    pub all: usize,
    /// Those about images of the source.
    pub here: usize,
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
    /// class in the source. Claims about other images are only counted; decisions about them are kept, and
    /// listed in [`Settled::absent`].
    pub fn settle<'a>(
        &self,
        ledger: &Ledger,
        classes: &[Class],
        given: impl IntoIterator<Item = (&'a str, &'a ClassId)>,
    ) -> Settled {
        let ids = ledger.source_ids();
        // Most images are in no ledger.
        let given: BTreeMap<&str, &ClassId> =
            given.into_iter().filter(|(id, _)| ids.binary_search(id).is_ok()).collect();
        let mut settled = Settled::default();
        for id in ids {
            let class = given.get(id).copied();
            let opinions = ledger.opinions(id);
            let claims = ledger.of(id).filter(|(_, row)| row.claim().is_some()).count();
            settled.claims.all += claims;
            settled.claims.here += if class.is_some() { claims } else { 0 };
            settled.decided += usize::from(!opinions.is_empty());
            if class.is_none() {
                settled.absent.extend((!opinions.is_empty()).then(|| id.to_owned()));
                settled.elsewhere.extend((claims > 0).then(|| id.to_owned()));
            }
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
        let is_contested = votes.iter().any(|vote| vote.action.as_ref().is_some_and(|other| other != action));
        let lead = |action: &Action| {
            let count = |is_for: bool| {
                let of_it = |vote: &&Vote| vote.action.as_ref().is_some_and(|a| (a == action) == is_for);
                self.independent(votes.iter().filter(of_it).map(|vote| vote.source.as_str()))
            };
            (count(true), count(true).saturating_sub(count(false)))
        };
        let decided = match self.rule {
            _ if unsure => None,
            Rule::Never => None,
            Rule::Agree(needed) => {
                Some(action).filter(|_| !is_contested && lead(action).0 >= needed as usize)
            }
            Rule::Net(needed) => winner(&votes, |action| lead(action).1)
                .filter(|(_, net)| *net >= needed as usize)
                .map(|(action, _)| action),
        };
        let Some(action) = decided else {
            let why = match is_contested {
                _ if unsure => OpenBecause::Unsure,
                true => OpenBecause::Conflict,
                false => OpenBecause::TooFew,
            };
            return settled.open.push(open(id, given, votes, why));
        };
        // An image that stays needs no correction.
        if *action != Action::Keep {
            let sources = claims.iter().zip(&votes).filter(|(_, vote)| vote.action.as_ref() == Some(action));
            let sources = sources.map(|(&claim, _)| claim.clone()).collect();
            settled.corrections.insert(Correction {
                source_id: id.into(),
                action: action.clone(),
                because: Because::Claims(sources),
            });
        }
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

/// Returns the action of the greatest lead, with that; `None` if two have it.
fn winner(votes: &[Vote], lead: impl Fn(&Action) -> usize) -> Option<(&Action, usize)> {
    let actions = votes.iter().filter_map(|vote| vote.action.as_ref());
    let leads: Vec<(&Action, usize)> = actions.map(|action| (action, lead(action))).collect();
    let best = leads.iter().max_by_key(|(_, lead)| *lead)?;
    leads.iter().all(|(action, lead)| lead < &best.1 || *action == best.0).then_some(*best)
}

fn reviewed(first: &Decision, firm: &[&Decision], classes: &[Class], settled: &mut Settled) {
    let id = &first.source_id;
    if firm.iter().any(|other| !other.verdict.agrees(&first.verdict)) {
        let said: Vec<String> =
            firm.iter().map(|one| format!("{} says {}", one.reviewer, one.verdict)).collect();
        return settled.problems.push(format!("{id}: the reviewers differ: {}", said.join(", ")));
    }
    let action = match &first.verdict {
        Verdict::Keep(_) => {
            match firm.iter().flat_map(|one| one.verdict.classes()).find(|class| !has(classes, class)) {
                None => Action::Keep,
                Some(class) => {
                    return settled
                        .problems
                        .push(format!("{id}: keep, also {class}, which is no class of the recipe"));
                }
            }
        }
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

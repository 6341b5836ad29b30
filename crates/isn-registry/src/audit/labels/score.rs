//! [`Rank`]: scores a label by its row of probabilities.

use super::sums::pairwise;
use crate::audit::matrix::Matrix;

/// The minimum for a confidence or an entropy.
const CLIPPING: f64 = 1e-6;

/// A score of labels, named as in cleanlab. Lower scores are more suspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// The probability of the given label.
    SelfConfidence,
    /// That probability minus the largest other one, scaled to 0 to 1.
    NormalizedMargin,
    /// The entropy of the row, weighted by that probability.
    ConfidenceWeightedEntropy,
    /// 1 minus the largest probability of another class. Not one of cleanlab's.
    SecondProbability,
}

impl Rank {
    /// Returns the name, as cleanlab spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Rank::SelfConfidence => "self_confidence",
            Rank::NormalizedMargin => "normalized_margin",
            Rank::ConfidenceWeightedEntropy => "confidence_weighted_entropy",
            Rank::SecondProbability => "second_probability",
        }
    }

    /// Returns the score of `label` in a row.
    pub fn score(self, probabilities: &Matrix, row: usize, label: usize) -> f64 {
        let round = |x: f64| probabilities.round(x);
        let own = probabilities.at(row, label);
        let best = || {
            let others = probabilities.row(row).enumerate().filter(|(class, _)| *class != label);
            others.fold(f64::NEG_INFINITY, |best, (_, p)| best.max(p))
        };
        match self {
            Rank::SelfConfidence => own,
            Rank::SecondProbability => round(1.0 - best()),
            Rank::NormalizedMargin => round(round(round(own - best()) + 1.0) / 2.0),
            Rank::ConfidenceWeightedEntropy => {
                let classes = probabilities.columns();
                // A value slightly outside 0 to 1 can come from rounding, and must not reach the logarithm.
                let term = |class: usize| match probabilities.at(row, class).clamp(0.0, 1.0) {
                    0.0 => 0.0,
                    p => round(p * round(libm::log(p))),
                };
                let entropy = -pairwise(classes, &term, &round) / libm::log(classes as f64);
                let weighed = entropy / own.max(round(CLIPPING));
                libm::log(weighed + 1.0) / weighed.max(CLIPPING)
            }
        }
    }
}

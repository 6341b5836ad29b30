//! [`Rank`]: how good a label is by its row of probabilities.

use super::sums::pairwise;
use crate::audit::matrix::Matrix;

/// The least that a confidence or an entropy is taken for.
const CLIPPING: f64 = 1e-6;

/// A score of labels, named as in cleanlab; the lower, the more suspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// The probability of the given label.
    SelfConfidence,
    /// That probability less the largest other one, brought to 0 to 1.
    NormalizedMargin,
    /// The row's entropy, weighed by that probability.
    ConfidenceWeightedEntropy,
}

impl Rank {
    /// The name, as cleanlab spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Rank::SelfConfidence => "self_confidence",
            Rank::NormalizedMargin => "normalized_margin",
            Rank::ConfidenceWeightedEntropy => "confidence_weighted_entropy",
        }
    }

    /// The score of `label` in a row.
    pub fn score(self, probabilities: &Matrix, row: usize, label: usize) -> f64 {
        let round = |x: f64| probabilities.round(x);
        let own = probabilities.at(row, label);
        match self {
            Rank::SelfConfidence => own,
            Rank::NormalizedMargin => {
                let others = probabilities.row(row).enumerate().filter(|(class, _)| *class != label);
                let best = others.fold(f64::NEG_INFINITY, |best, (_, p)| best.max(p));
                round(round(round(own - best) + 1.0) / 2.0)
            }
            Rank::ConfidenceWeightedEntropy => {
                let classes = probabilities.columns();
                // A little outside of 0 to 1 may pass as rounding; the logarithm must not see it.
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

//! What an accuracy on `n` images can tell: its margin of error, and how large a difference between two
//! models must be to be more than chance.

/// The 97.5% point of the standard normal distribution, for a two-sided 95%.
pub(crate) const Z_95: f64 = 1.959_963_984_540_054;
/// Its 80% point, for the power.
pub(crate) const Z_POWER_80: f64 = 0.841_621_233_572_914_2;

/// Returns half the width of the Wilson score interval (95%) of a share `p` observed among `n` (E. B. Wilson,
/// JASA 22, 1927; recommended for small `n` by Brown, Cai, DasGupta, Statistical Science 16, 2001): `z / (1 +
/// z²/n) × √(p (1 − p) / n + z² / 4n²)`. Returns 1 if `n` is 0, since nothing is known then.
pub(crate) fn wilson_half_width(p: f64, n: u64) -> f64 {
    if n == 0 {
        return 1.0;
    }
    let (n, z) = (n as f64, Z_95);
    z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt()
}

/// Returns the number of images needed to tell two models apart whose accuracies differ by `difference` and
/// of which exactly one is right on the share `discordance` of the images: McNemar's test, two-sided 5%,
/// power 80% (R. J. Connor, Biometrics 43, 1987): `(z₁ √ψ + z₂ √(ψ − δ²))² / δ²`. There is such a pair of
/// models only if the difference is between 0 and the discordance.
fn mcnemar_needed(difference: f64, discordance: f64) -> f64 {
    let sum =
        Z_95 * discordance.sqrt() + Z_POWER_80 * (discordance - difference * difference).max(0.0).sqrt();
    sum * sum / (difference * difference)
}

/// Returns the smallest difference between accuracies that `n` images can detect, which is the inverse of
/// [`mcnemar_needed`]. Returns `None` if `n` is too small even if every disagreement favours one model.
pub(crate) fn mcnemar_smallest(n: u64, discordance: f64) -> Option<f64> {
    let n = n as f64;
    if discordance <= 0.0 || discordance > 1.0 || mcnemar_needed(discordance, discordance) > n {
        return None;
    }
    // The number needed falls as the difference grows.
    let (mut low, mut high) = (0.0, discordance);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if mcnemar_needed(middle, discordance) > n { low = middle } else { high = middle }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    /// `interop/resolution.py` computes these with statsmodels and scipy, and compares.
    #[test]
    fn figures_are_those_of_statsmodels_and_scipy() {
        let text = include_str!("../../../../tests/vectors/resolution.csv");
        let mut kinds = std::collections::BTreeMap::new();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split(',').collect();
            let number = |at: usize| fields[at].parse::<f64>().unwrap();
            let (x, y, expected) = (number(1), number(2), number(3));
            let found = match fields[0] {
                "wilson" => wilson_half_width(x, y as u64),
                "mcnemar-needed" => mcnemar_needed(x, y).ceil(),
                "mcnemar-smallest" => mcnemar_smallest(x as u64, y).unwrap(),
                other => panic!("{other}"),
            };
            assert!(near(found, expected), "{line}: {found}");
            *kinds.entry(fields[0]).or_insert(0) += 1;
        }
        assert_eq!(kinds.len(), 3, "{kinds:?}");
    }

    #[test]
    fn what_cannot_be_told() {
        assert_eq!(wilson_half_width(0.5, 0), 1.0);
        assert_eq!(mcnemar_smallest(10, 0.1), None);
        assert_eq!(mcnemar_smallest(100, 0.0), None);
    }

    #[test]
    fn the_smallest_difference_needs_just_so_many() {
        for (n, discordance) in [(50, 0.3), (500, 0.1), (2500, 0.1), (50_000, 0.2)] {
            let smallest = mcnemar_smallest(n, discordance).unwrap();
            let needed = mcnemar_needed(smallest, discordance).ceil() as u64;
            assert!(needed.abs_diff(n) <= 1, "{n}");
        }
    }
}

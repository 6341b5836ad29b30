//! Sums and orders as NumPy computes them: rounded counts must not depend on the order of additions.

/// Returns NumPy's pairwise sum of `n` numbers, with each addition rounded by `round`.
pub(super) fn pairwise(n: usize, of: &dyn Fn(usize) -> f64, round: &dyn Fn(f64) -> f64) -> f64 {
    const BLOCK: usize = 128;
    if n < 8 {
        return (0..n).fold(0.0, |sum, at| round(sum + of(at)));
    }
    if n <= BLOCK {
        let mut lanes: [f64; 8] = std::array::from_fn(of);
        let whole = n - n % 8;
        for at in 8..whole {
            lanes[at % 8] = round(lanes[at % 8] + of(at));
        }
        let pair = |a: usize, b: usize| round(lanes[a] + lanes[b]);
        let sum = round(round(pair(0, 1) + pair(2, 3)) + round(pair(4, 5) + pair(6, 7)));
        return (whole..n).fold(sum, |sum, at| round(sum + of(at)));
    }
    let half = n / 2 - (n / 2) % 8;
    round(pairwise(half, of, round) + pairwise(n - half, &|at| of(half + at), round))
}

/// Returns the sum in double precision.
pub(super) fn sum(numbers: &[f64]) -> f64 {
    pairwise(numbers.len(), &|at| numbers[at], &|x| x)
}

/// Returns the positions of the numbers in ascending order. Equal numbers keep their order.
pub(super) fn ascending(numbers: &[f64]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..numbers.len()).collect();
    places.sort_by(|a, b| numbers[*a].total_cmp(&numbers[*b]));
    places
}

/// Rounds `numbers` to whole numbers that have the rounded sum of `numbers`, adjusting first those that lost
/// most by rounding.
pub(super) fn round_preserving_sum(numbers: &[f64]) -> Vec<f64> {
    let mut whole: Vec<f64> = numbers.iter().map(|x| x.round_ties_even()).collect();
    let wanted = sum(numbers).round_ties_even();
    loop {
        let missing = wanted - sum(&whole).round_ties_even();
        if missing == 0.0 || !missing.is_finite() {
            return whole;
        }
        let lost: Vec<f64> = numbers.iter().zip(&whole).map(|(x, w)| x - w).collect();
        let mut places = ascending(&lost);
        if missing > 0.0 {
            places.reverse();
        }
        for place in places.into_iter().take(missing.abs() as usize) {
            whole[place] += missing.signum();
        }
    }
}

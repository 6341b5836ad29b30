//! Products of many vectors with many vectors, in tiles that the compiler turns into vector instructions.
//! Each sum runs over its terms in their order, so the results do not depend on the processor or on threads.

use std::ops::{AddAssign, Mul};

/// The number of vectors of a panel.
pub(super) const TILE: usize = 4;

/// Vectors side by side: at each position, the number of each of them.
pub(super) type Panel<T = f64, const N: usize = TILE> = Vec<[T; N]>;

/// Packs vectors of equal length; those that are missing are zero.
pub(super) fn pack<T: Copy + Default, const N: usize>(
    vectors: impl IntoIterator<Item = impl IntoIterator<Item = T>>,
    length: usize,
) -> Panel<T, N> {
    let mut panel = vec![[T::default(); N]; length];
    for (lane, vector) in vectors.into_iter().take(N).enumerate() {
        panel.iter_mut().zip(vector).for_each(|(numbers, number)| numbers[lane] = number);
    }
    panel
}

/// Returns the product of each vector of `a` with each of `b`, over the shorter of the two.
pub(super) fn products<T, const N: usize>(a: &[[T; TILE]], b: &[[T; N]]) -> [[T; N]; TILE]
where
    T: Copy + Default + Mul<Output = T> + AddAssign,
{
    let mut sums = [[T::default(); N]; TILE];
    for (a, b) in a.iter().zip(b) {
        for (sums, a) in sums.iter_mut().zip(a) {
            sums.iter_mut().zip(b).for_each(|(sum, b)| *sum += *a * *b);
        }
    }
    sums
}

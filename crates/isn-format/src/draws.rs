//! [`Draws`]: pseudo-random numbers that are the same everywhere: the extended output of BLAKE3. The
//! specification is docs/order.md.

/// A stream of numbers that depends only on its inputs.
pub(crate) struct Draws {
    output: blake3::OutputReader,
    block: [u8; BLOCK],
    at: usize,
}

/// The number of bytes of output that are computed at once.
const BLOCK: usize = 1024;

impl Draws {
    /// Creates the stream of these bytes, concatenated: the extended output of their BLAKE3, as little-endian
    /// 64-bit numbers.
    pub(crate) fn new(parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(part);
        }
        Draws { output: hasher.finalize_xof(), block: [0; BLOCK], at: BLOCK }
    }

    /// Returns the next number.
    pub(crate) fn number(&mut self) -> u64 {
        if self.at == BLOCK {
            self.output.fill(&mut self.block);
            self.at = 0;
        }
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.block[self.at..self.at + 8]);
        self.at += 8;
        u64::from_le_bytes(bytes)
    }

    /// Returns a number below `limit`, each equally likely: a number that would favour the low results is
    /// drawn again. For a limit of 0 or 1 the result is 0, and a number is drawn all the same.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        let limit = limit.max(1);
        // 2^64 mod limit: this many numbers at the top are an incomplete turn.
        let excess = (u64::MAX % limit + 1) % limit;
        loop {
            let number = self.number();
            if number <= u64::MAX - excess {
                return number % limit;
            }
        }
    }

    /// Returns a number of at least 0 and below 1: the upper 53 bits of the next number, as a fraction. Exact
    /// in binary floating point.
    pub(crate) fn fraction(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Shuffles `items`; every order is equally likely (Fisher–Yates, from the last item to the first).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_output_of_blake3() {
        let mut output = [0; 2 * BLOCK];
        blake3::Hasher::new().update(b"abc").finalize_xof().fill(&mut output);
        let mut draws = Draws::new(&[b"a", b"bc"]);
        for bytes in output.chunks_exact(8) {
            assert_eq!(draws.number().to_le_bytes(), bytes);
        }
    }

    #[test]
    fn every_number_below_a_limit_is_as_likely() {
        let mut draws = Draws::new(&[b"even"]);
        let mut counts = [0u32; 7];
        (0..70_000).for_each(|_| counts[draws.below(7) as usize] += 1);
        assert!(counts.iter().all(|&count| (9_600..10_400).contains(&count)), "{counts:?}");
        assert_eq!((draws.below(0), draws.below(1)), (0, 0));
        // Half of all numbers are above this limit: they must be drawn again, not reduced.
        let limit = (1 << 63) + 1;
        assert!((0..100).all(|_| draws.below(limit) < limit));
        assert!((0..1000).map(|_| draws.fraction()).all(|f| (0.0..1.0).contains(&f)));
    }
}

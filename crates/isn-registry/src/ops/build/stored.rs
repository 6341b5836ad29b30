//! [`Stored`]: the images that a build has in its shards.

use isn_format::digest::Digest;

/// A set of hashes, some 45 bytes each at most.
#[derive(Default)]
pub(super) struct Stored {
    all: Vec<Digest>,
    /// One more than the position in `all` of the hash that belongs there or after the ones before; 0 if
    /// there is none. The length is a power of two, and at least half of it is empty.
    slots: Vec<u32>,
}

impl Stored {
    pub(super) fn has(&self, image: &Digest) -> bool {
        self.find(image).is_some_and(|at| self.slots[at] != 0)
    }

    /// Returns the position of a hash among all, in the order in which they were added.
    pub(super) fn position(&self, image: &Digest) -> Option<usize> {
        self.find(image).and_then(|at| (self.slots[at] as usize).checked_sub(1))
    }

    /// Adds a hash. Returns `false` if it is there already.
    pub(super) fn insert(&mut self, image: &Digest) -> bool {
        if 2 * self.all.len() >= self.slots.len() {
            self.grow();
        }
        let Some(at) = self.find(image).filter(|at| self.slots[*at] == 0) else { return false };
        self.all.push(*image);
        self.slots[at] = self.all.len() as u32;
        true
    }

    /// Returns the slot of a hash, or the one where it would be; `None` if there are no slots.
    fn find(&self, image: &Digest) -> Option<usize> {
        let last = self.slots.len().checked_sub(1)?;
        let is_its = |slot: u32| slot == 0 || self.all[slot as usize - 1] == *image;
        let first = first(image);
        (0..=last).map(|after| first.wrapping_add(after) & last).find(|at| is_its(self.slots[*at]))
    }

    fn grow(&mut self) {
        let length = (2 * self.slots.len()).max(1 << 10);
        self.slots = vec![0; length];
        for (number, image) in (1..).zip(&self.all) {
            let mut at = first(image) & (length - 1);
            while self.slots[at] != 0 {
                at = (at + 1) & (length - 1);
            }
            self.slots[at] = number;
        }
    }
}

/// Where a hash belongs, before what exceeds the slots is taken off.
fn first(image: &Digest) -> usize {
    image.as_bytes().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_there_and_nothing_else() {
        let mut stored = Stored::default();
        let image = |n: u32| Digest::of(&n.to_le_bytes());
        assert!(!stored.has(&image(0)));
        assert!((0..10_000).all(|n| stored.insert(&image(n))));
        assert!((0..10_000).all(|n| stored.has(&image(n)) && !stored.insert(&image(n))));
        assert!((0..10_000).all(|n| stored.position(&image(n)) == Some(n as usize)));
        assert_eq!(stored.position(&image(10_000)), None);
        assert!((10_000..20_000).all(|n| !stored.has(&image(n))));
        // The same first bytes.
        let mut bytes = *image(7).as_bytes();
        bytes[31] ^= 1;
        let other = Digest::from_bytes(bytes);
        assert!(!stored.has(&other) && stored.insert(&other) && stored.has(&other));
    }
}

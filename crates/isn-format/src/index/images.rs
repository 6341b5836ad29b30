//! [`Images`]: some of the images of an index, found by their BLAKE3.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::{Index, RowRef};
use crate::digest::Digest;

/// Images of an index, each once, however many rows have it. It refers to the rows, and takes some 10 bytes
/// an image.
#[derive(Clone)]
pub struct Images<'a> {
    index: &'a Index,
    /// The first row of each image.
    first: HashTable<u32>,
    /// The other rows of images that have several, by the first.
    others: HashMap<u32, Vec<u32>>,
    hashes: RandomState,
}

impl<'a> Images<'a> {
    /// Collects the images of these rows, which must be of `index`.
    pub fn of(index: &'a Index, rows: impl IntoIterator<Item = RowRef<'a>>) -> Self {
        let rows = rows.into_iter();
        let (least, most) = rows.size_hint();
        let first = HashTable::with_capacity(most.unwrap_or(least).min(index.len()));
        let mut images = Images { index, first, others: HashMap::new(), hashes: RandomState::new() };
        rows.for_each(|row| images.insert(row.at));
        images.first.shrink_to_fit(|at| images.hashes.hash_one(index.row(*at as usize).blake3()));
        images
    }

    /// Collects all images of an index.
    pub fn all(index: &'a Index) -> Self {
        Self::of(index, index.rows())
    }

    fn insert(&mut self, row: u32) {
        let blake3 = |at: &u32| self.index.row(*at as usize).blake3();
        let image = blake3(&row);
        let hash = |at: &u32| self.hashes.hash_one(blake3(at));
        match self.first.entry(self.hashes.hash_one(image), |at| blake3(at) == image, hash) {
            Entry::Vacant(free) => drop(free.insert(row)),
            Entry::Occupied(first) => self.others.entry(*first.get()).or_default().push(row),
        }
    }

    fn first(&self, image: &Digest) -> Option<u32> {
        let is_it = |at: &u32| self.index.row(*at as usize).blake3() == *image;
        self.first.find(self.hashes.hash_one(image), is_it).copied()
    }

    /// Returns the first row of an image.
    pub fn get(&self, image: &Digest) -> Option<RowRef<'a>> {
        self.first(image).map(|at| self.index.row(at as usize))
    }

    /// Returns the length of an image's file, in bytes.
    pub fn length(&self, image: &Digest) -> Option<u64> {
        self.get(image).map(RowRef::length)
    }

    /// Whether the image is one of them.
    pub fn contains(&self, image: &Digest) -> bool {
        self.first(image).is_some()
    }

    /// Returns all rows of an image.
    pub fn rows(&self, image: &Digest) -> impl Iterator<Item = RowRef<'a>> {
        let first = self.first(image);
        let others = first.and_then(|first| self.others.get(&first)).into_iter().flatten().copied();
        let index = self.index;
        first.into_iter().chain(others).map(move |at| index.row(at as usize))
    }

    /// Returns the first row of each image, in no order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = RowRef<'a>> {
        let index = self.index;
        self.first.iter().map(move |at| index.row(*at as usize))
    }

    /// Removes an image. Returns whether it was one of them.
    pub fn remove(&mut self, image: &Digest) -> bool {
        let is_it = |at: &u32| self.index.row(*at as usize).blake3() == *image;
        let found = self.first.find_entry(self.hashes.hash_one(image), is_it);
        found.map(|found| self.others.remove(&found.remove().0)).is_ok()
    }

    /// Keeps only the images for which `keep` holds.
    pub fn retain(&mut self, keep: impl Fn(&Digest) -> bool) {
        self.first.retain(|at| keep(&self.index.row(*at as usize).blake3()));
    }

    /// Returns the number of images.
    pub fn len(&self) -> usize {
        self.first.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// Returns the index that they are of.
    pub fn index(&self) -> &'a Index {
        self.index
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Row;

    #[test]
    fn an_image_is_found_by_its_hash_with_all_its_rows() {
        let digest = |n: u32| Digest::of(&n.to_le_bytes());
        let row = |n: u32| Row {
            path: format!("train/ant/{n:04}.png").parse().unwrap(),
            class: "ant".parse().unwrap(),
            split: "train".parse().unwrap(),
            // Every image of the last hundred occurs in the first hundred, too.
            blake3: digest(n % 900),
            length: u64::from(n % 900),
            width: 1,
            height: 1,
            pixels: digest(0),
            source: n.to_string(),
            source_blake3: digest(0),
        };
        let (index, _) = Index::new((0..1000).map(row).collect()).unwrap();
        let mut images = Images::all(&index);
        assert_eq!((images.len(), images.iter().len()), (900, 900));
        let rows =
            |images: &Images<'_>, n| -> Vec<usize> { images.rows(&digest(n)).map(RowRef::at).collect() };
        for n in 0..900 {
            assert_eq!(images.length(&digest(n)), Some(u64::from(n)));
            let expected = if n < 100 { vec![n as usize, n as usize + 900] } else { vec![n as usize] };
            assert_eq!(rows(&images, n), expected);
        }
        assert_eq!((images.length(&digest(900)), rows(&images, 900)), (None, vec![]));
        assert!(images.remove(&digest(7)) && !images.remove(&digest(7)) && !images.contains(&digest(7)));
        assert_eq!(rows(&images, 7), [0; 0]);
        images.retain(|image| *image == digest(8));
        assert_eq!(images.iter().map(RowRef::at).collect::<Vec<_>>(), [8]);
        let part = Images::of(&index, index.rows().skip(950));
        assert_eq!((part.len(), rows(&part, 60)), (50, vec![960]));
    }
}

//! [`Chosen`]: the images of a selection, as rows of a table. Images of a class follow one another, so it is
//! short however many they are.

use std::ops::Range;

use isn_format::split::Split;

/// Rows of a table, in ascending order, with their labels.
#[derive(Clone, Debug, Default)]
pub struct Chosen {
    runs: Vec<Run>,
    images: u32,
}

/// Images that follow one another in selection and table, and have one label.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// The number of the first.
    image: u32,
    /// Its row.
    row: u32,
    split: Split,
    label: u32,
}

impl Chosen {
    /// Appends images of one class and split, whose rank among the classes is `label`.
    pub(crate) fn push(&mut self, rows: Range<u32>, split: Split, label: u32) {
        let (image, row) = (self.images, rows.start);
        self.images += rows.len() as u32;
        let goes_on =
            |last: &Run| (last.split, last.label, last.row + (image - last.image)) == (split, label, row);
        if !rows.is_empty() && !self.runs.last().is_some_and(goes_on) {
            self.runs.push(Run { image, row, split, label });
        }
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.images as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.images == 0
    }

    fn run(&self, image: usize) -> Option<&Run> {
        let runs = self.runs.partition_point(|run| run.image as usize <= image);
        self.runs.get(runs.checked_sub(1)?).filter(|_| image < self.len())
    }

    /// The row of an image.
    pub fn row(&self, image: usize) -> Option<usize> {
        self.run(image).map(|run| run.row as usize + (image - run.image as usize))
    }

    /// The label of an image: the rank of its class.
    pub fn label(&self, image: usize) -> Option<u32> {
        self.run(image).map(|run| run.label)
    }

    /// The split of an image.
    pub fn split(&self, image: usize) -> Option<Split> {
        self.run(image).map(|run| run.split)
    }

    /// The rows, as few ranges.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        self.parts().map(|(run, images)| run.row as usize..run.row as usize + images)
    }

    /// The label of each image.
    pub fn labels(&self) -> impl Iterator<Item = u32> {
        self.parts().flat_map(|(run, images)| std::iter::repeat_n(run.label, images))
    }

    /// The splits that have some of the images.
    pub(crate) fn has_split(&self, split: Split) -> bool {
        self.runs.iter().any(|run| run.split == split)
    }

    fn parts(&self) -> impl Iterator<Item = (&Run, usize)> {
        let ends = self.runs.iter().skip(1).map(|next| next.image).chain([self.images]);
        self.runs.iter().zip(ends).map(|(run, end)| (run, (end - run.image) as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_found_in_their_runs() {
        let mut chosen = Chosen::default();
        chosen.push(0..0, Split::Test, 0);
        chosen.push(5..8, Split::Train, 1);
        chosen.push(8..9, Split::Train, 1);
        chosen.push(9..10, Split::Train, 2);
        chosen.push(20..22, Split::Val, 2);
        assert_eq!(chosen.runs.len(), 3);
        assert_eq!(chosen.ranges().collect::<Vec<_>>(), [5..9, 9..10, 20..22]);
        let rows: Vec<usize> = chosen.ranges().flatten().collect();
        let labels: Vec<u32> = chosen.labels().collect();
        assert_eq!((rows.len(), labels.as_slice()), (chosen.len(), &[1, 1, 1, 1, 2, 2, 2][..]));
        for image in 0..7 {
            assert_eq!(chosen.row(image), Some(rows[image]));
            assert_eq!(chosen.label(image), Some(labels[image]));
            assert_eq!(chosen.split(image), Some(if image < 5 { Split::Train } else { Split::Val }));
        }
        assert_eq!((chosen.row(7), chosen.label(7)), (None, None));
        assert!(Chosen::default().is_empty() && Chosen::default().row(0).is_none());
        assert!(chosen.has_split(Split::Val) && !chosen.has_split(Split::Test));
    }
}

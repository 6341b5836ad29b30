//! [`Images`]: the images of a source. There may be millions, so each has a record of fixed size, and all
//! paths and ids are one text.

use std::cmp::Ordering;

use super::{Position, SourceImage};
use isn_format::class::{ClassId, ClassNumbers};
use isn_format::split::Split;

/// Nanoseconds in a second.
const SECOND: i128 = 1_000_000_000;

/// The images of a source, some 60 bytes each besides the path.
#[derive(Clone, Debug, Default)]
pub struct Images {
    /// The path of each image, followed by its id unless that is a part of the path.
    text: String,
    records: Vec<Record>,
    classes: ClassNumbers,
}

/// An image.
#[derive(Clone, Debug)]
struct Record {
    /// Where its path begins in the text.
    begin: usize,
    path_len: u32,
    /// Where its id begins, after the beginning of the path.
    id: u32,
    id_len: u32,
    class: u32,
    len: u32,
    /// When it was changed: nanoseconds after these seconds.
    nanoseconds: u32,
    seconds: i64,
    /// The number of the file that holds it, and where in that it is.
    holder: u32,
    place: u64,
    split: Split,
    kind: Kind,
}

/// The kinds of [`Position`].
#[derive(Clone, Copy, Debug)]
enum Kind {
    File,
    Tar,
    Row,
}

impl Images {
    /// Appends an image, which is no longer than an image may be.
    pub(super) fn push(&mut self, image: &SourceImage<'_>) {
        let begin = self.text.len();
        self.text.push_str(image.path);
        let id = image.path.find(image.id).unwrap_or_else(|| {
            self.text.push_str(image.id);
            image.path.len()
        });
        let (kind, holder, place) = match image.position {
            Position::File => (Kind::File, 0, 0),
            Position::Tar { archive, offset } => (Kind::Tar, archive, offset),
            Position::Row { shard, row } => (Kind::Row, shard, row),
        };
        let modified = image.modified_ns;
        self.records.push(Record {
            begin,
            path_len: image.path.len() as u32,
            id: id as u32,
            id_len: image.id.len() as u32,
            class: self.classes.number(image.class),
            len: image.len as u32,
            nanoseconds: modified.rem_euclid(SECOND) as u32,
            seconds: modified.div_euclid(SECOND) as i64,
            holder: holder as u32,
            place,
            split: image.split,
            kind,
        });
    }

    /// Frees what was reserved for more images.
    pub(super) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.records.shrink_to_fit();
    }

    /// Returns the number of images.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Returns the image with this number, which must be below [`Images::len`].
    pub fn get(&self, at: usize) -> SourceImage<'_> {
        view(&self.text, &self.classes, &self.records[at])
    }

    /// Returns the id of the image with this number, which must be below [`Images::len`].
    pub fn id(&self, at: usize) -> &str {
        id(&self.text, &self.records[at])
    }

    /// Returns the class of the image with this number, which must be below [`Images::len`].
    pub fn class(&self, at: usize) -> &ClassId {
        self.classes.get(self.records[at].class)
    }

    /// Returns the images.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = SourceImage<'_>> + DoubleEndedIterator + Clone {
        self.records.iter().map(|record| view(&self.text, &self.classes, record))
    }

    /// Returns the ids of the images.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = &str> {
        self.records.iter().map(|record| id(&self.text, record))
    }

    /// Keeps the images of which `keeps` returns `true`.
    pub(crate) fn retain(&mut self, keeps: impl Fn(SourceImage<'_>) -> bool) {
        self.records.retain(|record| keeps(view(&self.text, &self.classes, record)));
    }

    /// Removes the image with this number, which must be below [`Images::len`].
    pub(crate) fn remove(&mut self, at: usize) {
        self.records.remove(at);
    }

    /// Sorts the images, no two of which may be equal to `compare` unless their order does not matter.
    pub(crate) fn sort_by(&mut self, compare: impl Fn(SourceImage<'_>, SourceImage<'_>) -> Ordering) {
        let (text, classes) = (&self.text, &self.classes);
        self.records.sort_unstable_by(|a, b| compare(view(text, classes, a), view(text, classes, b)));
    }
}

fn path<'i>(text: &'i str, record: &Record) -> &'i str {
    &text[record.begin..record.begin + record.path_len as usize]
}

fn id<'i>(text: &'i str, record: &Record) -> &'i str {
    let begin = record.begin + record.id as usize;
    &text[begin..begin + record.id_len as usize]
}

fn view<'i>(text: &'i str, classes: &'i ClassNumbers, record: &Record) -> SourceImage<'i> {
    let (holder, place) = (record.holder as usize, record.place);
    SourceImage {
        id: id(text, record),
        class: classes.get(record.class),
        split: record.split,
        path: path(text, record),
        len: record.len.into(),
        modified_ns: i128::from(record.seconds) * SECOND + i128::from(record.nanoseconds),
        position: match record.kind {
            Kind::File => Position::File,
            Kind::Tar => Position::Tar { archive: holder, offset: place },
            Kind::Row => Position::Row { shard: holder, row: place },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_come_back_as_they_went_in() {
        let class: ClassId = "ant".parse().unwrap();
        let other: ClassId = "bee".parse().unwrap();
        let image = SourceImage {
            id: "train/ant/é",
            class: &class,
            split: Split::Train,
            path: "train/ant/é.JPG",
            len: 7,
            modified_ns: -1,
            position: Position::File,
        };
        let tar = Position::Tar { archive: 3, offset: 1 << 40 };
        let row = Position::Row { shard: 1, row: 9 };
        let all = [
            image,
            SourceImage { id: "é", class: &other, split: Split::Val, position: tar, ..image },
            SourceImage { id: "train/ant/e", modified_ns: 1 << 62, position: row, len: 0, ..image },
        ];
        let mut images = Images::default();
        all.iter().for_each(|image| images.push(image));
        images.shrink();
        assert!(images.iter().eq(all));
        assert!(images.ids().eq(all.map(|image| image.id)));
        images.sort_by(|a, b| b.modified_ns.cmp(&a.modified_ns).then(b.id.cmp(a.id)));
        assert!(images.iter().eq([all[2], all[1], all[0]]));
        images.retain(|image| image.split == Split::Train);
        images.remove(0);
        assert!(images.iter().eq([image]));
    }
}

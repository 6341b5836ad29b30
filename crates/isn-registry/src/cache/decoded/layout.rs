//! Where the rows of a file of decoded images are, and what confirms them: header, entries and keys.

use std::fmt::Write as _;

use super::super::SECRET;
use isn_format::digest::Digest;
use isn_format::pixel_spec::PIPELINE;

pub(super) const MAGIC: &str = "isn-decoded/1";
/// The length of the header, in bytes.
pub(super) const HEADER: u64 = 4096;
/// The length of an entry: BLAKE3, offset, width and height of a row.
pub(super) const ENTRY: u64 = 32 + 8 + 4 + 4;
/// Rows begin at multiples of this.
const ALIGNMENT: u64 = 64;

/// What the rows of a file are: whatever decides their bytes and places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    dataset: Digest,
    images: u64,
    size: Option<u32>,
    /// The BLAKE3 of the sizes of the rows, if they have sizes of their own.
    shapes: Option<Digest>,
    pub(super) length: u64,
}

/// Where a row is, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowAt {
    /// The number of the image in the version.
    pub(crate) row: u32,
    pub(crate) offset: u64,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl Layout {
    /// Returns the layout of the images of a dataset in their own sizes, and the offsets of the rows
    /// `wanted`, which are in ascending order.
    pub(crate) fn of_sizes(
        dataset: Digest,
        sizes: impl ExactSizeIterator<Item = (u32, u32)>,
        wanted: &[u32],
    ) -> (Self, Vec<u64>) {
        let images = sizes.len() as u64;
        let (mut hasher, mut end) = (blake3::Hasher::new(), begin_of_rows(images));
        let (mut shapes, mut offsets) = (Vec::new(), Vec::with_capacity(wanted.len()));
        let mut wanted = wanted.iter().peekable();
        for (row, (width, height)) in (0u32..).zip(sizes) {
            shapes.extend(width.to_le_bytes());
            shapes.extend(height.to_le_bytes());
            if shapes.len() >= 1 << 16 {
                hasher.update(&shapes);
                shapes.clear();
            }
            if wanted.next_if(|&&wanted| wanted == row).is_some() {
                offsets.push(end);
            }
            end = end.saturating_add(length_of(width, height).next_multiple_of(ALIGNMENT));
        }
        hasher.update(&shapes);
        let shapes = Some(Digest::of_hasher(&hasher));
        (Layout { dataset, images, size: None, shapes, length: end }, offsets)
    }

    /// Returns the layout of squares of one size.
    pub(crate) fn of_squares(dataset: Digest, images: u64, size: u32) -> Self {
        let layout = Layout { dataset, images, size: Some(size), shapes: None, length: 0 };
        Layout { length: layout.square_at(images), ..layout }
    }

    /// The size of the squares; `None` if images have sizes of their own.
    pub(crate) fn size(&self) -> Option<u32> {
        self.size
    }

    /// Where the square of a row begins.
    pub(crate) fn square_at(&self, row: u64) -> u64 {
        let size = self.size.unwrap_or(0);
        let each = length_of(size, size).next_multiple_of(ALIGNMENT);
        begin_of_rows(self.images).saturating_add(row.saturating_mul(each))
    }

    pub(super) fn header(&self) -> String {
        let mut text =
            format!("{MAGIC}\npipeline {PIPELINE}\ndataset {}\nimages {}\n", self.dataset, self.images);
        // Writing to a string does not fail.
        let _ = match (self.size, &self.shapes) {
            (Some(size), _) => writeln!(text, "squares {size}"),
            (None, Some(shapes)) => writeln!(text, "shapes {shapes}"),
            (None, None) => Ok(()),
        };
        let _ = writeln!(text, "length {}", self.length);
        text
    }
}

/// Returns how many bytes the pixels of an image have.
pub(crate) fn length_of(width: u32, height: u32) -> u64 {
    (u64::from(width) * u64::from(height)).saturating_mul(3)
}

fn begin_of_rows(images: u64) -> u64 {
    images.saturating_mul(ENTRY).saturating_add(HEADER).next_multiple_of(HEADER)
}

/// The keys that follow from the user's secret and a header: of the rows, and for the file's name.
pub(super) fn keys(secret: &[u8; SECRET], header: &[u8]) -> ([u8; 32], Digest) {
    let keyed = |what: &[u8]| {
        let mut hasher = blake3::Hasher::new_keyed(secret);
        hasher.update(MAGIC.as_bytes()).update(what).update(header);
        hasher
    };
    (*keyed(b" rows\n").finalize().as_bytes(), Digest::of_hasher(&keyed(b" name\n")))
}

pub(super) fn entry_at(row: u32) -> u64 {
    HEADER + u64::from(row) * ENTRY
}

/// Returns the digest and the place in an entry; `None` if the row is not made.
pub(super) fn parse_entry(row: u32, entry: &[u8]) -> Option<(Digest, RowAt)> {
    let (digest, rest) = entry.split_first_chunk::<32>()?;
    let (offset, rest) = rest.split_first_chunk()?;
    let (width, rest) = rest.split_first_chunk()?;
    let height = rest.first_chunk()?;
    let at = RowAt {
        row,
        offset: u64::from_le_bytes(*offset),
        width: u32::from_le_bytes(*width),
        height: u32::from_le_bytes(*height),
    };
    (*digest != [0; 32]).then(|| (Digest::from_bytes(*digest), at))
}

/// The keyed BLAKE3 of a row: it is of this image of this dataset, of this size, and made here.
pub(super) fn digest_of(key: &[u8; 32], at: &RowAt, pixels: &[u8]) -> Digest {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(&at.row.to_le_bytes()).update(&at.width.to_le_bytes()).update(&at.height.to_le_bytes());
    Digest::of_hasher(hasher.update(pixels))
}

/// Returns the entry of a row.
pub(super) fn entry(key: &[u8; 32], at: &RowAt, pixels: &[u8]) -> [u8; ENTRY as usize] {
    let mut entry = [0; ENTRY as usize];
    entry[..32].copy_from_slice(digest_of(key, at, pixels).as_bytes());
    entry[32..40].copy_from_slice(&at.offset.to_le_bytes());
    entry[40..44].copy_from_slice(&at.width.to_le_bytes());
    entry[44..].copy_from_slice(&at.height.to_le_bytes());
    entry
}

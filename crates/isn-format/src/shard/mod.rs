//! A shard: images in a plain ustar archive, compressed with one zstd frame per entry, so that an image is a
//! byte range of the shard and stock `tar --zstd -x` reads the whole. docs/format.md specifies the bytes.

mod reader;
mod writer;

pub use reader::{FrameReader, check_shard};
pub use writer::{FrameWriter, ShardWriter};

use crate::digest::Digest;

/// A shard is closed when it has at least this many bytes.
pub const TARGET_LEN: u64 = 32 << 20;
/// The maximum length of an image in bytes: the largest that the pixel pipeline makes has 400 MB of pixels.
pub const MAX_IMAGE_LEN: u64 = 1 << 29;
/// The length of a ustar header, and the unit to which contents are padded, in bytes.
const BLOCK: usize = 512;
/// The allowed extensions of entries.
const EXTENSIONS: [&str; 2] = ["png", "jpg"];

/// Returns the only valid name of an entry: the image's BLAKE3 and its extension.
fn entry_name(image: &Digest, extension: &str) -> String {
    format!("{image}.{extension}")
}

/// Returns the maximum length of the frame of an image of `length` bytes: zstd's worst case for its tar
/// entry, with room to spare.
pub fn max_frame_len(length: u64) -> u64 {
    length.saturating_add(length / 128).saturating_add(4096)
}

fn padded(length: usize) -> usize {
    length.next_multiple_of(BLOCK)
}

//! Reads frames and shards. The BLAKE3 of a frame is checked before it is decompressed, that of the image
//! afterwards.

use std::collections::HashSet;
use std::io::{self, Read};

use super::{BLOCK, EXTENSIONS, MAX_IMAGE_LEN, entry_name, padded};
use crate::digest::Digest;
use crate::error::{Error, Result, about};

/// Decompresses frames. Use one per thread: it holds zstd's tables and a buffer.
///
/// Reading an image from a shard: a pack says where its frame is.
///
/// ```
/// use isn_format::digest::Digest;
/// use isn_format::pack::Pack;
/// use isn_format::shard::FrameReader;
///
/// # let objects = "../../tests/vectors/version-1/registry/objects";
/// # let pack = "74/746e54e3247ad5dc2f9b6e5612c1bccdcb65ebd01e02de875fe1623521603803.jsonl.zst";
/// # let shard = "fa/fa8cc15d8d36c7ff95244e2afd14f4a4acead2d9b7118d93adb628e03c012f56.tar.zst";
/// # // `blake3` and `length` of a row of the index.
/// # let image: Digest = "b710c413771a44d3e8e6ff9359b0498281e7da12e1ea5bb003bc8af5d2f47fd5".parse()?;
/// # let length = 340;
/// let pack = Pack::parse("pack", &std::fs::read(format!("{objects}/{pack}"))?, 8)?;
/// let entry = pack.entries.iter().find(|entry| entry.blake3 == image).ok_or("not in this pack")?;
/// let shard = std::fs::read(format!("{objects}/{shard}"))?;
/// let frame = &shard[entry.offset as usize..][..entry.length as usize];
///
/// let mut reader = FrameReader::new()?;
/// let png = reader.image("shard", frame, &entry.frame, &image, length)?;
/// assert_eq!(Digest::of(png), image);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FrameReader {
    decompressor: zstd::bulk::Decompressor<'static>,
    raw: Vec<u8>,
}

impl FrameReader {
    /// Creates a reader.
    ///
    /// # Errors
    /// Fails if zstd cannot allocate its tables.
    pub fn new() -> io::Result<Self> {
        Ok(FrameReader { decompressor: zstd::bulk::Decompressor::new()?, raw: Vec::new() })
    }

    /// Returns the bytes of `image` from its frame. `frame_digest` is the frame's BLAKE3 in the pack, and
    /// `length` the image's length in the index. `what` names the shard in errors.
    ///
    /// # Errors
    /// [`Error::Integrity`] if the frame or the image has another BLAKE3, or the frame does not decompress to
    /// an image of that length.
    pub fn image(
        &mut self,
        what: &str,
        frame: &[u8],
        frame_digest: &Digest,
        image: &Digest,
        length: u64,
    ) -> Result<&[u8]> {
        let refuse = |why: &str| Error::integrity(what, about(format_args!("image {image}"), why));
        if Digest::of(frame) != *frame_digest {
            return Err(refuse("its frame's BLAKE3 is not the one in the pack"));
        }
        let bytes = self.decompress(what, frame, image, length)?;
        if Digest::of(bytes) != *image {
            return Err(refuse("its BLAKE3 is not the one in the index"));
        }
        Ok(bytes)
    }

    /// Like [`FrameReader::image`], for a frame that was checked before or need not be checked: no hash is
    /// computed, but the length and the name of the entry must be right.
    ///
    /// # Errors
    /// [`Error::Integrity`] if the frame does not decompress to an entry of that length, or its entry has
    /// another name.
    pub fn unchecked(&mut self, what: &str, frame: &[u8], image: &Digest, length: u64) -> Result<&[u8]> {
        self.decompress(what, frame, image, length)?;
        let mut name = [0; 64];
        hex(image, &mut name);
        if self.raw[..64] != name {
            return Err(Error::integrity(what, format!("image {image}: its frame holds another image")));
        }
        // `decompress` has checked this length.
        Ok(&self.raw[BLOCK..BLOCK + length as usize])
    }

    /// Returns the bytes after the header of a frame. The header is ignored: everything in it is known from
    /// the index.
    fn decompress(&mut self, what: &str, frame: &[u8], image: &Digest, length: u64) -> Result<&[u8]> {
        let refuse = |why: String| Error::integrity(what, about(format_args!("image {image}"), why));
        let length = match usize::try_from(length) {
            Ok(fits) if length <= MAX_IMAGE_LEN => fits,
            _ => return Err(refuse(format!("is said to have {length} bytes, too many for an image"))),
        };
        // The output buffer is the cap: zstd fails instead of writing past it.
        let needed = BLOCK + padded(length);
        self.raw.resize(needed, 0);
        let written = self.decompressor.decompress_to_buffer(frame, &mut self.raw[..]);
        let written = written.map_err(|e| refuse(format!("its frame does not decompress: {e}")))?;
        if written != needed {
            return Err(refuse(format!("its frame holds {written} bytes, expected {needed}")));
        }
        Ok(&self.raw[BLOCK..BLOCK + length])
    }
}

/// Writes the hex digits of a digest, faster than `Display`.
fn hex(digest: &Digest, out: &mut [u8; 64]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in out.chunks_exact_mut(2).zip(digest.as_bytes()) {
        (pair[0], pair[1]) = (DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]);
    }
}

/// Reads a whole shard as stock `tar` would, and checks that it contains at most `most` entries, all of them
/// regular files whose name is their own BLAKE3. Calls `image` with the digest and length of each. `what`
/// names the shard in errors.
///
/// # Errors
/// [`Error::Integrity`] if `shard` cannot be read to its end, or has any other entry, one twice, or too many.
pub fn check_shard(
    what: &str,
    shard: impl Read,
    most: usize,
    mut image: impl FnMut(Digest, u64),
) -> Result<()> {
    let refuse = |why: &dyn std::fmt::Display| Error::integrity(what, why);
    let mut decoder = zstd::Decoder::new(shard).map_err(|e| refuse(&e))?;
    decoder.window_log_max(27).map_err(|e| refuse(&e))?;
    let mut archive = tar::Archive::new(decoder);
    let mut seen = HashSet::new();
    for entry in archive.entries().map_err(|e| refuse(&e))?.raw(true) {
        let mut entry = entry.map_err(|e| refuse(&e))?;
        if entry.header().as_ustar().is_none() || entry.header().entry_type() != tar::EntryType::Regular {
            return Err(refuse(&"has an entry that is not a plain ustar file"));
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let length = entry.size();
        let mut hasher = blake3::Hasher::new();
        io::copy(&mut entry, &mut hasher).map_err(|e| refuse(&e))?;
        let digest = Digest::of_hasher(&hasher);
        if !EXTENSIONS.iter().any(|extension| entry_name(&digest, extension) == name) {
            return Err(refuse(&format!("entry {name} has BLAKE3 {digest}: that must be its name")));
        }
        if !seen.insert(digest) {
            return Err(refuse(&format!("has entry {name} twice")));
        }
        if seen.len() > most {
            return Err(refuse(&format!("has more than {most} entries: its packs name no more")));
        }
        image(digest, length);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{FrameWriter, ShardWriter};
    use super::*;
    use crate::pack::Entry;

    fn sample() -> (Vec<Vec<u8>>, Vec<u8>, Vec<Entry>) {
        let images: Vec<Vec<u8>> = [0usize, 1, 511, 512, 513, 70_000]
            .iter()
            .map(|&length| (0..length).map(|i| (i * i % 251) as u8).collect())
            .collect();
        let mut frames = FrameWriter::new().unwrap();
        let mut writer = ShardWriter::new(Vec::new());
        for image in &images {
            let frame = frames.frame(&Digest::of(image), "png", image).unwrap();
            writer.push(Digest::of(image), &frame).unwrap();
        }
        let (bytes, shard, entries) = writer.finish(&mut frames).unwrap();
        shard.check("shard", &bytes).unwrap();
        (images, bytes, entries)
    }

    fn frame<'a>(shard: &'a [u8], entry: &Entry) -> &'a [u8] {
        &shard[entry.offset as usize..][..entry.length as usize]
    }

    #[test]
    fn every_frame_gives_its_image_back() {
        let (images, shard, entries) = sample();
        let mut reader = FrameReader::new().unwrap();
        for (image, entry) in images.iter().zip(&entries) {
            let length = image.len() as u64;
            let read = reader.image("s", frame(&shard, entry), &entry.frame, &entry.blake3, length);
            assert_eq!(read.unwrap(), image);
        }
        let mut seen = Vec::new();
        check_shard("s", &shard[..], 100, |digest, length| seen.push((digest, length))).unwrap();
        let expected: Vec<_> = images.iter().map(|i| (Digest::of(i), i.len() as u64)).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_frame_that_holds_more_or_less_than_the_index_says_is_refused() {
        let (images, shard, entries) = sample();
        let mut reader = FrameReader::new().unwrap();
        let (entry, length) = (&entries[5], images[5].len() as u64);
        for wrong in [0, length - 600, length + 600, u64::MAX] {
            let read = reader.image("s", frame(&shard, entry), &entry.frame, &entry.blake3, wrong);
            assert!(matches!(read, Err(Error::Integrity { .. })), "{wrong}");
        }
        // A bomb: 64 MiB of zeros, with the right hash of the frame.
        let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 1).unwrap();
        let read = reader.image("s", &bomb, &Digest::of(&bomb), &entry.blake3, length);
        assert!(read.unwrap_err().to_string().contains("does not decompress"));
    }

    #[test]
    fn an_entry_that_is_there_twice_is_refused() {
        let (_, shard, entries) = sample();
        let twice = [frame(&shard, &entries[3]), &shard[..]].concat();
        let refused = check_shard("s", &twice[..], 100, |_, _| ()).unwrap_err().to_string();
        assert!(refused.contains("twice"), "{refused}");
    }

    #[test]
    fn more_entries_than_a_pack_leads_to_are_refused() {
        let (_, shard, entries) = sample();
        check_shard("s", &shard[..], entries.len(), |_, _| ()).unwrap();
        let refused = check_shard("s", &shard[..], entries.len() - 1, |_, _| ()).unwrap_err().to_string();
        assert!(refused.contains("has more than 5 entries"), "{refused}");
    }

    #[test]
    fn foreign_entries_are_refused() {
        let (_, shard, _) = sample();
        let whole = zstd::decode_all(&shard[..]).unwrap();
        for (what, at, byte) in [("name", 3, b'/'), ("type", 156, b'2'), ("contents", 512 + 1024, b'!')] {
            let mut changed = whole.clone();
            changed[at] = byte;
            // Fix the header's checksum, which would catch the change first.
            let sum: u32 = changed[..512]
                .iter()
                .enumerate()
                .map(|(i, &b)| if (148..156).contains(&i) { 32 } else { u32::from(b) })
                .sum();
            changed[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            let shard = zstd::bulk::compress(&changed, 1).unwrap();
            assert!(check_shard("s", &shard[..], 100, |_, _| ()).is_err(), "{what}");
        }
    }
}

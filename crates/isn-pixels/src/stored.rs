//! Decodes dataset images as `encode.rs` writes them, in one pass: the zlib stream is stored and every row is
//! filtered with Up, so the pixels are sums down the columns. The checksums of the PNG are ignored: a dataset
//! image has a BLAKE3, which the caller has checked or has chosen not to check.

/// The signature, then the length and name of IHDR.
const START: [u8; 16] = *b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR";
/// 8 bits, RGB, no interlace.
const FORM: [u8; 5] = [8, 2, 0, 0, 0];
/// Where the length, name and data of IDAT begin.
const IDAT: usize = 33;
/// The lengths of IDAT's checksum and of IEND.
const END: usize = 4 + 12;
const UP: u8 = 2;

/// The width and height of a PNG of this form, and its stored blocks.
pub(super) struct Stored<'a> {
    pub(super) width: u32,
    pub(super) height: u32,
    blocks: &'a [u8],
}

impl<'a> Stored<'a> {
    /// Returns `None` for any other file.
    pub(super) fn read(file: &'a [u8]) -> Option<Self> {
        let side = |at: usize| Some(u32::from_be_bytes(file.get(at..at + 4)?.try_into().ok()?));
        let data = side(IDAT)? as usize;
        let is_plain = file.starts_with(&START)
            && file.get(24..29)? == FORM
            && file.get(IDAT + 4..IDAT + 8)? == b"IDAT"
            && file.len() == IDAT + 8 + data + END
            && file.get(file.len() - 8..file.len() - 4)? == b"IEND";
        let stream = file.get(IDAT + 8..file.len() - END)?;
        let blocks = stream.strip_prefix(&[0x78, 0x01])?;
        let (width, height) = (side(16)?, side(20)?);
        // The stream ends with the Adler-32.
        let blocks = blocks.get(..blocks.len().checked_sub(4)?)?;
        (is_plain && width > 0 && height > 0).then_some(Stored { width, height, blocks })
    }

    /// Writes the pixels into `out`, which has `height × width × 3` bytes. Returns `None` if the stream has
    /// another form after all; `out` then holds nothing of use.
    pub(super) fn pixels(&self, out: &mut [u8]) -> Option<()> {
        let stride = self.width as usize * 3;
        let (mut rest, mut row, mut column) = (self.blocks, 0, None);
        loop {
            let (head, tail) = rest.split_at_checked(5)?;
            let length = u16::from_le_bytes([head[1], head[2]]);
            if head[0] > 1 || u16::from_le_bytes([head[3], head[4]]) != !length {
                return None;
            }
            let (mut block, tail) = tail.split_at_checked(usize::from(length))?;
            while !block.is_empty() {
                let at = match column {
                    Some(at) => at,
                    None => {
                        if block[0] != UP || row >= self.height as usize {
                            return None;
                        }
                        block = &block[1..];
                        0
                    }
                };
                let taken = block.len().min(stride - at);
                let (above, here) = out.split_at_mut_checked(row * stride + at)?;
                let here = here.get_mut(..taken)?;
                match row {
                    0 => here.copy_from_slice(&block[..taken]),
                    _ => {
                        let above = above.get(above.len() - stride..)?.get(..taken)?;
                        let sums = here.iter_mut().zip(above).zip(&block[..taken]);
                        sums.for_each(|((here, above), difference)| *here = above.wrapping_add(*difference));
                    }
                }
                block = &block[taken..];
                column = Some(at + taken).filter(|&at| at < stride);
                row += usize::from(column.is_none());
            }
            match (head[0], tail.is_empty()) {
                (1, true) => return (row == self.height as usize && column.is_none()).then_some(()),
                (0, false) => rest = tail,
                _ => return None,
            }
        }
    }
}

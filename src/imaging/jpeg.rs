//! Decoding JPEG: pixels by zune-jpeg, completeness by us.
//!
//! zune-jpeg, like most decoders, makes up what is missing from a truncated file and says nothing. So the markers are
//! walked first: a file with no end-of-image marker after its last scan is truncated. (A thumbnail's own marker lies
//! inside an APP1 segment, which is stepped over; what follows the end marker is nobody's business.)
//!
//! An end marker may also have been *added* to a file that was cut. Counting blocks finds it, but costs a second
//! Huffman decode ([`entropy`]). The usual file, one sequential scan, is spared that: zune gets a copy in which
//! the end marker is replaced by one-bits. No Huffman code is all ones (ITU-T T.81, C.2), so a decoder that still
//! wants a symbol there meets a code that does not exist, which zune in its strict mode reports; one that has all
//! its blocks never looks. If strict decoding fails for any reason, [`entropy`] has the last word.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::metadata::Orientation;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::errors::DecodeErrors;

use super::source::{check_size, orientation};
use super::{PixelError, Rgb, entropy};

/// What stands in for the end marker: 32 stuffed bytes of one-bits, more than any symbol, then the marker.
const ONES: [u8; 66] = {
    let mut bytes = [0; 66];
    let mut at = 0;
    while at < 64 {
        bytes[at] = 0xff;
        at += 2;
    }
    (bytes[64], bytes[65]) = (0xff, EOI);
    bytes
};

const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const DRI: u8 = 0xdd;
const APP1: u8 = 0xe1;
/// Define Huffman tables.
pub(super) const DHT: u8 = 0xc4;

/// The frame header.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) progressive: bool,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) components: Vec<Component>,
}

/// A component of the frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Component {
    pub(super) id: u8,
    /// Horizontal and vertical sampling factor, 1 to 4.
    pub(super) sampling: (u32, u32),
}

impl Frame {
    /// The largest sampling factors: an MCU is that many blocks wide and high.
    pub(super) fn max_sampling(&self) -> (u32, u32) {
        let max = |of: fn(&Component) -> u32| self.components.iter().map(of).max().unwrap_or(1);
        (max(|component| component.sampling.0), max(|component| component.sampling.1))
    }

    /// SOF payload: precision, height, width, count, then id, sampling and quantisation table of each component.
    fn parse(marker: u8, payload: &[u8]) -> Result<Frame, PixelError> {
        let corrupt = || PixelError::corrupt("JPEG", "its frame header is malformed");
        let &[precision, h1, h0, w1, w0, count, ref components @ ..] = payload else { return Err(corrupt()) };
        if precision != 8 {
            return Err(PixelError::unsupported("JPEG", format!("{precision} bits per sample")));
        }
        if !matches!(count, 1 | 3 | 4) {
            return Err(PixelError::unsupported("JPEG", format!("{count} components")));
        }
        if components.len() != 3 * usize::from(count) {
            return Err(corrupt());
        }
        let components = components.chunks_exact(3).map(|component| {
            let sampling = (u32::from(component[1] >> 4), u32::from(component[1] & 15));
            let valid = (1..=4).contains(&sampling.0) && (1..=4).contains(&sampling.1);
            if valid { Ok(Component { id: component[0], sampling }) } else { Err(corrupt()) }
        });
        let frame = Frame {
            progressive: marker == 0xc2,
            width: u32::from(w1) << 8 | u32::from(w0),
            height: u32::from(h1) << 8 | u32::from(h0),
            components: components.collect::<Result<_, _>>()?,
        };
        check_size("the image", frame.width, frame.height)?;
        Ok(frame)
    }
}

/// A marker and what it says.
pub(super) struct Segment<'a> {
    pub(super) marker: u8,
    /// Without the two length bytes.
    pub(super) payload: &'a [u8],
}

/// The segments of a JPEG, in the tolerant reading of libjpeg and zune: bytes between them are skipped.
struct Segments<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Segments<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Segments { bytes, at: 2 }
    }

    /// The next segment, of which EOI has no payload.
    fn next(&mut self) -> Result<Segment<'a>, PixelError> {
        let cut = || PixelError::truncated("JPEG", "it has no end-of-image marker");
        loop {
            let start = self.at + memchr::memchr(0xff, self.rest()).ok_or_else(cut)?;
            // Any number of ff may precede the code.
            let code = start + self.bytes[start..].iter().position(|&byte| byte != 0xff).ok_or_else(cut)?;
            let marker = self.bytes[code];
            self.at = code + 1;
            if marker == 0 {
                continue;
            }
            if marker == EOI {
                return Ok(Segment { marker, payload: &[] });
            }
            let Some(&[high, low]) = self.rest().get(..2) else { return Err(cut()) };
            let length = usize::from(high) << 8 | usize::from(low);
            if length < 2 {
                return Err(PixelError::corrupt("JPEG", format!("segment {marker:02x} has length {length}")));
            }
            let payload = self.rest().get(2..length).ok_or_else(cut)?;
            self.at += length;
            return Ok(Segment { marker, payload });
        }
    }

    /// The segments before the next scan and the payload of its header, which is `None` at the end of the image.
    fn until_scan(&mut self) -> Result<(Vec<Segment<'a>>, Option<&'a [u8]>), PixelError> {
        let mut setup = Vec::new();
        loop {
            let segment = self.next()?;
            match segment.marker {
                SOS => return Ok((setup, Some(segment.payload))),
                EOI => return Ok((setup, None)),
                _ => setup.push(segment),
            }
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or(&[])
    }

    /// The entropy-coded data after a scan header: where it is, and how many restart markers are in it.
    fn entropy(&mut self) -> Result<(Range<usize>, usize), PixelError> {
        let (from, mut restarts) = (self.at, 0);
        for at in memchr::memchr_iter(0xff, &self.bytes[from..]).map(|offset| from + offset) {
            match self.bytes.get(at + 1) {
                Some(0 | 0xff) => {}
                Some(0xd0..=0xd7) => restarts += 1,
                Some(_) => {
                    self.at = at;
                    return Ok((from..at, restarts));
                }
                None => break,
            }
        }
        Err(PixelError::truncated("JPEG", "it has no end-of-image marker"))
    }
}

/// What stands before the first scan.
struct Header<'a> {
    frame: Frame,
    exif: Option<&'a [u8]>,
    setup: Vec<Segment<'a>>,
    /// The payload of the scan header.
    scan: &'a [u8],
}

impl<'a> Header<'a> {
    fn read(from: &mut Segments<'a>) -> Result<Self, PixelError> {
        let (setup, scan) = from.until_scan()?;
        let (mut frame, mut exif) = (None, None);
        for Segment { marker, payload } in &setup {
            match marker {
                // SOF0, SOF1 and SOF2; c4, c8 and cc among the others are no frame headers.
                0xc0..=0xc2 if frame.is_none() => frame = Some(Frame::parse(*marker, payload)?),
                0xc0..=0xc2 => return Err(PixelError::corrupt("JPEG", "it has two frame headers")),
                0xc3 | 0xc5..=0xc7 => {
                    return Err(PixelError::unsupported("JPEG", "lossless or hierarchical"));
                }
                0xc9..=0xcb | 0xcd..=0xcf => {
                    return Err(PixelError::unsupported("JPEG", "arithmetic coding"));
                }
                &APP1 => exif = payload.strip_prefix(b"Exif\0\0").or(exif),
                _ => {}
            }
        }
        let frame = frame.ok_or_else(|| PixelError::corrupt("JPEG", "it has no frame header"))?;
        let scan = scan.ok_or_else(|| PixelError::corrupt("JPEG", "it has no image data"))?;
        Ok(Header { frame, exif, setup, scan })
    }
}

/// One scan of a [`Layout`].
pub(super) struct Scan<'a> {
    /// Segments since the scan before, in order.
    pub(super) setup: Vec<Segment<'a>>,
    /// The payload of the scan header.
    pub(super) header: &'a [u8],
    /// The entropy-coded data, with stuffed bytes and restart markers, as it is in the file.
    pub(super) data: &'a [u8],
    /// MCUs between restart markers; 0 for none.
    pub(super) interval: usize,
    /// Restart markers in `data`.
    restarts: usize,
}

/// The parts of a JPEG up to its end marker.
pub(super) struct Layout<'a> {
    pub(super) frame: Frame,
    pub(super) scans: Vec<Scan<'a>>,
    exif: Option<&'a [u8]>,
    /// Where the end marker is.
    end: usize,
}

impl<'a> Layout<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, PixelError> {
        let mut from = Segments::new(bytes);
        let Header { frame, exif, mut setup, scan: mut header } = Header::read(&mut from)?;
        let (mut scans, mut interval) = (Vec::new(), 0);
        loop {
            for segment in &setup {
                if let (DRI, &[high, low]) = (segment.marker, segment.payload) {
                    interval = usize::from(high) << 8 | usize::from(low);
                }
            }
            let (data, restarts) = from.entropy()?;
            let end = data.end;
            scans.push(Scan { setup, header, data: &bytes[data], interval, restarts });
            match from.until_scan()? {
                (_, None) => return Ok(Layout { frame, scans, exif, end }),
                (next_setup, Some(next_header)) => (setup, header) = (next_setup, next_header),
            }
        }
    }

    /// One sequential scan with all components, and as many restart markers as it must have.
    fn is_plain(&self) -> bool {
        let [scan] = &self.scans[..] else { return false };
        let (across, down) = self.frame.max_sampling();
        let alone = self.frame.components.len() == 1;
        let (across, down) = if alone { (1, 1) } else { (across, down) };
        let mcus = u64::from(self.frame.width.div_ceil(8 * across))
            * u64::from(self.frame.height.div_ceil(8 * down));
        let restarts = if scan.interval == 0 { 0 } else { mcus.div_ceil(scan.interval as u64) - 1 };
        !self.frame.progressive
            && scan.header.first().copied().map(usize::from) == Some(self.frame.components.len())
            && scan.restarts as u64 == restarts
    }
}

/// Width, height and orientation, from what stands before the first scan.
pub(super) fn header(source: &[u8]) -> Result<(u32, u32, Orientation), PixelError> {
    let header = Header::read(&mut Segments::new(source))?;
    Ok((header.frame.width, header.frame.height, orientation(header.exif)))
}

/// A JPEG decoder with its scratch memory.
#[derive(Default)]
pub(super) struct Decoder {
    /// The file with [`ONES`] for its end.
    probe: Vec<u8>,
    grey: Vec<u8>,
}

impl Decoder {
    /// Decodes into `out`, whatever it held before; the pixels are those of `image` 0.25.10.
    pub(super) fn decode(&mut self, source: &[u8], out: &mut Rgb) -> Result<Orientation, PixelError> {
        let layout = Layout::read(source)?;
        let Layout { frame, exif, end, .. } = &layout;
        if layout.is_plain() {
            self.probe.clear();
            self.probe.extend_from_slice(&source[..*end]);
            self.probe.extend_from_slice(&ONES);
            if pixels(&self.probe, true, frame, &mut self.grey, out).is_ok() {
                return Ok(orientation(*exif));
            }
        }
        entropy::check(&layout)?;
        pixels(source, false, frame, &mut self.grey, out)?;
        Ok(orientation(*exif))
    }
}

/// Decodes as `image` does: to luma where the file has only that, else to RGB. `strict` makes errors of what is
/// otherwise passed over.
fn pixels(
    bytes: &[u8],
    strict: bool,
    frame: &Frame,
    grey: &mut Vec<u8>,
    out: &mut Rgb,
) -> Result<(), PixelError> {
    out.reset(frame.width, frame.height);
    // zune panics on some files, valid ones among them (odd samplings with a scan for each component). One image
    // must not end a build; the buffers hold plain bytes, and are reset before their next use.
    let decoded = catch_unwind(AssertUnwindSafe(|| decode_into(bytes, strict, grey, out)));
    match decoded {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(PixelError::corrupt("JPEG", error.to_string())),
        Err(_) => Err(PixelError::unsupported("JPEG", "the decoder fails on its structure")),
    }
}

fn decode_into(bytes: &[u8], strict: bool, grey: &mut Vec<u8>, out: &mut Rgb) -> Result<(), DecodeErrors> {
    let options = DecoderOptions::default()
        .set_strict_mode(strict)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers()?;
    if decoder.input_colorspace() != Some(ColorSpace::Luma) {
        return decoder.decode_into(&mut out.pixels);
    }
    decoder.set_options(options.jpeg_set_out_colorspace(ColorSpace::Luma));
    grey.clear();
    grey.resize(out.pixels.len() / 3, 0);
    decoder.decode_into(grey)?;
    for (pixel, &value) in out.pixels.chunks_exact_mut(3).zip(&*grey) {
        pixel.fill(value);
    }
    Ok(())
}

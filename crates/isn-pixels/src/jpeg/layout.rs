//! The parts of a JPEG file: its segments, frame header and scans (ITU-T T.81, annex B).

use std::ops::Range;

use crate::PixelError;
use crate::source::check_size;

const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const DRI: u8 = 0xdd;
const APP1: u8 = 0xe1;
const APP14: u8 = 0xee;
/// The marker that defines Huffman tables.
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
    /// Returns the largest sampling factors: an MCU is that many blocks wide and high.
    pub(super) fn max_sampling(&self) -> (u32, u32) {
        let max = |of: fn(&Component) -> u32| self.components.iter().map(of).max().unwrap_or(1);
        (max(|component| component.sampling.0), max(|component| component.sampling.1))
    }

    /// Parses the payload of an SOF: precision, height, width, count, then id, sampling and quantisation
    /// table of each component.
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
        if frame.height == 0 {
            let why = "its height is 0, or follows its first scan in a DNL segment";
            return Err(PixelError::unsupported("JPEG", why));
        }
        let ids = || frame.components.iter().map(|component| component.id);
        if ids().enumerate().any(|(i, id)| ids().take(i).any(|before| before == id)) {
            return Err(PixelError::unsupported("JPEG", "two of its components have the same id"));
        }
        check_size("the image", frame.width, frame.height)?;
        Ok(frame)
    }
}

/// A marker with its payload.
pub(super) struct Segment<'a> {
    pub(super) marker: u8,
    /// The offset of the payload in the file.
    at: usize,
    /// The payload, without the two length bytes.
    pub(super) payload: &'a [u8],
}

/// The segments of a JPEG. Like libjpeg and zune, it skips bytes between them.
pub(super) struct Segments<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Segments<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Segments { bytes, at: 2 }
    }

    /// Returns the next segment; EOI has no payload.
    fn next(&mut self) -> Result<Segment<'a>, PixelError> {
        let cut = || PixelError::truncated("JPEG", "it has no end-of-image marker");
        loop {
            let start = self.at + memchr::memchr(0xff, self.rest()).ok_or_else(cut)?;
            // Any number of ff bytes may precede the code.
            let code = start + self.bytes[start..].iter().position(|&byte| byte != 0xff).ok_or_else(cut)?;
            let marker = self.bytes[code];
            self.at = code + 1;
            if marker == 0 {
                continue;
            }
            if marker == EOI {
                return Ok(Segment { marker, at: self.at, payload: &[] });
            }
            let Some(&[high, low]) = self.rest().get(..2) else { return Err(cut()) };
            let length = usize::from(high) << 8 | usize::from(low);
            if length < 2 {
                return Err(PixelError::corrupt("JPEG", format!("segment {marker:02x} has length {length}")));
            }
            let payload = self.rest().get(2..length).ok_or_else(cut)?;
            let at = self.at + 2;
            self.at += length;
            return Ok(Segment { marker, at, payload });
        }
    }

    /// Returns the segments before the next scan and the header of that scan, which is `None` at the end of
    /// the image.
    fn until_scan(&mut self) -> Result<(Vec<Segment<'a>>, Option<Segment<'a>>), PixelError> {
        let mut setup = Vec::new();
        loop {
            let segment = self.next()?;
            match segment.marker {
                SOS => return Ok((setup, Some(segment))),
                EOI => return Ok((setup, None)),
                _ => setup.push(segment),
            }
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or(&[])
    }

    /// Returns the range of the entropy-coded data after a scan header, and the number of restart markers in
    /// it.
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

/// What precedes the data of the first scan.
pub(super) struct Header<'a> {
    pub(super) frame: Frame,
    pub(super) exif: Option<&'a [u8]>,
    setup: Vec<Segment<'a>>,
    scan: Segment<'a>,
}

impl<'a> Header<'a> {
    pub(super) fn read(from: &mut Segments<'a>) -> Result<Self, PixelError> {
        let (setup, scan) = from.until_scan()?;
        let (mut frame, mut exif) = (None, None);
        for Segment { marker, payload, .. } in &setup {
            match marker {
                // SOF0, SOF1 and SOF2; among the others, c4, c8 and cc are not frame headers.
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

/// A component's part in a scan.
pub(super) struct Part {
    /// Its index in the frame.
    pub(super) component: usize,
    /// The numbers of its Huffman tables.
    pub(super) dc: usize,
    pub(super) ac: usize,
}

/// One scan of a [`JpegLayout`].
pub(super) struct Scan<'a> {
    /// The segments since the previous scan, in order.
    pub(super) setup: Vec<Segment<'a>>,
    pub(super) parts: Vec<Part>,
    /// The coefficients in the scan, by zigzag index: all of them in a sequential frame.
    pub(super) band: (usize, usize),
    /// Ah and Al: the lowest bit of the earlier scans, and the lowest bit of this one.
    pub(super) precision: (u8, u8),
    /// The entropy-coded data as in the file, with stuffed bytes and restart markers.
    pub(super) data: &'a [u8],
    /// MCUs between restart markers; 0 for none.
    pub(super) interval: usize,
    /// The number of restart markers in `data`.
    restarts: usize,
    /// The offset of its header's payload in the file.
    at: usize,
}

impl<'a> Scan<'a> {
    /// Parses the payload of an SOS: count, then id and tables of each component, then band and precision,
    /// which mean nothing in a sequential scan.
    fn parse(header: &Segment<'a>, setup: Vec<Segment<'a>>, frame: &Frame) -> Option<Scan<'a>> {
        let (&count, rest) = header.payload.split_first()?;
        let (parts, rest) = rest.split_at_checked(2 * usize::from(count))?;
        let &[start, end, precision] = rest else { return None };
        let parts = parts.chunks_exact(2).map(|part| {
            let component = frame.components.iter().position(|component| component.id == part[0])?;
            Some(Part { component, dc: usize::from(part[1] >> 4), ac: usize::from(part[1] & 15) })
        });
        let parts: Vec<Part> = parts.collect::<Option<_>>()?;
        let (band, precision) = if frame.progressive {
            ((usize::from(start), usize::from(end)), (precision >> 4, precision & 15))
        } else {
            ((0, 63), (0, 0))
        };
        // Progressive: DC in scans of its own, AC of one component at a time.
        let valid = match band {
            _ if parts.is_empty() => false,
            (0, 63) => !frame.progressive,
            (0, end) => end == 0,
            (start, end) => start <= end && end <= 63 && parts.len() == 1,
        };
        valid.then_some(Scan {
            setup,
            parts,
            band,
            precision,
            data: &[],
            interval: 0,
            restarts: 0,
            at: header.at,
        })
    }
}

/// The parts of a JPEG up to its end marker.
pub(super) struct JpegLayout<'a> {
    pub(super) frame: Frame,
    pub(super) scans: Vec<Scan<'a>>,
    pub(super) exif: Option<&'a [u8]>,
    /// The offset of the end marker.
    pub(super) end: usize,
}

impl<'a> JpegLayout<'a> {
    /// Reads a file up to its end marker; fails if there is none.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, PixelError> {
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
            let number = scans.len() + 1;
            let scan = Scan::parse(&header, setup, &frame).ok_or_else(|| {
                PixelError::corrupt("JPEG", format!("the header of scan {number} is malformed"))
            })?;
            scans.push(Scan { data: &bytes[data], interval, restarts, ..scan });
            match from.until_scan()? {
                (_, None) => return Ok(JpegLayout { frame, scans, exif, end }),
                (next_setup, Some(next_header)) => (setup, header) = (next_setup, next_header),
            }
        }
    }

    /// Refuses files that zune-jpeg 0.5.15 silently decodes to something other than the picture: frames whose
    /// first component does not have the full resolution, and sequential scans whose blocks it puts in the
    /// wrong places.
    pub(super) fn check_supported(&self) -> Result<(), PixelError> {
        let sampling = |component: &Component| component.sampling;
        let max = self.frame.max_sampling();
        let alone = self.frame.components.len() == 1;
        if !alone && self.frame.components.first().map(sampling) != Some(max) {
            return Err(PixelError::unsupported("JPEG", "its first component is not at full resolution"));
        }
        if self.frame.progressive || self.scans.len() == 1 {
            return Ok(());
        }
        let in_place = self.scans.iter().all(|scan| {
            let whole = |part: &Part| self.frame.components[part.component].sampling == (1, 1);
            max.1 == 1 && (scan.parts.len() == 1 || scan.parts.iter().all(whole))
        });
        if in_place {
            return Ok(());
        }
        Err(PixelError::unsupported("JPEG", "sequential, subsampled, and in several scans"))
    }

    /// Returns the bytes to change in the file, as offset and value, so that zune treats it as RGB. Three
    /// components that an Adobe segment declares to be untransformed are RGB (as in libjpeg), but zune
    /// recognises RGB only by the names of the components.
    pub(super) fn names_for_rgb(&self) -> Vec<(usize, u8)> {
        const RGB: [u8; 3] = *b"RGB";
        let ids: Vec<u8> = self.frame.components.iter().map(|component| component.id).collect();
        let Some(first) = self.scans.first().filter(|_| ids.len() == 3 && ids != RGB) else {
            return Vec::new();
        };
        let adobe = first.setup.iter().rev().filter(|segment| segment.marker == APP14);
        let transform = adobe.filter_map(|segment| segment.payload.strip_prefix(b"Adobe")?.get(6)).next();
        if transform != Some(&0) {
            return Vec::new();
        }
        let frame = first.setup.iter().find(|segment| matches!(segment.marker, 0xc0..=0xc2));
        let in_frame = frame.into_iter().flat_map(|frame| (0..3).map(|i| frame.at + 6 + 3 * i)).zip(RGB);
        let in_scans = self.scans.iter().flat_map(|scan| {
            let named = scan.parts.iter().enumerate();
            named.map(|(i, part)| (scan.at + 1 + 2 * i, RGB[part.component]))
        });
        in_frame.chain(in_scans).collect()
    }

    /// Whether there is one sequential scan with all components and exactly the restart markers that it
    /// requires.
    pub(super) fn is_plain(&self) -> bool {
        let [scan] = &self.scans[..] else { return false };
        let (across, down) = self.frame.max_sampling();
        let alone = self.frame.components.len() == 1;
        let (across, down) = if alone { (1, 1) } else { (across, down) };
        let mcus = u64::from(self.frame.width.div_ceil(8 * across))
            * u64::from(self.frame.height.div_ceil(8 * down));
        let restarts = if scan.interval == 0 { 0 } else { mcus.div_ceil(scan.interval as u64) - 1 };
        !self.frame.progressive
            && scan.parts.len() == self.frame.components.len()
            && scan.restarts as u64 == restarts
    }
}

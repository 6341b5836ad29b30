//! Counts the blocks of a JPEG, to tell whether its entropy-coded data reaches the end of the image.
//!
//! This is a Huffman decoder (ITU-T T.81, annexes F.2 and G.2) that keeps no coefficients, only what is
//! needed to know where the next symbol starts: for the refinement scans of a progressive file, which
//! coefficients are nonzero so far. Unlike a decoder for display, it consumes no bit that is not in the file.

use super::layout::{DHT, Frame, JpegLayout, Scan};
use crate::PixelError;

/// Why a scan does not reach its end.
enum Fault {
    /// The data ends.
    Short,
    /// The table does not have the code, or there is no table.
    BadCode,
}

/// A Huffman table (T.81, C.2): a lookup by the next 9 bits, and canonical codes for longer ones.
struct Table {
    /// Code length and symbol; the length is 0 if the code is longer than 9 bits.
    short: [(u8, u8); 1 << SHORT],
    /// By length: the first code of that length, and the symbols.
    long: Vec<(u32, Vec<u8>)>,
}

const SHORT: u32 = 9;

impl Table {
    fn new(counts: &[u8], symbols: &[u8]) -> Table {
        let mut table = Table { short: [(0, 0); 1 << SHORT], long: Vec::new() };
        let (mut code, mut rest) = (0u32, symbols);
        for (length, &count) in (1u32..).zip(counts) {
            let (these, others) = rest.split_at(usize::from(count).min(rest.len()));
            rest = others;
            if let Some(fill) = SHORT.checked_sub(length) {
                for (code, &symbol) in (code..).zip(these) {
                    let from = (code as usize) << fill;
                    if let Some(entries) = table.short.get_mut(from..from + (1 << fill)) {
                        entries.fill((length as u8, symbol));
                    }
                }
            } else {
                table.long.push((code, these.to_vec()));
            }
            code = (code + these.len() as u32) << 1;
        }
        table
    }
}

/// The bits of one scan, from restart marker to restart marker.
struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    /// The next bits, in its `count` lowest positions.
    buffer: u64,
    count: u32,
}

impl Bits<'_> {
    fn fill(&mut self) {
        while self.count <= 48 {
            let Some(&byte) = self.data.get(self.at) else { return };
            if byte == 0xff {
                if self.data.get(self.at + 1) != Some(&0) {
                    return;
                }
                self.at += 1;
            }
            self.at += 1;
            self.buffer = self.buffer << 8 | u64::from(byte);
            self.count += 8;
        }
    }

    /// Returns the next `n` bits as a number; `n` is at most 16.
    fn take(&mut self, n: u32) -> Result<u32, Fault> {
        if self.count < n {
            self.fill();
        }
        self.count = self.count.checked_sub(n).ok_or(Fault::Short)?;
        Ok((self.buffer >> self.count) as u32 & ((1 << n) - 1))
    }

    /// Decodes the next symbol.
    fn symbol(&mut self, table: &Table) -> Result<u8, Fault> {
        if self.count < 16 {
            self.fill();
        }
        // The next 16 bits; after the end, zeros.
        let ahead = match self.count.checked_sub(16) {
            Some(behind) => self.buffer >> behind,
            None => self.buffer << (16 - self.count),
        };
        let ahead = ahead as u32 & 0xffff;
        let (mut length, mut symbol) = table.short[(ahead >> (16 - SHORT)) as usize];
        if length == 0 {
            let found = (SHORT + 1..).zip(&table.long).find_map(|(length, (first, symbols))| {
                let index = (ahead >> (16 - length)).checked_sub(*first)?;
                Some((length as u8, *symbols.get(index as usize)?))
            });
            // The code may be invalid only because of the zeros after the end.
            let fault = if self.count < 16 { Fault::Short } else { Fault::BadCode };
            (length, symbol) = found.ok_or(fault)?;
        }
        self.count = self.count.checked_sub(u32::from(length)).ok_or(Fault::Short)?;
        Ok(symbol)
    }

    /// Skips to the bits after the next restart marker.
    fn restart(&mut self) -> Result<(), Fault> {
        (self.buffer, self.count) = (0, 0);
        while let Some(&byte) = self.data.get(self.at) {
            self.at += 1;
            if byte == 0xff && matches!(self.data.get(self.at), Some(0xd0..=0xd7)) {
                self.at += 1;
                return Ok(());
            }
        }
        Err(Fault::Short)
    }
}

/// What is known about the blocks of a component.
struct Plane {
    /// Blocks in a row and in a column if the component has its own scan.
    size: (u32, u32),
    /// Blocks in a row, including those that complete the last MCU.
    stride: u32,
    /// For each block, which coefficients are nonzero, by zigzag index. Kept for progressive files only.
    nonzero: Vec<u64>,
    /// For each coefficient, the lowest bit that has been read, or 255 for none.
    precision: [u8; 64],
}

/// Walks through all scans.
///
/// # Errors
/// [`PixelError::Truncated`] if the data of a scan ends early or scans are missing; [`PixelError::Corrupt`]
/// if it cannot be decoded.
pub(super) fn check(layout: &JpegLayout<'_>) -> Result<(), PixelError> {
    let frame = &layout.frame;
    let (across, down) = frame.max_sampling();
    let mcus = (frame.width.div_ceil(8 * across), frame.height.div_ceil(8 * down));
    let planes = frame.components.iter().map(|component| {
        let (h, v) = component.sampling;
        let blocks = mcus.0 as usize * h as usize * mcus.1 as usize * v as usize;
        Plane {
            size: ((frame.width * h).div_ceil(8 * across), (frame.height * v).div_ceil(8 * down)),
            stride: mcus.0 * h,
            nonzero: if frame.progressive { vec![0; blocks] } else { Vec::new() },
            precision: [255; 64],
        }
    });
    let mut walk = Walk { frame, mcus, planes: planes.collect(), tables: Default::default() };
    for (number, scan) in (1..).zip(&layout.scans) {
        walk.define_tables(scan);
        walk.scan(scan).map_err(|(fault, percent)| match fault {
            Fault::Short => PixelError::truncated("JPEG", format!("scan {number} stops at {percent}%")),
            Fault::BadCode => {
                PixelError::corrupt("JPEG", format!("scan {number} cannot be decoded beyond {percent}%"))
            }
        })?;
    }
    if walk.planes.iter().any(|plane| plane.precision.iter().any(|&low| low != 0)) {
        return Err(PixelError::truncated(
            "JPEG",
            format!("scans after number {} are missing", layout.scans.len()),
        ));
    }
    Ok(())
}

struct Walk<'a> {
    frame: &'a Frame,
    /// MCUs in a row and in a column.
    mcus: (u32, u32),
    planes: Vec<Plane>,
    /// By class (DC, AC) and number.
    tables: [[Option<Table>; 4]; 2],
}

impl Walk<'_> {
    /// Reads the DHT segments before a scan. A malformed one defines nothing; the scan that needs it then
    /// fails.
    fn define_tables(&mut self, scan: &Scan<'_>) {
        for segment in scan.setup.iter().filter(|segment| segment.marker == DHT) {
            let mut rest = segment.payload;
            while let Some((head, after)) = rest.split_at_checked(17) {
                let count: usize = head[1..].iter().map(|&count| usize::from(count)).sum();
                let Some((symbols, after)) = after.split_at_checked(count) else { break };
                let slot = self.tables.get_mut(usize::from(head[0] >> 4));
                if let Some(slot) = slot.and_then(|class| class.get_mut(usize::from(head[0] & 15))) {
                    *slot = Some(Table::new(&head[1..], symbols));
                }
                rest = after;
            }
        }
    }

    /// Walks through one scan; on a fault, also returns how much of it was present, in percent.
    fn scan(&mut self, scan: &Scan<'_>) -> Result<(), (Fault, u64)> {
        let mut bits = Bits { data: scan.data, at: 0, buffer: 0, count: 0 };
        let (columns, rows) = match &scan.parts[..] {
            [part] => self.planes[part.component].size,
            _ => self.mcus,
        };
        let total = u64::from(columns) * u64::from(rows);
        let (mut done, mut until_restart, mut end_of_band_run) = (0, scan.interval, 0);
        for row in 0..rows {
            for column in 0..columns {
                let walked = (|| {
                    if scan.interval != 0 && until_restart == 0 {
                        bits.restart()?;
                        (until_restart, end_of_band_run) = (scan.interval, 0);
                    }
                    until_restart = until_restart.wrapping_sub(1);
                    self.mcu(&mut bits, scan, (column, row), &mut end_of_band_run)
                })();
                walked.map_err(|fault| (fault, done * 100 / total))?;
                done += 1;
            }
        }
        for part in &scan.parts {
            self.planes[part.component].precision[scan.band.0..=scan.band.1].fill(scan.precision.1);
        }
        Ok(())
    }

    fn mcu(
        &mut self,
        bits: &mut Bits<'_>,
        scan: &Scan<'_>,
        (column, row): (u32, u32),
        end_of_band_run: &mut u32,
    ) -> Result<(), Fault> {
        let alone = scan.parts.len() == 1;
        for part in &scan.parts {
            let plane = &mut self.planes[part.component];
            let table = |class: usize, number: usize| {
                self.tables[class].get(number).and_then(Option::as_ref).ok_or(Fault::BadCode)
            };
            let (h, v) = if alone { (1, 1) } else { self.frame.components[part.component].sampling };
            for block in 0..h * v {
                let at = (column * h + block % h) as usize
                    + (row * v + block / h) as usize * plane.stride as usize;
                if !self.frame.progressive {
                    dc(bits, table(0, part.dc)?)?;
                    sequential_ac(bits, table(1, part.ac)?)?;
                } else if scan.band.0 == 0 && scan.precision.0 == 0 {
                    dc(bits, table(0, part.dc)?)?;
                } else if scan.band.0 == 0 {
                    bits.take(1)?;
                } else {
                    let nonzero = plane.nonzero.get_mut(at).ok_or(Fault::BadCode)?;
                    let table = table(1, part.ac)?;
                    if scan.precision.0 == 0 {
                        first_ac(bits, table, scan.band, nonzero, end_of_band_run)?;
                    } else {
                        refine_ac(bits, table, scan.band, nonzero, end_of_band_run)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn dc(bits: &mut Bits<'_>, table: &Table) -> Result<(), Fault> {
    let size = bits.symbol(table)?;
    if size > 16 {
        return Err(Fault::BadCode);
    }
    bits.take(u32::from(size)).map(drop)
}

/// T.81, F.2.2.2.
fn sequential_ac(bits: &mut Bits<'_>, table: &Table) -> Result<(), Fault> {
    let mut k = 1;
    while k < 64 {
        let symbol = bits.symbol(table)?;
        let (run, size) = (symbol >> 4, symbol & 15);
        bits.take(u32::from(size))?;
        if size == 0 && run != 15 {
            break;
        }
        k += usize::from(run) + 1;
    }
    Ok(())
}

/// T.81, G.1.2.2: the first scan of a band.
fn first_ac(
    bits: &mut Bits<'_>,
    table: &Table,
    (start, end): (usize, usize),
    nonzero: &mut u64,
    end_of_band_run: &mut u32,
) -> Result<(), Fault> {
    if *end_of_band_run > 0 {
        *end_of_band_run -= 1;
        return Ok(());
    }
    let mut k = start;
    while k <= end {
        let symbol = bits.symbol(table)?;
        let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        if size == 0 && run != 15 {
            *end_of_band_run = (1 << run) - 1 + bits.take(run)?;
            break;
        }
        k += run as usize;
        if size != 0 {
            bits.take(size)?;
            *nonzero |= 1 << (k & 63);
        }
        k += 1;
    }
    Ok(())
}

/// T.81, G.1.2.3: a refinement scan. Each coefficient that is already nonzero has a correction bit, which is
/// read when the walk passes it.
fn refine_ac(
    bits: &mut Bits<'_>,
    table: &Table,
    (start, end): (usize, usize),
    nonzero: &mut u64,
    end_of_band_run: &mut u32,
) -> Result<(), Fault> {
    let mut k = start;
    while *end_of_band_run == 0 && k <= end {
        let symbol = bits.symbol(table)?;
        let (mut run, size) = (u32::from(symbol >> 4), symbol & 15);
        if size == 0 && run != 15 {
            *end_of_band_run = (1 << run) + bits.take(run)?;
            break;
        }
        if size != 0 {
            bits.take(1)?; // the sign of the new coefficient
        }
        while k <= end {
            if *nonzero >> k & 1 == 1 {
                bits.take(1)?;
            } else if run == 0 {
                break;
            } else {
                run -= 1;
            }
            k += 1;
        }
        if size != 0 && k <= end {
            *nonzero |= 1 << k;
        }
        k += 1;
    }
    if *end_of_band_run > 0 {
        while k <= end {
            bits.take(u32::from(*nonzero >> k & 1 == 1))?;
            k += 1;
        }
        *end_of_band_run -= 1;
    }
    Ok(())
}

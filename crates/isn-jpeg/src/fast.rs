//! Decodes blocks of sequential scans faster than `bitstream` does, as long as nothing is unusual.
//!
//! The bytes of a scan are copied into a [`Window`] without their stuffing, up to the next marker, so that
//! the loop over coefficients has to look for neither. One lookup gives two coefficients if both fit.
//!
//! Near a marker or the end of the file, and at a code that does not exist or a run that leaves the block, a
//! block is given up: `BitStream` gets the state that it would have had before this block, and decodes the
//! block and what follows, up to the next restart marker. So what a damaged file gives is decided there
//! alone. That state depends only on the position, because `BitStream` takes 32 bits whenever it has fewer
//! than 32 before a code, and no code with its value has more than 31.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use zune_core::bytestream::{ZByteReaderTrait, ZReader};

use crate::huffman::{HuffmanTable, HUFF_LOOKAHEAD};
use crate::misc::UN_ZIGZAG;

/// The bits that look up one coefficient or two. With 11, tables take more than the processor's nearest
/// cache.
const FAST: u32 = 10;

/// An entry is, from the lowest bits: the bits that it consumes (8); the steps to the position after its last
/// coefficient (8); of the first coefficient, the bits of the code (8), those of 64 that are not of the value
/// (8), and the steps (8); nothing (8); and the value of the second coefficient (16), 0 if there is none.
pub(crate) type FastTable = [u64; 1 << FAST];

/// The steps of an end of block, alone or after a coefficient: so many, and those of the coefficient.
const END: u64 = 128;
/// The steps of what is not in the table.
const LONG: u64 = 64;

/// A block of 64 coefficients, and places to write to for what has none; or the factors for their positions.
pub(crate) const WIDE_BLOCK: usize = 256;

/// By position after a coefficient, its place in the block; without a coefficient, one that is not in the
/// block.
const PLACES: [u8; WIDE_BLOCK] = {
    let mut places = [64; WIDE_BLOCK];
    let mut after = 1;
    while after <= 64 {
        places[after] = UN_ZIGZAG[after - 1] as u8;
        after += 1;
    }
    places
};

/// Makes a table of the codes of AC coefficients: length, code, symbol.
pub(crate) fn table(codes: impl Iterator<Item = (u32, u32, u8)>) -> Box<FastTable> {
    // First each alone, with its value in the place of a second one's.
    let mut single: FastTable = [LONG << 8 | LONG << 32; 1 << FAST];
    for (length, code, symbol) in codes {
        let (run, size) = (u64::from(symbol >> 4), u32::from(symbol & 15));
        // Sixteen zeros are rare, and have no value to be written.
        if length > FAST || symbol == 0xf0 {
            continue;
        }
        let steps = if size == 0 { END } else { run + 1 };
        let unused = if size == 0 { 63 } else { 64 - u64::from(size) };
        let entry =
            u64::from(length + size) | steps << 8 | u64::from(length) << 16 | unused << 24 | steps << 32;
        let from = (code << (FAST - length)) as usize;
        let entries = &mut single[from..from + (1 << (FAST - length))];
        if length + size > FAST {
            entries.fill(entry);
            continue;
        }
        for (raw, part) in entries.chunks_exact_mut(1 << (FAST - length - size)).enumerate() {
            let negative = size > 0 && raw >> (size - 1) == 0;
            let value = raw as i32 - if negative { (1 << size) - 1 } else { 0 };
            part.fill(entry | u64::from(value as u16) << 48);
        }
    }
    let mut table = Box::new(single);
    for (at, entry) in table.iter_mut().enumerate() {
        let first = *entry & 0xffff_ffff_ffff;
        let (bits, steps) = (first & 0xff, first >> 8 & 0xff);
        let second = single[at << (bits & 31) & ((1 << FAST) - 1)];
        let fits = steps < LONG && second >> 8 & 0xff != LONG && bits + (second & 0xff) <= u64::from(FAST);
        *entry = if fits { first + (second & 0xffff) + (second >> 48 << 48) } else { first };
    }
    table
}

/// More than any block has, which is 64 times 31 bits, and what is looked at after it.
const AHEAD: usize = 512;
/// How much is read at a time; little after a restart marker, since the next may be near.
const CHUNK: usize = 8192;
const FIRST_CHUNK: usize = 1024;
/// A block is given up if it ends nearer than this to the end: `BitStream` looks up to 9 bytes ahead.
const MARGIN: usize = 24;

/// The bytes of a scan ahead of the position, without stuffing.
pub(crate) struct Window {
    /// Whether the position is here, and not in `BitStream`.
    pub(crate) active: bool,
    /// The first byte is a multiple of 4 after the start of the scan or its last restart marker.
    data: Vec<u8>,
    end: usize,
    /// Whether a marker or the end of the file is at `end`.
    last: bool,
    /// Where `end` is in the file.
    end_in_file: u64,
    /// The first byte that is not wholly in `bits`.
    at: usize,
    /// The next `count` bits, in its highest positions; below, anything that the byte at `at` begins with.
    bits: u64,
    count: u32,
    #[cfg(all(target_arch = "x86_64", feature = "std"))]
    bmi2: bool,
}

/// What `BitStream` holds before a refill: the next `count` bits, in the lowest positions; less than 32.
pub(crate) struct Rest {
    pub(crate) bits: u64,
    pub(crate) count: u8,
}

impl Window {
    pub(crate) const fn new() -> Window {
        Window {
            active: false,
            data: Vec::new(),
            end: 0,
            last: false,
            end_in_file: 0,
            at: 0,
            bits: 0,
            count: 0,
            #[cfg(all(target_arch = "x86_64", feature = "std"))]
            bmi2: false,
        }
    }

    /// Starts where the reader is. `BitStream` must have used all that it has read.
    #[cold]
    pub(crate) fn enter<T: ZByteReaderTrait>(&mut self, reader: &mut ZReader<T>) {
        let Ok(position) = reader.position() else { return };
        if self.data.is_empty() {
            self.data = vec![0; CHUNK + AHEAD + 16];
            #[cfg(all(target_arch = "x86_64", feature = "std"))]
            {
                self.bmi2 = std::is_x86_feature_detected!("bmi1") && std::is_x86_feature_detected!("bmi2");
            }
        }
        (self.end, self.last, self.end_in_file) = (0, false, position);
        (self.at, self.bits, self.count) = (0, 0, 0);
        self.active = true;
        self.extend(reader, FIRST_CHUNK);
    }

    /// Appends what is read next, and drops what is behind the position.
    #[cold]
    #[inline(never)]
    fn extend<T: ZByteReaderTrait>(&mut self, reader: &mut ZReader<T>, chunk: usize) {
        // `bits` begins less than 8 bytes before `at`; `leave` needs the 4 bytes there.
        let from = self.at.saturating_sub(8) & !3;
        self.data.copy_within(from..self.end, 0);
        self.at -= from;
        self.end -= from;
        let to = &mut self.data[self.end..][..chunk];
        let read = reader.set_position(self.end_in_file as usize).and_then(|()| reader.read_bytes(to));
        let (end, used, marker) = unstuff(&mut self.data, self.end, self.end + read.unwrap_or(0));
        self.end = end;
        self.end_in_file += used as u64;
        self.last = marker || used == 0;
    }

    /// Ends with the reader after the bytes of the result.
    #[cold]
    pub(crate) fn leave<T: ZByteReaderTrait>(&mut self, reader: &mut ZReader<T>) -> Rest {
        self.active = false;
        let used = 8 * self.at - self.count as usize;
        let taken = used.next_multiple_of(32);
        let ahead = &self.data[taken / 8..self.end];
        let stuffed = ahead.iter().filter(|&&byte| byte == 0xff).count();
        // A window's reader could be set to where it was, so this cannot fail.
        let _ = reader.set_position(self.end_in_file as usize - ahead.len() - stuffed);
        let mut last = [0; 4];
        if taken > 0 {
            last.copy_from_slice(&self.data[taken / 8 - 4..taken / 8]);
        }
        let count = (taken - used) as u8;
        Rest { bits: u64::from(u32::from_be_bytes(last)) & ((1 << count) - 1), count }
    }

    /// Decodes a block into one of zeros, and returns the position after its last coefficient. `None` if it
    /// is not for here: then the position is still before it, but coefficients may have been written.
    #[inline(always)]
    pub(crate) fn block<T: ZByteReaderTrait>(
        &mut self,
        reader: &mut ZReader<T>,
        dc_table: &HuffmanTable,
        ac_table: &HuffmanTable,
        quantization_after: &[i32; WIDE_BLOCK],
        block: &mut [i32; WIDE_BLOCK],
        dc_prediction: &mut i32,
    ) -> Option<u16> {
        while self.end - self.at < AHEAD && !self.last {
            self.extend(reader, CHUNK);
        }
        #[cfg(all(target_arch = "x86_64", feature = "std"))]
        if self.bmi2 {
            // SAFETY: the processor has bmi1 and bmi2.
            return unsafe { self.block_bmi2(dc_table, ac_table, quantization_after, block, dc_prediction) };
        }
        self.block_in_window(dc_table, ac_table, quantization_after, block, dc_prediction)
    }

    /// The same code, compiled for shifts that take their count from any register.
    #[cfg(all(target_arch = "x86_64", feature = "std"))]
    #[target_feature(enable = "bmi1,bmi2")]
    fn block_bmi2(
        &mut self,
        dc_table: &HuffmanTable,
        ac_table: &HuffmanTable,
        quantization_after: &[i32; WIDE_BLOCK],
        block: &mut [i32; WIDE_BLOCK],
        dc_prediction: &mut i32,
    ) -> Option<u16> {
        self.block_in_window(dc_table, ac_table, quantization_after, block, dc_prediction)
    }

    #[inline(always)]
    fn block_in_window(
        &mut self,
        dc_table: &HuffmanTable,
        ac_table: &HuffmanTable,
        quantization_after: &[i32; WIDE_BLOCK],
        block: &mut [i32; WIDE_BLOCK],
        dc_prediction: &mut i32,
    ) -> Option<u16> {
        let table = ac_table.fast.as_deref()?;
        let data = &self.data[..self.end];
        let (mut at, mut bits, mut count) = (self.at, self.bits, self.count);

        // To at least 56 bits.
        macro_rules! refill {
            () => {
                let next = data.get(at..at + 8)?;
                bits |= u64::from_be_bytes(next.try_into().ok()?) >> count;
                at += ((63 - count) >> 3) as usize;
                count |= 56;
            };
        }
        macro_rules! consume {
            ($n:expr) => {
                bits <<= $n & 63;
                count -= $n;
            };
        }

        refill!();
        let (length, size) = code(dc_table, bits)?;
        let prediction = dc_prediction.wrapping_add(value(bits << length, size));
        consume!(length + size);
        block[0] = prediction * quantization_after[1];

        let mut position = 1;
        loop {
            let (mut before, mut found, mut first, mut next);
            macro_rules! look_up {
                () => {
                    before = (bits, count);
                    found = table[(bits >> (64 - FAST)) as usize];
                    next = position + (found >> 8 & 0xff) as usize;
                    first = position + (found >> 32 & 0xff) as usize;
                    // Without a second coefficient, `next` is `first`, and the first overwrites this.
                    let after = next & 0xff;
                    block[usize::from(PLACES[after])] =
                        (found as i64 >> 48) as i32 * quantization_after[after];
                    let after = first & 0xff;
                    let value = nonzero_value(bits << (found >> 16 & 63), found >> 24 & 63);
                    block[usize::from(PLACES[after])] = value * quantization_after[after];
                    consume!((found & 0xff) as u32);
                };
            }
            refill!();
            look_up!();
            if next < 64 {
                position = next;
                if count < 32 {
                    continue;
                }
                look_up!();
                if next < 64 {
                    position = next;
                    continue;
                }
            }
            // An end of block, which a coefficient before it must leave room for.
            let without_end = next.wrapping_sub(END as usize);
            if without_end < 64 {
                position = without_end;
                break;
            }
            if next == 64 {
                position = 64;
                break;
            }
            // Once more, one coefficient: it is not in the table, or is the last or a fault.
            (bits, count) = before;
            refill!();
            let (length, symbol) = code(ac_table, bits)?;
            let (run, size) = (symbol >> 4, symbol & 15);
            if size == 0 && run != 15 {
                consume!(length);
                break;
            }
            position += run as usize + 1;
            if position > 64 {
                return None;
            }
            let place = usize::from(PLACES[position]);
            block[place] = value(bits << length, size) * quantization_after[position];
            consume!(length + size);
            if position == 64 {
                break;
            }
        }
        if at + MARGIN > self.end {
            return None;
        }
        (self.at, self.bits, self.count) = (at, bits, count);
        *dc_prediction = prediction;
        Some(position as u16)
    }
}

/// The value in the highest bits, of which `unused` do not belong to it: less than 64.
#[inline(always)]
fn nonzero_value(bits: u64, unused: u64) -> i32 {
    let raw = (bits >> unused) as i32;
    // Values that begin with 0 are the negative ones.
    let negative = !((bits as i64 >> 63) as i32);
    raw - ((u64::MAX >> unused) as i32 & negative)
}

/// The value in the `size` highest bits.
#[inline(always)]
fn value(bits: u64, size: u32) -> i32 {
    if size == 0 {
        0
    } else {
        nonzero_value(bits, u64::from(64 - size))
    }
}

/// The length and the symbol of the code in the highest bits, if there is one.
#[inline(always)]
fn code(table: &HuffmanTable, bits: u64) -> Option<(u32, u32)> {
    let found = table.lookup[(bits >> (64 - HUFF_LOOKAHEAD)) as usize] as u32;
    let length = found >> HUFF_LOOKAHEAD;
    if length <= u32::from(HUFF_LOOKAHEAD) {
        return Some((length, found & 0xff));
    }
    let ahead = (bits >> 48) as i32;
    let length = (length..17).find(|&length| ahead < table.maxcode[length as usize])?;
    let index = (ahead >> (16 - length)) + table.offset[length as usize];
    Some((length, u32::from(table.values[(index & 0xff) as usize])))
}

/// Removes stuffing from `data[from..to]`, in place. Returns where the result ends, how many bytes it was
/// made of, and whether a marker follows those. 0xff as the last byte is left, since what follows is not
/// known.
fn unstuff(data: &mut [u8], from: usize, to: usize) -> (usize, usize, bool) {
    let (mut read, mut write) = (from, from);
    loop {
        let run = find_ff(&data[read..to]);
        let ff = read + run;
        let after = if ff + 1 < to { Some(data[ff + 1]) } else { None };
        let length = run + usize::from(after == Some(0));
        if read != write {
            data.copy_within(read..read + length, write);
        }
        write += length;
        if after != Some(0) {
            return (write, ff - from, after.is_some());
        }
        read = ff + 2;
    }
}

/// Where the first 0xff is, or the length.
fn find_ff(data: &[u8]) -> usize {
    const LOW: u64 = u64::MAX / 0xff;
    let mut at = 0;
    for chunk in data.chunks_exact(8) {
        let Ok(bytes) = chunk.try_into() else { break };
        let zero_at_ff = !u64::from_le_bytes(bytes);
        let found = zero_at_ff.wrapping_sub(LOW) & !zero_at_ff & LOW << 7;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + data[at..].iter().take_while(|&&byte| byte != 0xff).count()
}

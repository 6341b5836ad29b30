//! NumPy's file format, versions 1.0 to 3.0: arrays of integers, of 32- and 64-bit floats and of truth
//! values, in either byte order and either order of elements; and, one element after the other, arrays of
//! three dimensions and of text ([`Elementwise`]). Nothing in a file is executed, and no memory is allocated
//! beyond the bytes that the file has.

use std::io::Read;

use super::matrix::{Matrix, Values};
use isn_format::error::{Error, Result};

/// The first bytes of a file.
pub const MAGIC: &[u8] = b"\x93NUMPY";
/// The maximum length of a header, in bytes. NumPy itself refuses headers longer than 10,000 by default.
const MAX_HEADER: usize = 64 << 10;
/// The maximum number of dimensions that is of use here, and of an [`Array`].
const MAX_DIMENSIONS: usize = 3;
const MAX_ARRAY_DIMENSIONS: usize = 2;
/// The maximum number of characters of a text.
const MAX_TEXT: usize = 256;

/// An array of one or two dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// The length of each dimension.
    pub shape: Vec<usize>,
    /// The elements, row by row, whatever the order in the file.
    pub elements: Elements,
}

/// The elements of an array.
#[derive(Clone, Debug, PartialEq)]
pub enum Elements {
    /// Floats.
    Floats(Values),
    /// Signed and unsigned integers of 8 to 64 bits.
    Integers(Vec<i64>),
    /// Truth values.
    Booleans(Vec<bool>),
}

impl Elements {
    fn as_str(&self) -> &'static str {
        match self {
            Elements::Floats(_) => "floats",
            Elements::Integers(_) => "integers",
            Elements::Booleans(_) => "truth values",
        }
    }
}

impl Array {
    /// Returns the array as a matrix of floats.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it does not have two dimensions, or has other elements.
    pub fn into_matrix(self, what: &str) -> Result<Matrix> {
        let [rows, columns] = self.shape[..] else {
            let why = format!("has shape {}: expected two dimensions, rows and columns", shown(&self.shape));
            return Err(Error::invalid(what, why));
        };
        let Elements::Floats(values) = self.elements else {
            let why = format!("holds {}: expected float32 or float64", self.elements.as_str());
            return Err(Error::invalid(what, why));
        };
        Matrix::new(rows, columns, values)
            .ok_or_else(|| Error::invalid(what, "does not have as many elements as its shape"))
    }

    /// Returns the array as a list of integers.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it does not have one dimension, or has other elements.
    pub fn into_integers(self, what: &str) -> Result<Vec<i64>> {
        let Elements::Integers(integers) = self.elements else {
            let holds = self.elements.as_str();
            let why = format!("holds {holds}: expected integers; save labels.astype('int64')");
            return Err(Error::invalid(what, why));
        };
        match self.shape[..] {
            [_] => Ok(integers),
            _ => {
                Err(Error::invalid(what, format!("has shape {}: expected one dimension", shown(&self.shape))))
            }
        }
    }
}

/// Writes a shape like a tuple in Python.
pub(crate) fn shown(shape: &[usize]) -> String {
    match shape {
        [one] => format!("({one},)"),
        _ => format!("({})", shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// Returns the header of an array: version 1.0 of NumPy's format, with elements row by row.
pub(crate) fn header(kind: &str, shape: &[usize]) -> Vec<u8> {
    let mut text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {}, }}", shown(shape));
    // The elements begin at a multiple of 64 bytes, and the last byte before them is a line feed.
    let total = (10 + text.len() + 1).next_multiple_of(64);
    text.extend(std::iter::repeat_n(' ', total - 10 - text.len() - 1));
    text.push('\n');
    let mut out = [MAGIC, &[1, 0]].concat();
    out.extend_from_slice(&(text.len() as u16).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    out
}

/// Reads a file of `length` bytes, which errors call `what`.
///
/// # Errors
/// [`Error::Invalid`] with what is wrong, including a file that is longer or shorter than its header says.
pub fn read(what: &str, mut file: impl Read, length: u64) -> Result<Array> {
    read_header_of(what, &mut file, length)?.elements_of(file).map_err(|why| Error::invalid(what, why))
}

/// Reads the header of a file of `length` bytes, which must have as many as it says.
fn read_header_of(what: &str, file: &mut impl Read, length: u64) -> Result<Header> {
    let (header, start) = read_header(what, file)?;
    let there = length.saturating_sub(start);
    if header.length() != Some(there) {
        return Err(header.refuse(what, &there.to_string()));
    }
    Ok(header)
}

/// As [`read`], for a pipe, whose length nobody knows before its end. Elements of more than `most` bytes are
/// refused; no more memory is allocated than the pipe has bytes.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_pipe(what: &str, mut file: impl Read, most: u64) -> Result<Array> {
    let (header, _) = read_header(what, &mut file)?;
    let Some(length) = header.length().filter(|length| *length <= most) else {
        return Err(header.refuse(what, &format!("at most {most}")));
    };
    let mut bytes = Vec::new();
    let read = file.take(length.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|e| Error::invalid(what, format!("cannot be read: {e}")))?;
    match bytes.len() as u64 {
        there if there > length => Err(header.refuse(what, &format!("more than {length}"))),
        there if there < length => Err(header.refuse(what, &there.to_string())),
        _ => header.elements_of(&bytes[..]).map_err(|why| Error::invalid(what, why)),
    }
}

/// Reads what is before the elements. Also returns its length in bytes.
fn read_header(what: &str, file: &mut impl Read) -> Result<(Header, u64)> {
    let refuse = |why: String| Error::invalid(what, why);
    let cut = |_| refuse("ends within its header: it was cut short".into());
    let mut start = [0; 8];
    file.read_exact(&mut start).map_err(|_| refuse("is not a .npy file: too short".into()))?;
    if !start.starts_with(MAGIC) {
        return Err(refuse("is not a .npy file: it does not begin with \\x93NUMPY".into()));
    }
    let (header_len, before) = match start[6] {
        1 => {
            let mut len = [0; 2];
            file.read_exact(&mut len).map_err(cut)?;
            (usize::from(u16::from_le_bytes(len)), 10)
        }
        2 | 3 => {
            let mut len = [0; 4];
            file.read_exact(&mut len).map_err(cut)?;
            (u32::from_le_bytes(len) as usize, 12)
        }
        other => return Err(refuse(format!("has .npy version {other}: 1, 2 and 3 are known"))),
    };
    if header_len > MAX_HEADER {
        return Err(refuse(format!("has a header of {header_len} bytes: no array needs that")));
    }
    let mut header = vec![0; header_len];
    file.read_exact(&mut header).map_err(cut)?;
    let header = String::from_utf8(header).map_err(|_| refuse("has a header that is not text".into()))?;
    let parsed = Header::parse(&header).map_err(refuse)?;
    Ok((parsed, (before + header_len) as u64))
}

#[derive(Clone, Copy)]
enum Kind {
    Single,
    Double,
    Signed(usize),
    Unsigned(usize),
    Boolean,
    /// Text of so many characters, of 4 bytes each.
    Text(usize),
}

impl Kind {
    fn size(self) -> usize {
        match self {
            Kind::Single => 4,
            Kind::Double => 8,
            Kind::Signed(size) | Kind::Unsigned(size) => size,
            Kind::Boolean => 1,
            Kind::Text(characters) => 4 * characters,
        }
    }

    /// Returns the number whose bits are `word`; `None` if there is none.
    fn number(self, word: u64) -> Option<f64> {
        match self {
            Kind::Single => Some(f32::from_bits(word as u32).into()),
            Kind::Double => Some(f64::from_bits(word)),
            Kind::Signed(size) => Some(signed(size, word) as f64),
            Kind::Unsigned(_) => Some(word as f64),
            Kind::Boolean => truth(word).map(|truth| u8::from(truth).into()),
            Kind::Text(_) => None,
        }
    }
}

fn signed(size: usize, word: u64) -> i64 {
    let unused = 64 - 8 * size as u32;
    ((word << unused) as i64) >> unused
}

fn truth(word: u64) -> Option<bool> {
    match word {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

fn word(element: &[u8], big_endian: bool) -> u64 {
    let byte = |word: u64, byte: &u8| word << 8 | u64::from(*byte);
    match big_endian {
        true => element.iter().fold(0, byte),
        false => element.iter().rev().fold(0, byte),
    }
}

/// The order of the elements in a file.
struct Order {
    fortran: bool,
    rows: usize,
    columns: usize,
}

impl Order {
    fn new(shape: &[usize], fortran: bool) -> Self {
        match *shape {
            [rows, columns] => Order { fortran, rows, columns },
            _ => Order { fortran: false, rows: 0, columns: 0 },
        }
    }

    /// Returns the position of the file's element number `at`.
    fn place(&self, at: usize) -> usize {
        if self.fortran { (at % self.rows) * self.columns + at / self.rows } else { at }
    }
}

/// The elements of an array, one after the other in the order of the file.
pub struct Elementwise<R> {
    what: String,
    header: Header,
    file: R,
}

impl<R: Read> Elementwise<R> {
    /// Reads the header of a file of `length` bytes, which errors call `what`.
    ///
    /// # Errors
    /// As [`read`]; [`Error::Invalid`] also if elements are not row by row.
    pub fn open(what: &str, mut file: R, length: u64) -> Result<Self> {
        let header = read_header_of(what, &mut file, length)?;
        if header.fortran && header.shape.len() > 1 {
            let why = "is in Fortran's order: expected rows one by one; save np.ascontiguousarray(array)";
            return Err(Error::invalid(what, why));
        }
        Ok(Elementwise { what: what.into(), header, file })
    }

    /// Returns the length of each dimension.
    pub fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    /// Returns the error that the shape is none of those that make sense here.
    pub fn refuse(&self, expected: &str) -> Error {
        Error::invalid(&self.what, format!("has shape {}: {expected}", shown(self.shape())))
    }

    /// Calls `each` with every number and its position.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the elements are texts, cannot be read, or `each` refuses one.
    pub fn numbers(self, mut each: impl FnMut(usize, f64) -> Result<(), String>) -> Result<()> {
        let Header { kind, big_endian, .. } = self.header;
        self.each(|at, element| {
            let number = kind.number(word(element, big_endian));
            each(at, number.ok_or_else(|| format!("element {at} is not a number"))?)
        })
    }

    /// Calls `each` with every text and its position.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the elements are numbers, cannot be read, or `each` refuses one.
    pub fn texts(self, mut each: impl FnMut(usize, &str) -> Result<(), String>) -> Result<()> {
        let Header { kind, big_endian, .. } = self.header;
        let Kind::Text(_) = kind else {
            return Err(Error::invalid(self.what, "holds numbers: expected text"));
        };
        let mut text = String::new();
        self.each(|at, element| {
            text.clear();
            for bytes in element.chunks_exact(4) {
                let character = char::from_u32(word(bytes, big_endian) as u32);
                text.push(character.ok_or_else(|| format!("element {at} is not text"))?);
            }
            each(at, text.trim_end_matches('\0'))
        })
    }

    /// Calls `each` with the bytes of every element, and reads the file to its end.
    fn each(mut self, each: impl FnMut(usize, &[u8]) -> Result<(), String>) -> Result<()> {
        let elements = self.header.elements().unwrap_or_default();
        let read = chunked(&mut self.file, self.header.kind.size(), elements, each);
        read.and_then(|()| match self.file.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err("is longer than it says".into()),
            Err(e) => Err(format!("cannot be read: {e}")),
        })
        .map_err(|why| Error::invalid(self.what, why))
    }
}

/// Calls `each` with the bytes of every element, of which only some are in memory at a time.
fn chunked(
    file: &mut impl Read,
    size: usize,
    elements: usize,
    mut each: impl FnMut(usize, &[u8]) -> Result<(), String>,
) -> Result<(), String> {
    let mut chunk = vec![0; size << 13];
    let mut at = 0;
    while at < elements {
        let bytes = &mut chunk[..(elements - at).min(1 << 13) * size];
        file.read_exact(bytes).map_err(|e| format!("cannot be read: {e}"))?;
        for element in bytes.chunks_exact(size) {
            each(at, element)?;
            at += 1;
        }
    }
    Ok(())
}

struct Header {
    kind: Kind,
    big_endian: bool,
    fortran: bool,
    shape: Vec<usize>,
}

impl Header {
    /// The number of elements; `None` if no file can have them.
    fn elements(&self) -> Option<usize> {
        self.shape.iter().try_fold(1usize, |n, side| n.checked_mul(*side))
    }

    /// The length of the elements, in bytes.
    fn length(&self) -> Option<u64> {
        self.elements()?.checked_mul(self.kind.size()).map(|length| length as u64)
    }

    /// Returns the error that there are not as many bytes of elements as the shape needs.
    fn refuse(&self, what: &str, there: &str) -> Error {
        let length = self.length();
        let needed = length.map_or_else(|| "more bytes than there can be".into(), |n| format!("{n} bytes"));
        let shape = shown(&self.shape);
        Error::invalid(what, format!("has {there} bytes of elements, but shape {shape} needs {needed}"))
    }

    /// Reads the elements, which the caller knows to be there.
    fn elements_of(self, mut file: impl Read) -> Result<Array, String> {
        if self.shape.len() > MAX_ARRAY_DIMENSIONS {
            return Err(format!("has shape {}: expected one or two dimensions", shown(&self.shape)));
        }
        let elements = match self.kind {
            Kind::Single => {
                let float = |word| Some(f32::from_bits(word as u32));
                Elements::Floats(Values::Single(self.all(&mut file, 0.0, float)?))
            }
            Kind::Double => {
                let float = |word| Some(f64::from_bits(word));
                Elements::Floats(Values::Double(self.all(&mut file, 0.0, float)?))
            }
            Kind::Signed(size) => {
                Elements::Integers(self.all(&mut file, 0, |word| Some(signed(size, word)))?)
            }
            Kind::Unsigned(_) => Elements::Integers(self.all(&mut file, 0, |word| i64::try_from(word).ok())?),
            Kind::Boolean => Elements::Booleans(self.all(&mut file, false, truth)?),
            Kind::Text(_) => return Err("holds text: expected numbers".into()),
        };
        Ok(Array { shape: self.shape, elements })
    }

    /// Reads all elements into their places, row by row.
    fn all<T: Copy>(
        &self,
        file: &mut impl Read,
        zero: T,
        of: impl Fn(u64) -> Option<T>,
    ) -> Result<Vec<T>, String> {
        let elements = self.elements().unwrap_or_default();
        let order = Order::new(&self.shape, self.fortran);
        let mut out = vec![zero; elements];
        chunked(file, self.kind.size(), elements, |at, element| {
            let word = word(element, self.big_endian);
            out[order.place(at)] = of(word).ok_or_else(|| format!("row {at} is {word}: too large"))?;
            Ok(())
        })?;
        Ok(out)
    }

    /// Parses `{'descr': '<f8', 'fortran_order': False, 'shape': (10000, 10), }`, with keys in any order,
    /// padded with spaces.
    fn parse(text: &str) -> Result<Self, String> {
        let mut literal = Literal(text);
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        literal.expect('{')?;
        while !literal.take('}') {
            let key = literal.string()?;
            literal.expect(':')?;
            match key {
                "descr" if literal.0.trim_start().starts_with('[') => {
                    return Err("has a structured dtype: expected plain numbers".into());
                }
                "descr" => descr = Some(literal.string()?),
                "fortran_order" => fortran = Some(literal.boolean()?),
                "shape" => shape = Some(literal.tuple()?),
                other => return Err(format!("has a header with an unknown key '{other}'")),
            }
            if !literal.take(',') {
                literal.expect('}')?;
                break;
            }
        }
        if !literal.0.trim().is_empty() {
            return Err("has a header with something after its end".into());
        }
        let (Some(descr), Some(fortran), Some(shape)) = (descr, fortran, shape) else {
            return Err("has a header without descr, fortran_order or shape".into());
        };
        if shape.is_empty() || shape.len() > MAX_DIMENSIONS {
            return Err(format!("has shape {}: expected one or two dimensions", shown(&shape)));
        }
        let characters = descr.get(1..).and_then(|kind| kind.strip_prefix('U')?.parse().ok());
        let kind = match descr.get(1..) {
            Some("f4") => Kind::Single,
            Some("f8") => Kind::Double,
            Some("i1") => Kind::Signed(1),
            Some("i2") => Kind::Signed(2),
            Some("i4") => Kind::Signed(4),
            Some("i8") => Kind::Signed(8),
            Some("u1") => Kind::Unsigned(1),
            Some("u2") => Kind::Unsigned(2),
            Some("u4") => Kind::Unsigned(4),
            Some("u8") => Kind::Unsigned(8),
            Some("b1") => Kind::Boolean,
            Some("O") => {
                return Err(format!(
                    "has dtype '{descr}', Python objects in a pickle, which isn does not run: save an array \
                     of numbers or of text"
                ));
            }
            _ => match characters.filter(|n| (1..=MAX_TEXT).contains(n)) {
                Some(characters) => Kind::Text(characters),
                None => return Err(format!("has dtype '{descr}': expected float32, float64 or integers")),
            },
        };
        let big_endian = match &descr[..1] {
            ">" => true,
            "<" => false,
            "|" if kind.size() == 1 => false,
            _ => return Err(format!("has dtype '{descr}', of no known byte order")),
        };
        Ok(Header { kind, big_endian, fortran, shape })
    }
}

/// The subset of Python's literals that headers use.
struct Literal<'a>(&'a str);

impl<'a> Literal<'a> {
    fn take(&mut self, c: char) -> bool {
        let rest = self.0.trim_start().strip_prefix(c);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn expect(&mut self, c: char) -> Result<(), String> {
        if self.take(c) {
            Ok(())
        } else {
            Err(format!("has a header without a '{c}' where there must be one"))
        }
    }

    fn string(&mut self) -> Result<&'a str, String> {
        let quote = if self.take('\'') { '\'' } else { self.expect('"').map(|()| '"')? };
        let (string, rest) =
            self.0.split_once(quote).ok_or("has a header with a string that does not end")?;
        self.0 = rest;
        Ok(string)
    }

    fn boolean(&mut self) -> Result<bool, String> {
        let text = self.0.trim_start();
        for (word, value) in [("True", true), ("False", false)] {
            if let Some(rest) = text.strip_prefix(word) {
                self.0 = rest;
                return Ok(value);
            }
        }
        Err("has a fortran_order that is neither True nor False".into())
    }

    fn tuple(&mut self) -> Result<Vec<usize>, String> {
        let mut sides = Vec::new();
        self.expect('(')?;
        while !self.take(')') {
            let text = self.0.trim_start();
            let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
            let side = text[..end].parse().map_err(|_| "has a shape that is not a tuple of whole numbers")?;
            sides.push(side);
            // Python 2 wrote `3L`.
            self.0 = text[end..].strip_prefix('L').unwrap_or(&text[end..]);
            if !self.take(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(sides)
    }
}

#[cfg(test)]
mod tests;

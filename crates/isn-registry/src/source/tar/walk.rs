//! [`walk`]: lists the members of a tar archive (ustar, GNU, pax, old V7) from its headers. Bodies are never
//! read, so an archive of 150 GB takes only as many small reads as it has members.
//!
//! Nothing is ever written to the names of members. Unusual names and members are refused nevertheless,
//! because no archive of images needs them.

use std::io;
use std::str;

const BLOCK: u64 = 512;
/// The longest name that a GNU or pax header may give a member, in bytes.
const MAX_NAME: u64 = 4096;
/// The longest pax header, in bytes.
const MAX_PAX: u64 = 1 << 20;

/// Bytes that can be read at any position.
pub trait ReadAt {
    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if there are fewer bytes; otherwise what the system reports.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for [u8] {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).ok();
        let found = start.and_then(|start| self.get(start..start.checked_add(buffer.len())?));
        buffer.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// A regular file in an archive.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its name, with `/` between segments and without a leading `./`.
    pub name: String,
    /// Where its bytes begin in the file that contains the archive.
    pub offset: u64,
    /// The number of its bytes.
    pub length: u64,
}

/// Why the rest of an archive cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("byte {at}: {why}")]
pub struct Fault {
    /// The position of the faulty header in the file that contains the archive.
    pub at: u64,
    /// What is wrong.
    pub why: String,
}

/// What GNU and pax headers set for the member that follows.
#[derive(Default)]
struct Override {
    name: Option<String>,
    length: Option<u64>,
}

/// Lists the regular files of the archive in `range` of `bytes`. Folders are skipped.
///
/// # Errors
/// The first [`Fault`]: a damaged or truncated header, a member that extends past the end, an archive without
/// its end mark (it was cut between two members), links, devices and sparse files, or names that lead out of
/// a folder.
pub fn walk<R: ReadAt + ?Sized>(bytes: &R, range: std::ops::Range<u64>) -> Result<Vec<Member>, Fault> {
    let mut members = Vec::new();
    let mut said = Override::default();
    let mut at = range.start;
    loop {
        let fault = |why: String| Fault { at, why };
        let body = at.checked_add(BLOCK).filter(|body| *body <= range.end);
        let Some(body) = body else {
            let why = match range.end.saturating_sub(at) {
                0 => "the archive has no end mark: it is cut short".into(),
                rest => format!("the archive ends {rest} bytes into a header: it is cut short"),
            };
            return Err(fault(why));
        };
        let mut header = [0; BLOCK as usize];
        bytes.read_exact_at(&mut header, at).map_err(|e| fault(format!("cannot be read: {e}")))?;
        if header.iter().all(|byte| *byte == 0) {
            return match said.name.is_some() || said.length.is_some() {
                true => Err(fault("the archive ends after the header of a long name".into())),
                false => Ok(members),
            };
        }
        let header = Header(header);
        header.check_sum().map_err(fault)?;
        let own_length = header.length().map_err(fault)?;
        // A size in a pax header is that of the member, not of the headers in between.
        let is_extension = matches!(header.kind(), b'x' | b'g' | b'L' | b'K');
        let length = if is_extension { own_length } else { said.length.unwrap_or(own_length) };
        let end = body.checked_add(length).filter(|end| *end <= range.end);
        let Some(end) = end else {
            let name = said.name.or_else(|| header.name().ok()).unwrap_or_default();
            let why = format!(
                "member {} claims {length} bytes, but {} are left: the archive is cut short or damaged",
                shown(&name),
                range.end - body
            );
            return Err(fault(why));
        };
        let text = |cap: u64, what: &str| -> Result<Vec<u8>, Fault> {
            if length > cap {
                return Err(fault(format!("a {what} of {length} bytes is too long")));
            }
            let mut text = vec![0; length as usize];
            bytes.read_exact_at(&mut text, body).map_err(|e| fault(format!("cannot be read: {e}")))?;
            Ok(text)
        };
        match header.kind() {
            b'L' => said.name = Some(name_of(&text(MAX_NAME + 1, "name")?).map_err(fault)?),
            // `K` is the target of a link, which is refused below. `g` holds for all members, and changes
            // neither their names nor their positions.
            b'K' | b'g' => {}
            b'x' => pax(&text(MAX_PAX, "pax header")?, &mut said).map_err(fault)?,
            kind => {
                let name = match said.name.take() {
                    Some(name) => name,
                    None => header.name().map_err(fault)?,
                };
                said.length = None;
                let refuse = |what: &str| Err(fault(format!("member {} is {what}", shown(&name))));
                match kind {
                    b'0' | 0 | b'7' if !name.ends_with('/') => {
                        let name = plain(&name)
                            .ok_or_else(|| fault(format!("member {}: not a plain name", shown(&name))))?;
                        members.push(Member { name: name.into(), offset: body, length });
                    }
                    b'0' | 0 | b'5' => {}
                    b'1' | b'2' => return refuse("a link, not a file"),
                    b'S' => return refuse("a sparse file: make the archive without --sparse"),
                    b'3' | b'4' | b'6' => return refuse("a device or a pipe"),
                    other => return refuse(&format!("of the unknown kind {:?}", char::from(other))),
                }
            }
        }
        // Bodies are padded to whole blocks, counted from the start of this archive.
        at = (end - range.start).div_ceil(BLOCK).saturating_mul(BLOCK).saturating_add(range.start);
    }
}

/// A header block.
struct Header([u8; BLOCK as usize]);

impl Header {
    fn kind(&self) -> u8 {
        self.0[156]
    }

    /// Checks the sum of all bytes, with the sum itself taken as spaces. Some old programs added signed
    /// bytes.
    fn check_sum(&self) -> Result<(), String> {
        let said = octal(&self.0[148..156]).ok_or("this is not a tar header")?;
        let counted = |at: usize| if (148..156).contains(&at) { b' ' } else { self.0[at] };
        let unsigned: u64 = (0..self.0.len()).map(|at| u64::from(counted(at))).sum();
        let signed: i64 = (0..self.0.len()).map(|at| i64::from(counted(at).cast_signed())).sum();
        if said == unsigned || i64::try_from(said) == Ok(signed) {
            Ok(())
        } else {
            Err("the header is damaged, or this is not a tar: its sum is wrong".into())
        }
    }

    /// Returns the length from octal digits, or from GNU tar's binary form for large values.
    fn length(&self) -> Result<u64, String> {
        let field = &self.0[124..136];
        if field[0] & 0x80 == 0 {
            return octal(field).ok_or_else(|| "the header has no length".into());
        }
        let (high, low) = field.split_at(4);
        let is_small = high == [0x80, 0, 0, 0];
        let low = <[u8; 8]>::try_from(low).map(u64::from_be_bytes).unwrap_or(u64::MAX);
        if is_small { Ok(low) } else { Err("the header has a length that is negative or too large".into()) }
    }

    fn name(&self) -> Result<String, String> {
        let name = name_of(&self.0[..100])?;
        // GNU's old format has times where ustar has the first part of a long name.
        let prefix =
            if &self.0[257..263] == b"ustar\0" { name_of(&self.0[345..500])? } else { String::new() };
        Ok(if prefix.is_empty() { name } else { format!("{prefix}/{name}") })
    }
}

/// Parses spaces, octal digits, and a space or NUL.
fn octal(field: &[u8]) -> Option<u64> {
    let text = str::from_utf8(field).ok()?.trim_start_matches(' ');
    let text = text.split(['\0', ' ']).next().unwrap_or_default();
    if text.is_empty() { None } else { u64::from_str_radix(text, 8).ok().filter(|_| !text.starts_with('+')) }
}

/// Returns the text up to the first NUL.
fn name_of(field: &[u8]) -> Result<String, String> {
    let name = field.split(|byte| *byte == 0).next().unwrap_or_default();
    str::from_utf8(name).map(Into::into).map_err(|_| "a member's name is not UTF-8".into())
}

/// Removes a leading `./`. Returns `None` if the name could lead out of a folder, or is empty.
fn plain(name: &str) -> Option<&str> {
    let mut plain = name;
    while let Some(rest) = plain.strip_prefix("./") {
        plain = rest;
    }
    let is_good = |segment: &str| !matches!(segment, "" | "." | "..");
    let no_control = plain.chars().all(|c| !c.is_control() && c != '\\');
    (plain.len() as u64 <= MAX_NAME && no_control && plain.split('/').all(is_good)).then_some(plain)
}

/// Applies records `LENGTH KEYWORD=VALUE\n`, of which `path` and `size` matter.
fn pax(text: &[u8], said: &mut Override) -> Result<(), String> {
    let damaged = || String::from("a pax header is damaged");
    let mut rest = text;
    while !rest.is_empty() && rest[0] != 0 {
        let space = rest.iter().position(|byte| *byte == b' ').ok_or_else(damaged)?;
        let length: usize = str::from_utf8(&rest[..space])
            .ok()
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(damaged)?;
        let record = rest.get(space + 1..length).ok_or_else(damaged)?;
        let record = record.strip_suffix(b"\n").ok_or_else(damaged)?;
        let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(damaged)?;
        let (keyword, value) = (&record[..equals], &record[equals + 1..]);
        match keyword {
            b"path" => said.name = Some(name_of(value)?),
            b"size" => {
                let digits = str::from_utf8(value).ok().filter(|v| v.bytes().all(|b| b.is_ascii_digit()));
                said.length = Some(digits.and_then(|digits| digits.parse().ok()).ok_or_else(damaged)?);
            }
            _ if keyword.starts_with(b"GNU.sparse.") => {
                return Err("a sparse file: make the archive without --sparse".into());
            }
            _ => {}
        }
        rest = &rest[length..];
    }
    Ok(())
}

/// Returns a name for a message: shortened, and with special characters escaped.
fn shown(name: &str) -> String {
    const MOST: usize = 120;
    let cut = name.chars().take(MOST).flat_map(char::escape_default).collect::<String>();
    if name.chars().count() > MOST { format!("'{cut}…'") } else { format!("'{cut}'") }
}

//! Parsers of argument values.

#[cfg(feature = "serve")]
use std::net::SocketAddr;
use std::path::Path;
use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use isn_format::class::ClassId;
#[cfg(feature = "serve")]
use isn_format::class::check_label;
use isn_format::digest::DigestError;
use isn_format::error::{Error, Mistake, Result};
use isn_format::rel_path::RelPath;
use isn_format::statement::check_reason;
use isn_format::sums::{Line, MAX_SUMS};
#[cfg(feature = "serve")]
use isn_format::text::is_formula;
use isn_registry::files;

/// Reads a list of images: a path or a line of `B3SUMS` on each line. Returns the sorted paths, and the lines
/// of `B3SUMS`.
pub(super) fn read_images(file: &Path) -> Result<(Vec<RelPath>, Vec<Line>)> {
    let (mut images, mut lines, mut mistakes) = (Vec::<RelPath>::new(), Vec::new(), Vec::new());
    // Editors write a byte order mark, and `find .` writes `./`.
    for (at, line) in files::read_text(file, MAX_SUMS)?.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut mistake = |why| mistakes.push(Mistake { line: Some(at + 1), why });
        // A line of B3SUMS has the hash before the path.
        let (hash, path) = match line.split_once("  ").filter(|(hash, _)| hash.len() == 64) {
            Some((hash, path)) => (Some(hash.parse()), path),
            None => (None, line),
        };
        let image: RelPath = match path.strip_prefix("./").unwrap_or(path).parse() {
            Ok(image) => image,
            Err(e) => {
                mistake(format!("'{path}' {e}"));
                continue;
            }
        };
        match hash.transpose() {
            Ok(hash) => lines.extend(hash.map(|blake3| Line { blake3, path: image.clone() })),
            Err(e) => mistake(DigestError::to_string(&e)),
        }
        images.push(image);
    }
    if !mistakes.is_empty() {
        return Err(Error::Mistakes { what: file.display().to_string(), mistakes });
    }
    images.sort();
    images.dedup();
    Ok((images, lines))
}

/// Parses the id of a class.
pub(super) fn parse_class(text: &str) -> Result<ClassId, String> {
    text.parse().map_err(|e| format!("{e}: a class is named by its id, which `isn info REF` lists"))
}

/// Parses a duration such as `90s`, `15m`, `36h` or `7d` into seconds.
pub(super) fn parse_age(text: &str) -> Result<u64, String> {
    let units = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];
    let parsed = units.iter().find_map(|(unit, seconds)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(*seconds)
    });
    parsed.ok_or_else(|| "expected a number and a unit: 90s, 15m, 36h, 7d".into())
}

/// Parses a timeout into seconds, of which there must be at least one.
#[cfg(feature = "serve")]
pub(super) fn parse_timeout(text: &str) -> Result<u64, String> {
    match parse_age(text)? {
        0 => Err("the minimum is 1s".into()),
        seconds => Ok(seconds),
    }
}

/// Parses the address and port of a server.
#[cfg(feature = "serve")]
pub(super) fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let wrong = |_| "expected ADDRESS:PORT with a numeric address, for example 127.0.0.1:8080".into();
    text.parse().map_err(wrong)
}

/// Parses a size such as `1000`, `500MB` or `20GiB` into bytes.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let factor = match unit.trim().to_ascii_lowercase().trim_end_matches('b') {
        // A bare number is probably meant in another unit. Zero is the same in all of them.
        "" if unit.trim().is_empty() && number != "0" => None,
        "" => Some(1),
        "k" => Some(1000),
        "m" => Some(1_000_000),
        "g" => Some(1_000_000_000),
        "t" => Some(1_000_000_000_000),
        "ki" => Some(1 << 10),
        "mi" => Some(1 << 20),
        "gi" => Some(1 << 30),
        "ti" => Some(1u64 << 40),
        _ => None,
    };
    let wrong = "expected a whole number and a unit: 500MB, 20GiB";
    let factor = factor.filter(|_| !number.is_empty()).ok_or(wrong)?;
    // Only digits are left, so only the size can be wrong.
    let size = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    size.ok_or_else(|| "is too large: more than 16777215TiB".into())
}

/// Parses one of these words, which the help lists and shells complete.
pub(super) fn one_of<T>(words: impl IntoIterator<Item = &'static str>) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err: std::error::Error + Send + Sync> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(words).try_map(|word| word.parse())
}

/// Parses the reason of a statement.
pub(super) fn parse_reason(text: &str) -> Result<String, String> {
    check_reason(text).map(|()| text.into())
}

/// Parses the name of a person, in any script.
#[cfg(feature = "serve")]
pub(super) fn parse_person(text: &str) -> Result<String, String> {
    check_label(text)?;
    match is_formula(text) {
        true => Err("a spreadsheet would read it as a formula: start it with a letter".into()),
        false => Ok(text.into()),
    }
}

/// Parses the size of a shard into bytes. MDS cannot express more than 4 GiB, and small shards would be too
/// many.
pub(super) fn parse_shard_size(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        size @ 1_000_000..=2_147_483_648 => Ok(size),
        _ => Err("expected from 1MB to 2GiB".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_sizes() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("36h", 129_600), ("7d", 604_800)] {
            assert_eq!(parse_age(text), Ok(seconds));
        }
        for (text, bytes) in
            [("0", 0), ("1000B", 1000), ("500MB", 500_000_000), ("20GiB", 20 << 30), ("3 k", 3000)]
        {
            assert_eq!(parse_size(text), Ok(bytes));
        }
        for wrong in ["", "d", "5", "5w", "-1s", "99999999999999999999s", "300000000000000d"] {
            assert!(parse_age(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "20", "1000000", "GB", "-1", "1.5GB", "5 apples", "99999999999999999999"] {
            assert!(parse_size(wrong).unwrap_err().starts_with("expected"), "{wrong}");
        }
        for large in ["999999999999TiB", "16777216TiB", "99999999999999999999B"] {
            assert!(parse_size(large).unwrap_err().contains("more than 16777215TiB"), "{large}");
        }
        assert_eq!(parse_size("16777215TiB"), Ok(16_777_215 << 40));
    }

    #[test]
    fn lists_of_images() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("list");
        let sums = format!("{}  val/ant/a.png", "0".repeat(64));
        std::fs::write(&file, format!("# mine\nval/ant/b.png\n\n{sums}\r\nval/ant/b.png\n")).unwrap();
        let (images, lines) = read_images(&file).unwrap();
        let paths: Vec<String> = images.iter().map(ToString::to_string).collect();
        assert_eq!(paths, ["val/ant/a.png", "val/ant/b.png"]);
        assert_eq!(lines.iter().map(ToString::to_string).collect::<Vec<_>>(), [sums]);
        std::fs::write(&file, "../a\nval/ant/b.png\n/etc/passwd\n").unwrap();
        let Err(Error::Mistakes { mistakes, .. }) = read_images(&file) else { panic!() };
        assert_eq!(mistakes.iter().map(|m| m.line).collect::<Vec<_>>(), [Some(1), Some(3)]);
        std::fs::write(&file, format!("{}  val/ant/b.png\n", "X".repeat(64))).unwrap();
        assert!(matches!(read_images(&file), Err(Error::Mistakes { .. })));
    }
}

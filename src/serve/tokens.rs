//! Who may publish: a file with a name and the BLAKE3 of a token on each line. A token is long and random, so
//! its hash needs no salt. Hashes are compared in constant time.

use std::path::Path;

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;

use isn_format::error::{Error, Result};
use isn_format::rel_path::check_segment;
use isn_registry::files::{Guard, no_such_file, read_guarded};
use isn_registry::transport::upload::SHORTEST_TOKEN;

/// The maximum length of the file, in bytes.
const MAX_LEN: u64 = 4 << 20;

/// Reads the file; an empty one lets nobody publish.
pub(super) fn read(path: &Path) -> Result<Vec<(String, blake3::Hash)>> {
    let what = path.display().to_string();
    let absent = || Error::io("read", path)(no_such_file());
    let bytes = read_guarded(path, MAX_LEN, Guard::Trust)?.ok_or_else(absent)?;
    parse(&what, &String::from_utf8(bytes).map_err(|_| Error::invalid(&what, "is not text"))?)
}

/// Parses the text of a token file, and returns names with the hashes of their tokens. Errors call the file
/// `what`.
///
/// # Errors
/// [`Error::Invalid`] names a line that is not a name and a hash, or repeats a name.
pub fn parse(what: &str, text: &str) -> Result<Vec<(String, blake3::Hash)>> {
    let mut tokens: Vec<(String, blake3::Hash)> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let refuse = |why: &str| Error::invalid(format!("{what}, line {number}"), why);
        let mut words = line.split_whitespace();
        let (Some(name), Some(hash), None) = (words.next(), words.next(), words.next()) else {
            return Err(refuse("is not a name and the BLAKE3 of a token"));
        };
        check_segment(name).map_err(|why| refuse(&format!("the name {why}")))?;
        // Does not show the parse error: somebody may have put the token itself there.
        let hash = blake3::Hash::from_hex(hash).map_err(|_| {
            refuse("the second word is not a BLAKE3 hash: make it with `printf %s TOKEN | b3sum`")
        })?;
        if tokens.iter().any(|(there, _)| there.eq_ignore_ascii_case(name)) {
            return Err(refuse("repeats the name of an earlier line"));
        }
        tokens.push((name.into(), hash));
    }
    Ok(tokens)
}

/// Returns the name of the token that a request carries; `None` if it carries no known one.
pub(super) fn holder(path: &Path, headers: &HeaderMap) -> Result<Option<String>> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Ok(None) };
    let token = value.as_bytes().split_at_checked(7);
    let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer ")).map(|(_, token)| token);
    let Some(token) = token.filter(|token| token.len() >= SHORTEST_TOKEN) else { return Ok(None) };
    let hash = blake3::hash(token);
    // Compares with all hashes, each in the same time, so that the duration reveals nothing.
    let mut found = None;
    for (name, known) in read(path)? {
        if known == hash {
            found = Some(name);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_its_holders_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens");
        let token = "0123456789abcdef0123456789abcdef";
        let hash = blake3::hash(token.as_bytes());
        std::fs::write(&path, format!("# who\n\nci {hash}\n")).unwrap();
        let headers = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, value.parse().unwrap());
            }
            headers
        };
        let good = format!("Bearer {token}");
        assert_eq!(holder(&path, &headers(&[&good])).unwrap().as_deref(), Some("ci"));
        assert_eq!(holder(&path, &headers(&[&good.replace('B', "b")])).unwrap().as_deref(), Some("ci"));
        for bad in [
            &[][..],
            &[""],
            &[token],
            &["Bearer "],
            &["Bearer 0123456789abcdef0123456789abcdee"],
            &[&good.replace(' ', "  ")],
            &[&hash.to_string()],
            &[&format!("Bearer {hash}")],
            &[&good, &good],
        ] {
            assert_eq!(holder(&path, &headers(bad)).unwrap(), None, "{bad:?}");
        }
        for bad in ["ci", "ci x", "ci a b", &format!("../x {hash}"), &format!("ci {hash}\nCI {hash}")] {
            std::fs::write(&path, bad).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains("line "), "{bad}: {error}");
        }
    }
}

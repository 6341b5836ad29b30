//! Evaluates the conditions of a request (RFC 9110): which part of a file is asked for, and whether the
//! client has it already. All functions are pure.

use std::ops::Range;

use hyper::HeaderMap;
use hyper::header::{HeaderName, IF_NONE_MATCH, IF_RANGE, RANGE};

/// How much of a file to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// These bytes, at least one.
    Bytes(Range<u64>),
    /// None: the range begins at or after the end.
    Unsatisfiable,
}

/// Returns the requested part of a file of `length` bytes. Several ranges, a malformed range, and a range of
/// another version of the file are answered with the whole file, which every client must accept.
pub(super) fn part(headers: &HeaderMap, etag: &str, length: u64) -> Part {
    let Some(range) = only(headers, &RANGE) else { return Part::Whole };
    // A date or a weak tag never proves that the bytes are the same.
    if headers.contains_key(IF_RANGE) && only(headers, &IF_RANGE) != Some(etag) {
        return Part::Whole;
    }
    range.strip_prefix("bytes=").and_then(|range| parse(range.trim(), length)).unwrap_or(Part::Whole)
}

fn parse(range: &str, length: u64) -> Option<Part> {
    let (first, last) = range.split_once('-')?;
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        // A number that is too large is beyond every end.
        is_number.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    if first.is_empty() {
        let from = length.saturating_sub(number(last)?);
        return Some(if from < length { Part::Bytes(from..length) } else { Part::Unsatisfiable });
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    if first >= length {
        return Some(Part::Unsatisfiable);
    }
    Some(Part::Bytes(first..last.saturating_add(1).min(length)))
}

/// Whether the client says that it has this version of the file.
pub(super) fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
    })
}

/// Returns the value of a header that occurs once and is text.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn ranges() {
        for (range, expected) in [
            ("bytes=0-0", Part::Bytes(0..1)),
            ("bytes=0-9", Part::Bytes(0..10)),
            ("bytes=3-5", Part::Bytes(3..6)),
            ("bytes=3-", Part::Bytes(3..10)),
            ("bytes= 3-5 ", Part::Bytes(3..6)),
            ("bytes=9-99", Part::Bytes(9..10)),
            ("bytes=0-99999999999999999999999", Part::Bytes(0..10)),
            ("bytes=-1", Part::Bytes(9..10)),
            ("bytes=-10", Part::Bytes(0..10)),
            ("bytes=-99999999999999999999999", Part::Bytes(0..10)),
            ("bytes=-0", Part::Unsatisfiable),
            ("bytes=10-", Part::Unsatisfiable),
            ("bytes=99999999999999999999999-", Part::Unsatisfiable),
            ("bytes=18446744073709551615-18446744073709551615", Part::Unsatisfiable),
            ("bytes=5-3", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=", Part::Whole),
            ("bytes", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=1 - 2", Part::Whole),
            ("items=0-1", Part::Whole),
        ] {
            assert_eq!(part(&headers(&[(RANGE, range)]), "\"x\"", 10), expected, "{range}");
        }
        assert_eq!(part(&headers(&[]), "\"x\"", 10), Part::Whole);
        assert_eq!(part(&headers(&[(RANGE, "bytes=0-1"), (RANGE, "bytes=0-1")]), "\"x\"", 10), Part::Whole);
        assert_eq!(part(&headers(&[(RANGE, "bytes=0-")]), "\"x\"", 0), Part::Unsatisfiable);
        assert_eq!(part(&headers(&[(RANGE, "bytes=-5")]), "\"x\"", 0), Part::Unsatisfiable);
    }

    #[test]
    fn a_range_of_another_version_is_the_whole_file() {
        for (if_range, expected) in [
            ("\"x\"", Part::Bytes(0..2)),
            ("\"y\"", Part::Whole),
            ("W/\"x\"", Part::Whole),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Part::Whole),
            ("x", Part::Whole),
        ] {
            let headers = headers(&[(RANGE, "bytes=0-1"), (IF_RANGE, if_range)]);
            assert_eq!(part(&headers, "\"x\"", 10), expected, "{if_range}");
        }
    }

    #[test]
    fn tags_that_the_client_has() {
        for (tags, expected) in [
            ("\"x\"", true),
            ("W/\"x\"", true),
            ("\"a\", \"x\"", true),
            ("*", true),
            ("\"y\"", false),
            ("x", false),
            ("", false),
        ] {
            assert_eq!(is_known(&headers(&[(IF_NONE_MATCH, tags)]), "\"x\""), expected, "{tags}");
        }
        assert!(!is_known(&headers(&[]), "\"x\""));
        assert!(is_known(&headers(&[(IF_NONE_MATCH, "\"a\""), (IF_NONE_MATCH, "\"x\"")]), "\"x\""));
    }
}

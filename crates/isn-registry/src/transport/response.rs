//! Reads the heads of HTTP responses: which part of a file was sent, its ETag, and when to retry.

use std::ops::Range;
use std::time::Duration;

use reqwest::header::{
    ACCEPT_RANGES, CONTENT_RANGE, DATE, ETAG, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::{Response, StatusCode};

/// Whether a retry of the same request may soon succeed.
pub(super) fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

/// Returns how long the server asks to wait before a retry: in seconds, or until a date by the server's own
/// clock.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = text(headers, RETRY_AFTER)?.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let then = httpdate::parse_http_date(value).ok()?;
    let now = httpdate::parse_http_date(text(headers, DATE)?).ok()?;
    Some(then.duration_since(now).unwrap_or_default())
}

/// Returns the ETag, if it is a strong one, which identifies every byte.
pub(super) fn strong_etag(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(ETAG).filter(|etag| etag.as_bytes().starts_with(b"\"")).cloned()
}

/// Whether the server says that it sends ranges of files.
pub(super) fn offers_ranges(headers: &HeaderMap) -> bool {
    text(headers, ACCEPT_RANGES).is_some_and(|units| units.trim().eq_ignore_ascii_case("bytes"))
}

/// Whether a response with a whole file has more than `range`, as far as it says. A request for all bytes of
/// a file may be answered like one for the file.
pub(super) fn is_more(response: &Response, range: &Range<u64>) -> bool {
    range.start > 0 || response.content_length().is_none_or(|length| length > range.end)
}

/// `Content-Range: bytes START-END/LENGTH`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Which bytes of the file were sent.
    pub(super) range: Range<u64>,
}

impl Part {
    pub(super) fn of(headers: &HeaderMap) -> Option<Part> {
        let (range, length) = text(headers, CONTENT_RANGE)?.strip_prefix("bytes ")?.split_once('/')?;
        let (start, last) = range.split_once('-')?;
        let (start, last): (u64, u64) = (start.parse().ok()?, last.parse().ok()?);
        let end = last.checked_add(1)?;
        let fits = length == "*" || length.parse::<u64>().is_ok_and(|length| end <= length);
        (start < end && fits).then_some(Part { range: start..end })
    }

    /// Checks that this part serves a request for `asked`: it may begin earlier, and may be shorter at the
    /// end.
    pub(super) fn check(&self, asked: &Range<u64>, content_length: Option<u64>) -> Result<(), String> {
        if self.range.start > asked.start {
            return Err(format!("sent bytes from {}, asked from {}", self.range.start, asked.start));
        }
        if self.range.end > asked.end {
            return Err(format!("sent bytes up to {}, asked up to {}", self.range.end, asked.end));
        }
        let length = self.range.end - self.range.start;
        match content_length {
            Some(other) if other != length => {
                Err(format!("sent {other} bytes, but says that they are {length}"))
            }
            _ => Ok(()),
        }
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn content_ranges() {
        let part = |value| Part::of(&headers(&[(CONTENT_RANGE, value)])).map(|part| part.range);
        assert_eq!(part("bytes 0-9/100"), Some(0..10));
        assert_eq!(part("bytes 5-5/*"), Some(5..6));
        for wrong in [
            "",
            "bytes",
            "bytes 1/2",
            "bytes 9-0/100",
            "bytes 0-100/100",
            "bytes 0-9",
            "items 0-9/10",
            "bytes a-9/100",
            "bytes 0-18446744073709551615/*",
        ] {
            assert_eq!(part(wrong), None, "{wrong}");
        }
        let sent = Part { range: 10..20 };
        assert!(sent.check(&(10..20), Some(10)).is_ok());
        assert!(sent.check(&(12..30), None).is_ok());
        assert!(sent.check(&(9..20), None).is_err());
        assert!(sent.check(&(10..19), None).is_err());
        assert!(sent.check(&(10..20), Some(11)).is_err());
    }

    #[test]
    fn a_date_to_come_back_is_held_against_the_servers_clock() {
        let date = |after, now| retry_after(&headers(&[(RETRY_AFTER, after), (DATE, now)]));
        let now = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(date("7", now), Some(Duration::from_secs(7)));
        assert_eq!(date("Sun, 06 Nov 1994 08:49:47 GMT", now), Some(Duration::from_secs(10)));
        assert_eq!(date("Sun, 06 Nov 1994 08:40:00 GMT", now), Some(Duration::ZERO));
        for absurd in ["", "-3", "soon", "1e9", "99999999999999999999999"] {
            assert_eq!(date(absurd, now), None, "{absurd}");
        }
        assert_eq!(retry_after(&headers(&[(RETRY_AFTER, now)])), None);
    }

    #[test]
    fn weak_etags_do_not_vouch_for_bytes() {
        assert!(strong_etag(&headers(&[(ETAG, "\"a\"")])).is_some());
        assert!(strong_etag(&headers(&[(ETAG, "W/\"a\"")])).is_none());
    }
}

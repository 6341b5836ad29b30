//! A line for each request, once it is over: a `tracing` event, which costs nothing where nobody listens.

use std::borrow::Cow;
use std::time::Instant;

use tracing::Level;

/// A request, which is reported when it is dropped.
pub(super) struct Request {
    method: &'static str,
    url: String,
    status: Option<u16>,
    bytes: u64,
    begun: Instant,
}

impl Request {
    /// Begins a request.
    pub(super) fn new(method: &'static str, url: &str) -> Self {
        let is_reported = tracing::enabled!(Level::DEBUG);
        let url = if is_reported { without_secrets(url).into_owned() } else { String::new() };
        Request { method, url, status: None, bytes: 0, begun: Instant::now() }
    }

    /// The server has answered.
    pub(super) fn answered(&mut self, status: u16) {
        self.status = Some(status);
    }

    /// So many bytes more of a file have come or gone.
    pub(super) fn moved(&mut self, bytes: u64) {
        self.bytes += bytes;
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(status = self.status, bytes = self.bytes, ms, "{} {}", self.method, self.url);
    }
}

/// An address without what may be a secret in it: a name and password, a query, a fragment.
pub(crate) fn without_secrets(url: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = url.split_once("://") else { return url.into() };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{host}{path}").into(),
        None => url[..scheme.len() + 3 + rest.len()].into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_secrets() {
        for (url, shown) in [
            ("https://example.org/birds/registry.json", "https://example.org/birds/registry.json"),
            ("https://me:pass@example.org:8443/a@b", "https://example.org:8443/a@b"),
            ("https://me:p@ss@example.org", "https://example.org"),
            ("https://example.org/a?token=x#y", "https://example.org/a"),
            ("s3://bucket/birds", "s3://bucket/birds"),
            ("birds #1?/registry.json", "birds #1?/registry.json"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }
}

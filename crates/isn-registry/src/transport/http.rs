//! A registry behind `http(s)://`, on any static file server. Failures of the connection are retried with
//! growing pauses; a wrong response is an error that names the server. Proxies come from the usual
//! environment variables.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, HeaderValue, IF_RANGE, RANGE};
use reqwest::{Certificate, Client, ClientBuilder, RequestBuilder, Response, StatusCode, Url};

use super::failure::{self, Resolver, network};
use super::pace::Paced;
use super::response::{self, Part};
use super::trace;
use super::{Access, Body, BoxFuture, Chunks, Ranges, Transport, Whole};
use crate::files;
use isn_format::error::{Error, NetworkKind, Result, chain};

const MAX_REDIRECTS: usize = 5;
/// The maximum length of the user's file of certificates, in bytes; a system's has some 250,000.
const MAX_BUNDLE: u64 = 16 << 20;
/// How many times to retry while a host has never answered: a mistyped name should not cost a minute.
const FIRST_RETRIES: u32 = 2;
/// The pause before the first retry; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// If a server asks for pauses of more than this many timeouts in total before it answers a request, the
/// request fails.
const PAUSES: u32 = 4;
/// The flow-control windows of an HTTP/2 stream and connection, in bytes: enough for some 100 MB/s over a
/// long distance.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// A base URL, and the client that fetches files below it.
pub(crate) struct Http {
    base: String,
    client: Client,
    token: Option<HeaderValue>,
    offline: bool,
    timeout: Duration,
    retries: u32,
    /// The strong ETags of files, so that a part requested later is of the same file.
    validators: Mutex<HashMap<String, HeaderValue>>,
    /// How the server answers requests for ranges.
    ranges: Mutex<Ranges>,
    /// Whether the server has ever answered.
    is_reached: AtomicBool,
}

impl Http {
    /// Opens the registry below `base`, an `http://` or `https://` URL.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `base` or the access settings are not valid, or a token would be sent
    /// unencrypted.
    pub(crate) fn new(base: &str, access: &Access) -> Result<Self> {
        let client = client(base, access, |builder| {
            builder
                .read_timeout(access.timeout)
                .redirect(redirects())
                .http2_initial_stream_window_size(STREAM_WINDOW)
                .http2_initial_connection_window_size(CONNECTION_WINDOW)
        })?;
        Ok(Http {
            base: base.trim_end_matches('/').into(),
            client,
            token: bearer(base, access)?,
            offline: access.offline,
            timeout: access.timeout,
            retries: access.retries,
            validators: Mutex::default(),
            ranges: Mutex::default(),
            is_reached: AtomicBool::new(false),
        })
    }

    /// Makes a request, and retries it until there is an answer or no more retries.
    async fn request(
        &self,
        url: &str,
        range: Option<&Range<u64>>,
        validator: Option<&HeaderValue>,
    ) -> Result<(Response, trace::Request)> {
        if self.offline {
            return Err(Error::offline(url));
        }
        let (mut failures, mut paused) = (0, Duration::ZERO);
        loop {
            let mut traced = trace::Request::new("GET", url);
            let (failure, pause) = match self.build(url, range, validator).send().await {
                Ok(response) => {
                    traced.answered(response.status().as_u16());
                    self.is_reached.store(true, Ordering::Relaxed);
                    if !response::is_passing(response.status()) {
                        return Ok((response, traced));
                    }
                    let pause = response::retry_after(response.headers());
                    (answered(url, response.status()), pause)
                }
                Err(e) if is_final(&e) => return Err(network(url, e)),
                Err(e) => (network(url, e), None),
            };
            drop(traced);
            if let Some(pause) = pause {
                paused = paused.saturating_add(pause);
                if paused > self.timeout.saturating_mul(PAUSES) {
                    let why = format!("is busy and asks to retry in {} seconds", pause.as_secs());
                    return Err(Error::network(NetworkKind::Timeout, url, why));
                }
            }
            failures += 1;
            let is_reached = self.is_reached.load(Ordering::Relaxed);
            if failures > if is_reached { self.retries } else { self.retries.min(FIRST_RETRIES) } {
                return Err(failure);
            }
            tokio::time::sleep(pause.unwrap_or_else(|| backoff(failures))).await;
        }
    }

    fn build(
        &self,
        url: &str,
        range: Option<&Range<u64>>,
        validator: Option<&HeaderValue>,
    ) -> RequestBuilder {
        let mut request = self.client.get(url).header(ACCEPT_ENCODING, "identity");
        if let Some(range) = range {
            request = request.header(RANGE, format!("bytes={}-{}", range.start, range.end - 1));
            if let Some(validator) = validator {
                request = request.header(IF_RANGE, validator.clone());
            }
        }
        // reqwest drops the header if a redirect leads to another host.
        match &self.token {
            Some(token) => request.header(AUTHORIZATION, token.clone()),
            None => request,
        }
    }

    fn validator(&self, path: &str) -> Option<HeaderValue> {
        self.validators.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }

    /// Learns from a response how the server answers requests for ranges. That it once ignored one is final:
    /// a server that says that it sends ranges may be behind one that does not.
    fn note_ranges(&self, asked: Option<&Range<u64>>, response: &Response) {
        let found = match (response.status(), asked) {
            (StatusCode::PARTIAL_CONTENT, _) => Ranges::Sent,
            (StatusCode::OK, Some(range)) if response::is_more(response, range) => Ranges::Ignored,
            (StatusCode::OK, _) if response::offers_ranges(response.headers()) => Ranges::Sent,
            _ => return,
        };
        let mut ranges = self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
        if *ranges != Ranges::Ignored {
            *ranges = found;
        }
    }

    fn remember(&self, path: &str, validator: Option<HeaderValue>) {
        let mut validators = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        match validator {
            Some(validator) => validators.insert(path.into(), validator),
            None => validators.remove(path),
        };
    }
}

impl Transport for Http {
    fn locate(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    fn ranges(&self) -> Ranges {
        *self.ranges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open<'a>(&'a self, path: &'a str, range: Option<Range<u64>>) -> BoxFuture<'a, Result<Option<Body>>> {
        Box::pin(async move {
            let url = self.locate(path);
            let refuse = |why: &str| Error::network(NetworkKind::Broken, url.clone(), why);
            let asked = range.as_ref().filter(|_| self.ranges() != Ranges::Ignored);
            let mut validator = asked.and_then(|_| self.validator(path));
            let (mut response, mut traced) = self.request(&url, asked, validator.as_ref()).await?;
            if validator.take().is_some() && response.status() == StatusCode::OK {
                // The file has changed meanwhile, or this answer comes from another of the server's machines.
                // Every piece is checked by its hash, so the part will do, and the whole file would cost
                // more.
                (response, traced) = self.request(&url, asked, None).await?;
            }
            self.note_ranges(asked, &response);
            let offset = match response.status() {
                StatusCode::OK => 0,
                StatusCode::PARTIAL_CONTENT => {
                    let part = Part::of(response.headers())
                        .ok_or_else(|| refuse("sent a part without saying which"))?;
                    part.check(&asked.map_or(0..u64::MAX, Range::clone), response.content_length())
                        .map_err(|why| refuse(&why))?;
                    part.range.start
                }
                StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(None),
                // The range begins at or after the end of the file: there is nothing to send.
                StatusCode::RANGE_NOT_SATISFIABLE => {
                    return Ok(Some(Whole::body(range.map_or(0, |range| range.start), Bytes::new())));
                }
                status => return Err(answered(&url, status)),
            };
            if response.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
                return Err(refuse("compressed the file in transit, though asked not to"));
            }
            // A server that always sends the whole file would do so for If-Range, too.
            if response.status() == StatusCode::PARTIAL_CONTENT {
                self.remember(path, response::strong_etag(response.headers()));
            }
            let ignores_range = response.status() == StatusCode::OK
                && range.as_ref().is_some_and(|range| response::is_more(&response, range));
            let chunks = HttpChunks { response, url: url.clone(), traced };
            let chunks = Box::new(Paced::new(chunks, url, self.timeout));
            Ok(Some(Body { offset, ignores_range, chunks }))
        })
    }
}

struct HttpChunks {
    response: Response,
    url: String,
    traced: trace::Request,
}

impl Chunks for HttpChunks {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>>> {
        Box::pin(async move {
            let chunk = self.response.chunk().await.map_err(|e| network(&self.url, e))?;
            self.traced.moved(chunk.as_ref().map_or(0, |chunk| chunk.len() as u64));
            Ok(chunk)
        })
    }
}

/// Follows a few redirects, but none from https to http.
fn redirects() -> reqwest::redirect::Policy {
    reqwest::redirect::Policy::custom(|attempt| {
        let from_https = attempt.previous().iter().any(|url| url.scheme() == "https");
        if attempt.previous().len() > MAX_REDIRECTS {
            attempt.error(format!("redirected more than {MAX_REDIRECTS} times"))
        } else if from_https && attempt.url().scheme() != "https" {
            attempt.error("redirected from https to http")
        } else {
            attempt.follow()
        }
    })
}

/// Makes TLS use ring rather than aws-lc, which needs a C++ tool chain and triples the build time.
pub(super) fn provide_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Makes a client for the server of `url`. A system without certificates, as small containers are, can still
/// use a server that needs none.
///
/// # Errors
/// [`Error::Invalid`] if the access settings are not valid; [`Error::Network`] if an `https://` server is to
/// be asked and the system has no certificates.
pub(super) fn client(
    url: &str,
    access: &Access,
    settings: impl Fn(ClientBuilder) -> ClientBuilder,
) -> Result<Client> {
    let made = settings(builder(access)?).build();
    if made.is_err() && access.ca_bundle.is_none() && url.starts_with("http://") {
        return settings(builder(access)?.tls_certs_only([])).build().map_err(|e| network(url, e));
    }
    made.map_err(|e| network(url, e))
}

/// The common settings of all clients.
fn builder(access: &Access) -> Result<ClientBuilder> {
    provide_crypto();
    let builder = Client::builder()
        .user_agent(concat!("isn/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(access.timeout)
        .dns_resolver(Resolver);
    let Some(path) = &access.ca_bundle else { return Ok(builder) };
    let certificates =
        Certificate::from_pem_bundle(&read_bundle(path)?).map_err(|e| bad_bundle(path, chain(&e)))?;
    if certificates.is_empty() {
        return Err(bad_bundle(path, "has no certificate in PEM"));
    }
    Ok(builder.tls_certs_only(certificates))
}

/// Reads the user's file of certificates.
pub(super) fn read_bundle(path: &Path) -> Result<Vec<u8>> {
    files::read_input(path, MAX_BUNDLE).map_err(|e| {
        let why = match e {
            Error::Io { source, .. } => format!("cannot be read: {source}"),
            e => chain(&e),
        };
        bad_bundle(path, format!("{why} (ISN_CA_BUNDLE, or ca-bundle in config.toml, names the file)"))
    })
}

/// Returns the error that the user's file of certificates cannot be used.
pub(super) fn bad_bundle(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::invalid(format!("certificates {}", path.display()), why)
}

/// Returns the host of a URL, with its port unless it is the usual one: what a token is kept under.
pub(super) fn host_of(base: &str) -> String {
    Url::parse(base).map_or_else(|_| base.into(), |url| host_and_port(&url))
}

fn host_and_port(url: &Url) -> String {
    let name = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| name.to_string(), |port| format!("{name}:{port}"))
}

/// Returns the authorization header for the host, if the user has a token for it. A token is only sent over
/// https, or to this machine.
pub(super) fn bearer(base: &str, access: &Access) -> Result<Option<HeaderValue>> {
    let url = Url::parse(base).map_err(|e| Error::invalid(format!("registry {base}"), e))?;
    let (name, host) = (url.host_str().unwrap_or_default(), host_and_port(&url));
    let Some(secret) = access.token(&host) else { return Ok(None) };
    let is_local = ["localhost", "127.0.0.1", "[::1]"].contains(&name);
    if url.scheme() != "https" && !is_local {
        let why = "has a token, which http would send unencrypted: use https, or remove the token";
        return Err(Error::invalid(format!("registry {base}"), why));
    }
    let refuse = || {
        let why = "is not valid: it has characters other than ASCII letters, digits and signs";
        Error::invalid(format!("the token for {host}"), why)
    };
    if !secret.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(refuse());
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {secret}")).map_err(|_| refuse())?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// The pause before the next retry, after this many failures: about twice as long each time, with a random
/// part so that many clients do not return at once.
fn backoff(failures: u32) -> Duration {
    let full = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LONGEST_PAUSE);
    full.mul_f64(0.5 + fastrand::f64() / 2.0)
}

pub(super) fn answered(url: &str, status: StatusCode) -> Error {
    let why = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            format!("the server answered {status}: it needs credentials, or refuses access")
        }
        status => format!("the server answered {status}"),
    };
    Error::network(failure::of_status(status), url, why)
}

/// Whether a retry of the same request would fail again.
fn is_final(error: &reqwest::Error) -> bool {
    error.is_redirect() || error.is_builder() || failure::kind(error) == NetworkKind::Certificate
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::access::Token;

    #[test]
    fn a_token_is_for_its_host_and_never_goes_in_the_clear() {
        let token = |host: &str| Token { host: host.into(), secret: "s3cret".into() };
        let access = Access {
            tokens: vec![token("data.example.org"), token("example.org:8443"), token("127.0.0.1:80")],
            ..Access::default()
        };
        let shown = |base: &str| bearer(base, &access).map(|value| value.is_some());
        assert!(shown("https://data.example.org/birds").unwrap());
        assert!(shown("https://example.org:8443").unwrap());
        assert!(!shown("https://example.org").unwrap());
        assert!(!shown("https://evil.data.example.org").unwrap());
        let refused = shown("http://data.example.org").unwrap_err().to_string();
        assert!(refused.contains("use https") && !refused.contains("s3cret"), "{refused}");
        assert!(!format!("{access:?}").contains("s3cret"));
    }

    #[test]
    fn pauses_grow_and_have_an_end() {
        for failures in 1..40 {
            let full = 0.2 * f64::from(1u32 << (failures - 1).min(10));
            let pause = backoff(failures).as_secs_f64();
            assert!(pause >= full.min(15.0) / 2.0 && pause <= full.min(15.0), "{failures}: {pause}");
        }
    }
}

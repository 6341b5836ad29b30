//! A registry behind `http(s)://`: any static file server.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_RANGE, RANGE};
use reqwest::{Client, ClientBuilder, Response, StatusCode};

use super::{Body, BoxFuture, Chunks, Transport, Whole};
use crate::error::{Error, Result};

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a server may send nothing.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a request is made before it counts as failed.
const ATTEMPTS: u32 = 4;
const MAX_REDIRECTS: usize = 5;

/// A base URL and the client that fetches below it.
pub struct Http {
    base: String,
    client: Client,
}

impl Http {
    /// The registry below `base`, an `http://` or `https://` URL.
    pub fn new(base: &str) -> Result<Self> {
        let redirects = reqwest::redirect::Policy::custom(|attempt| {
            let from_https = attempt.previous().iter().any(|url| url.scheme() == "https");
            if attempt.previous().len() > MAX_REDIRECTS {
                attempt.error("too many redirects")
            } else if from_https && attempt.url().scheme() != "https" {
                attempt.error("redirected from https to http")
            } else {
                attempt.follow()
            }
        });
        let client = builder().read_timeout(IDLE_TIMEOUT).redirect(redirects).build();
        let client = client.map_err(|e| network(base, &e))?;
        Ok(Http { base: base.trim_end_matches('/').into(), client })
    }

    async fn request(&self, url: &str, range: Option<&Range<u64>>) -> Result<Response> {
        let mut failure = None;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(Duration::from_millis(200 << attempt)).await;
            }
            let mut request = self.client.get(url).header(ACCEPT_ENCODING, "identity");
            if let Some(range) = range {
                request = request.header(RANGE, format!("bytes={}-{}", range.start, range.end - 1));
            }
            match request.send().await {
                Ok(response) if response.status().is_server_error() || response.status() == 429 => {
                    failure = Some(answered(url, response.status()));
                }
                Ok(response) => return Ok(response),
                Err(e) => failure = Some(network(url, &e)),
            }
        }
        Err(failure.unwrap_or_else(|| Error::Internal("no attempt was made".into())))
    }
}

impl Transport for Http {
    fn locate(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    fn open<'a>(&'a self, path: &'a str, range: Option<Range<u64>>) -> BoxFuture<'a, Result<Option<Body>>> {
        Box::pin(async move {
            let url = self.locate(path);
            let response = self.request(&url, range.as_ref()).await?;
            let offset = match response.status() {
                StatusCode::OK => 0,
                StatusCode::PARTIAL_CONTENT => range_start(&response).ok_or_else(|| Error::Network {
                    url: url.clone(),
                    why: "sent a part without saying which".into(),
                })?,
                StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(None),
                // The file ends before the range begins: nothing to send.
                StatusCode::RANGE_NOT_SATISFIABLE => {
                    return Ok(Some(Whole::body(range.map_or(0, |range| range.start), Bytes::new())));
                }
                status => return Err(answered(&url, status)),
            };
            if response.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
                let why = "compressed the file in transit, though asked not to".into();
                return Err(Error::Network { url, why });
            }
            Ok(Some(Body { offset, chunks: Box::new(HttpChunks { response, url }) }))
        })
    }
}

struct HttpChunks {
    response: Response,
    url: String,
}

impl Chunks for HttpChunks {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>>> {
        Box::pin(async move { self.response.chunk().await.map_err(|e| network(&self.url, &e)) })
    }
}

/// What all clients have in common.
pub(super) fn builder() -> ClientBuilder {
    // ring, not aws-lc: the latter needs a C++ tool chain and triples the build time.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().user_agent(concat!("isn/", env!("CARGO_PKG_VERSION"))).connect_timeout(CONNECT_TIMEOUT)
}

/// The start of `Content-Range: bytes START-END/LENGTH`.
fn range_start(response: &Response) -> Option<u64> {
    let value = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    value.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()
}

fn answered(url: &str, status: StatusCode) -> Error {
    Error::Network { url: url.into(), why: format!("the server answered {status}") }
}

/// reqwest's message names the URL again and hides the reason in its sources: the reasons are what helps.
pub(super) fn network(url: &str, error: &reqwest::Error) -> Error {
    let mut reasons = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        reasons.push(inner.to_string());
        cause = inner.source();
    }
    let why = match reasons.pop() {
        Some(reason) if error.is_connect() => format!("cannot connect: {reason}"),
        _ if error.is_timeout() => "no answer in time".into(),
        Some(reason) => reason,
        None => error.to_string(),
    };
    Error::Network { url: url.into(), why }
}

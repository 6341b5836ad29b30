//! Uploads to a server that accepts publishing, by the protocol in docs/serve.md.

use std::io::Read;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderValue};
use reqwest::{Body, Client, RequestBuilder, Response, StatusCode};

use super::{Access, failure, http, pace, trace};
use crate::files;
use isn_format::error::{Error, Input, NetworkKind, Result};

/// The minimum length of a token that `isn serve` knows, in characters: `openssl rand -hex 16` makes twice as
/// many.
pub const SHORTEST_TOKEN: usize = 16;
/// How many bytes of a file to read at a time.
const PIECE: usize = 64 << 10;
/// The minimum time to wait for the response to statements: the server checks the version, and may have to
/// wait for other publishers.
const ANSWER: Duration = Duration::from_secs(600);
/// The minimum time to wait for the response to an object: the server may have to wait for its disk.
const STAGED: Duration = Duration::from_secs(60);
/// The maximum length of a response that is read, in bytes.
const MAX_ANSWER: usize = 64 << 10;
/// The path for publishing, below a registry's URL.
const PUBLISH: &str = "-/publish";

/// A server, with the token that it gave the user.
pub struct Upload {
    base: String,
    client: Client,
    token: HeaderValue,
    timeout: Duration,
}

impl Upload {
    /// Prepares uploads to the registry at `base`, with the token for its host.
    ///
    /// # Errors
    /// [`Error::NoToken`] if there is no token for it; [`Error::Invalid`] if the token must not be sent
    /// there, or the access settings are not valid.
    pub fn new(base: &str, access: &Access) -> Result<Self> {
        let base = base.trim_end_matches('/').to_string();
        let token = http::bearer(&base, access)?
            .ok_or_else(|| Error::NoToken { server: base.clone(), host: http::host_of(&base) })?;
        let no_redirects = || reqwest::redirect::Policy::none();
        let client = http::client(&base, access, |builder| builder.redirect(no_redirects()))?;
        Ok(Upload { base, client, token, timeout: access.timeout })
    }

    /// Whether the server has the object at `path`, in the registry or staged.
    ///
    /// # Errors
    /// As [`Upload::submit`].
    pub async fn has(&self, path: &str) -> Result<bool> {
        let url = self.url(path);
        let answer =
            self.within(self.timeout, &url, self.send("HEAD", &url, self.client.head(&url), 0)).await?;
        match answer.status() {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(self.refused(&url, answer).await),
        }
    }

    /// Stages the object of `length` bytes in the file `from`.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be opened; also as [`Upload::submit`].
    pub async fn put(&self, path: &str, from: &Path, length: u64) -> Result<()> {
        let url = self.url(path);
        let file = files::open(from)?;
        let taken = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&taken);
        // Reading blocks this thread, which has nothing else to do.
        let pieces = stream::unfold((file, counter), |(mut file, counter)| async move {
            let mut piece = vec![0; PIECE];
            let piece = match file.read(&mut piece) {
                Ok(0) => return None,
                Ok(read) => {
                    counter.fetch_add(read as u64, Ordering::Relaxed);
                    piece.truncate(read);
                    Ok(Bytes::from(piece))
                }
                Err(e) => Err(e),
            };
            Some((piece, (file, counter)))
        });
        let request = self.client.put(&url).header(CONTENT_LENGTH, length).body(Body::wrap_stream(pieces));
        let answer = self.taking(&url, self.send("PUT", &url, request, length), &taken, length).await?;
        match answer.status() {
            StatusCode::OK | StatusCode::CREATED => Ok(()),
            _ => Err(self.refused(&url, answer).await),
        }
    }

    /// Returns the response to a request whose body of `length` bytes the server must accept at the minimum
    /// rate.
    async fn taking(
        &self,
        url: &str,
        request: impl Future<Output = Result<Response>>,
        taken: &AtomicU64,
        length: u64,
    ) -> Result<Response> {
        let (mut request, mut before) = (pin!(request), 0);
        while before < length {
            if let Ok(answer) = tokio::time::timeout(self.timeout, &mut request).await {
                return answer;
            }
            let now = taken.load(Ordering::Relaxed);
            if now < length && now - before < pace::least(self.timeout) {
                let (took, seconds) = (now - before, self.timeout.as_secs());
                let why = format!("took {took} bytes in {seconds} seconds: too slow");
                return Err(Error::network(NetworkKind::Timeout, url, why));
            }
            before = now;
        }
        self.within(STAGED.max(self.timeout), url, request).await
    }

    /// Sends the statements in `body`; returns the body of the response.
    ///
    /// # Errors
    /// [`Error::Token`] if the server does not know the token; [`Error::Denied`] or [`Error::Invalid`] if it
    /// refuses; [`Error::Network`] if it cannot be reached, is too slow, or fails.
    pub async fn submit(&self, body: Vec<u8>) -> Result<Vec<u8>> {
        let url = self.url("statements");
        let length = body.len() as u64;
        let request = self.send("POST", &url, self.client.post(&url).body(body), length);
        let answer = self.within(ANSWER.max(self.timeout), &url, request).await?;
        if answer.status() != StatusCode::OK {
            return Err(self.refused(&url, answer).await);
        }
        self.read_answer(&url, answer).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{PUBLISH}/{path}", self.base)
    }

    async fn send(
        &self,
        method: &'static str,
        url: &str,
        request: RequestBuilder,
        length: u64,
    ) -> Result<Response> {
        let mut traced = trace::Request::new(method, url);
        let answer = request.header(AUTHORIZATION, self.token.clone()).send().await;
        let answer = answer.map_err(|e| failure::network(url, e))?;
        traced.answered(answer.status().as_u16());
        traced.moved(length);
        Ok(answer)
    }

    /// Returns the result of `done`, or a timeout.
    async fn within<T>(&self, time: Duration, url: &str, done: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::time::timeout(time, done).await.unwrap_or_else(|_| {
            let why = format!("no answer in {} seconds", time.as_secs());
            Err(Error::network(NetworkKind::Timeout, url, why))
        })
    }

    async fn read_answer(&self, url: &str, answer: Response) -> Result<Vec<u8>> {
        self.within(self.timeout, url, read_answer(url, answer)).await
    }

    /// Returns the error that a refusal means; the reason is in the server's own words.
    async fn refused(&self, url: &str, answer: Response) -> Error {
        let status = answer.status();
        let words = self.read_answer(url, answer).await.unwrap_or_default();
        match refused(url, status, &words) {
            Error::Token { server, why } if self.token.len() < "Bearer ".len() + SHORTEST_TOKEN => {
                let why = format!("{why}: it has fewer than {SHORTEST_TOKEN} characters");
                Error::Token { server, why }
            }
            error => error,
        }
    }
}

fn refused(url: &str, status: StatusCode, words: &[u8]) -> Error {
    let words: String = String::from_utf8_lossy(words).trim().chars().filter(|c| !c.is_control()).collect();
    let why = if words.is_empty() { format!("the server answered {status}") } else { words };
    match status {
        StatusCode::UNAUTHORIZED => {
            Error::Token { server: url.into(), why: "is not one that the server knows".into() }
        }
        StatusCode::FORBIDDEN => Error::Denied { server: url.into(), why },
        StatusCode::CONFLICT => Error::invalid(url, why),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            Error::invalid(url, "does not accept publishing: this server is read-only").of(Input::ReadOnly)
        }
        status if status.is_server_error() && status != StatusCode::INSUFFICIENT_STORAGE => {
            Error::network(failure::of_status(status), url, why)
        }
        _ => Error::invalid(url, why),
    }
}

async fn read_answer(url: &str, mut answer: Response) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|e| failure::network(url, e))? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > MAX_ANSWER {
            return Err(Error::network(NetworkKind::Broken, url, "the answer is too long"));
        }
    }
    Ok(bytes)
}

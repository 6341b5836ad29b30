//! Who may see the page: those who have the secret of this run, over a loopback address. Another web page
//! that the reviewer has open has neither, and cannot make the browser act on its behalf.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ssh_key::rand_core::{OsRng, RngCore};

/// Permits the script and the style of this page, and no others; new for every page.
#[derive(Clone, Debug)]
pub(super) struct Nonce(pub(super) String);

#[derive(Clone)]
pub(super) struct Guard {
    token: Arc<str>,
    /// The host in the page's address, and the same port with the name `localhost`.
    hosts: Arc<[String; 2]>,
}

impl Guard {
    pub(super) fn new(address: SocketAddr) -> Guard {
        let hosts = [address.to_string(), format!("localhost:{}", address.port())];
        Guard { token: random().into(), hosts: Arc::new(hosts) }
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/{}/", self.hosts[0], self.token)
    }

    fn admits(&self, request: &Request) -> bool {
        let token = request.uri().path().split('/').nth(1).unwrap_or_default();
        let text = |name: header::HeaderName| one(request.headers(), &name);
        // Another host name for this address means DNS rebinding; another origin means another page.
        let host = text(header::HOST).is_some_and(|host| self.hosts.iter().any(|known| known == host));
        let origin = match request.headers().get(header::ORIGIN) {
            Some(_) => text(header::ORIGIN)
                .is_some_and(|origin| self.hosts.iter().any(|known| origin == format!("http://{known}"))),
            None => request.method() != Method::POST,
        };
        same(token.as_bytes(), self.token.as_bytes()) && host && origin
    }
}

/// Returns the value of a header that occurs once.
fn one<'h>(headers: &'h HeaderMap, name: &header::HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Compares two secrets in a time that does not reveal where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

/// Returns 128 random bits from the operating system, in hex.
fn random() -> String {
    let mut bytes = [0; 16];
    OsRng.fill_bytes(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) async fn check(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    if !guard.admits(&request) {
        return (StatusCode::FORBIDDEN, "open the address that isn review printed").into_response();
    }
    let nonce = Nonce(random());
    let policy = format!(
        "default-src 'none'; img-src 'self'; style-src 'nonce-{0}'; script-src 'nonce-{0}'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'",
        nonce.0
    );
    request.extensions_mut().insert(nonce);
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    // Not `no-referrer`, with which browsers send the origin of a form as null.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

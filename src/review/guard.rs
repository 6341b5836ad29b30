//! Who may see the page: whoever has this run's secret, by way of this machine's own address. A page of the web that the
//! reviewer has open as well has neither, and cannot make the browser act for it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ssh_key::rand_core::{OsRng, RngCore};

/// What lets a script and a style of this page be used, and no other; new for every page.
#[derive(Clone, Debug)]
pub(super) struct Nonce(pub(super) String);

#[derive(Clone)]
pub(super) struct Guard {
    token: Arc<str>,
    /// As the page's address has it, and with the name that browsers know as this machine's.
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
        // Another name for this address is DNS rebinding; another origin is another page.
        let host = text(header::HOST).is_some_and(|host| self.hosts.iter().any(|known| known == host));
        let origin = match request.headers().get(header::ORIGIN) {
            Some(_) => text(header::ORIGIN)
                .is_some_and(|origin| self.hosts.iter().any(|known| origin == format!("http://{known}"))),
            None => request.method() != Method::POST,
        };
        same(token.as_bytes(), self.token.as_bytes()) && host && origin
    }
}

/// The only value of a header.
fn one<'h>(headers: &'h HeaderMap, name: &header::HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Equality in a time that does not tell where two secrets differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

/// 128 bits of the operating system's randomness, in hex.
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
    // Not `no-referrer`: with it, browsers give a form's origin as null.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

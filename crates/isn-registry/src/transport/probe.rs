//! Sends a server one small request, to see how it and the network behave.

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{ACCEPT_ENCODING, DATE, RANGE};
use tokio::time::Instant;

use super::failure::{self, network};
use super::{Access, http, trace};
use isn_format::error::{Error, Result};

/// What a server's response shows.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    /// The protocol: `HTTP/1.1` or `HTTP/2.0`.
    pub protocol: String,
    /// The time until the response began, including the connection.
    pub first_byte: Duration,
    /// The server's clock, if the response says.
    pub clock: Option<SystemTime>,
    /// Whether the server sent only the part that was asked for.
    pub sends_parts: bool,
}

/// Requests the first byte of the file at `url`.
///
/// # Errors
/// [`Error::Network`] if the network must not be used, or the server cannot be reached or refuses;
/// [`Error::Invalid`] if the access settings are not valid.
pub(crate) async fn probe(url: &str, access: &Access) -> Result<Probe> {
    if access.offline {
        return Err(Error::offline(url));
    }
    let client = http::client(url, access, |builder| builder.read_timeout(access.timeout))?;
    let begun = Instant::now();
    let mut request = client.get(url).header(ACCEPT_ENCODING, "identity").header(RANGE, "bytes=0-0");
    if let Some(token) = http::bearer(url, access)? {
        request = request.header(reqwest::header::AUTHORIZATION, token);
    }
    let mut traced = trace::Request::new("GET", url);
    let response = request.send().await.map_err(|e| network(url, e))?;
    let status = response.status();
    traced.answered(status.as_u16());
    if !status.is_success() {
        return Err(Error::network(failure::of_status(status), url, format!("the server answered {status}")));
    }
    let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
    Ok(Probe {
        protocol: format!("{:?}", response.version()),
        first_byte: begun.elapsed(),
        clock: date.and_then(|date| httpdate::parse_http_date(date).ok()),
        sends_parts: status == StatusCode::PARTIAL_CONTENT,
    })
}

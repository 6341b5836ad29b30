//! Classifies the failures of connections by the types of their causes, never by their words.

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs};

use reqwest::StatusCode;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use isn_format::error::{Cause, Error, NetworkKind};

/// Returns an error and its causes, including those that an `io::Error` hides.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |cause| below(*cause))
}

fn below<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(hidden) => Some(hidden),
        None => error.source(),
    }
}

/// Returns the kind of a failure without a response.
pub(super) fn kind(error: &(dyn StdError + 'static)) -> NetworkKind {
    causes(error).find_map(of_cause).unwrap_or(NetworkKind::Broken)
}

fn of_cause(cause: &(dyn StdError + 'static)) -> Option<NetworkKind> {
    if cause.is::<NoAddress>() {
        return Some(NetworkKind::Dns);
    }
    // The second one: the system has no certificates.
    if let Some(rustls::Error::InvalidCertificate(_) | rustls::Error::General(_)) = cause.downcast_ref() {
        return Some(NetworkKind::Certificate);
    }
    if let Some(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)) =
        cause.downcast_ref()
    {
        return Some(NetworkKind::NotTls);
    }
    if let Some(error) = cause.downcast_ref::<reqwest::Error>() {
        return error.is_timeout().then_some(NetworkKind::Timeout);
    }
    match cause.downcast_ref::<io::Error>()?.kind() {
        ErrorKind::TimedOut => Some(NetworkKind::Timeout),
        ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            Some(NetworkKind::Refused)
        }
        _ => None,
    }
}

/// Returns the kind of failure that a response with this status is.
pub(super) fn of_status(status: StatusCode) -> NetworkKind {
    match status {
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => NetworkKind::Proxy,
        status => NetworkKind::Status(status.as_u16()),
    }
}

/// Converts an error of reqwest. Its message repeats the URL and hides the reason in its sources, but the
/// reason is what helps.
pub(super) fn network(url: &str, error: reqwest::Error) -> Error {
    let kind = kind(&error);
    let (why, is_said) = match reason(&error) {
        Some(_) if error.is_connect() => ("cannot be reached".into(), false),
        _ if error.is_timeout() => ("no answer in time".into(), true),
        Some(reason) => (reason, true),
        None => (error.to_string(), true),
    };
    let source = (!is_said).then(|| Box::new(Reason(error)) as Cause);
    Error::Network { url: url.into(), why, kind, source }
}

/// The message of the last of an error's causes.
fn reason(error: &reqwest::Error) -> Option<String> {
    std::iter::successors(error.source(), |cause| (*cause).source()).last().map(ToString::to_string)
}

/// An error whose message is its reason alone.
#[derive(Debug)]
struct Reason(reqwest::Error);

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match reason(&self.0) {
            Some(reason) => f.write_str(&reason),
            None => self.0.fmt(f),
        }
    }
}

impl StdError for Reason {}

/// Resolves names as the system does. Without this, a failure to resolve a name could not be told from other
/// errors.
pub(super) struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let look_up = move || (name.as_str(), 0).to_socket_addrs().map(Iterator::collect::<Vec<SocketAddr>>);
        Box::pin(async move {
            let found = tokio::task::spawn_blocking(look_up).await?.map_err(NoAddress)?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// A name that does not resolve.
#[derive(Debug)]
struct NoAddress(io::Error);

impl fmt::Display for NoAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for NoAddress {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_known_by_the_types_of_its_causes() {
        let certificate = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let hidden = |error: rustls::Error| io::Error::new(ErrorKind::InvalidData, error);
        for (error, expected) in [
            (hidden(certificate), NetworkKind::Certificate),
            (hidden(rustls::Error::General("No CA certificates".into())), NetworkKind::Certificate),
            (hidden(rustls::Error::DecryptError), NetworkKind::Broken),
            (hidden(rustls::InvalidMessage::InvalidContentType.into()), NetworkKind::NotTls),
            (io::Error::other(NoAddress(io::Error::other("nowhere"))), NetworkKind::Dns),
            (ErrorKind::ConnectionRefused.into(), NetworkKind::Refused),
            (io::Error::other(io::Error::from(ErrorKind::TimedOut)), NetworkKind::Timeout),
            (io::Error::other("certificate, offline, refused, timed out"), NetworkKind::Broken),
        ] {
            assert_eq!(kind(&error), expected, "{error:?}");
        }
    }
}

//! `isn serve`: the registry in a folder over HTTP/1.1 and HTTP/2. Any static server does as well; this one knows which
//! files are the registry's, which of them never change, and may take in what others publish.
//!
//! [`Server::bind`] checks everything and opens the port, [`Server::run`] serves until it is told to stop. A request goes
//! through `connection` (limits, TLS, timeouts) to `files` or to `publish`; `conditions` decides what of a file is
//! sent and `body` reads it no faster than the client takes it, so that a slow client costs a socket and one small piece;
//! `direct` spares even that, after a `trial`. `limits` are of an address, `streams` watches each answer of HTTP/2.

mod body;
mod conditions;
mod connection;
mod direct;
mod files;
mod limits;
mod metrics;
mod pace;
mod publish;
mod quota;
mod staging;
mod streams;
mod tls;
pub mod tokens;
mod trial;
mod watched;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use tokio::net::TcpListener;

use isn_format::error::{Error, Missing, Result};
use isn_registry::files::read_capped;
use isn_registry::known_logs::KnownLogs;
use isn_registry::registry::{About, MAX_HINT, layout};
use isn_registry::trust::TrustStore;

/// The most threads that wait for disks: uploads have some of them for as long as they last.
const MAX_WAITING: usize = 64;

/// What to serve, where, and within which limits.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The registry's folder.
    pub registry: PathBuf,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Certificate chain and private key, as PEM files; without them it is plain HTTP.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// The most connections at a time.
    pub max_connections: usize,
    /// The most of them from one IPv4 address or one IPv6 network of 64 bits; 0 is no limit.
    pub max_per_address: usize,
    /// How long a client may take for the head of a request, and for TLS.
    pub header_timeout: Duration,
    /// How long a client may neither ask, nor send or take a kilobyte.
    pub idle_timeout: Duration,
    /// How long answers may go on after the signal to stop.
    pub grace: Duration,
    /// Threads for connections.
    pub threads: usize,
    /// Who may publish; nobody without.
    pub publish: Option<PublishOptions>,
    /// Whether to say every request.
    pub log: bool,
}

/// Who may publish, and how much.
#[derive(Clone, Debug)]
pub struct PublishOptions {
    /// The file with a name and the BLAKE3 of a token a line; it is read anew for each request.
    pub tokens: PathBuf,
    /// How many bytes each of them may have staged.
    pub quota: u64,
    /// How many objects each of them may have staged.
    pub most_objects: usize,
    /// The most images that a version may have: what its check takes of memory grows with them.
    pub most_images: u64,
    /// How many entries each of them may add to the log in a day.
    pub most_entries: usize,
    /// Where the log's private key is.
    pub logs: KnownLogs,
    /// Which log the folder must have, if its keeper says so.
    pub trust: TrustStore,
}

/// Takes what the server's keeper should read, a line at a time: what was published, what failed, and with
/// [`ServeOptions::log`] every request.
pub type Say = Arc<dyn Fn(&str) + Send + Sync>;

/// A server that is bound to its port.
pub struct Server {
    runtime: tokio::runtime::Runtime,
    listener: TcpListener,
    address: SocketAddr,
    service: Arc<connection::Service>,
}

/// What a server has done when it ends.
#[derive(Clone, Copy, Debug)]
pub struct ServeReport {
    /// Connections that were let in.
    pub connections: u64,
    /// Bytes that were sent, headers and TLS included.
    pub sent: u64,
    /// Whether all answers were finished within the time of grace.
    pub finished: bool,
}

impl Server {
    /// Checks the folder, the certificate and the tokens, and opens the port.
    pub fn bind(options: &ServeOptions, say: Say) -> Result<Self> {
        let about = options.registry.join(layout::REGISTRY_JSON);
        if !about.is_file() {
            return Err(Error::not_found(
                Missing::Registry,
                layout::REGISTRY_JSON,
                options.registry.display(),
            ));
        }
        let log_key = About::parse(&about.display().to_string(), &read_capped(&about, MAX_HINT)?)?.log_key;
        let tls = options.tls.as_ref().map(|(cert, key)| tls::acceptor(cert, key)).transpose()?;
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let builder = builder.worker_threads(options.threads).max_blocking_threads(MAX_WAITING);
        let builder = builder.enable_all();
        let runtime = builder.build().map_err(|e| Error::Internal(format!("tokio: {e}")))?;
        let tried = runtime.block_on(trial::stand_ins(|body| body));
        if let (Err(e), true) = (&tried, direct::IS_POSSIBLE) {
            say(&format!(
                "files are copied on their way to clients: sending them directly failed its test: {e}"
            ));
        }
        if let (Some(publish), Some(key)) = (&options.publish, &log_key)
            && publish.logs.log(key).signer()?.is_none()
        {
            say("the log's private key is not on this machine: what is sent here cannot be published");
        }
        let service = Arc::new(connection::Service::new(options, tls, tried.is_ok(), say)?);
        let cannot = |e: std::io::Error| Error::invalid(format!("--listen {}", options.listen), e);
        let listener = runtime.block_on(TcpListener::bind(options.listen)).map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        Ok(Server { runtime, listener, address, service })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What `--registry` takes.
    pub fn url(&self) -> String {
        format!("{}://{}", self.service.scheme(), self.address)
    }

    /// Serves until SIGTERM or SIGINT, then finishes what is being sent.
    pub fn run(self) -> Result<ServeReport> {
        let Server { runtime, listener, service, .. } = self;
        let report = runtime.block_on(connection::accept(listener, service));
        // Nobody is waited for any more, least of all a thread that waits for a lock or a disk. What such a thread had begun
        // is as after a kill: whole, or not there.
        runtime.shutdown_background();
        report
    }
}

/// Whether the registry can be read now.
fn check_health(registry: &Path) -> Result<()> {
    let path = registry.join(layout::REGISTRY_JSON);
    About::parse(layout::REGISTRY_JSON, &read_capped(&path, MAX_HINT)?).map(drop)
}

/// The answer to a client that has too much under way. Without words: HTTP/2 could not get rid of them where the client
/// takes nothing.
fn busy() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// A short answer in words.
fn text(status: StatusCode, words: &str) -> Response {
    let mut response = Response::new(Body::from(format!("{words}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

//! `isn serve`: serves the registry in a folder over HTTP/1.1 and HTTP/2. Any static file server can do that;
//! this one knows which files are public, which of them never change, and can accept what others publish.
//!
//! [`Server::bind`] checks everything and opens the port, [`Server::run`] serves until it is told to stop. A
//! request goes through `connection` (limits, TLS, timeouts) to `files` or to `publish`. `conditions` decides
//! which part of a file to send, and `body` reads it only as fast as the client accepts it, so that a slow
//! client costs a socket and one small piece; `direct` saves even that, after a `trial`. `limits` apply to an
//! address, and `streams` watches each response of HTTP/2.

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

use isn_format::error::{Error, Result};
use isn_format::log::{MAX_CHECKPOINT, SignedCheckpoint};
use isn_registry::files::{is_absent, read_capped_if_there};
use isn_registry::known_logs::KnownLogs;
use isn_registry::registry::{About, MAX_HINT, has_lost_about, layout, no_registry};
use isn_registry::transport::folder::unreadable;
use isn_registry::trust::TrustStore;

/// The maximum number of threads that wait for disks; each upload occupies one for as long as it lasts.
const MAX_WAITING: usize = 64;

/// What to serve, where, and within which limits.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The registry's folder.
    pub registry: PathBuf,
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The PEM files of the certificate chain and the private key; without them the server speaks plain HTTP.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// The maximum number of connections.
    pub max_connections: usize,
    /// The maximum number of connections from one IPv4 address or one IPv6 network of 64 bits; 0 means no
    /// limit.
    pub max_per_address: usize,
    /// How long a client may take for the head of a request, and for the TLS handshake.
    pub header_timeout: Duration,
    /// How long a client may neither send a request, nor move a kilobyte.
    pub idle_timeout: Duration,
    /// How long responses may continue after the signal to stop.
    pub grace: Duration,
    /// The number of threads for connections.
    pub threads: usize,
    /// Who may publish; nobody if absent.
    pub publish: Option<PublishOptions>,
    /// Whether to report every request.
    pub log: bool,
}

/// Who may publish, and how much.
#[derive(Clone, Debug)]
pub struct PublishOptions {
    /// The file with a name and the BLAKE3 of a token on each line; read again for each request.
    pub tokens: PathBuf,
    /// The maximum number of bytes that each token may have staged.
    pub quota: u64,
    /// The maximum number of objects that each token may have staged.
    pub most_objects: usize,
    /// The maximum number of images of a version, which determines how much memory its check needs.
    pub most_images: u64,
    /// The maximum number of entries that each token may add to the log in a day.
    pub most_entries: usize,
    /// The folder with the log's private key.
    pub logs: KnownLogs,
    /// The trust store, which may say which log the folder must have.
    pub trust: TrustStore,
}

/// Receives what the server's operator should read, one line at a time: what was published, what failed and,
/// with [`ServeOptions::log`], every request.
pub type Say = Arc<dyn Fn(&str) + Send + Sync>;

/// A server that is bound to its port.
pub struct Server {
    runtime: tokio::runtime::Runtime,
    listener: TcpListener,
    address: SocketAddr,
    service: Arc<connection::Service>,
}

/// What a server has done.
#[derive(Clone, Copy, Debug)]
pub struct ServeReport {
    /// The number of accepted connections.
    pub connections: u64,
    /// The number of bytes sent, including headers and TLS.
    pub sent: u64,
    /// Whether all responses were finished within the grace period.
    pub finished: bool,
}

impl Server {
    /// Checks the folder, the certificate and the tokens, and opens the port.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the folder is not a registry; [`Error::Invalid`] if an option or one of the
    /// files is not valid; [`Error::Io`] if a file cannot be read.
    pub fn bind(options: &ServeOptions, say: Say) -> Result<Self> {
        let about = options.registry.join(layout::REGISTRY_JSON);
        if is_absent(&about) && !has_lost_about(&options.registry) {
            return Err(no_registry(&options.registry));
        }
        let log_key = readable(&options.registry)?.log_key;
        let tls = options.tls.as_ref().map(|(cert, key)| tls::acceptor(cert, key)).transpose()?;
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let builder = builder.worker_threads(options.threads).max_blocking_threads(MAX_WAITING);
        let builder = builder.enable_all();
        let runtime = builder.build().map_err(|e| Error::Internal(format!("tokio: {e}")))?;
        let tried = runtime.block_on(trial::stand_ins(|body| body));
        if let (Err(e), true) = (&tried, direct::IS_POSSIBLE) {
            say(&format!(
                "files are copied on their way to clients, since a test of sending them directly failed: {e}"
            ));
        }
        if let (Some(publish), Some(key)) = (&options.publish, &log_key)
            && publish.logs.log(key).signer()?.is_none()
        {
            say("the log's private key is not on this machine: what is sent here cannot be published");
        }
        let service = Arc::new(connection::Service::new(options, tls, tried.is_ok(), say)?);
        let cannot = |e: std::io::Error| {
            let more = match e.kind() {
                std::io::ErrorKind::AddrInUse => ": another program uses that port, so choose another one",
                _ => "",
            };
            Error::invalid(format!("--listen {}", options.listen), format!("{e}{more}"))
        };
        let listener = runtime.block_on(TcpListener::bind(options.listen)).map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        Ok(Server { runtime, listener, address, service })
    }

    /// The address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL to pass to `--registry`.
    pub fn url(&self) -> String {
        format!("{}://{}", self.service.scheme(), self.address)
    }

    /// Serves until SIGTERM or SIGINT, then finishes the responses under way.
    ///
    /// # Errors
    /// [`Error::Internal`] if the signals cannot be handled.
    pub fn run(self) -> Result<ServeReport> {
        let Server { runtime, listener, service, .. } = self;
        let report = runtime.block_on(connection::accept(listener, service));
        // Waits for nobody any more, least of all for a thread that waits for a lock or a disk. What such a
        // thread had begun is left as after a kill: complete, or absent.
        runtime.shutdown_background();
        report
    }
}

/// Reads what every client asks for first: `registry.json`, which is returned, and the log's checkpoint.
fn readable(registry: &Path) -> Result<About> {
    let (about, checkpoint) = (registry.join(layout::REGISTRY_JSON), registry.join(layout::CHECKPOINT));
    let read = |path: &Path, cap| read_capped_if_there(path, cap).map_err(|e| unreadable(path, e));
    let missing = |path: &Path, why| Error::integrity(path.display(), why);
    let bytes = read(&about, MAX_HINT)?.ok_or_else(|| missing(&about, "is missing"))?;
    let root = registry.canonicalize().map_err(Error::io("look at", registry))?;
    let why = "is a symlink to what is not served: put the files themselves there";
    for path in [&about, &checkpoint].into_iter().filter(|path| path.exists()) {
        let place = files::public_place(&root, path).map_err(Error::io("look at", path))?;
        place.ok_or_else(|| Error::invalid(path.display(), why))?;
    }
    for path in ["attestations", "log", "objects", "packs", "pins", "releases"].map(|name| root.join(name)) {
        let Ok(there) = path.symlink_metadata() else { continue };
        if !there.is_dir() {
            let why = if there.is_symlink() { why } else { "is not a folder" };
            return Err(Error::invalid(path.display(), why));
        }
    }
    let found = About::parse(&about.display().to_string(), &bytes)?;
    match read(&checkpoint, MAX_CHECKPOINT)? {
        Some(bytes) => {
            let parsed = SignedCheckpoint::parse(&checkpoint.display().to_string(), bytes);
            // Nobody else shows it: it is damaged.
            parsed.map_err(|e| match e {
                Error::Trust { what, why } => Error::integrity(what, why),
                e => e,
            })?;
        }
        None if found.log_key.is_some() => {
            return Err(missing(&checkpoint, "is missing, and registry.json names a log"));
        }
        None => {}
    }
    Ok(found)
}

/// The response to a client that has too much under way. It has no body, which HTTP/2 could not send to a
/// client that accepts nothing.
fn busy() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// A short response in plain text.
fn text(status: StatusCode, words: &str) -> Response {
    let mut response = Response::new(Body::from(format!("{words}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

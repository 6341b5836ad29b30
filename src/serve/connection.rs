//! Handles connections from the port to the response: accepts or refuses them, runs TLS and HTTP with their
//! timeouts, and ends them.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{get, post, put};
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::http::uri::Authority;
use hyper::service::{Service as _, service_fn};
use hyper::{Method, StatusCode, Uri, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::direct::Lane;
use super::files::Files;
use super::limits::{Admission, Limits, Share};
use super::metrics::Metrics;
use super::publish::Publishing;
use super::streams::{Answer, Streams};
use super::watched::{Activity, Watched};
use super::{Say, ServeOptions, ServeReport, busy, publish, readable, text};
use isn_format::error::{Error, Result};

/// The maximum length of a request's head, in bytes; also how much of an HTTP/1 response waits for the
/// socket, besides its last piece.
const MAX_HEAD: usize = 16 << 10;
/// How many bytes of an upload over HTTP/2 may arrive before they are read, which bounds what is under way at
/// a time.
const MAX_UNREAD: u32 = 256 << 10;
/// How many bytes of an HTTP/2 response wait for the socket: all that a body returns at a time.
const MAX_WAITING: usize = 64 << 10;
/// How many unsent bytes the kernel buffers for a client.
#[cfg(target_os = "linux")]
const MAX_UNSENT: u32 = 128 << 10;
/// The maximum number of concurrent requests on one HTTP/2 connection.
const MAX_STREAMS: u32 = 32;
/// The maximum number of refused connections that get a response at once; others are just closed.
const MAX_REFUSALS: usize = 64;
/// How long to keep reading from a refused client.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(2);
/// How long to pause when the operating system has no more sockets.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// What all connections share.
pub(super) struct Service {
    options: ServeOptions,
    tls: Option<TlsAcceptor>,
    say: Say,
    /// Whether files go to sockets directly.
    is_direct: bool,
    files: Files,
    limits: Arc<Limits>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) publishing: Option<Arc<Publishing>>,
}

impl Service {
    pub(super) fn new(
        options: &ServeOptions,
        tls: Option<TlsAcceptor>,
        is_direct: bool,
        say: Say,
    ) -> Result<Self> {
        let limits = Arc::new(Limits::new(options.max_connections, options.max_per_address));
        let files = Files::new(&options.registry)?;
        let publishing = options
            .publish
            .as_ref()
            .map(|publish| Publishing::open(&options.registry, publish, options.idle_timeout).map(Arc::new))
            .transpose()?;
        let (options, metrics) = (options.clone(), Arc::default());
        Ok(Service { options, tls, say, is_direct, files, limits, metrics, publishing })
    }

    /// Reports a line to the server's operator.
    pub(super) fn say(&self, line: &str) {
        (self.say)(line);
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

/// Accepts connections until a signal to stop; then waits for the open ones.
pub(super) async fn accept(listener: TcpListener, service: Arc<Service>) -> Result<ServeReport> {
    let router = router(service.clone());
    let graceful = GracefulShutdown::new();
    let refusals = Arc::new(tokio::sync::Semaphore::new(MAX_REFUSALS));
    let mut stop = Stop::new()?;
    if let Some(publishing) = service.publishing.clone() {
        tokio::spawn(publish::keep_tidy(publishing));
    }
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.told() => break,
        };
        let Ok((stream, peer)) = accepted else {
            // Either there are no more sockets, or a client went away at once: neither ends the server.
            tokio::time::sleep(EXHAUSTED).await;
            continue;
        };
        match service.limits.admit(peer.ip()) {
            Some(admission) => {
                service.metrics.connections.add(1);
                let (service, router) = (service.clone(), router.clone());
                tokio::spawn(serve(stream, peer, admission, service, router, graceful.watcher()));
            }
            None => {
                service.metrics.refused.add(1);
                if let (None, Ok(permit)) = (&service.tls, refusals.clone().try_acquire_owned()) {
                    tokio::spawn(async move {
                        let _ = timeout(REFUSAL_TIMEOUT, refuse(stream)).await;
                        drop(permit);
                    });
                }
            }
        }
    }
    drop(listener);
    let settled = async {
        graceful.shutdown().await;
        // A publish continues even if its client has gone away.
        if let Some(publishing) = &service.publishing {
            publishing.settled().await;
        }
    };
    let finished = tokio::select! {
        ended = timeout(service.options.grace, settled) => ended.is_ok(),
        () = stop.told() => false,
    };
    let metrics = &service.metrics;
    Ok(ServeReport { connections: metrics.connections.get(), sent: metrics.sent.get(), finished })
}

/// The signals to stop.
struct Stop {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Stop {
    #[cfg(unix)]
    fn new() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let cannot = |e| Error::Internal(format!("signals: {e}"));
        let terminate = signal(SignalKind::terminate()).map_err(cannot)?;
        Ok(Stop { terminate, interrupt: signal(SignalKind::interrupt()).map_err(cannot)? })
    }

    #[cfg(unix)]
    async fn told(&mut self) {
        tokio::select! { _ = self.terminate.recv() => {}, _ = self.interrupt.recv() => {} }
    }

    #[cfg(not(unix))]
    fn new() -> Result<Self> {
        Ok(Stop {})
    }

    #[cfg(not(unix))]
    async fn told(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}

/// Tells a client that there are too many connections, and lets it read that: a socket that is closed with an
/// unread request would discard the response.
async fn refuse(mut stream: TcpStream) -> std::io::Result<()> {
    let answer = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Type: text/plain; charset=utf-8\r\n\
                  Content-Length: 21\r\nConnection: close\r\n\r\ntoo many connections\n";
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    let mut unread = [0; 1024];
    while stream.read(&mut unread).await? > 0 {}
    Ok(())
}

/// Handles one connection from its first byte to its last.
async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    admission: Admission,
    service: Arc<Service>,
    router: Router,
    watcher: Watcher,
) {
    let _ = stream.set_nodelay(true);
    // Otherwise the kernel accepts megabytes at once, and then nothing for minutes, so that a slow client
    // could not be told from one that has stopped reading.
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(MAX_UNSENT);
    let activity = Arc::<Activity>::default();
    let (metrics, options) = (service.metrics.clone(), &service.options);
    let lane = Arc::<Lane>::default();
    let stream = Watched::new(stream, metrics, activity.clone(), lane.clone(), options.idle_timeout);
    let share = admission.share.clone();
    let mut client = Client { address: peer.ip(), activity, share, lane: None };
    match &service.tls {
        None => {
            client.lane = service.is_direct.then_some(lane);
            http(Box::new(stream), client, &service, router, watcher).await;
        }
        Some(tls) => {
            if let Ok(Ok(stream)) = timeout(options.header_timeout, tls.accept(stream)).await {
                http(Box::new(stream), client, &service, router, watcher).await;
            }
        }
    }
    drop(admission);
}

/// The client of a connection.
struct Client {
    address: IpAddr,
    activity: Arc<Activity>,
    share: Arc<Share>,
    /// The lane, if files may go to the socket directly.
    lane: Option<Arc<Lane>>,
}

/// A socket with or without TLS. A trait object, so that HTTP is compiled only once.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

async fn http(
    stream: Box<dyn Stream>,
    client: Client,
    service: &Arc<Service>,
    router: Router,
    watcher: Watcher,
) {
    let (idle, metrics) = (service.options.idle_timeout, service.metrics.clone());
    let streams = Streams { activity: client.activity.clone(), metrics, idle };
    let builder = builder(streams, service.options.header_timeout);
    let address = client.address;
    let answers = service_fn(|mut request: hyper::Request<Incoming>| {
        client.activity.request(request.version());
        request.extensions_mut().insert(client.activity.clone());
        request.extensions_mut().insert(client.share.clone());
        let permit = client.share.answer();
        if let (Some(lane), true) = (&client.lane, request.version() < Version::HTTP_2) {
            request.extensions_mut().insert(lane.clone());
        }
        let (service, router) = (service.clone(), router.clone());
        async move {
            let method = request.method().clone();
            let begun = service.options.log.then(|| (Instant::now(), in_a_line(request.uri())));
            let response = match permit {
                None => busy(),
                Some(permit) => {
                    let answer = TowerToHyperService::new(router).call(request.map(Body::new)).await;
                    let response = answer.unwrap_or_else(|never: Infallible| match never {});
                    response.map(|body| Body::new(Answer::new(body, permit)))
                }
            };
            let status = response.status();
            service.metrics.answered(&method, status);
            let Some((begun, path)) = begun else { return Ok::<_, Infallible>(response) };
            let line = Line { say: service.say.clone(), address, method, path, begun, status };
            Ok(response.map(|body| Body::new(Logged { body, sent: 0, line })))
        }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), answers);
    // Errors on a connection are the client's own affair.
    let _ = watcher.watch(connection.into_owned()).await;
}

/// The settings of HTTP.
pub(super) fn builder(streams: Streams, header_timeout: Duration) -> Builder<Streams> {
    let mut builder = Builder::new(streams);
    builder.http1().timer(TokioTimer::new()).header_read_timeout(header_timeout).max_buf_size(MAX_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD as u32)
        .max_send_buf_size(MAX_WAITING)
        .initial_stream_window_size(MAX_UNREAD)
        .initial_connection_window_size(MAX_UNREAD);
    builder
}

fn router(service: Arc<Service>) -> Router {
    let mut router = Router::new().route("/-/health", get(health)).route("/-/metrics", get(metrics));
    if service.publishing.is_some() {
        router = router
            .route("/-/publish/objects/{prefix}/{file}", put(publish::object).head(publish::is_there))
            .route("/-/publish/statements", post(publish::statements));
    }
    router.fallback(file).with_state(service)
}

async fn file(State(service): State<Arc<Service>>, request: Request) -> Response {
    let lane = request.extensions().get::<Arc<Lane>>().cloned();
    let Some(share) = request.extensions().get::<Arc<Share>>() else { return busy() };
    service.files.answer(request.method(), request.uri().path(), request.headers(), share, lane).await
}

async fn health(State(service): State<Arc<Service>>) -> Response {
    let registry = service.options.registry.clone();
    match tokio::task::spawn_blocking(move || readable(&registry)).await {
        Ok(Ok(_)) => text(StatusCode::OK, "ok"),
        _ => text(StatusCode::SERVICE_UNAVAILABLE, "registry.json or the log's checkpoint cannot be read"),
    }
}

async fn metrics(State(service): State<Arc<Service>>) -> Response {
    text(StatusCode::OK, service.metrics.text(service.limits.open()).trim_end())
}

/// The path of a request as one field of a log line; for a request without a path, such as CONNECT, its
/// authority.
fn in_a_line(uri: &Uri) -> String {
    let asked =
        if uri.path().is_empty() { uri.authority().map_or("-", Authority::as_str) } else { uri.path() };
    let mut field = String::new();
    for byte in asked.bytes() {
        match byte {
            b'!'..=b'~' => field.push(char::from(byte)),
            _ => field.push_str(&format!("%{byte:02X}")),
        }
    }
    field
}

/// The parts of a line of the access log.
struct Line {
    say: Say,
    address: IpAddr,
    method: Method,
    path: String,
    begun: Instant,
    status: StatusCode,
}

/// A body that writes a log line when it ends: `UNIX-TIME ADDRESS METHOD PATH STATUS BYTES SECONDS`.
struct Logged {
    body: Body,
    sent: u64,
    line: Line,
}

impl hyper::body::Body for Logged {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.sent += frame.data_ref().map_or(0, Bytes::len) as u64;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        let Line { say, address, method, path, begun, status } = &self.line;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let (status, sent, took) = (status.as_u16(), self.sent, begun.elapsed().as_secs_f64());
        say(&format!("{now:.3} {address} {method} {path} {status} {sent} {took:.3}"));
    }
}

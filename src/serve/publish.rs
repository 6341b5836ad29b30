//! Publishing over HTTP: objects are staged one by one, then a request with the signed statements makes a
//! release of them. A token permits use of the server's disk; what counts in the log is the statements'
//! signatures. docs/serve.md has the protocol.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, mpsc};

use super::connection::Service;
use super::pace::{self, Paced, Stopped};
use super::quota::Entries;
use super::staging::{self, Ended, Quota, Staging};
use super::watched::Activity;
use super::{PublishOptions, text, tokens};
use isn_format::digest::Digest;
use isn_format::error::{Error, Result, chain};
use isn_format::statement::SignedStatement;
use isn_registry::known_logs::KnownLogs;
use isn_registry::ops::accept::{self, AcceptReport, Destination, Rejected, Submission};
use isn_registry::registry::append::check_place;
use isn_registry::registry::layout::{self, Public};
use isn_registry::registry::store::FolderStore;
use isn_registry::trust::{Known, TrustStore};

/// The maximum length of a request with statements, in bytes: several of the longest statements, or thousands
/// of packs.
const MAX_SUBMISSION: usize = 1 << 20;
/// The maximum number of concurrent uploads, in all and with one token.
const MAX_UPLOADS: usize = 16;
const MAX_UPLOADS_OF_ONE: usize = 4;
/// The maximum number of submissions that are checked at once, each with memory for its images; at most one
/// with each token.
const MAX_CHECKS: usize = 2;
/// The maximum number of submissions of a token that wait for their turn.
const MAX_WAITING_OF_ONE: usize = 2;
/// How often stale objects are looked for.
const TIDY_EVERY: Duration = Duration::from_secs(3600);

/// The state of publishing.
pub(super) struct Publishing {
    registry: PathBuf,
    tokens: PathBuf,
    logs: KnownLogs,
    trust: TrustStore,
    staging: Staging,
    most_images: u64,
    entries: Entries,
    /// The period over which an upload must keep to the minimum rate.
    window: Duration,
    uploads: Semaphore,
    checks: Arc<Semaphore>,
    slots: Mutex<HashMap<String, Arc<Slots>>>,
}

/// What may be under way with one token.
struct Slots {
    uploads: Semaphore,
    submissions: Arc<Semaphore>,
    /// For submissions, including the one that is being checked.
    waiting: Semaphore,
}

impl Default for Slots {
    fn default() -> Self {
        Slots {
            uploads: Semaphore::new(MAX_UPLOADS_OF_ONE),
            submissions: Arc::new(Semaphore::new(1)),
            waiting: Semaphore::new(1 + MAX_WAITING_OF_ONE),
        }
    }
}

/// The body of a request with statements.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    /// The exact files, which are ASCII.
    statements: Vec<String>,
    #[serde(default)]
    packs: Vec<Digest>,
    #[serde(default)]
    rebuild_only: bool,
}

/// An object that a client wants to stage.
struct Upload {
    holder: String,
    path: String,
    digest: Digest,
}

/// The response to a refused request: status and reason.
struct Refusal(StatusCode, String);

impl Publishing {
    pub(super) fn open(registry: &Path, options: &PublishOptions, window: Duration) -> Result<Self> {
        tokens::read(&options.tokens)?;
        check_place(&FolderStore::new(registry), Known { trust: &options.trust, logs: &options.logs })?;
        let quota = Quota { bytes: options.quota, objects: options.most_objects };
        Ok(Publishing {
            registry: registry.to_path_buf(),
            tokens: options.tokens.clone(),
            logs: options.logs.clone(),
            trust: options.trust.clone(),
            staging: Staging::open(registry, quota)?,
            most_images: options.most_images,
            entries: Entries::new(options.most_entries),
            window,
            uploads: Semaphore::new(MAX_UPLOADS),
            checks: Arc::new(Semaphore::new(MAX_CHECKS)),
            slots: Mutex::default(),
        })
    }

    /// Returns what may be under way with a token.
    fn slots_of(&self, holder: &str) -> Arc<Slots> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.entry(holder.into()).or_default().clone()
    }

    /// Returns once no submission is being checked or appended; no new one is begun.
    pub(super) async fn settled(&self) {
        let _ = self.checks.acquire_many(MAX_CHECKS as u32).await.map(SemaphorePermit::forget);
    }

    fn holder(&self, headers: &HeaderMap) -> Result<String, Refusal> {
        let holder = tokens::holder(&self.tokens, headers)?;
        holder.ok_or_else(|| {
            Refusal(StatusCode::UNAUTHORIZED, "this needs a token: Authorization: Bearer TOKEN".into())
        })
    }

    /// Returns the object to be uploaded to a path of this server, and whether it is there already.
    fn upload(&self, path: &str, headers: &HeaderMap) -> Result<(Upload, bool), Refusal> {
        let holder = self.holder(headers)?;
        let path = path.trim_start_matches("/-/publish/").to_string();
        let Some(Public::Object(digest)) = layout::public(&path) else {
            return refuse(StatusCode::NOT_FOUND, format!("{path} is not the path of an object"));
        };
        let upload = Upload { holder, path, digest };
        let has = self.has(&upload)?;
        Ok((upload, has))
    }

    /// As [`Publishing::upload`], on a thread that may wait for the disk.
    async fn find(self: &Arc<Self>, path: String, headers: HeaderMap) -> Result<(Upload, bool), Refusal> {
        let this = self.clone();
        waiting(move || this.upload(&path, &headers)).await?
    }

    /// Whether an object is in the registry or staged. A staged one then counts as just staged.
    fn has(&self, Upload { holder, path, .. }: &Upload) -> Result<bool> {
        let staged = self.staging.of(holder).join(path);
        if let Some(file) = accept::open(&self.registry, &staged)? {
            file.set_modified(SystemTime::now()).map_err(Error::io("write", &staged))?;
            return Ok(true);
        }
        Ok(accept::open(&self.registry, &self.registry.join(path))?.is_some())
    }

    /// Stages an object, and returns its length; `None` if it was there already.
    async fn stage(
        self: &Arc<Self>,
        request: Request,
        activity: Arc<Activity>,
    ) -> Result<Option<u64>, Refusal> {
        let (upload, has) = self.find(request.uri().path().into(), request.headers().clone()).await?;
        if has {
            return Ok(None);
        }
        let Upload { holder, path, digest } = upload;
        let length =
            request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let Some(length) = length else {
            return refuse(StatusCode::LENGTH_REQUIRED, "an object is sent with its Content-Length");
        };
        let quota = self.staging.quota();
        if length > quota.bytes {
            let why = format!("the object is longer than the quota of {} bytes", quota.bytes);
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, why);
        }
        let slots = self.slots_of(&holder);
        let (Ok(_of_token), Ok(_of_all)) = (slots.uploads.try_acquire(), self.uploads.try_acquire()) else {
            return refuse(StatusCode::SERVICE_UNAVAILABLE, "too many uploads at once");
        };
        let Some(room) = self.staging.room(&holder, length) else {
            let Quota { bytes, objects } = quota;
            let why =
                format!("with this object, more than {objects} objects or {bytes} bytes would be staged");
            return refuse(StatusCode::INSUFFICIENT_STORAGE, why);
        };
        let (sender, receiver) = mpsc::channel(4);
        let folder = self.staging.of(&holder);
        // The reservation belongs to the writer, which may outlive this request.
        let writing = tokio::task::spawn_blocking(move || {
            staging::write(&folder, &folder.join(&path), digest, length, receiver)?;
            room.keep(&path);
            Ok(())
        });
        let mut body = Paced::new(request.into_body(), activity.clone(), self.window);
        let stopped = loop {
            match body.next().await {
                Ok(Some(piece)) => {
                    // If the writer has ended, its result below says why.
                    if sender.send(piece).await.is_err() {
                        break None;
                    }
                }
                Ok(None) => break None,
                Err(stopped) => break Some(stopped),
            }
        };
        drop(sender);
        let _working = activity.working();
        match writing.await.map_err(|e| Error::Internal(e.to_string()))? {
            Ok(()) => Ok(Some(length)),
            Err(Ended::Early) if stopped == Some(Stopped::Slow) => Err(too_slow()),
            Err(Ended::Early) => {
                refuse(StatusCode::BAD_REQUEST, format!("the object is not {length} bytes long"))
            }
            Err(Ended::Other(found)) => refuse(
                StatusCode::UNPROCESSABLE_ENTITY,
                format!("the object has BLAKE3 {found}, expected {digest}"),
            ),
            Err(Ended::Failed(e)) => Err(e.into()),
        }
    }

    /// Appends statements to the log.
    async fn submit(
        self: &Arc<Self>,
        request: Request,
        activity: Arc<Activity>,
    ) -> Result<(String, AcceptReport), Refusal> {
        let (this, headers) = (self.clone(), request.headers().clone());
        let holder = waiting(move || this.holder(&headers)).await??;
        let slots = self.slots_of(&holder);
        let Ok(_waiting) = slots.waiting.try_acquire() else {
            return refuse(StatusCode::SERVICE_UNAVAILABLE, "too many publishes at once");
        };
        let waits = activity.working();
        // Waits before reading the body, so that a waiting request costs no more memory than an HTTP/2
        // window.
        let of_token = turn(&slots.submissions).await?;
        drop(waits);
        let body = Paced::new(request.into_body(), activity.clone(), self.window);
        let body = match body.whole(MAX_SUBMISSION).await {
            Ok(Some(body)) => body,
            Err(Stopped::Slow) => return Err(too_slow()),
            Err(Stopped::Broken) => return refuse(StatusCode::BAD_REQUEST, "the body is incomplete"),
            Ok(None) => {
                return refuse(StatusCode::PAYLOAD_TOO_LARGE, format!("more than {MAX_SUBMISSION} bytes"));
            }
        };
        let _working = activity.working();
        let sent: Sent = serde_json::from_slice(&body).map_err(|e| {
            Refusal(StatusCode::BAD_REQUEST, format!("the body is not of the form in docs/serve.md: {e}"))
        })?;
        if sent.statements.is_empty() {
            return refuse(StatusCode::BAD_REQUEST, "the body has no statement");
        }
        let check = turn(&self.checks).await?;
        let (this, of) = (self.clone(), holder.clone());
        // The check continues even if the client goes away, so it holds the permits.
        let checked = waiting(move || {
            let _places = (of_token, check);
            this.accept(&of, sent)
        });
        Ok((holder, checked.await??))
    }

    /// Checks a submission, and appends it.
    fn accept(&self, holder: &str, sent: Sent) -> Result<AcceptReport, Rejected> {
        let statements =
            sent.statements.into_iter().zip(1..).map(|(text, number)| {
                SignedStatement::parse(&format!("statement {number}"), text.into_bytes())
            });
        let (statements, rebuild_only) = (statements.collect::<Result<_>>()?, sent.rebuild_only);
        let submission = Submission { statements, packs: sent.packs, rebuild_only };
        let to = Destination {
            registry: &self.registry,
            staged: &self.staging.of(holder),
            known: Known { trust: &self.trust, logs: &self.logs },
            most_images: self.most_images,
            most_entries: self.entries.left(holder),
        };
        let report = accept::accept(&to, &submission, &|path| self.staging.gone(holder, path))?;
        self.entries.take(holder, report.new_entries);
        Ok(report)
    }
}

/// Waits for a permit, which may be moved to another thread.
async fn turn(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Refusal> {
    Ok(places.clone().acquire_owned().await.map_err(|e| Error::Internal(e.to_string()))?)
}

/// Runs a closure that may block for long on a thread for such work.
async fn waiting<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    Ok(tokio::task::spawn_blocking(run).await.map_err(|e| Error::Internal(e.to_string()))?)
}

fn too_slow() -> Refusal {
    let why = format!("the body came at less than {} bytes a second", pace::LEAST_RATE);
    Refusal(StatusCode::REQUEST_TIMEOUT, why)
}

/// `PUT /-/publish/objects/XX/HEX.EXT`
pub(super) async fn object(State(service): State<Arc<Service>>, request: Request) -> Response {
    let (publishing, activity) = at_hand(&service, &request);
    let Some(publishing) = publishing else { return text(StatusCode::NOT_FOUND, "not found") };
    match publishing.stage(request, activity).await {
        Ok(None) => text(StatusCode::OK, "there already"),
        Ok(Some(length)) => {
            service.metrics.staged_objects.add(1);
            service.metrics.staged_bytes.add(length);
            text(StatusCode::CREATED, "staged")
        }
        Err(refusal) => refused(&service, refusal),
    }
}

/// `HEAD /-/publish/objects/XX/HEX.EXT`
pub(super) async fn is_there(State(service): State<Arc<Service>>, request: Request) -> Response {
    let Some(publishing) = &service.publishing else { return text(StatusCode::NOT_FOUND, "not found") };
    match publishing.find(request.uri().path().into(), request.headers().clone()).await {
        Ok((_, true)) => text(StatusCode::OK, "there already"),
        Ok((_, false)) => text(StatusCode::NOT_FOUND, "not found"),
        Err(refusal) => refused(&service, refusal),
    }
}

/// `POST /-/publish/statements`
pub(super) async fn statements(State(service): State<Arc<Service>>, request: Request) -> Response {
    let (publishing, activity) = at_hand(&service, &request);
    let Some(publishing) = publishing else { return text(StatusCode::NOT_FOUND, "not found") };
    match publishing.submit(request, activity).await {
        Ok((holder, report)) => {
            service.metrics.statements.add(report.new_entries as u64);
            // Each statement once, however often it was sent.
            let mut next = report.first_new;
            for (title, index) in report.entries.iter().filter(|(_, index)| {
                let is_new = *index == next;
                next += u64::from(is_new);
                is_new
            }) {
                let log = if report.attests { "attestation log" } else { "log" };
                service.say(&format!("{holder}: {title} is entry {index} of the {log}"));
            }
            if let Some(error) = report.unlisted {
                return refused(&service, Rejected::registry(error).into());
            }
            let entries: Vec<_> = report
                .entries
                .iter()
                .map(|(title, index)| json!({ "statement": title, "entry": index }))
                .collect();
            let body = json!({
                "entries": entries,
                "new_entries": report.new_entries,
                "new_objects": report.new_objects,
                "new_bytes": report.new_bytes,
            });
            let mut response = text(StatusCode::OK, "");
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *response.body_mut() = Body::from(format!("{body}\n"));
            response
        }
        Err(refusal) => refused(&service, refusal),
    }
}

fn at_hand(service: &Service, request: &Request) -> (Option<Arc<Publishing>>, Arc<Activity>) {
    (service.publishing.clone(), request.extensions().get().cloned().unwrap_or_default())
}

/// Removes objects that were not published within a day, for as long as the server runs.
pub(super) async fn keep_tidy(publishing: Arc<Publishing>) {
    let mut hour = tokio::time::interval(TIDY_EVERY);
    loop {
        hour.tick().await;
        let publishing = publishing.clone();
        // If it fails, it is tried again in an hour.
        let _ = tokio::task::spawn_blocking(move || publishing.staging.tidy()).await;
    }
}

fn refuse<T>(status: StatusCode, why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal(status, why.into()))
}

impl From<Rejected> for Refusal {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Submission(error) => error.into(),
            Rejected::Registry(error) => Refusal(StatusCode::INTERNAL_SERVER_ERROR, chain(&error)),
            Rejected::Entries { .. } => {
                Refusal(StatusCode::INSUFFICIENT_STORAGE, format!("the submission {rejected}"))
            }
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::Trust { .. } | Error::Refused { .. } | Error::UnknownSigner { .. } => {
                StatusCode::FORBIDDEN
            }
            Error::Conflict { .. } | Error::Exists { .. } => StatusCode::CONFLICT,
            Error::NotFound { .. }
            | Error::Integrity { .. }
            | Error::Invalid { .. }
            | Error::Mistakes { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Refusal(status, chain(&error))
    }
}

fn refused(service: &Service, Refusal(status, why): Refusal) -> Response {
    service.metrics.publish_refused.add(1);
    let mut response = if status.is_server_error() && status != StatusCode::INSUFFICIENT_STORAGE {
        // The server's own faults are for its operator to read.
        service.say(&format!("a publish failed: {why}"));
        let is_busy = status == StatusCode::SERVICE_UNAVAILABLE;
        text(
            status,
            if is_busy { &why } else { "the server cannot do that now: its operator has been told why" },
        )
    } else {
        text(status, &why)
    };
    let headers = response.headers_mut();
    match status {
        StatusCode::UNAUTHORIZED => {
            drop(headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
        }
        StatusCode::SERVICE_UNAVAILABLE => drop(headers.insert(RETRY_AFTER, HeaderValue::from_static("5"))),
        _ => {}
    }
    response
}

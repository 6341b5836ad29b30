//! Publishing over HTTP: objects are staged one by one, then a request with the signed statements makes a release of
//! them. A token lets somebody use the server's disk; what counts in the log is the statements' signatures.
//! docs/serve.md has the protocol.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::StreamExt as _;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{Mutex, Semaphore, mpsc};

use super::connection::Service;
use super::staging::{self, Ended, Staging};
use super::watched::Activity;
use super::{PublishOptions, text, tokens};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::known_logs::KnownLogs;
use crate::ops::accept::{AcceptReport, Submission, accept};
use crate::registry::layout::{self, Public};
use crate::statement::SignedStatement;

/// The longest request with statements, in bytes: some of the longest statements, or thousands of packs.
const MAX_SUBMISSION: usize = 1 << 20;
/// How many uploads are taken at a time.
const MAX_UPLOADS: usize = 16;
/// How often stale objects are looked for.
const TIDY_EVERY: Duration = Duration::from_secs(3600);

/// What publishing needs.
pub(super) struct Publishing {
    registry: PathBuf,
    tokens: PathBuf,
    logs: KnownLogs,
    staging: Staging,
    uploads: Semaphore,
    /// One submission at a time: the registry's folder is locked anyway.
    turn: Mutex<()>,
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

/// An object that somebody wants to stage.
struct Place {
    holder: String,
    path: String,
    digest: Digest,
}

/// Why not.
struct Refusal(StatusCode, String);

impl Publishing {
    pub(super) fn open(registry: &Path, options: &PublishOptions) -> Result<Self> {
        tokens::read(&options.tokens)?;
        Ok(Publishing {
            registry: registry.to_path_buf(),
            tokens: options.tokens.clone(),
            logs: options.logs.clone(),
            staging: Staging::open(registry, options.quota)?,
            uploads: Semaphore::new(MAX_UPLOADS),
            turn: Mutex::new(()),
        })
    }

    fn holder(&self, headers: &HeaderMap) -> Result<String, Refusal> {
        let holder = tokens::holder(&self.tokens, headers)?;
        holder.ok_or_else(|| {
            Refusal(StatusCode::UNAUTHORIZED, "this needs a token: Authorization: Bearer TOKEN".into())
        })
    }

    /// Where the object that a request is about is to be staged.
    fn place(&self, request: &Request) -> Result<Place, Refusal> {
        let holder = self.holder(request.headers())?;
        let path = request.uri().path().trim_start_matches("/-/publish/").to_string();
        match layout::public(&path) {
            Some(Public::Object(digest)) => Ok(Place { holder, path, digest }),
            _ => refuse(StatusCode::NOT_FOUND, format!("{path} is no path of an object")),
        }
    }

    /// Whether an object is in the registry or staged; then it is as if it had just been staged.
    fn has(&self, Place { holder, path, .. }: &Place) -> Result<bool> {
        let staged = self.staging.of(holder).join(path);
        if staged.is_file() {
            staging::touch(&staged)?;
            return Ok(true);
        }
        Ok(self.registry.join(path).is_file())
    }

    /// Stages an object and gives its length; `None` if it was there.
    async fn stage(&self, request: Request, activity: Arc<Activity>) -> Result<Option<u64>, Refusal> {
        let place = self.place(&request)?;
        if self.has(&place)? {
            return Ok(None);
        }
        let Place { holder, path, digest } = place;
        let folder = self.staging.of(&holder);
        let to = folder.join(&path);
        let length =
            request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let Some(length) = length else {
            return refuse(StatusCode::LENGTH_REQUIRED, "an object is sent with its Content-Length");
        };
        if length > self.staging.quota() {
            let why = format!("the object is longer than the quota of {} bytes", self.staging.quota());
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, why);
        }
        let Ok(_upload) = self.uploads.try_acquire() else {
            return refuse(StatusCode::SERVICE_UNAVAILABLE, "too many uploads at a time");
        };
        let Some(room) = self.staging.room(&holder, length)? else {
            let why = format!("with this object, more than {} bytes would be staged", self.staging.quota());
            return refuse(StatusCode::INSUFFICIENT_STORAGE, why);
        };
        let (sender, receiver) = mpsc::channel(4);
        // The room is the writer's, which may outlive this request.
        let writing = tokio::task::spawn_blocking(move || {
            let written = staging::write(&folder, &to, digest, length, receiver);
            drop(room);
            written
        });
        let mut body = request.into_body().into_data_stream();
        while let Some(Ok(piece)) = body.next().await {
            // A writer that has ended says below why.
            if sender.send(piece).await.is_err() {
                break;
            }
        }
        drop(sender);
        let _working = activity.working();
        match writing.await.map_err(|e| Error::Internal(e.to_string()))? {
            Ok(()) => Ok(Some(length)),
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
        let holder = self.holder(request.headers())?;
        let Ok(body) = to_bytes(request.into_body(), MAX_SUBMISSION).await else {
            return refuse(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("more than {MAX_SUBMISSION} bytes, or not all came"),
            );
        };
        let sent: Sent = serde_json::from_slice(&body).map_err(|e| {
            Refusal(StatusCode::BAD_REQUEST, format!("the body is not as docs/serve.md has it: {e}"))
        })?;
        if sent.statements.is_empty() {
            return refuse(StatusCode::BAD_REQUEST, "the body has no statement");
        }
        let statements =
            sent.statements.into_iter().zip(1..).map(|(text, number)| {
                SignedStatement::parse(&format!("statement {number}"), text.into_bytes())
            });
        let (statements, rebuild_only) = (statements.collect::<Result<_>>()?, sent.rebuild_only);
        let submission = Submission { statements, packs: sent.packs, rebuild_only };
        let _working = activity.working();
        let turn = self.turn.lock().await;
        let (this, staged) = (self.clone(), self.staging.of(&holder));
        let accepting =
            tokio::task::spawn_blocking(move || accept(&this.registry, &staged, &submission, &this.logs));
        let report = accepting.await.map_err(|e| Error::Internal(e.to_string()))?;
        drop(turn);
        Ok((holder, report?))
    }
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
    match publishing.place(&request).and_then(|place| Ok(publishing.has(&place)?)) {
        Ok(true) => text(StatusCode::OK, "there already"),
        Ok(false) => text(StatusCode::NOT_FOUND, "not found"),
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
            for (title, index) in &report.entries {
                service.say(&format!("{holder}: {title} is entry {index} of the log"));
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

/// Removes what nobody has published within a day, for as long as the server runs.
pub(super) async fn keep_tidy(publishing: Arc<Publishing>) {
    let mut hour = tokio::time::interval(TIDY_EVERY);
    loop {
        hour.tick().await;
        let publishing = publishing.clone();
        // Tried again in an hour.
        let _ = tokio::task::spawn_blocking(move || publishing.staging.tidy()).await;
    }
}

fn refuse<T>(status: StatusCode, why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal(status, why.into()))
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::Trust { .. } | Error::UnknownSigner { .. } => StatusCode::FORBIDDEN,
            Error::Conflict { .. } | Error::Exists { .. } => StatusCode::CONFLICT,
            Error::NotFound { .. }
            | Error::Integrity { .. }
            | Error::Invalid { .. }
            | Error::Mistakes { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        Refusal(status, format!("{error}{cause}"))
    }
}

fn refused(service: &Service, Refusal(status, why): Refusal) -> Response {
    service.metrics.publish_refused.add(1);
    let mut response = if status.is_server_error() && status != StatusCode::INSUFFICIENT_STORAGE {
        // The server's own affairs are its keeper's to read.
        service.say(&format!("a publish failed: {why}"));
        let is_busy = status == StatusCode::SERVICE_UNAVAILABLE;
        text(
            status,
            if is_busy { &why } else { "the server cannot do that now: its keeper has been told why" },
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

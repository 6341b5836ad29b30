//! `isn review`: a local web page for one run, on which a person decides on suspects by keyboard. Every
//! decision is a row of the ledger, and is on disk before the page goes on.

mod guard;
mod page;
mod suspects;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use self::guard::Guard;
pub use self::suspects::Suspect;
use isn_format::class::{Class, ClassId};
use isn_format::error::{Error, Result};
use isn_format::ledger::date::timestamp;
use isn_format::ledger::{Decision, Ledger, Reason, Row, Verdict};
use isn_registry::ops::audit::Subject;
use isn_registry::row_file;

/// The maximum length of a decision's form, in bytes: it has a few short fields.
const MAX_FORM: usize = 16 << 10;

/// What is reviewed, by whom, and where the decisions are written.
pub struct ReviewOptions {
    /// The images.
    pub subject: Subject,
    /// The file of the ledger; the first decision creates it if there is none.
    pub ledger: PathBuf,
    /// A file of claims besides those of the ledger, as an audit writes them.
    pub suspects: Option<PathBuf>,
    /// The dataset's classes; without them, those of the images.
    pub classes: Option<Vec<Class>>,
    /// The name of the reviewer.
    pub reviewer: String,
    /// A loopback address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
}

/// A review that is ready to be served.
pub struct Review {
    desk: Arc<Desk>,
    listener: std::net::TcpListener,
    guard: Guard,
    /// How many images with claims are not among those of the review, in words.
    pub elsewhere: Option<String>,
}

/// The state of a review.
struct Desk {
    subject: Subject,
    suspects: Vec<Suspect>,
    reviewer: String,
    path: PathBuf,
    ledger: Mutex<Ledger>,
    token: String,
    /// The classes that an image may be relabelled to, with the names that people know.
    classes: BTreeMap<ClassId, String>,
}

/// The result of a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReviewReport {
    /// The number of suspects.
    pub suspects: usize,
    /// How many of them this reviewer has decided, now or before.
    pub decided: usize,
}

impl Review {
    /// Reads the ledger, finds the suspects and opens the port.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the address is not a loopback address, if there is no suspect, or if a file is
    /// not valid; [`Error::Io`] if a file cannot be read.
    pub fn bind(options: ReviewOptions) -> Result<Review> {
        if !options.listen.ip().is_loopback() {
            let why = "is not a loopback address: anybody who can open the page can decide";
            return Err(Error::invalid(options.listen, why));
        }
        let mut subject = options.subject;
        let classes = match options.classes {
            Some(classes) => classes.into_iter().map(|class| (class.id, class.label)).collect(),
            None => {
                let found = subject.images.iter().filter_map(|item| item.class.clone());
                let mut classes: BTreeMap<ClassId, String> =
                    found.map(|class| (class.clone(), class.as_str().to_owned())).collect();
                classes.append(&mut subject.labels);
                classes
            }
        };
        let (ledger, suspects, elsewhere) =
            suspects::find(&subject, &classes, &options.ledger, options.suspects.as_deref())?;
        let bound = std::net::TcpListener::bind(options.listen).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok((listener.local_addr()?, listener))
        });
        let (address, listener) =
            bound.map_err(|e| Error::invalid(options.listen, format!("cannot be listened on: {e}")))?;
        let guard = Guard::new(address);
        let desk = Desk {
            classes,
            subject,
            suspects,
            reviewer: options.reviewer,
            path: options.ledger,
            ledger: Mutex::new(ledger),
            token: guard.token().to_owned(),
        };
        Ok(Review { desk: Arc::new(desk), listener, guard, elsewhere })
    }

    /// The page's address, which contains the secret of this run.
    pub fn url(&self) -> String {
        self.guard.url()
    }

    /// How far this reviewer has come.
    pub fn report(&self) -> ReviewReport {
        self.desk.report()
    }

    /// Serves the page until SIGINT or SIGTERM.
    ///
    /// # Errors
    /// [`Error::Internal`] if the page cannot be served.
    pub fn run(self) -> Result<ReviewReport> {
        let failed = |e: std::io::Error| Error::Internal(format!("review: {e}"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(failed)?;
        let desk = Arc::clone(&self.desk);
        runtime.block_on(async {
            let listener = TcpListener::from_std(self.listener).map_err(failed)?;
            let app = Router::new()
                .route("/{token}/", get(first))
                .route("/{token}/{number}", get(show).post(decide))
                .route("/{token}/image/{at}", get(image))
                .layer(from_fn_with_state(self.guard, guard::check))
                .with_state(self.desk);
            axum::serve(listener, app).with_graceful_shutdown(asked_to_end()).await.map_err(failed)
        })?;
        Ok(desk.report())
    }
}

async fn asked_to_end() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
        tokio::select! {
            _ = interrupt => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    let _ = interrupt.await;
}

impl Desk {
    /// Returns this reviewer's present decision on an image.
    fn decision(&self, source_id: &str) -> Option<Decision> {
        let ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.opinions(source_id).into_iter().find(|one| one.reviewer == self.reviewer).cloned()
    }

    fn report(&self) -> ReviewReport {
        let decided = self.suspects.iter().filter(|one| self.decision(self.id(one)).is_some()).count();
        ReviewReport { suspects: self.suspects.len(), decided }
    }

    fn id(&self, suspect: &Suspect) -> &str {
        &self.subject.images[suspect.at].source_id
    }

    /// Returns the number of the first suspect that this reviewer has not decided, from `number` on and then
    /// from the start.
    fn next_open(&self, number: usize) -> Option<usize> {
        let n = self.suspects.len();
        let from = number.clamp(1, n) - 1;
        let at = (from..n).chain(0..from);
        at.into_iter().find(|&at| self.decision(self.id(&self.suspects[at])).is_none()).map(|at| at + 1)
    }

    fn address(&self, number: usize) -> String {
        format!("/{}/{number}", self.token)
    }

    /// Writes a decision, which is on disk when this returns.
    fn write(&self, source_id: &str, verdict: Verdict, reason: Reason, evidence: String) -> Result<()> {
        let row = Row::Decision(Decision {
            source_id: source_id.into(),
            verdict,
            reason,
            source: "isn review".into(),
            reviewer: self.reviewer.clone(),
            date: timestamp(SystemTime::now()),
            evidence,
        });
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        // Others may have appended to the file meanwhile.
        *ledger = row_file::append(&self.path, &[row])?;
        Ok(())
    }
}

/// Redirects to the first undecided suspect.
async fn first(State(desk): State<Arc<Desk>>) -> Redirect {
    Redirect::to(&desk.address(desk.next_open(1).unwrap_or(desk.suspects.len() + 1)))
}

async fn show(
    State(desk): State<Arc<Desk>>,
    Path((_, number)): Path<(String, usize)>,
    nonce: axum::Extension<guard::Nonce>,
) -> Response {
    if number == desk.suspects.len() + 1 {
        return page::end(&desk, &nonce).into_response();
    }
    match number.checked_sub(1).and_then(|at| desk.suspects.get(at)) {
        Some(suspect) => page::suspect(&desk, number, suspect, &nonce).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Returns the unchanged bytes of an image.
async fn image(State(desk): State<Arc<Desk>>, Path((_, at)): Path<(String, usize)>) -> Response {
    if at >= desk.subject.images.len() {
        return StatusCode::NOT_FOUND.into_response();
    }
    // The images of a version come by a runtime of their own, which must not run inside this one.
    let read = tokio::task::spawn_blocking(move || desk.subject.read(at)).await;
    match read {
        Ok(Ok(bytes)) => {
            let kind = if bytes.starts_with(b"\x89PNG") { "image/png" } else { "image/jpeg" };
            let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "private, max-age=3600")];
            (headers, bytes).into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn decide(
    State(desk): State<Arc<Desk>>,
    Path((_, number)): Path<(String, usize)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let bad = |why: &str| (StatusCode::BAD_REQUEST, why.to_owned()).into_response();
    let form = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if form != Some("application/x-www-form-urlencoded") || body.len() > MAX_FORM {
        return bad("not a form of this page");
    }
    let Some(suspect) = number.checked_sub(1).and_then(|at| desk.suspects.get(at)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let field = |name: &str| {
        let fields = form_urlencoded::parse(&body);
        fields.filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).last()
    };
    let reason = field("reason").filter(|code| !code.is_empty());
    let reason = reason.map(|code| Reason::of_code(&code));
    let class = field("class").map(|class| class.parse::<ClassId>());
    let (verdict, usual) = match (field("what").as_deref(), class) {
        (Some("keep"), _) => (Verdict::Keep(Vec::new()), Reason::Correct),
        (Some("also"), Some(Ok(class))) if desk.classes.contains_key(&class) => {
            (Verdict::Keep(vec![class]), Reason::Several)
        }
        (Some("remove"), _) => (Verdict::Remove, Reason::NoneOfThese),
        (Some("unsure"), _) => (Verdict::Unsure, Reason::Ambiguous),
        (Some("undo"), _) => (Verdict::Withdraw, Reason::Other),
        (Some("relabel"), Some(Ok(class))) if desk.classes.contains_key(&class) => {
            (Verdict::Relabel(class), Reason::WrongLabel)
        }
        (Some("relabel" | "also"), _) => return bad("relabel to one of the classes"),
        _ => return bad("keep, also, remove, relabel, unsure or undo"),
    };
    let reason = match (&verdict, reason) {
        // The page offers these reasons only for `remove`.
        (Verdict::Remove, Some(Some(reason))) => reason,
        (_, Some(None)) => return bad("no such reason"),
        _ => usual,
    };
    let note: String = field("note").unwrap_or_default().trim().chars().filter(|c| !c.is_control()).collect();
    let undo = verdict == Verdict::Withdraw;
    let id = desk.id(suspect).to_owned();
    if undo && desk.decision(&id).is_none() {
        return Redirect::to(&desk.address(number)).into_response();
    }
    let desk_too = Arc::clone(&desk);
    let written = tokio::task::spawn_blocking(move || desk_too.write(&id, verdict, reason, note)).await;
    match written {
        Ok(Ok(())) if undo => Redirect::to(&desk.address(number)).into_response(),
        Ok(Ok(())) => Redirect::to(&desk.address(number + 1)).into_response(),
        Ok(Err(error)) => page::failed(&desk, number, &error).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

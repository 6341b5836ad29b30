//! `isn review`: a page on this machine, for this run, on which a person decides suspects by keyboard. Every decision is a
//! row of the ledger, on the disk before the page goes on.

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
use isn_registry::ledger_file;
use isn_registry::ops::audit::Subject;

/// A decision is a few short fields.
const MAX_FORM: usize = 16 << 10;

/// What is reviewed, by whom, and where that is written.
pub struct ReviewOptions {
    /// The images.
    pub subject: Subject,
    /// The ledger's file; it is made with the first decision if there is none.
    pub ledger: PathBuf,
    /// Claims beside those of the ledger, as an audit writes them.
    pub suspects: Option<PathBuf>,
    /// The dataset's classes; without them, those that the images have.
    pub classes: Option<Vec<Class>>,
    /// Who decides.
    pub reviewer: String,
    /// A loopback address; port 0 takes a free one.
    pub listen: SocketAddr,
}

/// A review that waits for its reviewer.
pub struct Review {
    desk: Arc<Desk>,
    listener: std::net::TcpListener,
    guard: Guard,
}

/// What there is on the reviewer's desk.
struct Desk {
    subject: Subject,
    suspects: Vec<Suspect>,
    reviewer: String,
    path: PathBuf,
    ledger: Mutex<Ledger>,
    token: String,
    /// What an image may be relabelled to, with the names that people know.
    classes: BTreeMap<ClassId, String>,
}

/// How a review ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReviewReport {
    /// How many suspects there are.
    pub suspects: usize,
    /// How many of them this reviewer has decided, now or before.
    pub decided: usize,
}

impl Review {
    /// Reads the ledger, finds the suspects and takes the address.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the address is not this machine's own, if there is no suspect, or if the files are wrong.
    pub fn bind(options: ReviewOptions) -> Result<Review> {
        if !options.listen.ip().is_loopback() {
            let why = "is no loopback address: who can open the page can decide";
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
        let (ledger, suspects) =
            suspects::find(&subject, &classes, &options.ledger, options.suspects.as_deref())?;
        let bound = std::net::TcpListener::bind(options.listen).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok((listener.local_addr()?, listener))
        });
        let (address, listener) =
            bound.map_err(|e| Error::invalid(options.listen, format!("cannot be listened at: {e}")))?;
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
        Ok(Review { desk: Arc::new(desk), listener, guard })
    }

    /// The page's address. It holds the secret of this run.
    pub fn url(&self) -> String {
        self.guard.url()
    }

    /// Where this reviewer stands.
    pub fn report(&self) -> ReviewReport {
        self.desk.report()
    }

    /// Serves the page until this process is asked to end (SIGINT, SIGTERM).
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
    /// This reviewer's present decision on an image.
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

    /// The first suspect from `number` on, from 1 and round, that this reviewer has not decided.
    fn next_open(&self, number: usize) -> Option<usize> {
        let n = self.suspects.len();
        let from = number.clamp(1, n) - 1;
        let at = (from..n).chain(0..from);
        at.into_iter().find(|&at| self.decision(self.id(&self.suspects[at])).is_none()).map(|at| at + 1)
    }

    fn address(&self, number: usize) -> String {
        format!("/{}/{number}", self.token)
    }

    /// Writes a decision. It is on the disk when this returns.
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
        // Others may have added to the file meanwhile.
        *ledger = ledger_file::append(&self.path, &[row])?;
        Ok(())
    }
}

/// To the first suspect that is not decided yet.
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

/// The bytes of an image of the subject, as they are.
async fn image(State(desk): State<Arc<Desk>>, Path((_, at)): Path<(String, usize)>) -> Response {
    if at >= desk.subject.images.len() {
        return StatusCode::NOT_FOUND.into_response();
    }
    // A version's images come by a runtime of their own, which must not run inside this one.
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
    let reason = reason.map(|code| Reason::ALL.iter().copied().find(|known| known.as_str() == code));
    let class = field("class").map(|class| class.parse::<ClassId>());
    let (verdict, usual) = match (field("what").as_deref(), class) {
        (Some("keep"), _) => (Verdict::Keep, Reason::Correct),
        (Some("remove"), _) => (Verdict::Remove, Reason::NoneOfThese),
        (Some("unsure"), _) => (Verdict::Unsure, Reason::Ambiguous),
        (Some("undo"), _) => (Verdict::Withdraw, Reason::Other),
        (Some("relabel"), Some(Ok(class))) if desk.classes.contains_key(&class) => {
            (Verdict::Relabel(class), Reason::WrongLabel)
        }
        (Some("relabel"), _) => return bad("relabel to one of the classes"),
        _ => return bad("keep, remove, relabel, unsure or undo"),
    };
    let reason = match (&verdict, reason) {
        // What the page offers beside `remove` is a reason to remove.
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

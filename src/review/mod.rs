//! `isn review`: a local web page for one run, on which a person decides by keyboard on suspects, or on pairs
//! of near-duplicates. Every decision is a row of a file, and is on disk before the page goes on.

mod effects;
mod found;
mod guard;
mod page;
mod pairs;
mod suspects;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use maud::{Markup, html};
use tokio::net::TcpListener;

pub use self::found::Found;
use self::guard::{Guard, Nonce};
use self::pairs::NearPairs;
use self::suspects::Suspects;
use isn_format::class::{Class, ClassId};
use isn_format::error::{Error, Result};
use isn_format::recipe::SplitSpec;
use isn_format::rows::RowFile;
use isn_registry::ops::audit::Subject;
use isn_registry::ops::audit::neighbours::ByImage;
use isn_registry::{files, row_file};

/// The maximum length of a decision's form, in bytes: it has a few short fields.
const MAX_FORM: usize = 16 << 10;

/// What is reviewed, by whom, and where the decisions are written.
pub struct ReviewOptions<'a> {
    /// The images.
    pub subject: Subject,
    /// What of them is decided on.
    pub what: Reviewed<'a>,
    /// The dataset's classes; without them, those of the images.
    pub classes: Option<Vec<Class>>,
    /// The name of the reviewer.
    pub reviewer: String,
    /// A loopback address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
}

/// What is decided on. The first decision creates the file if there is none.
pub enum Reviewed<'a> {
    /// Labels that claims put in question.
    Suspects {
        /// The ledger.
        ledger: PathBuf,
        /// A file of claims besides those of the ledger, as an audit writes them.
        claims: Option<PathBuf>,
        /// Reads the embeddings of the images, so that the nearest are shown beside a suspect.
        near: Option<Nearest<'a>>,
    },
    /// Images that look alike.
    Pairs {
        /// The file of pairs.
        file: PathBuf,
        /// Finds out what the audit found, which may take long: other mistakes are told before.
        find: Find<'a>,
        /// How the recipe divides the images, if they are those of its source.
        division: Option<SplitSpec>,
    },
}

/// Finds the pairs among images.
pub type Find<'a> = Box<dyn FnOnce(&Subject) -> Result<Found> + 'a>;

/// Reads the embeddings of images.
pub type Nearest<'a> = Box<dyn FnOnce(&Subject) -> Result<ByImage> + 'a>;

/// A review that is ready to be served.
pub struct Review {
    app: Router,
    listener: std::net::TcpListener,
    guard: Guard,
    report: Box<dyn Fn() -> ReviewReport>,
    /// What was found and is not among the images of the review, in words.
    pub elsewhere: Option<String>,
}

/// What a reviewer goes through, one thing after the other, and the file of the decisions.
trait Work: Send + Sync + Sized + 'static {
    /// The file.
    type File: RowFile + Send + 'static;
    /// What a form says.
    type Said: Send + 'static;

    /// What the things are called.
    const NOUN: &'static str;

    /// How many there are; they are numbered from 0.
    fn count(&self) -> usize;

    /// Whether this reviewer has decided on a thing.
    fn is_decided(desk: &Desk<Self>, file: &Self::File, at: usize) -> bool;

    /// Returns the name of a thing, and what its page shows.
    fn show(desk: &Desk<Self>, at: usize) -> (String, Markup);

    /// Reads a form, and says where the reviewer goes from there.
    fn read(desk: &Desk<Self>, form: &Form<'_>) -> Result<(Self::Said, Then), &'static str>;

    /// Returns the rows to add to the file as it is now.
    fn rows(
        desk: &Desk<Self>,
        at: usize,
        said: &Self::Said,
        file: &Self::File,
    ) -> Vec<<Self::File as RowFile>::Row>;

    /// Returns what else the last page says.
    fn at_the_end(_: &Desk<Self>, _: &Self::File) -> Markup {
        html! {}
    }
}

/// Where a decision leads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Stay,
    Next,
    NextUndecided,
}

/// The state of a review.
struct Desk<W: Work> {
    subject: Subject,
    work: W,
    reviewer: String,
    path: PathBuf,
    file: Mutex<W::File>,
    token: String,
    /// The classes, with the names that people know.
    classes: BTreeMap<ClassId, String>,
}

/// The result of a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReviewReport {
    /// What the things are called: `suspects` or `pairs`.
    pub noun: &'static str,
    /// The number of things to decide on.
    pub count: usize,
    /// How many of them this reviewer has decided, now or before.
    pub decided: usize,
}

impl Review {
    /// Reads the file of decisions, finds what to decide on and opens the port.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the address is not a loopback address, if there is nothing to decide on, or if a
    /// file is not valid; [`Error::Mistakes`] if a row of the file is not, or if one that would be added
    /// could not be read back; [`Error::Io`] if a file cannot be read; for pairs, those of finding them.
    pub fn bind(options: ReviewOptions<'_>) -> Result<Review> {
        let ReviewOptions { mut subject, what, classes, reviewer, listen } = options;
        if !listen.ip().is_loopback() {
            let why = "is not a loopback address: anybody who can open the page can decide";
            return Err(Error::invalid(listen, why));
        }
        let classes = match classes {
            Some(classes) => classes.into_iter().map(|class| (class.id, class.label)).collect(),
            None => {
                let found = subject.images.iter().filter_map(|item| item.class.clone());
                let mut classes: BTreeMap<ClassId, String> =
                    found.map(|class| (class.clone(), class.as_str().to_owned())).collect();
                classes.append(&mut subject.labels);
                classes
            }
        };
        match what {
            Reviewed::Suspects { ledger, claims, near } => {
                let file = read(&ledger)?;
                let (work, elsewhere) = Suspects::find(&subject, &classes, &file, claims.as_deref(), near)?;
                Review::of((subject, classes, reviewer, listen), work, ledger, file, elsewhere)
            }
            Reviewed::Pairs { file: path, find, division } => {
                let file = read(&path)?;
                let mut found = find(&subject)?;
                let elsewhere = found.elsewhere.take();
                let work = NearPairs::find(&subject, found, division, (&path, &reviewer))?;
                Review::of((subject, classes, reviewer, listen), work, path, file, elsewhere)
            }
        }
    }

    fn of<W: Work>(
        (subject, classes, reviewer, listen): (Subject, BTreeMap<ClassId, String>, String, SocketAddr),
        work: W,
        path: PathBuf,
        file: W::File,
        elsewhere: Option<String>,
    ) -> Result<Review> {
        let bound = std::net::TcpListener::bind(listen).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok((listener.local_addr()?, listener))
        });
        let (address, listener) =
            bound.map_err(|e| Error::invalid(listen, format!("cannot be listened on: {e}")))?;
        let guard = Guard::new(address);
        let token = guard.token().to_owned();
        let desk = Arc::new(Desk { subject, work, reviewer, path, file: Mutex::new(file), token, classes });
        let app = Router::new()
            .route("/{token}/", get(first::<W>))
            .route("/{token}/{number}", get(show::<W>).post(decide::<W>))
            .route("/{token}/image/{at}", get(image::<W>))
            .layer(from_fn_with_state(guard.clone(), guard::check))
            .with_state(Arc::clone(&desk));
        let report = Box::new(move || desk.report(&desk.file()));
        Ok(Review { app, listener, guard, report, elsewhere })
    }

    /// The page's address, which contains the secret of this run.
    pub fn url(&self) -> String {
        self.guard.url()
    }

    /// How far this reviewer has come.
    pub fn report(&self) -> ReviewReport {
        (self.report)()
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
        runtime.block_on(async {
            let listener = TcpListener::from_std(self.listener).map_err(failed)?;
            axum::serve(listener, self.app).with_graceful_shutdown(asked_to_end()).await.map_err(failed)
        })?;
        Ok((self.report)())
    }
}

/// Reads the file of decisions, if there is one.
fn read<F: RowFile>(path: &FilePath) -> Result<F> {
    let bytes = files::if_there(files::read_beside(path, F::MAX_LEN))?.unwrap_or_default();
    F::parse_or_empty(&path.display().to_string(), &bytes)
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

impl<W: Work> Desk<W> {
    /// The rows of the file, as they were when this process last added some.
    fn file(&self) -> MutexGuard<'_, W::File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, file: &W::File) -> ReviewReport {
        let count = self.work.count();
        let decided = (0..count).filter(|&at| W::is_decided(self, file, at)).count();
        ReviewReport { noun: W::NOUN, count, decided }
    }

    /// Returns what has this number on the pages, on which they begin with 1.
    fn at(&self, number: usize) -> Option<usize> {
        number.checked_sub(1).filter(|&at| at < self.work.count())
    }

    /// Returns the number of the first thing that this reviewer has not decided on, from `number` on and then
    /// from the start; of the page after the last if there is none.
    fn next_open(&self, number: usize) -> usize {
        let n = self.work.count();
        let from = number.clamp(1, n) - 1;
        let file = self.file();
        let open = (from..n).chain(0..from).find(|&at| !W::is_decided(self, &file, at));
        open.unwrap_or(n) + 1
    }

    fn address(&self, number: usize) -> String {
        format!("/{}/{number}", self.token)
    }

    /// Writes a decision, which is on disk when this returns.
    fn write(&self, at: usize, said: &W::Said) -> Result<()> {
        let mut file = self.file();
        // Others may have appended to the file meanwhile.
        *file = row_file::extend(&self.path, |present| W::rows(self, at, said, present))?;
        Ok(())
    }
}

/// The fields of a form, which the page has made.
struct Form<'b>(&'b [u8]);

impl Form<'_> {
    fn field(&self, name: &str) -> Option<String> {
        let fields = form_urlencoded::parse(self.0);
        fields.filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).last()
    }

    /// Returns the code of the reason, if one is chosen.
    fn reason(&self) -> Option<String> {
        self.field("reason").filter(|code| !code.is_empty())
    }

    fn note(&self) -> String {
        let note = self.field("note").unwrap_or_default();
        note.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    }
}

/// Redirects to the first thing that is not decided.
async fn first<W: Work>(State(desk): State<Arc<Desk<W>>>) -> Redirect {
    Redirect::to(&desk.address(desk.next_open(1)))
}

async fn show<W: Work>(
    State(desk): State<Arc<Desk<W>>>,
    Path((_, number)): Path<(String, usize)>,
    nonce: axum::Extension<Nonce>,
) -> Response {
    if number == desk.work.count() + 1 {
        return page::end(&desk, &nonce).into_response();
    }
    let Some(at) = desk.at(number) else { return StatusCode::NOT_FOUND.into_response() };
    // A page may tell what is in the images, which are read as `image` reads them.
    match tokio::task::spawn_blocking(move || page::show(&desk, at, &nonce)).await {
        Ok(page) => page.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Returns the unchanged bytes of an image.
async fn image<W: Work>(State(desk): State<Arc<Desk<W>>>, Path((_, at)): Path<(String, usize)>) -> Response {
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

async fn decide<W: Work>(
    State(desk): State<Arc<Desk<W>>>,
    Path((_, number)): Path<(String, usize)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let bad = |why: &str| (StatusCode::BAD_REQUEST, why.to_owned()).into_response();
    let form = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if form != Some("application/x-www-form-urlencoded") || body.len() > MAX_FORM {
        return bad("not a form of this page");
    }
    let Some(at) = desk.at(number) else { return StatusCode::NOT_FOUND.into_response() };
    let (said, then) = match W::read(&desk, &Form(&body)) {
        Ok(read) => read,
        Err(why) => return bad(why),
    };
    let desk_too = Arc::clone(&desk);
    let written = tokio::task::spawn_blocking(move || desk_too.write(at, &said)).await;
    match written {
        Ok(Ok(())) => {
            let to = match then {
                Then::Stay => number,
                Then::Next => number + 1,
                Then::NextUndecided => desk.next_open(number),
            };
            Redirect::to(&desk.address(to)).into_response()
        }
        Ok(Err(error)) => page::failed(&desk, number, &error).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

//! A static file server in the test's own process, which can be made to misbehave.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What a server does to a request that it would rather answer properly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Sends the whole file, whatever part is asked for.
    IgnoreRange,
    /// Says that the part begins this many bytes later than asked.
    LateRange(u64),
    /// Says that the part ends this many bytes later than asked.
    LongRange(u64),
    /// Sends a part and does not say which.
    NoContentRange,
    /// Says that it sends what was asked for, and sends the beginning of the file.
    WrongBytes,
    /// Breaks the connection off after so many bytes of the body.
    Cut(usize),
    /// Says that the body has so many bytes more, or fewer, than it has.
    Length(i64),
    /// Sends the body in chunks, without its length.
    Chunked,
    /// The same, and ends before the last chunk.
    CutChunked(usize),
    /// The file ends so many bytes early, and nothing gives it away.
    Short(u64),
    /// Another bit in the byte at this place of the file.
    Flip(u64),
    /// From the second request on, another file.
    Changed,
    /// Answers with this status.
    Status(u16),
    /// The same, and asks to come back later.
    Later(u16, &'static str),
    /// Redirects to the same place.
    Redirect,
    /// Redirects to the same path below another URL.
    RedirectTo(String),
    /// Says that the body is compressed.
    Gzip,
    /// Sends the head, then a byte now and then.
    Drip(Duration),
    /// Never answers.
    Silence,
    /// Sends so much of the body, then nothing, and keeps the connection.
    Stall(usize),
    /// Resets the connection.
    Reset,
    /// Answers only who shows this token.
    Token(&'static str),
    /// Sends at most so many bytes a second.
    Throttle(usize),
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    pub range: Option<(u64, u64)>,
    pub headers: BTreeMap<String, String>,
    pub sent: usize,
}

struct Shared {
    root: PathBuf,
    fault: Fault,
    /// Only requests whose path has this in it are affected.
    on: String,
    /// How many more of them.
    times: Mutex<usize>,
    log: Mutex<Vec<Request>>,
}

/// The server; its threads end with the test.
pub struct Server {
    pub url: String,
    shared: Arc<Shared>,
}

impl Server {
    /// Serves `root` properly.
    pub fn new(root: &Path) -> Self {
        Self::faulty(root, "", 0, Fault::Status(500))
    }

    /// Serves `root`, but for the first `times` requests of a path that contains `on`.
    pub fn faulty(root: &Path, on: &str, times: usize, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (times, log) = (Mutex::new(times), Mutex::new(Vec::new()));
        let shared = Arc::new(Shared { root: root.to_path_buf(), fault, on: on.into(), times, log });
        let server = Server { url, shared: shared.clone() };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                // A client that goes away in the middle is its own business.
                thread::spawn(move || drop(shared.serve(stream)));
            }
        });
        server
    }

    /// The requests so far.
    pub fn log(&self) -> Vec<Request> {
        self.shared.log.lock().unwrap().clone()
    }

    /// The bytes of bodies that were written to the connections of requests whose path ends so.
    pub fn sent(&self, ending: &str) -> u64 {
        let log = self.shared.log.lock().unwrap();
        log.iter().filter(|request| request.path.ends_with(ending)).map(|request| request.sent as u64).sum()
    }
}

/// How a body goes over the wire.
struct Answer {
    head: String,
    body: Vec<u8>,
}

impl Shared {
    /// One request a connection.
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let request = read_request(&mut stream)?;
        let fault = {
            let mut times = self.times.lock().unwrap();
            (request.path.contains(&self.on) && *times > 0).then(|| {
                *times = times.saturating_sub(1);
                self.fault.clone()
            })
        };
        match &fault {
            Some(Fault::Silence) => return wait_for_the_end(stream),
            // What was not read makes the system reset the connection.
            Some(Fault::Reset) if request.path.contains(&self.on) => return reset(&stream),
            _ => {}
        }
        // At once: of two requests one is the first.
        let (before, number) = {
            let mut log = self.log.lock().unwrap();
            let before = log.iter().filter(|other| other.path == request.path).count();
            log.push(request.clone());
            (before, log.len() - 1)
        };
        let file = std::fs::read(self.root.join(&request.path)).ok();
        let Answer { head, body } = answer(file, &request, fault.as_ref(), before);
        let is_chunked = matches!(fault, Some(Fault::Chunked | Fault::CutChunked(_)));
        let said = match fault {
            Some(Fault::Length(by)) => body.len() as i64 + by,
            _ => body.len() as i64,
        };
        let length = if is_chunked {
            "Transfer-Encoding: chunked".into()
        } else {
            format!("Content-Length: {}", said.max(0))
        };
        stream.write_all(format!("{head}{length}\r\nConnection: close\r\n\r\n").as_bytes())?;
        self.send(stream, &body, fault.as_ref(), number)
    }

    fn send(
        &self,
        mut stream: TcpStream,
        body: &[u8],
        fault: Option<&Fault>,
        number: usize,
    ) -> std::io::Result<()> {
        let end = match fault {
            Some(Fault::Cut(at) | Fault::CutChunked(at) | Fault::Stall(at)) => (*at).min(body.len()),
            _ => body.len(),
        };
        let (step, pause) = match fault {
            Some(Fault::Drip(pause)) => (1, *pause),
            Some(Fault::Throttle(rate)) => (rate / 100, Duration::from_millis(10)),
            _ => (256 << 10, Duration::ZERO),
        };
        for chunk in body[..end].chunks(step) {
            if matches!(fault, Some(Fault::Chunked | Fault::CutChunked(_))) {
                stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes())?;
                stream.write_all(chunk)?;
                stream.write_all(b"\r\n")?;
            } else {
                stream.write_all(chunk)?;
            }
            self.log.lock().unwrap()[number].sent += chunk.len();
            thread::sleep(pause);
        }
        match fault {
            Some(Fault::Chunked) => stream.write_all(b"0\r\n\r\n"),
            Some(Fault::Stall(_)) => wait_for_the_end(stream),
            _ => Ok(()),
        }
    }
}

fn read_request(stream: &mut TcpStream) -> std::io::Result<Request> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let path = first.split(' ').nth(1).unwrap_or("/").trim_start_matches('/').to_string();
    let mut headers = BTreeMap::new();
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_string());
    }
    let range = headers.get("range").and_then(|range| {
        let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
        from.parse().ok().zip(to.parse().ok())
    });
    Ok(Request { path, range, headers, sent: 0 })
}

/// Keeps the connection until the other side ends it.
fn wait_for_the_end(mut stream: TcpStream) -> std::io::Result<()> {
    stream.read_to_end(&mut Vec::new()).map(drop)
}

/// Writes into a connection whose other end is told to go away.
fn reset(stream: &TcpStream) -> std::io::Result<()> {
    let socket = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
    socket.map_err(Into::into)
}

fn etag(file: &[u8]) -> String {
    format!("\"{}\"", &isn_format::digest::Digest::of(file).to_string()[..16])
}

fn answer(file: Option<Vec<u8>>, request: &Request, fault: Option<&Fault>, before: usize) -> Answer {
    let status =
        |code: u16| Answer { head: format!("HTTP/1.1 {code} As Told\r\n"), body: b"no file".to_vec() };
    let with = |answer: Answer, header: &str| Answer { head: answer.head + header + "\r\n", ..answer };
    match fault {
        Some(Fault::Status(code)) => return status(*code),
        Some(Fault::Later(code, when)) => {
            return with(status(*code), &format!("Retry-After: {when}"));
        }
        Some(Fault::Redirect) => return with(status(302), &format!("Location: /{}", request.path)),
        Some(Fault::RedirectTo(url)) => {
            return with(status(307), &format!("Location: {url}/{}", request.path));
        }
        Some(Fault::Token(token)) => {
            let shown = request.headers.get("authorization");
            if shown.map(String::as_str) != Some(&format!("Bearer {token}")) {
                return status(401);
            }
        }
        _ => {}
    }
    let Some(mut file) = file else { return status(404) };
    match fault {
        Some(Fault::Short(by)) => file.truncate(file.len() - *by as usize),
        Some(Fault::Flip(at)) => file[*at as usize] ^= 0x10,
        Some(Fault::Changed) if before > 0 => file.iter_mut().for_each(|byte| *byte ^= 1),
        _ => {}
    }
    let tag = etag(&file);
    let is_same = request.headers.get("if-range").is_none_or(|wanted| *wanted == tag);
    let range = request.range.filter(|_| fault != Some(&Fault::IgnoreRange) && is_same);
    let mut answer = match range {
        None => Answer { head: "HTTP/1.1 200 OK\r\n".to_string(), body: file },
        Some((from, _)) if from >= file.len() as u64 => return status(416),
        Some((from, to)) => part(&file, from, to, fault),
    };
    answer.head += &format!("ETag: {tag}\r\n");
    if fault == Some(&Fault::Gzip) {
        answer.head += "Content-Encoding: gzip\r\n";
    }
    answer
}

fn part(file: &[u8], from: u64, to: u64, fault: Option<&Fault>) -> Answer {
    let to = to.min(file.len() as u64 - 1);
    let length = (to + 1 - from) as usize;
    let (said_from, said_to) = match fault {
        Some(Fault::LateRange(by)) => (from + by, to),
        Some(Fault::LongRange(by)) => (from, to + by),
        _ => (from, to),
    };
    let sent_from = if fault == Some(&Fault::WrongBytes) { 0 } else { from as usize };
    let mut head = "HTTP/1.1 206 Partial Content\r\n".to_string();
    if fault != Some(&Fault::NoContentRange) {
        head += &format!(
            "Content-Range: bytes {said_from}-{said_to}/{}\r\n",
            file.len().max(said_to as usize + 1)
        );
    }
    Answer { head, body: file[sent_from..][..length].to_vec() }
}

//! A static file server inside the test's process that can be made to misbehave.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How a server mistreats a request that it would otherwise answer properly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Sends the whole file, whichever part is requested.
    IgnoreRange,
    /// The same, but says that it sends ranges.
    FalseOffer,
    /// Claims that the part begins this many bytes later than requested.
    LateRange(u64),
    /// Claims that the part ends this many bytes later than requested.
    LongRange(u64),
    /// Sends a part without saying which.
    NoContentRange,
    /// Claims to send the requested part, but sends the beginning of the file.
    WrongBytes,
    /// Closes the connection after this many bytes of the body.
    Cut(usize),
    /// Claims that the body has this many bytes more or fewer than it has.
    Length(i64),
    /// Sends the body in chunks, without its length.
    Chunked,
    /// The same, but stops before the last chunk.
    CutChunked(usize),
    /// The file ends this many bytes early, and nothing shows it.
    Short(u64),
    /// Flips a bit of the byte at this offset in the file.
    Flip(u64),
    /// Serves another file from the second request on.
    Changed,
    /// Responds with this status.
    Status(u16),
    /// The same, and asks the client to come back later.
    Later(u16, &'static str),
    /// Redirects to the same URL.
    Redirect,
    /// Redirects to the same path below another URL.
    RedirectTo(String),
    /// Claims that the body is compressed.
    Gzip,
    /// Sends the head, then a byte now and then.
    Drip(Duration),
    /// Never responds.
    Silence,
    /// Sends this much of the body, then nothing, and keeps the connection open.
    Stall(usize),
    /// Resets the connection.
    Reset,
    /// Responds only to requests with this token.
    Token(&'static str),
    /// Sends at most this many bytes a second.
    Throttle(usize),
    /// Answers once no other request has come for this long: requests that wait for no answer are answered
    /// together, in one round.
    Rounds(Duration),
}

/// The rounds of a server that answers in rounds.
struct Rounds {
    begun: usize,
    ended: usize,
    last: Instant,
}

/// A request as received.
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
    /// Only requests whose path contains this are affected.
    on: String,
    /// How many more of them are affected.
    times: Mutex<usize>,
    log: Mutex<Vec<Request>>,
    rounds: Mutex<Rounds>,
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

    /// Serves `root`, with a fault for the first `times` requests whose path contains `on`.
    pub fn faulty(root: &Path, on: &str, times: usize, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (times, log) = (Mutex::new(times), Mutex::new(Vec::new()));
        let rounds = Mutex::new(Rounds { begun: 0, ended: 0, last: Instant::now() });
        let shared = Arc::new(Shared { root: root.to_path_buf(), fault, on: on.into(), times, log, rounds });
        let server = Server { url, shared: shared.clone() };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                // A client that disconnects in the middle is not an error.
                thread::spawn(move || drop(shared.serve(stream)));
            }
        });
        server
    }

    /// The requests so far.
    pub fn log(&self) -> Vec<Request> {
        self.shared.log.lock().unwrap().clone()
    }

    /// The number of rounds so far.
    pub fn rounds(&self) -> usize {
        self.shared.rounds.lock().unwrap().begun
    }

    /// The number of body bytes written for requests whose path ends with this.
    pub fn sent(&self, ending: &str) -> u64 {
        let log = self.shared.log.lock().unwrap();
        log.iter().filter(|request| request.path.ends_with(ending)).map(|request| request.sent as u64).sum()
    }
}

/// How a body is sent.
struct Answer {
    head: String,
    body: Vec<u8>,
}

impl Shared {
    fn wait_for_the_round(&self, quiet: Duration) {
        let join = |rounds: &mut Rounds| {
            rounds.last = Instant::now();
            rounds.begun += usize::from(rounds.begun == rounds.ended);
            rounds.begun
        };
        let own = join(&mut self.rounds.lock().unwrap());
        loop {
            let mut rounds = self.rounds.lock().unwrap();
            if rounds.ended < own && rounds.last.elapsed() >= quiet {
                rounds.ended = own;
            }
            if rounds.ended >= own {
                return;
            }
            drop(rounds);
            thread::sleep(quiet / 20);
        }
    }

    /// Handles one request per connection.
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
            Some(Fault::Rounds(quiet)) => self.wait_for_the_round(*quiet),
            Some(Fault::Silence) => return wait_for_the_end(stream),
            // Unread bytes make the system reset the connection.
            Some(Fault::Reset) if request.path.contains(&self.on) => return reset(&stream),
            _ => {}
        }
        // Checked and decremented in one step, so that one of two concurrent requests is the first.
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

/// Keeps the connection open until the other side closes it.
fn wait_for_the_end(mut stream: TcpStream) -> std::io::Result<()> {
    stream.read_to_end(&mut Vec::new()).map(drop)
}

/// Writes to a connection whose other end is told to close it.
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
    let sends_ranges = !matches!(fault, Some(Fault::IgnoreRange | Fault::FalseOffer));
    let range = request.range.filter(|_| sends_ranges && is_same);
    let mut answer = match range {
        None => Answer { head: "HTTP/1.1 200 OK\r\n".to_string(), body: file },
        Some((from, _)) if from >= file.len() as u64 => return status(416),
        Some((from, to)) => part(&file, from, to, fault),
    };
    answer.head += &format!("ETag: {tag}\r\n");
    if fault == Some(&Fault::FalseOffer) {
        answer.head += "Accept-Ranges: bytes\r\n";
    }
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

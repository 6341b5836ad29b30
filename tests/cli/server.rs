//! A static file server in the test's own process, which can be made to misbehave.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

/// What a server does to a request that it would rather answer properly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Sends the whole file, whatever part is asked for.
    IgnoreRange,
    /// Says that the part begins this many bytes later than asked.
    LateRange(u64),
    /// Sends a part and does not say which.
    NoContentRange,
    /// Says that it sends what was asked for, and sends the beginning of the file.
    WrongBytes,
    /// Breaks the connection off after so many bytes of the body.
    Cut(usize),
    /// Answers with this status.
    Status(u16),
    /// Redirects to the same place.
    Redirect,
    /// Says that the body is compressed.
    Gzip,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    pub range: Option<(u64, u64)>,
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
}

impl Shared {
    /// One request a connection.
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let first = lines.next().transpose()?.unwrap_or_default();
        let path = first.split(' ').nth(1).unwrap_or("/").trim_start_matches('/').to_string();
        let mut range = None;
        for line in lines {
            let line = line?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some((from, to)) = line.strip_prefix("range: bytes=").and_then(|r| r.split_once('-')) {
                range = from.parse().ok().zip(to.parse().ok());
            }
        }
        let fault = {
            let mut times = self.times.lock().unwrap();
            (path.contains(&self.on) && *times > 0).then(|| {
                *times -= 1;
                self.fault
            })
        };
        let file = std::fs::read(self.root.join(&path)).ok();
        let (mut head, body) = answer(file, range, fault, &path);
        let sent = match fault {
            Some(Fault::Cut(at)) => at.min(body.len()),
            _ => body.len(),
        };
        self.log.lock().unwrap().push(Request { path, range, sent });
        head += &format!("Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        stream.write_all(head.as_bytes())?;
        stream.write_all(&body[..sent])
    }
}

fn answer(
    file: Option<Vec<u8>>,
    range: Option<(u64, u64)>,
    fault: Option<Fault>,
    path: &str,
) -> (String, Vec<u8>) {
    let status = |code: u16| (format!("HTTP/1.1 {code} As Told\r\n"), b"no file".to_vec());
    match fault {
        Some(Fault::Status(code)) => return status(code),
        Some(Fault::Redirect) => {
            let (head, body) = status(302);
            return (format!("{head}Location: /{path}\r\n"), body);
        }
        _ => {}
    }
    let Some(file) = file else { return status(404) };
    let range = range.filter(|_| fault != Some(Fault::IgnoreRange));
    let (mut head, body) = match range {
        None => ("HTTP/1.1 200 OK\r\n".to_string(), file),
        Some((from, _)) if from >= file.len() as u64 => return status(416),
        Some((from, to)) => {
            let to = to.min(file.len() as u64 - 1);
            let length = (to + 1 - from) as usize;
            let said = match fault {
                Some(Fault::LateRange(by)) => from + by,
                _ => from,
            };
            let sent_from = if fault == Some(Fault::WrongBytes) { 0 } else { from as usize };
            let mut head = "HTTP/1.1 206 Partial Content\r\n".to_string();
            if fault != Some(Fault::NoContentRange) {
                head += &format!("Content-Range: bytes {said}-{to}/{}\r\n", file.len());
            }
            (head, file[sent_from..][..length].to_vec())
        }
    };
    if fault == Some(Fault::Gzip) {
        head += "Content-Encoding: gzip\r\n";
    }
    (head, body)
}

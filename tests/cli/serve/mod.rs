//! `isn serve` over real sockets on loopback: what it serves and refuses, how it keeps its limits, how it
//! shuts down, and what may be published to it.

mod files;
mod limits;
mod publish;
mod tls;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::sandbox::{ISN, Ran, Sandbox, ended, eventually};

/// A running server, killed when dropped.
pub struct Served {
    pub url: String,
    pub address: SocketAddr,
    child: Option<Child>,
}

/// A response as received.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Served {
    pub fn start(sandbox: &Sandbox, more: &[&str]) -> Self {
        let args = [&["serve", "reg", "--listen", "127.0.0.1:0", "--json"], more].concat();
        Self::run(sandbox.command(&args))
    }

    /// Does the same, for a process that may have this many open files.
    pub fn start_with_files(sandbox: &Sandbox, files: u32, more: &[&str]) -> Self {
        let mut command = sandbox.program("sh");
        command.arg("-c").arg(format!("ulimit -n {files}; exec \"$0\" \"$@\"")).arg(ISN);
        command.args(["serve", "reg", "--listen", "127.0.0.1:0", "--json"]).args(more);
        Self::run(command)
    }

    fn run(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let Ok(said) = serde_json::from_str::<serde_json::Value>(&line) else {
            panic!("{line}{}", ended(child).stderr);
        };
        let (url, address) = (said["url"].as_str().unwrap(), said["address"].as_str().unwrap());
        Served { url: url.into(), address: address.parse().unwrap(), child: Some(child) }
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// Sends a request exactly as given, except for line ends and the host, and reads the whole response.
    pub fn raw(&self, head: &str, body: &[u8]) -> Answer {
        let mut stream = self.connect();
        let head = format!("{}\r\nHost: x\r\nConnection: close\r\n\r\n", head.replace('\n', "\r\n"));
        stream.write_all(head.as_bytes()).unwrap();
        // The server may refuse before it has read everything.
        let _ = stream.write_all(body);
        answer(stream)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.raw(&format!("GET /{path} HTTP/1.1"), b"")
    }

    pub fn metric(&self, name: &str) -> u64 {
        metric(&self.get("-/metrics"), name)
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub fn signal(&self, signal: &str) {
        let done = Command::new("kill").args([signal, &self.pid().to_string()]).status().unwrap();
        assert!(done.success());
    }

    /// Waits until the process ends.
    pub fn end(mut self) -> Ran {
        ended(self.child.take().unwrap())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The value for a name in a response of `/-/metrics`.
pub fn metric(answer: &Answer, name: &str) -> u64 {
    let text = answer.text();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in\n{text}"))
}

/// Reads a response, including everything after its head.
pub fn answer(mut stream: TcpStream) -> Answer {
    let mut all = Vec::new();
    // A reset after the response does not matter.
    let mut piece = [0; 65536];
    while let Ok(read @ 1..) = stream.read(&mut piece) {
        all.extend_from_slice(&piece[..read]);
    }
    let end = all.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no head in {:?}", String::from_utf8_lossy(&all)));
    let head = String::from_utf8(all[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_ascii_lowercase(), value.to_string())
    });
    Answer { status, headers: headers.collect(), body: all[end + 4..].to_vec() }
}

/// Makes a registry in `reg` with an object of `length` bytes; returns its path and bytes.
pub fn with_object(sandbox: &Sandbox, length: usize) -> (String, Vec<u8>) {
    sandbox.isn(&["registry", "init", "reg"]).ok();
    let bytes: Vec<u8> = (0..length).map(|i| (i / 251 + i % 251) as u8).collect();
    let hex = blake3::hash(&bytes).to_hex();
    let path = format!("objects/{}/{hex}.tar.zst", &hex[..2]);
    sandbox.write(&format!("reg/{path}"), &bytes);
    (path, bytes)
}

#[test]
fn a_version_is_pulled_and_verified() {
    let (sandbox, pin) = Sandbox::published();
    let served = Served::start(&sandbox, &[]);
    sandbox.trust_me(&served.url);
    let args = ["pull", "grads@1.0", "--registry", &served.url, "--to", "tree", "--json"];
    let pulled = sandbox.isn(&args).ok().json();
    assert_eq!(pulled["name"], "grads");
    sandbox.isn(&["verify", "tree", "--expect", &pin]).ok();
    sandbox.isn(&["log", "verify", "--registry", &served.url]).ok();
    assert!(sandbox.isn(&["list", "--registry", &served.url]).ok().stdout.contains("grads  1.0"));
    sandbox.isn(&["pull", "grads@2.0", "--registry", &served.url]).fails(6, "grads@2.0");
}

#[test]
fn what_cannot_be_served_is_said_before_anything_is() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("empty")).unwrap();
    sandbox.isn(&["serve", "empty"]).fails(6, "registry.json");
    sandbox.isn(&["serve", "https://example.org/"]).fails(1, "is a URL");
    let (_, _) = with_object(&sandbox, 1);
    sandbox.isn(&["serve", "reg", "--tls-cert", "x"]).fails(2, "--tls-key");
    sandbox.isn(&["serve", "reg", "--listen", "8080"]).fails(2, "8080");
    sandbox.isn(&["serve", "reg", "--publish-quota", "5X", "--publish-tokens", "t"]).fails(2, "5X");
    sandbox
        .isn(&["serve", "reg", "--publish-tokens", "t", "--listen", "127.0.0.1:0"])
        .fails(6, "cannot read t");
    sandbox.write("t", b"ci secret-that-is-no-hash\n");
    let ran = sandbox.isn(&["serve", "reg", "--publish-tokens", "t", "--listen", "127.0.0.1:0"]);
    assert!(!ran.stderr.contains("secret-that-is-no-hash"), "{}", ran.stderr);
    ran.fails(1, "t, line 1");
    let served = Served::start(&sandbox, &[]);
    sandbox.isn(&["serve", "reg", "--listen", &served.address.to_string()]).fails(1, "--listen");
}

#[test]
fn health_metrics_and_log() {
    let sandbox = Sandbox::new();
    let (path, bytes) = with_object(&sandbox, 100_000);
    let served = Served::start(&sandbox, &["--log"]);
    assert_eq!((served.get("-/health").status, served.get("-/health").text()), (200, "ok\n".into()));
    served.get(&path);
    served.raw(&format!("GET /{path}?token=in-the-query HTTP/1.1\nAuthorization: Bearer in-the-head"), b"");
    served.raw("BREW /x HTTP/1.1", b"");
    assert_eq!(
        served.metric("isn_requests_total{method=\"GET\",status=\"2xx\"}"),
        4,
        "health twice, the object twice"
    );
    assert_eq!(served.metric("isn_requests_total{method=\"other\",status=\"4xx\"}"), 1);
    eventually("the others are closed", || served.metric("isn_connections") == 1);
    assert!(served.metric("isn_sent_bytes_total") > 2 * bytes.len() as u64);
    fs::rename(sandbox.path("reg/registry.json"), sandbox.path("reg/gone")).unwrap();
    assert_eq!(served.get("-/health").status, 503);
    served.signal("-TERM");
    let log = served.end().ok().stderr;
    assert!(log.contains(&format!(" 127.0.0.1 GET /{path} 200 {} ", bytes.len())), "{log}");
    assert!(!log.contains("in-the-query") && !log.contains("in-the-head"), "{log}");
}

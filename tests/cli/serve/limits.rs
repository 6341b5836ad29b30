//! Slow, silent and greedy clients, and the shutdown of the server.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use super::{Served, metric, with_object};
use crate::sandbox::{ISN, Sandbox, eventually};

#[test]
fn too_many_connections_are_told_so() {
    let sandbox = Sandbox::new();
    with_object(&sandbox, 10);
    for limit in ["--max-connections", "--max-per-address"] {
        let served = Served::start(&sandbox, &[limit, "2"]);
        let (one, two) = (served.connect(), served.connect());
        eventually("two are in", || {
            let third = served.get("registry.json");
            third.status == 503 && third.header("retry-after") == Some("5")
        });
        drop((one, two));
        // A place is free again a moment after its client has gone.
        eventually("there is room again, and the refused are counted", || {
            let metrics = served.get("-/metrics");
            metrics.status == 200 && metric(&metrics, "isn_connections_refused_total") > 0
        });
    }
}

#[test]
fn a_head_that_is_too_long_or_too_slow_is_refused() {
    let sandbox = Sandbox::new();
    with_object(&sandbox, 10);
    let served = Served::start(&sandbox, &["--header-timeout", "1s", "--idle-timeout", "2s"]);
    let long = served.raw(&format!("GET /registry.json HTTP/1.1\nX: {}", "x".repeat(100_000)), b"");
    assert_eq!(long.status, 431);
    let many = served.raw(&format!("GET /registry.json HTTP/1.1{}", "\nX: x".repeat(1000)), b"");
    assert_eq!(many.status, 431);
    let mut slow = served.connect();
    let begun = Instant::now();
    for byte in b"GET /registry.json HTTP/1.1\r\nX: a head that is sent byte by byte and never ends".iter() {
        std::thread::sleep(Duration::from_millis(200));
        if slow.write_all(&[*byte]).is_err() {
            break;
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    // A client that sends nothing at all.
    let begun = Instant::now();
    assert_eq!(served.connect().read(&mut [0]).unwrap_or(0), 0);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(served.metric("isn_connections_timed_out_total") > 0);
}

#[test]
fn slow_clients_are_held_and_cost_no_memory_and_stalled_ones_go() {
    let sandbox = Sandbox::new();
    let (path, bytes) = with_object(&sandbox, 16 << 20);
    let served = Served::start(&sandbox, &["--idle-timeout", "5s"]);
    let ask = || {
        let mut stream = served.connect();
        stream.write_all(format!("GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
        stream
    };
    let mut slow: Vec<_> = (0..100).map(|_| ask()).collect();
    let begun = Instant::now();
    let mut piece = vec![0; 64 << 10];
    // Longer than a stalled client may stay, at some 640 kB a second each.
    while begun.elapsed() < Duration::from_secs(8) {
        for stream in &mut slow {
            stream.read_exact(&mut piece).unwrap();
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(served.get(&path).body == bytes);
    let status = std::fs::read_to_string(format!("/proc/{}/status", served.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 100_000, "{peak} kB for 100 slow clients");
    assert_eq!(served.metric("isn_connections_timed_out_total"), 0);
    // Now no client reads anything.
    eventually("all are gone", || served.metric("isn_connections_timed_out_total") == 100);
    eventually("their places are free", || served.metric("isn_connections") == 1);
    let mut rest = Vec::new();
    let _ = slow[0].read_to_end(&mut rest);
    assert!(rest.len() < bytes.len());
}

#[test]
fn what_is_being_sent_is_finished_before_the_end() {
    let sandbox = Sandbox::new();
    let (path, bytes) = with_object(&sandbox, 32 << 20);
    for signal in ["-TERM", "-INT"] {
        let served = Served::start(&sandbox, &[]);
        let mut stream = served.connect();
        let idle = served.connect();
        stream.write_all(format!("GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
        let mut first = vec![0; 1000];
        stream.read_exact(&mut first).unwrap();
        served.signal(signal);
        eventually("no new connections", || std::net::TcpStream::connect(served.address).is_err());
        let rest = answer_with(first, stream);
        assert!(rest.ends_with(&bytes), "{signal}");
        let ended = served.end().ok();
        assert!(ended.stderr.contains("all answers were finished"), "{}", ended.stderr);
        drop(idle);
    }
    // The server does not wait for a client that never reads the rest; after a second signal
    // it waits for nobody.
    for grace in ["1s", "1h"] {
        let served = Served::start(&sandbox, &["--grace", grace]);
        let mut stream = served.connect();
        stream.write_all(format!("GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
        stream.read_exact(&mut [0; 1000]).unwrap();
        let begun = Instant::now();
        served.signal("-TERM");
        if grace == "1h" {
            eventually("no new connections", || std::net::TcpStream::connect(served.address).is_err());
            served.signal("-INT");
        }
        let ended = served.end().ok();
        assert!(ended.stderr.contains("some answers were cut off"), "{}", ended.stderr);
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}

fn answer_with(mut first: Vec<u8>, mut stream: std::net::TcpStream) -> Vec<u8> {
    stream.read_to_end(&mut first).unwrap();
    first
}

#[test]
fn files_that_may_be_open_are_not_all_given_away() {
    let sandbox = Sandbox::new();
    with_object(&sandbox, 10);
    let mut command = sandbox.program("sh");
    command.args(["-c", &format!("ulimit -n 80; exec {ISN} serve reg --listen 127.0.0.1:0")]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut url = String::new();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut url).unwrap();
    let address = url.trim().trim_start_matches("http://").to_string();
    // If many are refused at once, some connections are closed without a response.
    let has_status = |status: &str| {
        let (mut stream, mut head) = (std::net::TcpStream::connect(&address).unwrap(), [0; 12]);
        let request = b"GET /registry.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(request).and_then(|()| stream.read_exact(&mut head)).is_ok()
            && head.ends_with(status.as_bytes())
    };
    let held: Vec<_> = (0..100).map(|_| std::net::TcpStream::connect(&address).unwrap()).collect();
    eventually("the rest is refused", || has_status("503"));
    drop(held);
    eventually("there is room again", || has_status("200"));
    child.kill().unwrap();
    child.wait().unwrap();
}

//! Faults of networks, servers and disks during a pull. Each ends in the right bytes or the right error,
//! never in a half-written tree, and the next pull resumes.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::sandbox::{Ran, Sandbox, contents, eventually, has_tool, ran};
use crate::server::{Fault, Server};

/// The expected outcome of a row.
enum End {
    /// The right bytes.
    Right,
    /// This exit code, with a message that contains this text.
    Fails(i32, &'static str),
}

use End::{Fails, Right};

const ALWAYS: usize = usize::MAX;
const SHARD: &str = ".tar.zst";
const INDEX: &str = ".jsonl.zst";

/// Pulls with short timeouts.
fn command(sandbox: &Sandbox, url: &str, reference: &str, more: &[&str]) -> Command {
    let args = ["pull", reference, "--registry", url, "--to", "tree", "--json", "--no-cache"];
    let mut command = sandbox.command(&[&args[..], more].concat());
    command.env("ISN_TIMEOUT", "1").env("ISN_RETRIES", "2");
    command
}

fn pull(sandbox: &Sandbox, url: &str, reference: &str, more: &[&str]) -> Ran {
    ran(command(sandbox, url, reference, more))
}

fn images(sandbox: &Sandbox, tree: &str) -> Vec<(String, Vec<u8>)> {
    let mut files = contents(&sandbox.path(tree));
    files.retain(|(name, _)| name != "ISN.json");
    files
}

fn published() -> (Sandbox, String) {
    let (sandbox, pin) = Sandbox::published_large();
    sandbox.pull(&pin, &["--to", "whole"]).ok();
    (sandbox, pin)
}

/// Checks the outcome of one row, and that a pull from a working server then completes the tree.
fn check(sandbox: &Sandbox, pin: &str, row: &str, ran: &Ran, end: &End) {
    match end {
        Right => {
            assert_eq!(ran.code, 0, "{row}: {}", ran.stderr);
            assert!(images(sandbox, "tree") == images(sandbox, "whole"), "{row}");
        }
        Fails(code, message) => {
            assert_eq!(ran.code, *code, "{row}: {}", ran.stderr);
            assert!(ran.stderr.contains(message), "{row}: expected '{message}' in {}", ran.stderr);
            assert!(!sandbox.path("tree").exists(), "{row}");
            sandbox.pull(pin, &["--to", "tree"]).ok();
            assert!(images(sandbox, "tree") == images(sandbox, "whole"), "{row}, the next pull");
        }
    }
    assert!(sandbox.leftovers().is_empty(), "{row}: {:?}", sandbox.leftovers());
    fs::remove_dir_all(sandbox.path("tree")).unwrap();
}

fn rows(rows: Vec<(&str, usize, Fault, End)>) {
    let (sandbox, pin) = published();
    for (on, times, fault, end) in rows {
        let row = format!("{fault:?} on '{on}', {times} times");
        let server = Server::faulty(&sandbox.path("reg"), on, times, fault);
        let ran = pull(&sandbox, &server.url, &pin, &[]);
        check(&sandbox, &pin, &row, &ran, &end);
    }
}

#[test]
fn lengths_that_are_not_true() {
    rows(vec![
        (SHARD, 2, Fault::Length(1000), Right),
        (SHARD, 2, Fault::Length(-1000), Right),
        (SHARD, ALWAYS, Fault::Length(1000), Fails(5, SHARD)),
        (SHARD, ALWAYS, Fault::Length(-1000), Fails(5, "says that they are")),
        (INDEX, 1, Fault::Length(10), Right),
        // The whole file has arrived, as its hash shows.
        (INDEX, ALWAYS, Fault::Length(10), Right),
        (INDEX, ALWAYS, Fault::Length(-10), Fails(3, "bytes long")),
        ("", ALWAYS, Fault::Chunked, Right),
        (SHARD, 3, Fault::CutChunked(100_000), Right),
        (INDEX, 1, Fault::CutChunked(100), Right),
    ]);
}

#[test]
fn connections_that_break() {
    let shard = 5_500_000;
    let mut table: Vec<_> =
        [0, 1, 511, 512, 77_312, 500_000, 1_048_575].map(|at| (SHARD, 1, Fault::Cut(at), Right)).into();
    // isn resumes again and again, as long as each attempt brings some bytes.
    table.push((SHARD, ALWAYS, Fault::Cut(200_000), Right));
    table.push((SHARD, ALWAYS, Fault::Cut(1000), Fails(5, SHARD)));
    table.push((SHARD, 3, Fault::Cut(shard), Right));
    table.push((INDEX, ALWAYS, Fault::Cut(500), Right));
    table.push(("", 2, Fault::Reset, Right));
    table.push((SHARD, 2, Fault::Reset, Right));
    table.push((SHARD, ALWAYS, Fault::Reset, Fails(5, SHARD)));
    rows(table);
}

#[test]
fn parts_that_are_not_those_asked_for() {
    rows(vec![
        (SHARD, ALWAYS, Fault::IgnoreRange, Right),
        (SHARD, 3, Fault::IgnoreRange, Right),
        (SHARD, 1, Fault::LateRange(1), Right),
        (SHARD, ALWAYS, Fault::LateRange(1), Fails(5, "asked from")),
        (SHARD, ALWAYS, Fault::LongRange(1), Fails(5, "asked up to")),
        (SHARD, ALWAYS, Fault::NoContentRange, Fails(5, "without saying which")),
        (SHARD, 1, Fault::WrongBytes, Right),
        (SHARD, ALWAYS, Fault::WrongBytes, Fails(3, "frame's BLAKE3")),
        // The file changes between the requests of one pull, for good or for a while.
        (SHARD, ALWAYS, Fault::Changed, Fails(3, "frame's BLAKE3")),
        (SHARD, 3, Fault::Changed, Right),
    ]);
}

#[test]
fn bytes_that_are_not_the_right_ones() {
    let (sandbox, pin) = published();
    let shard = sandbox.read(&sandbox.objects("reg", SHARD)[0]).len() as u64;
    drop((sandbox, pin));
    // A flipped bit, a file that ends early, and a response that was compressed in transit.
    rows(vec![
        (SHARD, 1, Fault::Flip(shard / 2), Right),
        (SHARD, ALWAYS, Fault::Flip(shard / 2), Fails(3, "frame's BLAKE3")),
        (SHARD, ALWAYS, Fault::Flip(0), Fails(3, "frame's BLAKE3")),
        (INDEX, 1, Fault::Flip(40), Right),
        (INDEX, ALWAYS, Fault::Flip(40), Fails(3, "BLAKE3")),
        (SHARD, ALWAYS, Fault::Short(100_000), Fails(3, "ends before byte")),
        (SHARD, ALWAYS, Fault::Short(shard / 2), Fails(3, "ends before byte")),
        (SHARD, ALWAYS, Fault::Gzip, Fails(5, "compressed the file in transit")),
        (INDEX, ALWAYS, Fault::Gzip, Fails(5, "compressed the file in transit")),
    ]);
}

#[test]
fn a_shard_that_ends_where_a_frame_ends() {
    let (sandbox, pin) = published();
    let pack = sandbox.objects("reg", INDEX).into_iter().find_map(|name| {
        let text = zstd::decode_all(&sandbox.read(&name)[..]).unwrap();
        text.starts_with(b"{\"format\":\"isn-pack/1\"").then(|| String::from_utf8(text).unwrap())
    });
    let entry: serde_json::Value = serde_json::from_str(pack.unwrap().lines().nth(40).unwrap()).unwrap();
    let end = entry["offset"].as_u64().unwrap() + entry["length"].as_u64().unwrap();
    let shard = sandbox.read(&sandbox.objects("reg", SHARD)[0]).len() as u64;
    let server = Server::faulty(&sandbox.path("reg"), SHARD, ALWAYS, Fault::Short(shard - end));
    let ran = pull(&sandbox, &server.url, &pin, &[]);
    check(&sandbox, &pin, "ends with a frame", &ran, &Fails(3, "ends before byte"));
}

#[test]
fn servers_that_are_busy() {
    let begun = Instant::now();
    rows(vec![
        ("", 1, Fault::Later(429, "1"), Right),
        (SHARD, 2, Fault::Later(503, "0"), Right),
        (SHARD, 2, Fault::Later(503, "soon"), Right),
        (SHARD, 2, Fault::Later(503, "-5"), Right),
        ("", ALWAYS, Fault::Later(503, "31536000"), Fails(5, "asks to retry in 31536000 seconds")),
        (SHARD, ALWAYS, Fault::Later(429, "99999999999999999999"), Fails(5, "429")),
        (SHARD, ALWAYS, Fault::Status(503), Fails(5, "503")),
        (SHARD, ALWAYS, Fault::Status(403), Fails(5, "403")),
        (SHARD, ALWAYS, Fault::Status(418), Fails(5, "418")),
    ]);
    assert!(begun.elapsed() < Duration::from_secs(120));
}

#[test]
fn servers_that_are_slow_or_silent() {
    // Well within the timeout, so that a busy machine does not make the server look silent.
    let slow = Fault::Drip(Duration::from_millis(400));
    rows(vec![
        (SHARD, 1, slow.clone(), Right),
        (SHARD, ALWAYS, slow.clone(), Fails(5, "too slow")),
        (INDEX, ALWAYS, slow, Fails(5, "too slow")),
        (SHARD, 1, Fault::Stall(300_000), Right),
        (INDEX, 1, Fault::Silence, Right),
        ("", ALWAYS, Fault::Silence, Fails(5, "no answer in time")),
        // Slow, but faster than the limit at which a server counts as stalled.
        ("", ALWAYS, Fault::Throttle(3_000_000), Right),
    ]);
}

#[test]
fn redirects() {
    let (sandbox, pin) = published();
    let good = Server::new(&sandbox.path("reg"));
    let to = |url: &str| Fault::RedirectTo(url.into());
    for (on, times, fault, end) in [
        ("", ALWAYS, Fault::Redirect, Fails(5, "redirected more than 5 times")),
        (SHARD, 1, Fault::Redirect, Right),
        // A redirect to another host, as object stores use it.
        (SHARD, ALWAYS, to(&good.url), Right),
        ("", ALWAYS, to(&good.url), Right),
        (SHARD, ALWAYS, to("http://127.0.0.1:1"), Fails(5, "cannot be reached")),
        (SHARD, ALWAYS, to("ftp://127.0.0.1"), Fails(5, "")),
        (SHARD, ALWAYS, to("file:///etc/passwd#"), Fails(5, "")),
    ] {
        let row = format!("{fault:?} on '{on}'");
        let server = Server::faulty(&sandbox.path("reg"), on, times, fault);
        let ran = pull(&sandbox, &server.url, &pin, &[]);
        check(&sandbox, &pin, &row, &ran, &end);
    }
}

/// Writes a file of tokens that only its owner may read.
fn secret(sandbox: &Sandbox, text: &str) {
    sandbox.write("home/tokens.toml", text.as_bytes());
    #[cfg(unix)]
    {
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(sandbox.path("home/tokens.toml"), private).unwrap();
    }
}

#[test]
fn a_token_goes_to_its_host_and_not_where_a_redirect_leads() {
    let (sandbox, pin) = published();
    let other = Server::new(&sandbox.path("reg"));
    let server = Server::faulty(&sandbox.path("reg"), "", ALWAYS, Fault::Token("s3cret"));
    let ended = pull(&sandbox, &server.url, &pin, &[]);
    check(&sandbox, &pin, "without a token", &ended, &Fails(5, "needs credentials, or refuses access"));
    let host = server.url.strip_prefix("http://").unwrap();
    let mut with = command(&sandbox, &server.url, &pin, &[]);
    let ran_with = ran(with.env("ISN_TOKENS", format!("elsewhere=x, {host}=s3cret")));
    check(&sandbox, &pin, "with a token", &ran_with, &Right);
    // The token comes from the file, and a redirect does not show it to any other host.
    secret(&sandbox, &format!("\"{host}\" = \"s3cret\"\n"));
    let ended = pull(&sandbox, &server.url, &pin, &[]);
    check(&sandbox, &pin, "with a token file", &ended, &Right);
    let redirecting =
        Server::faulty(&sandbox.path("reg"), SHARD, ALWAYS, Fault::RedirectTo(other.url.clone()));
    let host = redirecting.url.strip_prefix("http://").unwrap();
    secret(&sandbox, &format!("\"{host}\" = \"s3cret\"\n"));
    let ended = pull(&sandbox, &redirecting.url, &pin, &[]);
    check(&sandbox, &pin, "redirected", &ended, &Right);
    assert!(redirecting.log().iter().all(|request| request.headers["authorization"] == "Bearer s3cret"));
    assert!(!other.log().is_empty());
    assert!(other.log().iter().all(|request| !request.headers.contains_key("authorization")));
    for wrong in ["not toml s3cret", "\"a\" = 5 # s3cret"] {
        secret(&sandbox, wrong);
        let refused = pull(&sandbox, &redirecting.url, &pin, &[]).fails(1, "tokens.toml");
        assert!(!refused.stderr.contains("s3cret"), "{}", refused.stderr);
    }
}

#[test]
fn hosts_that_are_not_there() {
    let (sandbox, pin) = Sandbox::published();
    for (url, message) in [
        ("http://127.0.0.1:1", "cannot be reached"),
        ("http://no-such-host.invalid", "no-such-host.invalid"),
        ("https://127.0.0.1:1", "cannot be reached"),
    ] {
        let begun = Instant::now();
        pull(&sandbox, url, &pin, &[]).fails(5, message);
        assert!(begun.elapsed() < Duration::from_secs(10), "{url}");
        // isn falls back to a mirror.
        let server = Server::new(&sandbox.path("reg"));
        pull(&sandbox, &format!("{url},{}", server.url), &pin, &[]).ok();
        fs::remove_dir_all(sandbox.path("tree")).unwrap();
    }
    let gone = Server::faulty(&sandbox.path("reg"), SHARD, ALWAYS, Fault::Status(404));
    let good = Server::new(&sandbox.path("reg"));
    pull(&sandbox, &gone.url, &pin, &[]).fails(3, "is missing");
    pull(&sandbox, &format!("{},{}", gone.url, good.url), &pin, &[]).ok();
    assert!(good.log().iter().all(|request| request.path.ends_with(SHARD)), "{:?}", good.log());
}

/// Runs `openssl s_server` with files that are complete responses; `None` if there is no openssl.
fn https(sandbox: &Sandbox, answer: &str) -> Option<(std::process::Child, String)> {
    if !has_tool("openssl") {
        return None;
    }
    let openssl = |args: &[&str]| {
        let made = Command::new("openssl").args(args).current_dir(sandbox.path("")).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    };
    openssl(&[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "tls.key",
        "-out",
        "tls.pem",
        "-days",
        "2",
        "-subj",
        "/CN=isn test",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
    ]);
    sandbox.write("answers/registry.json", answer.as_bytes());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut server = Command::new("openssl");
    server.args(["s_server", "-HTTP", "-quiet", "-cert", "../tls.pem", "-key", "../tls.key", "-accept"]);
    server.arg(format!("127.0.0.1:{port}")).current_dir(sandbox.path("answers"));
    let server = server.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
    let child = server.stderr(std::process::Stdio::null()).spawn().unwrap();
    eventually("openssl listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    Some((child, format!("https://127.0.0.1:{port}")))
}

#[test]
fn from_https_nothing_leads_to_http_and_only_known_certificates_are_believed() {
    let (sandbox, pin) = Sandbox::published();
    let good = Server::new(&sandbox.path("reg"));
    let answer =
        format!("HTTP/1.1 302 Found\r\nLocation: {}/registry.json\r\nContent-Length: 0\r\n\r\n", good.url);
    let Some((mut server, url)) = https(&sandbox, &answer) else { return };
    let begun = Instant::now();
    let unknown = pull(&sandbox, &url, &pin, &[]);
    assert!(begun.elapsed() < Duration::from_secs(5), "asked again and again");
    let mut with = command(&sandbox, &url, &pin, &[]);
    let known = ran(with.env("ISN_CA_BUNDLE", sandbox.path("tls.pem")));
    let mut with = command(&sandbox, &url, &pin, &[]);
    let no_bundle = ran(with.env("ISN_CA_BUNDLE", sandbox.path("grads-1.0.toml")));
    server.kill().unwrap();
    server.wait().unwrap();
    let unknown = unknown.fails(5, "ertificate");
    assert!(unknown.stderr.contains("ISN_CA_BUNDLE"), "{}", unknown.stderr);
    known.fails(5, "redirected from https to http");
    no_bundle.fails(1, "has no certificate in PEM");
    assert!(good.log().is_empty());
}

#[test]
fn proxies_are_asked_and_left_out_as_the_variables_say() {
    let (sandbox, pin) = Sandbox::published();
    // For plain http, a proxy is asked for the whole URL; this one serves the folder whatever the host.
    let proxy = Server::new(&sandbox.path("proxied"));
    let target = Server::new(&sandbox.path("reg"));
    let host = target.url.strip_prefix("http://").unwrap();
    sandbox.copy("reg", &format!("proxied/http:/{host}"));
    let mut with = command(&sandbox, &target.url, &pin, &[]);
    ran(with.env("http_proxy", &proxy.url)).ok();
    assert!(target.log().is_empty() && !proxy.log().is_empty());
    fs::remove_dir_all(sandbox.path("tree")).unwrap();
    let mut without = command(&sandbox, &target.url, &pin, &[]);
    ran(without.env("http_proxy", &proxy.url).env("NO_PROXY", "127.0.0.1")).ok();
    assert!(!target.log().is_empty());
}

#[test]
fn a_system_without_certificates_needs_them_for_https_alone() {
    let (sandbox, pin) = Sandbox::published();
    let server = Server::new(&sandbox.path("reg"));
    let at = |url: &str| {
        let mut isn = sandbox.command(&["pull", &pin, "--registry", url, "--to", "tree"]);
        ran(isn.env("SSL_CERT_FILE", "/dev/null"))
    };
    let none = at("https://127.0.0.1:1").fails(5, "certificates");
    assert!(none.stderr.contains("\nhelp: `isn doctor` looks for the cause"), "{}", none.stderr);
    at(&server.url).ok();
}

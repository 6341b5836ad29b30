//! TLS and HTTP/2, tested with curl.

use std::process::Command;

use super::{Served, with_object};
use crate::sandbox::{Sandbox, has_tool};

/// The HTTP version according to curl, and the body.
fn curl(args: &[&str], url: &str, sandbox: &Sandbox) -> (String, Vec<u8>) {
    let out = sandbox.path("curl-out");
    let mut command = Command::new("curl");
    command.args(["-sS", "--noproxy", "*", "-w", "%{http_version} %{http_code}", "-o"]).arg(&out).args(args);
    let ran = crate::sandbox::ran(command.arg(url)).ok();
    (ran.stdout, std::fs::read(out).unwrap())
}

#[test]
fn http_2_without_tls() {
    if !has_tool("curl") {
        return;
    }
    let sandbox = Sandbox::new();
    let (path, bytes) = with_object(&sandbox, (3 << 20) + 17);
    let served = Served::start(&sandbox, &[]);
    let url = format!("{}/{path}", served.url);
    let (said, body) = curl(&["--http2-prior-knowledge"], &url, &sandbox);
    assert_eq!((said.as_str(), body == bytes), ("2 200", true));
    let (said, body) = curl(&["--http2-prior-knowledge", "-r", "5-2000000"], &url, &sandbox);
    assert_eq!((said.as_str(), body == bytes[5..2_000_001]), ("2 206", true));
}

#[test]
fn tls_with_both_versions() {
    if !has_tool("curl") || !has_tool("openssl") {
        return;
    }
    let sandbox = Sandbox::new();
    let (path, bytes) = with_object(&sandbox, (3 << 20) + 17);
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
    openssl.args(["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]);
    openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    openssl.arg("-keyout").arg(sandbox.path("key.pem")).arg("-out").arg(sandbox.path("cert.pem"));
    assert!(openssl.output().unwrap().status.success());
    let served = Served::start(&sandbox, &["--tls-cert", "cert.pem", "--tls-key", "key.pem"]);
    assert!(served.url.starts_with("https://127.0.0.1:"), "{}", served.url);
    let url = format!("{}/{path}", served.url);
    let authority = sandbox.path("cert.pem");
    let authority = authority.to_str().unwrap();
    for (version, expected) in [("--http2", "2 200"), ("--http1.1", "1.1 200")] {
        let (said, body) = curl(&[version, "--cacert", authority], &url, &sandbox);
        assert_eq!((said.as_str(), body == bytes), (expected, true));
    }
    let mut pull = sandbox.command(&["list", "--registry", &served.url]);
    crate::sandbox::ran(pull.env("SSL_CERT_FILE", authority)).ok();
    sandbox.isn(&["list", "--registry", &served.url]).fails(5, "certificate");
    sandbox.write("other.pem", b"nothing");
    for (cert, key) in [("other.pem", "key.pem"), ("cert.pem", "other.pem"), ("cert.pem", "none.pem")] {
        let wrong = if cert == "other.pem" { cert } else { key };
        sandbox.isn(&["serve", "reg", "--tls-cert", cert, "--tls-key", key]).fails(1, wrong);
    }
}

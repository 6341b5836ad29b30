use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use crate::sandbox::{Sandbox, eventually, has_tool, ran};

#[test]
fn a_new_key_is_an_openssh_key_that_only_its_owner_reads() {
    let sandbox = Sandbox::new();
    let made = sandbox.isn(&["key", "new", "alice", "--no-passphrase", "--json"]).ok().json();
    let shown = sandbox.isn(&["key", "show", "alice"]).ok().stdout;
    assert!(shown.starts_with("ssh-ed25519 AAAA") && shown.ends_with('\n') && shown.lines().count() == 1);
    let fingerprint = made["fingerprint"].as_str().unwrap();
    assert!(sandbox.isn(&["key", "list"]).ok().stdout.contains(&format!("alice  {fingerprint}")));
    let private = sandbox.path("home/keys/alice");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&private).unwrap().permissions().mode() & 0o077, 0);
    }
    if has_tool("ssh-keygen") {
        let line = ran(Command::new("ssh-keygen").arg("-lf").arg(&private)).ok().stdout;
        assert!(line.contains(fingerprint) && line.contains("(ED25519)"), "{line}");
        let public = ran(Command::new("ssh-keygen").arg("-yf").arg(&private)).ok().stdout;
        let key = |line: &str| line.split_whitespace().nth(1).unwrap().to_string();
        assert_eq!(key(&public), key(&shown));
    }
    // A name cannot be used twice.
    sandbox.isn(&["key", "new", "alice", "--no-passphrase"]).fails(1, "already exists");
    assert_eq!(sandbox.isn(&["key", "show", "alice"]).ok().stdout, shown);
    sandbox.isn(&["key", "show", "bob"]).fails(6, "key bob");
    sandbox.isn(&["key", "new", "../bob", "--no-passphrase"]).fails(2, "../bob");
}

#[test]
fn a_passphrase_is_asked_for_and_must_be_right() {
    let sandbox = Sandbox::built();
    let with = |args: &[&str], passphrase: Option<&str>| {
        let mut command = sandbox.command(args);
        passphrase.map(|text| command.env("ISN_PASSPHRASE", text));
        ran(&mut command)
    };
    for (passphrase, why) in
        [(None, "no terminal to ask for a passphrase"), (Some(""), "an empty passphrase protects nothing")]
    {
        let said = with(&["key", "new", "safe"], passphrase).fails(1, why).stderr;
        assert!(said.contains("set ISN_PASSPHRASE, or use --no-passphrase"), "{said}");
        assert!(!said.contains("run the command again"), "{said}");
    }
    with(&["key", "new", "safe"], Some("open sesame")).ok();
    let publish = ["publish", "out", "--registry", "reg", "--key", "safe"];
    with(&publish, None).fails(1, "safe");
    with(&publish, Some("wrong")).fails(1, "the passphrase is wrong");
    assert!(!sandbox.path("reg").exists(), "nothing is written before the signature");
    with(&publish, Some("open sesame")).ok();
}

#[test]
fn a_key_that_ssh_keygen_made_signs() {
    if !has_tool("ssh-keygen") {
        return;
    }
    let sandbox = Sandbox::built();
    let made = |name: &str, kind: &[&str]| {
        let mut command = Command::new("ssh-keygen");
        command.args(kind).args(["-q", "-N", "", "-C", "me@example.org", "-f"]).arg(sandbox.path(name));
        ran(&mut command).ok();
    };
    made("own", &["-t", "ed25519"]);
    sandbox.isn(&["publish", "out", "--registry", "reg", "--key", "own"]).ok();
    sandbox.isn(&["trust", "add", "reg", "own.pub"]).ok();
    sandbox.pull("grads@1.0", &[]).ok();
    made("rsa", &["-t", "rsa", "-b", "2048"]);
    sandbox.isn(&["publish", "out", "--registry", "reg2", "--key", "rsa"]).fails(1, "rsa");
    assert!(!sandbox.path("reg2").exists());
}

/// A proxy between isn and an agent that counts the signing requests.
fn count_signatures(listener: UnixListener, agent: PathBuf, asked: Arc<AtomicUsize>) {
    const SIGN_REQUEST: u8 = 13;
    fn message(from: &mut UnixStream) -> std::io::Result<Vec<u8>> {
        let mut message = vec![0; 4];
        from.read_exact(&mut message)?;
        let length = u32::from_be_bytes(message[..4].try_into().unwrap()) as usize;
        message.resize(4 + length, 0);
        from.read_exact(&mut message[4..])?;
        Ok(message)
    }
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, Ok(mut agent)) = (client.unwrap(), UnixStream::connect(&agent)) else { return };
            while let Ok(request) = message(&mut client) {
                asked.fetch_add(usize::from(request[4] == SIGN_REQUEST), Relaxed);
                agent.write_all(&request).unwrap();
                client.write_all(&message(&mut agent).unwrap()).unwrap();
            }
        }
    });
}

#[test]
fn a_key_in_the_agent_signs() {
    if !has_tool("ssh-agent") || !has_tool("ssh-add") {
        return;
    }
    let sandbox = Sandbox::built();
    let socket = sandbox.path("agent");
    let Ok(mut agent) = Command::new("ssh-agent").args(["-D", "-a"]).arg(&socket).spawn() else { return };
    eventually("the agent listens", || {
        assert!(agent.try_wait().unwrap().is_none(), "the agent ended");
        socket.exists()
    });
    let key = sandbox.path("home/keys/me");
    let added = Command::new("ssh-add").arg("-q").arg(&key).env("SSH_AUTH_SOCK", &socket).status().unwrap();
    let public = sandbox.isn(&["key", "show", "me"]).ok().stdout;
    sandbox.write("agent.pub", public.as_bytes());
    std::fs::remove_file(&key).unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = sandbox.path("counted");
    count_signatures(UnixListener::bind(&counted).unwrap(), socket, asked.clone());
    let publish = |socket: &Path, more: &[&str]| {
        let args = ["publish", "out", "--registry", "reg", "--key", "agent.pub"];
        ran(sandbox.command(&[&args[..], more].concat()).env("SSH_AUTH_SOCK", socket))
    };
    let tried = (publish(&counted, &["--dry-run"]), asked.swap(0, Relaxed));
    let published = (publish(&counted, &[]), asked.swap(0, Relaxed));
    let again = (publish(&counted, &[]), asked.swap(0, Relaxed));
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert!(added.success());
    // One signature for the claim of the name, one for the release.
    for ((ran, signatures), expected) in [(tried, 0), (published, 2), (again, 0)] {
        ran.ok();
        assert_eq!(signatures, expected);
    }
    sandbox.isn(&["trust", "add", "reg", "agent.pub"]).ok();
    sandbox.pull("grads@1.0", &[]).ok();
    // If the agent is gone, the error names its socket.
    let ran = publish(&counted, &[]);
    assert!(ran.code == 1 && ran.stderr.contains("agent"), "{} {}", ran.code, ran.stderr);
}

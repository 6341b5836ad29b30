//! Tests against stock OpenSSH, where it is installed: each side reads the other's keys and accepts its
//! signatures. Without it the tests pass, and say that they did nothing.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::*;
use isn_format::release::{SignedRelease, sign};
use isn_format::statement::{NAMESPACE, ReleaseStatement, Statement};

const STATEMENT: &str = include_str!("../../../../tests/vectors/release/statement.txt");
const NOBODY: Unlock<'static> = Unlock { agent: None, passphrase: &|_| Ok(None) };

/// A temporary folder; `None` if there is no OpenSSH.
fn workshop() -> Option<tempfile::TempDir> {
    let found =
        Command::new("ssh-keygen").arg("-?").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        eprintln!("skipped: there is no ssh-keygen here");
    }
    found.then(|| tempfile::tempdir().unwrap())
}

fn run(dir: &Path, program: &str, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(dir)
        .env_remove("SSH_AUTH_SOCK")
        .env_remove("SSH_ASKPASS")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that does not read all of its input is judged by its output.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn keygen(dir: &Path, arguments: &[&str], input: &[u8]) -> String {
    let output = run(dir, "ssh-keygen", arguments, input);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ssh-keygen {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Verifies as docs/verify.md tells readers to: splits statement and signature, then runs `ssh-keygen -Y
/// verify`.
fn keygen_accepts(dir: &Path, signed: &[u8], signer: &PublicKey) -> bool {
    let signed = std::str::from_utf8(signed).unwrap();
    let (statement, armour) = signed.split_at(signed.find("\n\n").unwrap() + 1);
    fs::write(dir.join("signature"), &armour[1..]).unwrap();
    fs::write(dir.join("signers"), format!("publisher {signer}\n")).unwrap();
    let arguments = ["-Y", "verify", "-f", "signers", "-I", "publisher", "-n", NAMESPACE, "-s", "signature"];
    run(dir, "ssh-keygen", &arguments, statement.as_bytes()).status.success()
}

fn statement() -> ReleaseStatement {
    match Statement::parse("statement.txt", STATEMENT).unwrap() {
        Statement::Release(release) => release,
        other => panic!("{other:?}"),
    }
}

#[test]
fn ssh_keygen_reads_our_keys() {
    let Some(dir) = workshop() else { return };
    let keyring = Keyring::new(dir.path());
    let open = keyring.new_key(&"open".parse().unwrap(), None).unwrap();
    let locked = keyring.new_key(&"locked".parse().unwrap(), Some("pass phrase ü")).unwrap();
    assert_eq!(keygen(dir.path(), &["-y", "-P", "", "-f", "open"], b""), format!("{open} open\n"));
    assert_eq!(
        keygen(dir.path(), &["-y", "-P", "pass phrase ü", "-f", "locked"], b""),
        format!("{locked} locked\n")
    );
    let output = run(dir.path(), "ssh-keygen", &["-y", "-P", "wrong", "-f", "locked"], b"");
    assert!(!output.status.success());
    for (file, key, name) in
        [("open", open, "open"), ("open.pub", open, "open"), ("locked.pub", locked, "locked")]
    {
        let expected = format!("256 {} {name} (ED25519)\n", key.fingerprint());
        assert_eq!(keygen(dir.path(), &["-l", "-f", file], b""), expected);
    }
}

#[test]
fn we_read_ssh_keygens_keys() {
    let Some(dir) = workshop() else { return };
    let keyring = Keyring::new(dir.path().join("keys"));
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_string();
    // The default cipher of ssh-keygen, and others that people choose.
    for cipher in [
        "",
        "aes256-ctr",
        "aes256-cbc",
        "aes128-ctr",
        "aes256-gcm@openssh.com",
        "chacha20-poly1305@openssh.com",
    ] {
        let name = format!("key-{cipher}");
        let mut arguments = vec!["-q", "-t", "ed25519", "-C", "me", "-N", "secret", "-a", "2", "-f", &name];
        if !cipher.is_empty() {
            arguments.extend(["-Z", cipher]);
        }
        keygen(dir.path(), &arguments, b"");
        let ask = |_: &str| Ok(Some("secret".to_string()));
        let signer = keyring.signer(&path(&name), Unlock { agent: None, passphrase: &ask }).unwrap();
        let signed = sign(&statement(), &*signer).unwrap();
        assert!(keygen_accepts(dir.path(), signed.bytes(), signer.public_key()), "{cipher}");
        let public = fs::read_to_string(dir.path().join(format!("{name}.pub"))).unwrap();
        assert_eq!(public, format!("{} me\n", signer.public_key()));
        let wrong = |_: &str| Ok(Some("wrong".to_string()));
        let error =
            keyring.signer(&path(&name), Unlock { agent: None, passphrase: &wrong }).map(|_| ()).unwrap_err();
        assert!(error.to_string().ends_with("the passphrase is wrong"), "{cipher}: {error}");
    }
    let kinds = [("rsa", "1024"), ("ecdsa", "256")];
    for ((kind, bits), passphrase) in kinds.into_iter().flat_map(|kind| [(kind, ""), (kind, "secret")]) {
        let name = format!("{kind}-{passphrase}");
        keygen(dir.path(), &["-q", "-t", kind, "-b", bits, "-a", "2", "-N", passphrase, "-f", &name], b"");
        for file in [name.clone(), format!("{name}.pub")] {
            let error = keyring.signer(&path(&file), NOBODY).map(|_| ()).unwrap_err().to_string();
            assert!(
                error.contains(&file) && error.contains("only plain Ed25519 keys are accepted"),
                "{error}"
            );
        }
    }
    keygen(dir.path(), &["-q", "-t", "rsa", "-b", "1024", "-m", "PEM", "-N", "", "-f", "old"], b"");
    let error = keyring.signer(&path("old"), NOBODY).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("not in OpenSSH's format"), "{error}");
}

#[test]
fn each_accepts_the_others_signatures_and_no_changed_statement() {
    let Some(dir) = workshop() else { return };
    let keyring = Keyring::new(dir.path());
    let key = keyring.new_key(&"alice".parse().unwrap(), None).unwrap();
    let ours = sign(&statement(), &*keyring.signer("alice", NOBODY).unwrap()).unwrap();
    assert!(keygen_accepts(dir.path(), ours.bytes(), &key));
    let forged = String::from_utf8(ours.bytes().to_vec()).unwrap().replacen("1.0", "1.1", 1);
    assert!(!keygen_accepts(dir.path(), forged.as_bytes(), &key));

    let armour =
        keygen(dir.path(), &["-q", "-Y", "sign", "-f", "alice", "-n", NAMESPACE], STATEMENT.as_bytes());
    let theirs = format!("{STATEMENT}\n{armour}").into_bytes();
    assert_eq!(theirs, ours.bytes(), "Ed25519 is deterministic and the armour has one form");
    SignedRelease::parse("theirs", theirs).unwrap().verify("/r", &[key]).unwrap();
}

/// An ssh-agent that ends with the test.
struct TestAgent {
    process: Child,
    socket: PathBuf,
}

impl TestAgent {
    /// Returns `None` if it cannot run.
    fn start(dir: &Path) -> Option<TestAgent> {
        let socket = dir.join("agent");
        let process =
            Command::new("ssh-agent").args(["-D", "-a"]).arg(&socket).stdout(Stdio::null()).spawn().ok()?;
        let mut agent = TestAgent { process, socket };
        let begun = Instant::now();
        while std::os::unix::net::UnixStream::connect(&agent.socket).is_err() {
            if agent.process.try_wait().unwrap().is_some() {
                eprintln!("skipped: ssh-agent does not run here");
                return None;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "ssh-agent does not listen after 30 seconds");
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(agent)
    }

    fn add(&self, key: &Path, arguments: &[&str]) {
        let mut command = Command::new("ssh-add");
        command.args(["-q"]).args(arguments).arg(key).env("SSH_AUTH_SOCK", &self.socket).stdin(Stdio::null());
        assert!(command.status().unwrap().success());
    }
}

impl Drop for TestAgent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn an_agent_signs_for_us() {
    let Some(dir) = workshop() else { return };
    let Some(agent) = TestAgent::start(dir.path()) else { return };
    let keyring = Keyring::new(dir.path().join("keys"));
    let file = |name: &str| dir.path().join("keys").join(name);
    let never = |_: &str| -> Result<Option<String>> { panic!("asked for a passphrase") };
    let unlock = Unlock { agent: Some(&agent.socket), passphrase: &never };
    let alice = keyring.new_key(&"alice".parse().unwrap(), None).unwrap();
    let public = file("alice.pub");
    let public = public.to_str().unwrap();

    let error = keyring.signer(public, unlock).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("alice.pub") && error.contains("ssh-add"), "{error}");

    keygen(dir.path(), &["-q", "-t", "rsa", "-b", "1024", "-N", "", "-f", "rsa"], b"");
    agent.add(&dir.path().join("rsa"), &[]);
    agent.add(&file("alice"), &[]);
    let by_agent = sign(&statement(), &*keyring.signer(public, unlock).unwrap()).unwrap();
    let by_file = sign(&statement(), &*keyring.signer("alice", unlock).unwrap()).unwrap();
    assert_eq!(by_agent.bytes(), by_file.bytes());
    by_agent.verify("/r", &[alice]).unwrap();

    // An encrypted key that the agent holds: it is given the same key without a passphrase.
    fs::copy(file("alice"), file("locked")).unwrap();
    keygen(dir.path(), &["-q", "-p", "-P", "", "-N", "secret", "-f", file("locked").to_str().unwrap()], b"");
    assert!(read_private(&file("locked")).unwrap().is_encrypted());
    let signed = sign(&statement(), &*keyring.signer("locked", unlock).unwrap()).unwrap();
    assert_eq!(signed.bytes(), by_file.bytes());

    // The agent drops the key after it was found and before it signs.
    let signer = keyring.signer(public, unlock).unwrap();
    agent.add(&file("alice"), &["-d"]);
    let error = sign(&statement(), &*signer).unwrap_err().to_string();
    assert!(error.contains("declines to sign"), "{error}");
}

/// Agents that send a wrong response, cut their response short, or hang up.
#[test]
fn a_misbehaving_agent_is_an_error() {
    use std::io::Read;
    let dir = tempfile::tempdir().unwrap();
    let key: PublicKey = include_str!("../../../../tests/vectors/release/alice.pub").parse().unwrap();
    let held = {
        let wire = key.to_wire();
        let mut list = vec![12, 0, 0, 0, 1];
        list.extend((wire.len() as u32).to_be_bytes());
        list.extend(&wire);
        list.extend([0; 4]);
        list
    };
    let framed = |body: &[u8]| [&(body.len() as u32).to_be_bytes(), body].concat();
    let bad_signature = {
        let mut answer = vec![14, 0, 0, 0, 83, 0, 0, 0, 11];
        answer.extend(b"ssh-ed25519");
        answer.extend([0, 0, 0, 64]);
        answer.extend([1; 64]);
        answer
    };
    for (number, (answers, reason)) in [
        (vec![vec![]], "cannot hear from"),
        (vec![vec![0, 0, 0, 0]], "0 bytes"),
        (vec![vec![255, 255, 255, 255]], "4294967295 bytes"),
        (vec![framed(&held)[..30].to_vec()], "cannot hear from"),
        (vec![framed(&held[..held.len() - 1])], "not well-formed"),
        (vec![framed(&held), framed(&[5])], "declines to sign"),
        (vec![framed(&held), framed(&bad_signature[..50])], "not well-formed"),
        (vec![framed(&held), framed(&bad_signature)], "a signature that is not valid"),
    ]
    .into_iter()
    .enumerate()
    {
        let socket = dir.path().join(number.to_string());
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let thread = std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut length = [0; 4];
                stream.read_exact(&mut length).unwrap();
                let mut request = vec![0; u32::from_be_bytes(length) as usize];
                stream.read_exact(&mut request).unwrap();
                stream.write_all(&answer).unwrap();
            }
        });
        let result = Agent::new(&socket).key(&key).and_then(|signer| sign(&statement(), &signer.unwrap()));
        let message = result.unwrap_err().to_string();
        assert!(message.contains(reason) && message.contains(socket.to_str().unwrap()), "{message}");
        thread.join().unwrap();
    }
}

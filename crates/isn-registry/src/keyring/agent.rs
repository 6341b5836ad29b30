//! [`Agent`]: a client of a running ssh-agent, for the two requests that signing needs.
//!
//! The protocol is that of the IETF draft `draft-ietf-sshm-ssh-agent`: every message is a `u32` length, a
//! type byte and a body, strings are a `u32` length and bytes, and all numbers are big-endian.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use isn_format::error::{Error, KeyFault, Result};
use isn_format::key::{PublicKey, Signature, Signer};

/// The maximum length of a message, in bytes, as in OpenSSH.
const MAX_MESSAGE: usize = 256 << 10;
/// How long an agent may take to list its keys. Signing has no timeout, since the agent may have to ask the
/// user.
const LIST_TIMEOUT: Duration = Duration::from_secs(10);

const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

/// An ssh-agent, by its socket.
#[derive(Clone, Debug)]
pub struct Agent {
    socket: PathBuf,
}

/// A key whose private half an agent holds.
#[derive(Clone, Debug)]
pub struct AgentKey {
    agent: Agent,
    key: PublicKey,
}

impl Agent {
    /// The agent that listens at `socket` (`SSH_AUTH_SOCK`). Does not connect yet.
    pub fn new(socket: &Path) -> Self {
        Agent { socket: socket.into() }
    }

    /// Returns `key`, ready to sign, if the agent holds it.
    ///
    /// # Errors
    /// [`Error::Io`] if the agent cannot be reached; [`Error::Key`] if its response is not well-formed.
    pub fn key(&self, key: &PublicKey) -> Result<Option<AgentKey>> {
        let answer = self.ask(&[REQUEST_IDENTITIES], Some(LIST_TIMEOUT))?;
        let held = holds(&answer, &key.to_wire())
            .ok_or_else(|| self.refuse("its list of keys is not well-formed".into()))?;
        Ok(held.then(|| AgentKey { agent: self.clone(), key: *key }))
    }

    fn refuse(&self, why: String) -> Error {
        Error::Key { key: format!("agent {}", self.socket.display()), why, fault: KeyFault::Agent }
    }

    /// Sends one request (type byte and body), and returns the response in the same form.
    fn ask(&self, request: &[u8], timeout: Option<Duration>) -> Result<Vec<u8>> {
        let mut stream =
            connect(&self.socket, timeout).map_err(Error::io("connect to the ssh agent at", &self.socket))?;
        let mut message = Vec::with_capacity(4 + request.len());
        put_string(&mut message, request);
        stream.write_all(&message).map_err(Error::io("ask the ssh agent at", &self.socket))?;
        let mut length = [0; 4];
        stream.read_exact(&mut length).map_err(Error::io("hear from the ssh agent at", &self.socket))?;
        let length = u32::from_be_bytes(length) as usize;
        if !(1..=MAX_MESSAGE).contains(&length) {
            return Err(self.refuse(format!("it answers with {length} bytes, which no agent does")));
        }
        let mut answer = vec![0; length];
        stream.read_exact(&mut answer).map_err(Error::io("hear from the ssh agent at", &self.socket))?;
        Ok(answer)
    }
}

impl Signer for AgentKey {
    fn public_key(&self) -> &PublicKey {
        &self.key
    }

    fn sign_sshsig(&self, namespace: &str, message: &[u8]) -> Result<Signature> {
        let refuse = |why: String| self.agent.refuse(why);
        let data = Signature::signed_data(namespace, message).map_err(Error::Internal)?;
        let mut request = vec![SIGN_REQUEST];
        put_string(&mut request, &self.key.to_wire());
        put_string(&mut request, &data);
        request.extend_from_slice(&0u32.to_be_bytes()); // no flags: they are RSA's
        let answer = self.agent.ask(&request, None)?;
        if answer[0] != SIGN_RESPONSE {
            return Err(refuse(format!("it declines to sign with {}", self.key.fingerprint())));
        }
        let raw = signature(&answer).ok_or_else(|| refuse("its signature is not well-formed".into()))?;
        let signature = Signature::from_raw(&self.key, namespace, raw).map_err(Error::Internal)?;
        if !signature.is_valid(message) {
            return Err(refuse("it gives a signature that is not valid".into()));
        }
        Ok(signature)
    }
}

#[cfg(unix)]
fn connect(socket: &Path, timeout: Option<Duration>) -> std::io::Result<impl Read + Write> {
    let stream = std::os::unix::net::UnixStream::connect(socket)?;
    stream.set_read_timeout(timeout)?;
    Ok(stream)
}

#[cfg(not(unix))]
fn connect(_: &Path, _: Option<Duration>) -> std::io::Result<std::fs::File> {
    Err(std::io::Error::new(std::io::ErrorKind::Unsupported, "ssh agents are supported on Unix only"))
}

/// Whether an IDENTITIES_ANSWER (`u32` count, then a key and a comment each) names the key; `None` if it is
/// not well-formed. A FAILURE, which a locked agent may send, holds no key.
fn holds(answer: &[u8], wire: &[u8]) -> Option<bool> {
    let (&kind, mut body) = answer.split_first()?;
    if kind != IDENTITIES_ANSWER {
        return Some(false);
    }
    let count = take_u32(&mut body)?;
    let mut held = false;
    for _ in 0..count {
        held |= take_string(&mut body)? == wire;
        take_string(&mut body)?;
    }
    body.is_empty().then_some(held)
}

/// Returns the 64 bytes in a SIGN_RESPONSE: a string of the algorithm's name and the signature, each a
/// string.
fn signature(answer: &[u8]) -> Option<&[u8]> {
    let (_, mut body) = answer.split_first()?;
    let mut blob = take_string(&mut body)?;
    let (algorithm, raw) = (take_string(&mut blob)?, take_string(&mut blob)?);
    let whole = body.is_empty() && blob.is_empty();
    (whole && algorithm == b"ssh-ed25519" && raw.len() == 64).then_some(raw)
}

fn put_string(message: &mut Vec<u8>, string: &[u8]) {
    // The strings are statements or keys: a few kilobytes at most.
    message.extend_from_slice(&(string.len() as u32).to_be_bytes());
    message.extend_from_slice(string);
}

fn take_u32(body: &mut &[u8]) -> Option<u32> {
    let (number, rest) = body.split_first_chunk()?;
    *body = rest;
    Some(u32::from_be_bytes(*number))
}

fn take_string<'a>(body: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_u32(body)? as usize;
    let (string, rest) = body.split_at_checked(length)?;
    *body = rest;
    Some(string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_answers_are_read() {
        let mut list = vec![IDENTITIES_ANSWER];
        list.extend_from_slice(&2u32.to_be_bytes());
        for string in [b"key one".as_slice(), b"comment", b"key two", b""] {
            put_string(&mut list, string);
        }
        assert_eq!(holds(&list, b"key two"), Some(true));
        assert_eq!(holds(&list, b"comment"), Some(false));
        assert_eq!(holds(&[5], b"key two"), Some(false));
        for end in 1..list.len() {
            assert_eq!(holds(&list[..end], b"key two"), None, "{end}");
        }
        list.push(0);
        assert_eq!(holds(&list, b"key two"), None);
        assert_eq!(holds(&[IDENTITIES_ANSWER, 255, 255, 255, 255], b""), None);
    }

    #[test]
    fn only_ed25519_signatures_are_taken() {
        let response = |algorithm: &[u8], raw: &[u8]| {
            let (mut blob, mut answer) = (Vec::new(), vec![SIGN_RESPONSE]);
            put_string(&mut blob, algorithm);
            put_string(&mut blob, raw);
            put_string(&mut answer, &blob);
            answer
        };
        let good = response(b"ssh-ed25519", &[7; 64]);
        assert_eq!(signature(&good), Some([7; 64].as_slice()));
        for end in 0..good.len() {
            assert_eq!(signature(&good[..end]), None, "{end}");
        }
        assert_eq!(signature(&response(b"ssh-rsa", &[7; 64])), None);
        assert_eq!(signature(&response(b"ssh-ed25519", &[7; 63])), None);
    }
}

//! Asks for the passphrases of keys.

use std::io::{self, IsTerminal as _};

use isn_format::error::{Error, KeyFault, Result};
use isn_format::text::one_line;
use isn_registry::keyring::KeyName;
use isn_registry::settings;

/// Returns the passphrase of a key from `ISN_PASSPHRASE` or the terminal, or `None` if there is neither.
pub(super) fn ask(prompt: &str) -> Result<Option<String>> {
    if let Some(passphrase) = settings::variable("ISN_PASSPHRASE")? {
        return Ok(Some(passphrase));
    }
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    let line = hidden_line(&one_line(prompt)).map_err(Error::io("read", "the terminal"))?;
    let passphrase = String::from_utf8(line).map_err(|_| {
        let why = "is not UTF-8 text: set the terminal's encoding to UTF-8, or set ISN_PASSPHRASE";
        Error::invalid("the passphrase", why)
    })?;
    Ok(Some(passphrase))
}

/// Asks for the passphrase of a new key.
pub(super) fn ask_new(name: &KeyName) -> Result<String> {
    let refuse = |why: &str, fault| Error::Key { key: name.to_string(), why: why.into(), fault };
    let asked = ask(&format!("New passphrase for key {name}: "))?;
    let passphrase = asked
        .ok_or_else(|| refuse("there is no terminal to ask for a passphrase", KeyFault::NoPassphrase))?;
    if passphrase.is_empty() {
        return Err(refuse("an empty passphrase protects nothing", KeyFault::NoPassphrase));
    }
    if ask("Once more: ")?.as_ref() != Some(&passphrase) {
        return Err(refuse("the two passphrases differ", KeyFault::NewPassphrase));
    }
    Ok(passphrase)
}

/// Reads a line from the terminal, without its end, while the terminal shows nothing of it.
#[cfg(not(unix))]
fn hidden_line(prompt: &str) -> io::Result<Vec<u8>> {
    rpassword::prompt_password(prompt).map(String::into_bytes)
}

/// Reads a line from the terminal, without its end, while the terminal shows nothing of it. Signals that end
/// the process leave the terminal as it was before.
#[cfg(unix)]
fn hidden_line(prompt: &str) -> io::Result<Vec<u8>> {
    use std::fs::File;
    use std::io::Write as _;
    use std::sync::Arc;

    use rustix::termios::{self, LocalModes, OptionalActions, SpecialCodeIndex};

    use super::interrupt;

    /// The code of a key that does nothing.
    const DISABLED: u8 = if cfg!(any(target_os = "linux", target_os = "android")) { 0 } else { 0xff };

    let terminal = Arc::new(File::options().read(true).write(true).open("/dev/tty")?);
    let shown = termios::tcgetattr(&terminal)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    hidden.local_modes.insert(LocalModes::ICANON | LocalModes::ISIG | LocalModes::ECHONL);
    // Ctrl-Z and Ctrl-\ would leave the shell a terminal without echo.
    for key in [SpecialCodeIndex::VSUSP, SpecialCodeIndex::VQUIT] {
        hidden.special_codes[key] = DISABLED;
    }
    let hide = || Ok(termios::tcsetattr(&terminal, OptionalActions::Now, &hidden)?);
    let show = {
        let terminal = Arc::clone(&terminal);
        move || {
            let _ = termios::tcsetattr(&terminal, OptionalActions::Now, &shown);
        }
    };
    let undo = {
        let (terminal, show) = (Arc::clone(&terminal), show.clone());
        move || {
            show();
            // What is printed next begins below the prompt.
            let _ = (&*terminal).write_all(b"\n");
        }
    };
    interrupt::undone_at_end(hide, undo, || {
        let line = (&*terminal).write_all(prompt.as_bytes()).and_then(|()| line_of(&terminal));
        show();
        line
    })
}

/// Reads a line from a terminal that hands over whole lines.
#[cfg(unix)]
fn line_of(mut terminal: &std::fs::File) -> io::Result<Vec<u8>> {
    use std::io::{Read as _, Write as _};

    let (mut line, mut some) = (Vec::new(), [0; 4096]);
    // A signal that does not end the process is an error here, so that a program with isn inside it can act
    // on Ctrl-C.
    loop {
        match terminal.read(&mut some)? {
            0 => {
                // Ctrl-D has ended no line on the terminal.
                terminal.write_all(b"\n")?;
                return if line.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(line) };
            }
            read => line.extend_from_slice(&some[..read]),
        }
        if line.last() == Some(&b'\n') {
            line.pop();
            // Ctrl-Z and Ctrl-\, which are disabled, come as characters.
            line.retain(|byte| !matches!(byte, 0x1a | 0x1c));
            return Ok(line);
        }
    }
}

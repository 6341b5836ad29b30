//! Asks for the passphrases of keys.

use std::io::IsTerminal as _;

use isn_format::error::{Error, KeyFault, Result};
use isn_format::text::one_line;
use isn_registry::keyring::KeyName;
use isn_registry::settings;

/// Returns the passphrase of a key from `ISN_PASSPHRASE` or the terminal, or `None` if there is neither.
pub(super) fn ask(prompt: &str) -> Result<Option<String>> {
    if let Some(passphrase) = settings::variable("ISN_PASSPHRASE")? {
        return Ok(Some(passphrase));
    }
    if !std::io::stdin().is_terminal() {
        return Ok(None);
    }
    rpassword::prompt_password(&*one_line(prompt)).map(Some).map_err(Error::io("read", "the terminal"))
}

/// Asks for the passphrase of a new key.
pub(super) fn ask_new(name: &KeyName) -> Result<String> {
    let refuse =
        |why: &str| Error::Key { key: name.to_string(), why: why.into(), fault: KeyFault::NewPassphrase };
    let asked = ask(&format!("New passphrase for key {name}: "))?;
    let passphrase = asked.ok_or_else(|| {
        refuse("there is no terminal to ask for a passphrase: set ISN_PASSPHRASE or use --no-passphrase")
    })?;
    if passphrase.is_empty() {
        return Err(refuse("an empty passphrase protects nothing: enter one, or use --no-passphrase"));
    }
    if ask("Once more: ")?.as_ref() != Some(&passphrase) {
        return Err(refuse("the two passphrases differ"));
    }
    Ok(passphrase)
}

//! Brings a statement into a log. The statement is made to fit the log as it stands, is signed with the keys
//! at hand, and is appended if the signatures are enough; otherwise it is written to a file that collects
//! more signatures (`isn sign`, then `isn append`).

use std::path::{Path, PathBuf};

use crate::files;
use crate::registry::append::OwnLog;
use crate::registry::publish::RegistryWriter;
use crate::registry::store;
use crate::transport::Access;
use crate::trust::Known;
use isn_format::error::{Breach, Error, Result, There};
use isn_format::key::{PublicKey, Signer};
use isn_format::log::{History, Refusal};
use isn_format::statement::{MAX_LEN, SignedStatement, Statement};

/// Reads a signed statement from a file of the user's own.
///
/// # Errors
/// [`Error::Invalid`] if it is none; [`Error::Io`] if it cannot be read.
pub(crate) fn read_statement(file: &Path) -> Result<SignedStatement> {
    let bytes = files::read_input(file, MAX_LEN as u64)?;
    SignedStatement::parse(&file.display().to_string(), bytes).map_err(no_statement)
}

/// Of a file of the user's own, what cannot be read is another file, not damage.
pub(crate) fn no_statement(error: Error) -> Error {
    match error {
        Error::Integrity { what, why, .. } => Error::invalid(
            what,
            format!("is not a statement, as `isn publish --statement` or `isn attest` writes one: {why}"),
        ),
        error => error,
    }
}

/// Who makes a statement, and to which registry.
pub struct Speaker<'a> {
    /// The location of the registry: a folder or a bucket.
    pub registry: &'a str,
    /// How the network may be used.
    pub access: &'a Access,
    /// Which log the registry must have, what was seen of it, and where the log key is.
    pub known: Known<'a>,
    /// The keys at hand.
    pub signers: &'a [Box<dyn Signer>],
    /// A file to write the statement to, even if the signatures are enough.
    pub out: Option<&'a Path>,
}

/// A submitted statement.
pub struct Submitted {
    /// The statement.
    pub statement: Statement,
    /// Where it is now.
    pub fate: Fate,
}

/// Where a statement is.
pub enum Fate {
    /// In the log, as the entry with this number.
    Logged(u64),
    /// In a file, where this many signatures are missing.
    Collecting(PathBuf, usize),
}

/// Makes statements that fit the log as it stands, and submits them.
///
/// # Errors
/// [`Error::Refused`] if the log would not accept a statement; [`Error::Exists`] if a file to collect
/// signatures already exists; also as `RegistryWriter::open_existing` and [`OwnLog::append`].
pub fn submit(
    speaker: &Speaker<'_>,
    make: impl FnOnce(&History) -> Result<Vec<Statement>>,
) -> Result<Vec<Submitted>> {
    let writer =
        RegistryWriter::open_existing(store::open(speaker.registry, speaker.access)?, speaker.known)?;
    let log = OwnLog::open(&writer, speaker.known)?;
    let view = log.view()?;
    let mut history = view.replica.history().clone();
    let (mut ready, mut waiting, mut submitted) = (Vec::new(), Vec::new(), Vec::new());
    for statement in make(&history)? {
        if let Some(index) = history.said(&statement) {
            submitted.push(Submitted { statement, fate: Fate::Logged(index) });
            continue;
        }
        let signed = sign_with(&statement, speaker.signers)?;
        let attested = signed.attested()?;
        match missing(&history, &attested.statement, &attested.signers)? {
            0 if speaker.out.is_none() => {
                let _ = history.apply(signed.bytes());
                ready.push(signed);
            }
            missing => {
                // Checked before anything is appended to the log.
                collected_in(signed.claimed(), speaker.out)?;
                waiting.push((signed, missing));
            }
        }
    }
    if !ready.is_empty() {
        let first = log.append(&ready)?.first;
        submitted.extend(ready.iter().zip(first..).map(|(signed, index)| Submitted {
            statement: signed.claimed().clone(),
            fate: Fate::Logged(index),
        }));
    }
    for (signed, missing) in waiting {
        submitted.push(collect(&signed, missing, speaker.out)?);
    }
    Ok(submitted)
}

/// Signs a statement with all keys at hand.
///
/// # Errors
/// [`Error::Invalid`] if there is no key; [`Error::Key`] if one cannot sign.
pub(crate) fn sign_with(statement: &Statement, signers: &[Box<dyn Signer>]) -> Result<SignedStatement> {
    let (first, more) =
        signers.split_first().ok_or_else(|| Error::invalid("--key", "names no key to sign with"))?;
    let signed = SignedStatement::sign(statement, first.as_ref())?;
    more.iter().try_fold(signed, |signed, signer| signed.sign_also(signer.as_ref()))
}

/// Returns how many signatures a statement lacks as the next entry, in addition to those by `keys`.
///
/// # Errors
/// [`Error::Refused`] if no number of signatures would be enough.
pub fn missing(history: &History, statement: &Statement, keys: &[PublicKey]) -> Result<usize> {
    match history.check(statement, keys) {
        Ok(()) => Ok(0),
        Err(refusal) if refusal.missing > 0 => Ok(refusal.missing),
        Err(Refusal { why, is_strangers, .. }) => {
            let breach = match statement {
                _ if is_strangers => Breach::Stranger,
                Statement::Release(new) if history.release(&new.id).is_some() => Breach::SecondRelease,
                _ => Breach::Other,
            };
            Err(Error::Refused { what: statement.title(), why, breach })
        }
    }
}

/// Returns the file in which a statement collects signatures.
///
/// # Errors
/// [`Error::Exists`] if it already exists; [`Error::Invalid`] if its folder does not.
pub(crate) fn collected_in(statement: &Statement, out: Option<&Path>) -> Result<PathBuf> {
    let file = out.map_or_else(|| PathBuf::from(file_name(statement)), Path::to_path_buf);
    files::check_is_path(&file)?;
    if file.symlink_metadata().is_ok() {
        return Err(taken(&file));
    }
    let folder = files::parent(&file);
    if !folder.is_dir() {
        let why = format!("cannot be written: there is no folder {}", folder.display());
        return Err(Error::invalid(file.display(), why));
    }
    files::check_output(&file)?;
    Ok(file)
}

/// Writes a statement to a file that collects signatures.
///
/// # Errors
/// As `collected_in`, or if the file cannot be written.
pub fn collect(signed: &SignedStatement, missing: usize, out: Option<&Path>) -> Result<Submitted> {
    let statement = signed.claimed().clone();
    let file = collected_in(&statement, out)?;
    if !files::create_new(&file, signed.bytes())? {
        return Err(taken(&file));
    }
    Ok(Submitted { statement, fate: Fate::Collecting(file, missing) })
}

fn taken(file: &Path) -> Error {
    Error::exists(There::Place, file.display(), ": it may hold signatures already")
}

/// The default name of the file, such as `birds-1.0.release.statement`.
fn file_name(statement: &Statement) -> String {
    let name = statement.name().map_or_else(|| "log".into(), ToString::to_string);
    let version = statement.version().map(|version| format!("-{version}")).unwrap_or_default();
    format!("{name}{version}.{}.statement", statement.kind())
}

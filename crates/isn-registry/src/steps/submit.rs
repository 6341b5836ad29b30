//! How a statement gets into a log: it is made to fit the log as it stands, signed with the keys at hand, and appended if
//! that is enough; else it is written to a file in which more signatures are collected (`isn sign`, then `isn append`).

use std::path::{Path, PathBuf};

use crate::files;
use crate::registry::append::OwnLog;
use crate::registry::publish::RegistryWriter;
use crate::registry::store;
use crate::transport::Access;
use crate::trust::Known;
use isn_format::error::{Error, Result, There};
use isn_format::key::{PublicKey, Signer};
use isn_format::log::{History, Refusal};
use isn_format::statement::{SignedStatement, Statement};

/// Who says something, and where.
pub struct Speaker<'a> {
    /// The registry: a folder or a bucket.
    pub registry: &'a str,
    /// How the network may be used.
    pub access: &'a Access,
    /// Which log it must have, where the log's key is, and what was seen of it.
    pub known: Known<'a>,
    /// The keys at hand.
    pub signers: &'a [Box<dyn Signer>],
    /// Write the statement to this file, even if the signatures are enough.
    pub out: Option<&'a Path>,
}

/// What became of a statement.
pub struct Submitted {
    /// What is stated.
    pub statement: Statement,
    /// Where it is now.
    pub fate: Fate,
}

/// Where a statement is.
pub enum Fate {
    /// In the log, as this entry.
    Logged(u64),
    /// In a file, waiting for so many more signatures.
    Collecting(PathBuf, usize),
}

/// Makes statements that fit the log as it stands, and submits them.
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
                // Before the log has any of them.
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
pub fn sign_with(statement: &Statement, signers: &[Box<dyn Signer>]) -> Result<SignedStatement> {
    let (first, more) =
        signers.split_first().ok_or_else(|| Error::invalid("--key", "names no key to sign with"))?;
    let signed = SignedStatement::sign(statement, first.as_ref())?;
    more.iter().try_fold(signed, |signed, signer| signed.sign_also(signer.as_ref()))
}

/// How many signatures a statement lacks as the next entry, beside those by `keys`; an error if no number of them would do.
pub fn missing(history: &History, statement: &Statement, keys: &[PublicKey]) -> Result<usize> {
    match history.check(statement, keys) {
        Ok(()) => Ok(0),
        Err(refusal) if refusal.missing > 0 => Ok(refusal.missing),
        Err(Refusal { why, is_strangers, .. }) => {
            Err(Error::Refused { what: statement.title(), why, is_strangers })
        }
    }
}

/// Where a statement goes to be signed by others too.
///
/// # Errors
/// Where something is there, or there is no such folder.
pub fn collected_in(statement: &Statement, out: Option<&Path>) -> Result<PathBuf> {
    let file = out.map_or_else(|| PathBuf::from(file_name(statement)), Path::to_path_buf);
    if file.symlink_metadata().is_ok() {
        return Err(taken(&file));
    }
    let folder = files::parent(&file);
    if !folder.is_dir() {
        let why = format!("is not written: there is no folder {}", folder.display());
        return Err(Error::invalid(file.display(), why));
    }
    files::check_output(&file)?;
    Ok(file)
}

/// Writes a statement to a file, to be signed by others too.
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

/// `birds-1.0.release.statement`.
fn file_name(statement: &Statement) -> String {
    let name = statement.name().map_or_else(|| "log".into(), ToString::to_string);
    let version = statement.version().map(|version| format!("-{version}")).unwrap_or_default();
    format!("{name}{version}.{}.statement", statement.kind())
}

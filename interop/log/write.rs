//! Writes a log into a folder registry: a claim of the name `birds`, then releases of it.
//!
//! usage: write-log REGISTRY LOGS ENTRIES CHECKPOINTS [NAMES]
//!
//! `REGISTRY` may exist, with an empty log. `LOGS` is the folder `logs` of an `ISN_HOME`, which has the log's
//! private key or gets it. Statements are appended in batches of 1, 2, 3, 5, 8 and so on, so that bundles and
//! tiles begin and end anywhere; the checkpoint after each batch but the last is kept in the folder
//! `CHECKPOINTS`, named after its size. With `NAMES`, the entries are about as many names, `birds`, `birds-1`
//! and so on, in turn.

use std::error::Error;
use std::fs;
use std::path::Path;

use isn_format::dataset_ref::{Name, Version, VersionId};
use isn_format::digest::Digest;
use isn_format::key::PrivateKey;
use isn_format::statement::{Owner, ReleaseStatement, SignedStatement, Statement};
use isn_registry::known_logs::KnownLogs;
use isn_registry::registry::append::OwnLog;
use isn_registry::registry::publish::RegistryWriter;
use isn_registry::registry::store::FolderStore;
use isn_registry::trust::{Known, TrustStore};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (registry, logs, entries, checkpoints, names) = match arguments.as_slice() {
        [registry, logs, entries, checkpoints] => (registry, logs, entries, checkpoints, 1),
        [registry, logs, entries, checkpoints, names] => {
            (registry, logs, entries, checkpoints, names.parse()?)
        }
        _ => return Err("usage: write-log REGISTRY LOGS ENTRIES CHECKPOINTS [NAMES]".into()),
    };
    let nobody = TrustStore::open(Path::new(logs).join("trust.toml"))?;
    let (registry, logs) = (|| FolderStore::new(registry), KnownLogs::new(logs));
    let mut statements = statements(names, entries.parse()?)?;
    RegistryWriter::init(&registry(), "A log for the oracle", || logs.new_signer(None))?;
    let writer = RegistryWriter::open(Box::new(registry()))?;
    let log = OwnLog::open(&writer, Known { trust: &nobody, logs: &logs })?;
    fs::create_dir_all(checkpoints)?;

    let (mut batch, mut next) = (1, 2);
    while !statements.is_empty() {
        let rest = statements.split_off(batch.min(statements.len()));
        let view = log.append(&statements)?.view;
        if !rest.is_empty() {
            fs::write(Path::new(checkpoints).join(view.replica.size().to_string()), view.note)?;
        }
        statements = rest;
        (batch, next) = (next, batch + next);
    }
    Ok(())
}

/// Makes `count` statements by one key about `names` names in turn: the claims, then releases 0.0, 0.1 and so
/// on to 0.999, 1.0 …
fn statements(names: u32, count: u32) -> Result<Vec<SignedStatement>, Box<dyn Error>> {
    let key = PrivateKey::generate("oracle")?;
    let statement = |number: u32| -> Result<Statement, Box<dyn Error>> {
        let (round, name) = (number / names, number % names);
        let name: Name = match name {
            0 => "birds".parse()?,
            other => format!("birds-{other}").parse()?,
        };
        let Some(round) = round.checked_sub(1) else {
            let keys = vec![key.public_line().key];
            return Ok(Statement::Owner(Owner {
                name,
                previous: None,
                threshold: 1,
                keys,
                recovery: Vec::new(),
            }));
        };
        let bytes = round.to_be_bytes();
        Ok(Statement::Release(ReleaseStatement {
            id: VersionId { name, version: Version { major: round / 1000, minor: round % 1000 } },
            dataset: Digest::of(&bytes),
            manifest: Digest::of(&[b"manifest", bytes.as_slice()].concat()),
            manifest_len: 1000,
        }))
    };
    (0..count).map(|number| Ok(SignedStatement::sign(&statement(number)?, &key)?)).collect()
}

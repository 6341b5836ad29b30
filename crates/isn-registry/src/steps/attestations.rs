//! Appends statements of rebuilds to the attestation log of a registry.

use super::submit::missing;
use crate::known_logs::KnownLogs;
use crate::registry::append::OwnLog;
use crate::registry::publish::RegistryWriter;
use isn_format::error::{Error, Result};
use isn_format::key::PublicKey;
use isn_format::log::Built;
use isn_format::statement::{Attested, SignedStatement, Statement};

/// What an attestation log lacks of some statements.
pub(crate) struct Planned<'a> {
    log: OwnLog<'a>,
    /// Each statement, and the number of its entry if the log has it.
    places: Vec<(SignedStatement, Option<u64>)>,
    /// The number of entries.
    pub(crate) size: u64,
    /// The statements that are new.
    pub(crate) fresh: Vec<SignedStatement>,
}

impl<'a> Planned<'a> {
    /// Compares statements of rebuilds with the attestation log of the registry whose log is `main`.
    ///
    /// # Errors
    /// [`Error::Refused`] if a statement would have no effect, as a second one of one key about one version,
    /// or the log is full; [`Error::Foreign`] if something else is in the place of the file of a version;
    /// [`Error::Invalid`] if one is of another kind; also as [`OwnLog::attestations`].
    pub(crate) fn new(
        main: &OwnLog<'_>,
        writer: &'a RegistryWriter,
        logs: &'a KnownLogs,
        statements: &[SignedStatement],
    ) -> Result<Self> {
        let log = main.attestations(writer, logs)?;
        let view = log.view()?;
        let mut history = view.replica.history().clone();
        let (mut places, mut fresh) = (Vec::new(), Vec::new());
        for signed in statements {
            let Attested { statement, signers, .. } = signed.attested()?;
            let Statement::Rebuilt(rebuilt) = &statement else {
                let why = "is not of a rebuild: send it alone, or with others for the registry's log";
                return Err(Error::invalid(statement.title(), why));
            };
            let is_it = |(key, built): &(&PublicKey, &Built)| signers.contains(key) && built.states(rebuilt);
            let place = history.built(&rebuilt.id).find(is_it).map(|(_, built)| built.index);
            // Before anything is appended, because it is listed last.
            writer.check_built(&rebuilt.id)?;
            if place.is_none() {
                missing(&history, &statement, &signers)?;
                let _ = history.apply(signed.bytes());
                fresh.push(signed.clone());
            }
            places.push((signed.clone(), place));
        }
        log.check_room(view.replica.size(), &fresh)?;
        Ok(Planned { log, places, size: view.replica.size(), fresh })
    }

    /// Appends what is new, lists all, and returns the number of each entry.
    ///
    /// # Errors
    /// As [`OwnLog::append`]; also fails if the file of a version cannot be written.
    pub(crate) fn append(self, writer: &RegistryWriter) -> Result<Vec<u64>> {
        let Planned { log, places, size, fresh } = self;
        let mut next = if fresh.is_empty() { size } else { log.append(&fresh)?.first };
        let view = log.view()?;
        writer.set_attests()?;
        let mut numbers = Vec::new();
        for (signed, place) in places {
            let index = place.unwrap_or_else(|| {
                next += 1;
                next - 1
            });
            if let Statement::Rebuilt(rebuilt) = signed.claimed() {
                writer.list_built(&rebuilt.id, &log.entry(index, &view)?)?;
            }
            numbers.push(index);
        }
        Ok(numbers)
    }
}

//! Appending to the log of a registry in a folder.
//!
//! What decides is the *claim*: a file named after the number of the next entry, created exclusively, with the statements
//! in it. Who has made the claim goes on to write bundles, tiles and, last, the checkpoint; and whoever finds a claim
//! beyond the checkpoint does the same first, byte for byte, so that a writer may die anywhere. The folder's lock only
//! saves work: without it two writers still get two numbers, and never sign two trees of one size.

use std::path::PathBuf;

use super::log::{LogView, WitnessPolicy};
use super::publish::FolderWriter;
use super::{Registry, layout};
use crate::error::{Error, Result};
use crate::files;
use crate::known_logs::{KnownLog, KnownLogs};
use crate::log::{LogKey, LogSigner, Replica, SignedCheckpoint, TILE_WIDTH, bundle};
use crate::statement::SignedStatement;
use crate::transport;
use crate::transport::folder::Folder;

/// How many claims, and how many widths of a partial tile, are kept: readers that are so far behind read again.
const KEPT: u64 = 16;

/// A log in a folder registry, for who may hold its key.
pub struct OwnLog<'a> {
    writer: &'a FolderWriter,
    logs: &'a KnownLogs,
    known: KnownLog,
    registry: Registry,
}

impl<'a> OwnLog<'a> {
    /// The log of the registry that `writer` writes to.
    pub fn open(writer: &'a FolderWriter, logs: &'a KnownLogs) -> Result<Self> {
        let root = writer.root();
        let registry = Registry::over(root.display().to_string(), Box::new(Folder::new(root)));
        let about = transport::runtime()?.block_on(registry.about())?;
        let anchor = about.log_key.ok_or_else(|| {
            let why = "has no log, in which everything has to stand: `isn registry init` gives it one";
            Error::invalid(format!("registry {}", root.display()), why)
        })?;
        Ok(OwnLog { writer, logs, known: logs.log(&anchor), registry })
    }

    /// What the log is known by.
    pub fn anchor(&self) -> &LogKey {
        self.known.anchor()
    }

    /// The log as it stands, after finishing what a killed writer has begun.
    pub fn view(&self) -> Result<LogView> {
        loop {
            let view = self.read()?;
            let path = self.path(&layout::log_claim(view.replica.size()));
            let Some(claim) = files::read_if_there(&path)? else { return Ok(view) };
            let entries = bundle::read_all(&claim);
            let entries =
                entries.map_err(|why| Error::integrity(path.display(), format!("is damaged: it {why}")))?;
            self.commit(&view.replica, &entries)?;
        }
    }

    fn read(&self) -> Result<LogView> {
        let policy = WitnessPolicy::default();
        let sync = self.registry.sync_log(self.anchor(), Some(&self.known), &policy);
        let view = match transport::runtime()?.block_on(sync)? {
            Some(view) => view,
            None => {
                // A registry that was made and then nothing more: its log is empty.
                let empty = Replica::new(self.anchor().clone());
                let signed = SignedCheckpoint::sign(&self.signer(self.anchor())?, 0, empty.tree().root()?)?;
                files::create_new(&self.path(layout::CHECKPOINT), signed.bytes())?;
                return self.read();
            }
        };
        match view.behind {
            None => Ok(view),
            Some(_) => Err(Error::trust(
                format!("registry {}", self.writer.root().display()),
                format!(
                    "has fewer entries in its log than the {} that were seen: it was put back to an earlier state. \
                     Adding to it would make another history; restore its newest copy",
                    view.replica.size()
                ),
            )),
        }
    }

    /// Appends statements, all of them or none: each must have an effect where it then stands.
    pub fn append(&self, statements: &[SignedStatement]) -> Result<LogView> {
        let mut claim = Vec::new();
        for statement in statements {
            bundle::push(&mut claim, statement.bytes())?;
        }
        loop {
            let view = self.view()?;
            let mut history = view.replica.history().clone();
            for statement in statements {
                history.apply(statement.bytes()).map_err(|rejected| Error::Conflict {
                    what: statement.claimed().title(),
                    why: rejected.why.trim_start_matches(&statement.claimed().title()).trim_start().into(),
                })?;
            }
            self.signer(&history.key())?;
            if files::create_new(&self.path(&layout::log_claim(view.replica.size())), &claim)? {
                return self.view();
            }
        }
    }

    /// The bytes of an entry.
    pub fn entry(&self, index: u64, view: &LogView) -> Result<Vec<u8>> {
        transport::runtime()?.block_on(self.registry.log_entry(index, view))
    }

    fn path(&self, path: &str) -> PathBuf {
        self.writer.root().join(path)
    }

    /// The private key of the log, which has to be on this machine.
    pub fn signer(&self, key: &LogKey) -> Result<LogSigner> {
        self.logs.log(key).signer()?.ok_or_else(|| Error::Key {
            key: format!("of log {}", key.origin()),
            why: format!(
                "is not on this machine; whoever made the registry has it, and can hand on {} (expected at {})",
                "the file `key` of its folder in ISN_HOME/logs",
                self.logs.log(key).key_path().display()
            ),
        })
    }

    /// Writes bundles, tiles and the checkpoint of the log with `entries` behind `base`.
    fn commit(&self, base: &Replica, entries: &[&[u8]]) -> Result<()> {
        let mut replica = base.clone();
        for entry in entries {
            let _ = replica.push(entry)?;
        }
        let signer = self.signer(&replica.history().key())?;
        self.write_bundles(base.size(), entries)?;
        for (tile, bytes) in replica.tree().tiles_since(base.size())? {
            files::replace(&self.path(&layout::log_tile(tile.level, tile.index, tile.width)), &bytes)?;
        }
        let signed = SignedCheckpoint::sign(&signer, replica.size(), replica.tree().root()?)?;
        let path = self.path(layout::CHECKPOINT);
        let there = SignedCheckpoint::parse(&path.display().to_string(), files::read(&path)?)?;
        if there.claimed_size() < replica.size() {
            files::replace(&path, signed.bytes())?;
        }
        self.known.store(&replica, signed.bytes())?;
        self.tidy(&replica)
    }

    fn write_bundles(&self, size: u64, entries: &[&[u8]]) -> Result<()> {
        let width = size % TILE_WIDTH;
        let mut index = size / TILE_WIDTH;
        let mut count = width;
        let mut bytes = match width {
            0 => Vec::new(),
            width => {
                let there = files::read(&self.path(&layout::log_entries(index, width)))?;
                // A file that is longer than it should be was never read as far; it is not handed on either.
                let known = bundle::read(&there, width).map_err(Error::Internal)?;
                known.iter().try_fold(Vec::new(), |mut all, entry| {
                    bundle::push(&mut all, entry)?;
                    Ok::<_, Error>(all)
                })?
            }
        };
        for entry in entries {
            bundle::push(&mut bytes, entry)?;
            count += 1;
            if count == TILE_WIDTH {
                files::replace(&self.path(&layout::log_entries(index, count)), &bytes)?;
                (index, count) = (index + 1, 0);
                bytes.clear();
            }
        }
        if count > 0 {
            files::replace(&self.path(&layout::log_entries(index, count)), &bytes)?;
        }
        Ok(())
    }

    /// Removes claims that the checkpoint has long covered, and the narrow forerunners of tiles.
    fn tidy(&self, replica: &Replica) -> Result<()> {
        let size = replica.size();
        let claims = self.path(layout::CLAIMS);
        for name in files::names_in(&claims)? {
            if name.parse::<u64>().is_ok_and(|index| index + KEPT < size) {
                files::remove_file(&claims.join(name))?;
            }
        }
        let mut level = 0;
        let mut nodes = size;
        while nodes > 0 {
            let (index, width) = (nodes / TILE_WIDTH, nodes % TILE_WIDTH);
            let mut kinds = vec![layout::log_tile(level, index, 1)];
            if level == 0 {
                kinds.push(layout::log_entries(index, 1));
            }
            for path in kinds {
                let path = self.path(&path);
                let folder = files::parent(&path);
                for name in files::names_in(folder)? {
                    if name.parse::<u64>().is_ok_and(|there| there + KEPT < width) {
                        files::remove_file(&folder.join(name))?;
                    }
                }
            }
            if width >= KEPT && index > 0 {
                files::remove_dir_all(files::parent(&self.path(&layout::log_tile(level, index - 1, 1))))?;
                if level == 0 {
                    files::remove_dir_all(files::parent(&self.path(&layout::log_entries(index - 1, 1))))?;
                }
            }
            nodes /= TILE_WIDTH;
            level += 1;
        }
        Ok(())
    }
}

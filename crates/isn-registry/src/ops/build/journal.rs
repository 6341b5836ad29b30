//! [`Journal`]: records the shards that a build has finished, so that a killed build resumes after the last
//! of them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::shards::{Frame, Shards, Written};
use super::spool::{Facts, Spool, SpoolReader};
use super::stored::Stored;
use crate::files::{self, Workplace};
use crate::registry::{layout, publish};
use isn_format::digest::Digest;
use isn_format::error::{Error, Result, There};
use isn_format::index::Row;
use isn_format::object::{ObjectKind, ObjectRef};
use isn_format::pack::Entry;

/// The file with the digest of the job. Another job starts over.
const JOB: &str = "job";
/// The folder of what is built so far.
const BUILD: &str = "build";
/// The folder with one file for each finished shard.
pub(super) const FINISHED: &str = "finished";
/// The maximum lengths of these files, in bytes.
const MAX_JOB: u64 = 1 << 10;
pub(super) const MAX_FINISHED: u64 = 1 << 30;

/// A finished shard, and the rows whose images end in it or before it.
#[derive(Serialize, Deserialize)]
pub(super) struct Finished {
    pub(super) shard: ObjectRef,
    pub(super) entries: Vec<Entry>,
    pub(super) rows: Vec<Row>,
}

/// The name of the file about a finished shard.
pub(super) fn finished_name(at: usize) -> String {
    format!("{at:06}.json")
}

/// The output of a build in progress, in a hidden sibling of its final folder.
pub(super) struct Journal {
    work: Workplace,
    root: PathBuf,
    rows: Spool<Facts>,
    entries: Spool<Entry>,
    /// The finished shards.
    finished: Vec<ObjectRef>,
    stored: Stored,
    shards: Shards,
}

impl Journal {
    /// Opens the journal of `job` for the output `out`. It resumes what an earlier run of the same job
    /// finished, and otherwise starts over. The build has `jobs` threads.
    pub(super) fn open(out: &Path, job: &Digest, jobs: usize) -> Result<Self> {
        let Some(work) = Workplace::open(out, "")? else {
            return Err(Error::exists(There::Running, format!("another build of {}", out.display()), ""));
        };
        let job = job.to_string();
        if files::read_nofollow(&work.own.join(JOB), MAX_JOB)?.is_none_or(|found| found != job.as_bytes()) {
            work.own.clear()?;
        }
        work.own.folder(FINISHED)?;
        let mut journal = Journal {
            root: work.own.folder(BUILD)?,
            rows: Spool::new(&work.own.join(FINISHED))?,
            entries: Spool::new(&work.own.join(FINISHED))?,
            work,
            finished: Vec::new(),
            stored: Stored::default(),
            shards: Shards::new(jobs),
        };
        files::replace(&journal.work.own.join(JOB), job.as_bytes())?;
        journal.recover()?;
        Ok(journal)
    }

    /// Removes what a run left that was killed just after it had put its output in place.
    pub(super) fn tidy(out: &Path) -> Result<()> {
        Workplace::discard_abandoned(out, "")
    }

    /// Keeps the shards that are whole, and removes everything else.
    fn recover(&mut self) -> Result<()> {
        for at in 0.. {
            let Some(bytes) = files::read_nofollow(&self.finished_path(at), MAX_FINISHED)? else { break };
            let Ok(finished) = serde_json::from_slice::<Finished>(&bytes) else { break };
            let path = self.root.join(layout::object(ObjectKind::Shard, &finished.shard.blake3));
            if publish::check_file(&path, &finished.shard).is_err() {
                break;
            }
            self.take(&finished)?;
        }
        let kept: HashSet<String> =
            self.finished.iter().map(|shard| layout::object(ObjectKind::Shard, &shard.blake3)).collect();
        for (path, _) in files::walk(&self.root)? {
            if !kept.contains(&path) {
                let path = self.root.join(path);
                std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
            }
        }
        for at in self.finished.len().. {
            let path = self.finished_path(at);
            if std::fs::remove_file(&path).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn finished_path(&self, at: usize) -> PathBuf {
        self.work.own.join(FINISHED).join(finished_name(at))
    }

    fn take(&mut self, finished: &Finished) -> Result<()> {
        let shard = self.finished.len();
        self.finished.push(finished.shard);
        for entry in &finished.entries {
            self.entries.push(&Entry { shard, ..entry.clone() })?;
        }
        for row in &finished.rows {
            self.stored.insert(&row.blake3);
            self.rows.push(&Facts::of(row))?;
        }
        Ok(())
    }

    /// Returns the number of images in finished shards.
    pub(super) fn done(&self) -> usize {
        self.rows.len()
    }

    /// Whether an image like this has been appended.
    pub(super) fn has(&self, image: &Digest) -> bool {
        self.stored.has(image)
    }

    /// Appends the next image of the plan. Equal images share one frame; only the first needs it.
    pub(super) fn push(&mut self, row: Row, frame: Option<Frame>) -> Result<()> {
        let frame = frame.filter(|_| self.stored.insert(&row.blake3));
        match self.shards.push(&self.root.join("objects"), row, frame)? {
            Some(written) => self.record(written),
            None => Ok(()),
        }
    }

    /// Gives a shard its name, and records it.
    fn record(&mut self, written: Written) -> Result<()> {
        let Written { file, shard, entries, rows } = written;
        let path = self.root.join(layout::object(ObjectKind::Shard, &shard.blake3));
        files::create_dir_all(files::parent(&path))?;
        file.persist(&path).map_err(|e| Error::io("write", &path)(e.error))?;
        let finished = Finished { shard, entries, rows };
        let bytes = serde_json::to_vec(&finished).map_err(|e| Error::Internal(e.to_string()))?;
        files::replace(&self.finished_path(self.finished.len()), &bytes)?;
        self.take(&finished)
    }

    /// Removes what was built so far.
    pub(super) fn discard(self) -> Result<()> {
        drop(self.shards);
        self.work.discard()
    }

    /// Finishes the last shards. Returns the BLAKE3 of what is recorded about each, the images at the end
    /// that are in no shard of their own, and the folder of the shards, which now has the records, too.
    pub(super) fn into_recorded(mut self) -> Result<(Vec<Digest>, Vec<Row>, Output)> {
        while let Some(written) = self.shards.finish()? {
            self.record(written)?;
        }
        let digest = |at| files::read_capped(&self.finished_path(at), MAX_FINISHED).map(|it| Digest::of(&it));
        let records = (0..self.finished.len()).map(digest).collect::<Result<_>>()?;
        let (from, to) = (self.work.own.join(FINISHED), self.root.join(FINISHED));
        std::fs::rename(&from, &to).map_err(Error::io("rename", &from))?;
        Ok((records, self.shards.take_repeated(), Output { work: self.work, root: self.root }))
    }

    /// Finishes the last shards. Returns what was built, and the folder of the shards.
    pub(super) fn into_parts(mut self) -> Result<(Built, Output)> {
        while let Some(written) = self.shards.finish()? {
            self.record(written)?;
        }
        for row in self.shards.take_repeated() {
            self.rows.push(&Facts::of(&row))?;
        }
        let (rows, entries) = (self.rows.reader()?, self.entries.reader()?);
        let built = Built { rows, entries, stored: self.stored, shards: self.finished };
        Ok((built, Output { work: self.work, root: self.root }))
    }
}

/// What was built.
pub(super) struct Built {
    /// Of each image, in the order in which they were read.
    pub(super) rows: SpoolReader<Facts>,
    /// The images in the shards, in the order of a pack.
    pub(super) entries: SpoolReader<Entry>,
    /// The same images, in the same order.
    stored: Stored,
    pub(super) shards: Vec<ObjectRef>,
}

impl Built {
    /// Returns where an image is.
    pub(super) fn entry_of(&mut self, image: &Digest) -> Result<Entry> {
        let entry = self.stored.position(image).map(|at| self.entries.get(at)).transpose()?;
        let entry = entry.filter(|entry| entry.blake3 == *image);
        entry.ok_or_else(|| Error::Internal(format!("image {image} is in no shard")))
    }
}

/// The folder of a build whose shards are all finished.
pub(super) struct Output {
    work: Workplace,
    /// Where the folder is until it gets its final name.
    pub(super) root: PathBuf,
}

impl Output {
    /// Gives the folder its final name, calls `named`, and removes the journal.
    pub(super) fn finish(self, out: &Path, named: &dyn Fn()) -> Result<()> {
        files::sync_file_system(&self.root)?;
        self.work.own.check()?;
        if !files::rename_new_and(&self.root, out, named)? {
            let why = " (it was created during the build)";
            return Err(Error::exists(There::Place, out.display(), why));
        }
        // The build is done even if the journal cannot be removed.
        let _ = self.work.discard();
        Ok(())
    }
}

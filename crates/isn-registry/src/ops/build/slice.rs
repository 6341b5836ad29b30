//! A slice of a build: what one of several machines makes of a plan, so that another can join it. It is read
//! by the isn that wrote it, and no version.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::journal::{FINISHED, Finished, Journal, MAX_FINISHED, Output, finished_name};
use super::shards::Frame;
use crate::files;
use crate::plan::{Plan, Planned};
use crate::progress::{Progress, Unit};
use crate::registry::layout;
use crate::share::Share;
use crate::source::Source;
use isn_format::digest::Digest;
use isn_format::error::{At, Error, Missing, Result, There};
use isn_format::index::Row;
use isn_format::object::ObjectKind;
use isn_format::pack::Entry;

/// Says what a slice is of.
const SLICE_JSON: &str = "slice.json";
const FORMAT: &str = "isn-slice/1";
/// How many parts that are lacking an error names.
const LACKING_NAMED: usize = 5;

/// The contents of `slice.json`.
#[derive(Serialize, Deserialize)]
struct About {
    format: String,
    /// The digest of all that decides the plan: recipe, ledger and the like, and the images of the source.
    plan: Digest,
    /// The digest of all that and of when the files of the source were changed.
    job: Digest,
    /// Which part of the plan, from 1, of how many.
    part: usize,
    of: usize,
    /// The BLAKE3 of each file in `finished/`.
    shards: Vec<Digest>,
    /// Images at the end that repeat others, and are in no shard of their own.
    repeated: Vec<Row>,
}

impl About {
    fn new(of: Of, share: Share, shards: Vec<Digest>, repeated: Vec<Row>) -> Self {
        let Of { plan, job } = of;
        About { format: FORMAT.into(), plan, job, part: share.part + 1, of: share.of, shards, repeated }
    }

    /// Returns the bytes of the file: JSON in one line, and its BLAKE3 in another.
    fn to_bytes(&self) -> Result<Vec<u8>> {
        let json = serde_json::to_string(self).map_err(|e| Error::Internal(e.to_string()))?;
        Ok(format!("{json}\n{}\n", Digest::of(json.as_bytes())).into_bytes())
    }

    fn is_of(&self, of: Of, share: Share) -> bool {
        (self.plan, self.job, self.part, self.of) == (of.plan, of.job, share.part + 1, share.of)
    }

    fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(SLICE_JSON);
        if files::is_absent(folder) {
            return Err(Error::not_found(Missing::File, folder.display(), ""));
        }
        let bytes = files::read_capped_if_there(&path, MAX_FINISHED)?.ok_or_else(|| {
            let why = "is no part of a build (it has no slice.json): `isn build --part I/N` makes one";
            Error::invalid(folder.display(), why)
        })?;
        let damaged = |why: String| Error::integrity(path.display(), why).at(At::Build);
        let text = String::from_utf8_lossy(&bytes);
        let (json, digest) = text.trim_end().split_once('\n').unwrap_or_default();
        if digest.parse() != Ok(Digest::of(json.as_bytes())) {
            return Err(damaged("is damaged: its BLAKE3 is not that in its last line".into()));
        }
        let about: About = serde_json::from_str(json).map_err(|e| damaged(e.to_string()))?;
        match about.format == FORMAT && (1..=about.of).contains(&about.part) {
            true => Ok(about),
            false => Err(Error::invalid(path.display(), "is of another isn: make the part with this one")),
        }
    }
}

/// What a slice is of.
#[derive(Clone, Copy)]
pub(super) struct Of {
    /// The digest of all that decides the plan; a copy of the source has the same.
    pub(super) plan: Digest,
    /// The digest of that, and of when the files of the source were changed.
    pub(super) job: Digest,
}

/// Makes a slice of what `journal` has of a build. Returns its folder.
///
/// # Errors
/// [`Error::Io`] if a file cannot be written.
pub(super) fn make(journal: Journal, of: Of, share: Share) -> Result<Output> {
    let (shards, repeated, output) = journal.into_recorded()?;
    let about = About::new(of, share, shards, repeated);
    files::replace(&output.root.join(SLICE_JSON), &about.to_bytes()?)?;
    Ok(output)
}

/// Whether `out` is the slice of this very plan. Fails if something else is there.
pub(super) fn is_made(out: &Path, of: Of, share: Share) -> Result<bool> {
    if files::is_free(out)? {
        return Ok(false);
    }
    match About::read(out) {
        Ok(about) if about.is_of(of, share) => Ok(true),
        _ => {
            files::check_not_around_us(out)?;
            let why = format!(", and is not part {share} of this build over this source");
            Err(Error::exists(There::Place, out.display(), why))
        }
    }
}

/// The slices of a build, each with its folder, in order.
pub(super) struct Slices(Vec<(PathBuf, About)>);

impl Slices {
    /// Opens the slices in `folders`, which must be all those of `plan`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a folder is no slice, or one of another build, or if one is missing or there
    /// twice.
    pub(super) fn open(folders: &[PathBuf], of: Of) -> Result<Self> {
        let mut slices = Vec::new();
        for folder in folders {
            let about = About::read(folder)?;
            if about.plan != of.plan {
                let why = "is a part of another build: its recipe, ledger or source differ, or its isn, or only \
                           one of the two has --partial";
                return Err(Error::invalid(folder.display(), why));
            }
            slices.push((folder.clone(), about));
        }
        slices.sort_by_key(|(_, about)| about.part);
        let of = slices.first().map_or(0, |(_, about)| about.of);
        for (folder, about) in &slices {
            if about.of != of {
                let why =
                    format!("is one of {} parts, and others are of {of}: join those of one number", about.of);
                return Err(Error::invalid(folder.display(), why));
            }
        }
        if let Some(pair) = slices.windows(2).find(|pair| pair[0].1.part == pair[1].1.part) {
            let why = format!(
                "is part {} of {of}, and so is {}: name it once",
                pair[1].1.part,
                pair[0].0.display()
            );
            return Err(Error::invalid(pair[1].0.display(), why));
        }
        let lacking: Vec<String> = (1..=of)
            .filter(|part| slices.iter().all(|(_, about)| about.part != *part))
            .map(|part| format!("{part}/{of}"))
            .take(LACKING_NAMED + 1)
            .collect();
        if !lacking.is_empty() {
            let more = if lacking.len() > LACKING_NAMED { " and more" } else { "" };
            let named = lacking[..lacking.len().min(LACKING_NAMED)].join(", ");
            let why = format!("lack {named}{more}: make what is lacking with --part, and name it too");
            return Err(Error::invalid("the parts", why));
        }
        Ok(Slices(slices))
    }

    /// Returns the digest of the job that the build is of: that of a build on one machine, if all parts were
    /// made while the files of the source were as old as they are now. Otherwise nobody can know that these
    /// are the files that were built, and a build on one machine does not take the result for its own.
    pub(super) fn job(&self, own: Digest) -> Digest {
        if self.0.iter().all(|(_, about)| about.job == own) {
            return own;
        }
        let jobs = self.0.iter().map(|(_, about)| about.job).chain([own]);
        Digest::of(&jobs.flat_map(|job| *job.as_bytes()).collect::<Vec<u8>>())
    }

    /// Puts the images of all slices into `journal`, which may have some already, as one machine would have
    /// made them: in the `order` of the plan in which they are read.
    ///
    /// # Errors
    /// [`Error::Integrity`] if a slice is damaged, or does not have the images of the plan; [`Error::Io`] if
    /// it cannot be read.
    pub(super) fn join(
        &self,
        (plan, order): (&Plan, &[u32]),
        source: &Source,
        journal: &mut Journal,
        progress: &dyn Progress,
    ) -> Result<()> {
        let mut next = 0;
        progress.begin("join", Unit::Images, order.len() as u64);
        for (folder, about) in &self.0 {
            let mut take = |row: Row, shard: Option<&mut OpenShard>| -> Result<()> {
                let refuse = |why: String| Error::integrity(folder.display(), why).at(At::Build);
                let planned = order.get(next).map(|at| plan.image(*at as usize, source)).transpose()?;
                let is_it = |planned: &Planned| {
                    (&planned.path, &planned.class, planned.split) == (&row.path, &row.class, row.split)
                        && source.images.id(planned.source) == row.source
                };
                if !planned.as_ref().is_some_and(is_it) {
                    return Err(refuse(format!("has {}, which the plan does not have there", row.path)));
                }
                next += 1;
                progress.advance(1);
                if next <= journal.done() {
                    return Ok(());
                }
                let frame = match journal.has(&row.blake3) {
                    true => None,
                    false => {
                        let absent = || refuse(format!("has no bytes of {}", row.path));
                        Some(shard.ok_or_else(absent)?.frame(&row.blake3)?.ok_or_else(absent)?)
                    }
                };
                journal.push(row, frame)
            };
            for (at, digest) in about.shards.iter().enumerate() {
                let (mut shard, rows) = OpenShard::open(folder, at, digest)?;
                rows.into_iter().try_for_each(|row| take(row, Some(&mut shard)))?;
            }
            about.repeated.iter().try_for_each(|row| take(row.clone(), None))?;
        }
        progress.end();
        match next == order.len() {
            true => Ok(()),
            false => {
                let why = format!("have {next} of the {} images of the plan", order.len());
                Err(Error::integrity("the parts", why).at(At::Build))
            }
        }
    }
}

/// A shard of a slice.
struct OpenShard {
    path: PathBuf,
    file: File,
    entries: HashMap<Digest, Entry>,
}

impl OpenShard {
    /// Opens a shard. Also returns the rows whose images end in it or before it.
    fn open(folder: &Path, at: usize, digest: &Digest) -> Result<(Self, Vec<Row>)> {
        let path = folder.join(FINISHED).join(finished_name(at));
        let damaged = |why: String| Error::integrity(path.display(), why).at(At::Build);
        let absent = |path: &Path| {
            Error::integrity(path.display(), "is missing: make the part again (`isn build --part`)")
        };
        let bytes = files::read_capped_if_there(&path, MAX_FINISHED)?.ok_or_else(|| absent(&path))?;
        if Digest::of(&bytes) != *digest {
            return Err(damaged(format!("is damaged: its BLAKE3 is not the one in {SLICE_JSON}")));
        }
        let finished: Finished = serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
        let path = folder.join(layout::object(ObjectKind::Shard, &finished.shard.blake3));
        let file = files::if_there(files::open(&path))?.ok_or_else(|| absent(&path))?;
        let entries = finished.entries.into_iter().map(|entry| (entry.blake3, entry)).collect();
        Ok((OpenShard { path, file, entries }, finished.rows))
    }

    /// Reads the frame of an image, checked; `None` if the shard does not list it.
    fn frame(&mut self, image: &Digest) -> Result<Option<Frame>> {
        let Some(entry) = self.entries.get(image) else { return Ok(None) };
        let damaged = |why: String| Error::integrity(self.path.display(), why).at(At::Build);
        let length = self.file.metadata().map_err(Error::io("look at", &self.path))?.len();
        if entry.offset.checked_add(entry.length).is_none_or(|end| end > length) {
            return Err(damaged(format!("is cut short: image {image} is not in it")));
        }
        let mut bytes = vec![0; entry.length as usize];
        self.file.seek(SeekFrom::Start(entry.offset)).map_err(Error::io("read", &self.path))?;
        self.file.read_exact(&mut bytes).map_err(Error::io("read", &self.path))?;
        let blake3 = Digest::of(&bytes);
        if blake3 != entry.frame {
            return Err(damaged(format!("is damaged: image {image} is not what was written")));
        }
        Ok(Some(Frame { image: *image, bytes, blake3 }))
    }
}

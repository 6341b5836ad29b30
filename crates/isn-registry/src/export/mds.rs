//! MosaicML's streaming format, MDS version 2: a folder for each split with shards and their list,
//! `index.json`.
//!
//! A shard consists of the number of its samples, the offsets at which each begins and the last one ends
//! (from the beginning of the shard), a JSON object that describes the columns, and the samples. All numbers
//! are little-endian, of 32 bits. A sample consists of the lengths of the columns without a fixed length, and
//! then the columns, by name.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::out::{Out, write_json};
use super::{About, Image, Shard, Writer};
use isn_format::error::{Error, Result};
use isn_format::split::Split;

const VERSION: u64 = 2;
/// The columns, sorted: the image's file, its label, and its path.
const NAMES: [&str; 3] = ["image", "label", "path"];
/// The fixed lengths of columns, in bytes.
const SIZES: [Option<u64>; 3] = [None, Some(8), None];

pub(super) struct Mds<'a> {
    dir: &'a Path,
    about: &'a About<'a>,
    config: Vec<u8>,
    open: Option<Open>,
    /// The finished shards.
    shards: Vec<(Split, Value)>,
}

/// A shard that is being written.
struct Open {
    split: Split,
    name: String,
    path: PathBuf,
    /// The samples, one after the other. They are kept in memory because their offsets come before them.
    samples: Vec<u8>,
    /// The end of each sample in `samples`.
    ends: Vec<usize>,
}

impl<'a> Mds<'a> {
    pub(super) fn new(dir: &'a Path, about: &'a About<'a>) -> Result<Self> {
        let mut writer = Mds { dir, about, config: Vec::new(), open: None, shards: Vec::new() };
        // The form in which MDSWriter writes it: sorted keys, and a space after commas and colons. Readers
        // ignore it.
        writer.config = python_json(&Value::Object(writer.config())).into_bytes();
        Ok(writer)
    }

    fn config(&self) -> Map<String, Value> {
        let config = json!({
            "column_encodings": [self.about.encoding(), "int", "str"],
            "column_names": NAMES,
            "column_sizes": SIZES,
            "compression": null,
            "format": "mds",
            "hashes": [],
            "size_limit": self.about.shard_bytes,
            "version": VERSION,
        });
        if let Value::Object(config) = config { config } else { Map::new() }
    }

    fn end_shard(&mut self) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let count = open.ends.len();
        let begin = 4 + 4 * (count + 1) + self.config.len();
        let mut head = Vec::with_capacity(begin);
        for number in std::iter::once(count)
            .chain(std::iter::once(0).chain(open.ends).map(|at| begin + at).take(count + 1))
        {
            let refuse = |_| {
                Error::invalid(
                    &open.name,
                    "would be longer than 4 GiB, which MDS cannot represent: use a smaller --shard-size",
                )
            };
            head.extend_from_slice(&u32::try_from(number).map_err(refuse)?.to_le_bytes());
        }
        head.extend_from_slice(&self.config);
        let mut out = Out::create(open.path)?;
        out.put(&head)?;
        out.put(&open.samples)?;
        let mut shard = self.config();
        shard
            .insert("raw_data".into(), json!({ "basename": open.name, "bytes": out.length(), "hashes": {} }));
        shard.insert("samples".into(), json!(count));
        shard.insert("zip_data".into(), Value::Null);
        self.shards.push((open.split, Value::Object(shard)));
        out.finish().map(drop)
    }
}

impl Writer for Mds<'_> {
    fn begin(&mut self, shard: &Shard) -> Result<()> {
        self.end_shard()?;
        let name = format!("shard.{:05}.mds", shard.number);
        let path = self.dir.join(shard.split.as_str()).join(&name);
        self.open = Some(Open { split: shard.split, name, path, samples: Vec::new(), ends: Vec::new() });
        Ok(())
    }

    fn image(&mut self, image: &Image<'_>) -> Result<()> {
        let Some(open) = &mut self.open else {
            return Err(Error::Internal("an image before its shard".into()));
        };
        let samples = &mut open.samples;
        for length in [image.bytes.len(), image.path.len()] {
            // An image has at most 512 MiB, and a path 200 bytes.
            samples.extend_from_slice(&(length as u32).to_le_bytes());
        }
        samples.extend_from_slice(image.bytes);
        samples.extend_from_slice(&u64::from(image.label).to_le_bytes());
        samples.extend_from_slice(image.path.as_bytes());
        open.ends.push(samples.len());
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.end_shard()?;
        for &(split, ..) in &self.about.splits {
            let shards: Vec<&Value> =
                self.shards.iter().filter(|(of, _)| *of == split).map(|(_, shard)| shard).collect();
            let isn = json!({ "dataset": self.about.dataset(), "pin": self.about.identity.pin });
            let index = json!({ "isn": isn, "shards": shards, "version": VERSION });
            write_json(self.dir.join(split.as_str()).join("index.json"), &index)?;
        }
        Ok(())
    }
}

/// Writes JSON like Python's `json.dumps`. The strings in `value` must not contain commas or colons.
fn python_json(value: &Value) -> String {
    value.to_string().replace(',', ", ").replace(':', ": ")
}

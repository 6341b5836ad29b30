//! Records of `tf.train.Example`, with the files that TensorFlow Datasets needs to open them by itself.
//!
//! A record consists of its length (64 bits, little-endian), the checksum of the length, its bytes, and their
//! checksum. A checksum is CRC-32C, rotated right by 15 bits, plus a constant
//! (`tensorflow/core/lib/hash/crc32c.h`). An `Example` is a protocol buffer.

use std::path::Path;

use serde_json::{Value, json};

use super::out::{Out, write, write_json};
use super::{About, Image, Shard, Writer};
use isn_format::error::{Error, Result};
use isn_format::split::Split;

pub(super) struct TfRecord<'a> {
    dir: &'a Path,
    about: &'a About<'a>,
    out: Option<Out>,
    /// The number of images of each shard.
    shards: Vec<(Split, usize)>,
}

impl<'a> TfRecord<'a> {
    pub(super) fn new(dir: &'a Path, about: &'a About<'a>) -> Self {
        TfRecord { dir, about, out: None, shards: Vec::new() }
    }

    fn end_shard(&mut self) -> Result<()> {
        self.out.take().map_or(Ok(()), |out| out.finish().map(drop))
    }
}

impl Writer for TfRecord<'_> {
    fn begin(&mut self, shard: &Shard) -> Result<()> {
        self.end_shard()?;
        let Shard { split, number, of, images } = *shard;
        let name = format!("{}-{split}.tfrecord-{number:05}-of-{of:05}", self.about.identity.name);
        self.out = Some(Out::create(self.dir.join(name))?);
        self.shards.push((split, images));
        Ok(())
    }

    fn image(&mut self, image: &Image<'_>) -> Result<()> {
        let Some(out) = &mut self.out else {
            return Err(Error::Internal("an image before its shard".into()));
        };
        let example = example(image);
        let length = (example.len() as u64).to_le_bytes();
        out.put(&length)?;
        out.put(&masked_crc(&length).to_le_bytes())?;
        out.put(&example)?;
        out.put(&masked_crc(&example).to_le_bytes())
    }

    fn finish(&mut self) -> Result<()> {
        self.end_shard()?;
        write_json(self.dir.join("features.json"), &features(self.about))?;
        let labels: String = self.about.class_ids().iter().map(|id| format!("{id}\n")).collect();
        write(self.dir.join("label.labels.txt"), labels.as_bytes())?;
        write_json(self.dir.join("dataset_info.json"), &self.info())
    }
}

impl TfRecord<'_> {
    fn info(&self) -> Value {
        let it = self.about.identity;
        let split = |&(split, _, bytes): &(Split, u64, u64)| {
            let lengths =
                self.shards.iter().filter(|(of, _)| *of == split).map(|(_, images)| images.to_string());
            json!({
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                "name": split.as_str(),
                "numBytes": bytes.to_string(),
                "shardLengths": lengths.collect::<Vec<_>>(),
            })
        };
        json!({
            "name": it.name,
            "version": self.about.three_numbers(),
            "description": format!("{}\n\nPin: {}", it.description, it.pin),
            "citation": self.about.citation,
            "fileFormat": "tfrecord",
            "redistributionInfo": { "license": it.licence },
            "releaseNotes": { self.about.three_numbers(): it.pin },
            "splits": self.about.splits.iter().map(split).collect::<Vec<_>>(),
            "supervisedKeys": { "tuple": { "items": [{ "featureKey": "image" }, { "featureKey": "label" }] } },
        })
    }
}

fn features(about: &About<'_>) -> Value {
    let class = |name: &str| format!("tensorflow_datasets.core.features.{name}");
    json!({
        "pythonClassName": class("features_dict.FeaturesDict"),
        "featuresDict": { "features": {
            "image": {
                "pythonClassName": class("image_feature.Image"),
                "image": { "shape": { "dimensions": ["-1", "-1", "3"] }, "dtype": "uint8", "encodingFormat": about.encoding() },
            },
            "label": {
                "pythonClassName": class("class_label_feature.ClassLabel"),
                "classLabel": { "numClasses": about.classes.len().to_string() },
            },
            "path": { "pythonClassName": class("text_feature.Text"), "text": {} },
        } },
    })
}

/// Encodes `Example { features: Features { feature: { "image": bytes, "label": int64, "path": bytes } } }`.
fn example(image: &Image<'_>) -> Vec<u8> {
    let bytes = |value: &[u8]| field(1, &field(1, value));
    let label = field(3, &field(1, &varint(u64::from(image.label))));
    let features = [("image", bytes(image.bytes)), ("label", label), ("path", bytes(image.path.as_bytes()))];
    let entries: Vec<u8> = features
        .iter()
        .flat_map(|(name, feature)| field(1, &[field(1, name.as_bytes()), field(2, feature)].concat()))
        .collect();
    field(1, &entries)
}

/// Encodes a length-delimited field of a protocol buffer.
fn field(number: u8, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + 11);
    out.push(number << 3 | 2);
    out.extend_from_slice(&varint(value.len() as u64));
    out.extend_from_slice(value);
    out
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while number >= 128 {
        out.push(number as u8 | 128);
        number >>= 7;
    }
    out.push(number as u8);
    out
}

fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_checksums_are_those_of_the_formats() {
        assert_eq!(varint(0), [0]);
        assert_eq!(varint(127), [127]);
        assert_eq!(varint(300), [0xac, 0x02]);
        // RFC 3720, B.4: 32 bytes of zeros have CRC-32C 0x8a9136aa.
        assert_eq!(masked_crc(&[0; 32]), 0x8a91_36aa_u32.rotate_right(15).wrapping_add(0xa282_ead8));
    }
}

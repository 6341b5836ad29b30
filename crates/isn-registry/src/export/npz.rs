//! Arrays of pixels for NumPy: `NAME-VERSION.npz`, a zip of uncompressed `.npy` files. A split has
//! `SPLIT_images` (n × height × width × 3, uint8), `SPLIT_labels` (n, int64) and `SPLIT_paths` (n, text).

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{About, Image, Shard, Writer};
use crate::audit::npy::header;
use isn_format::error::{Error, Result};
use isn_format::split::Split;

pub(super) struct Npz<'a> {
    about: &'a About<'a>,
    path: PathBuf,
    zip: Option<ZipWriter<BufWriter<File>>>,
    open: Option<Open>,
}

/// A split that is being written.
struct Open {
    split: Split,
    labels: Vec<u32>,
    paths: Vec<String>,
}

impl<'a> Npz<'a> {
    pub(super) fn new(dir: &Path, about: &'a About<'a>) -> Result<Self> {
        let path = dir.join(format!("{}-{}.npz", about.identity.name, about.identity.version_text()));
        let file = File::create_new(&path).map_err(Error::io("create", &path))?;
        Ok(Npz { about, path, zip: Some(ZipWriter::new(BufWriter::new(file))), open: None })
    }

    fn zip(&mut self) -> Result<&mut ZipWriter<BufWriter<File>>> {
        self.zip.as_mut().ok_or_else(|| Error::Internal("an array after the last".into()))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.zip()?.write_all(bytes).map_err(Error::io("write", &self.path))
    }

    /// Begins an array, whose elements follow.
    fn array(&mut self, name: &str, kind: &str, shape: &[usize]) -> Result<()> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .system(zip::System::Unix)
            .unix_permissions(0o644)
            .last_modified_time(zip::DateTime::DEFAULT)
            .large_file(true);
        let begun = self.zip()?.start_file(format!("{name}.npy"), options);
        begun.map_err(|e| Error::io("write", &self.path)(e.into()))?;
        self.put(&header(kind, shape))
    }

    fn texts(&mut self, name: &str, texts: &[impl AsRef<str>], shape: &[usize]) -> Result<()> {
        let longest = texts.iter().map(|text| text.as_ref().chars().count()).max().unwrap_or(0).max(1);
        self.array(name, &format!("<U{longest}"), shape)?;
        for text in texts {
            let characters = text.as_ref().chars().map(u32::from).chain(std::iter::repeat(0)).take(longest);
            let bytes: Vec<u8> = characters.flat_map(u32::to_le_bytes).collect();
            self.put(&bytes)?;
        }
        Ok(())
    }

    fn end_split(&mut self) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let labels: Vec<u8> = open.labels.iter().flat_map(|&label| i64::from(label).to_le_bytes()).collect();
        self.array(&format!("{}_labels", open.split), "<i8", &[open.labels.len()])?;
        self.put(&labels)?;
        self.texts(&format!("{}_paths", open.split), &open.paths, &[open.paths.len()])
    }
}

impl Writer for Npz<'_> {
    fn begin(&mut self, shard: &Shard) -> Result<()> {
        self.end_split()?;
        let (width, height) = self.about.pixels.unwrap_or_default();
        let shape = [shard.images, height as usize, width as usize, 3];
        self.array(&format!("{}_images", shard.split), "|u1", &shape)?;
        self.open = Some(Open { split: shard.split, labels: Vec::new(), paths: Vec::new() });
        Ok(())
    }

    fn image(&mut self, image: &Image<'_>) -> Result<()> {
        self.put(image.bytes)?;
        if let Some(open) = &mut self.open {
            open.labels.push(image.label);
            open.paths.push(image.path.into());
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.end_split()?;
        let about = self.about;
        self.texts("classes", &about.class_ids(), &[about.classes.len()])?;
        self.texts("class_names", &about.class_names(), &[about.classes.len()])?;
        self.texts("dataset", &[about.dataset()], &[])?;
        self.texts("pin", std::slice::from_ref(&about.identity.pin), &[])?;
        let Some(zip) = self.zip.take() else { return Ok(()) };
        let refuse = Error::io("write", &self.path);
        let out = match zip.finish() {
            Ok(out) => out,
            Err(e) => return Err(refuse(e.into())),
        };
        out.into_inner().map(drop).map_err(|e| refuse(e.into_error()))
    }
}

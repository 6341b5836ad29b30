//! Tars for the library `webdataset`: each sample is an image, its label and a JSON object, in sequence, with
//! names that are equal up to the first dot.

use std::path::Path;

use serde_json::json;

use super::archive::Tar;
use super::out::Out;
use super::{About, Image, Shard, Writer};
use isn_format::error::{Error, Result};

pub(super) struct WebDataset<'a> {
    dir: &'a Path,
    about: &'a About<'a>,
    tar: Option<Tar>,
}

impl<'a> WebDataset<'a> {
    pub(super) fn new(dir: &'a Path, about: &'a About<'a>) -> Self {
        WebDataset { dir, about, tar: None }
    }
}

impl Writer for WebDataset<'_> {
    fn begin(&mut self, shard: &Shard) -> Result<()> {
        self.finish()?;
        let name = format!("{}-{:06}.tar", shard.split, shard.number);
        self.tar = Some(Tar::new(Out::create(self.dir.join(name))?));
        Ok(())
    }

    fn image(&mut self, image: &Image<'_>) -> Result<()> {
        let Some(tar) = &mut self.tar else {
            return Err(Error::Internal("an image before its shard".into()));
        };
        // A number, since a stem may contain dots, and the text after the first dot is the type of the
        // member.
        let key = format!("{:09}", image.number);
        let class = self.about.classes.get(image.label as usize);
        let json = json!({
            "dataset": self.about.dataset(),
            "path": image.path,
            "blake3": image.blake3.to_string(),
            "class": class.map(|class| &class.id),
            "label": class.map(|class| &class.label),
        });
        tar.append(&format!("{key}.{}", self.about.extension), image.bytes)?;
        tar.append(&format!("{key}.cls"), image.label.to_string().as_bytes())?;
        tar.append(&format!("{key}.json"), json.to_string().as_bytes())
    }

    fn finish(&mut self) -> Result<()> {
        self.tar.take().map_or(Ok(()), |tar| tar.finish().map(drop))
    }
}

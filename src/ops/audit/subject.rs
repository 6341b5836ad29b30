//! [`Subject`]: the images that an audit looks at.

use std::path::{Path, PathBuf};

use super::super::Registries;
use crate::class::ClassId;
use crate::error::{Error, Mistake, Result};
use crate::files;
use crate::progress::Progress;
use crate::split::Split;

/// Images and where to read them.
pub struct Subject {
    /// What was opened, for messages.
    pub what: String,
    /// Sorted by the bytes of `path`.
    pub images: Vec<Item>,
    root: PathBuf,
}

/// One image.
pub struct Item {
    /// Relative, with `/` between segments: split, class, file.
    pub path: String,
    /// Its class, if the path says.
    pub class: Option<ClassId>,
    /// Its split, if the path says.
    pub split: Option<Split>,
    /// Its name for ever.
    pub source_id: String,
}

impl Subject {
    /// Lists the images of a folder: `train|val|test/<class>/…` or `<class>/…`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are none; [`Error::Mistakes`] with every folder whose name is no class id.
    pub fn open(_: &Registries<'_>, target: &str, _: &dyn Progress) -> Result<Subject> {
        let root = Path::new(target);
        if !root.is_dir() {
            return Err(Error::not_found(format!("folder {target}"), "this machine"));
        }
        let (mut images, mut mistakes) = (Vec::new(), Vec::new());
        for (path, kind) in files::walk(root)? {
            let ending = path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
            if kind == files::Kind::Other && root.join(&path).is_file() {
                // A link to an image: a tree of links is a tree.
            } else if !matches!(kind, files::Kind::File(_)) {
                continue;
            }
            if !["jpeg", "jpg", "png"].contains(&ending.as_str())
                || path.split('/').any(|s| s.starts_with('.'))
            {
                continue;
            }
            let mut segments: Vec<&str> = path.split('/').collect();
            let split = segments[0].parse::<Split>().ok().filter(|_| segments.len() > 2);
            if split.is_some() {
                segments.remove(0);
            }
            let class = match segments[..] {
                [_] => None,
                [class, ..] => match class.parse::<ClassId>() {
                    Ok(class) => Some(class),
                    Err(e) => {
                        mistakes.push(Mistake { line: None, why: e.to_string() });
                        continue;
                    }
                },
                [] => None,
            };
            let stem = &path[..path.len() - ending.len() - 1];
            let source_id =
                stem.rsplit('/').next().filter(|name| is_ilsvrc(name)).unwrap_or(stem).to_string();
            images.push(Item { class, split, source_id, path });
        }
        if !mistakes.is_empty() {
            return Err(Error::Mistakes { what: target.into(), mistakes });
        }
        if images.is_empty() {
            return Err(Error::invalid(target, "has no images: expected <class>/… or train|val/<class>/…"));
        }
        Ok(Subject { what: target.into(), images, root: root.into() })
    }

    /// The bytes of image number `at`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn read(&self, at: usize) -> Result<Vec<u8>> {
        files::read(&self.root.join(&self.images[at].path))
    }
}

fn is_ilsvrc(stem: &str) -> bool {
    stem.starts_with("ILSVRC2012_val_")
        || stem.split_once('_').is_some_and(|(wnid, number)| {
            wnid.len() == 9 && wnid.starts_with('n') && number.bytes().all(|b| b.is_ascii_digit())
        })
}

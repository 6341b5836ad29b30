//! [`SourceKind`]: the kind of source that a recipe is for.

use std::str::FromStr;

use crate::split::Split;

/// A kind of source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// ImageNet 2012, in any of its layouts.
    Ilsvrc2012,
    /// One folder per class, below `train/`, `val/` and `test/` or without splits, as torchvision's
    /// ImageFolder reads it.
    ImageFolder,
}

impl SourceKind {
    /// All kinds.
    pub const ALL: [SourceKind; 2] = [SourceKind::Ilsvrc2012, SourceKind::ImageFolder];

    /// Returns the word in a recipe: `ilsvrc2012` or `imagefolder`.
    pub fn as_str(self) -> &'static str {
        match self {
            SourceKind::Ilsvrc2012 => "ilsvrc2012",
            SourceKind::ImageFolder => "imagefolder",
        }
    }

    /// Says what the id of a source image is, to follow "an id is".
    pub fn id_is(self) -> &'static str {
        match self {
            SourceKind::Ilsvrc2012 => "the file name without its extension",
            SourceKind::ImageFolder => "the path in the source without the extension",
        }
    }

    /// Returns the split of a source image in the source, as its id shows.
    pub fn origin(self, source_id: &str) -> Split {
        match self {
            SourceKind::Ilsvrc2012 if source_id.starts_with("ILSVRC2012_val_") => Split::Val,
            SourceKind::Ilsvrc2012 => Split::Train,
            // No class has the name of a split, so a first folder with such a name is a split.
            SourceKind::ImageFolder => {
                let first = source_id.split('/').next().unwrap_or_default();
                first.parse().unwrap_or(Split::Train)
            }
        }
    }
}

impl FromStr for SourceKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = SourceKind::ALL.into_iter().find(|kind| kind.as_str() == text);
        known.ok_or_else(|| format!("'{text}' is not a kind of source that this isn knows"))
    }
}

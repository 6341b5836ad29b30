//! [`SourceKind`]: what a recipe says of the raw images that it is for.

use std::str::FromStr;

use crate::split::Split;

/// What a source is, as a recipe says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// ImageNet 2012, in any of its layouts.
    Ilsvrc2012,
    /// A folder a class, below `train/`, `val/` and `test/` or without splits, as torchvision's ImageFolder
    /// reads.
    ImageFolder,
}

impl SourceKind {
    /// All of them.
    pub const ALL: [SourceKind; 2] = [SourceKind::Ilsvrc2012, SourceKind::ImageFolder];

    /// As in a recipe: `ilsvrc2012` or `imagefolder`.
    pub fn as_str(self) -> &'static str {
        match self {
            SourceKind::Ilsvrc2012 => "ilsvrc2012",
            SourceKind::ImageFolder => "imagefolder",
        }
    }

    /// The split that the source has an image in, as its id tells.
    pub fn origin(self, source_id: &str) -> Split {
        match self {
            SourceKind::Ilsvrc2012 if source_id.starts_with("ILSVRC2012_val_") => Split::Val,
            SourceKind::Ilsvrc2012 => Split::Train,
            // No class has the name of a split, so a first folder of that name is one.
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
        known.ok_or_else(|| format!("'{text}' is no kind of source that this isn knows"))
    }
}

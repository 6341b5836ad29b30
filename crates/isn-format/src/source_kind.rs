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
    /// Images whose classes are in a list, a CSV file in the source.
    List,
}

impl SourceKind {
    /// All kinds.
    pub const ALL: [SourceKind; 3] = [SourceKind::Ilsvrc2012, SourceKind::ImageFolder, SourceKind::List];

    /// Returns the word in a recipe: `ilsvrc2012`, `imagefolder` or `list`.
    pub fn as_str(self) -> &'static str {
        match self {
            SourceKind::Ilsvrc2012 => "ilsvrc2012",
            SourceKind::ImageFolder => "imagefolder",
            SourceKind::List => "list",
        }
    }

    /// Says what the id of a source image is, to follow "an id is".
    pub fn id_is(self) -> &'static str {
        match self {
            SourceKind::Ilsvrc2012 => "the file name without its extension",
            SourceKind::ImageFolder => "the path in the source without the extension",
            SourceKind::List => {
                "the path in the list without the extension, after the split that the list gives"
            }
        }
    }

    /// Returns the split of a source image in the source, as its id shows.
    pub fn origin(self, source_id: &str) -> Split {
        match self {
            SourceKind::Ilsvrc2012 if source_id.starts_with("ILSVRC2012_val_") => Split::Val,
            SourceKind::Ilsvrc2012 => Split::Train,
            // No class has the name of a split, and a path of a list that begins with one is of that split.
            SourceKind::ImageFolder | SourceKind::List => {
                let first = source_id.split_once('/').and_then(|(first, _)| first.parse().ok());
                first.unwrap_or(Split::Train)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_folder_of_an_id_is_its_split() {
        for (id, split) in [
            ("train/cat/1", Split::Train),
            ("test/1", Split::Test),
            ("val/test/1", Split::Val),
            ("cat/test/1", Split::Train),
            ("tests/1", Split::Train),
            // A file beside others, which is in no folder.
            ("test", Split::Train),
        ] {
            assert_eq!(SourceKind::ImageFolder.origin(id), split, "{id}");
            assert_eq!(SourceKind::List.origin(id), split, "{id}");
        }
    }
}

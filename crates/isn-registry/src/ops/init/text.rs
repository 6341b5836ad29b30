//! The text of a recipe, with comments that say why it is so.

use std::fmt;

use super::{ClassFound, Division, LEDGER, Naming, Sizes};
use isn_format::dataset_ref::Name;
use isn_format::error::count;
use isn_format::source_spec::{HERE, Names, SourceSpec};
use isn_format::split::Split;
use isn_format::text::{one_line, quoted, shell_word};

/// The licence of a recipe whose user has not stated any: `isn publish` refuses it.
const NO_LICENCE: &str = "unknown";

/// What a recipe says.
pub(super) struct Text<'a> {
    /// The name of the folder: its path may tell more of the user than is for publication.
    pub(super) folder: &'a str,
    pub(super) name: &'a Name,
    pub(super) licence: Option<&'a str>,
    pub(super) images: usize,
    pub(super) source: &'a SourceSpec,
    pub(super) classes: &'a [ClassFound],
    pub(super) naming: &'a Naming,
    pub(super) sizes: &'a Sizes,
    pub(super) division: &'a Division,
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Text { name, naming, sizes, division, .. } = self;
        let init = format!("isn init {}", shell_word(self.folder));
        let classes = match self.classes.len() {
            1 => "1 class".into(),
            n => format!("{n} classes"),
        };
        let what = format!("{} of {classes}.", count(self.images, "image"));
        let licence = self.licence.unwrap_or(NO_LICENCE);
        writeln!(
            f,
            "# Made by `{}`. Change what you like: docs/recipe.md explains every key.",
            one_line(&init)
        )?;
        writeln!(f, "format = \"isn-recipe/2\"\nname = \"{name}\"\nversion = \"1.0\"")?;
        writeln!(f, "title = \"{name}\"                  # for people, one line")?;
        writeln!(f, "description = {}", quoted(&what))?;
        if self.licence.is_none() {
            writeln!(
                f,
                "# The terms of the images. `isn publish` refuses the version until they are stated."
            )?;
        }
        writeln!(f, "licence = {}", quoted(licence))?;
        writeln!(f, "authors = [\"the curators of {name}\"]   # who chose and labelled the images")?;

        writeln!(f, "\n[source]\nkind = \"{}\"", self.source.kind.as_str())?;
        if let Some(list) = &self.source.list {
            writeln!(f, "list = {}", quoted(&list.file))?;
            if list.images != HERE {
                writeln!(f, "images = {}", quoted(&list.images))?;
            }
            let split = list.split.as_ref().map(|split| format!(", split = {}", quoted(split)));
            let (path, label, split) = (quoted(&list.path), quoted(&list.label), split.unwrap_or_default());
            writeln!(f, "columns = {{ path = {path}, label = {label}{split} }}")?;
        }
        if !self.source.annotated.is_empty() {
            let of = |(split, file): &(Split, String)| format!("{split} = {}", quoted(file));
            let files: Vec<String> = self.source.annotated.iter().map(of).collect();
            writeln!(f, "annotated = {{ {} }}", files.join(", "))?;
        }
        if let Some(splits) = &self.source.splits {
            let of = |split: Split| {
                let folders: Vec<String> =
                    splits.iter().filter(|(of, _)| *of == split).map(|(_, folder)| quoted(folder)).collect();
                (!folders.is_empty()).then(|| format!("{split} = [{}]", folders.join(", ")))
            };
            let splits: Vec<String> = Split::ALL.into_iter().filter_map(of).collect();
            writeln!(f, "splits = {{ {} }}", splits.join(", "))?;
        }
        let names = if naming.names == Names::Hash { "hash" } else { "keep" };
        writeln!(f, "# {}.", one_line(&naming.why))?;
        writeln!(f, "names = \"{names}\"")?;

        writeln!(f, "\n[image]")?;
        let (least, most) = sizes.range;
        match sizes.read {
            0 => writeln!(f, "# No image could be measured.")?,
            n if least == most => {
                writeln!(f, "# The shortest side of {} is {least} pixels.", count(n, "image"))?;
            }
            n => writeln!(f, "# The shortest sides of {} are {least} to {most} pixels.", count(n, "image"))?,
        }
        writeln!(f, "size = {}                        # the shortest side becomes this", sizes.size)?;
        writeln!(
            f,
            "small = \"keep\"                    # smaller images stay as they are; or upscale, drop"
        )?;
        writeln!(f, "encode = \"png\"                    # lossless; {{ jpeg = 95 }} takes much less room")?;
        if sizes.has_turned {
            writeln!(f, "exif_orientation = \"apply\"        # some are turned by their cameras' tag")?;
        }

        writeln!(f, "\n[split]\n# {}.", division.why)?;
        match division.val {
            Some(val) => writeln!(f, "policy = \"pool\"\nval = {val}\nsalt = \"{name}\"")?,
            None => writeln!(f, "policy = \"keep\"")?,
        }
        if let Some(why) = &division.lax {
            writeln!(f, "\n[gates]\nval_min = 0                       # {why}")?;
        }
        writeln!(
            f,
            "\n[corrections]\nfile = \"{LEDGER}\"           # `isn ledger add` adds decisions about images"
        )?;

        writeln!(
            f,
            "\n# To refuse a folder that lacks images, say how many there are: expect = {{ train = 100 }}."
        )?;
        for ClassFound { id, label, folder, images, group } in self.classes {
            let counts: Vec<String> = images.iter().map(|(split, n)| format!("{n} {split}")).collect();
            writeln!(f, "\n[[class]]                         # {}", counts.join(", "))?;
            writeln!(f, "id = \"{id}\"\nlabel = {}", quoted(label))?;
            if let Some(group) = group {
                writeln!(f, "group = {}", quoted(group))?;
            }
            if folder != id.as_str() {
                writeln!(f, "folder = {}", quoted(folder))?;
            }
        }
        Ok(())
    }
}

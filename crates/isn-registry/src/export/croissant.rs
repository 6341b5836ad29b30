//! A tar of the tree for each split, a table of the images, `images.csv`, and `croissant.json`, which
//! describes them in Croissant 1.0 (MLCommons), a JSON-LD vocabulary for datasets. Readers of Croissant find
//! images, classes and splits by themselves.
//!
//! Class and split could be extracted from paths by regular expressions. But mlcroissant 1.1 follows only one
//! reference of a record set, and overwrites the path with the extracted value, so they are columns of the
//! table.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::archive::{Tar, hex};
use super::out::{Out, write, write_json};
use super::{About, Image, Shard, Writer};
use isn_format::class::classes_csv;
use isn_format::error::{Error, Result};
use isn_format::split::Split;
use isn_format::tree::CLASSES;

/// The number of digits of a file's SHA-256 in its name.
const DIGITS: usize = 12;
/// The name of a tar while it is written.
const UNNAMED: &str = "split.tar";
const IMAGES: &str = "images.csv";
/// The columns of [`IMAGES`], their types, and the fields that they refer to.
const COLUMNS: [(&str, &str, Option<&str>); 7] = [
    ("path", "sc:Text", None),
    ("split", "sc:Text", Some("splits/name")),
    ("class", "sc:Text", Some("classes/id")),
    ("index", "sc:Integer", None),
    ("blake3", "sc:Text", None),
    ("width", "sc:Integer", None),
    ("height", "sc:Integer", None),
];

pub(super) struct Croissant<'a> {
    dir: &'a Path,
    about: &'a About<'a>,
    tar: Option<(Split, Tar)>,
    /// The name, length and SHA-256 of each tar, with its split.
    tars: Vec<(Split, String, u64, String)>,
    /// The table so far.
    images: String,
}

impl<'a> Croissant<'a> {
    pub(super) fn new(dir: &'a Path, about: &'a About<'a>) -> Self {
        let images = COLUMNS.map(|(name, ..)| name).join(",") + "\n";
        Croissant { dir, about, tar: None, tars: Vec::new(), images }
    }

    fn end_split(&mut self) -> Result<()> {
        let Some((split, tar)) = self.tar.take() else { return Ok(()) };
        let (length, sha256) = tar.finish()?;
        let sha256 = sha256.unwrap_or_default();
        let it = self.about.identity;
        // mlcroissant unpacks an archive once for each name, whatever its contents, so no two archives may
        // have the same name.
        let name = format!("{}-{}-{split}-{}.tar", it.name, it.version_text(), &sha256[..DIGITS]);
        let (from, to) = (self.dir.join(UNNAMED), self.dir.join(&name));
        fs::rename(&from, &to).map_err(Error::io("rename", &from))?;
        self.tars.push((split, name, length, sha256));
        Ok(())
    }
}

impl Writer for Croissant<'_> {
    fn begin(&mut self, shard: &Shard) -> Result<()> {
        self.end_split()?;
        self.tar = Some((shard.split, Tar::hashed(Out::create(self.dir.join(UNNAMED))?)));
        Ok(())
    }

    fn image(&mut self, image: &Image<'_>) -> Result<()> {
        let Some((split, tar)) = &mut self.tar else {
            return Err(Error::Internal("an image before its split".into()));
        };
        let Image { path, label, blake3, width, height, .. } = image;
        let class = self.about.classes.get(*label as usize).map_or("", |class| class.id.as_str());
        // None of these contains a comma or a quote.
        let _ = writeln!(self.images, "{path},{split},{class},{label},{blake3},{width},{height}");
        tar.append(path, image.bytes)
    }

    fn finish(&mut self) -> Result<()> {
        self.end_split()?;
        let classes = classes_csv(self.about.classes);
        write(self.dir.join(CLASSES), &classes)?;
        write(self.dir.join(IMAGES), self.images.as_bytes())?;
        write_json(self.dir.join("croissant.json"), &self.description(&classes))
    }
}

impl Croissant<'_> {
    fn description(&self, classes: &[u8]) -> Value {
        let (about, it) = (self.about, self.about.identity);
        let doubt = about.doubt.as_ref().map(|doubt| format!("\n\nUnsigned: {doubt}")).unwrap_or_default();
        let creator = |name: &String| json!({ "@type": "sc:Organization", "name": name });
        json!({
            "@context": context(),
            "@type": "sc:Dataset",
            "conformsTo": "http://mlcommons.org/croissant/1.0",
            "name": it.name,
            "alternateName": it.title,
            "description": format!("{}\n\nPin: {}{doubt}", it.description, it.pin),
            "identifier": about.dataset(),
            "version": about.three_numbers(),
            "license": it.licence,
            "citeAs": about.citation,
            "creator": it.authors.iter().map(creator).collect::<Vec<_>>(),
            "keywords": ["image classification", "isn"],
            "distribution": self.distribution(classes),
            "recordSet": [self.splits(), record_of_classes(), self.images()],
        })
    }

    fn distribution(&self, classes: &[u8]) -> Vec<Value> {
        let tar = |(split, name, length, sha256): &(Split, String, u64, String)| {
            json!({
                "@type": "cr:FileObject",
                "@id": format!("{split}-archive"),
                "name": name,
                "description": format!("The images of {split}, as split/class/image."),
                "contentUrl": name,
                "contentSize": format!("{length} B"),
                "encodingFormat": "application/x-tar",
                "sha256": sha256,
            })
        };
        let mut files: Vec<Value> = self.tars.iter().map(tar).collect();
        let archives = self.tars.iter().map(|(split, ..)| json!({ "@id": format!("{split}-archive") }));
        files.push(json!({
            "@type": "cr:FileSet",
            "@id": "image-files",
            "name": "image-files",
            "containedIn": archives.collect::<Vec<_>>(),
            "encodingFormat": format!("image/{}", self.about.encoding()),
            "includes": format!("*/*/*.{}", self.about.extension),
        }));
        let table = |id: &str, name: &str, what: &str, bytes: &[u8]| {
            json!({
                "@type": "cr:FileObject",
                "@id": id,
                "name": name,
                "description": what,
                "contentUrl": name,
                "contentSize": format!("{} B", bytes.len()),
                "encodingFormat": "text/csv",
                "sha256": hex(&<sha2::Sha256 as sha2::Digest>::digest(bytes)),
            })
        };
        files.push(table("classes-file", CLASSES, "The classes in the order of their indices.", classes));
        files.push(table("images-file", IMAGES, "The images, by path.", self.images.as_bytes()));
        files
    }

    fn splits(&self) -> Value {
        let row = |split: &Split| json!({ "splits/name": split, "splits/url": url_of(*split) });
        json!({
            "@type": "cr:RecordSet",
            "@id": "splits",
            "name": "splits",
            "dataType": "cr:Split",
            "key": { "@id": "splits/name" },
            "field": [
                { "@type": "cr:Field", "@id": "splits/name", "name": "name", "dataType": "sc:Text" },
                { "@type": "cr:Field", "@id": "splits/url", "name": "url", "dataType": ["sc:URL", "wd:Q3985153"] },
            ],
            "data": self.about.splits.iter().map(|(split, ..)| row(split)).collect::<Vec<_>>(),
        })
    }

    fn images(&self) -> Value {
        let column = |&(name, kind, refers): &(&str, &str, Option<&str>)| {
            let mut field = column_of("images", "images-file", name, json!(kind));
            if let Some(other) = refers {
                field["references"] = json!({ "field": { "@id": other } });
            }
            field
        };
        let mut fields: Vec<Value> = COLUMNS.iter().map(column).collect();
        // The reference goes from the files to the table: mlcroissant takes the contents of what it joins to.
        let of_table = fields[0]["source"].take();
        fields[0]["source"] =
            json!({ "fileSet": { "@id": "image-files" }, "extract": { "fileProperty": "fullpath" } });
        fields[0]["references"] = of_table;
        fields.push(json!({
            "@type": "cr:Field",
            "@id": "images/image",
            "name": "image",
            "dataType": "sc:ImageObject",
            "source": { "fileSet": { "@id": "image-files" }, "extract": { "fileProperty": "content" } },
        }));
        json!({
            "@type": "cr:RecordSet",
            "@id": "images",
            "name": "images",
            "description": format!("An image a record, of {}.", self.about.identity.pin),
            "key": { "@id": "images/path" },
            "field": fields,
        })
    }
}

/// Returns a field that is a column of a table.
fn column_of(records: &str, file: &str, name: &str, kind: Value) -> Value {
    json!({
        "@type": "cr:Field",
        "@id": format!("{records}/{name}"),
        "name": name,
        "dataType": kind,
        "source": { "fileObject": { "@id": file }, "extract": { "column": name } },
    })
}

/// Returns what the specification calls a split.
fn url_of(split: Split) -> &'static str {
    match split {
        Split::Train => "cr:TrainingSplit",
        Split::Val => "cr:ValidationSplit",
        Split::Test => "cr:TestSplit",
    }
}

fn record_of_classes() -> Value {
    let column = |name: &str, kind: Value| column_of("classes", "classes-file", name, kind);
    json!({
        "@type": "cr:RecordSet",
        "@id": "classes",
        "name": "classes",
        "dataType": "sc:Enumeration",
        "key": { "@id": "classes/id" },
        "field": [
            column("index", json!("sc:Integer")),
            column("id", json!("sc:Text")),
            column("label", json!(["sc:Text", "sc:name"])),
            column("group", json!("sc:Text")),
        ],
    })
}

/// Returns the full context of the specification, because readers report a shorter one as a mistake.
fn context() -> Value {
    let mut context = json!({
        "@language": "en",
        "@vocab": "https://schema.org/",
        "cr": "http://mlcommons.org/croissant/",
        "rai": "http://mlcommons.org/croissant/RAI/",
        "data": { "@id": "cr:data", "@type": "@json" },
        "dataType": { "@id": "cr:dataType", "@type": "@vocab" },
        "dct": "http://purl.org/dc/terms/",
        "conformsTo": "dct:conformsTo",
        "examples": { "@id": "cr:examples", "@type": "@json" },
        "sc": "https://schema.org/",
        "wd": "https://www.wikidata.org/wiki/",
    });
    let terms = "citeAs column equivalentProperty extract field fileProperty fileObject fileSet format includes isLiveDataset \
                 jsonPath key md5 parentField path recordSet references regex repeated replace samplingRate separator source subField transform";
    for term in terms.split_whitespace() {
        context[term] = json!(format!("cr:{term}"));
    }
    context
}

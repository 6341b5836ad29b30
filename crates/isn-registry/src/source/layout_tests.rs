//! ImageNet's layouts: the same images in every container.

use std::fs;
use std::path::Path;

use super::tests::{classes, folder, problems};
use super::*;
use isn_format::digest::Digest;

const EAGLE: &str = "n01614925";
const OWL: &str = "n01622779";
const FILES: [&str; 6] = [
    "train/n01614925/n01614925_10.JPEG",
    "train/n01614925/n01614925_2.JPEG",
    "train/n01622779/n01622779_5.JPEG",
    "train/n01440764/n01440764_1.JPEG",
    "val/ILSVRC2012_val_00000318.JPEG",
    "val/ILSVRC2012_val_00000128.JPEG",
];

/// Makes an archive of files that contain their own paths in the unpacked layout.
fn tar_of<'p>(paths: impl IntoIterator<Item = &'p str>) -> Vec<u8> {
    let mut builder = ::tar::Builder::new(Vec::new());
    for path in paths {
        append(&mut builder, path.rsplit('/').next().unwrap(), path.as_bytes());
    }
    builder.into_inner().unwrap()
}

fn append(builder: &mut ::tar::Builder<Vec<u8>>, name: &str, bytes: &[u8]) {
    let mut header = ::tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    builder.append_data(&mut header, name, bytes).unwrap();
}

fn train_tar(files: &[&str]) -> Vec<u8> {
    let mut builder = ::tar::Builder::new(Vec::new());
    for class in ["n01440764", EAGLE, OWL] {
        let of_it = files.iter().copied().filter(|path| path.starts_with(&format!("train/{class}/")));
        append(&mut builder, &format!("{class}.tar"), &tar_of(of_it));
    }
    builder.into_inner().unwrap()
}

fn archives(files: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("ILSVRC2012_img_train.tar"), train_tar(files)).unwrap();
    let val = files.iter().copied().filter(|path| path.starts_with("val/"));
    fs::write(root.path().join("ILSVRC2012_img_val.tar"), tar_of(val)).unwrap();
    root
}

fn open(root: &Path) -> Result<Source> {
    Source::open(&SourceSpec::new(SourceKind::Ilsvrc2012), root, &classes(&[EAGLE, OWL]))
}

fn open_with(root: &Path, indexes: &Path) -> Result<Source> {
    let indexes = Indexes::new(indexes, [0; 32]);
    Source::open_with(&SourceSpec::new(SourceKind::Ilsvrc2012), root, &classes(&[EAGLE, OWL]), Some(&indexes))
}

/// Returns the id, class, split and bytes of each image.
fn contents(source: &Source) -> Vec<(String, String, Split, Vec<u8>)> {
    let image = |i: SourceImage<'_>| (i.id.to_owned(), i.class.to_string(), i.split, source.read(i).unwrap());
    source.images.iter().map(image).collect()
}

#[test]
fn archives_have_what_folders_have_in_the_same_order() {
    let unpacked = open(folder(&FILES).path()).map(|source| source.layout.to_string()).unwrap();
    assert_eq!(unpacked, "unpacked folders");
    let (folders, tars) = (folder(&FILES), archives(&FILES));
    let (a, b) = (open(folders.path()).unwrap(), open(tars.path()).unwrap());
    assert_eq!(contents(&a), contents(&b));
    assert_eq!(a.images.len(), 5);
    assert_eq!(b.layout.to_string(), "official archives (2 tars)");
    assert_eq!(b.images.get(0).path, "ILSVRC2012_img_train.tar/n01614925.tar/n01614925_10.JPEG");
    assert_eq!(b.images.get(3).path, "ILSVRC2012_img_val.tar/ILSVRC2012_val_00000128.JPEG");
    assert_eq!((a.warnings, b.warnings), (Vec::new(), Vec::new()));

    // One archive beside an unpacked folder, or alone.
    fs::remove_file(tars.path().join("ILSVRC2012_img_val.tar")).unwrap();
    let train_only = open(tars.path()).unwrap();
    assert_eq!((train_only.images.len(), train_only.warnings.len()), (3, 1));
    fs::create_dir(tars.path().join("val")).unwrap();
    for path in &FILES[4..] {
        fs::write(tars.path().join(path), path).unwrap();
    }
    let mixed = open(tars.path()).unwrap();
    assert_eq!(contents(&a_again(&folders)), contents(&mixed));
    assert_eq!(mixed.layout.to_string(), "official archives (1 tar) and an unpacked folder");
}

fn a_again(folders: &tempfile::TempDir) -> Source {
    open(folders.path()).unwrap()
}

#[test]
fn what_archives_lack_or_have_wrong_is_told_at_once() {
    let files = ["train/n01614925/n01622779_7.JPEG", "val/ILSVRC2012_val_99999999.JPEG", "val/x.JPEG"];
    let root = archives(&files);
    let mut builder = ::tar::Builder::new(Vec::new());
    append(&mut builder, "n01614925.tar", &tar_of([files[0]]));
    append(&mut builder, "readme.txt", b"");
    fs::write(root.path().join("ILSVRC2012_img_train.tar"), builder.into_inner().unwrap()).unwrap();
    let found = problems(open(root.path()));
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(
        found[0].ends_with("n01614925.tar/n01622779_7.JPEG is in the wrong folder: its class is n01622779")
    );
    assert_eq!(found[1], "there is no n01622779.tar in ILSVRC2012_img_train.tar");
    assert!(
        found[2].starts_with("ILSVRC2012_img_val.tar/ILSVRC2012_val_99999999.JPEG: there is no validation")
    );
    assert!(found[3].contains("x.JPEG: its class is unknown"));

    let nothing = problems(open(folder(&["readme.txt"]).path()));
    assert!(nothing[0].contains("no ILSVRC2012_img_train.tar and no data/train-*.parquet"), "{nothing:?}");
}

#[test]
fn a_member_that_is_longer_than_any_image_is_named() {
    let root = archives(&FILES);
    let path = root.path().join("ILSVRC2012_img_val.tar");
    let length = MAX_IMAGE_LEN + 1;
    let mut header = ::tar::Header::new_ustar();
    header.set_path("ILSVRC2012_val_00000128.JPEG").unwrap();
    header.set_size(length);
    header.set_cksum();
    fs::write(&path, header.as_bytes()).unwrap();
    let blocks = 1 + length.div_ceil(512) + 2;
    fs::File::options().write(true).open(&path).unwrap().set_len(512 * blocks).unwrap();
    let found = problems(open(root.path()));
    let why = "val.tar/ILSVRC2012_val_00000128.JPEG has 536870913 bytes, and an image has at most 536870912";
    assert!(found[0].ends_with(why), "{found:?}");
}

#[test]
fn a_cut_archive_is_told_wherever_it_is_cut() {
    let root = archives(&FILES);
    let path = root.path().join("ILSVRC2012_img_train.tar");
    let bytes = fs::read(&path).unwrap();
    for cut in (0..bytes.len() - 512).step_by(511) {
        fs::write(&path, &bytes[..cut]).unwrap();
        let found = problems(open(root.path())).join("\n");
        assert!(found.contains("cut short"), "cut at {cut}: {found}");
        assert!(found.contains("ILSVRC2012_img_train.tar"), "cut at {cut}: {found}");
    }
}

#[test]
fn a_damaged_inner_archive_is_told_and_the_others_are_listed() {
    let root = archives(&FILES);
    let path = root.path().join("ILSVRC2012_img_train.tar");
    let mut bytes = fs::read(&path).unwrap();
    let place = bytes.windows(17).rposition(|window| window == b"n01614925_10.JPEG").unwrap();
    // The last occurrence is in the body; the header is one block before it.
    bytes[place / 512 * 512 - 512] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let survey =
        Source::survey(&SourceSpec::new(SourceKind::Ilsvrc2012), root.path(), &classes(&[EAGLE, OWL]), None)
            .unwrap();
    assert_eq!(survey.problems.len(), 1, "{:?}", survey.problems);
    let why = &survey.problems[0].why;
    assert!(
        why.starts_with("ILSVRC2012_img_train.tar/n01614925.tar: byte ") && why.contains("sum is wrong"),
        "{why}"
    );
    assert_eq!(survey.source.images.len(), 3, "an owl and two of val");
}

#[test]
fn a_kept_index_is_used_and_never_believed_against_the_file() {
    let root = archives(&FILES);
    let indexes = tempfile::tempdir().unwrap();
    let first = contents(&open_with(root.path(), indexes.path()).unwrap());
    let kept = || -> Vec<(PathBuf, Vec<u8>)> {
        let entries = fs::read_dir(indexes.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut kept: Vec<_> = entries.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
        kept.sort();
        kept
    };
    let original = kept();
    assert_eq!(original.len(), 2);
    assert_eq!(first, contents(&open_with(root.path(), indexes.path()).unwrap()));
    assert_eq!(original, kept());

    // Wrong, truncated, empty, or another file's: the index is made again, with the same images.
    type Damage<'d> = &'d dyn Fn(&[u8]) -> Vec<u8>;
    let damaged: [Damage<'_>; 5] = [
        &|bytes| bytes[..bytes.len() / 2].to_vec(),
        &|_| Vec::new(),
        &|_| b"{}\n".to_vec(),
        &|bytes| String::from_utf8_lossy(bytes).replace("512", "513").into_bytes(),
        &|bytes| [bytes, b"more\n"].concat(),
    ];
    for (number, damage) in damaged.iter().enumerate() {
        for (path, bytes) in &original {
            fs::write(path, damage(bytes)).unwrap();
        }
        assert_eq!(first, contents(&open_with(root.path(), indexes.path()).unwrap()), "damage {number}");
        assert_eq!(original, kept(), "damage {number}");
    }
    fs::write(&original[0].0, &original[1].1).unwrap();
    assert_eq!(first, contents(&open_with(root.path(), indexes.path()).unwrap()));

    // Replace a file by a longer one, and by one of the same length with another time.
    let files: Vec<&str> = FILES.iter().copied().chain(["train/n01622779/n01622779_77.JPEG"]).collect();
    let path = root.path().join("ILSVRC2012_img_train.tar");
    fs::write(&path, train_tar(&files)).unwrap();
    assert_eq!(open_with(root.path(), indexes.path()).unwrap().images.len(), 6);
    let longer = fs::read(&path).unwrap();
    fs::write(&path, &longer).unwrap();
    let file = fs::File::options().append(true).open(&path).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1)).unwrap();
    assert_eq!(open_with(root.path(), indexes.path()).unwrap().images.len(), 6);

    // The classes of another recipe are added to it.
    let all = Source::open_with(
        &SourceSpec::new(SourceKind::Ilsvrc2012),
        root.path(),
        &classes(&["n01440764", EAGLE, OWL]),
        Some(&Indexes::new(indexes.path(), [0; 32])),
    );
    assert_eq!(all.unwrap().images.len(), 7);
    // If nothing can be kept, nothing is missing.
    let file = indexes.path().join("file");
    fs::write(&file, "").unwrap();
    assert_eq!(open_with(root.path(), &file).unwrap().images.len(), 6);
}

/// Whoever can write to a shared cache might give a class the images of another, in a well-formed index.
#[test]
fn an_index_by_somebody_without_the_key_is_none() {
    let root = archives(&FILES);
    let indexes = tempfile::tempdir().unwrap();
    let first = contents(&open_with(root.path(), indexes.path()).unwrap());
    for entry in fs::read_dir(indexes.path()).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let mut lines: Vec<String> = text.lines().map(|line| format!("{line}\n")).collect();
        lines.pop();
        // Swap the positions of neighbouring lines, but not their names.
        let members: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].contains(".JPEG")).collect();
        for pair in members.chunks_exact(2) {
            let cut = |line: &str| line.find(",\"offset\"").unwrap();
            let (one, other) = (lines[pair[0]].clone(), lines[pair[1]].clone());
            lines[pair[0]] = format!("{}{}", &one[..cut(&one)], &other[cut(&other)..]);
            lines[pair[1]] = format!("{}{}", &other[..cut(&other)], &one[cut(&one)..]);
        }
        let lines = lines.concat();
        let end = format!("{{\"blake3\":\"{}\"}}\n", Digest::of(lines.as_bytes()));
        assert_eq!(end.len(), text.lines().last().unwrap().len() + 1);
        assert_ne!(lines, text[..lines.len()]);
        fs::write(&path, lines + &end).unwrap();
    }
    assert_eq!(first, contents(&open_with(root.path(), indexes.path()).unwrap()));
}

#[test]
fn an_archive_that_changes_after_it_was_listed_is_refused() {
    let root = archives(&FILES);
    let path = root.path().join("ILSVRC2012_img_val.tar");
    let source = open(root.path()).unwrap();
    let image = source.images.iter().find(|image| image.split == Split::Val).unwrap();
    assert!(source.read(image).is_ok());
    let bytes = fs::read(&path).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert!(source.read(image).unwrap_err().to_string().contains("was written to while it was read"));
    fs::write(&path, &bytes[..700]).unwrap();
    let error = source.read(image).unwrap_err().to_string();
    assert!(error.contains("changed while it was read: 700 bytes long"), "{error}");
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_not_opened() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("ILSVRC2012_img_train.tar");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
    let found = problems(open(root.path()));
    assert!(found[0].contains("is neither a file nor a folder"), "{found:?}");
}

#[test]
fn kaggles_layout_is_found_from_every_level_and_its_labels_are_compared() {
    let deep: Vec<String> = FILES.iter().map(|path| format!("ILSVRC/Data/CLS-LOC/{path}")).collect();
    let root = folder(&deep.iter().map(String::as_str).collect::<Vec<_>>());
    let ids = |source: &Source| source.images.iter().map(|image| image.id.to_owned()).collect::<Vec<_>>();
    let expected = ids(&open(folder(&FILES).path()).unwrap());
    for level in ["", "ILSVRC", "ILSVRC/Data", "ILSVRC/Data/CLS-LOC"] {
        let source = open(&root.path().join(level)).unwrap();
        assert_eq!((ids(&source), source.layout), (expected.clone(), SourceLayout::Kaggle), "{level}");
        assert!(source.read(source.images.get(0)).is_ok());
    }
    assert!(
        open(root.path()).unwrap().images.get(0).path.starts_with("ILSVRC/Data/CLS-LOC/train/n01614925/")
    );

    let rows = "ImageId,PredictionString\nILSVRC2012_val_00000318,n01622779 85 1 499 272 n01622779 1 2 3 4 \n\
                ILSVRC2012_val_00000128,n01616318 1 1 2 2 \nILSVRC2012_val_00000001,\nnothing,n01614925 1 1 2 2\n";
    fs::write(root.path().join("LOC_val_solution.csv"), rows).unwrap();
    let source = open(&root.path().join("ILSVRC")).unwrap();
    assert_eq!(
        source.warnings,
        [
            "LOC_val_solution.csv line 3: ILSVRC2012_val_00000128 is n01616318 there, but n01614925 in the devkit",
            "LOC_val_solution.csv line 4: ILSVRC2012_val_00000001 is no class there, but n01751748 in the devkit",
            "LOC_val_solution.csv line 5: 'nothing' is no validation image",
        ]
    );
}

#[cfg(not(feature = "parquet"))]
#[test]
fn without_the_feature_parquet_files_are_refused_with_the_way_to_it() {
    let found = problems(open(folder(&["data/train-00000-of-00001.parquet"]).path()));
    assert!(found[0].contains("--features parquet"), "{found:?}");
}

#[cfg(feature = "parquet")]
mod parquet_files {
    use std::sync::Arc;

    use ::parquet::basic::Compression;
    use ::parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use ::parquet::file::properties::WriterProperties;
    use ::parquet::file::writer::SerializedFileWriter;
    use ::parquet::schema::parser::parse_message_type;

    use super::*;

    const SCHEMA: &str = "message schema { optional group image { optional binary bytes; optional binary path \
                          (UTF8); } optional int64 label; }";

    /// Writes rows of image, path and label, with three rows in a group and some values of a page in a
    /// dictionary.
    fn write(to: &Path, rows: &[(&[u8], &str, i64)], compression: Compression) {
        let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
        let properties =
            WriterProperties::builder().set_compression(compression).set_dictionary_page_size_limit(64);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        let file = fs::File::create(to).unwrap();
        let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties.build())).unwrap();
        for group in rows.chunks(3) {
            let mut row_group = writer.next_row_group().unwrap();
            let levels = vec![2; group.len()];
            for at in 0..2 {
                let values: Vec<ByteArray> = group
                    .iter()
                    .map(|row| {
                        ByteArray::from(if at == 0 { row.0.to_vec() } else { row.1.as_bytes().to_vec() })
                    })
                    .collect();
                let mut column = row_group.next_column().unwrap().unwrap();
                column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None).unwrap();
                column.close().unwrap();
            }
            let mut column = row_group.next_column().unwrap().unwrap();
            let labels: Vec<i64> = group.iter().map(|row| row.2).collect();
            column.typed::<Int64Type>().write_batch(&labels, Some(&vec![1; labels.len()]), None).unwrap();
            column.close().unwrap();
            row_group.close().unwrap();
        }
        writer.close().unwrap();
    }

    fn label(class: &str) -> i64 {
        (0..1000).position(|rank| isn_format::ilsvrc2012::wnid_at(rank) == Some(class)).unwrap() as i64
    }

    /// Makes a folder with the files of `FILES`, shuffled.
    fn files() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let row = |at: usize, name: &'static str, class| (FILES[at].as_bytes(), name, label(class));
        let train = [
            row(2, "n01622779_5_n01622779.JPEG", OWL),
            row(3, "n01440764_1_n01440764.JPEG", "n01440764"),
            row(1, "n01614925_2.JPEG", EAGLE),
            row(0, "train/n01614925_10_n01614925.JPEG", EAGLE),
        ];
        write(&root.path().join("data/train-00000-of-00002.parquet"), &train[..3], Compression::SNAPPY);
        write(&root.path().join("data/train-00001-of-00002.parquet"), &train[3..], Compression::UNCOMPRESSED);
        let val = [
            row(5, "ILSVRC2012_val_00000128_n01614925.JPEG", EAGLE),
            row(4, "ILSVRC2012_val_00000318.JPEG", OWL),
        ];
        let zstd = Compression::ZSTD(Default::default());
        write(&root.path().join("data/validation-00000-of-00001.parquet"), &val, zstd);
        fs::write(root.path().join("data/test-00000-of-00001.parquet"), "not looked at").unwrap();
        root
    }

    #[test]
    fn parquet_files_have_what_folders_have_in_the_same_order() {
        let (folders, root) = (folder(&FILES), files());
        let source = open(root.path()).unwrap();
        assert_eq!(contents(&open(folders.path()).unwrap()), contents(&source));
        assert_eq!(source.layout.to_string(), "Hugging Face parquet (3 files)");
        assert_eq!(
            source.images.get(0).path,
            "data/train-00001-of-00002.parquet/n01614925_10_n01614925.JPEG"
        );
        // Images can be read in any order, and more than once.
        for at in [4, 0, 3, 1, 2, 2, 0, 4, 3] {
            let image = source.images.get(at);
            let expected = FILES.iter().find(|path| path.contains(&format!("{}.", image.id))).unwrap();
            assert_eq!(source.read(image).unwrap(), expected.as_bytes());
        }
        let mut order: Vec<usize> = (0..5).collect();
        source.sort_for_reading(&mut order, |at| *at);
        let positions: Vec<Position> = order.iter().map(|at| source.images.get(*at).position).collect();
        assert!(positions.is_sorted());
        // The folder that contains the files themselves works too.
        assert_eq!(open(&root.path().join("data")).unwrap().images.len(), 5);
    }

    #[test]
    fn many_rows_read_by_many_threads_are_the_right_ones() {
        let root = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..500).map(|n| format!("n01614925_{n}.JPEG")).collect();
        let bodies: Vec<Vec<u8>> = (0..500u32).map(|n| n.to_le_bytes().repeat(50)).collect();
        let rows: Vec<(&[u8], &str, i64)> =
            names.iter().zip(&bodies).map(|(name, body)| (&body[..], name.as_str(), label(EAGLE))).collect();
        write(&root.path().join("train.parquet"), &rows, Compression::SNAPPY);
        let source =
            Source::open(&SourceSpec::new(SourceKind::Ilsvrc2012), root.path(), &classes(&[EAGLE])).unwrap();
        let mut order: Vec<usize> = (0..500).collect();
        source.sort_for_reading(&mut order, |at| *at);
        let read = |(): &mut (), at: &usize| source.read(source.images.get(*at)).unwrap();
        crate::parallel::in_order(
            4,
            32,
            &order,
            || (),
            read,
            |at, bytes| {
                let number: u32 = source.images.get(order[at]).id[10..].parse().unwrap();
                assert_eq!(bytes, number.to_le_bytes().repeat(50));
                Ok::<(), ()>(())
            },
        )
        .unwrap();
    }

    #[test]
    fn rows_that_contradict_themselves_are_named() {
        let root = files();
        let rows: [(&[u8], &str, i64); 7] = [
            (b"x", "n01622779_5_n01622779.JPEG", label(EAGLE)),
            (b"x", "n01614925_5_n01622779.JPEG", label(EAGLE)),
            (b"x", "ILSVRC2012_val_00000128.JPEG", label(EAGLE)),
            (b"x", "", label(EAGLE)),
            (b"x", "readme.txt", label(OWL)),
            (b"x", "own.JPEG", label(OWL)),
            (b"x", "n01440764_1.JPEG", 1_000_000),
        ];
        write(&root.path().join("data/train-00000-of-00002.parquet"), &rows, Compression::SNAPPY);
        let found = problems(open(root.path()));
        let at = "data/train-00000-of-00002.parquet row";
        assert_eq!(
            found,
            [
                format!(
                    "{at} 0: n01622779_5_n01622779.JPEG is of class n01622779 by its name, but of n01614925 \
                    by its label"
                ),
                format!(
                    "{at} 1: n01614925_5_n01622779.JPEG is of class n01622779 by its name, but of n01614925 \
                    by its label"
                ),
                format!("{at} 2: ILSVRC2012_val_00000128.JPEG is among the train images"),
                format!("{at} 3 has no image.path, which would be its name"),
                format!("{at} 4: 'readme.txt' is not the name of an image"),
                format!("{at} 5: the name own.JPEG tells no class"),
            ]
        );
    }

    #[test]
    fn missing_cut_and_changed_files_are_told() {
        let root = files();
        let path = root.path().join("data/train-00001-of-00002.parquet");
        let bytes = fs::read(&path).unwrap();
        let source = open(root.path()).unwrap();
        fs::write(&path, [&bytes[..], b"x"].concat()).unwrap();
        let error = source.read(source.images.get(0)).unwrap_err().to_string();
        assert!(error.contains("changed while it was read"), "{error}");
        for cut in [0, 3, 4, 8, bytes.len() / 2, bytes.len() - 9, bytes.len() - 1] {
            fs::write(&path, &bytes[..cut]).unwrap();
            let found = problems(open(root.path()));
            assert!(found[0].starts_with("data/train-00001-of-00002.parquet cannot be read: "), "{found:?}");
        }
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x41;
            fs::write(&path, &flipped).unwrap();
            // There must never be a panic. Changed bytes of an image make another image, which its BLAKE3
            // hash tells.
            if let Ok(source) = open(root.path()) {
                source.images.iter().for_each(|image| drop(source.read(image)));
            }
        }
        fs::remove_file(&path).unwrap();
        let found = problems(open(root.path()));
        assert_eq!(found, ["data/train-00001-of-00002.parquet of 2 files is not there"]);
    }
}

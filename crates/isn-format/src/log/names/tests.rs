//! The index of `tests/vectors/index`, which its `make.py` wrote without isn; random indexes; damage.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::node::LEAF;
use super::row::WIDTH;
use super::*;
use crate::error::Result;
use crate::key::{PrivateKey, Signer as _};
use crate::log::{LogKey, LogSigner, TILE_WIDTH, Tree, bundle, leaf_hash};

const ENTRIES: &[u8] = include_bytes!("../../../../../tests/vectors/index/entries");
const FILES: &str = include_str!("../../../../../tests/vectors/index/files");
const NOTE: &[u8] = include_bytes!("../../../../../tests/vectors/index/note");

type Files = BTreeMap<File, Vec<u8>>;

fn name(number: u64) -> Name {
    format!("name-{number}").parse().unwrap()
}

/// Returns what the entries are about, each with its place.
fn filed(entries: &[&[u8]]) -> Vec<(Subject, Place)> {
    let (mut offset, mut filed) = (0, Vec::new());
    for (index, entry) in (0..).zip(entries) {
        if index % TILE_WIDTH == 0 {
            offset = 0;
        }
        let place = Place { index, offset: offset + 2, length: entry.len() as u16 };
        offset += 2 + entry.len() as u32;
        filed.extend(Subject::of(entry).map(|subject| (subject, place)));
    }
    filed
}

fn grown(files: &mut Files, base: Option<Root>, more: &[(Subject, Place)]) -> Root {
    let there = files.clone();
    grow(base, more.iter().cloned(), &mut |file| Ok(there[file].clone()), &mut |file, bytes| {
        // A file is written once, or as it was.
        assert!(files.get(&file).is_none_or(|there| *there == bytes), "{file:?}");
        files.insert(file, bytes);
        Ok(())
    })
    .unwrap()
}

/// Returns the places of the entries about a name, as a reader finds them.
fn found(files: &Files, root: Root, name: &Name) -> Vec<Place> {
    let top = Top::parse(&files[&root.file()], &root.hash).unwrap();
    let (mut node, mut prefix) = (top.node, Vec::new());
    loop {
        let (file, hash) = match node.find(name, &prefix) {
            Found::Row(row) => return places(files, row),
            Found::Nothing => return Vec::new(),
            Found::Below(file, hash) => (file, hash),
        };
        let File::Node { prefix: below, .. } = &file else { panic!("{file:?}") };
        prefix.clone_from(below);
        node = Node::parse(&files[&file], &prefix, &hash).unwrap();
    }
}

fn places(files: &Files, row: &Row) -> Vec<Place> {
    fn below(files: &Files, row: &Row, level: u8, index: u64, hash: &Digest, to: &mut Vec<Place>) {
        let bytes = &files[&File::Block { of: row.subject().clone(), level, index }];
        if level == 0 {
            to.extend(Row::places(bytes, hash).unwrap());
            return;
        }
        for (at, hash) in (index * WIDTH..).zip(Row::hashes(bytes, hash).unwrap()) {
            below(files, row, level - 1, at, &hash, to);
        }
    }
    let mut all = Vec::new();
    for (level, index, hash) in row.blocks() {
        below(files, row, level, index, &hash, &mut all);
    }
    all.extend(row.last());
    assert_eq!(all.len() as u64, row.count());
    all
}

#[test]
fn the_golden_index_is_what_isn_makes() {
    let entries = bundle::read_all(ENTRIES).unwrap();
    let mut files = Files::new();
    let root = grown(&mut files, None, &filed(&entries));
    let path = |file: &File| match file {
        File::Top { through } => format!("top/{through}"),
        File::Node { prefix, through } => {
            let hex: String = prefix.iter().map(|digit| format!("{digit:x}")).collect();
            format!("node/{hex}/{through}")
        }
        File::Block { of, level, index } => format!("block/{}/{level}/{index}", of.text()),
    };
    let mut lines: Vec<String> = files
        .iter()
        .map(|(file, bytes)| format!("{} {} {}\n", path(file), bytes.len(), Digest::of(bytes)))
        .collect();
    lines.sort();
    assert_eq!(lines.concat(), FILES);
    let kinds = |is: fn(&File) -> bool| files.keys().filter(|file| is(file)).count();
    assert!(kinds(|file| matches!(file, File::Node { .. })) == 16);
    assert_eq!(kinds(|file| matches!(file, File::Block { .. })), 1);

    let tree = Tree::of(entries.iter().map(|entry| leaf_hash(entry))).unwrap();
    let signer = LogSigner::new("log.example/vectors", PrivateKey::of_vectors("bob")).unwrap();
    let note = SignedNames::sign(&signer, tree.size(), tree.root().unwrap(), root).unwrap();
    assert_eq!(std::str::from_utf8(note.bytes()), std::str::from_utf8(NOTE));
    let read = SignedNames::parse("it", NOTE.to_vec()).unwrap();
    assert_eq!(read.verify(signer.log_key(), tree.root().unwrap()).unwrap(), root);
    assert_eq!(read.claimed_size(), tree.size());
}

#[test]
fn an_entry_is_about_what_its_second_line_says() {
    let of = |text: &str| Subject::of(text.as_bytes());
    let birds = Some(Subject::Name("birds".parse().unwrap()));
    assert_eq!(of("isn/v1 release\nname birds\nversion 1.0\n"), birds);
    assert_eq!(of("whatever\nname birds\n"), birds);
    assert_eq!(of("isn/v1 logkey\nname birds\n"), birds);
    assert_eq!(of("isn/v1 logkey\norigin log.example/one\n"), Some(Subject::Log));
    assert_eq!(of("isn/v1 logkey\n"), Some(Subject::Log));
    for other in [
        "",
        "isn/v1 logkey",
        "isn/v2 logkey\n",
        "isn/v1 release\nname birds",
        "isn/v1 release\nname  birds\n",
        "isn/v1 release\nname birds \n",
        "isn/v1 release\nname Birds\n",
        "isn/v1 release\nname names\n",
        "isn/v1 release\r\nname birds\r\n",
        "isn/v1 release\nversion 1.0\nname birds\n",
        "name birds\n",
    ] {
        assert_eq!(of(other), None, "{other:?}");
    }
    assert_eq!(Subject::of(b"isn/v1 release\nname \xff\n"), None);
}

/// A row at every number of places at which it gets another form.
#[test]
fn a_row_of_many_places_is_in_blocks() {
    let place = |index| Place { index, offset: 2, length: 9 };
    let edges = [1, 255, 256, 257, 512, 513, 65_536, 65_537, 65_792, 65_793, 70_000];
    let (mut files, mut base, mut from) = (Files::new(), None, 0);
    for count in edges {
        let more: Vec<_> = (from..count).map(|index| (Subject::Name(name(0)), place(index))).collect();
        base = Some(grown(&mut files, base, &more));
        assert_eq!(found(&files, base.unwrap(), &name(0)), (0..count).map(place).collect::<Vec<_>>());
        from = count;
    }
    let all: Vec<_> = (0..70_000).map(|index| (Subject::Name(name(0)), place(index))).collect();
    let mut at_once = Files::new();
    assert_eq!(Some(grown(&mut at_once, None, &all)), base);
    assert!(at_once.iter().all(|(file, bytes)| files[file] == *bytes));
    assert!(files.values().all(|bytes| bytes.len() < 20_000));
    let longest: u64 = files.values().map(|bytes| bytes.len() as u64).max().unwrap();
    assert!(longest < MAX_FILE);
}

fn some_index() -> impl Strategy<Value = Vec<(Subject, Place)>> {
    let one = (0..600_u64, 0..3_u64, 1..500_u16);
    proptest::collection::vec(one, 0..700).prop_map(|all| {
        let mut index = 0;
        all.into_iter()
            .map(|(number, gap, length)| {
                index += 1 + gap;
                let subject = if number == 0 { Subject::Log } else { Subject::Name(name(number % 250)) };
                (subject, Place { index, offset: 2, length })
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The index depends on the entries alone, whoever adds them and when, and has exactly the entries about
    /// each name.
    #[test]
    fn an_index_is_the_same_however_it_grows(all in some_index(), cuts in proptest::collection::vec(0..700_usize, 0..12)) {
        let mut at_once = Files::new();
        let root = grown(&mut at_once, None, &all);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(all.len())).collect();
        cuts.sort();
        cuts.push(all.len());
        let (mut files, mut base, mut from) = (Files::new(), None, 0);
        for cut in cuts {
            base = Some(grown(&mut files, base, &all[from..cut]));
            from = cut;
        }
        prop_assert_eq!(base, Some(root));
        for (file, bytes) in &at_once {
            prop_assert_eq!(files.get(file), Some(bytes));
        }
        for number in 0..251 {
            let subject = Subject::Name(name(number));
            let expected: Vec<Place> =
                all.iter().filter(|(of, _)| *of == subject).map(|(_, place)| *place).collect();
            prop_assert_eq!(found(&at_once, root, &name(number)), expected);
        }
        let top = Top::parse(&at_once[&root.file()], &root.hash).unwrap();
        let expected: Vec<Place> =
            all.iter().filter(|(of, _)| *of == Subject::Log).map(|(_, place)| *place).collect();
        prop_assert_eq!(places(&at_once, &top.log), expected);
    }

    /// Whatever bytes a note's key signed for: they are refused, or have one spelling.
    #[test]
    fn files_have_one_spelling(all in some_index(), at in any::<prop::sample::Index>(), to in any::<u8>(), cut: bool) {
        let mut files = Files::new();
        grown(&mut files, None, &all);
        for (file, bytes) in &files {
            let mut bytes = bytes.clone();
            match cut {
                true => bytes.truncate(at.index(bytes.len())),
                false => { let at = at.index(bytes.len()); bytes[at] = to }
            }
            let (hash, mut again) = (Digest::of(&bytes), Vec::new());
            match file {
                File::Top { .. } => match Top::parse(&bytes, &hash) {
                    Ok(top) => again = top.to_bytes(),
                    Err(_) => continue,
                },
                File::Node { prefix, .. } => match Node::parse(&bytes, prefix, &hash) {
                    Ok(node) => node.write(&mut again),
                    Err(_) => continue,
                },
                File::Block { .. } => continue,
            }
            prop_assert_eq!(again, bytes);
        }
    }
}

#[test]
fn damaged_and_malformed_files_are_refused() {
    let mut files = Files::new();
    let all: Vec<_> = (0..200)
        .map(|index| (Subject::Name(name(index % 100)), Place { index, offset: 2, length: 9 }))
        .collect();
    let root = grown(&mut files, None, &all);
    let top = files[&root.file()].clone();
    for at in 0..top.len() {
        let mut bad = top.clone();
        bad[at] ^= 1;
        assert_eq!(Top::parse(&bad, &root.hash).unwrap_err(), "does not have the hash that is signed");
    }
    let long = vec![0; MAX_FILE as usize + 1];
    assert!(Node::parse(&long, &[], &Digest::of(&long)).unwrap_err().contains("too long"));
    // Each with the hash that would be signed.
    let parse = |bytes: &[u8], prefix: &[u8]| Node::parse(bytes, prefix, &Digest::of(bytes));
    let row = |number: u64, index| {
        let mut row = Row::new(Subject::Name(name(number)));
        row.push(Place { index, offset: 2, length: 9 }, |_, _, _| ());
        row
    };
    let bytes = |node: &Node| {
        let mut bytes = Vec::new();
        node.write(&mut bytes);
        bytes
    };
    assert!(parse(&bytes(&Node::Leaf(vec![row(1, 0), row(2, 1)])), &[]).is_ok());
    for bad in [
        Node::Leaf(vec![row(2, 0), row(1, 1)]),
        Node::Leaf(vec![row(1, 0), row(1, 1)]),
        Node::Leaf((100..101 + LEAF as u64).map(|number| row(number, number)).collect()),
        Node::Leaf(vec![Row::new(Subject::Log)]),
    ] {
        assert!(parse(&bytes(&bad), &[]).is_err(), "{bad:?}");
    }
    let elsewhere = [path_of(&name(1))[0] ^ 1];
    assert!(parse(&bytes(&Node::Leaf(vec![row(1, 0)])), &elsewhere).is_err());
    assert!(parse(&bytes(&Node::Leaf(vec![row(1, 0)])), &path_of(&name(1))[..1]).is_ok());
    // An empty leaf is only that of all names.
    assert!(parse(&[0, 0], &[]).is_ok() && parse(&[0, 0], &[7]).is_err());
    let far = [&[1, 0, 16][..], &[0; 40]].concat();
    for bad in [&[][..], &[0], &[1], &[1, 0], &[2, 0], &[9, 0], &[0, 0, 0], &[0, 1], &far] {
        assert!(parse(bad, &[]).is_err(), "{bad:?}");
    }
    // A count that needs more than any file has.
    let huge = [&[0, 1, 6][..], b"name-1", &u64::MAX.to_be_bytes(), &[0; 64]].concat();
    assert!(parse(&huge, &[]).is_err());
    // A file that another file leads to is checked before anything is added to it.
    let damaged = grow(
        Some(root),
        [(Subject::Name(name(1)), Place { index: 200, offset: 2, length: 9 })],
        &mut |file| Ok([files[file].as_slice(), b"x"].concat()),
        &mut |_, _| panic!("nothing is written"),
    );
    assert!(damaged.unwrap_err().to_string().contains("does not have the hash that is signed"));
    let late: Result<Root> = grow(
        Some(root),
        [(Subject::Name(name(1)), Place { index: 199, offset: 2, length: 9 })],
        &mut |file| Ok(files[file].clone()),
        &mut |_, _| Ok(()),
    );
    assert!(late.unwrap_err().to_string().contains("comes late"));
}

#[test]
fn a_note_is_of_one_log_one_tree_and_one_key() {
    let signer = LogSigner::new("log.example/vectors", PrivateKey::of_vectors("bob")).unwrap();
    let note = SignedNames::parse("the note", NOTE.to_vec()).unwrap();
    let log_root = note.claimed_log_root();
    let other = *PrivateKey::of_vectors("alice").public_key();
    let other = LogKey::new("log.example/vectors", other).unwrap();
    let renamed = LogKey::new("log.example/other", *signer.log_key().key()).unwrap();
    for (key, root, why) in [
        (&other, log_root, "has no valid signature by the log's key"),
        (&renamed, log_root, "is of log log.example/vectors, expected log.example/other"),
        (signer.log_key(), leaf_hash(b""), "is of another tree"),
    ] {
        let error = note.verify(key, root).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    let text = String::from_utf8(NOTE.to_vec()).unwrap();
    for (bad, why) in [
        (text.replace("isn/v1 names", "isn/v2 names"), "a newer isn may read it"),
        (text.replace("isn/v1 names", "isn/v1 claim"), "is not the note"),
        (text.replace("b3:", ""), "is not the note"),
        (text.replacen("\n600\n", "\n0600\n", 1), "is not the note"),
        (text.replacen("\n600\n", "\n6\n", 1), "is not the note"),
        (text.replace("\n\n", "\nmore\n\n"), "is not the note"),
        (text[..text.len() - 1].to_string(), "is not the note"),
        (" ".repeat(2000), "is too long"),
    ] {
        let error = SignedNames::parse("the note", bad.into_bytes()).err().unwrap().to_string();
        assert!(error.contains(why), "{error}");
    }
    // A size that nobody signed.
    let grown = text.replacen("\n600\n", "\n601\n", 1).into_bytes();
    let grown = SignedNames::parse("the note", grown).unwrap();
    assert!(grown.verify(signer.log_key(), log_root).is_err());
}

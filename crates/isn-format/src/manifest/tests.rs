use super::*;
use crate::object::{Extension, ObjectKind};

/// docs/format.md, isn-part/1.
const PART: &[u8] = include_bytes!("../../../../tests/vectors/part.json");
/// docs/format.md, isn-part/2.
const PART_OF_TWO: &[u8] = include_bytes!("../../../../tests/vectors/part_2.json");
/// docs/format.md, isn-manifest/2.
const SECOND: &[u8] = include_bytes!("../../../../tests/vectors/manifest_2.json");

#[test]
fn a_part_has_no_version_and_says_what_it_is_a_part_of() {
    for (bytes, format) in [(PART, "isn-part/1"), (PART_OF_TWO, "isn-part/2")] {
        let part = Manifest::parse("part", bytes).unwrap();
        assert!(part.is_part && part.version == Version { major: 1, minor: 0 });
        assert_eq!(part.to_bytes().unwrap(), bytes);
        assert_eq!(part.objects.pairs.is_some(), bytes == PART_OF_TWO);
        let text = String::from_utf8_lossy(bytes);
        for (from, to, why) in [
            ("\"part_of\"", "\"version\"", "is of a part, and has a version"),
            ("\"part_of\": \"1.0\",", "", "missing field `part_of`"),
            ("isn-part/", "isn-manifest/", "is of no part, and has part_of"),
            (format, "isn-part/3", "a newer isn may read it"),
        ] {
            let error = Manifest::parse("part", text.replace(from, to).as_bytes()).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}

#[test]
fn version_2_reads_back_with_what_this_isn_does_not_know() {
    let manifest = Manifest::parse("manifest", SECOND).unwrap();
    assert_eq!(String::from_utf8(manifest.to_bytes().unwrap()).unwrap(), String::from_utf8_lossy(SECOND));
    assert!(manifest.objects.pairs.is_some() && !manifest.is_part);
    let Some(Previous { release: Some((version, _)), .. }) = &manifest.previous else { panic!() };
    assert_eq!(version.to_string(), "1.0");
    assert_eq!(manifest.tally.splits(), [Split::Train, Split::Val]);
    let [other] = &manifest.objects.others[..] else { panic!() };
    assert_eq!((other.name.as_str(), other.format.as_str()), ("embeddings", "example/7"));
    let all = manifest.objects.all();
    assert_eq!(all.len(), 8);
    assert!(all.contains(&(ObjectKind::Other(Extension::Bin), other.object)));
    // Version 1 cannot say it.
    let counts = [(Split::Train, [("ant".parse().unwrap(), 2)].into())].into();
    assert!(Manifest { tally: Tally::Classes(counts), ..manifest.clone() }.to_bytes().is_err());
    // What follows assignments alone names no version.
    let text = String::from_utf8_lossy(SECOND);
    let (before, rest) = text.split_once("\"previous\": {").unwrap();
    let alone = format!("{before}\"previous\": {{{}", &rest[rest.find("\"assignments\"").unwrap()..]);
    let alone = Manifest::parse("manifest", alone.as_bytes()).unwrap();
    assert_eq!(alone.previous.as_ref().unwrap().release, None);
    assert_eq!(Manifest::parse("manifest", &alone.to_bytes().unwrap()).unwrap(), alone);
}

#[test]
fn an_index_in_blocks_needs_all_its_objects() {
    let mut manifest = Manifest::parse("manifest", SECOND).unwrap();
    let object = |name: &str| ObjectRef::of(name.as_bytes());
    let (rows, sources, tree) = (object("rows"), object("sources"), object("tree"));
    manifest.objects.blocks = Some(Blocks { rows, sources, tree });
    let bytes = manifest.to_bytes().unwrap();
    assert_eq!(Manifest::parse("manifest", &bytes).unwrap(), manifest);
    let text = String::from_utf8(bytes).unwrap();
    for (from, to, why) in [
        ("\"rows\": {", "\"row\": {", "needs object row of format 'isn-rows/1'"),
        ("\"sources\": {", "\"source-ids\": {", "has no object sources"),
        ("isn-sources/1", "isn-sources/2", "has no object sources"),
        ("isn-sums-tree/1", "isn-sums-tree/2", "needs object tree of format 'isn-sums-tree/2'"),
        ("isn-index/2", "isn-index/1", "has object rows, and an index that is not in blocks"),
        (
            "isn-sums-tree/1\",\n      \"extension\": \"bin\"",
            "isn-sums-tree/1\",\n      \"extension\": \"csv\"",
            "gives object tree extension csv, not bin",
        ),
    ] {
        assert!(text.contains(from), "{from}");
        let error = Manifest::parse("m", text.replacen(from, to, 1).as_bytes()).unwrap_err().to_string();
        assert!(error.contains(why), "{why}: {error}");
    }
    // Version 1 cannot say it.
    manifest.tally = Tally::Classes(Counts::new());
    assert!(manifest.to_bytes().is_err());
}

#[test]
fn version_2_is_refused_unless_it_is_whole() {
    let text = String::from_utf8_lossy(SECOND);
    let refused = |changed: &str, why: &str| {
        let error = Manifest::parse("m", changed.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(why), "{why}: {error}");
        error
    };
    let newer = "a newer isn may read it";
    for (from, to, why) in [
        // Each field must be there, and no other.
        ("\"title\"", "\"titles\"", "unknown field `titles`"),
        ("  \"classes\": 2,\n", "", "missing field `classes`"),
        ("  \"version\": \"1.1\",\n", "", "missing field `version`"),
        ("\"required\": true", "\"needed\": true", "unknown field `needed`"),
        (",\n      \"required\": true", "", "missing field `required`"),
        ("\"version\": \"1.0\",", "", "names an earlier version without its dataset"),
        // Counts.
        ("\"val\": 1", "\"val\": 2", "counts 4 images by split, but 3 in all"),
        ("\"val\": 1", "\"val\": 0", "has a split without an image"),
        ("\"val\": 1", "\"train\": 1", "train occurs twice"),
        ("\"images\": 3", "\"images\": -3", "invalid value"),
        // Objects.
        ("\"index\": {", "\"rows\": {", newer),
        ("\"recipe\": {", "\"recipes\": {", "has no object recipe"),
        ("\"assignments\": {", "\"splits\": {", "has no object assignments"),
        ("\"pairs\": {", "\"groups\": {", "groups occurs twice"),
        ("isn-index/1", "isn-index/3", newer),
        ("isn-index/1", "isn-index/2", "has no object rows"),
        ("isn-classes/1", "isn-classes/2", newer),
        ("isn-manifest/2", "isn-manifest/3", newer),
        ("\"extension\": \"toml\"", "\"extension\": \"csv\"", "gives object recipe extension csv, not toml"),
        ("\"extension\": \"toml\"", "\"extension\": \"exe\"", "unknown variant `exe`"),
        ("\"embeddings\"", "\"Embeddings\"", "has an object 'Embeddings', which is no name of one"),
        ("\"embeddings\"", "\"-a\"", "has an object '-a', which is no name of one"),
        ("\"example/7\"", "\"\"", "a format that is not one line of 1 to 64 bytes"),
        ("\"example/7\"", "\"a\\nb\"", "a format that is not one line of 1 to 64 bytes"),
        ("\"length\": 4096", "\"length\": 9223372036854775807", "has more bytes than any disk has"),
    ] {
        assert!(text.contains(from), "{from}");
        let error = refused(&text.replacen(from, to, 1), why);
        assert_eq!(matches!(error, Error::Invalid { .. }), why == newer, "{error:?}");
    }
    // A reader must know what is required, whatever its name, and knows what is.
    let (before, other) = text.split_once("\"embeddings\"").unwrap();
    let required = other.replacen("\"required\": false", "\"required\": true", 1);
    let error = refused(&format!("{before}\"embeddings\"{required}"), newer).to_string();
    assert!(error.contains("needs object embeddings of format 'example/7'"), "{error}");
    let (before, pairs) = text.split_once("\"pairs\"").unwrap();
    let required = pairs.replacen("\"required\": false", "\"required\": true", 1);
    refused(&format!("{before}\"pairs\"{required}"), "says that object pairs is required: true");
    // A later format of what need not be read is passed over.
    let later = text.replacen("isn-pairs/1", "isn-pairs/2", 1);
    let later = Manifest::parse("m", later.as_bytes()).unwrap();
    assert!(later.objects.pairs.is_none() && later.objects.others.len() == 2);
    let objects = |count: usize| {
        let of = |n| {
            let (hash, n) = ("0".repeat(64), n + 7);
            format!(
                "\"o{n}\": {{\"blake3\": \"{hash}\", \"length\": 1, \"format\": \"f\", \"extension\": \"bin\", \
                     \"required\": false}},"
            )
        };
        let more: String = (0..count - 8).map(of).collect();
        text.replacen("\"objects\": {", &format!("\"objects\": {{{more}"), 1)
    };
    assert_eq!(Manifest::parse("m", objects(64).as_bytes()).unwrap().objects.all().len(), 64);
    refused(&objects(65), "names more than 64 objects");
}

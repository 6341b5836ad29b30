use std::io::Write as _;

use proptest::prelude::*;

use super::walk::{Fault, Member, walk};

/// Makes an archive of these files as the crate `tar` writes it (GNU headers for long names), with its end
/// mark.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = ::tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = ::tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn members(bytes: &[u8]) -> Result<Vec<Member>, Fault> {
    walk(bytes, 0..bytes.len() as u64)
}

fn why(bytes: &[u8]) -> String {
    members(bytes).unwrap_err().to_string()
}

/// Makes one header block with a correct sum, and what follows it.
fn raw(edit: impl FnOnce(&mut [u8; 512]), body: &[u8]) -> Vec<u8> {
    let mut header = [0; 512];
    header[..6].copy_from_slice(b"a.JPEG");
    header[124..135].copy_from_slice(format!("{:011o}", body.len()).as_bytes());
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    edit(&mut header);
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    write!(&mut header[148..156], "{sum:06o}\0 ").unwrap();
    let mut bytes = header.to_vec();
    bytes.extend(body);
    bytes.resize(bytes.len().next_multiple_of(512) + 1024, 0);
    bytes
}

#[test]
fn members_are_found_with_their_places() {
    let long = format!("{}/x.JPEG", "folder".repeat(40));
    let bytes = archive(&[("a.JPEG", b"aaa"), ("./b/c.JPEG", b""), (&long, &[7; 513])]);
    let found = members(&bytes).unwrap();
    let names: Vec<&str> = found.iter().map(|member| member.name.as_str()).collect();
    assert_eq!(names, ["a.JPEG", "b/c.JPEG", &long]);
    let bytes_of = |member: &Member| bytes[member.offset as usize..][..member.length as usize].to_vec();
    assert_eq!(found.iter().map(bytes_of).collect::<Vec<_>>(), [b"aaa".to_vec(), Vec::new(), vec![7; 513]]);
    // The result is the same anywhere in a larger file, even at an unaligned position.
    let mut larger = vec![1; 100];
    larger.extend(&bytes);
    larger.extend([2; 100]);
    let shifted = walk(&larger[..], 100..100 + bytes.len() as u64).unwrap();
    assert!(shifted.iter().zip(&found).all(|(a, b)| a.offset == b.offset + 100 && a.name == b.name));
}

#[test]
fn a_cut_is_an_error_at_every_byte() {
    let bytes = archive(&[("a.JPEG", &[1; 700]), (&"long".repeat(50), b"x"), ("b.JPEG", &[2; 512])]);
    let end_mark = bytes.len() - 1024;
    for cut in 0..bytes.len() {
        let found = members(&bytes[..cut]);
        assert_eq!(found.is_ok(), cut >= end_mark + 512, "cut at {cut}: {found:?}");
        if let Err(fault) = found {
            assert!(fault.why.contains("cut short"), "cut at {cut}: {fault}");
        }
    }
}

#[test]
fn what_is_not_plain_is_refused_with_its_place_and_name() {
    for (kind, expected) in [
        (b'1', "member 'a.JPEG' is a link"),
        (b'2', "member 'a.JPEG' is a link"),
        (b'3', "member 'a.JPEG' is a device or a pipe"),
        (b'S', "member 'a.JPEG' is a sparse file"),
        (b'?', "member 'a.JPEG' is of the unknown kind '?'"),
    ] {
        let found = why(&raw(|header| header[156] = kind, b""));
        assert!(found.starts_with("byte 0: ") && found.contains(expected), "{found}");
    }
    for name in ["../a.JPEG", "/etc/a.JPEG", "a/../b.JPEG", "a//b.JPEG", "a\\b.JPEG", "a\x1b[2J.JPEG", "."] {
        let edit = |header: &mut [u8; 512]| {
            header[..100].fill(0);
            header[..name.len()].copy_from_slice(name.as_bytes());
        };
        let found = why(&raw(edit, b""));
        assert!(found.contains("not a plain name") && !found.contains('\x1b'), "{name}: {found}");
    }
    assert!(why(&raw(|header| header[0] = 0xff, b"")).contains("not UTF-8"));
    assert!(why(b"this is text, not a tar").contains("cut short"));
    assert!(why(&[b'x'; 4096]).contains("not a tar header"));
    let mut flipped = raw(|_| (), b"abc");
    flipped[3] ^= 1;
    assert!(why(&flipped).contains("its sum is wrong"));
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    let set = |field: [u8; 12]| move |header: &mut [u8; 512]| header[124..136].copy_from_slice(&field);
    for (field, expected) in [
        (*b"77777777777\0", "8589934591 bytes"),
        // Lengths in binary: 2^63, 2^64 - 1, below 0, beyond 64 bits.
        ([0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0], "9223372036854775808 bytes"),
        ([0x80, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255], "18446744073709551615 bytes"),
        ([255; 12], "is negative"),
        ([0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], "negative or too large"),
        ([0; 12], "no length"),
        (*b"-1234567890\0", "no length"),
        (*b"+1234567890\0", "no length"),
        (*b"1234567\x008\x00\x00\x00", "342391 bytes"),
    ] {
        let found = why(&raw(set(field), b""));
        assert!(found.contains(expected), "{field:?}: {found}");
    }
    // GNU tar may write small sizes in binary too.
    let binary = [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3];
    assert_eq!(members(&raw(set(binary), b"abc")).unwrap()[0].length, 3);
}

#[test]
fn pax_headers_give_names_and_sizes_to_the_member_that_follows() {
    let pax = |records: &str, kind: u8| {
        let mut bytes = raw(|header| header[156] = kind, records.as_bytes());
        bytes.truncate(bytes.len() - 1024);
        bytes
    };
    let member = raw(|header| header[124..135].copy_from_slice(b"00000000000"), b"abc");
    let all = [pax("11 size=3\n\n", b'x'), member.clone()].concat();
    assert!(why(&all).contains("pax header is damaged"));
    let all = [pax("20 path=n/long.JPEG\n10 size=3\n16 mtime=12.345\n", b'x'), member.clone()].concat();
    let found = members(&all).unwrap();
    assert_eq!((found[0].name.as_str(), found[0].length, found.len()), ("n/long.JPEG", 3, 1));
    assert_eq!(&all[found[0].offset as usize..][..3], b"abc");
    // A global header does not apply to a single member.
    let all = [pax("20 path=n/long.JPEG\n", b'g'), raw(|_| (), b"abc")].concat();
    assert_eq!(members(&all).unwrap()[0].name, "a.JPEG");
    for bad in
        ["9 size=-1\n", "x path=a\n", "99 path=a\n", "5 pat\n", "18446744073709551616 a=b\n", "0 a\n", "1 \n"]
    {
        assert!(why(&[pax(bad, b'x'), member.clone()].concat()).contains("damaged"), "{bad}");
    }
    assert!(why(&[pax("25 GNU.sparse.major=1\n000", b'x'), member].concat()).contains("damaged"));
    assert!(why(&pax("22 GNU.sparse.major=1\n", b'x')).contains("sparse"));
    let huge = raw(|header| header[156] = b'L', &[b'n'; 5000]);
    assert!(why(&huge).contains("too long"));
}

#[test]
fn the_old_formats_have_their_prefix_or_none() {
    let with = |magic: &'static [u8; 8]| {
        raw(
            move |header| {
                header[257..265].copy_from_slice(magic);
                header[345..351].copy_from_slice(b"folder");
            },
            b"",
        )
    };
    assert_eq!(members(&with(b"ustar\x0000")).unwrap()[0].name, "folder/a.JPEG");
    assert_eq!(members(&with(b"ustar  \0")).unwrap()[0].name, "a.JPEG");
    assert_eq!(members(&with(b"\0\0\0\0\0\0\0\0")).unwrap()[0].name, "a.JPEG");
}

proptest! {
    #[test]
    fn what_was_written_is_found(
        files in proptest::collection::vec(("[a-zA-Z0-9_]{1,40}(/[a-z0-9_.]{1,60}z){0,3}", 0usize..2000), 0..8),
    ) {
        let bodies: Vec<Vec<u8>> = files.iter().map(|(name, length)| vec![name.len() as u8; *length]).collect();
        let named: Vec<(&str, &[u8])> =
            files.iter().zip(&bodies).map(|((name, _), body)| (name.as_str(), &body[..])).collect();
        let bytes = archive(&named);
        let found = members(&bytes).unwrap();
        let again: Vec<(&str, &[u8])> = found
            .iter()
            .map(|m| (m.name.as_str(), &bytes[m.offset as usize..][..m.length as usize]))
            .collect();
        prop_assert_eq!(again, named);
    }

    #[test]
    fn damage_is_an_error_or_changes_no_bounds(at in 0usize..4096, flip in 1u8..=255, cut in 0usize..4096) {
        let mut bytes = archive(&[("a.JPEG", &[1; 700]), (&"long".repeat(50), b"x"), ("b.JPEG", &[2; 512])]);
        let at = at % bytes.len();
        bytes[at] ^= flip;
        bytes.truncate(bytes.len() - cut % bytes.len());
        for member in members(&bytes).unwrap_or_default() {
            prop_assert!(member.offset + member.length <= bytes.len() as u64);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..3000), start in 0u64..600) {
        let _ = walk(&bytes[..], start..bytes.len() as u64);
    }
}

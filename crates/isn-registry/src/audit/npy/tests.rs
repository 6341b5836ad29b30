use proptest::prelude::*;

use super::*;

fn file(version: u8, header: &str, elements: &[u8]) -> Vec<u8> {
    let mut bytes = [MAGIC, &[version, 0]].concat();
    let header = format!("{header}\n");
    match version {
        1 => bytes.extend((header.len() as u16).to_le_bytes()),
        _ => bytes.extend((header.len() as u32).to_le_bytes()),
    }
    bytes.extend(header.as_bytes());
    bytes.extend(elements);
    bytes
}

fn parsed(bytes: &[u8]) -> Result<Array> {
    read("a.npy", bytes, bytes.len() as u64)
}

fn header(descr: &str, fortran: &str, shape: &str) -> String {
    format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}")
}

#[test]
fn both_byte_orders_both_element_orders_and_all_versions() {
    let wanted = Elements::Floats(Values::Double(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    let rows = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0f64];
    let columns = [1.0, 4.0, 2.0, 5.0, 3.0, 6.0f64];
    for version in [1, 2, 3] {
        for (fortran, numbers) in [("False", rows), ("True", columns)] {
            let little: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
            let big: Vec<u8> = numbers.iter().flat_map(|n| n.to_be_bytes()).collect();
            for (descr, bytes) in [("<f8", little), (">f8", big)] {
                let array = parsed(&file(version, &header(descr, fortran, "(2, 3)"), &bytes)).unwrap();
                assert_eq!((array.shape, array.elements), (vec![2, 3], wanted.clone()));
            }
        }
    }
}

#[test]
fn integers_of_all_widths_keep_their_sign() {
    for (descr, bytes) in [
        ("|i1", &[0xff, 2][..]),
        ("<i2", &[0xff, 0xff, 2, 0]),
        (">i4", &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 2]),
        ("<i8", &[255, 255, 255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 0, 0, 0]),
    ] {
        let array = parsed(&file(1, &header(descr, "False", "(2,)"), bytes)).unwrap();
        assert_eq!(array.into_integers("a").unwrap(), [-1, 2], "{descr}");
    }
    let array = parsed(&file(1, &header("|u1", "False", "(2L,)"), &[255, 2])).unwrap();
    assert_eq!(array.into_integers("a").unwrap(), [255, 2]);
    let error = parsed(&file(1, &header("<u8", "False", "(1,)"), &[255; 8])).unwrap_err().to_string();
    assert!(error.contains("row 0 is 18446744073709551615"), "{error}");
}

#[test]
fn what_cannot_be_read_is_said() {
    let plain = header("<f4", "False", "(1, 2)");
    for (bytes, message) in [
        (Vec::new(), "too short"),
        (b"PK\x03\x04....".to_vec(), "does not begin"),
        (file(4, &plain, &[0; 8]), "version 4"),
        (file(1, &plain, &[0; 7]), "has 7 bytes of elements, but shape (1, 2) needs 8 bytes"),
        (file(1, &plain, &[0; 9]), "has 9 bytes"),
        (file(1, &header("<f2", "False", "(1, 2)"), &[0; 4]), "dtype '<f2'"),
        (file(1, &header("|O", "False", "(1, 2)"), &[0; 4]), "dtype '|O'"),
        (file(1, &header("=f8", "False", "(1,)"), &[0; 8]), "byte order"),
        (file(1, &header("é", "False", "(1,)"), &[0; 8]), "dtype"),
        (file(1, &header("", "False", "(1,)"), &[0; 8]), "dtype"),
        (file(1, &header("<f8", "False", "(1, 1, 1)"), &[0; 8]), "one or two dimensions"),
        (file(1, &header("<f8", "False", "()"), &[0; 8]), "one or two dimensions"),
        (file(1, &header("<f8", "False", "(9999999999, 9999999999)"), &[0; 8]), "needs more bytes"),
        (file(1, &header("<f8", "maybe", "(1,)"), &[0; 8]), "fortran_order"),
        (file(1, "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,)}", &[0; 8]), "structured"),
        (file(1, "{'descr': '<f8'}", &[0; 8]), "without"),
        (file(1, "__import__('os')", &[0; 8]), "'{'"),
        (file(2, &" ".repeat(MAX_HEADER), &[]), "no array needs that"),
    ] {
        let error = parsed(&bytes).unwrap_err().to_string();
        assert!(error.contains(message), "{message}: {error}");
    }
}

#[test]
fn other_shapes_and_elements_are_no_matrix_and_no_labels() {
    let row = parsed(&file(1, &header("<f4", "False", "(2,)"), &[0; 8])).unwrap();
    assert!(row.clone().into_matrix("a").unwrap_err().to_string().contains("shape (2,)"));
    assert!(row.into_integers("a").unwrap_err().to_string().contains("holds floats"));
    let square = parsed(&file(1, &header("|i1", "False", "(1, 2)"), &[0; 2])).unwrap();
    assert!(square.clone().into_integers("a").unwrap_err().to_string().contains("shape (1, 2)"));
    assert!(square.into_matrix("a").unwrap_err().to_string().contains("holds integers"));
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        rows in 0usize..7, columns in 0usize..7, fortran: bool, big: bool, seed in prop::collection::vec(any::<f32>(), 49)
    ) {
        let at = |row: usize, column: usize| seed[row * 7 + column];
        let order: Vec<f32> = if fortran {
            (0..columns).flat_map(|c| (0..rows).map(move |r| (r, c))).map(|(r, c)| at(r, c)).collect()
        } else {
            (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c))).map(|(r, c)| at(r, c)).collect()
        };
        let bytes: Vec<u8> =
            order.iter().flat_map(|x| if big { x.to_be_bytes() } else { x.to_le_bytes() }).collect();
        let fortran = if fortran { "True" } else { "False" };
        let header = header(if big { ">f4" } else { "<f4" }, fortran, &format!("({rows}, {columns})"));
        let matrix = parsed(&file(1, &header, &bytes)).unwrap().into_matrix("a").unwrap();
        prop_assert_eq!((matrix.rows(), matrix.columns()), (rows, columns));
        for row in 0..rows {
            for column in 0..columns {
                prop_assert_eq!((matrix.at(row, column) as f32).to_bits(), at(row, column).to_bits());
            }
        }
    }

    #[test]
    fn bytes_that_were_changed_or_cut_never_panic(
        cut in 0usize..90, flips in prop::collection::vec((0usize..90, any::<u8>()), 0..6)
    ) {
        let mut bytes = file(1, &header("<f4", "False", "(1, 2)"), &[0; 8]);
        for (at, byte) in flips {
            if let Some(there) = bytes.get_mut(at) {
                *there = byte;
            }
        }
        bytes.truncate(bytes.len().saturating_sub(cut % 20));
        if let Ok(array) = parsed(&bytes) {
            let elements = match &array.elements {
                Elements::Floats(Values::Single(values)) => values.len(),
                Elements::Floats(Values::Double(values)) => values.len(),
                Elements::Integers(values) => values.len(),
                Elements::Booleans(values) => values.len(),
            };
            prop_assert_eq!(elements, array.shape.iter().product::<usize>());
        }
    }
}

#[test]
fn texts_truth_values_and_three_dimensions() {
    let truths = parsed(&file(1, &header("|b1", "False", "(3,)"), &[1, 0, 1])).unwrap();
    assert_eq!(truths.elements, Elements::Booleans(vec![true, false, true]));
    let error = parsed(&file(1, &header("|b1", "False", "(2,)"), &[1, 2])).unwrap_err().to_string();
    assert!(error.contains("row 1 is 2"), "{error}");
    let error = truths.into_integers("a").unwrap_err().to_string();
    assert!(error.contains("holds truth values: expected integers"), "{error}");

    let open = |bytes: &[u8]| {
        let bytes = bytes.to_vec();
        let length = bytes.len() as u64;
        Elementwise::open("a.npy", std::io::Cursor::new(bytes), length)
    };
    for (descr, bytes) in [
        ("<U2", [b'a', 0, 0, 0, 0xe9, 0, 0, 0, b'b', 0, 0, 0, 0, 0, 0, 0]),
        (">U2", [0, 0, 0, b'a', 0, 0, 0, 0xe9, 0, 0, 0, b'b', 0, 0, 0, 0]),
    ] {
        let mut found = Vec::new();
        let array = open(&file(1, &header(descr, "False", "(2,)"), &bytes)).unwrap();
        let keep = |at, text: &str| {
            found.push((at, text.to_owned()));
            Ok(())
        };
        array.texts(keep).unwrap();
        assert_eq!(found, [(0, "aé".to_owned()), (1, "b".to_owned())]);
        let error = parsed(&file(1, &header(descr, "False", "(2,)"), &bytes)).unwrap_err().to_string();
        assert!(error.contains("holds text"), "{error}");
    }
    for (descr, bytes, wanted) in [
        ("|i1", vec![0xff, 2], [-1.0, 2.0]),
        (">u2", vec![0, 3, 0, 4], [3.0, 4.0]),
        ("|b1", vec![0, 1], [0.0, 1.0]),
        ("<f4", [0.5f32.to_le_bytes(), 2f32.to_le_bytes()].concat(), [0.5, 2.0]),
    ] {
        let array = open(&file(1, &header(descr, "False", "(1, 2, 1)"), &bytes)).unwrap();
        assert_eq!(array.shape(), [1, 2, 1]);
        let mut found = Vec::new();
        let keep = |_, number| {
            found.push(number);
            Ok(())
        };
        array.numbers(keep).unwrap();
        assert_eq!(found, wanted, "{descr}");
    }
    let fortran = open(&file(1, &header("|i1", "True", "(1, 2)"), &[1, 2])).err().unwrap().to_string();
    assert!(fortran.contains("np.ascontiguousarray"), "{fortran}");
}

#[test]
fn headers_end_where_elements_may_begin() {
    for shape in [&[][..], &[3], &[1300, 160, 160, 3]] {
        let header = super::header("|u1", shape);
        assert_eq!((header.len() % 64, header.last()), (0, Some(&b'\n')));
    }
    let text = String::from_utf8(super::header("<i8", &[3])[10..].to_vec()).unwrap();
    assert_eq!(text.trim_end(), "{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }");
}

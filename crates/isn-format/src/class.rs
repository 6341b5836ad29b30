//! [`Class`]: what an image can be labelled as, and `classes.csv`, the list of a dataset's classes.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result, about};
use crate::rel_path::check_segment;

/// The maximum length of a `classes.csv` that is read, in bytes.
pub const MAX_CLASSES: u64 = 64 << 20;
/// The maximum length of a class id, in bytes.
pub const MAX_CLASS_ID_LEN: usize = 64;

/// The permanent id of a class, and the name of its folder: the WordNet id in ImageNet (`n01614925`), in
/// general a valid segment of a [`crate::rel_path::RelPath`] of at most [`MAX_CLASS_ID_LEN`] bytes. Cheap to
/// clone; ordered by its bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassId(Arc<str>);

/// Why a text is not a [`ClassId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("class id '{id}' {why}")]
pub struct ClassIdError {
    id: String,
    why: &'static str,
}

/// A class of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Its id.
    pub id: ClassId,
    /// Its name for people: "bald eagle". Not necessarily unique.
    pub label: String,
    /// The coarser class to which it belongs.
    pub group: Option<String>,
}

impl ClassId {
    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the id in ASCII lower case: on a file system that ignores case, two ids for which this is
    /// equal are one folder.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl Borrow<str> for ClassId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Numbers for classes, so that a list of images has a number of each instead of its class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassNumbers {
    ids: Vec<ClassId>,
    numbers: HashMap<ClassId, u32>,
}

impl ClassNumbers {
    /// Returns the number of a class, which gets the next one if it has none.
    pub fn number(&mut self, class: &ClassId) -> u32 {
        // Images of a class are often adjacent.
        if let Some(last) = self.ids.len().checked_sub(1).filter(|last| self.ids[*last] == *class) {
            return last as u32;
        }
        if let Some(number) = self.numbers.get(class) {
            return *number;
        }
        let number = self.ids.len() as u32;
        self.ids.push(class.clone());
        self.numbers.insert(class.clone(), number);
        number
    }

    /// As [`ClassNumbers::number`], of a text.
    ///
    /// # Errors
    /// [`ClassIdError`] if it is no id of a class.
    pub fn number_of(&mut self, text: &str) -> Result<u32, ClassIdError> {
        match self.numbers.get(text) {
            Some(number) => Ok(*number),
            None => Ok(self.number(&text.parse()?)),
        }
    }

    /// Returns the class of a number, which must be one of these.
    pub fn get(&self, number: u32) -> &ClassId {
        &self.ids[number as usize]
    }
}

impl FromStr for ClassId {
    type Err = ClassIdError;

    fn from_str(text: &str) -> Result<Self, ClassIdError> {
        let refuse = |why| ClassIdError { id: text.into(), why };
        if text.len() > MAX_CLASS_ID_LEN {
            return Err(refuse("is longer than 64 bytes"));
        }
        check_segment(text).map_err(refuse)?;
        Ok(ClassId(text.into()))
    }
}

/// Checks a label, a group or another one-line text for people.
///
/// # Errors
/// What is wrong with the text, as a predicate: "is empty".
pub fn check_label(text: &str) -> Result<(), &'static str> {
    if text.trim().is_empty() {
        return Err("is empty");
    }
    if text.trim() != text {
        return Err("starts or ends with white space");
    }
    if text.chars().any(char::is_control) {
        return Err("has a line break or another control character");
    }
    Ok(())
}

const HEADER: [&str; 4] = ["index", "id", "label", "group"];

/// Returns the bytes of `classes.csv`: header `index,id,label,group`, one row per class, RFC 4180 with
/// minimal quoting, LF, final newline. `index` is the rank of the id by bytes, from 0: torchvision's
/// `class_to_idx`. `classes` must be in that order.
pub fn classes_csv(classes: &[Class]) -> Vec<u8> {
    let mut out = HEADER.join(",") + "\n";
    for (index, class) in classes.iter().enumerate() {
        let group = class.group.as_deref().unwrap_or("");
        out += &format!("{index},{},{},{}\n", class.id, csv_field(&class.label), csv_field(group));
    }
    out.into_bytes()
}

/// Returns `text` as a field of a CSV row, quoted only where RFC 4180 requires it.
pub fn csv_field(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\"")).into()
    } else {
        text.into()
    }
}

/// Reads the bytes that [`classes_csv`] writes. A list of classes has one spelling; any other is refused.
///
/// # Errors
/// [`Error::Integrity`], naming `what`, at the first fault.
pub fn parse_classes(what: &str, bytes: &[u8]) -> Result<Vec<Class>> {
    let refuse = |line: usize, why: String| Error::integrity(what, about(format_args!("line {line}"), why));
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes);
    let mut classes: Vec<Class> = Vec::new();
    let mut folded = HashMap::new();
    for (row, record) in reader.records().enumerate() {
        let record = record.map_err(|e| refuse(row + 1, e.to_string()))?;
        if row == 0 {
            if record != HEADER[..] {
                return Err(refuse(1, format!("the header is not {}", HEADER.join(","))));
            }
            continue;
        }
        let line = row + 1;
        let id: ClassId = record[1].parse().map_err(|e: ClassIdError| refuse(line, e.to_string()))?;
        check_label(&record[2]).map_err(|why| refuse(line, format!("the label {why}")))?;
        let group = (!record[3].is_empty()).then(|| record[3].to_owned());
        if let Some(group) = &group {
            check_label(group).map_err(|why| refuse(line, format!("the group {why}")))?;
        }
        if classes.last().is_some_and(|last| last.id >= id) {
            return Err(refuse(line, format!("class {id} is out of order")));
        }
        if let Some(other) = folded.insert(id.folded(), id.clone()) {
            return Err(refuse(line, format!("classes {other} and {id} differ in case only")));
        }
        classes.push(Class { id, label: record[2].to_owned(), group });
    }
    // Checks indexes, quoting, line ends and the final newline at once.
    if classes_csv(&classes) != bytes {
        return Err(Error::integrity(what, "is not in the canonical form of classes.csv"));
    }
    Ok(classes)
}

impl fmt::Display for ClassId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ClassId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClassId({self})")
    }
}

impl Serialize for ClassId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ClassId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(id: &str, label: &str, group: Option<&str>) -> Class {
        Class { id: id.parse().unwrap(), label: label.into(), group: group.map(Into::into) }
    }

    fn vector() -> Vec<Class> {
        vec![
            class("N2", "upper case sorts first", None),
            class("n01614925", "bald eagle", Some("birds")),
            class("n10", "a \"quoted\", label", Some("x, y")),
            class("n9", "Œuvre d'été", None),
        ]
    }

    #[test]
    fn classes_csv_is_the_golden_vector() {
        let golden = include_bytes!("../../../tests/vectors/classes.csv");
        assert_eq!(String::from_utf8(classes_csv(&vector())).unwrap(), String::from_utf8_lossy(golden));
        assert_eq!(parse_classes("classes.csv", golden).unwrap(), vector());
    }

    #[test]
    fn only_the_canonical_bytes_are_read() {
        let good = "index,id,label,group\n0,a,x,\n1,b,\"y,z\",g\n";
        assert!(parse_classes("c", good.as_bytes()).is_ok());
        for (bad, why) in [
            ("", "canonical"),
            ("index,id,label\n0,a,x\n", "header"),
            ("index,id,label,group\n0,a,x,", "canonical"),
            ("index,id,label,group\r\n0,a,x,\r\n", "canonical"),
            ("index,id,label,group\n0,a,\"x\",\n", "canonical"),
            ("index,id,label,group\n1,a,x,\n", "canonical"),
            ("index,id,label,group\n00,a,x,\n", "canonical"),
            ("index,id,label,group\n0,b,x,\n1,a,x,\n", "line 3: class a is out of order"),
            ("index,id,label,group\n0,a,x,\n1,a,x,\n", "out of order"),
            ("index,id,label,group\n0,A,x,\n1,a,x,\n", "case"),
            ("index,id,label,group\n0,../a,x,\n", "class id '../a'"),
            ("index,id,label,group\n0,a,,\n", "label is empty"),
            ("index,id,label,group\n0,a,x, \n", "group is empty"),
            ("index,id,label,group\n0,a,\"x\ny\",\n", "control"),
            ("index,id,label,group\n0,a,x\n", "line 2"),
            ("\u{feff}index,id,label,group\n0,a,x,\n", "canonical"),
            ("index,id,label,group\n\n0,a,x,\n", "canonical"),
        ] {
            let error = parse_classes("c", bad.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(why), "{bad:?}: {error}");
        }
        assert!(parse_classes("c", b"index,id,label,group\n0,a,\xff,\n").is_err());
    }

    #[test]
    fn a_class_id_is_a_folder_everywhere() {
        assert!("n01614925".parse::<ClassId>().is_ok());
        assert!("x".repeat(64).parse::<ClassId>().is_ok());
        for bad in ["", "a/b", ".a", "con", "été", "a b", &"x".repeat(65)] {
            assert!(bad.parse::<ClassId>().is_err(), "{bad}");
        }
    }
}

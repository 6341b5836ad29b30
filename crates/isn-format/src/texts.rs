//! [`Texts`]: many short texts in one allocation. Lists have millions of paths and ids, and an allocation
//! each would cost as much as the text.

/// A list of texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    text: String,
    /// Where each text ends in `text`.
    ends: Vec<u32>,
}

impl Texts {
    /// Appends a text. Returns `false`, and appends nothing, if all texts together would have 4 GiB.
    #[must_use]
    pub fn push(&mut self, text: &str) -> bool {
        let Ok(end) = u32::try_from(self.text.len() + text.len()) else { return false };
        self.text.push_str(text);
        self.ends.push(end);
        true
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns the number of texts.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns a text; empty if there is no such text.
    pub fn get(&self, at: usize) -> &str {
        let begin = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.ends.get(at).and_then(|end| self.text.get(begin as usize..*end as usize)).unwrap_or_default()
    }

    /// Returns the last text.
    pub fn last(&self) -> Option<&str> {
        self.len().checked_sub(1).map(|last| self.get(last))
    }

    /// Frees what was reserved for more texts.
    pub fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_as_they_went_in() {
        let mut texts = Texts::default();
        assert_eq!((texts.len(), texts.last(), texts.get(0)), (0, None, ""));
        for text in ["a", "", "été", "b/c"] {
            assert!(texts.push(text));
            assert_eq!(texts.last(), Some(text));
        }
        assert_eq!([0, 1, 2, 3, 4].map(|at| texts.get(at)), ["a", "", "été", "b/c", ""]);
    }
}

//! Keys that are in one object more than once.

use super::cursor::{Cursor, TooDeep};
use std::collections::BTreeSet;

/// As many complaints as Go collects.
const MAX: usize = 100;

/// Paths of the keys, as strict decoding tells them: `spec.ports[0].port`. The text must have been
/// checked.
pub fn repeated_keys(text: &[u8]) -> Vec<String> {
    let mut finder = Finder {
        cursor: Cursor::new(text),
        path: String::new(),
        found: Vec::new(),
    };
    // Text that is too deep was refused before.
    let _ = finder.value();
    finder.found
}

struct Finder<'a> {
    cursor: Cursor<'a>,
    path: String,
    found: Vec<String>,
}

impl Finder<'_> {
    fn value(&mut self) -> Result<(), TooDeep> {
        match self.cursor.peek() {
            b'{' => self.object(),
            b'[' => self.array(),
            _ => {
                self.cursor.raw();
                Ok(())
            }
        }
    }

    fn object(&mut self) -> Result<(), TooDeep> {
        let mut seen = BTreeSet::new();
        let outer = self.path.len();
        self.cursor.enter()?;
        while let Some(key) = self.cursor.next_key() {
            if outer > 0 {
                self.path.push('.');
            }
            self.path.push_str(&key);
            if !seen.insert(key) && self.found.len() < MAX && !self.found.contains(&self.path) {
                self.found.push(self.path.clone());
            }
            self.value()?;
            self.path.truncate(outer);
        }
        Ok(())
    }

    fn array(&mut self) -> Result<(), TooDeep> {
        let outer = self.path.len();
        let mut index = 0;
        self.cursor.enter()?;
        while self.cursor.next_item() {
            self.path.push_str(&format!("[{index}]"));
            self.value()?;
            self.path.truncate(outer);
            index += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::repeated_keys;

    #[test]
    fn keys_are_told_with_their_paths() {
        let text = br#"{"a":1,"b":[{"c":1,"c":{"d":1,"d":2}}],"a":[],"a":0}"#;
        assert_eq!(repeated_keys(text), ["b[0].c", "b[0].c.d", "a"]);
        assert!(repeated_keys(br#"[1,{"a":{"a":1}}]"#).is_empty());
    }
}

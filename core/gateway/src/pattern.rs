//! Regular expressions as PCRE users write them: a linear engine, and a bounded backtracking one
//! only for patterns that need look-around or back-references.

use std::fmt;

/// Steps that the backtracking engine may take for one match; beyond it nothing matches, so that
/// no pattern can hold a request up.
const BACKTRACK_LIMIT: usize = 50_000;
/// Bound on a compiled pattern's memory, in bytes.
const SIZE_LIMIT: usize = 1 << 20;

/// A compiled pattern, matched against bytes.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    engine: Engine,
}

#[derive(Clone)]
enum Engine {
    Linear(regex::bytes::Regex),
    Backtracking(Box<fancy_regex::Regex>),
}

/// What the groups of a match captured; group 0 is the whole match, unmatched groups are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captures(Vec<Vec<u8>>);

impl Captures {
    /// Text of group `n`, empty when it did not take part.
    pub fn get(&self, n: usize) -> &[u8] {
        self.0.get(n).map_or(&[], Vec::as_slice)
    }
}

impl Pattern {
    /// Compiles a pattern that ignores case.
    ///
    /// # Errors
    /// What is wrong with the pattern, in one sentence.
    pub fn ignoring_case(text: &str) -> Result<Self, String> {
        Self::compile(&format!("(?i){text}"))
    }

    /// Compiles a pattern as it stands.
    ///
    /// # Errors
    /// What is wrong with the pattern, in one sentence.
    pub fn compile(text: &str) -> Result<Self, String> {
        let linear = regex::bytes::RegexBuilder::new(text)
            .unicode(false)
            .size_limit(SIZE_LIMIT)
            .build();
        // The linear engine reads a possessive `a++` as `(a+)+`, which matches other things.
        let possessive = ["++", "*+", "?+", "}+"]
            .iter()
            .any(|mark| text.contains(mark));
        let engine = match linear {
            Ok(regex) if !possessive => Engine::Linear(regex),
            Ok(regex) => match fancy(text) {
                Ok(fancy) => Engine::Backtracking(Box::new(fancy)),
                Err(_) => Engine::Linear(regex),
            },
            Err(first) => match fancy(text) {
                Ok(regex) => Engine::Backtracking(Box::new(regex)),
                Err(_) => return Err(short(&first.to_string())),
            },
        };
        Ok(Self {
            text: text.to_owned(),
            engine,
        })
    }

    /// The pattern's text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the pattern is found in `subject`.
    pub fn is_match(&self, subject: &[u8]) -> bool {
        match &self.engine {
            Engine::Linear(regex) => regex.is_match(subject),
            Engine::Backtracking(regex) => regex
                .is_match(String::from_utf8_lossy(subject).as_ref())
                .unwrap_or(false),
        }
    }

    /// The leftmost match's groups.
    pub fn captures(&self, subject: &[u8]) -> Option<Captures> {
        match &self.engine {
            Engine::Linear(regex) => {
                let found = regex.captures(subject)?;
                let group = |m: Option<regex::bytes::Match<'_>>| {
                    m.map_or_else(Vec::new, |m| m.as_bytes().to_vec())
                };
                Some(Captures(found.iter().map(group).collect()))
            }
            Engine::Backtracking(regex) => {
                let subject = String::from_utf8_lossy(subject);
                let found = regex.captures(subject.as_ref()).ok()??;
                let groups = (0..found.len()).map(|n| {
                    found
                        .get(n)
                        .map_or_else(Vec::new, |m| m.as_str().as_bytes().to_vec())
                });
                Some(Captures(groups.collect()))
            }
        }
    }
}

fn fancy(text: &str) -> Result<fancy_regex::Regex, Box<fancy_regex::Error>> {
    fancy_regex::RegexBuilder::new(text)
        .backtrack_limit(BACKTRACK_LIMIT)
        .build()
        .map_err(Box::new)
}

/// The last line of a parser's error says what is wrong; the ones before point into the text.
fn short(error: &str) -> String {
    let last = error.lines().last().unwrap_or(error);
    last.trim_start_matches("error: ").to_owned()
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simple_patterns_run_on_the_linear_engine() {
        let pattern = Pattern::ignoring_case("^/id/([0-9]+)").unwrap();
        assert!(matches!(pattern.engine, Engine::Linear(_)));
        assert_eq!(pattern.captures(b"/ID/12x").unwrap().get(1), b"12");
        assert!(pattern.captures(b"/id/x").is_none());
    }

    #[test]
    fn look_ahead_and_back_references_work() {
        let ahead = Pattern::ignoring_case("^/site/(?!admin).*").unwrap();
        assert!(ahead.is_match(b"/site/public"));
        assert!(!ahead.is_match(b"/site/administrator"));
        let possessive = Pattern::ignoring_case("^/a++ab").unwrap();
        assert!(!possessive.is_match(b"/aaab"));
        let back = Pattern::ignoring_case(r"^/(a+)/\1$").unwrap();
        assert!(back.is_match(b"/aa/aa"));
        assert!(!back.is_match(b"/aa/a"));
    }

    #[test]
    fn a_runaway_pattern_gives_up() {
        let pattern = Pattern::compile(r"^(?=(a+)+$)\1b").unwrap();
        assert!(!pattern.is_match(&[b'a'; 64]));
    }

    #[test]
    fn an_invalid_pattern_is_told() {
        let error = Pattern::ignoring_case("^/bad(").unwrap_err();
        assert!(error.contains("unclosed group"), "{error}");
    }
}

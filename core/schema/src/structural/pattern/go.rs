//! Go's syntax of regular expressions (RE2), told in the syntax of this program's engine. What the
//! two write alike and mean differently (`\d`, `\b`, `[a&&b]`, `a{,3}`) is written out.

use super::class;
use super::escape::{self, literal};

/// Most that repetitions may multiply to.
const MOST_REPEATS: i64 = 1000;

/// Translates a pattern.
///
/// # Errors
/// What Go says is wrong with it.
pub(super) fn translate(text: &str) -> Result<String, String> {
    let mut parser = Parser {
        whole: text,
        out: String::with_capacity(text.len() + 8),
        groups: Vec::new(),
        here: Group::default(),
    };
    parser
        .run()
        .map_err(|(what, part)| format!("error parsing regexp: {what}: `{part}`"))?;
    Ok(parser.out)
}

/// What is wrong, and the part of the pattern that it is wrong with.
pub(super) type Wrong<'a> = (&'static str, &'a str);

/// What is known of the group being read.
#[derive(Default)]
struct Group {
    /// Whether there is something that can be repeated
    atom: bool,
    /// How much the repetitions in the last atom multiply to
    weight: i64,
    /// The same, of all before it
    heaviest: i64,
}

struct Parser<'a> {
    whole: &'a str,
    out: String,
    groups: Vec<Group>,
    here: Group,
}

impl<'a> Parser<'a> {
    fn run(&mut self) -> Result<(), Wrong<'a>> {
        let mut rest = self.whole;
        let mut last_repeat = "";
        while let Some(first) = rest.chars().next() {
            let mut repeat = "";
            rest = match first {
                '(' => self.open(rest)?,
                '|' => {
                    self.out.push('|');
                    self.here.heaviest = self.here.heaviest.max(self.here.weight);
                    (self.here.atom, self.here.weight) = (false, 1);
                    &rest[1..]
                }
                ')' => {
                    self.close()?;
                    &rest[1..]
                }
                '[' => {
                    let (class, after) = class::read(rest)?;
                    self.atom(&class);
                    after
                }
                '*' | '+' | '?' => {
                    repeat = rest;
                    self.repeat(rest, &rest[1..], None, last_repeat)?
                }
                '{' => match counts(rest) {
                    Some((least, most, after)) => {
                        repeat = rest;
                        self.repeat(rest, after, Some((least, most)), last_repeat)?
                    }
                    None => {
                        self.atom("\\{");
                        &rest[1..]
                    }
                },
                '\\' => self.backslash(rest)?,
                '^' | '$' | '.' => {
                    self.atom(&rest[..1]);
                    &rest[1..]
                }
                other => {
                    self.atom(&literal(other));
                    &rest[other.len_utf8()..]
                }
            };
            last_repeat = repeat;
        }
        match self.groups.is_empty() {
            true => Ok(()),
            false => Err(("missing closing )", self.whole)),
        }
    }

    fn atom(&mut self, text: &str) {
        self.out.push_str(text);
        self.here.heaviest = self.here.heaviest.max(self.here.weight);
        (self.here.atom, self.here.weight) = (true, 1);
    }

    fn push(&mut self) {
        self.groups.push(std::mem::take(&mut self.here));
    }

    fn close(&mut self) -> Result<(), Wrong<'a>> {
        let Some(outer) = self.groups.pop() else {
            return Err(("unexpected )", self.whole));
        };
        let inner = std::mem::replace(&mut self.here, outer);
        self.atom(")");
        self.here.weight = inner.heaviest.max(inner.weight).max(1);
        Ok(())
    }

    fn open(&mut self, text: &'a str) -> Result<&'a str, Wrong<'a>> {
        let Some(inside) = text.strip_prefix("(?") else {
            self.out.push_str("(?:");
            self.push();
            return Ok(&text[1..]);
        };
        let named = inside.strip_prefix("P<").filter(|rest| !rest.is_empty());
        let named = named.or_else(|| inside.strip_prefix('<').filter(|rest| !rest.is_empty()));
        if let Some(name) = named {
            return self.open_named(text, name);
        }
        self.flags(text, inside)
    }

    fn open_named(&mut self, text: &'a str, name: &'a str) -> Result<&'a str, Wrong<'a>> {
        let wrong = "invalid named capture";
        let Some((name, rest)) = name.split_once('>') else {
            return Err((wrong, text));
        };
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(word) {
            return Err((wrong, &text[..text.len() - rest.len()]));
        }
        self.out.push_str("(?:");
        self.push();
        Ok(rest)
    }

    /// `(?i)`, `(?s-i:`, `(?:`.
    fn flags(&mut self, text: &'a str, inside: &'a str) -> Result<&'a str, Wrong<'a>> {
        let mut flags = String::new();
        let (mut negative, mut seen) = (false, false);
        for (at, c) in inside.char_indices() {
            let after = &inside[at + c.len_utf8()..];
            let wrong = Err((
                "invalid or unsupported Perl syntax",
                &text[..text.len() - after.len()],
            ));
            match c {
                'i' | 'm' | 's' | 'U' => {
                    seen = true;
                    if !flags.contains(c) {
                        flags.push(c);
                    }
                }
                '-' if !negative => {
                    (negative, seen) = (true, false);
                    flags.push('-');
                }
                ':' | ')' if !negative || seen => {
                    match (c, flags.is_empty()) {
                        (')', true) => {}
                        (')', false) => self.out.push_str(&format!("(?{flags})")),
                        _ => {
                            self.out.push_str(&format!("(?{flags}:"));
                            self.push();
                        }
                    }
                    return Ok(after);
                }
                _ => return wrong,
            }
        }
        Err(("invalid or unsupported Perl syntax", text))
    }

    fn repeat(
        &mut self,
        before: &'a str,
        after: &'a str,
        counts: Option<(i64, Option<i64>)>,
        last_repeat: &'a str,
    ) -> Result<&'a str, Wrong<'a>> {
        let part = |after: &'a str| &before[..before.len() - after.len()];
        if let Some((least, most)) = counts
            && (!(0..=MOST_REPEATS).contains(&least)
                || most.is_some_and(|most| most > MOST_REPEATS || most < least))
        {
            return Err(("invalid repeat count", part(after)));
        }
        let lazy = after.strip_prefix('?');
        let after = lazy.unwrap_or(after);
        if !last_repeat.is_empty() {
            let twice = &last_repeat[..last_repeat.len() - after.len()];
            return Err(("invalid nested repetition operator", twice));
        }
        if !self.here.atom {
            return Err(("missing argument to repetition operator", part(after)));
        }
        if let Some((least, most)) = counts {
            let times = most.unwrap_or(least);
            let weight = if times == 0 {
                1
            } else {
                self.here.weight.max(1) * times
            };
            self.here.weight = weight;
            if weight > MOST_REPEATS && (least >= 2 || most.is_some_and(|most| most >= 2)) {
                return Err(("invalid repeat count", part(after)));
            }
        }
        self.out.push_str(part(after));
        Ok(after)
    }

    fn backslash(&mut self, text: &'a str) -> Result<&'a str, Wrong<'a>> {
        let second = text[1..].chars().next();
        let simple = match second {
            Some('A') => Some("\\A"),
            Some('z') => Some("\\z"),
            Some('b') => Some("(?-u:\\b)"),
            Some('B') => Some("(?-u:\\B)"),
            Some('C') => return Err(("invalid escape sequence", &text[..2])),
            _ => None,
        };
        if let Some(simple) = simple {
            self.atom(simple);
            return Ok(&text[2..]);
        }
        if let Some(quoted) = text.strip_prefix("\\Q") {
            let (quoted, rest) = quoted.split_once("\\E").unwrap_or((quoted, ""));
            for c in quoted.chars() {
                self.atom(&literal(c));
            }
            return Ok(rest);
        }
        if let Some((class, rest)) = class::shorthand(text)? {
            self.atom(&format!("[{class}]"));
            return Ok(rest);
        }
        let (c, rest) = escape::read(text)?;
        self.atom(&literal(c));
        Ok(rest)
    }
}

/// `{2}`, `{2,}`, `{2,5}`; anything else is no repetition. Numbers that are too large are -1.
fn counts(text: &str) -> Option<(i64, Option<i64>, &str)> {
    let (least, rest) = number(text.strip_prefix('{')?)?;
    let (mut least, most, rest) = match rest.strip_prefix(',') {
        None => (least, Some(least), rest),
        Some(rest) if rest.starts_with('}') => (least, None, rest),
        Some(rest) => {
            let (most, rest) = number(rest)?;
            (least, Some(most), rest)
        }
    };
    if most.is_some_and(|most| most < 0) {
        least = -1;
    }
    Some((least, most, rest.strip_prefix('}')?))
}

fn number(text: &str) -> Option<(i64, &str)> {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = &text[..text.len() - rest.len()];
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    let value = digits.parse().ok().filter(|value| *value < 1_000_000_000);
    Some((value.unwrap_or(-1), rest))
}

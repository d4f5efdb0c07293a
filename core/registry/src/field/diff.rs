//! Unified diffs as Python's difflib makes them, of which the API uses a port.
//!
//! The longest common run of lines is found first, then the same on both sides of it; lines that
//! make up more than one in a hundred of a long text do not start a run.

use std::collections::HashMap;

/// Lines of context around a change.
const CONTEXT: usize = 3;

/// Texts of at least this many lines have popular lines.
const LONG: usize = 200;

/// The hunks between two texts, without file names; empty when they are equal.
pub(crate) fn unified(a: &str, b: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (a.split('\n').collect(), b.split('\n').collect());
    let mut out = String::new();
    for group in groups(&Matcher::new(&a, &b).opcodes()) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            continue;
        };
        out.push_str(&format!(
            "@@ -{} +{} @@\n",
            range(first.a.0, last.a.1),
            range(first.b.0, last.b.1)
        ));
        for op in &group {
            op.write(&mut out, &a, &b);
        }
    }
    out
}

fn range(start: usize, stop: usize) -> String {
    match stop - start {
        1 => format!("{}", start + 1),
        0 => format!("{start},0"),
        length => format!("{},{length}", start + 1),
    }
}

#[derive(Clone, Copy)]
struct Op {
    equal: bool,
    a: (usize, usize),
    b: (usize, usize),
}

impl Op {
    fn write(&self, out: &mut String, a: &[&str], b: &[&str]) {
        let mut push = |sign: char, lines: &[&str]| {
            for line in lines {
                out.push(sign);
                out.push_str(line);
                out.push('\n');
            }
        };
        if self.equal {
            push(' ', &a[self.a.0..self.a.1]);
        } else {
            push('-', &a[self.a.0..self.a.1]);
            push('+', &b[self.b.0..self.b.1]);
        }
    }
}

struct Match {
    a: usize,
    b: usize,
    length: usize,
}

struct Matcher<'a> {
    a: &'a [&'a str],
    b: &'a [&'a str],
    /// Where each line of `b` stands, popular ones left out
    places: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Matcher<'a> {
    fn new(a: &'a [&'a str], b: &'a [&'a str]) -> Self {
        let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
        for (i, line) in b.iter().enumerate() {
            places.entry(line).or_default().push(i);
        }
        if b.len() >= LONG {
            let most = b.len() / 100 + 1;
            places.retain(|_, at| at.len() <= most);
        }
        Self { a, b, places }
    }

    /// The longest common run within two ranges, the first one of several.
    fn longest(&self, a: (usize, usize), b: (usize, usize)) -> Match {
        let mut best = Match {
            a: a.0,
            b: b.0,
            length: 0,
        };
        let mut lengths: HashMap<usize, usize> = HashMap::new();
        for i in a.0..a.1 {
            let mut next = HashMap::new();
            let places = self.places.get(self.a[i]).map_or(&[][..], Vec::as_slice);
            for &j in places.iter().filter(|j| (b.0..b.1).contains(*j)) {
                let before = j.checked_sub(1).and_then(|j| lengths.get(&j));
                let length = before.copied().unwrap_or(0) + 1;
                next.insert(j, length);
                if length > best.length {
                    best = Match {
                        a: i + 1 - length,
                        b: j + 1 - length,
                        length,
                    };
                }
            }
            lengths = next;
        }
        self.extend(best, a, b)
    }

    /// Popular lines join a run at its ends.
    fn extend(&self, mut best: Match, a: (usize, usize), b: (usize, usize)) -> Match {
        while best.a > a.0 && best.b > b.0 && self.a[best.a - 1] == self.b[best.b - 1] {
            best.a -= 1;
            best.b -= 1;
            best.length += 1;
        }
        while best.a + best.length < a.1
            && best.b + best.length < b.1
            && self.a[best.a + best.length] == self.b[best.b + best.length]
        {
            best.length += 1;
        }
        best
    }

    fn blocks(&self, a: (usize, usize), b: (usize, usize), found: &mut Vec<Match>) {
        let best = self.longest(a, b);
        if best.length == 0 {
            return;
        }
        let (end_a, end_b) = (best.a + best.length, best.b + best.length);
        if a.0 < best.a && b.0 < best.b {
            self.blocks((a.0, best.a), (b.0, best.b), found);
        }
        found.push(best);
        if end_a < a.1 && end_b < b.1 {
            self.blocks((end_a, a.1), (end_b, b.1), found);
        }
    }

    fn opcodes(&self) -> Vec<Op> {
        let mut found = Vec::new();
        self.blocks((0, self.a.len()), (0, self.b.len()), &mut found);
        found.push(Match {
            a: self.a.len(),
            b: self.b.len(),
            length: 0,
        });
        let (mut i, mut j, mut ops) = (0, 0, Vec::new());
        for block in found {
            if i < block.a || j < block.b {
                ops.push(Op {
                    equal: false,
                    a: (i, block.a),
                    b: (j, block.b),
                });
            }
            (i, j) = (block.a + block.length, block.b + block.length);
            if block.length > 0 {
                ops.push(Op {
                    equal: true,
                    a: (block.a, i),
                    b: (block.b, j),
                });
            }
        }
        join_equal(ops)
    }
}

/// Neighbouring equal runs are one.
fn join_equal(ops: Vec<Op>) -> Vec<Op> {
    let mut out: Vec<Op> = Vec::new();
    for op in ops {
        match out.last_mut() {
            Some(last) if last.equal && op.equal => {
                last.a.1 = op.a.1;
                last.b.1 = op.b.1;
            }
            _ => out.push(op),
        }
    }
    out
}

/// Cuts long equal runs down to their context, and the list where two hunks part.
fn groups(ops: &[Op]) -> Vec<Vec<Op>> {
    let mut ops = ops.to_vec();
    if let Some(first) = ops.first_mut().filter(|op| op.equal) {
        first.a.0 = first.a.0.max(first.a.1.saturating_sub(CONTEXT));
        first.b.0 = first.b.0.max(first.b.1.saturating_sub(CONTEXT));
    }
    if let Some(last) = ops.last_mut().filter(|op| op.equal) {
        last.a.1 = last.a.1.min(last.a.0 + CONTEXT);
        last.b.1 = last.b.1.min(last.b.0 + CONTEXT);
    }
    let (mut all, mut group) = (Vec::new(), Vec::new());
    for mut op in ops {
        if op.equal && op.a.1 - op.a.0 > 2 * CONTEXT {
            group.push(Op {
                equal: true,
                a: (op.a.0, op.a.0 + CONTEXT),
                b: (op.b.0, op.b.0 + CONTEXT),
            });
            all.push(std::mem::take(&mut group));
            op.a.0 = op.a.1 - CONTEXT;
            op.b.0 = op.b.1 - CONTEXT;
        }
        group.push(op);
    }
    if group.iter().any(|op| !op.equal) {
        all.push(group);
    }
    all.retain(|group| group.iter().any(|op| !op.equal));
    all
}

#[cfg(test)]
mod tests {
    use super::unified;

    #[test]
    fn equal_texts_have_no_diff() {
        assert_eq!(unified("a\nb", "a\nb"), "");
    }

    #[test]
    fn hunks_have_three_lines_of_context() {
        let a: Vec<String> = (1..=20).map(|i| i.to_string()).collect();
        let mut b = a.clone();
        b[4] = "five".to_owned();
        b.remove(14);
        assert_eq!(
            unified(&a.join("\n"), &b.join("\n")),
            "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n@@ -12,7 +12,6 @@\n 12\n 13\n \
             14\n-15\n 16\n 17\n 18\n"
        );
    }
}

//! Random numbers as an input.

/// What `numgen random` gives, in the order of asking; zero when nothing more is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    /// Numbers to give and, once asked for, the bound of each
    drawn: Vec<(u32, u32)>,
    at: usize,
}

impl Choices {
    /// These numbers; one that is too large is taken modulo its bound.
    pub fn new(numbers: &[u32]) -> Self {
        Self {
            drawn: numbers.iter().map(|number| (*number, 0)).collect(),
            at: 0,
        }
    }

    /// The next number below `bound`.
    pub(super) fn draw(&mut self, bound: u32) -> u32 {
        if self.at == self.drawn.len() {
            self.drawn.push((0, bound));
        }
        let (number, asked) = &mut self.drawn[self.at];
        *number %= bound.max(1);
        *asked = bound;
        self.at += 1;
        *number
    }

    /// The choices after these, counting the last one up first; `None` after the last.
    pub(super) fn next(mut self) -> Option<Self> {
        self.drawn.truncate(self.at);
        while let Some((number, bound)) = self.drawn.pop() {
            if number + 1 < bound {
                self.drawn.push((number + 1, bound));
                self.at = 0;
                return Some(self);
            }
        }
        None
    }
}

//! The words of the language.

/// What kind of word; the order is that of lists of expected words in error texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Tok {
    Eof,
    Equals,
    NotEquals,
    In,
    Less,
    LessEquals,
    GreaterEquals,
    Greater,
    And,
    Or,
    LBracket,
    RBracket,
    LBrace,
    RBrace,
    LParen,
    RParen,
    Dot,
    Comma,
    Minus,
    Not,
    Question,
    Colon,
    Plus,
    Star,
    Slash,
    Percent,
    True,
    False,
    Null,
    Float,
    Int,
    Uint,
    String,
    Bytes,
    Ident,
    EscIdent,
}

const ALL: [(Tok, &str); 36] = [
    (Tok::Eof, "<EOF>"),
    (Tok::Equals, "'=='"),
    (Tok::NotEquals, "'!='"),
    (Tok::In, "'in'"),
    (Tok::Less, "'<'"),
    (Tok::LessEquals, "'<='"),
    (Tok::GreaterEquals, "'>='"),
    (Tok::Greater, "'>'"),
    (Tok::And, "'&&'"),
    (Tok::Or, "'||'"),
    (Tok::LBracket, "'['"),
    (Tok::RBracket, "']'"),
    (Tok::LBrace, "'{'"),
    (Tok::RBrace, "'}'"),
    (Tok::LParen, "'('"),
    (Tok::RParen, "')'"),
    (Tok::Dot, "'.'"),
    (Tok::Comma, "','"),
    (Tok::Minus, "'-'"),
    (Tok::Not, "'!'"),
    (Tok::Question, "'?'"),
    (Tok::Colon, "':'"),
    (Tok::Plus, "'+'"),
    (Tok::Star, "'*'"),
    (Tok::Slash, "'/'"),
    (Tok::Percent, "'%'"),
    (Tok::True, "'true'"),
    (Tok::False, "'false'"),
    (Tok::Null, "'null'"),
    (Tok::Float, "NUM_FLOAT"),
    (Tok::Int, "NUM_INT"),
    (Tok::Uint, "NUM_UINT"),
    (Tok::String, "STRING"),
    (Tok::Bytes, "BYTES"),
    (Tok::Ident, "IDENTIFIER"),
    (Tok::EscIdent, "ESC_IDENTIFIER"),
];

/// One word of a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub(super) kind: Tok,
    /// In bytes.
    pub(super) start: usize,
    /// In bytes.
    pub(super) end: usize,
    /// In characters.
    pub(super) offset: u32,
}

/// A set of kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Set(u64);

impl Set {
    pub(super) const EMPTY: Set = Set(0);

    pub(super) const fn of(kinds: &[Tok]) -> Set {
        let mut bits = 0;
        let mut index = 0;
        while index < kinds.len() {
            bits |= 1 << kinds[index] as u8;
            index += 1;
        }
        Set(bits)
    }

    pub(super) const fn or(self, other: Set) -> Set {
        Set(self.0 | other.0)
    }

    pub(super) const fn has(self, kind: Tok) -> bool {
        self.0 >> kind as u8 & 1 == 1
    }

    /// As error texts show it: a word alone, or a list in braces.
    pub(super) fn show(self) -> String {
        let names: Vec<&str> = ALL
            .iter()
            .filter(|(kind, _)| self.has(*kind))
            .map(|(_, name)| *name)
            .collect();
        match names.as_slice() {
            [name] => (*name).to_owned(),
            names => format!("{{{}}}", names.join(", ")),
        }
    }
}

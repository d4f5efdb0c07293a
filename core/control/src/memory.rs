//! What controllers remember between calls.

/// State that cannot be read off the objects. Losing it costs no correctness, as after a restart.
#[derive(Debug, Default)]
pub struct Memory {}

//! Deserialisers for what Go clients write: `null` for an empty list, map or string.

use serde::{Deserialize, Deserializer};

/// `null` reads as the type's default.
pub(crate) fn nullable<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// A number in decimal within a string; anything else reads as zero.
pub(crate) fn number_in_string<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    Ok(text.and_then(|text| text.parse().ok()).unwrap_or(0))
}

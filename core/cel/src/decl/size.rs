//! How large values can become, from what the schema bounds and from the size of a request.
//!
//! The figures decide which rules a CustomResourceDefinition may have, so they are the API
//! server's own.

use super::{Decl, Format};
use serde_json::Value as Json;
use std::sync::LazyLock;

/// The largest request that estimates reckon with, in bytes.
pub(crate) const MAX_REQUEST: u64 = 3 * 1024 * 1024;

static KEY: LazyLock<Decl> = LazyLock::new(|| Decl {
    max_elements: 0,
    ..Decl::string(Format::Plain, None, &[])
});

/// The keys of a map: strings whose length nothing is known of, counted as 0.
pub(super) fn key() -> &'static Decl {
    &KEY
}

fn bound(limit: i64) -> u64 {
    u64::try_from(limit).unwrap_or(0)
}

pub(super) fn string_length(format: Format, max: Option<i64>, enumerated: &[Json]) -> u64 {
    match (format, max) {
        (Format::Duration | Format::DateTime, _) => 32,
        (Format::Date, _) => 12,
        (Format::Byte, Some(max)) => bound(max),
        // A character takes up to four bytes.
        (Format::Plain, Some(max)) => bound(max).saturating_mul(4),
        (Format::Plain, None) if !enumerated.is_empty() => {
            let lengths = enumerated.iter().filter_map(Json::as_str).map(str::len);
            lengths.max().unwrap_or(0) as u64
        }
        _ => MAX_REQUEST - 2,
    }
}

pub(super) fn list_items(max: Option<i64>, item_size: u64) -> u64 {
    max.map_or((MAX_REQUEST - 2) / item_size.saturating_add(1), bound)
}

pub(super) fn map_entries(max: Option<i64>, value_size: u64) -> u64 {
    max.map_or((MAX_REQUEST - 2) / value_size.saturating_add(6), bound)
}

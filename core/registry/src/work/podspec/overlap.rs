//! Warnings about files of a volume that lie over each other.

use crate::field::read::Read;
use model::go_quote;
use serde_json::Value;

/// A file's path and the source that it comes from; the source is empty when there is just one.
#[derive(Clone, PartialEq)]
struct Place {
    path: String,
    source: String,
}

impl Place {
    fn new(path: &str, source: &str) -> Self {
        Self {
            path: path.trim_end_matches('/').to_owned(),
            source: source.to_owned(),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&go_quote(&self.path))?;
        if self.source.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", self.source)
    }
}

/// Adds the warnings about all volumes of a spec.
pub(super) fn paths(warnings: &mut Vec<String>, spec: &Value) {
    for volume in spec.items("volumes") {
        let name = go_quote(volume.text("name"));
        for (key, kind, named) in [
            ("configMap", "ConfigMap", "name"),
            ("secret", "Secret", "secretName"),
            ("downwardAPI", "DownwardAPI", ""),
        ] {
            let source = volume.at(key);
            let kind = match named {
                "" => kind.to_owned(),
                named => format!("{kind} {}", go_quote(source.text(named))),
            };
            let mut seen = Vec::new();
            for text in clashes(&mut seen, places(source, "")) {
                warnings.push(format!("volume {name} ({kind}): overlapping paths: {text}"));
            }
        }
        if volume.has("projected") {
            projected(warnings, volume, &name);
        }
    }
}

fn projected(warnings: &mut Vec<String>, volume: &Value, name: &str) {
    let mut seen = Vec::new();
    for source in volume.at("projected").items("sources") {
        let empty = source
            .as_object()
            .is_none_or(|map| map.values().all(Value::is_null));
        if empty {
            warnings.push(format!("volume {name} (Projected) has no sources provided"));
            continue;
        }
        for text in clashes(&mut seen, source_places(source)) {
            warnings.push(format!(
                "volume {name} (Projected): overlapping paths: {text}"
            ));
        }
    }
}

fn source_places(source: &Value) -> Vec<Place> {
    for (key, kind) in [("configMap", "ConfigMap"), ("secret", "Secret")] {
        let found = source.at(key);
        if !found.items("items").is_empty() {
            return places(found, &format!("{kind} {}", go_quote(found.text("name"))));
        }
    }
    if !source.at("downwardAPI").items("items").is_empty() {
        return places(source.at("downwardAPI"), "DownwardAPI");
    }
    if source.has("serviceAccountToken") {
        let path = source.at("serviceAccountToken").text("path");
        return vec![Place::new(path, "ServiceAccountToken")];
    }
    Vec::new()
}

fn places(source: &Value, from: &str) -> Vec<Place> {
    let items = source.items("items").iter();
    items
        .map(|item| Place::new(item.text("path"), from))
        .collect()
}

/// What each new place lies over, among those seen before it.
fn clashes(seen: &mut Vec<Place>, new: Vec<Place>) -> Vec<String> {
    let mut texts = Vec::new();
    for place in new {
        for other in seen.iter().filter(|other| overlaps(other, &place)) {
            texts.push(format!("{place} with {other}"));
        }
        seen.push(place);
    }
    texts
}

fn overlaps(a: &Place, b: &Place) -> bool {
    if a.path.is_empty() || b.path.is_empty() {
        return false;
    }
    let (a, b) = (format!("{}/", a.path), format!("{}/", b.path));
    a.starts_with(&b) || b.starts_with(&a)
}

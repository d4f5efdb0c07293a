//! Projected volumes: files from several sources in one place.

use super::Scope;
use super::volumes::{downward_file, key_to_path, mode};
use crate::field::path::{Errors, Path};
use crate::field::read::Read;
use crate::field::words;
use serde_json::Value;
use std::collections::BTreeSet;

/// `projected`
pub(super) fn validate(errors: &mut Errors, scope: &Scope<'_>, source: &Value, path: &Path) {
    mode(errors, source, "defaultMode", path);
    let mut paths = BTreeSet::new();
    for (i, part) in source.items("sources").iter().enumerate() {
        let part_path = path.child("sources").index(i);
        let mut found = 0;
        for key in ["secret", "configMap"] {
            if part.has(key) {
                found += 1;
                files(
                    errors,
                    part.at(key),
                    (path, &part_path.child(key)),
                    &mut paths,
                );
            }
        }
        if part.has("downwardAPI") {
            found += 1;
            for file in part.at("downwardAPI").items("items") {
                downward_file(errors, file, &part_path.child("downwardAPI"));
                let target = file.text("path");
                if !target.is_empty() && !paths.insert(target) {
                    errors.invalid(path, target, CONFLICT);
                }
            }
        }
        if part.has("serviceAccountToken") {
            found += 1;
            let token_path = part_path.child("serviceAccountToken");
            token(
                errors,
                scope,
                part.at("serviceAccountToken"),
                (path, &token_path),
            );
        }
        if found > 1 {
            let text = "may not specify more than 1 volume type per source";
            errors.forbidden(&part_path, text);
        }
    }
}

const CONFLICT: &str = "conflicting duplicate paths";

fn files<'a>(
    errors: &mut Errors,
    source: &'a Value,
    (volume, path): (&Path, &Path),
    paths: &mut BTreeSet<&'a str>,
) {
    let name = source.text("name");
    if name.is_empty() {
        errors.required(&path.child("name"), "");
    }
    for (i, item) in source.items("items").iter().enumerate() {
        key_to_path(errors, item, &path.child("items").index(i));
        let target = item.text("path");
        if !target.is_empty() && !paths.insert(target) {
            errors.invalid(volume, name, CONFLICT);
        }
    }
}

fn token(errors: &mut Errors, scope: &Scope<'_>, token: &Value, (volume, path): (&Path, &Path)) {
    let seconds = token.number("expirationSeconds").unwrap_or(0);
    let seconds_path = path.child("expirationSeconds");
    if seconds < 600 {
        let text = "may not specify a duration less than 10 minutes";
        errors.invalid(&seconds_path, seconds, text);
    }
    if seconds > 1 << 32 {
        let text = "may not specify a duration larger than 2^32 seconds";
        errors.invalid(&seconds_path, seconds, text);
    }
    let target = token.text("path");
    if target.is_empty() {
        errors.required(&volume.child("path"), "");
    } else if !scope.options.loose.token_path {
        words::local_path(errors, &volume.child("path"), target);
    }
}

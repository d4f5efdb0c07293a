//! Probes and lifecycle hooks.

use super::Scope;
use crate::field::path::{Errors, Path};
use crate::field::read::Read;
use crate::field::{names, words};
use serde_json::Value;

/// `lifecycle` and the three probes of a container that may have them.
pub(crate) fn lifecycle_and_probes(
    errors: &mut Errors,
    scope: &Scope<'_>,
    container: &Value,
    path: &Path,
) {
    let lifecycle = container.at("lifecycle");
    let hooks = path.child("lifecycle");
    for key in ["postStart", "preStop"] {
        if lifecycle.has(key) {
            let kinds = ["exec", "httpGet", "tcpSocket", "sleep"];
            handler(errors, scope, lifecycle.at(key), &kinds, &hooks.child(key));
        }
    }
    if let Some(signal) = lifecycle.optional_text("stopSignal") {
        super::os::stop_signal(errors, scope, signal, &hooks.child("stopSignal"));
    }
    for key in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if container.has(key) {
            probe(errors, scope, container.at(key), key, &path.child(key));
        }
    }
}

fn probe(errors: &mut Errors, scope: &Scope<'_>, probe: &Value, kind: &str, path: &Path) {
    let kinds = ["exec", "httpGet", "tcpSocket", "grpc"];
    handler(errors, scope, probe, &kinds, path);
    for key in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        errors.nonnegative(&path.child(key), probe.number(key).unwrap_or(0));
    }
    let grace = probe.number("terminationGracePeriodSeconds");
    let grace_path = path.child("terminationGracePeriodSeconds");
    if let Some(seconds) = grace.filter(|seconds| *seconds <= 0) {
        errors.invalid(&grace_path, seconds, "must be greater than 0");
    }
    if kind == "readinessProbe" {
        if let Some(seconds) = grace {
            errors.invalid(&grace_path, seconds, "must not be set for readinessProbes");
        }
        return;
    }
    let successes = probe.number("successThreshold").unwrap_or(0);
    if successes != 1 {
        errors.invalid(&path.child("successThreshold"), successes, "must be 1");
    }
}

/// Exactly one of `kinds`.
fn handler(errors: &mut Errors, scope: &Scope<'_>, handler: &Value, kinds: &[&str], path: &Path) {
    let mut found = 0;
    for kind in kinds {
        if !handler.has(kind) {
            continue;
        }
        found += 1;
        let path = path.child(kind);
        if found > 1 {
            errors.forbidden(&path, "may not specify more than 1 handler type");
            continue;
        }
        action(errors, scope, handler.at(kind), kind, &path);
    }
    if found == 0 {
        errors.required(path, "must specify a handler type");
    }
}

fn action(errors: &mut Errors, scope: &Scope<'_>, action: &Value, kind: &str, path: &Path) {
    match kind {
        "exec" if action.items("command").is_empty() => {
            errors.required(&path.child("command"), "");
        }
        "httpGet" => http_get(errors, action, path),
        "tcpSocket" => words::port_or_name(errors, &path.child("port"), action.at("port")),
        "grpc" => {
            let number = action.number("port").unwrap_or(0);
            for text in names::port_number(number) {
                errors.invalid(&path.child("port"), number, text);
            }
        }
        "sleep" => sleep(errors, scope, action.number("seconds").unwrap_or(0), path),
        _ => {}
    }
}

fn http_get(errors: &mut Errors, get: &Value, path: &Path) {
    if get.text("path").is_empty() {
        errors.required(&path.child("path"), "");
    }
    words::port_or_name(errors, &path.child("port"), get.at("port"));
    let (schemes, scheme) = (["HTTP", "HTTPS"], get.text("scheme"));
    if !schemes.contains(&scheme) {
        errors.not_supported(&path.child("scheme"), scheme, &schemes);
    }
    for header in get.items("httpHeaders") {
        let name = header.text("name");
        errors.invalid_each(&path.child("httpHeaders"), name, words::header_name(name));
    }
}

fn sleep(errors: &mut Errors, scope: &Scope<'_>, seconds: i64, path: &Path) {
    if let Some(grace) = scope.grace_period()
        && !(0..=grace).contains(&seconds)
    {
        errors.invalid(
            path,
            seconds,
            format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})"),
        );
    }
}

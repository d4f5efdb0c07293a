//! What depends on the operating system of the node.

use super::{Scope, visit};
use crate::field::path::{Errors, Path};
use crate::field::read::Read;

/// `spec.os` and the fields that it rules out.
pub(crate) fn validate(errors: &mut Errors, scope: &Scope<'_>) {
    if !scope.spec.has("os") {
        return;
    }
    let (path, name) = (scope.path.child("os"), scope.spec.at("os").text("name"));
    match name {
        "" => errors.required(&path.child("name"), ""),
        "linux" => linux(errors, scope),
        "windows" => windows(errors, scope),
        _ => errors.not_supported(&path, name, &["linux", "windows"]),
    }
}

fn linux(errors: &mut Errors, scope: &Scope<'_>) {
    const TEXT: &str = "windows options cannot be set for a linux pod";
    let context = scope.path.child("securityContext").child("windowsOptions");
    if scope.spec.at("securityContext").has("windowsOptions") {
        errors.forbidden(&context, TEXT);
    }
    for (container, path) in visit(scope.spec, &scope.path) {
        if container.at("securityContext").has("windowsOptions") {
            let path = path.child("securityContext").child("windowsOptions");
            errors.forbidden(&path, TEXT);
        }
    }
}

fn windows(errors: &mut Errors, scope: &Scope<'_>) {
    const TEXT: &str = "cannot be set for a windows pod";
    for key in ["hostUsers", "hostPID", "hostIPC", "shareProcessNamespace"] {
        let set = match key {
            "hostPID" | "hostIPC" => scope.spec.flag(key) == Some(true),
            _ => scope.spec.has(key),
        };
        if set {
            errors.forbidden(&scope.path.child(key), TEXT);
        }
    }
    let (context, path) = (
        scope.spec.at("securityContext"),
        scope.path.child("securityContext"),
    );
    for key in [
        "appArmorProfile",
        "seLinuxOptions",
        "seccompProfile",
        "fsGroup",
        "fsGroupChangePolicy",
        "sysctls",
        "runAsUser",
        "runAsGroup",
        "supplementalGroups",
        "supplementalGroupsPolicy",
        "seLinuxChangePolicy",
    ] {
        if context.has(key) {
            errors.forbidden(&path.child(key), TEXT);
        }
    }
    for (container, path) in visit(scope.spec, &scope.path) {
        for key in [
            "appArmorProfile",
            "seLinuxOptions",
            "seccompProfile",
            "capabilities",
            "readOnlyRootFilesystem",
            "privileged",
            "allowPrivilegeEscalation",
            "procMount",
            "runAsUser",
            "runAsGroup",
        ] {
            if container.at("securityContext").has(key) {
                errors.forbidden(&path.child("securityContext").child(key), TEXT);
            }
        }
    }
}

/// Signals by which a container can be stopped on Linux, without `SIG`.
const SIGNALS: [&str; 34] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL",
    "PIPE", "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP",
    "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
];

/// `lifecycle.stopSignal`
pub(crate) fn stop_signal(errors: &mut Errors, scope: &Scope<'_>, signal: &str, path: &Path) {
    let mut supported: Vec<String> = match scope.spec.at("os").text("name") {
        "windows" => vec!["SIGKILL".to_owned(), "SIGTERM".to_owned()],
        "linux" => linux_signals(),
        "" => {
            let text = "may not be set for containers with empty `spec.os.name`";
            errors.forbidden(path, text);
            return;
        }
        _ => return,
    };
    supported.sort();
    if !supported.iter().any(|name| name == signal) {
        let names: Vec<&str> = supported.iter().map(String::as_str).collect();
        errors.not_supported(path, signal, &names);
    }
}

fn linux_signals() -> Vec<String> {
    let mut names: Vec<String> = SIGNALS.iter().map(|name| format!("SIG{name}")).collect();
    names.extend(["SIGRTMIN", "SIGRTMAX"].map(str::to_owned));
    names.extend((1..=15).map(|i| format!("SIGRTMIN+{i}")));
    names.extend((1..=14).map(|i| format!("SIGRTMAX-{i}")));
    names
}

/// Windows host processes: all containers or none, and on the host's network.
pub(crate) fn host_process(errors: &mut Errors, scope: &Scope<'_>) {
    let option = |context: &serde_json::Value| context.at("windowsOptions").flag("hostProcess");
    let pod = option(scope.spec.at("securityContext"));
    let (mut all, mut host) = (0, 0);
    for (container, path) in visit(scope.spec, &scope.path) {
        all += 1;
        let own = option(container.at("securityContext"));
        if let (Some(pod), Some(own)) = (pod, own)
            && pod != own
        {
            let context = path.child("securityContext").child("windowsOptions");
            errors.invalid(
                &context.child("hostProcess"),
                own,
                format!("pod hostProcess value must be identical if both are specified, was {pod}"),
            );
        }
        if own.or(pod) == Some(true) {
            host += 1;
        }
    }
    if host == 0 {
        return;
    }
    if host != all {
        errors.invalid(
            &scope.path,
            "",
            "If pod contains any hostProcess containers then all containers must be HostProcess \
             containers",
        );
    }
    if scope.spec.flag("hostNetwork") != Some(true) {
        errors.invalid(
            &scope.path.child("hostNetwork"),
            false,
            "hostNetwork must be true if pod contains any hostProcess containers",
        );
    }
}

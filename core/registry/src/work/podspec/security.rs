//! Security contexts of pods and containers, and the old annotations for the same.

use super::{Scope, visit};
use crate::field::path::{Errors, Path, go_struct};
use crate::field::read::Read;
use crate::field::{names, words};
use model::go_quote;
use serde_json::Value;

/// `spec.securityContext`
pub(crate) fn pod(errors: &mut Errors, scope: &Scope<'_>) {
    let (context, path) = (
        scope.spec.at("securityContext"),
        scope.path.child("securityContext"),
    );
    for key in ["fsGroup", "runAsUser", "runAsGroup"] {
        if let Some(id) = context.number(key) {
            numeric_id(errors, &path.child(key), id);
        }
    }
    for (i, group) in context.items("supplementalGroups").iter().enumerate() {
        let path = path.child("supplementalGroups").index(i);
        numeric_id(errors, &path, group.as_i64().unwrap_or(0));
    }
    let shares = scope.spec.flag("shareProcessNamespace") == Some(true);
    if shares && scope.spec.flag("hostPID") == Some(true) {
        errors.invalid(
            &path.child("shareProcessNamespace"),
            true,
            "ShareProcessNamespace and HostPID cannot both be enabled",
        );
    }
    sysctls(errors, scope, context, &path.child("sysctls"));
    let policies = [
        ("fsGroupChangePolicy", &["Always", "OnRootMismatch"]),
        ("supplementalGroupsPolicy", &["Merge", "Strict"]),
    ];
    for (key, supported) in policies {
        if let Some(policy) = context.optional_text(key)
            && !supported.contains(&policy)
        {
            errors.not_supported(&path.child(key), policy, supported);
        }
    }
    seccomp(
        errors,
        context.at("seccompProfile"),
        &path.child("seccompProfile"),
    );
    windows_options(
        errors,
        context.at("windowsOptions"),
        &path.child("windowsOptions"),
    );
    app_armor(
        errors,
        context.at("appArmorProfile"),
        &path.child("appArmorProfile"),
    );
    selinux_policy(errors, scope, context, &path.child("seLinuxChangePolicy"));
}

fn selinux_policy(errors: &mut Errors, scope: &Scope<'_>, context: &Value, path: &Path) {
    let Some(policy) = context.optional_text("seLinuxChangePolicy") else {
        return;
    };
    let all = ["MountOption", "Recursive"];
    let supported = if scope.options.loose.selinux_policy {
        &all[..]
    } else {
        &all[1..]
    };
    if !supported.contains(&policy) {
        errors.not_supported(path, policy, supported);
    }
}

/// User and group ids.
pub(crate) fn numeric_id(errors: &mut Errors, path: &Path, id: i64) {
    for text in names::in_range(id, 0, i64::from(i32::MAX)) {
        errors.invalid(path, id, text);
    }
}

fn sysctls(errors: &mut Errors, scope: &Scope<'_>, context: &Value, list: &Path) {
    let mut seen = std::collections::BTreeSet::new();
    for (i, sysctl) in context.items("sysctls").iter().enumerate() {
        let (path, name) = (list.index(i).child("name"), sysctl.text("name"));
        if name.is_empty() {
            errors.required(&path, "");
        } else if !is_sysctl(name) {
            errors.invalid(
                &path,
                name,
                "must have at most 253 characters and match regex \
                 ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$",
            );
        } else if seen.contains(name) {
            errors.duplicate(&path, name);
        }
        if !scope.options.loose.sysctls
            && let Some(flag) = shared_with_host(scope.spec, name)
        {
            let text = format!("may not be specified when '{flag}' is true");
            errors.invalid(&path, name, text);
        }
        seen.insert(name);
    }
}

fn is_sysctl(name: &str) -> bool {
    let edge = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let segment = |text: &str| {
        let bytes = text.as_bytes();
        bytes.first().is_some_and(|b| edge(*b))
            && bytes.last().is_some_and(|b| edge(*b))
            && bytes.iter().all(|b| edge(*b) || matches!(b, b'-' | b'_'))
    };
    name.len() <= 253 && name.split(['.', '/']).all(segment)
}

/// The host namespace flag that a sysctl would reach through, if any.
fn shared_with_host(spec: &Value, sysctl: &str) -> Option<&'static str> {
    const IPC: [&str; 10] = [
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
        "kernel.shm",
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.msg",
    ];
    let dotted = normal_sysctl(sysctl);
    let name = dotted.split('*').next().unwrap_or_default();
    let flag = if IPC.contains(&name) || name.starts_with("fs.mqueue.") {
        "hostIPC"
    } else if name.starts_with("net.") {
        "hostNetwork"
    } else {
        return None;
    };
    (spec.flag(flag) == Some(true)).then_some(flag)
}

/// `net/ipv4/x` and `net.ipv4.x` are the same; in the first form dots stand for slashes.
fn normal_sysctl(sysctl: &str) -> String {
    match sysctl.find(['.', '/']) {
        Some(at) if sysctl.as_bytes().get(at) == Some(&b'/') => sysctl
            .chars()
            .map(|c| match c {
                '/' => '.',
                '.' => '/',
                c => c,
            })
            .collect(),
        _ => sysctl.to_owned(),
    }
}

/// True when a stored spec sets a sysctl of a namespace that it shares with the host.
pub(crate) fn has_host_sysctl(spec: &Value) -> bool {
    let sysctls = spec.at("securityContext").items("sysctls");
    let mut names = sysctls.iter().map(|sysctl| sysctl.text("name"));
    names.any(|name| shared_with_host(spec, name).is_some())
}

/// `securityContext` of a container.
pub(crate) fn container(errors: &mut Errors, context: &Value, path: &Path, host_users: bool) {
    if context.is_null() {
        return;
    }
    for key in ["runAsUser", "runAsGroup"] {
        if let Some(id) = context.number(key) {
            numeric_id(errors, &path.child(key), id);
        }
    }
    if let Some(mount) = context.optional_text("procMount") {
        let (path, kinds) = (path.child("procMount"), ["Default", "Unmasked"]);
        if !kinds.contains(&mount) {
            errors.not_supported(&path, mount, &kinds);
        }
        if host_users && mount == "Unmasked" {
            errors.invalid(&path, mount, "`hostUsers` must be false to use `Unmasked`");
        }
    }
    seccomp(
        errors,
        context.at("seccompProfile"),
        &path.child("seccompProfile"),
    );
    escalation(errors, context, path);
    windows_options(
        errors,
        context.at("windowsOptions"),
        &path.child("windowsOptions"),
    );
    app_armor(
        errors,
        context.at("appArmorProfile"),
        &path.child("appArmorProfile"),
    );
}

fn escalation(errors: &mut Errors, context: &Value, path: &Path) {
    if context.flag("allowPrivilegeEscalation") != Some(false) {
        return;
    }
    let mut refuse = |what: &str| {
        let text = format!("cannot set `allowPrivilegeEscalation` to false and {what}");
        errors.invalid_shown(path, go_context(context), &text);
    };
    if context.flag("privileged") == Some(true) {
        refuse("`privileged` to true");
    }
    let added = context.at("capabilities").texts("add");
    if added.contains(&"CAP_SYS_ADMIN") {
        refuse("`capabilities.Add` CAP_SYS_ADMIN");
    }
}

/// The context as Go prints its internal form.
fn go_context(context: &Value) -> String {
    let raw = |key: &str| context.at(key).to_string();
    let capabilities = context.at("capabilities");
    let nested = |key: &str, fields: &[(&'static str, &'static str)]| {
        let inner = context.at(key);
        if inner.is_null() {
            return "null".to_owned();
        }
        let shown: Vec<(&str, String)> = fields
            .iter()
            .map(|(go, json)| (*go, inner.at(json).to_string()))
            .collect();
        go_struct(&shown)
    };
    let profile = [("Type", "type"), ("LocalhostProfile", "localhostProfile")];
    let selinux = || {
        let inner = context.at("seLinuxOptions");
        if inner.is_null() {
            return "null".to_owned();
        }
        let text = |key: &str| go_quote(inner.text(key));
        go_struct(&[
            ("User", text("user")),
            ("Role", text("role")),
            ("Type", text("type")),
            ("Level", text("level")),
        ])
    };
    go_struct(&[
        (
            "Capabilities",
            if capabilities.is_null() {
                "null".to_owned()
            } else {
                nested("capabilities", &[("Add", "add"), ("Drop", "drop")])
            },
        ),
        ("Privileged", raw("privileged")),
        ("SELinuxOptions", selinux()),
        (
            "WindowsOptions",
            nested(
                "windowsOptions",
                &[
                    ("GMSACredentialSpecName", "gmsaCredentialSpecName"),
                    ("GMSACredentialSpec", "gmsaCredentialSpec"),
                    ("RunAsUserName", "runAsUserName"),
                    ("HostProcess", "hostProcess"),
                ],
            ),
        ),
        ("RunAsUser", raw("runAsUser")),
        ("RunAsGroup", raw("runAsGroup")),
        ("RunAsNonRoot", raw("runAsNonRoot")),
        ("ReadOnlyRootFilesystem", raw("readOnlyRootFilesystem")),
        ("AllowPrivilegeEscalation", raw("allowPrivilegeEscalation")),
        ("ProcMount", raw("procMount")),
        ("SeccompProfile", nested("seccompProfile", &profile)),
        ("AppArmorProfile", nested("appArmorProfile", &profile)),
    ])
}

const PROFILES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];

fn seccomp(errors: &mut Errors, profile: &Value, path: &Path) {
    if profile.is_null() {
        return;
    }
    let (kind, file) = (
        profile.text("type"),
        profile.optional_text("localhostProfile"),
    );
    let file_path = path.child("localhostProfile");
    if kind.is_empty() {
        errors.required(
            &path.child("type"),
            "type is required when seccompProfile is set",
        );
    } else if !PROFILES.contains(&kind) {
        errors.not_supported(&path.child("type"), kind, &PROFILES);
    }
    match (kind, file) {
        ("Localhost", None) => {
            errors.required(&file_path, "must be set when seccomp type is Localhost");
        }
        ("Localhost", Some(file)) => words::descending_path(errors, &file_path, file),
        (_, Some(file)) => {
            let shown = go_struct(&[
                ("Type", go_quote(kind)),
                ("LocalhostProfile", go_quote(file)),
            ]);
            let text = "can only be set when seccomp type is Localhost";
            errors.invalid_shown(&file_path, shown, text);
        }
        (_, None) => {}
    }
}

fn app_armor(errors: &mut Errors, profile: &Value, path: &Path) {
    const NEEDED: &str = "must be set when AppArmor type is Localhost";
    if profile.is_null() {
        return;
    }
    let (kind, file) = (
        profile.text("type"),
        profile.optional_text("localhostProfile"),
    );
    let file_path = path.child("localhostProfile");
    match (kind, file) {
        ("Localhost", None) => errors.required(&file_path, NEEDED),
        ("Localhost", Some(file)) => {
            if file.trim() != file {
                errors.invalid(&file_path, file, "must not be padded with whitespace");
            } else if file.is_empty() {
                errors.required(&file_path, NEEDED);
            }
            if file.len() > 4095 {
                errors.too_long(&file_path, 4095);
            }
        }
        ("RuntimeDefault" | "Unconfined", Some(file)) => {
            let text = "can only be set when AppArmor type is Localhost";
            errors.invalid(&file_path, file, text);
        }
        ("RuntimeDefault" | "Unconfined", None) => {}
        ("", _) => {
            errors.required(
                &path.child("type"),
                "type is required when appArmorProfile is set",
            );
        }
        _ => errors.not_supported(&path.child("type"), kind, &PROFILES),
    }
}

fn windows_options(errors: &mut Errors, options: &Value, path: &Path) {
    if let Some(name) = options.optional_text("gmsaCredentialSpecName") {
        let path = path.child("gmsaCredentialSpecName");
        errors.invalid_each(&path, name, names::dns1123_subdomain(name));
    }
    if let Some(spec) = options.optional_text("gmsaCredentialSpec") {
        let path = path.child("gmsaCredentialSpec");
        if spec.is_empty() {
            errors.invalid(&path, spec, "gmsaCredentialSpec cannot be an empty string");
        } else if spec.len() > 64 * 1024 {
            errors.invalid(&path, spec, "gmsaCredentialSpec size must be under 64 KiB");
        }
    }
    if let Some(name) = options.optional_text("runAsUserName") {
        windows_user(errors, name, &path.child("runAsUserName"));
    }
}

fn windows_user(errors: &mut Errors, name: &str, path: &Path) {
    let parts: Vec<&str> = name.split('\\').collect();
    let early = if name.is_empty() {
        Some("runAsUserName cannot be an empty string")
    } else if name.chars().any(|c| c.is_ascii_control()) {
        Some("runAsUserName cannot contain control characters")
    } else if parts.len() > 2 {
        Some("runAsUserName cannot contain more than one backslash")
    } else {
        None
    };
    if let Some(text) = early {
        errors.invalid(path, name, text);
        return;
    }
    let (domain, user) = match parts.as_slice() {
        [domain, user] => (Some(*domain), *user),
        _ => (None, name),
    };
    let mut refuse = |text: &str| errors.invalid(path, name, text);
    if let Some(domain) = domain {
        if domain.len() >= 256 {
            refuse("runAsUserName's Domain length must be under 256 characters");
        }
        if !is_netbios(domain) && !is_windows_domain(domain) {
            refuse("runAsUserName's Domain doesn't match the NetBios nor the DNS format");
        }
    }
    if user.is_empty() {
        refuse("runAsUserName's User cannot be empty");
    } else if user.len() > 104 {
        refuse("runAsUserName's User length must not be longer than 104 characters");
    }
    if !user.is_empty() && user.chars().all(|c| c == '.' || c == ' ') {
        refuse("runAsUserName's User cannot contain only periods or spaces");
    }
    if user.contains(|c: char| r#""/\:;|=,+*?<>@[]"#.contains(c)) {
        refuse("runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]");
    }
}

fn is_netbios(domain: &str) -> bool {
    let bad = |c: char| r#"\/:*?"<>|"#.contains(c);
    (1..=15).contains(&domain.chars().count()) && !domain.starts_with('.') && !domain.contains(bad)
}

fn is_windows_domain(domain: &str) -> bool {
    domain.split('.').all(|label| {
        let bytes = label.as_bytes();
        let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        bytes.len() <= 63
            && edge(bytes.first())
            && edge(bytes.last())
            && bytes
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || *b == b'-')
    })
}

/// `hostUsers: false` rules out sharing other namespaces.
pub(crate) fn host_users(errors: &mut Errors, scope: &Scope<'_>) {
    const TEXT: &str = "when `hostUsers` is false";
    if scope.host_users() {
        return;
    }
    for (flag, field) in [
        ("hostNetwork", "hostNetwork"),
        ("hostPID", "HostPID"),
        ("hostIPC", "HostIPC"),
    ] {
        if scope.spec.flag(flag) == Some(true) {
            errors.forbidden(&scope.path.child(field), TEXT);
        }
    }
    if scope.options.loose.user_namespace_devices {
        return;
    }
    for (container, path) in visit(scope.spec, &scope.path) {
        if !container.items("volumeDevices").is_empty() {
            errors.forbidden(&path.child("volumeDevices"), TEXT);
        }
    }
}

/// Annotation of a container's AppArmor profile, before its name.
pub(crate) const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";

/// The annotations by themselves.
pub(crate) fn annotations(errors: &mut Errors, annotations: &Value, spec: &Value, path: &Path) {
    for (key, value) in annotations.as_object().into_iter().flatten() {
        let profile = value.as_str().unwrap_or_default();
        if key == SECCOMP_POD || key.starts_with(SECCOMP_CONTAINER) {
            seccomp_annotation(errors, profile, &path.child(key));
        }
        let Some(container) = key.strip_prefix(APP_ARMOR) else {
            continue;
        };
        let root = Path::default();
        if !visit(spec, &root).any(|(c, _)| c.text("name") == container) {
            errors.invalid(&path.key(key), container, "container not found");
        }
        let known = matches!(profile, "" | "runtime/default" | "unconfined")
            || profile.starts_with("localhost/");
        if !known {
            let text = format!("invalid AppArmor profile name: {}", go_quote(profile));
            errors.invalid(&path.key(key), profile, text);
        }
    }
}

fn seccomp_annotation(errors: &mut Errors, profile: &str, path: &Path) {
    match profile {
        "runtime/default" | "docker/default" | "unconfined" => {}
        _ => match profile.strip_prefix("localhost/") {
            Some(file) => words::descending_path(errors, path, file),
            None => errors.invalid(path, profile, "must be a valid seccomp profile"),
        },
    }
}

/// Annotations and fields that say the same thing have to agree.
pub(crate) fn annotations_match(
    errors: &mut Errors,
    metadata: &Value,
    spec: &Value,
    spec_path: &Path,
) {
    let annotations = metadata.at("annotations");
    let pod = spec.at("securityContext");
    if let Some(annotation) = annotations.optional_text(SECCOMP_POD) {
        let path = spec_path.child("securityContext").child("seccompProfile");
        agree(
            errors,
            annotation,
            pod.at("seccompProfile"),
            "seccomp",
            &path,
        );
    }
    for (container, path) in visit(spec, spec_path) {
        let (name, context) = (container.text("name"), container.at("securityContext"));
        let path = path.child("securityContext");
        let key = format!("{SECCOMP_CONTAINER}{name}");
        if let Some(annotation) = annotations.optional_text(&key) {
            let path = path.child("seccompProfile");
            agree(
                errors,
                annotation,
                context.at("seccompProfile"),
                "seccomp",
                &path,
            );
        }
        let profile = match context.at("appArmorProfile") {
            Value::Null => pod.at("appArmorProfile"),
            own => own,
        };
        let key = format!("{APP_ARMOR}{name}");
        if let Some(annotation) = annotations.optional_text(&key)
            && spec.at("os").text("name") != "windows"
        {
            agree(
                errors,
                annotation,
                profile,
                "apparmor",
                &path.child("appArmorProfile"),
            );
        }
    }
}

fn agree(errors: &mut Errors, annotation: &str, profile: &Value, what: &str, path: &Path) {
    let file = profile.optional_text("localhostProfile");
    let matches = match profile.text("type") {
        "Unconfined" => annotation == "unconfined",
        "RuntimeDefault" => {
            annotation == "runtime/default" || (what == "seccomp" && annotation == "docker/default")
        }
        "Localhost" => annotation.starts_with("localhost/"),
        _ => true,
    };
    if !matches {
        let text = format!("{what} type in annotation and field must match");
        errors.forbidden(&path.child("type"), text);
    } else if profile.text("type") == "Localhost" && annotation.strip_prefix("localhost/") != file {
        let text = format!("{what} profile in annotation and field must match");
        errors.forbidden(&path.child("localhostProfile"), text);
    }
}

/// Copies AppArmor annotations to the fields of containers that have none, on create.
pub(crate) fn app_armor_fields(metadata: &Value, spec: &mut Value) {
    if spec.at("os").text("name") == "windows" {
        return;
    }
    let pod = spec.at("securityContext").at("appArmorProfile").clone();
    for list in super::defaults::CONTAINER_LISTS {
        for container in crate::field::read::items_mut(spec, list) {
            let key = format!("{APP_ARMOR}{}", container.text("name"));
            let Some(annotation) = metadata.at("annotations").optional_text(&key) else {
                continue;
            };
            let own = container.at("securityContext").at("appArmorProfile");
            let Some(profile) = app_armor_field(annotation).filter(|p| own.is_null() && *p != pod)
            else {
                continue;
            };
            if let Some(context) = crate::field::read::ensure(container, "securityContext") {
                crate::field::read::set(context, "appArmorProfile", profile);
            }
        }
    }
}

/// The field that an AppArmor annotation stands for; `None` when it stands for none.
pub(crate) fn app_armor_field(annotation: &str) -> Option<Value> {
    use serde_json::json;
    match annotation {
        "unconfined" => Some(json!({"type": "Unconfined"})),
        "runtime/default" => Some(json!({"type": "RuntimeDefault"})),
        _ => {
            let file = annotation.strip_prefix("localhost/")?;
            let profile = json!({"type": "Localhost", "localhostProfile": file});
            let mut errors = Errors::default();
            app_armor(&mut errors, &profile, &Path::default());
            errors.0.is_empty().then_some(profile)
        }
    }
}

//! DNS settings, host aliases and the host name.

use super::Scope;
use crate::field::path::Errors;
use crate::field::read::Read;
use crate::field::{ip, names, words};

/// `spec.dnsConfig`, which `dnsPolicy: None` needs.
pub(crate) fn dns_config(errors: &mut Errors, scope: &Scope<'_>) {
    let (config, path) = (scope.spec.at("dnsConfig"), scope.path.child("dnsConfig"));
    let servers = config.texts("nameservers");
    if scope.spec.text("dnsPolicy") == "None" {
        if config.is_null() {
            errors.required(&path, "must provide `dnsConfig` when `dnsPolicy` is None");
            return;
        }
        if servers.is_empty() {
            errors.required(
                &path.child("nameservers"),
                "must provide at least one DNS nameserver when `dnsPolicy` is None",
            );
            return;
        }
    }
    if servers.len() > 3 {
        errors.invalid(
            &path.child("nameservers"),
            servers.clone(),
            "must not have more than 3 nameservers",
        );
    }
    for (i, server) in servers.iter().enumerate() {
        let path = path.child("nameservers").index(i);
        errors.extend(ip::check_ip(path.as_str(), server));
    }
    searches(errors, scope);
    for (i, option) in config.items("options").iter().enumerate() {
        if option.text("name").is_empty() {
            errors.required(&path.child("options").index(i), "must not be empty");
        }
    }
}

fn searches(errors: &mut Errors, scope: &Scope<'_>) {
    let path = scope.path.child("dnsConfig").child("searches");
    let searches = scope.spec.at("dnsConfig").texts("searches");
    if searches.len() > 32 {
        let detail = "must not have more than 32 search paths";
        errors.invalid(&path, searches.clone(), detail);
    }
    if searches.join(" ").len() > 2048 {
        errors.invalid(
            &path,
            searches.clone(),
            "must not have more than 2048 characters (including spaces) in the search list",
        );
    }
    for (i, search) in searches.iter().enumerate() {
        if *search == "." {
            continue;
        }
        let search = search.strip_suffix('.').unwrap_or(search);
        let texts = words::subdomain_with_underscore(search);
        errors.invalid_each(&path.index(i), search, texts);
    }
}

/// `spec.hostAliases`
pub(crate) fn host_aliases(errors: &mut Errors, scope: &Scope<'_>) {
    let list = scope.path.child("hostAliases");
    for (i, alias) in scope.spec.items("hostAliases").iter().enumerate() {
        let path = list.index(i);
        errors.extend(ip::check_ip(path.child("ip").as_str(), alias.text("ip")));
        for (j, name) in alias.texts("hostnames").into_iter().enumerate() {
            let path = path.child("hostnames").index(j);
            errors.invalid_each(&path, name, names::dns1123_subdomain(name));
        }
    }
}

/// `spec.hostnameOverride`
pub(crate) fn hostname_override(errors: &mut Errors, scope: &Scope<'_>) {
    let Some(name) = scope.spec.optional_text("hostnameOverride") else {
        return;
    };
    let path = scope.path.child("hostnameOverride");
    if scope.spec.flag("setHostnameAsFQDN") == Some(true) {
        errors.forbidden(&path, "may not be specified when setHostnameAsFQDN is true");
    }
    if scope.spec.flag("hostNetwork") == Some(true) {
        errors.forbidden(&path, "may not be specified when hostNetwork is true");
    }
    if name.len() > 64 {
        errors.too_long(&path, 64);
    }
    errors.invalid_each(&path, name, names::dns1123_subdomain(name));
}

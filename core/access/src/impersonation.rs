//! Acting as somebody else, with the consent of whoever grants it.
//!
//! A request may be allowed by one of several modes: the constrained ones look at what is done
//! while impersonating too (KEP-5284), the old one only at who is impersonated. The first refusal
//! is the one that is shown.
//!
//! Source: `apiserver/pkg/endpoints/filters/impersonation`.

use crate::subject::is_subdomain;
use crate::{
    ANONYMOUS, AUTHENTICATED, Attributes, MASTERS, Policy, UNAUTHENTICATED, forbidden,
    service_account_of,
};
use model::{ApiError, User, go_quote};
use std::collections::BTreeMap;

const GROUP: &str = "authentication.k8s.io";
/// From so many groups or extras on, one check for all of them is tried first.
const MANY: usize = 4;
/// Where a token says on which node its Pod runs.
const NODE_NAME: &str = "authentication.kubernetes.io/node-name";

/// Who a request wants to be, as its headers say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// `Impersonate-User`
    pub name: String,
    /// `Impersonate-Uid`
    pub uid: String,
    /// `Impersonate-Group`, in order
    pub groups: Vec<String>,
    /// `Impersonate-Extra-KEY`, keys in lower case
    pub extra: BTreeMap<String, Vec<String>>,
}

impl Wanted {
    fn only_name(&self) -> bool {
        self.uid.is_empty() && self.groups.is_empty() && self.extra.is_empty()
    }

    /// The user as Go's `%#v` prints it.
    fn go_syntax(&self) -> String {
        let strings = |list: &[String]| {
            let quoted: Vec<String> = list.iter().map(|text| go_quote(text)).collect();
            format!("[]string{{{}}}", quoted.join(", "))
        };
        let groups = match self.groups.as_slice() {
            [] => "[]string(nil)".to_owned(),
            list => strings(list),
        };
        let extra = if self.extra.is_empty() {
            "map[string][]string(nil)".to_owned()
        } else {
            let entries = self.extra.iter();
            let entries: Vec<String> = entries
                .map(|(key, values)| format!("{}:{}", go_quote(key), strings(values)))
                .collect();
            format!("map[string][]string{{{}}}", entries.join(", "))
        };
        format!(
            "&user.DefaultInfo{{Name:{}, UID:{}, Groups:{groups}, Extra:{extra}}}",
            go_quote(&self.name),
            go_quote(&self.uid)
        )
    }

    /// Whether impersonation is asked for at all.
    ///
    /// # Errors
    /// 400 when the user's name is missing.
    pub fn check(&self) -> Result<bool, ApiError> {
        if !self.name.is_empty() {
            return Ok(true);
        }
        if self.only_name() {
            return Ok(false);
        }
        let text = format!(
            "requested {} without impersonating a user name",
            self.go_syntax()
        );
        Err(ApiError::new(400, "BadRequest", text))
    }
}

/// A way to be allowed.
#[derive(Clone, Copy)]
enum Mode {
    AssociatedNode,
    ArbitraryNode,
    ServiceAccount,
    UserInfo,
    Legacy,
}

const MODES: [Mode; 5] = [
    Mode::AssociatedNode,
    Mode::ArbitraryNode,
    Mode::ServiceAccount,
    Mode::UserInfo,
    Mode::Legacy,
];

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::AssociatedNode => "associated-node",
            Self::ArbitraryNode => "arbitrary-node",
            Self::ServiceAccount => "serviceaccount",
            Self::UserInfo => "user-info",
            Self::Legacy => "",
        }
    }

    fn is_legacy(self) -> bool {
        matches!(self, Self::Legacy)
    }

    fn applies(self, user: &User, wanted: &Wanted) -> bool {
        let is_node = node_of(&wanted.name).is_some();
        let is_account = service_account_of(&wanted.name).is_some();
        match self {
            Self::AssociatedNode => wanted.only_name() && is_own_node(user, &wanted.name),
            Self::ArbitraryNode => wanted.only_name() && is_node,
            Self::ServiceAccount => wanted.only_name() && is_account,
            Self::UserInfo => !is_node && !is_account,
            Self::Legacy => true,
        }
    }
}

fn node_of(user: &str) -> Option<&str> {
    let name = user.strip_prefix("system:node:")?;
    is_subdomain(name).then_some(name)
}

/// Whether the user is a ServiceAccount whose Pod runs on that node.
fn is_own_node(user: &User, wanted: &str) -> bool {
    let Some(node) = node_of(wanted) else {
        return false;
    };
    let own = user.extra.get(NODE_NAME).map(Vec::as_slice);
    service_account_of(&user.name).is_some() && matches!(own, Some([only]) if only == node)
}

/// What a request became by impersonation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impersonated {
    /// Whom it acts as
    pub user: User,
    /// Which mode allowed it, to be tried first when the same user impersonates again
    pub mode: usize,
}

/// The user that a request acts as from here on. `first` is the mode that last allowed this user
/// to impersonate: it is tried before the others.
///
/// # Errors
/// 403 with the refusal of the first mode that could have allowed it.
pub fn impersonate(
    policy: &Policy,
    user: &User,
    wanted: &Wanted,
    asked: &Attributes,
    first: Option<usize>,
) -> Result<Impersonated, ApiError> {
    let rest = (0..MODES.len()).filter(|mode| Some(*mode) != first);
    let mut refusal = None;
    for number in first.into_iter().chain(rest) {
        let Some(mode) = MODES.get(number).filter(|mode| mode.applies(user, wanted)) else {
            continue;
        };
        let check = Check {
            policy,
            user,
            mode: *mode,
        };
        match check.run(wanted, asked) {
            Ok(user) => return Ok(Impersonated { user, mode: number }),
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    Err(refusal.unwrap_or_else(|| ApiError::new(500, "", "all impersonation modes failed")))
}

struct Check<'a> {
    policy: &'a Policy,
    user: &'a User,
    mode: Mode,
}

impl Check<'_> {
    fn run(&self, wanted: &Wanted, asked: &Attributes) -> Result<User, ApiError> {
        if !self.mode.is_legacy() {
            let mut on = asked.clone();
            on.verb = format!("impersonate-on:{}:{}", self.mode.name(), asked.verb);
            self.authorize(&on)?;
        }
        let mut groups = self.name(wanted)?;
        if !wanted.uid.is_empty() {
            self.authorize(&self.about(GROUP, "uids", &wanted.uid))?;
        }
        self.groups(&wanted.groups)?;
        self.extra(&wanted.extra)?;
        complete(&wanted.name, &mut groups);
        Ok(User {
            name: wanted.name.clone(),
            uid: wanted.uid.clone(),
            groups,
            extra: wanted.extra.clone(),
        })
    }

    fn authorize(&self, asked: &Attributes) -> Result<(), ApiError> {
        let decision = self.policy.authorize(self.user, asked);
        if decision.allowed {
            return Ok(());
        }
        Err(forbidden(self.user, asked, &decision.reason))
    }

    fn about(&self, group: &str, resource: &str, name: &str) -> Attributes {
        let verb = match self.mode {
            Mode::Legacy => "impersonate".to_owned(),
            mode => format!("impersonate:{}", mode.name()),
        };
        Attributes {
            verb,
            group: group.to_owned(),
            resource: resource.to_owned(),
            name: name.to_owned(),
            is_resource: true,
            ..Attributes::default()
        }
    }

    /// Users and groups of the old mode are of the core group.
    fn main_group(&self) -> &'static str {
        if self.mode.is_legacy() { "" } else { GROUP }
    }

    /// Checks the name and gives the groups that come with it.
    fn name(&self, wanted: &Wanted) -> Result<Vec<String>, ApiError> {
        let mut groups = wanted.groups.clone();
        let mut asked = self.about(self.main_group(), "users", &wanted.name);
        if let (false, Some(node)) = (self.mode.is_legacy(), node_of(&wanted.name)) {
            asked.resource = "nodes".to_owned();
            asked.name = match self.mode {
                // What was allowed for one node of its own is allowed for each.
                Mode::AssociatedNode => "*".to_owned(),
                _ => node.to_owned(),
            };
            groups = vec!["system:nodes".to_owned()];
        }
        if let Some((namespace, name)) = service_account_of(&wanted.name) {
            asked.resource = "serviceaccounts".to_owned();
            asked.namespace = namespace.to_owned();
            asked.name = name.to_owned();
            if groups.is_empty() {
                groups = crate::subject::account_groups(namespace);
            }
        }
        self.authorize(&asked)?;
        Ok(groups)
    }

    fn groups(&self, groups: &[String]) -> Result<(), ApiError> {
        let mut asked = self.about(self.main_group(), "groups", "");
        if !self.mode.is_legacy() && !groups.is_empty() {
            let refuse = |asked: &Attributes, why| Err(forbidden(self.user, asked, why));
            if groups.iter().any(String::is_empty) {
                return refuse(
                    &asked,
                    "impersonating the empty string group is not allowed",
                );
            }
            if groups.iter().any(|group| group == MASTERS) {
                asked.name = MASTERS.to_owned();
                return refuse(
                    &asked,
                    "impersonating the system:masters group is not allowed",
                );
            }
            asked.name = "*".to_owned();
            if groups.len() >= MANY && self.authorize(&asked).is_ok() {
                return Ok(());
            }
        }
        for group in groups {
            asked.name = group.clone();
            self.authorize(&asked)?;
        }
        Ok(())
    }

    fn extra(&self, extra: &BTreeMap<String, Vec<String>>) -> Result<(), ApiError> {
        let mut asked = self.about(GROUP, "userextras", "");
        if !self.mode.is_legacy() && !extra.is_empty() {
            check_extra(extra).map_err(|why| forbidden(self.user, &asked, &why))?;
            let many = extra.len() >= MANY || extra.values().map(Vec::len).sum::<usize>() >= MANY;
            asked.subresource = "*".to_owned();
            asked.name = "*".to_owned();
            if many && self.authorize(&asked).is_ok() {
                return Ok(());
            }
        }
        for (key, values) in extra {
            asked.subresource = key.clone();
            for value in values {
                asked.name = value.clone();
                self.authorize(&asked)?;
            }
        }
        Ok(())
    }
}

/// Adds the group that everyone, or everyone unknown, is in.
fn complete(name: &str, groups: &mut Vec<String>) {
    let has = |groups: &[String], group: &str| groups.iter().any(|g| g == group);
    let missing = if name == ANONYMOUS {
        UNAUTHENTICATED
    } else if has(groups, UNAUTHENTICATED) {
        return;
    } else {
        AUTHENTICATED
    };
    if !has(groups, missing) {
        groups.push(missing.to_owned());
    }
}

/// What the constrained modes want of extras; the old one takes any.
fn check_extra(extra: &BTreeMap<String, Vec<String>>) -> Result<(), String> {
    for (key, values) in extra {
        if key.is_empty() {
            return Err("impersonating the empty string key in extra is not allowed".to_owned());
        }
        if let Some(why) = domain_path_problem(key) {
            return Err(format!(
                "impersonating an invalid key in extra is not allowed: {why}"
            ));
        }
        if values.iter().any(String::is_empty) {
            return Err("impersonating the empty string value in extra is not allowed".to_owned());
        }
    }
    Ok(())
}

/// Why a key is not `domain/path` (`IsDomainPrefixedPath`).
fn domain_path_problem(key: &str) -> Option<String> {
    let value = go_quote(key);
    let invalid = |why: &str| Some(format!("extra.key: Invalid value: {value}: {why}"));
    let Some((host, path)) = key
        .split_once('/')
        .filter(|(host, path)| !host.is_empty() && !path.is_empty())
    else {
        return invalid("must be a domain-prefixed path (such as \"acme.io/foo\")");
    };
    if !is_subdomain(host) {
        let host = go_quote(host);
        return Some(format!(
            "extra.key: Invalid value: {host}: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
        ));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:/%@".contains(c);
    if path.chars().all(fits) {
        return None;
    }
    let path = go_quote(path);
    Some(format!(
        "extra.key: Invalid value: {path}: Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')"
    ))
}

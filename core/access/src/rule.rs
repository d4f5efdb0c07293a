//! One rule of a role (`rbac.authorization.k8s.io/v1` PolicyRule).

use crate::Attributes;
use model::go_quote;
use serde::{Deserialize, Deserializer, Serialize};

/// What a role grants: verbs on resources, or on paths that name no resources.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rule {
    /// `apiGroups`; `""` is the core group, `*` any
    #[serde(deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub api_groups: Vec<String>,
    /// `nonResourceURLs`; a trailing `*` stands for anything
    #[serde(
        rename = "nonResourceURLs",
        deserialize_with = "list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub non_resource_urls: Vec<String>,
    /// `resourceNames`; none means all
    #[serde(deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub resource_names: Vec<String>,
    /// `resources`: `pods`, `pods/log`, `*/scale`, `*`
    #[serde(deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// `verbs`; `*` is any
    #[serde(deserialize_with = "list")]
    pub verbs: Vec<String>,
}

fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

pub(crate) fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|item| item == wanted)
}

pub(crate) fn has_or_any(list: &[String], wanted: &str) -> bool {
    list.iter().any(|item| item == "*" || item == wanted)
}

/// Whether a path of a rule, which may end in `*`, stands for `path`.
pub(crate) fn path_matches(rule: &str, path: &str) -> bool {
    rule == path || rule.ends_with('*') && path.starts_with(rule.trim_end_matches('*'))
}

impl Rule {
    /// Whether the rule grants what is asked.
    pub fn allows(&self, asked: &Attributes) -> bool {
        if !has_or_any(&self.verbs, &asked.verb) {
            return false;
        }
        if !asked.is_resource {
            let urls = self.non_resource_urls.iter();
            return urls.into_iter().any(|url| path_matches(url, &asked.path));
        }
        has_or_any(&self.api_groups, &asked.group)
            && self.covers_resource(&asked.resource, &asked.subresource)
            && (self.resource_names.is_empty() || has(&self.resource_names, &asked.name))
    }

    fn covers_resource(&self, resource: &str, subresource: &str) -> bool {
        self.resources.iter().any(|rule| {
            if rule == "*" {
                return true;
            }
            if subresource.is_empty() {
                return rule == resource;
            }
            match rule.split_once('/') {
                Some((main, sub)) => sub == subresource && (main == "*" || main == resource),
                None => false,
            }
        })
    }

    /// The rule as refusals to grant it show it.
    pub fn compact_text(&self) -> String {
        let parts = [
            ("APIGroups", &self.api_groups),
            ("Resources", &self.resources),
            ("NonResourceURLs", &self.non_resource_urls),
            ("ResourceNames", &self.resource_names),
            ("Verbs", &self.verbs),
        ];
        let parts = parts.iter().filter(|(_, list)| !list.is_empty());
        let texts: Vec<String> = parts
            .map(|(name, list)| format!("{name}:{}", go_list(list)))
            .collect();
        format!("{{{}}}", texts.join(", "))
    }
}

/// A list as Go's `%q` prints it.
pub(crate) fn go_list(list: &[String]) -> String {
    let quoted: Vec<String> = list.iter().map(|text| go_quote(text)).collect();
    format!("[{}]", quoted.join(" "))
}

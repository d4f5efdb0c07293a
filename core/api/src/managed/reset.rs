//! Fields that a path cannot write, so that who writes there does not come to own them
//! (`GetResetFields` of the kinds' strategies).

use model::Resource;
use schema::Kind;
use schema::typed::FieldSet;

/// What is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reset {
    /// Nothing
    None,
    /// These paths and all below them
    Out(&'static [&'static [&'static str]]),
    /// All but what is below these paths
    Except(&'static [&'static [&'static str]]),
}

const STATUS: Reset = Reset::Out(&[&["status"]]);
const SPEC: Reset = Reset::Out(&[&["spec"]]);
const SPEC_AND_META: Reset = Reset::Out(&[&["spec"], &["metadata"]]);

impl Reset {
    /// For writes of a kind at the path of a subresource; empty for the main one.
    pub(crate) fn new(kind: &Kind, subresource: &str) -> Self {
        match subresource {
            "" if kind.subresource("status").is_some() => STATUS,
            "finalize" => STATUS,
            "status" => status(kind),
            "ephemeralcontainers" => Self::Except(&[&["spec", "ephemeralContainers"]]),
            "resize" => Self::Except(&[
                &["spec", "containers", "*", "resources"],
                &["spec", "containers", "*", "resizePolicy"],
                &["spec", "initContainers", "*", "resources"],
                &["spec", "initContainers", "*", "resizePolicy"],
            ]),
            _ => Self::None,
        }
    }

    /// Takes out of a set what the path cannot write.
    pub(crate) fn filter(&self, set: &mut FieldSet<'_>) {
        match self {
            Self::None => {}
            Self::Out(paths) => {
                for path in *paths {
                    set.subtract_deep(&FieldSet::of_path(path));
                }
            }
            Self::Except(patterns) => set.keep_below(patterns),
        }
    }
}

fn status(kind: &Kind) -> Reset {
    if kind.custom().is_some() {
        return SPEC_AND_META;
    }
    match kind.resource {
        Resource::DEPLOYMENTS => Reset::Out(&[&["spec"], &["metadata", "labels"]]),
        Resource::PODS => Reset::Out(&[
            &["spec"],
            &["metadata", "deletionTimestamp"],
            &["metadata", "ownerReferences"],
        ]),
        Resource::SERVICE_CIDRS => SPEC_AND_META,
        other if other.plural() == "validatingadmissionpolicies" => SPEC_AND_META,
        _ => SPEC,
    }
}

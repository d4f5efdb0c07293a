//! Which objects a list or watch is about.

use crate::query::ListOptions;
use crate::selector::{FieldSelector, LabelSelector};
use crate::{answer, route::ResourcePath};
use model::{ApiError, Object, Resource};
use registry::Rules;
use schema::Kind;
use std::borrow::Cow;

/// A resource, a namespace or all, and the selectors of a request.
#[derive(Clone)]
pub struct Selection {
    /// Where the objects are stored
    pub resource: Resource,
    /// One namespace, or all
    pub namespace: Option<String>,
    labels: LabelSelector,
    fields: FieldSelector,
    rules: Rules,
}

impl Selection {
    /// Puts path and options together.
    ///
    /// # Errors
    /// 400 for fields that cannot be selected by.
    pub fn new(path: &ResourcePath, options: &ListOptions) -> Result<Self, ApiError> {
        let kind = &path.kind;
        let mut fields = options.fields.clone();
        let rules = registry::strategy(kind);
        check_fields(kind, &rules, &fields)?;
        if !path.name.is_empty() {
            if fields
                .exact("metadata.name")
                .is_some_and(|name| name != path.name)
            {
                let text = "fieldSelector metadata.name doesn't match requested name";
                return Err(answer::bad_request(text));
            }
            fields = fields.and(FieldSelector::name(&path.name));
        }
        if kind.group == "events.k8s.io" {
            fields.rename(crate::events::stored_field);
        }
        Ok(Self {
            resource: kind.resource,
            namespace: (kind.namespaced && !path.namespace.is_empty())
                .then(|| path.namespace.clone()),
            labels: options.labels.clone(),
            fields,
            rules,
        })
    }

    /// Whether there are no selectors.
    pub fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether the object is in the selection; it is of the right resource.
    pub fn matches(&self, object: &Object) -> bool {
        let here = self.namespace.as_deref();
        if here.is_some_and(|namespace| namespace != &*object.meta.namespace)
            || !self.labels.matches(&object.meta.labels)
        {
            return false;
        }
        self.fields.is_empty() || self.fields_match(object)
    }

    fn fields_match(&self, object: &Object) -> bool {
        let simple = |field: &str| matches!(field, "metadata.name" | "metadata.namespace");
        let value = (!self.fields.fields().all(simple)).then(|| object.value());
        let extra = value
            .as_ref()
            .map(|value| self.rules.selectable_fields(value));
        let extra = extra.unwrap_or_default();
        self.fields.matches(|field| match field {
            "metadata.name" => Cow::Borrowed(&*object.meta.name),
            "metadata.namespace" => Cow::Borrowed(&*object.meta.namespace),
            other => {
                let found = extra.iter().find(|(name, _)| *name == other);
                Cow::Owned(found.map(|(_, value)| value.clone()).unwrap_or_default())
            }
        })
    }
}

fn check_fields(kind: &Kind, rules: &Rules, fields: &FieldSelector) -> Result<(), ApiError> {
    let known = |field: &str| {
        field == "metadata.name"
            || (field == "metadata.namespace" && (kind.namespaced || kind.custom().is_none()))
            || rules.is_selectable(field)
            || (kind.group == "events.k8s.io" && crate::events::stored_field(field).is_some())
    };
    let Some(unknown) = fields.fields().find(|field| !known(field)) else {
        return Ok(());
    };
    Err(answer::bad_request(
        if rules.selectable_names().is_empty() && kind.custom().is_none() {
            format!(
                "{unknown:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
            )
        } else {
            format!("field label not supported: {unknown}")
        },
    ))
}

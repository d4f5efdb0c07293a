//! Ingresses (networking.k8s.io/v1).

use super::fields::{
    annotation, child, first_generation, items, next_generation, same, set_text, text,
};
use super::ingress_rules::{Lenience, check_spec};
use super::load_balancer_status::{self, check_ingress, entries};
use crate::field::names;
use crate::{Context, Strategy, Subresource};
use model::{ApiError, FieldError, Resource};
use serde_json::{Value, json};
use std::cmp::Reverse;

const CLASS: &str = "kubernetes.io/ingress.class";
const DEFAULT_CLASS: &str = "ingressclass.kubernetes.io/is-default-class";

/// The rules of Ingresses.
pub(crate) struct Ingresses;

impl Strategy for Ingresses {
    fn prepare_create(&self, object: &mut Value, _: &Context<'_>) {
        object["status"] = json!({"loadBalancer": {}});
        first_generation(object);
    }

    fn prepare_update(&self, object: &mut Value, old: &Value, _: &Context<'_>) {
        let stored = old.get("status").cloned();
        object["status"] = stored.unwrap_or_else(|| json!({"loadBalancer": {}}));
        let changed = !same(object.get("spec"), old.get("spec"));
        next_generation(object, old, changed);
    }

    /// The plugin DefaultIngressClass: an Ingress that is created without a class gets the newest
    /// of the default ones.
    fn admit(
        &self,
        object: &mut Value,
        old: Option<&Value>,
        context: &Context<'_>,
    ) -> Result<(), ApiError> {
        let class = object["spec"].get("ingressClassName");
        let chosen =
            class.is_some_and(|class| !class.is_null()) || annotation(object, CLASS).is_some();
        if old.is_some() || chosen {
            return Ok(());
        }
        if let Some(class) = default_class(context) {
            set_text(child(object, "spec"), "ingressClassName", &class);
        }
        Ok(())
    }

    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        names::subdomain_name(name, prefix)
    }

    fn validate(&self, object: &Value, _: &Context<'_>) -> Vec<FieldError> {
        let mut errors = check_spec(&object["spec"], Lenience::default());
        let field = object["spec"]
            .get("ingressClassName")
            .and_then(Value::as_str);
        if let (Some(annotation), Some(field)) = (annotation(object, CLASS), field)
            && annotation != field
        {
            errors.push(FieldError::invalid(
                format!("annotations.{CLASS}"),
                &annotation.into(),
                "must match `ingressClassName` when both are specified",
            ));
        }
        errors
    }

    fn validate_update(&self, object: &Value, old: &Value, _: &Context<'_>) -> Vec<FieldError> {
        check_spec(&object["spec"], Lenience::towards(&old["spec"]))
    }

    fn validate_subresource(
        &self,
        subresource: Subresource,
        object: &Value,
        old: &Value,
        _: &Context<'_>,
    ) -> Vec<FieldError> {
        if subresource != Subresource::Status {
            return Vec::new();
        }
        let all = entries(object).iter().enumerate();
        all.flat_map(|(i, entry)| {
            let field = format!("status.loadBalancer.ingress[{i}]");
            check_ingress(&field, entry, entries(old))
        })
        .collect()
    }

    fn warnings(&self, object: &Value, old: Option<&Value>, _: &Context<'_>) -> Vec<String> {
        let class = object["spec"].get("ingressClassName");
        let only_annotation =
            annotation(object, CLASS).is_some() && class.is_none_or(Value::is_null);
        if old.is_some() || !only_annotation {
            return Vec::new();
        }
        vec![format!(
            "annotation \"{CLASS}\" is deprecated, please use 'spec.ingressClassName' instead"
        )]
    }

    fn subresource_warnings(
        &self,
        _: Subresource,
        object: &Value,
        _: &Value,
        _: &Context<'_>,
    ) -> Vec<String> {
        load_balancer_status::warnings(object)
    }
}

/// The newest default class; the first by name of equally new ones.
fn default_class(context: &Context<'_>) -> Option<String> {
    let classes = context.view.list(Resource::INGRESS_CLASSES, None);
    let defaults = classes.iter().filter(|class| {
        let mark = class.meta.annotations.get(DEFAULT_CLASS);
        mark.is_some_and(|mark| mark == "true")
    });
    // RFC 3339 in UTC sorts as text.
    defaults
        .min_by_key(|class| {
            (
                Reverse(class.meta.creation_timestamp.clone()),
                &class.meta.name,
            )
        })
        .map(|class| class.meta.name.to_string())
}

/// The rules of IngressClasses.
pub(crate) struct IngressClasses;

impl Strategy for IngressClasses {
    fn default(&self, object: &mut Value) {
        let parameters = object.pointer_mut("/spec/parameters");
        if let Some(Value::Object(parameters)) = parameters
            && parameters.get("scope").is_none_or(Value::is_null)
        {
            parameters.insert("scope".to_owned(), "Cluster".into());
        }
    }

    fn prepare_create(&self, object: &mut Value, _: &Context<'_>) {
        first_generation(object);
    }

    fn prepare_update(&self, object: &mut Value, old: &Value, _: &Context<'_>) {
        let changed = !same(object.get("spec"), old.get("spec"));
        next_generation(object, old, changed);
    }

    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        names::subdomain_name(name, prefix)
    }

    fn validate(&self, object: &Value, _: &Context<'_>) -> Vec<FieldError> {
        super::ingress_class_rules::check_spec(&object["spec"])
    }

    fn validate_update(
        &self,
        object: &Value,
        old: &Value,
        context: &Context<'_>,
    ) -> Vec<FieldError> {
        let controller = text(&object["spec"], "controller");
        let mut errors = Vec::new();
        if controller != text(&old["spec"], "controller") {
            let value = controller.into();
            errors.push(FieldError::invalid(
                "spec.controller",
                &value,
                "field is immutable",
            ));
        }
        errors.extend(self.validate(object, context));
        errors
    }
}

/// The rules of an Ingress, as far as they have hosts.
pub(super) fn hosts(spec: &Value) -> impl Iterator<Item = (&str, &Value)> {
    items(spec, "rules")
        .iter()
        .map(|rule| (text(rule, "host"), rule))
}

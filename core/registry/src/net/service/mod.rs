//! Services: defaults, allocation of addresses and node ports, validation, type changes.
//!
//! ```text
//! defaults → carry (what an update left out) → families → addresses → node_ports
//!          → type_change (what the new type cannot have) → validate → warnings
//! ```

mod address_rules;
mod addresses;
mod carry;
mod defaults;
mod families;
mod node_ports;
mod port_rules;
mod spec;
mod status;
mod traffic_rules;
mod type_change;
mod validate;
mod warnings;

pub(super) use port_rules::{PROTOCOLS, check_protocol};

use super::fields::{child, name, namespace, text};
use super::load_balancer_status;
use crate::field::{ip, names};
use crate::{Companions, Context, Strategy, Subresource};
use addresses::Asker;
use model::{ApiError, FieldError, ObjectKey, Resource};
use node_ports::Ports;
use serde_json::{Value, json};
use spec::Spec;

/// The rules of Services.
pub(crate) struct Services;

impl Strategy for Services {
    fn default(&self, object: &mut Value) {
        defaults::apply(object);
    }

    fn allocate(
        &self,
        object: &mut Value,
        old: Option<&Value>,
        context: &Context<'_>,
    ) -> Result<Companions, ApiError> {
        let mut spec = Spec::of(object);
        let companions = match old {
            None => allocate_new(&mut spec, object, context)?,
            Some(old) => allocate_changed(&mut spec, object, &Spec::of(old), context)?,
        };
        spec.write_allocated(object);
        Ok(companions)
    }

    fn prepare_create(&self, object: &mut Value, _: &Context<'_>) {
        object["status"] = json!({"loadBalancer": {}});
        drop_unread_policy(object);
    }

    fn prepare_update(&self, object: &mut Value, old: &Value, _: &Context<'_>) {
        let stored = old.get("status").cloned();
        object["status"] = stored.unwrap_or_else(|| json!({"loadBalancer": {}}));
        let (spec, old) = (Spec::of(object), Spec::of(old));
        type_change::wipe(object, &spec, &old);
        drop_unread_policy(object);
    }

    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        names::label_name(name, prefix)
    }

    fn validate(&self, object: &Value, _: &Context<'_>) -> Vec<FieldError> {
        validate::check(object, None)
    }

    fn validate_update(&self, object: &Value, old: &Value, _: &Context<'_>) -> Vec<FieldError> {
        let mut errors = validate::check_change(object, old);
        errors.extend(validate::check(object, Some(old)));
        errors
    }

    fn validate_subresource(
        &self,
        subresource: Subresource,
        object: &Value,
        old: &Value,
        _: &Context<'_>,
    ) -> Vec<FieldError> {
        match subresource {
            Subresource::Status => status::check(object, old),
            Subresource::Other(_) => Vec::new(),
        }
    }

    fn warnings(&self, object: &Value, _: Option<&Value>, _: &Context<'_>) -> Vec<String> {
        warnings::about(object)
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

    fn release(&self, object: &Value, _: &Context<'_>) -> Companions {
        // The Endpoints go along, so that a new Service of this name does not inherit them.
        let endpoints = ObjectKey::new(Resource::ENDPOINTS, namespace(object), name(object));
        let mut delete = vec![endpoints];
        delete.extend(
            Spec::of(object)
                .cluster_ips
                .iter()
                .filter_map(|a| address_key(a)),
        );
        Companions {
            create: Vec::new(),
            delete,
        }
    }

    fn allow_create_on_update(&self) -> bool {
        true
    }

    fn selectable_fields(&self, object: &Value) -> Vec<(&'static str, String)> {
        let spec = &object["spec"];
        vec![
            ("spec.clusterIP", text(spec, "clusterIP").to_owned()),
            ("spec.type", text(spec, "type").to_owned()),
        ]
    }

    fn selectable_names(&self) -> &'static [&'static str] {
        &["spec.clusterIP", "spec.type"]
    }
}

fn allocate_new(
    spec: &mut Spec,
    service: &Value,
    context: &Context<'_>,
) -> Result<Companions, ApiError> {
    carry::align_addresses(spec, None);
    settle_families(spec, None, service, context)?;
    let mut companions = Companions::default();
    allocate_all(spec, service, context, &mut companions)?;
    Ports::new(context, name(service)).allocate_new(spec)?;
    Ok(companions)
}

fn allocate_changed(
    spec: &mut Spec,
    service: &Value,
    old: &Spec,
    context: &Context<'_>,
) -> Result<Companions, ApiError> {
    carry::carry_over(spec, old);
    carry::align_addresses(spec, Some(old));
    settle_families(spec, Some(old), service, context)?;
    let mut companions = Companions::default();
    change_addresses(spec, service, old, context, &mut companions)?;
    Ports::new(context, name(service)).allocate_changed(spec, old)?;
    Ok(companions)
}

fn settle_families(
    spec: &mut Spec,
    old: Option<&Spec>,
    service: &Value,
    context: &Context<'_>,
) -> Result<(), ApiError> {
    let mut configured: Vec<&'static str> = Vec::new();
    for range in context.service_cidrs {
        let family = if range.is_ipv4() { "IPv4" } else { "IPv6" };
        if !configured.contains(&family) {
            configured.push(family);
        }
    }
    families::settle(spec, old, &configured)
        .map_err(|errors| ApiError::invalid("", "Service", name(service), &errors))
}

fn allocate_all(
    spec: &mut Spec,
    service: &Value,
    context: &Context<'_>,
    companions: &mut Companions,
) -> Result<(), ApiError> {
    let headless = spec
        .cluster_ips
        .first()
        .is_some_and(|first| first == "None");
    if spec.is_external_name() || headless {
        return Ok(());
    }
    Asker { service, context }.allocate(spec, 0, companions)
}

/// What a change of type or of families takes and gives back.
fn change_addresses(
    spec: &mut Spec,
    service: &Value,
    old: &Spec,
    context: &Context<'_>,
    companions: &mut Companions,
) -> Result<(), ApiError> {
    if families::keeps_preference(spec, old) {
        return Ok(());
    }
    if old.is_external_name() && !spec.is_external_name() {
        return allocate_all(spec, service, context, companions);
    }
    if old.cluster_ips.first().is_some_and(|first| first == "None") {
        return Ok(());
    }
    let mut give_back = |from: usize| {
        let released = old.cluster_ips.iter().skip(from);
        companions
            .delete
            .extend(released.filter_map(|a| address_key(a)));
    };
    let (was, is) = (old.ip_families.len(), spec.ip_families.len());
    if !old.is_external_name() && spec.is_external_name() {
        give_back(0);
    } else if was == 2 && is == 1 {
        give_back(1);
    } else if was == 1 && is == 2 {
        return Asker { service, context }.allocate(spec, 1, companions);
    }
    Ok(())
}

fn address_key(address: &str) -> Option<ObjectKey> {
    let address = ip::parse_ip(address)?;
    Some(ObjectKey::new(
        Resource::IP_ADDRESSES,
        "",
        &address.to_string(),
    ))
}

/// kube-apiserver stores the policy of an ExternalName Service and hides it from every reader; here
/// it is not stored. A value that validation will refuse is left to it.
fn drop_unread_policy(service: &mut Value) {
    let spec = child(service, "spec");
    let external = spec.get("type").and_then(Value::as_str) == Some("ExternalName");
    let policy = spec.get("internalTrafficPolicy").and_then(Value::as_str);
    if external && matches!(policy, Some("Cluster" | "Local")) {
        spec.remove("internalTrafficPolicy");
    }
}

/// 500, as apiserver tells of errors that are not the user's.
fn internal_error(text: String) -> ApiError {
    let message = format!("Internal error occurred: {text}");
    ApiError {
        details: Some(json!({"causes": [{"message": text}]})),
        ..ApiError::new(500, "InternalError", message)
    }
}

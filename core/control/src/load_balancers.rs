//! Addresses for Services of type LoadBalancer, out of a loopback pool.

use crate::fields::{remove, set, text};
use crate::{Context, Controller, Key, Outcome};
use model::Write;
use model::{Cidr, Event, EventKind, EventNote, Object, Resource, Service, ServiceType, View};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

const NAME: &str = "service-lb-controller";
/// The class that is served here besides no class at all
const CLASS: &str = "portolan.dev/loopback";

/// Gives LoadBalancer Services their addresses.
pub(crate) const CONTROLLER: Controller = Controller {
    name: NAME,
    keys,
    reconcile,
    refused: crate::silent,
};

fn keys(event: &Event, view: &dyn View) -> Vec<Key> {
    let object = &event.object;
    if object.resource != Resource::SERVICES {
        return Vec::new();
    }
    let mut found = BTreeSet::from([object.key()]);
    let held = event
        .old
        .as_ref()
        .map(|old| addresses(old))
        .unwrap_or_default();
    let holds = addresses(object);
    let released = event.kind == EventKind::Deleted || holds.is_empty();
    let (waiting, rivals) = (released && !held.is_empty(), !released && held != holds);
    if waiting || rivals {
        let services = view.list(Resource::SERVICES, None);
        let concerned = services.iter().filter(|one| match Service::parse(one) {
            Ok(service) if waiting => is_served(&service) && service.load_balancer.is_empty(),
            Ok(_) => addresses(one).iter().any(|ip| holds.contains(ip)),
            Err(_) => false,
        });
        found.extend(concerned.map(|one| one.key()));
    }
    found.into_iter().collect()
}

fn is_served(service: &Service) -> bool {
    service.kind == ServiceType::LoadBalancer
        && service
            .load_balancer_class
            .as_deref()
            .is_none_or(|class| class == CLASS)
}

/// Addresses in `status.loadBalancer.ingress`.
fn addresses(object: &Object) -> Vec<IpAddr> {
    let service = Service::parse(object).ok();
    let ingress = service
        .map(|service| service.load_balancer)
        .unwrap_or_default();
    ingress.into_iter().filter_map(|one| one.ip).collect()
}

fn reconcile(context: &Context<'_>, key: &Key) -> Outcome {
    let object = context.view.get(key.resource, &key.namespace, &key.name);
    if object.is_none() {
        context.memory.forget(NAME, key);
    }
    let (Some(object), Some(pool)) = (object, context.settings.load_balancer_pool) else {
        return Outcome::default();
    };
    let Ok(service) = Service::parse(&object) else {
        return Outcome::default();
    };
    let held = addresses(&object);
    let ours = held.iter().any(|ip| pool.contains(*ip));
    if object.meta.is_deleting() {
        return Outcome::default();
    }
    if !is_served(&service) {
        let foreign = service.kind == ServiceType::LoadBalancer;
        return Outcome::of((ours && !foreign).then(|| write(&object, None)));
    }
    let value = object.value();
    let wanted = text(&value, "/spec/loadBalancerIP");
    match choose(context, &object, &held, wanted, pool) {
        Ok(ip) if held == [ip] => Outcome::default(),
        Ok(ip) => {
            let message = format!("Assigned {ip} from the pool {pool}");
            let event = note(&object, "Normal", "EnsuredLoadBalancer", message);
            Outcome::of([write(&object, Some(ip)), event])
        }
        Err((reason, message)) => {
            let mut writes = Vec::new();
            writes.extend(ours.then(|| write(&object, None)));
            if context.memory.is_news(NAME, key, &message) {
                writes.push(note(&object, "Warning", reason, message));
            }
            Outcome::of(writes)
        }
    }
}

/// The address a Service shall have: the one it asks for, the one it has, or the lowest free one.
fn choose(
    context: &Context<'_>,
    object: &Object,
    held: &[IpAddr],
    wanted: &str,
    pool: Cidr,
) -> Result<IpAddr, (&'static str, String)> {
    let services = context.view.list(Resource::SERVICES, None);
    let others = services
        .iter()
        .filter(|one| one.meta.uid != object.meta.uid);
    let used: BTreeSet<IpAddr> = others.flat_map(|one| addresses(one)).collect();
    let usable = |ip: &IpAddr| pool.index(*ip).is_some_and(|at| is_usable(pool, at));
    if !wanted.is_empty() {
        let ip = wanted.parse::<IpAddr>().ok().filter(|ip| usable(ip));
        let Some(ip) = ip else {
            let message = format!(
                "spec.loadBalancerIP {wanted} is not in the load balancer pool {pool}. Cure: ask \
                 for an address of the pool, or leave the field out"
            );
            return Err(("AddressNotInPool", message));
        };
        if used.contains(&ip) {
            let message = format!(
                "spec.loadBalancerIP {ip} belongs to another Service. Cure: ask for another \
                 address, or leave the field out"
            );
            return Err(("AddressInUse", message));
        }
        return Ok(ip);
    }
    // Of two that took the same address at the same time, the first by name keeps it.
    let first = |ip: &IpAddr| {
        let mut rivals = services.iter().filter(|one| addresses(one).contains(ip));
        rivals.all(|one| one.key() >= object.key())
    };
    if let Some(ip) = held.iter().find(|ip| usable(ip) && first(ip)) {
        return Ok(*ip);
    }
    let all = (0..pool.size().min(1 << 16)).filter(|at| is_usable(pool, *at));
    let mut free = all
        .filter_map(|at| pool.nth(at))
        .filter(|ip| !used.contains(ip));
    free.next().ok_or_else(|| {
        let message = format!(
            "No address is left in the load balancer pool {pool}. Cure: delete a Service of type \
             LoadBalancer, or change one to ClusterIP"
        );
        ("PoolExhausted", message)
    })
}

/// The first and the last address of a range stay free where there are enough.
fn is_usable(pool: Cidr, at: u128) -> bool {
    pool.size() < 4 || (at > 0 && at + 1 < pool.size())
}

fn write(object: &Object, ip: Option<IpAddr>) -> Write {
    let mut value = object.value();
    let mut ingress: Vec<Value> = Vec::new();
    ingress.extend(ip.map(|ip| json!({"ip": ip.to_string(), "ipMode": "VIP"})));
    if ingress.is_empty() {
        remove(&mut value, &["status", "loadBalancer", "ingress"]);
    } else {
        set(
            &mut value,
            &["status", "loadBalancer", "ingress"],
            ingress.into(),
        );
    }
    Write::UpdateSubresource {
        resource: Resource::SERVICES,
        subresource: "status",
        object: value,
    }
}

fn note(object: &Arc<Object>, kind: &'static str, reason: &str, message: String) -> Write {
    Write::Note(EventNote {
        regarding: object.clone(),
        kind,
        reason: reason.to_owned(),
        message,
        component: NAME,
    })
}

//! Mistakes in Services that the API accepts: what is valid and yet does not do what was meant.

use model::{
    NamespacedName, ObjectKey, Pod, Problem, Resource, Service, ServicePort, ServiceType, Severity,
    Snapshot, TargetPort,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What decides whether LoadBalancer Services get an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadBalancers {
    /// Somebody here serves Services without a class, and those of `our_class`
    pub served: bool,
    /// The `spec.loadBalancerClass` that is served besides none
    pub our_class: &'static str,
}

/// The gotchas of one Service.
pub fn gotchas(
    snapshot: &Snapshot,
    service: &Service,
    load_balancers: LoadBalancers,
) -> Vec<Problem> {
    let mut found = Vec::new();
    if service.kind == ServiceType::ExternalName {
        found.extend(external_name_is_address(service));
        return found;
    }
    found.extend(nobody_balances(service, load_balancers));
    found.extend(unnamed_ports(service));
    let Some(selector) = &service.selector else {
        found.extend(nobody_writes_slices(snapshot, service));
        return found;
    };
    let pods = selected(snapshot, &service.id, selector);
    if pods.is_empty() {
        found.push(selects_nothing(service, selector));
        return found;
    }
    for (index, port) in service.ports.iter().enumerate() {
        found.extend(no_such_target(service, index, port, &pods));
    }
    if !service.publish_not_ready && !pods.iter().any(|pod| pod.ready && !pod.meta.is_deleting()) {
        found.push(none_ready(service, &pods));
    }
    found
}

/// The Pods that a Service's selector means, the finished ones apart.
pub fn selected<'a>(
    snapshot: &'a Snapshot,
    service: &NamespacedName,
    selector: &BTreeMap<String, String>,
) -> Vec<&'a Arc<Pod>> {
    let first = NamespacedName::new(&service.namespace, "");
    let pods = snapshot.pods.range(first..).map(|(_, pod)| pod);
    pods.take_while(|pod| pod.id.namespace == service.namespace)
        .filter(|pod| !pod.is_finished())
        .filter(|pod| {
            selector
                .iter()
                .all(|(key, value)| pod.meta.labels.get(key) == Some(value))
        })
        .collect()
}

fn problem(
    service: &Service,
    field: impl Into<String>,
    severity: Severity,
    reason: &'static str,
    message: String,
    cure: String,
) -> Problem {
    let object = ObjectKey::new(Resource::SERVICES, &service.id.namespace, &service.id.name);
    Problem {
        object,
        field: field.into(),
        severity,
        reason,
        message,
        cure,
    }
}

fn labels(selector: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = selector
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    pairs.join(",")
}

fn selects_nothing(service: &Service, selector: &BTreeMap<String, String>) -> Problem {
    let labels = labels(selector);
    problem(
        service,
        "spec.selector",
        Severity::Error,
        "SelectorMatchesNothing",
        format!(
            "No Pod in namespace {} has the labels {labels}.",
            service.id.namespace
        ),
        format!(
            "Give the Pods' template these labels, or correct the selector; \
             `kubectl -n {} get pods --show-labels` shows what there is.",
            service.id.namespace
        ),
    )
}

fn none_ready(service: &Service, pods: &[&Arc<Pod>]) -> Problem {
    let first = pods
        .first()
        .map_or_else(String::new, |pod| pod.id.name.to_string());
    problem(
        service,
        "spec.selector",
        Severity::Warning,
        "NoReadyPods",
        format!("None of the {} selected Pods is ready.", pods.len()),
        format!(
            "`kubectl -n {} describe pod {first}` says why.",
            service.id.namespace
        ),
    )
}

fn no_such_target(
    service: &Service,
    index: usize,
    port: &ServicePort,
    pods: &[&Arc<Pod>],
) -> Option<Problem> {
    let declared = || pods.iter().flat_map(|pod| &pod.ports);
    let field = format!("spec.ports[{index}].targetPort");
    match &port.target_port {
        Some(TargetPort::Name(name)) => {
            let known = declared().any(|p| p.name == *name && p.protocol == port.protocol);
            (!known).then(|| {
                problem(
                    service,
                    field,
                    Severity::Error,
                    "TargetPortNotFound",
                    format!(
                        "No container of the selected Pods has a {} port named {name:?}.",
                        port.protocol.as_str()
                    ),
                    format!("Add `name: {name}` to a container's ports, or use a number."),
                )
            })
        }
        target => {
            let number = match target {
                Some(TargetPort::Number(number)) => *number,
                _ => port.port,
            };
            let listens =
                declared().any(|p| p.container_port == number && p.protocol == port.protocol);
            (declared().next().is_some() && !listens).then(|| {
                problem(
                    service,
                    field,
                    Severity::Warning,
                    "TargetPortNotDeclared",
                    format!("No container of the selected Pods declares port {number}."),
                    format!("Point targetPort at a declared containerPort, or declare {number}."),
                )
            })
        }
    }
}

fn unnamed_ports(service: &Service) -> Option<Problem> {
    let index = service.ports.iter().position(|port| port.name.is_empty())?;
    Some(problem(
        service,
        format!("spec.ports[{index}].name"),
        Severity::Warning,
        "UnnamedPort",
        "The port has no name, so it has no SRV record and Ingresses can only use its number."
            .to_owned(),
        "Add a name such as `name: http`.".to_owned(),
    ))
}

fn nobody_balances(service: &Service, load_balancers: LoadBalancers) -> Option<Problem> {
    if service.kind != ServiceType::LoadBalancer || !service.load_balancer.is_empty() {
        return None;
    }
    let class = service.load_balancer_class.as_deref();
    let ours = class.is_none_or(|class| class == load_balancers.our_class);
    if ours && load_balancers.served {
        return None;
    }
    let (field, who) = match class {
        Some(class) => ("spec.loadBalancerClass", format!("of class {class}")),
        None => ("spec.type", "without a class".to_owned()),
    };
    Some(problem(
        service,
        field,
        Severity::Error,
        "NoLoadBalancer",
        format!("Nobody here gives addresses to LoadBalancer Services {who}."),
        "Install what serves it (a cloud's controller; on bare metal MetalLB or similar), or use \
         type NodePort or an Ingress."
            .to_owned(),
    ))
}

fn nobody_writes_slices(snapshot: &Snapshot, service: &Service) -> Option<Problem> {
    if snapshot.slices_of_service(&service.id).next().is_some() {
        return None;
    }
    Some(problem(
        service,
        "spec.selector",
        Severity::Warning,
        "NoEndpointSlices",
        "The Service has no selector, and nobody wrote an EndpointSlice for it.".to_owned(),
        format!(
            "Add a selector, or an EndpointSlice with the label kubernetes.io/service-name={}.",
            service.id.name
        ),
    ))
}

fn external_name_is_address(service: &Service) -> Option<Problem> {
    let address: std::net::IpAddr = service.external_name.parse().ok()?;
    Some(problem(
        service,
        "spec.externalName",
        Severity::Error,
        "ExternalNameIsAddress",
        format!("{address} is an address; an ExternalName is an alias of a DNS name."),
        "Use a Service without a selector and an EndpointSlice with the address.".to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(yaml: &str) -> Vec<&'static str> {
        let snapshot = testkit::snapshot(yaml);
        let load_balancers = LoadBalancers {
            served: true,
            our_class: "portolan.dev/loopback",
        };
        let services = snapshot.services.values();
        services
            .flat_map(|s| gotchas(&snapshot, s, load_balancers))
            .map(|p| p.reason)
            .collect()
    }

    const POD: &str = "
---
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: a, labels: {app: x}}
spec: {containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}
status: {conditions: [{type: Ready, status: 'True'}]}
";

    fn service(spec: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: s, namespace: a}}\nspec: {spec}\n{POD}"
        )
    }

    #[test]
    fn a_good_service_has_none() {
        let good = "{selector: {app: x}, ports: [{name: http, port: 80, targetPort: http}]}";
        assert!(reasons(&service(good)).is_empty());
    }

    #[test]
    fn each_gotcha_is_found() {
        for (spec, reason) in [
            (
                "{selector: {app: z}, ports: [{name: http, port: 80}]}",
                "SelectorMatchesNothing",
            ),
            (
                "{selector: {app: x}, ports: [{name: http, port: 80, targetPort: web}]}",
                "TargetPortNotFound",
            ),
            (
                "{selector: {app: x}, ports: [{name: http, port: 80, targetPort: 81}]}",
                "TargetPortNotDeclared",
            ),
            ("{selector: {app: x}, ports: [{port: 8080}]}", "UnnamedPort"),
            (
                "{type: LoadBalancer, loadBalancerClass: x/y, selector: {app: x}, ports: [{name: http, port: 8080}]}",
                "NoLoadBalancer",
            ),
            ("{ports: [{name: http, port: 80}]}", "NoEndpointSlices"),
            (
                "{type: ExternalName, externalName: 10.0.0.1}",
                "ExternalNameIsAddress",
            ),
        ] {
            assert_eq!(reasons(&service(spec)), [reason], "{spec}");
        }
    }
}

//! The records of a Service as lines, for `plan` and `explain`.

use crate::answer::weight;
use crate::plan::{Kind, ServiceRecords, plan_service};
use crate::reverse::name_of;
use crate::rtype;
use crate::zone::Settings;
use model::{NamespacedName, Snapshot};
use std::net::IpAddr;

/// One record in presentation form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PrintedRecord {
    /// Owner name
    pub name: String,
    /// Type, see [`rtype::type_name`]
    pub rtype: u16,
    /// Seconds
    pub ttl: u32,
    /// Data
    pub data: String,
}

impl std::fmt::Display for PrintedRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rtype = rtype::type_name(self.rtype);
        write!(f, "{} {} IN {rtype} {}", self.name, self.ttl, self.data)
    }
}

/// All records of a Service in order of name and type; none when it has no name in DNS. SRV
/// records are listed for named ports; queries for the Service's own name give them, too.
pub fn records(
    snapshot: &Snapshot,
    id: &NamespacedName,
    settings: &Settings,
) -> Vec<PrintedRecord> {
    let Some(planned) = plan_service(snapshot, id, settings) else {
        return Vec::new();
    };
    let mut out = Vec::new();
    let mut push = |name: &str, rtype: u16, data: String| {
        out.push(PrintedRecord {
            name: name.to_owned(),
            rtype,
            ttl: settings.ttl,
            data,
        });
    };
    let name = planned.name.to_string();
    if let Kind::External(target) = &planned.kind {
        push(&name, rtype::CNAME, target.to_string());
    }
    for address in own_addresses(&planned) {
        push(&name, kind_of(address), address.to_string());
        if planned.kind == Kind::Cluster {
            push(&name_of(address), rtype::PTR, name.clone());
        }
    }
    for endpoint in &planned.endpoints {
        let host = format!("{}.{name}", endpoint.label);
        push(
            &host,
            kind_of(endpoint.address),
            endpoint.address.to_string(),
        );
        push(&name_of(endpoint.address), rtype::PTR, host);
    }
    services(&planned, &name, &mut push);
    out.sort();
    out.dedup();
    out
}

fn services(planned: &ServiceRecords, name: &str, push: &mut impl FnMut(&str, u16, String)) {
    for port in planned.ports.iter().filter(|port| !port.name.is_empty()) {
        let protocol = port.protocol.as_str().to_ascii_lowercase();
        let owner = format!("_{}._{protocol}.{name}", port.name);
        if planned.kind == Kind::Cluster {
            let weight = weight(own_addresses(planned).count());
            push(
                &owner,
                rtype::SRV,
                format!("0 {weight} {} {name}", port.number),
            );
            continue;
        }
        for endpoint in &planned.endpoints {
            let ports = planned.ports_of(endpoint).iter();
            let matching = ports.filter(|p| p.name == port.name && p.protocol == port.protocol);
            for number in matching.filter_map(|port| port.number) {
                let weight = weight(port.pairs as usize);
                let host = format!("{}.{name}", endpoint.label);
                push(&owner, rtype::SRV, format!("0 {weight} {number} {host}"));
            }
        }
    }
}

fn own_addresses(planned: &ServiceRecords) -> impl Iterator<Item = IpAddr> + '_ {
    let v4 = planned.v4.iter().copied().map(IpAddr::V4);
    v4.chain(planned.v6.iter().copied().map(IpAddr::V6))
}

fn kind_of(address: IpAddr) -> u16 {
    if address.is_ipv4() {
        rtype::A
    } else {
        rtype::AAAA
    }
}

//! Address records, and those of Pods, reverse names and name servers.

use super::Request;
use crate::name::Name;
use crate::plan::{Endpoint, ServiceRecords};
use crate::reply::{Owner, Reply, Section};
use crate::rtype;
use model::NamespacedName;
use std::net::IpAddr;

/// Writes an A or AAAA record; `false` when it does not fit.
pub(super) fn write(
    reply: &mut Reply<'_>,
    section: Section,
    owner: Owner<'_>,
    address: IpAddr,
    ttl: u32,
) -> bool {
    match address {
        IpAddr::V4(v4) => reply.record(section, owner, (rtype::A, ttl), |reply| {
            reply.bytes(&v4.octets());
        }),
        IpAddr::V6(v6) => reply.record(section, owner, (rtype::AAAA, ttl), |reply| {
            reply.bytes(&v6.octets());
        }),
    }
}

/// Whether a question of this type asks for such an address.
pub(super) fn is_asked(qtype: u16, address: IpAddr) -> bool {
    qtype
        == if address.is_ipv4() {
            rtype::A
        } else {
            rtype::AAAA
        }
}

impl Request<'_> {
    /// The addresses of the asked type, from a place that the seed chooses, so that clients which
    /// take the first one spread.
    pub(super) fn addresses(&self, reply: &mut Reply<'_>, owner: Owner<'_>, of: &ServiceRecords) {
        match self.query.qtype {
            rtype::A => self.rotated(reply, owner, &of.v4),
            rtype::AAAA => self.rotated(reply, owner, &of.v6),
            _ => {}
        }
    }

    fn rotated<T: Copy + Into<IpAddr>>(&self, reply: &mut Reply<'_>, owner: Owner<'_>, list: &[T]) {
        let (before, after) = list.split_at(self.place(list.len()));
        for address in after.iter().chain(before) {
            let ttl = self.zone.settings.ttl;
            if !write(reply, Section::Answer, owner, (*address).into(), ttl) {
                reply.truncated();
                return;
            }
        }
    }

    /// A place in a list, by the seed.
    fn place(&self, length: usize) -> usize {
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        self.seed
            .checked_rem(length)
            .and_then(|place| usize::try_from(place).ok())
            .unwrap_or(0)
    }

    pub(super) fn pod(&self, reply: &mut Reply<'_>, owner: Owner<'_>, address: IpAddr) {
        if is_asked(self.query.qtype, address) {
            let ttl = self.zone.settings.ttl;
            write(reply, Section::Answer, owner, address, ttl);
        }
    }

    /// The addresses of endpoints under one label, each once.
    pub(super) fn host_addresses(
        &self,
        reply: &mut Reply<'_>,
        owner: Owner<'_>,
        endpoints: &[Endpoint],
    ) {
        let mut last = None;
        for endpoint in endpoints {
            let address = endpoint.address;
            if !is_asked(self.query.qtype, address) || last.replace(address) == Some(address) {
                continue;
            }
            let ttl = self.zone.settings.ttl;
            if !write(reply, Section::Answer, owner, address, ttl) {
                reply.truncated();
                return;
            }
        }
    }

    /// PTR records of an address.
    pub(super) fn pointers(
        &self,
        reply: &mut Reply<'_>,
        address: IpAddr,
        services: &[&ServiceRecords],
    ) {
        for records in services {
            if records.is_cluster_ip(address) {
                self.pointer(reply, &records.name);
                continue;
            }
            for label in records.labels_of(address) {
                if let Ok(name) = records.name.below(label.as_bytes()) {
                    self.pointer(reply, &name);
                }
            }
        }
    }

    fn pointer(&self, reply: &mut Reply<'_>, name: &Name) {
        let kind = (rtype::PTR, self.zone.settings.ttl);
        if !reply.record(Section::Answer, Owner::Question, kind, |reply| {
            reply.bytes(name.as_wire());
        }) {
            reply.truncated();
        }
    }

    /// NS of the zone: the cluster's DNS Service, if there is one.
    pub(super) fn name_servers(&self, reply: &mut Reply<'_>) {
        let Some(records) = self.dns_service() else {
            return;
        };
        let kind = (rtype::NS, self.zone.settings.ttl);
        let mut at = 0;
        if !reply.record(Section::Answer, Owner::Question, kind, |reply| {
            at = reply.position();
            reply.compressed(records.name.as_wire());
        }) {
            return;
        }
        self.glue(reply, Owner::At(at), records);
    }

    /// All addresses of a Service, in the additional section.
    pub(super) fn glue(&self, reply: &mut Reply<'_>, owner: Owner<'_>, records: &ServiceRecords) {
        let v4 = records.v4.iter().copied().map(IpAddr::V4);
        let v6 = records.v6.iter().copied().map(IpAddr::V6);
        for address in v4.chain(v6) {
            let ttl = self.zone.settings.ttl;
            write(reply, Section::Additional, owner, address, ttl);
        }
    }

    pub(super) fn name_server_addresses(&self, reply: &mut Reply<'_>, owner: Owner<'_>) {
        if let Some(records) = self.dns_service() {
            self.addresses(reply, owner, records);
        }
    }

    fn dns_service(&self) -> Option<&ServiceRecords> {
        let id = NamespacedName::new("kube-system", "kube-dns");
        self.zone.service(&id).filter(|records| records.exists())
    }
}

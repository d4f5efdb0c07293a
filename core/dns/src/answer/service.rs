//! Records of Services, their ports and their endpoints.

use super::Request;
use super::address::write;
use crate::plan::{Endpoint, Kind, ServiceRecords, SlicePort};
use crate::reply::{Owner, Reply, Section};
use crate::rtype;
use model::Protocol;

/// One port of a Service, or all of them.
type Filter<'f> = Option<(&'f str, Protocol)>;

fn matches(filter: Filter<'_>, name: &str, protocol: Protocol) -> bool {
    filter.is_none_or(|(wanted, of)| wanted == name && of == protocol)
}

/// The share of one record among `count` equal ones, out of a hundred, at least one.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a hundred is between 0 and 100"
)]
pub(crate) fn weight(count: usize) -> u16 {
    let count = u32::try_from(count.max(1)).unwrap_or(u32::MAX);
    ((100.0 / (100.0 * f64::from(count)) * 100.0).floor() as u16).max(1)
}

impl Request<'_> {
    pub(super) fn service(&self, reply: &mut Reply<'_>, records: &ServiceRecords) {
        if self.query.qtype != rtype::SRV {
            self.addresses(reply, Owner::Question, records);
            return;
        }
        match records.kind {
            Kind::Cluster => self.cluster_ports(reply, records, None),
            Kind::Headless => {
                let share = weight(records.pairs as usize);
                self.endpoint_ports(reply, records, &records.endpoints, (None, share));
            }
            _ => {}
        }
    }

    pub(super) fn port(
        &self,
        reply: &mut Reply<'_>,
        records: &ServiceRecords,
        name: &str,
        protocol: Protocol,
    ) {
        let filter = Some((name, protocol));
        if records.kind == Kind::Cluster {
            self.cluster_ports(reply, records, filter);
            return;
        }
        let mut ports = records.ports.iter();
        let port = ports.find(|port| matches(filter, &port.name, port.protocol));
        let share = weight(port.map_or(0, |port| port.pairs as usize));
        self.endpoint_ports(reply, records, &records.endpoints, (filter, share));
    }

    pub(super) fn host(
        &self,
        reply: &mut Reply<'_>,
        records: &ServiceRecords,
        endpoints: &[Endpoint],
    ) {
        if self.query.qtype == rtype::SRV {
            let pairs = endpoints.iter().map(|e| records.ports_of(e).len().max(1));
            let share = weight(pairs.sum());
            self.endpoint_ports(reply, records, endpoints, (None, share));
            return;
        }
        self.host_addresses(reply, Owner::Question, endpoints);
    }

    /// SRV records that name the Service itself, one for each port number.
    fn cluster_ports(&self, reply: &mut Reply<'_>, records: &ServiceRecords, filter: Filter<'_>) {
        let ports = records.ports.iter();
        let chosen: Vec<u16> = ports
            .filter(|port| matches(filter, &port.name, port.protocol))
            .map(|port| port.number)
            .collect();
        let addresses = records.v4.len() + records.v6.len();
        if addresses == 0 {
            return;
        }
        let share = weight(chosen.len() * addresses);
        let mut target = None;
        for (index, number) in chosen.iter().enumerate() {
            if chosen[..index].contains(number) {
                continue;
            }
            let at = self.srv(reply, (share, *number), &[records.name.as_wire()]);
            let Some(at) = at else {
                return;
            };
            target = Some(at);
        }
        if let Some(at) = target {
            self.glue(reply, Owner::At(at), records);
        }
    }

    /// SRV records that name endpoints, one for each label and port number.
    fn endpoint_ports(
        &self,
        reply: &mut Reply<'_>,
        records: &ServiceRecords,
        endpoints: &[Endpoint],
        (filter, share): (Filter<'_>, u16),
    ) {
        let mut targets: Vec<(usize, &[Endpoint])> = Vec::new();
        for run in endpoints.chunk_by(|a, b| a.label == b.label) {
            let mut numbers: Vec<u16> = Vec::new();
            for endpoint in run {
                for number in numbers_of(records.ports_of(endpoint), filter) {
                    if numbers.contains(&number) {
                        continue;
                    }
                    let label = run[0].label.as_bytes();
                    let length = [u8::try_from(label.len()).unwrap_or(u8::MAX)];
                    let name = [&length, label, records.name.as_wire()];
                    let Some(at) = self.srv(reply, (share, number), &name) else {
                        return;
                    };
                    if numbers.is_empty() {
                        targets.push((at, run));
                    }
                    numbers.push(number);
                }
            }
        }
        for (at, run) in targets {
            self.endpoint_glue(reply, at, records, (run, filter));
        }
    }

    fn endpoint_glue(
        &self,
        reply: &mut Reply<'_>,
        at: usize,
        records: &ServiceRecords,
        (run, filter): (&[Endpoint], Filter<'_>),
    ) {
        let mut last = None;
        for endpoint in run {
            let ports = records.ports_of(endpoint);
            if numbers_of(ports, filter).next().is_none()
                || last.replace(endpoint.address) == Some(endpoint.address)
            {
                continue;
            }
            let ttl = self.zone.settings.ttl;
            write(
                reply,
                Section::Additional,
                Owner::At(at),
                endpoint.address,
                ttl,
            );
        }
    }

    /// Writes one SRV record, its target given in pieces of wire form, and says where the target
    /// stands. `None` when it does not fit. Targets are not compressed (RFC 2782).
    fn srv(
        &self,
        reply: &mut Reply<'_>,
        (share, number): (u16, u16),
        target: &[&[u8]],
    ) -> Option<usize> {
        let mut at = 0;
        let kind = (rtype::SRV, self.zone.settings.ttl);
        let fits = reply.record(Section::Answer, Owner::Question, kind, |reply| {
            for number in [0, share, number] {
                reply.u16(number);
            }
            at = reply.position();
            target.iter().for_each(|piece| reply.bytes(piece));
        });
        if !fits {
            reply.truncated();
        }
        fits.then_some(at)
    }
}

fn numbers_of<'p>(ports: &'p [SlicePort], filter: Filter<'p>) -> impl Iterator<Item = u16> + 'p {
    ports
        .iter()
        .filter(move |port| matches(filter, &port.name, port.protocol))
        .filter_map(|port| port.number)
}

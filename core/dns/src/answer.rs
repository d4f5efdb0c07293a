//! From a question to an answer.

mod address;
mod alias;
mod service;

pub(crate) use alias::write_chain;
pub(crate) use service::weight;

use crate::query::{AA, AD, Edns, Parsed, Query, RA, parse};
use crate::reply::{Head, Owner, Reply, Section};
use crate::reverse;
use crate::rtype;
use crate::special::{self, Special};
use crate::zone::{Found, Zone};
use crate::{Name, name::is_below};

/// Largest payload of a UDP datagram over IPv4.
const UDP_MAX: u16 = 65_507;
/// What a client without EDNS takes over UDP (RFC 1035 section 4.2.1).
const UDP_PLAIN: u16 = 512;

/// How a question came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// UDP: a reply is as small as the client says
    Udp,
    /// TCP: a reply may have 64 KiB
    Tcp,
}

/// What to do about a question.
#[derive(Debug)]
pub enum Answer {
    /// Send the message that was written
    Reply,
    /// As [`Answer::Reply`]; but the name lies in a reverse zone, whose answers are kept in the
    /// cache like those of other servers: a kept one under [`Forward::key`] goes before
    Shared(Box<Forward>),
    /// Ask another server for [`Forward::key`], then [`Forward::complete`]
    Forward(Box<Forward>),
    /// Send nothing
    Drop,
}

/// What is to be asked of another server: also the key under which its answer is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Name in lower case
    pub name: Name,
    /// Type, see [`rtype`]
    pub qtype: u16,
    /// DO: with DNSSEC records
    pub dnssec: bool,
    /// CD: without validation
    pub checking_disabled: bool,
}

/// What of a client's message its reply needs.
#[derive(Clone, Debug)]
pub struct Client {
    id: u16,
    flags: u16,
    question: Box<[u8]>,
    edns: Option<Edns>,
    limit: usize,
}

/// A question that another server has to answer.
#[derive(Clone, Debug)]
pub struct Forward {
    /// What to ask
    pub key: Key,
    pub(crate) client: Client,
    /// CNAME records in front of the other server's, as owner and target
    pub(crate) aliases: Vec<(Name, Name)>,
    pub(crate) ttl: u32,
}

impl Client {
    fn of(query: &Query<'_>, limit: usize) -> Self {
        Self {
            id: query.id,
            flags: query.flags,
            question: query.question.into(),
            edns: query.edns,
            limit,
        }
    }

    pub(crate) fn head(&self) -> Head<'_> {
        Head {
            id: self.id,
            flags: self.flags,
            question: &self.question,
            edns: self.edns,
            limit: self.limit,
        }
    }

    /// Whether the client wants to see AD (RFC 6840 section 5.7).
    pub(crate) fn wants_ad(&self) -> bool {
        self.flags & AD != 0 || self.edns.is_some_and(|edns| edns.dnssec)
    }
}

/// Answers a message: writes the reply into `out`, whose old contents go. `seed` is a random
/// number, by which the order of addresses is chosen.
pub fn answer(
    zone: &Zone,
    message: &[u8],
    transport: Transport,
    seed: u64,
    out: &mut Vec<u8>,
) -> Answer {
    out.clear();
    match parse(message) {
        Parsed::Ignore => Answer::Drop,
        Parsed::Refuse(query, rcode) => refuse(&query, transport, rcode, out),
        Parsed::Query(query) if query.qclass != rtype::CLASS_IN => {
            refuse(&query, transport, rtype::REFUSED, out)
        }
        Parsed::Query(query) if matches!(query.qtype, rtype::AXFR | rtype::IXFR) => {
            refuse(&query, transport, rtype::REFUSED, out)
        }
        Parsed::Query(query) => {
            let name = Name::from_checked(&query.name().to_ascii_lowercase());
            let request = Request {
                zone,
                query,
                name,
                limit: limit(&query, transport),
                seed,
            };
            request.answer(out)
        }
    }
}

fn limit(query: &Query<'_>, transport: Transport) -> usize {
    let size = match (transport, query.edns) {
        (Transport::Tcp, _) => u16::MAX,
        (Transport::Udp, None) => UDP_PLAIN,
        (Transport::Udp, Some(edns)) => edns.size.clamp(UDP_PLAIN, UDP_MAX),
    };
    usize::from(size)
}

fn head<'q>(query: &Query<'q>, limit: usize) -> Head<'q> {
    Head {
        id: query.id,
        flags: query.flags,
        question: query.question,
        edns: query.edns,
        limit,
    }
}

fn refuse(query: &Query<'_>, transport: Transport, rcode: u16, out: &mut Vec<u8>) -> Answer {
    let mut head = head(query, limit(query, transport));
    if rcode == rtype::BADVERS {
        // What the client's version means by its flags is not known.
        head.edns = head.edns.map(|edns| Edns {
            dnssec: false,
            ..edns
        });
    }
    let mut reply = Reply::new(out, head, 0);
    reply.rcode(rcode);
    reply.finish(rcode);
    Answer::Reply
}

/// One question with all that its answer needs.
struct Request<'q> {
    zone: &'q Zone,
    query: Query<'q>,
    /// In lower case
    name: Name,
    limit: usize,
    seed: u64,
}

impl<'q> Request<'q> {
    fn answer(self, out: &mut Vec<u8>) -> Answer {
        let name = self.name.as_wire();
        if is_below(name, self.zone.name().as_wire()) {
            let found = self.zone.find(name);
            return self.answer_found(&found, out);
        }
        if let Some(special) = special::find(name, self.query.qtype) {
            self.answer_special(special, out);
            return Answer::Reply;
        }
        let tree = [reverse::IN_ADDR, reverse::IP6]
            .into_iter()
            .find(|tree| is_below(name, tree));
        match tree {
            Some(tree) if self.answer_reverse(tree, out) => Answer::Shared(self.forward()),
            _ => Answer::Forward(self.forward()),
        }
    }

    fn forward(self) -> Box<Forward> {
        let name = self.name.clone();
        self.forward_to(name, Vec::new())
    }

    fn forward_to(self, name: Name, aliases: Vec<(Name, Name)>) -> Box<Forward> {
        Box::new(Forward {
            key: Key {
                name,
                qtype: self.query.qtype,
                dnssec: self.query.edns.is_some_and(|edns| edns.dnssec),
                checking_disabled: self.query.flags & crate::query::CD != 0,
            },
            client: Client::of(&self.query, self.limit),
            aliases,
            ttl: self.zone.settings.ttl,
        })
    }

    fn reply<'o>(&self, out: &'o mut Vec<u8>) -> Reply<'o> {
        Reply::new(out, head(&self.query, self.limit), AA | RA)
    }

    fn answer_found(self, found: &Found<'_>, out: &mut Vec<u8>) -> Answer {
        if let Found::Service(records) = found
            && let Some(target) = self.alias_of(records)
        {
            let target = target.clone();
            return self.follow(target, out);
        }
        let zone = self.zone;
        let mut reply = self.reply(out);
        let qtype = self.query.qtype;
        match found {
            Found::Missing => {
                self.missing(&mut reply);
                reply.finish(0);
                return Answer::Reply;
            }
            Found::Apex if qtype == rtype::SOA => {
                self.soa(&mut reply, Section::Answer, zone.name());
            }
            Found::Apex if qtype == rtype::NS => self.name_servers(&mut reply),
            Found::NameServer => self.name_server_addresses(&mut reply, Owner::Question),
            Found::Version if qtype == rtype::TXT => version(&mut reply),
            Found::Service(records) => self.service(&mut reply, records),
            Found::Port(records, name, protocol) if qtype == rtype::SRV => {
                self.port(&mut reply, records, name, *protocol);
            }
            Found::Host(records, endpoints) => self.host(&mut reply, records, endpoints),
            Found::Pod(address) => self.pod(&mut reply, Owner::Question, *address),
            _ => {}
        }
        self.or_no_data(&mut reply, zone.name());
        reply.finish(0);
        Answer::Reply
    }

    /// The name does not exist; or may, as long as the objects are not all there.
    fn missing(&self, reply: &mut Reply<'_>) {
        reply.rcode(if self.zone.is_synced() {
            rtype::NXDOMAIN
        } else {
            rtype::SERVFAIL
        });
        self.soa(reply, Section::Authority, self.zone.name());
    }

    /// NODATA when nothing was found for the type (RFC 2308 section 2.2).
    fn or_no_data(&self, reply: &mut Reply<'_>, zone: &Name) {
        if reply.count(Section::Answer) == 0 && !reply.is_truncated() {
            self.soa(reply, Section::Authority, zone);
        }
    }

    fn soa(&self, reply: &mut Reply<'_>, section: Section, zone: &Name) {
        let ttl = self.zone.settings.ttl;
        let serial = self.zone.serial;
        write_soa(reply, section, zone, [serial, ttl]);
    }

    /// Answers PTR, and other types of names that have one. `false` when the name is not ours.
    fn answer_reverse(&self, tree: &[u8], out: &mut Vec<u8>) -> bool {
        let name = self.name.as_wire();
        let zone = Name::from_checked(tree);
        let owners =
            reverse::address_of(name).map(|address| (address, self.zone.services_at(address)));
        let apex = name.len() == tree.len();
        let mut reply = self.reply(out);
        match owners {
            Some((address, services)) if !services.is_empty() => {
                if self.query.qtype == rtype::PTR {
                    self.pointers(&mut reply, address, &services);
                }
            }
            _ if apex && self.query.qtype == rtype::SOA => {
                self.soa(&mut reply, Section::Answer, &zone);
            }
            _ if apex => {}
            _ => return false,
        }
        self.or_no_data(&mut reply, &zone);
        reply.finish(0);
        true
    }

    fn answer_special(&self, special: Special, out: &mut Vec<u8>) {
        let mut reply = self.reply(out);
        match special {
            Special::Loopback(address) => {
                address::write(
                    &mut reply,
                    Section::Answer,
                    Owner::Question,
                    address,
                    special::TTL,
                );
            }
            Special::NoData(top) => {
                write_soa(&mut reply, Section::Authority, &top, [1, special::TTL]);
            }
            Special::Missing(top) => {
                reply.rcode(rtype::NXDOMAIN);
                write_soa(&mut reply, Section::Authority, &top, [1, special::TTL]);
            }
        }
        reply.finish(0);
    }
}

/// The SOA record of a zone with a serial and a TTL, which also is the negative one.
fn write_soa(reply: &mut Reply<'_>, section: Section, zone: &Name, [serial, ttl]: [u32; 2]) {
    let kept = ttl.min(300);
    let fits = reply.record(section, Owner::Name(zone), (rtype::SOA, kept), |reply| {
        for label in [&b"\x02ns\x03dns"[..], b"\x0Ahostmaster"] {
            reply.bytes(label);
            reply.compressed(zone.as_wire());
        }
        for number in [serial, 7200, 1800, 86_400, ttl] {
            reply.bytes(&number.to_be_bytes());
        }
    });
    if !fits {
        reply.truncated();
    }
}

/// `dns-version`: the version of the naming scheme, which changes with releases only.
fn version(reply: &mut Reply<'_>) {
    reply.record(
        Section::Answer,
        Owner::Question,
        (rtype::TXT, 28_800),
        |reply| reply.bytes(b"\x051.1.0"),
    );
}

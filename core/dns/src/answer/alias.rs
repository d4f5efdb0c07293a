//! ExternalName Services: CNAME records and what follows them.

use super::{Answer, Request};
use crate::name::{Name, is_below};
use crate::plan::{Kind, ServiceRecords};
use crate::reply::{Owner, Reply, Section};
use crate::rtype;
use crate::special;
use crate::zone::Found;

/// Most CNAME records in one answer; a longer chain of ExternalNames has no address.
const CHAIN_MAX: usize = 11;

impl Request<'_> {
    /// The name that stands for the Service, when the asked type follows it.
    pub(super) fn alias_of<'r>(&self, records: &'r ServiceRecords) -> Option<&'r Name> {
        let follows = matches!(self.query.qtype, rtype::A | rtype::AAAA | rtype::CNAME);
        match &records.kind {
            Kind::External(target) if follows => Some(target),
            _ => None,
        }
    }

    /// Answers with the chain of CNAME records that begins with the question's name and `target`,
    /// and what stands at its end, as far as it is in the zone.
    pub(super) fn follow(self, target: Name, out: &mut Vec<u8>) -> Answer {
        let mut chain = vec![(self.name.clone(), target)];
        if self.query.qtype == rtype::CNAME {
            return self.answer_chain(&chain, None, out);
        }
        let zone = self.zone;
        while let Some((_, target)) = chain.last() {
            let target = target.to_lower();
            if !is_below(target.as_wire(), zone.name().as_wire()) {
                if special::find(target.as_wire(), self.query.qtype).is_some() {
                    return self.answer_chain(&chain, None, out);
                }
                return Answer::Forward(self.forward_to(target, chain));
            }
            let looped = chain.iter().any(|(owner, _)| *owner == target);
            let found = zone.find(target.as_wire());
            let next = match &found {
                Found::Service(records) => self.alias_of(records),
                _ => None,
            };
            match next {
                _ if looped || chain.len() >= CHAIN_MAX && next.is_some() => break,
                Some(next) => chain.push((target, next.clone())),
                // An alias of the zone itself leads nowhere: it is told as no address at all.
                None if matches!(found, Found::Apex) => break,
                None => return self.answer_chain(&chain, Some(&found), out),
            }
        }
        self.answer_chain(&[], None, out)
    }

    fn answer_chain(
        self,
        chain: &[(Name, Name)],
        end: Option<&Found<'_>>,
        out: &mut Vec<u8>,
    ) -> Answer {
        let mut reply = self.reply(out);
        let owner = write_chain(&mut reply, chain, self.zone.settings.ttl);
        match (end, owner) {
            (Some(found), Some(owner)) => {
                let before = reply.count(Section::Answer);
                self.chain_end(&mut reply, found, owner);
                let bare = reply.count(Section::Answer) == before && !reply.is_truncated();
                match found {
                    Found::Missing => self.missing(&mut reply),
                    _ if bare => self.soa(&mut reply, Section::Authority, self.zone.name()),
                    _ => {}
                }
            }
            _ => self.or_no_data(&mut reply, self.zone.name()),
        }
        reply.finish(0);
        Answer::Reply
    }

    /// The addresses at the end of a chain.
    fn chain_end(&self, reply: &mut Reply<'_>, found: &Found<'_>, owner: Owner<'_>) {
        match found {
            Found::Service(records) => self.addresses(reply, owner, records),
            Found::Host(_, endpoints) => self.host_addresses(reply, owner, endpoints),
            Found::Pod(address) => self.pod(reply, owner, *address),
            Found::NameServer => self.name_server_addresses(reply, owner),
            _ => {}
        }
    }
}

/// Writes CNAME records and gives the last target's place; `None` when there is none or one did
/// not fit.
pub(crate) fn write_chain<'o>(
    reply: &mut Reply<'_>,
    chain: &[(Name, Name)],
    ttl: u32,
) -> Option<Owner<'o>> {
    let mut owner = None;
    for (_, target) in chain {
        let mut at = 0;
        let from = owner.unwrap_or(Owner::Question);
        if !reply.record(Section::Answer, from, (rtype::CNAME, ttl), |reply| {
            at = reply.position();
            reply.compressed(target.as_wire());
        }) {
            reply.truncated();
            return None;
        }
        owner = Some(Owner::At(at));
    }
    owner
}

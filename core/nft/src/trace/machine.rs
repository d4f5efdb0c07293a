//! The register machine.

use super::conntrack::Tracked;
use super::hooks::Flight;
use super::world::New;
use super::{Step, World};
use crate::{
    CmpOp, CtDirection, CtKey, Data, DynsetOp, Expr, Family, FibResult, MetaKey, Name, Reg,
    RejectWith, SetSpec, SetValue, Value, Verdict, jhash, scale, state, status,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Deepest nesting of jumps (`NFT_JUMP_STACK_SIZE`).
const STACK: usize = 16;

/// Most rules that a packet may try, against rulesets that loop, which the kernel refuses.
const RULES: usize = 100_000;

/// How a base chain ends.
pub(super) enum End {
    Accept,
    Drop,
    Reject(RejectWith),
}

/// What an expression does to its rule.
enum After {
    /// The next expression
    Next,
    /// The next rule
    Break,
    Verdict(Verdict),
    Reject(RejectWith),
}

pub(super) struct Machine<'a, 'b> {
    flight: &'a mut Flight<'b>,
    registers: [u8; 64],
}

impl<'a, 'b> Machine<'a, 'b> {
    pub(super) fn new(flight: &'a mut Flight<'b>) -> Self {
        Self {
            flight,
            registers: [0; 64],
        }
    }

    /// Runs a base chain; the policy is `accept`.
    pub(super) fn run(mut self, base: &Name) -> End {
        let ruleset = self.flight.ruleset;
        let mut stack: Vec<(Name, usize)> = Vec::new();
        let (mut chain, mut at) = (base.clone(), 0);
        for _ in 0..RULES {
            let rules = ruleset.chains.get(&chain).map(|chain| &chain.rules);
            let Some(rule) = rules.and_then(|rules| rules.get(at)) else {
                match stack.pop() {
                    Some(back) => (chain, at) = back,
                    None => return End::Accept,
                }
                continue;
            };
            let found = self.flight.path.len();
            let after = self.rule(&rule.exprs);
            if !matches!(after, After::Break) {
                let step = Step::Rule {
                    chain: chain.clone(),
                    rule: at,
                };
                self.flight.path.insert(found, step);
            }
            at += 1;
            match after {
                After::Next | After::Break => {}
                After::Reject(with) => return End::Reject(with),
                After::Verdict(Verdict::Accept) => return End::Accept,
                After::Verdict(Verdict::Drop) => return End::Drop,
                After::Verdict(Verdict::Return) => at = usize::MAX,
                After::Verdict(Verdict::Jump(to)) if stack.len() < STACK => {
                    stack.push((chain, at));
                    (chain, at) = (to, 0);
                }
                // The kernel takes no ruleset that nests deeper.
                After::Verdict(Verdict::Jump(_)) => return End::Drop,
                After::Verdict(Verdict::Goto(to)) => (chain, at) = (to, 0),
            }
        }
        End::Drop
    }

    fn rule(&mut self, exprs: &[Expr]) -> After {
        for expr in exprs {
            match self.step(expr) {
                After::Next => {}
                other => return other,
            }
        }
        After::Next
    }

    fn step(&mut self, expr: &Expr) -> After {
        match expr {
            Expr::Payload {
                base,
                offset,
                len,
                dreg,
            } => {
                let header = self.flight.packet.header(*base);
                let (start, len) = (*offset as usize, *len as usize);
                let bytes = header.get(start..start + len).map(Data::new);
                self.load_some(*dreg, bytes)
            }
            Expr::Meta { key, dreg } => {
                let data = self.meta(*key);
                self.load(*dreg, &data)
            }
            Expr::SetMark { sreg } => {
                self.flight.packet.mark = self.number(*sreg);
                After::Next
            }
            Expr::Ct { key, dreg } => {
                let data = self.ct(*key);
                self.load_some(*dreg, data)
            }
            Expr::Immediate { dreg, data } => self.load(*dreg, data),
            Expr::Verdict(verdict) => After::Verdict(verdict.clone()),
            Expr::Cmp {
                op,
                sreg,
                data,
                len,
            } => {
                let len = usize::from(*len).min(data.len());
                let order = self.bytes(*sreg, len).cmp(&data.as_slice()[..len]);
                going_on(holds(*op, order))
            }
            Expr::Bitwise {
                sreg,
                dreg,
                mask,
                xor,
                len,
            } => {
                let source = self.data(*sreg, usize::from(*len));
                let bytes = source.as_slice().iter().enumerate().map(|(at, byte)| {
                    let of = |data: &Data| data.as_slice().get(at).copied().unwrap_or(0);
                    (byte & of(mask)) ^ of(xor)
                });
                let bytes: Vec<u8> = bytes.collect();
                self.load(*dreg, &Data::new(&bytes))
            }
            Expr::InSet {
                set,
                sreg,
                inverted,
            } => going_on(self.find(set, *sreg).is_some() != *inverted),
            Expr::Map { set, sreg, dreg } => match self.find(set, *sreg) {
                Some(Value::Data(data)) => self.load(*dreg, &data),
                _ => After::Break,
            },
            Expr::VerdictMap { set, sreg } => match self.find(set, *sreg) {
                Some(Value::Verdict(verdict)) => After::Verdict(verdict),
                _ => After::Break,
            },
            Expr::Random { dreg, modulus } => {
                let number = self.flight.choices.draw(*modulus);
                self.load(*dreg, &Data::EMPTY.number(number))
            }
            Expr::Hash {
                sreg,
                len,
                dreg,
                modulus,
                seed,
            } => {
                let hash = jhash(self.bytes(*sreg, usize::from(*len)), *seed);
                self.load(*dreg, &Data::EMPTY.number(scale(hash, *modulus)))
            }
            Expr::Fib { result, dreg } => {
                let packet = &self.flight.packet;
                let address = match result {
                    FibResult::SourceType => packet.source.ip(),
                    FibResult::DestinationType => packet.destination.ip(),
                };
                let kind = self.flight.world.address_type(address);
                self.load(*dreg, &Data::EMPTY.number(kind))
            }
            Expr::Dynset {
                set,
                op,
                key,
                data,
                timeout_ms,
            } => self.dynset(set, *op, *key, (*data, *timeout_ms)),
            Expr::Dnat {
                family,
                address,
                port,
            } => {
                let to = self.address(*family, *address);
                let port = self.bytes(*port, 2);
                let port = u16::from_be_bytes([port[0], port[1]]);
                self.flight.dnat(SocketAddr::new(to, port));
                After::Verdict(Verdict::Accept)
            }
            Expr::Masquerade { .. } => match self.flight.masquerade() {
                true => After::Verdict(Verdict::Accept),
                false => After::Verdict(Verdict::Drop),
            },
            Expr::Reject(with) => After::Reject(*with),
            Expr::Notrack => {
                if self.flight.tracked == Tracked::Not {
                    self.flight.tracked = Tracked::Untracked;
                }
                After::Next
            }
            // What a foreign step does is not known; it is passed.
            Expr::Counter | Expr::Foreign(_) => After::Next,
        }
    }

    fn meta(&self, key: MetaKey) -> Data {
        let Flight {
            packet,
            input,
            output,
            ..
        } = &*self.flight;
        match key {
            MetaKey::NfProto => Data::new(&[match packet.family() {
                Family::Ipv4 => 2,
                Family::Ipv6 => 10,
            }]),
            MetaKey::L4Proto => Data::EMPTY.protocol(packet.protocol),
            MetaKey::Mark => Data::EMPTY.number(packet.mark),
            MetaKey::IifName => interface(input.as_ref()),
            MetaKey::OifName => interface(output.as_ref()),
        }
    }

    fn ct(&self, key: CtKey) -> Option<Data> {
        if key == CtKey::State {
            return Some(Data::EMPTY.number(self.state()));
        }
        let (connection, way) = self.flight.connection()?;
        let data = match key {
            CtKey::State => return None,
            CtKey::Status => {
                let bit = |set: bool, bit: u32| if set { bit } else { 0 };
                let snat = bit(connection.is_snat(), status::SNAT);
                Data::EMPTY.number(snat | bit(connection.is_dnat(), status::DNAT))
            }
            CtKey::Direction => Data::new(&[u8::from(way == CtDirection::Reply)]),
            CtKey::Mark => Data::EMPTY.number(connection.mark),
            CtKey::SrcIp(family, of) => in_family(family, connection.tuple(of).source)?,
            CtKey::DstIp(family, of) => in_family(family, connection.tuple(of).destination)?,
            CtKey::Protocol => Data::EMPTY.protocol(connection.original.protocol),
            CtKey::ProtoSrc(of) => Data::EMPTY.port(connection.tuple(of).source.port()),
            CtKey::ProtoDst(of) => Data::EMPTY.port(connection.tuple(of).destination.port()),
        };
        Some(data)
    }

    fn state(&self) -> u32 {
        match (self.flight.tracked, self.flight.connection()) {
            (Tracked::Untracked, _) => state::UNTRACKED,
            (_, Some((connection, CtDirection::Original))) if !connection.replied => state::NEW,
            (_, Some(_)) => state::ESTABLISHED,
            (_, None) => state::INVALID,
        }
    }

    fn find(&mut self, name: &Name, sreg: Reg) -> Option<Value> {
        let set = self.flight.ruleset.sets.get(name)?;
        let key = self.data(sreg, set.spec.key_len());
        let world: &World = self.flight.world;
        let value = world.find(name, set, &key)?.clone();
        let set = name.clone();
        self.flight.path.push(Step::Element { set, key });
        Some(value)
    }

    fn dynset(
        &mut self,
        name: &Name,
        op: DynsetOp,
        key: Reg,
        (data, timeout_ms): (Option<Reg>, u64),
    ) -> After {
        let Some(set) = self.flight.ruleset.sets.get(name) else {
            return After::Break;
        };
        let spec: &SetSpec = &set.spec;
        let key = self.data(key, spec.key_len());
        if op == DynsetOp::Delete {
            self.flight.world.remove(name, &key);
            return After::Next;
        }
        let value = match (&spec.value, data) {
            (SetValue::Fields(types), Some(data)) => {
                let len = types.iter().map(|field| field.padded()).sum();
                Value::Data(self.data(data, len))
            }
            _ => Value::None,
        };
        let new = New {
            key,
            value,
            timeout_ms,
            refresh: op == DynsetOp::Update,
        };
        going_on(self.flight.world.add(name, spec, new))
    }

    fn load_some(&mut self, dreg: Reg, data: Option<Data>) -> After {
        data.map_or(After::Break, |data| self.load(dreg, &data))
    }

    fn load(&mut self, Reg(dreg): Reg, data: &Data) -> After {
        let start = usize::from(dreg) * 4;
        let room = self.registers.get_mut(start..start + data.len());
        let Some(room) = room else {
            return After::Break;
        };
        room.copy_from_slice(data.as_slice());
        After::Next
    }

    /// Bytes from a register on; fewer where the registers end.
    fn bytes(&self, Reg(sreg): Reg, len: usize) -> &[u8] {
        let start = (usize::from(sreg) * 4).min(60);
        &self.registers[start..(start + len).min(64)]
    }

    fn data(&self, sreg: Reg, len: usize) -> Data {
        Data::new(self.bytes(sreg, len))
    }

    fn number(&self, sreg: Reg) -> u32 {
        let bytes = self.bytes(sreg, 4);
        u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }

    fn address(&self, family: Family, sreg: Reg) -> IpAddr {
        match family {
            Family::Ipv4 => {
                let bytes = self.bytes(sreg, 4);
                Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).into()
            }
            Family::Ipv6 => {
                let mut octets = [0; 16];
                let bytes = self.bytes(sreg, 16);
                octets[..bytes.len()].copy_from_slice(bytes);
                Ipv6Addr::from(octets).into()
            }
        }
    }
}

fn going_on(holds: bool) -> After {
    if holds { After::Next } else { After::Break }
}

fn holds(op: CmpOp, order: std::cmp::Ordering) -> bool {
    match op {
        CmpOp::Eq => order.is_eq(),
        CmpOp::Neq => order.is_ne(),
        CmpOp::Lt => order.is_lt(),
        CmpOp::Lte => order.is_le(),
        CmpOp::Gt => order.is_gt(),
        CmpOp::Gte => order.is_ge(),
    }
}

/// A name of 16 bytes; zeros where there is no interface.
fn interface(name: Option<&Name>) -> Data {
    let mut bytes = [0; 16];
    let name = name.map_or(&[][..], |name| name.as_bytes());
    let len = name.len().min(15);
    bytes[..len].copy_from_slice(&name[..len]);
    Data::new(&bytes)
}

fn in_family(family: Family, address: SocketAddr) -> Option<Data> {
    let ip = address.ip();
    let fits = ip.is_ipv4() == (family == Family::Ipv4);
    fits.then(|| Data::EMPTY.address(ip))
}

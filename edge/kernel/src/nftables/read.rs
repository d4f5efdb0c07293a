//! The whole table, as the kernel has it.

use super::wire::{NFGENMSG, chain, elem, generation, msg, rule, set, table};
use super::{Counter, LiveElement, Table, decode, encode};
use crate::netlink::{Message, NetlinkError, Socket, Writer};
use nft::{Chain, Data, Expr, Name, Rule, Ruleset, Set, SetSpec};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often a table is read anew when something changes meanwhile.
const TRIES: u32 = 10;

/// Sets of more elements are not read: the kernel's dump of a set begins from its start for each
/// 32 KiB, so that reading 300,000 elements takes it ten times as long as taking them anew.
const MOST_READ: usize = 50_000;

/// What is made of sets that are too large to be read.
#[derive(Clone, Copy)]
pub(super) struct Unread<'a> {
    /// Most elements that are read
    pub(super) most: usize,
    /// What should be there
    pub(super) wanted: Option<&'a Ruleset>,
    /// Whether to believe that it is
    pub(super) in_step: bool,
}

impl Unread<'_> {
    /// The set in the place of what would be read; `None` for one that is read. The kernel tells
    /// the number of elements since Linux 6.16.
    fn instead(&self, name: &Name, spec: &SetSpec, count: Option<u32>) -> Option<Set> {
        let wanted = self.wanted.and_then(|wanted| wanted.sets.get(name));
        let count = count.map(|count| count as usize);
        let expected = count.or(wanted.map(|set| set.elements.len()))?;
        if expected <= self.most {
            return None;
        }
        let believed = wanted.filter(|set| {
            let many = count.is_none_or(|count| count == set.elements.len());
            self.in_step && set.spec == *spec && many
        });
        let foreign = || Set {
            spec: decode::foreign_set(),
            elements: BTreeMap::new(),
        };
        Some(believed.cloned().unwrap_or_else(foreign))
    }
}

/// Generation of the namespace.
pub(super) fn generation(socket: &mut Socket) -> Result<u32, NetlinkError> {
    let mut found = 0;
    socket.ask(msg::GETGEN, 0, encode::header, |message| {
        let id = message.attrs(NFGENMSG).find(generation::ID);
        found = id.and_then(|id| id.be32()).unwrap_or(found);
    })?;
    Ok(found)
}

/// Specifications of the sets of a table; none when there is no such table.
pub(super) fn specs(
    socket: &mut Socket,
    name: &str,
) -> Result<BTreeMap<Name, SetSpec>, NetlinkError> {
    let sets = sets(socket, name)?.into_iter();
    let spec = |set: decode::ReadSet| (set.name.clone(), set.into_spec());
    Ok(sets.map(spec).collect())
}

fn sets(socket: &mut Socket, name: &str) -> Result<Vec<decode::ReadSet>, NetlinkError> {
    let sets = socket.dump(
        msg::GETSET,
        |writer| {
            encode::header(writer);
            writer.text(set::TABLE, name);
        },
        |sets: &mut Vec<_>, message| {
            sets.extend(of(name, message).and_then(decode::set));
        },
    );
    match sets {
        Err(error) if error.errno() == Some(libc::ENOENT) => Ok(Vec::new()),
        sets => sets,
    }
}

/// The message if it is about that table.
fn of<'m, 'a>(name: &str, message: &'m Message<'a>) -> Option<&'m Message<'a>> {
    (decode::table_of(message) == Some(name)).then_some(message)
}

impl Table {
    /// Whether there is such a table, whatever it holds.
    ///
    /// # Errors
    /// When the kernel refuses: without `CAP_NET_ADMIN`, or without nf_tables.
    pub fn exists(&mut self) -> Result<bool, NetlinkError> {
        Ok(self.flags()?.is_some())
    }

    /// All that the table holds; `None` when there is no such table. Elements of dynamic sets are
    /// left out.
    ///
    /// What no plan could have made comes out as [`Expr::Foreign`], or as a chain or set that
    /// equals no planned one. So do sets of more than 50,000 elements, where the kernel tells
    /// their number (since Linux 6.16): making them anew is faster than reading them.
    ///
    /// # Errors
    /// When the kernel refuses: without `CAP_NET_ADMIN`, or without nf_tables.
    pub fn read(&mut self) -> Result<Option<Ruleset>, NetlinkError> {
        self.read_with(Unread {
            most: MOST_READ,
            wanted: None,
            in_step: false,
        })
    }

    /// The same, for comparison with what is wanted: sets of more than 50,000 elements need not be
    /// read on any kernel. When all that is wanted was applied and nobody is known to have changed
    /// it (`in_step`), a set of that size is taken for the wanted one if kind and number are the
    /// same; else it comes out as one that equals none, to be made anew.
    ///
    /// # Errors
    /// As [`Table::read`].
    pub fn read_for(
        &mut self,
        wanted: &Ruleset,
        in_step: bool,
    ) -> Result<Option<Ruleset>, NetlinkError> {
        self.read_with(Unread {
            most: MOST_READ,
            wanted: Some(wanted),
            in_step,
        })
    }

    pub(super) fn read_with(
        &mut self,
        unread: Unread<'_>,
    ) -> Result<Option<Ruleset>, NetlinkError> {
        let mut tries = 0;
        loop {
            let before = self.generation()?;
            let found = self.read_once(unread);
            let same = self.generation()? == before;
            tries += 1;
            match found {
                // Others change their tables all the time; ours most likely was left alone.
                Ok(found) if same || tries == TRIES => return Ok(found),
                Err(error) if tries == TRIES || !changed(&error) => return Err(error),
                _ => {}
            }
        }
    }

    fn read_once(&mut self, unread: Unread<'_>) -> Result<Option<Ruleset>, NetlinkError> {
        let Some(flags) = self.flags()? else {
            return Ok(None);
        };
        let mut ruleset = Ruleset {
            chains: self.chains()?,
            sets: BTreeMap::new(),
        };
        self.rules(&mut ruleset.chains)?;
        if flags & table::DORMANT != 0 {
            mark_asleep(&mut ruleset.chains);
        }
        self.specs.clear();
        for set in sets(&mut self.socket, &self.name)? {
            let (name, count) = (set.name.clone(), set.count);
            let spec = set.into_spec();
            self.specs.insert(name.clone(), spec.clone());
            let instead = match spec.dynamic {
                true => None,
                false => unread.instead(&name, &spec, count),
            };
            let set = match instead {
                Some(set) => set,
                None => Set {
                    elements: self.all_elements(&name, &spec, count)?,
                    spec,
                },
            };
            ruleset.sets.insert(name, set);
        }
        Ok(Some(ruleset))
    }

    /// The elements of a set. A hash table that grows or shrinks in the background, as it does
    /// for some milliseconds after large changes, shows elements twice or not at all; then they
    /// are read anew.
    fn all_elements(
        &mut self,
        set: &str,
        spec: &SetSpec,
        count: Option<u32>,
    ) -> Result<BTreeMap<Data, nft::Element>, NetlinkError> {
        if spec.dynamic {
            return Ok(BTreeMap::new());
        }
        let mut tries = 0;
        loop {
            let found = self.dump_elements(set, spec, false)?;
            let read = found.len();
            let elements: BTreeMap<_, _> = found
                .into_iter()
                .map(|(element, _)| (element.key, element))
                .collect();
            let expected = match count {
                Some(count) if spec.timeout_ms == 0 => count as usize,
                _ => read,
            };
            tries += 1;
            if (elements.len() == read && read == expected) || tries == TRIES {
                return Ok(elements);
            }
            std::thread::sleep(Duration::from_millis(1 << tries));
        }
    }

    fn flags(&mut self) -> Result<Option<u32>, NetlinkError> {
        let mut flags = None;
        let name = self.name.clone();
        let fill = |writer: &mut Writer| {
            encode::header(writer);
            writer.text(table::NAME, &name);
        };
        let asked = self.socket.ask(msg::GETTABLE, 0, fill, |message| {
            flags = Some(decode::table_flags(message));
        });
        match asked {
            Ok(()) => Ok(flags),
            Err(error) if error.errno() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn chains(&mut self) -> Result<BTreeMap<Name, Chain>, NetlinkError> {
        let name = self.name.clone();
        let fill = |writer: &mut Writer| {
            encode::header(writer);
            writer.text(chain::TABLE, &name);
        };
        let fold = |chains: &mut BTreeMap<_, _>, message: &Message<'_>| {
            chains.extend(of(&name, message).and_then(decode::chain));
        };
        self.socket.dump(msg::GETCHAIN, fill, fold)
    }

    fn rules(&mut self, chains: &mut BTreeMap<Name, Chain>) -> Result<(), NetlinkError> {
        let name = self.name.clone();
        let fill = |writer: &mut Writer| {
            encode::header(writer);
            writer.text(rule::TABLE, &name);
        };
        let fold = |rules: &mut Vec<(Name, Rule)>, message: &Message<'_>| {
            rules.extend(of(&name, message).and_then(decode::rule));
        };
        for (chain, rule) in self.socket.dump(msg::GETRULE, fill, fold)? {
            if let Some(chain) = chains.get_mut(&chain) {
                chain.rules.push(rule);
            }
        }
        Ok(())
    }

    fn dump_elements(
        &mut self,
        set: &str,
        spec: &SetSpec,
        reset: bool,
    ) -> Result<Vec<(nft::Element, decode::Extra)>, NetlinkError> {
        let name = self.name.clone();
        let fill = |writer: &mut Writer| {
            encode::header(writer);
            writer.text(elem::TABLE, &name);
            writer.text(elem::SET, set);
        };
        let fold = |elements: &mut Vec<_>, message: &Message<'_>| {
            elements.extend(decode::elements(message, spec));
        };
        let kind = match reset {
            true => msg::GETSETELEM_RESET,
            false => msg::GETSETELEM,
        };
        self.socket.dump(kind, fill, fold)
    }

    fn spec(&mut self, set: &str) -> Result<SetSpec, NetlinkError> {
        if !self.specs.contains_key(set) {
            self.specs = specs(&mut self.socket, &self.name)?;
        }
        let missing = || std::io::Error::from_raw_os_error(libc::ENOENT);
        let spec = self.specs.get(set).cloned();
        Ok(spec.ok_or_else(missing)?)
    }

    /// The elements of a set as they are now, those that rules added included.
    ///
    /// # Errors
    /// `ENOENT` when there is no such set; when the kernel refuses.
    pub fn elements(&mut self, set: &str) -> Result<Vec<LiveElement>, NetlinkError> {
        let spec = self.spec(set)?;
        let live = |(element, extra): (nft::Element, decode::Extra)| LiveElement {
            key: element.key,
            value: element.value,
            expires_ms: extra.expires_ms,
            counter: extra.counter,
        };
        let found = self.dump_elements(set, &spec, false)?;
        Ok(found.into_iter().map(live).collect())
    }

    /// What the elements of a set counted, by key. With `reset` they begin anew at zero.
    ///
    /// # Errors
    /// As [`Table::elements`]; `reset` needs Linux 6.5.
    pub fn counters(
        &mut self,
        set: &str,
        reset: bool,
    ) -> Result<BTreeMap<Data, Counter>, NetlinkError> {
        let spec = self.spec(set)?;
        let found = self.dump_elements(set, &spec, reset)?;
        Ok(found
            .into_iter()
            .filter_map(|(element, extra)| Some((element.key, extra.counter?)))
            .collect())
    }
}

/// Whether a failed read is worth another try.
fn changed(error: &NetlinkError) -> bool {
    matches!(error, NetlinkError::Interrupted(_)) || error.errno() == Some(libc::ENOENT)
}

/// A table that is switched off differs from every planned one; any transaction switches it on.
fn mark_asleep(chains: &mut BTreeMap<Name, Chain>) {
    for chain in chains.values_mut().filter(|chain| chain.base.is_some()) {
        let mark = Rule {
            exprs: vec![Expr::Foreign("dormant".into())],
            comment: None,
        };
        chain.rules.insert(0, mark);
    }
}

//! Results of maps as parts of keys, in a form that nft can list.
//!
//! When nft lists a rule, it takes a register for what the last step that began at that very
//! register loaded, and where a key holds the result of a map, it ends with an assertion: its
//! language has no words for that. So such a result is loaded aside, and copied into its place
//! together with the register before it. nft does not see how far the copy reaches, and goes on
//! naming what was loaded there first; comments of rules say what is really there. Whatever nft
//! may name must have been loaded before, if only for that.
//!
//! Newer kernels take no copy whose ends overlap, and a copy is 16 bytes long at most.

use super::sets::SetId;
use super::steps::{Regs, Steps, address_len};
use nft::{Data, Expr, Family, PayloadBase, Reg, Rule};

/// Most bytes that one step copies: the kernel keeps its mask in a `struct nft_data`.
const COPIED: usize = 16;

/// Bytes of a shape.
const SHAPE: usize = 12;

/// Bytes of a port without padding. A copy of just so many leaves nft the name of a port.
const PORT: usize = 2;

impl Steps {
    /// Ends with the verdict of the shape that the map answers to what stands from `key` on. The
    /// frontend must have been loaded.
    pub(super) fn verdict_by(self, set: SetId, key: Reg, comment: &str) -> Rule {
        let address = self.regs().address;
        self.answer_as_identity(set, key, SHAPE)
            .verdict_map(SetId::Shapes, address, comment)
    }

    /// The identity of the Service port by a map from what stands from `key` on. The frontend
    /// must have been loaded; takes the place of the source.
    pub(super) fn identity_by(self, set: SetId, key: Reg) -> Self {
        let bytes = address_len(self.family()) as usize + 8;
        self.answer_as_identity(set, key, bytes)
    }

    /// So many bytes of the map's answer in the place of the identity.
    fn answer_as_identity(self, set: SetId, key: Reg, bytes: usize) -> Self {
        let (address, all) = (self.regs().address, bytes + 4);
        // Where copies begin that do not begin with the port, something must stand.
        let (steps, aside) = match self.family() {
            Family::Ipv4 => (self.number(0, Reg(4)), Reg(5)),
            Family::Ipv6 if all > COPIED => (self.number(0, Reg(13)), Reg(10)),
            Family::Ipv6 => (self, Reg(10)),
        };
        let steps = steps.map(set, key, aside);
        (0..all).step_by(COPIED).fold(steps, |steps, at| {
            let part = |from: Reg| Reg(from.0 - 1 + (at / 4) as u8);
            steps.copy(part(aside), part(address), COPIED.min(all - at))
        })
    }

    /// The endpoint by a map, in its place behind the identity for keys and values to come; the
    /// source into its place.
    pub(super) fn endpoint_by(self, set: SetId, key: Reg) -> Self {
        let Regs {
            port,
            slot,
            endpoint_port,
            ..
        } = self.regs();
        let steps = self.load(PayloadBase::Transport, 2, 2, endpoint_port);
        // The map answers right into the place. So that nft names it otherwise, the address goes
        // aside while another is loaded there, and comes back with a copy of the port before it.
        let (steps, kept) = match steps.family() {
            Family::Ipv4 => (steps.map(set, key, slot).copy(slot, Reg(7), 4), Reg(6)),
            Family::Ipv6 => {
                let steps = steps.number(0, Reg(13)).map(set, key, slot);
                let steps = steps.copy(slot, Reg(1), 12).copy(Reg(13), Reg(15), 4);
                (steps, Reg(0))
            }
        };
        let steps = steps.copy(port, kept, PORT).destination_into(slot);
        let steps = match steps.family() {
            Family::Ipv4 => steps.copy(kept, port, 8),
            Family::Ipv6 => steps.copy(kept, port, 16).copy(Reg(15), Reg(13), 4),
        };
        steps.copy(kept, port, PORT).source()
    }

    fn copy(self, sreg: Reg, dreg: Reg, bytes: usize) -> Self {
        self.then(Expr::Bitwise {
            sreg,
            dreg,
            mask: Data::new(&[0xff; COPIED][..bytes]),
            xor: Data::new(&[0; COPIED][..bytes]),
            len: bytes as u8,
        })
    }
}

//! The programs, each for both families.

use super::HooksError;
use super::asm::{Asm, Helper, Insn, Label, Reg, Size};
use super::layout::Layout;
use super::maps::Maps;
use super::sys;
use std::os::fd::{AsFd, OwnedFd};

/// Offsets in `struct bpf_sock_addr`.
const USER_PORT: i16 = 24;
const PROTOCOL: i16 = 36;

/// Places on the stack: key of the frontend, with the slot behind it.
const FRONTEND: i16 = -24;
/// Key of the peer: socket and endpoint.
const PEER: i16 = -56;
/// Key of the flow: socket and frontend.
const FLOW: i16 = -88;
/// Value: an address with its port.
const ENDPOINT: i16 = -112;
/// Value of a flow.
const CHOSEN: i16 = -136;

const TCP: i32 = 6;
const UDP: i32 = 17;

/// Where a program is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    /// A socket connects
    Connect,
    /// A datagram leaves a socket that is not connected
    Send,
    /// A datagram came, and its source is asked
    Receive,
    /// A socket is asked whom it is connected to
    PeerName,
}

impl Hook {
    pub(super) const ALL: [Self; 4] = [Self::Connect, Self::Send, Self::Receive, Self::PeerName];

    /// `enum bpf_attach_type`
    pub(super) fn attach_type(self, layout: Layout) -> u32 {
        match (self, layout) {
            (Self::Connect, Layout::V4) => 10,
            (Self::Connect, Layout::V6) => 11,
            (Self::Send, Layout::V4) => 14,
            (Self::Send, Layout::V6) => 15,
            (Self::Receive, Layout::V4) => 19,
            (Self::Receive, Layout::V6) => 20,
            (Self::PeerName, Layout::V4) => 29,
            (Self::PeerName, Layout::V6) => 30,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Send => "sendmsg",
            Self::Receive => "recvmsg",
            Self::PeerName => "getpeername",
        }
    }

    /// Hands the program to the kernel.
    pub(super) fn load(self, maps: &Maps) -> Result<OwnedFd, HooksError> {
        let attach_type = self.attach_type(maps.layout());
        sys::load(&self.program(maps), attach_type).map_err(|error| HooksError::Refused {
            what: format!("load the program of {}", self.name()),
            error,
        })
    }

    fn program(self, maps: &Maps) -> Vec<Insn> {
        let mut writer = Program {
            asm: Asm::default(),
            layout: maps.layout(),
            maps,
        };
        let leave = writer.asm.label();
        writer.asm.copy(Reg::R6, Reg::R1);
        match self {
            Self::Connect => writer.connect(leave),
            Self::Send => writer.send(leave),
            Self::Receive | Self::PeerName => writer.name(leave),
        }
        // Whatever happens, the call itself goes on.
        writer.asm.bind(leave);
        writer.asm.set(Reg::R0, 1);
        writer.asm.exit();
        writer.asm.finish()
    }
}

/// Register 6 holds the context, 8 the number of slots, 9 what a map gave.
struct Program<'a> {
    asm: Asm,
    layout: Layout,
    maps: &'a Maps,
}

impl Program<'_> {
    fn connect(&mut self, leave: Label) {
        self.frontend(TCP, leave);
        self.choose(leave);
        self.remember_peer();
        self.rewrite();
    }

    fn send(&mut self, leave: Label) {
        let chosen = self.asm.label();
        let lead = self.asm.label();
        self.frontend(UDP, leave);
        self.flow_key();
        self.chosen_before(chosen);
        self.asm.go(lead);
        self.asm.bind(chosen);
        self.choose(leave);
        self.remember_flow();
        self.asm.bind(lead);
        self.remember_peer();
        self.rewrite();
    }

    /// Puts the frontend in the place of the endpoint.
    fn name(&mut self, leave: Label) {
        let behind = PEER + 8;
        self.copy_words(Reg::Stack, behind, Reg::R6, self.layout.user_ip());
        let port = behind + self.layout.address() as i16;
        let asm = &mut self.asm;
        asm.load(Size::Word, Reg::R1, Reg::R6, USER_PORT);
        asm.store(Size::Half, Reg::Stack, port, Reg::R1);
        asm.load(Size::Word, Reg::R1, Reg::R6, PROTOCOL);
        asm.store(Size::Byte, Reg::Stack, port + 2, Reg::R1);
        asm.store_number(Size::Byte, Reg::Stack, port + 3, 0);
        self.cookie(PEER);
        self.lookup(Which::Peers, PEER, leave);
        self.rewrite();
    }

    /// Makes the frontend's key and leaves if it is not led, or of another protocol. Register 8
    /// is the number of its slots.
    fn frontend(&mut self, protocol: i32, leave: Label) {
        let port = FRONTEND + self.layout.address() as i16;
        self.asm.load(Size::Word, Reg::R1, Reg::R6, PROTOCOL);
        self.asm.unless_equal(Reg::R1, protocol, leave);
        self.copy_words(Reg::Stack, FRONTEND, Reg::R6, self.layout.user_ip());
        let asm = &mut self.asm;
        asm.load(Size::Word, Reg::R1, Reg::R6, USER_PORT);
        asm.store(Size::Half, Reg::Stack, port, Reg::R1);
        asm.store_number(Size::Byte, Reg::Stack, port + 2, protocol);
        asm.store_number(Size::Byte, Reg::Stack, port + 3, 0);
        self.lookup(Which::Frontends, FRONTEND, leave);
        self.asm.load(Size::Word, Reg::R8, Reg::R9, 0);
        self.asm.if_equal(Reg::R8, 0, leave);
    }

    /// Chooses a slot by chance; register 9 points to its endpoint. A slot that is just being
    /// taken away leaves the connection to the rules.
    fn choose(&mut self, leave: Label) {
        self.asm.call(Helper::Random);
        self.asm.cut(Reg::R0);
        self.asm.multiply(Reg::R0, Reg::R8);
        self.asm.shift_right(Reg::R0, 32);
        let slot = self.slot();
        self.asm.store(Size::Word, Reg::Stack, slot, Reg::R0);
        self.lookup(Which::Slots, FRONTEND, leave);
    }

    /// Place of the slot behind the frontend's key.
    fn slot(&self) -> i16 {
        FRONTEND + self.layout.frontend() as i16
    }

    /// Makes the key of this socket's flow to the frontend.
    fn flow_key(&mut self) {
        self.cookie(FLOW);
        self.copy_words(Reg::Stack, FLOW + 8, Reg::Stack, FRONTEND);
        let behind = self.layout.address() as i16;
        let asm = &mut self.asm;
        asm.load(Size::Word, Reg::R1, Reg::Stack, FRONTEND + behind);
        asm.store(Size::Word, Reg::Stack, FLOW + 8 + behind, Reg::R1);
    }

    /// Takes the endpoint that the flow went to before, if its slot still has it; else goes to
    /// the label. Register 9 points to the endpoint.
    fn chosen_before(&mut self, otherwise: Label) {
        self.lookup(Which::Flows, FLOW, otherwise);
        let slot = self.slot();
        self.asm.load(Size::Word, Reg::R1, Reg::R9, 0);
        self.asm.store(Size::Word, Reg::Stack, slot, Reg::R1);
        self.asm.copy(Reg::R7, Reg::R9);
        self.lookup(Which::Slots, FRONTEND, otherwise);
        for offset in (0..self.layout.endpoint() as i16).step_by(4) {
            self.asm.load(Size::Word, Reg::R1, Reg::R9, offset);
            self.asm.load(Size::Word, Reg::R2, Reg::R7, offset + 4);
            self.asm.if_different(Reg::R1, Reg::R2, otherwise);
        }
    }

    fn remember_flow(&mut self) {
        let slot = self.slot();
        self.asm.load(Size::Word, Reg::R1, Reg::Stack, slot);
        self.asm.store(Size::Word, Reg::Stack, CHOSEN, Reg::R1);
        self.copy_endpoint(Reg::Stack, CHOSEN + 4, Reg::R9, 0);
        self.update(Which::Flows, FLOW, CHOSEN);
    }

    /// Notes that what comes from the endpoint belongs to the frontend.
    fn remember_peer(&mut self) {
        let len = self.layout.address() as i16;
        self.cookie(PEER);
        self.copy_words(Reg::Stack, PEER + 8, Reg::R9, 0);
        let asm = &mut self.asm;
        asm.load(Size::Half, Reg::R1, Reg::R9, len);
        asm.store(Size::Half, Reg::Stack, PEER + 8 + len, Reg::R1);
        // Protocol and padding
        asm.load(Size::Half, Reg::R1, Reg::Stack, FRONTEND + len + 2);
        asm.store(Size::Half, Reg::Stack, PEER + 8 + len + 2, Reg::R1);
        self.copy_words(Reg::Stack, ENDPOINT, Reg::Stack, FRONTEND);
        let asm = &mut self.asm;
        asm.load(Size::Half, Reg::R1, Reg::Stack, FRONTEND + len);
        asm.store(Size::Half, Reg::Stack, ENDPOINT + len, Reg::R1);
        asm.store_number(Size::Half, Reg::Stack, ENDPOINT + len + 2, 0);
        self.update(Which::Peers, PEER, ENDPOINT);
    }

    /// Puts the address and port that register 9 points to into the context.
    fn rewrite(&mut self) {
        self.copy_words(Reg::R6, self.layout.user_ip(), Reg::R9, 0);
        let len = self.layout.address() as i16;
        self.asm.load(Size::Half, Reg::R1, Reg::R9, len);
        self.asm.store(Size::Word, Reg::R6, USER_PORT, Reg::R1);
    }

    fn cookie(&mut self, to: i16) {
        self.asm.copy(Reg::R1, Reg::R6);
        self.asm.call(Helper::SocketCookie);
        self.asm.store(Size::Double, Reg::Stack, to, Reg::R0);
    }

    /// Copies an address.
    fn copy_words(&mut self, to: Reg, to_at: i16, from: Reg, from_at: i16) {
        for word in 0..self.layout.words() as i16 {
            self.asm.load(Size::Word, Reg::R1, from, from_at + word * 4);
            self.asm.store(Size::Word, to, to_at + word * 4, Reg::R1);
        }
    }

    /// Copies an address with its port.
    fn copy_endpoint(&mut self, to: Reg, to_at: i16, from: Reg, from_at: i16) {
        self.copy_words(to, to_at, from, from_at);
        let len = self.layout.address() as i16;
        self.asm.load(Size::Word, Reg::R1, from, from_at + len);
        self.asm.store(Size::Word, to, to_at + len, Reg::R1);
    }

    /// Register 9 points to the value of the key; goes to the label when there is none.
    fn lookup(&mut self, which: Which, key: i16, missing: Label) {
        self.asm.map(Reg::R1, which.of(self.maps).as_fd());
        self.asm.place(Reg::R2, key);
        self.asm.call(Helper::MapLookup);
        self.asm.if_equal(Reg::R0, 0, missing);
        self.asm.copy(Reg::R9, Reg::R0);
    }

    fn update(&mut self, which: Which, key: i16, value: i16) {
        self.asm.map(Reg::R1, which.of(self.maps).as_fd());
        self.asm.place(Reg::R2, key);
        self.asm.place(Reg::R3, value);
        // `BPF_ANY`
        self.asm.set(Reg::R4, 0);
        self.asm.call(Helper::MapUpdate);
    }
}

/// One of the maps.
#[derive(Clone, Copy)]
enum Which {
    Frontends,
    Slots,
    Peers,
    Flows,
}

impl Which {
    fn of(self, maps: &Maps) -> &OwnedFd {
        match self {
            Self::Frontends => maps.frontends(),
            Self::Slots => maps.slots(),
            Self::Peers => maps.peers(),
            Self::Flows => maps.flows(),
        }
    }
}

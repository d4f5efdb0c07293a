//! A small assembler for BPF: instructions as `linux/bpf.h` encodes them, and labels.

use std::os::fd::{AsRawFd, BorrowedFd};

/// `struct bpf_insn`
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Insn {
    code: u8,
    /// Destination in the lower half, source in the upper one
    regs: u8,
    off: i16,
    imm: i32,
}

/// A register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Reg {
    /// Results of helpers, and of the program
    R0,
    /// First argument of helpers; not kept by them, as those up to the fifth
    R1,
    R2,
    R3,
    R4,
    /// Kept by helpers, as those up to the ninth
    R6 = 6,
    R7,
    R8,
    R9,
    /// The end of the stack, which grows downwards from it
    Stack,
}

/// Bytes that a load or store moves, with the code's bits for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Size {
    Word = 0x00,
    Half = 0x08,
    Byte = 0x10,
    Double = 0x18,
}

/// Helper functions (`enum bpf_func_id`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(super) enum Helper {
    MapLookup = 1,
    MapUpdate = 2,
    Random = 7,
    SocketCookie = 46,
}

/// A place that jumps lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(usize);

/// A program that is being written.
#[derive(Debug, Default)]
pub(super) struct Asm {
    insns: Vec<Insn>,
    labels: Vec<usize>,
    jumps: Vec<(usize, Label)>,
}

impl Asm {
    fn push(&mut self, code: u8, dst: Reg, src: u8, off: i16, imm: i32) {
        let regs = dst as u8 | (src << 4);
        self.insns.push(Insn {
            code,
            regs,
            off,
            imm,
        });
    }

    /// `dst = imm`
    pub(super) fn set(&mut self, dst: Reg, imm: i32) {
        self.push(0xb7, dst, 0, 0, imm);
    }

    /// `dst = src`
    pub(super) fn copy(&mut self, dst: Reg, src: Reg) {
        self.push(0xbf, dst, src as u8, 0, 0);
    }

    /// `dst = ` the lower 32 bits of `dst`
    pub(super) fn cut(&mut self, dst: Reg) {
        self.push(0xbc, dst, dst as u8, 0, 0);
    }

    /// `dst *= src`
    pub(super) fn multiply(&mut self, dst: Reg, src: Reg) {
        self.push(0x2f, dst, src as u8, 0, 0);
    }

    /// `dst >>= bits`
    pub(super) fn shift_right(&mut self, dst: Reg, bits: i32) {
        self.push(0x77, dst, 0, 0, bits);
    }

    /// `dst = ` the address of a place on the stack
    pub(super) fn place(&mut self, dst: Reg, at: i16) {
        self.copy(dst, Reg::Stack);
        self.push(0x07, dst, 0, 0, i32::from(at));
    }

    /// `dst = src[off]`
    pub(super) fn load(&mut self, size: Size, dst: Reg, src: Reg, off: i16) {
        self.push(0x61 | size as u8, dst, src as u8, off, 0);
    }

    /// `dst[off] = src`
    pub(super) fn store(&mut self, size: Size, dst: Reg, off: i16, src: Reg) {
        self.push(0x63 | size as u8, dst, src as u8, off, 0);
    }

    /// `dst[off] = imm`
    pub(super) fn store_number(&mut self, size: Size, dst: Reg, off: i16, imm: i32) {
        self.push(0x62 | size as u8, dst, 0, off, imm);
    }

    /// Goes to the label if `dst == imm`.
    pub(super) fn if_equal(&mut self, dst: Reg, imm: i32, to: Label) {
        self.jumps.push((self.insns.len(), to));
        self.push(0x15, dst, 0, 0, imm);
    }

    /// Goes to the label if `dst != imm`.
    pub(super) fn unless_equal(&mut self, dst: Reg, imm: i32, to: Label) {
        self.jumps.push((self.insns.len(), to));
        self.push(0x55, dst, 0, 0, imm);
    }

    /// Goes to the label if `dst != src`.
    pub(super) fn if_different(&mut self, dst: Reg, src: Reg, to: Label) {
        self.jumps.push((self.insns.len(), to));
        self.push(0x5d, dst, src as u8, 0, 0);
    }

    /// Goes to the label.
    pub(super) fn go(&mut self, to: Label) {
        self.jumps.push((self.insns.len(), to));
        self.push(0x05, Reg::R0, 0, 0, 0);
    }

    /// `r0 = helper(r1, …)`
    pub(super) fn call(&mut self, helper: Helper) {
        self.push(0x85, Reg::R0, 0, 0, helper as i32);
    }

    /// `dst = ` the map (`BPF_PSEUDO_MAP_FD`)
    pub(super) fn map(&mut self, dst: Reg, map: BorrowedFd<'_>) {
        self.push(0x18, dst, 1, 0, map.as_raw_fd());
        self.push(0x00, Reg::R0, 0, 0, 0);
    }

    /// Ends the program with `r0`.
    pub(super) fn exit(&mut self) {
        self.push(0x95, Reg::R0, 0, 0, 0);
    }

    /// A label, which has to be bound once.
    pub(super) fn label(&mut self) -> Label {
        self.labels.push(usize::MAX);
        Label(self.labels.len() - 1)
    }

    /// The label stands for the next instruction.
    pub(super) fn bind(&mut self, label: Label) {
        self.labels[label.0] = self.insns.len();
    }

    /// The program, with the distances of its jumps.
    pub(super) fn finish(mut self) -> Vec<Insn> {
        for (at, to) in self.jumps {
            let distance = self.labels[to.0] as i64 - at as i64 - 1;
            self.insns[at].off = i16::try_from(distance).unwrap_or(i16::MAX);
        }
        self.insns
    }
}

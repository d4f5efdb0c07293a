//! Where things are in `struct bpf_sock_addr`, in keys and in values, for a family.
//!
//! | map       | key                            | value                    |
//! |-----------|--------------------------------|--------------------------|
//! | frontends | address, port, protocol, 0     | number of slots          |
//! | slots     | the same, slot                 | address, port, 0         |
//! | peers     | socket, address, port, protocol, 0 of the endpoint | address, port, 0 of the frontend |
//! | flows     | socket, the frontend's key     | slot, address, port, 0   |
//!
//! Addresses and ports are in network order, as in the structure; numbers and sockets (by their
//! cookie) in the machine's.

use std::net::IpAddr;

/// A family's layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    V4,
    V6,
}

impl Layout {
    /// 32-bit words of an address.
    pub(super) fn words(self) -> usize {
        match self {
            Self::V4 => 1,
            Self::V6 => 4,
        }
    }

    /// Bytes of an address.
    pub(super) fn address(self) -> usize {
        self.words() * 4
    }

    /// Bytes of a frontend's key.
    pub(super) fn frontend(self) -> usize {
        self.address() + 4
    }

    /// Bytes of a slot's key.
    pub(super) fn slot(self) -> usize {
        self.frontend() + 4
    }

    /// Bytes of an address with a port.
    pub(super) fn endpoint(self) -> usize {
        self.address() + 4
    }

    /// Bytes of a key that begins with a socket's cookie.
    pub(super) fn socket(self) -> usize {
        self.frontend() + 8
    }

    /// Offset of `user_ip4` or `user_ip6` in `struct bpf_sock_addr`.
    pub(super) fn user_ip(self) -> i16 {
        match self {
            Self::V4 => 4,
            Self::V6 => 8,
        }
    }
}

/// Key of a frontend.
pub(super) fn frontend(address: IpAddr, protocol: u8, port: u16) -> Vec<u8> {
    let mut key = octets(address);
    key.extend(port.to_be_bytes());
    key.extend([protocol, 0]);
    key
}

/// Address and port as a value.
pub(super) fn endpoint(address: IpAddr, port: u16) -> Vec<u8> {
    let mut value = octets(address);
    value.extend(port.to_be_bytes());
    value.extend([0, 0]);
    value
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

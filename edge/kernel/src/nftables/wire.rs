//! Numbers of `linux/netfilter/nf_tables.h` and `nfnetlink.h`, under the headers' names without
//! their prefixes.

/// Message type of nf_tables: the subsystem in the upper byte.
const fn message(kind: u16) -> u16 {
    (10 << 8) | kind
}

/// `NFPROTO_INET`
pub(super) const NFPROTO_INET: u8 = 1;
/// Bytes of `struct nfgenmsg`, which stands before the attributes of each message.
pub(super) const NFGENMSG: usize = 4;
/// `NFNL_SUBSYS_NFTABLES`, the resource of a batch.
pub(super) const SUBSYSTEM: u16 = 10;
/// `NFNLGRP_NFTABLES`
pub(super) const GROUP: i32 = 7;
/// `NFTA_LIST_ELEM`
pub(super) const LIST_ELEM: u16 = 1;

/// `enum nf_tables_msg_types`
pub(super) mod msg {
    use super::message;
    pub(in super::super) const NEWTABLE: u16 = message(0);
    pub(in super::super) const GETTABLE: u16 = message(1);
    pub(in super::super) const DELTABLE: u16 = message(2);
    pub(in super::super) const NEWCHAIN: u16 = message(3);
    pub(in super::super) const GETCHAIN: u16 = message(4);
    pub(in super::super) const DELCHAIN: u16 = message(5);
    pub(in super::super) const NEWRULE: u16 = message(6);
    pub(in super::super) const GETRULE: u16 = message(7);
    pub(in super::super) const DELRULE: u16 = message(8);
    pub(in super::super) const NEWSET: u16 = message(9);
    pub(in super::super) const GETSET: u16 = message(10);
    pub(in super::super) const DELSET: u16 = message(11);
    pub(in super::super) const NEWSETELEM: u16 = message(12);
    pub(in super::super) const GETSETELEM: u16 = message(13);
    pub(in super::super) const DELSETELEM: u16 = message(14);
    pub(in super::super) const NEWGEN: u16 = message(15);
    pub(in super::super) const GETGEN: u16 = message(16);
    pub(in super::super) const GETSETELEM_RESET: u16 = message(33);
    /// `NFNL_MSG_BATCH_BEGIN`
    pub(in super::super) const BATCH_BEGIN: u16 = 16;
    /// `NFNL_MSG_BATCH_END`
    pub(in super::super) const BATCH_END: u16 = 17;
}

/// `NFNL_BATCH_GENID`
pub(super) const BATCH_GENID: u16 = 1;

/// `enum nft_table_attributes`
pub(super) mod table {
    pub(in super::super) const NAME: u16 = 1;
    pub(in super::super) const FLAGS: u16 = 2;
    /// `NFT_TABLE_F_DORMANT`
    pub(in super::super) const DORMANT: u32 = 1;
}

/// `enum nft_chain_attributes` and `nft_hook_attributes`
pub(super) mod chain {
    pub(in super::super) const TABLE: u16 = 1;
    pub(in super::super) const NAME: u16 = 3;
    pub(in super::super) const HOOK: u16 = 4;
    pub(in super::super) const POLICY: u16 = 5;
    pub(in super::super) const TYPE: u16 = 7;
    pub(in super::super) const FLAGS: u16 = 10;
    /// `NFT_CHAIN_BINDING`: belongs to a rule and goes with it
    pub(in super::super) const BINDING: u32 = 4;
    pub(in super::super) const HOOK_NUM: u16 = 1;
    pub(in super::super) const HOOK_PRIORITY: u16 = 2;
    /// `NF_ACCEPT`
    pub(in super::super) const ACCEPT: u32 = 1;
}

/// `enum nft_rule_attributes`
pub(super) mod rule {
    pub(in super::super) const TABLE: u16 = 1;
    pub(in super::super) const CHAIN: u16 = 2;
    pub(in super::super) const EXPRESSIONS: u16 = 4;
    pub(in super::super) const USERDATA: u16 = 7;
}

/// `enum nft_set_attributes`, `nft_set_flags` and `nft_set_desc_attributes`
pub(super) mod set {
    pub(in super::super) const TABLE: u16 = 1;
    pub(in super::super) const NAME: u16 = 2;
    pub(in super::super) const FLAGS: u16 = 3;
    pub(in super::super) const KEY_TYPE: u16 = 4;
    pub(in super::super) const KEY_LEN: u16 = 5;
    pub(in super::super) const DATA_TYPE: u16 = 6;
    pub(in super::super) const DATA_LEN: u16 = 7;
    pub(in super::super) const DESC: u16 = 9;
    pub(in super::super) const ID: u16 = 10;
    pub(in super::super) const TIMEOUT: u16 = 11;
    pub(in super::super) const USERDATA: u16 = 13;
    pub(in super::super) const EXPR: u16 = 17;
    pub(in super::super) const EXPRESSIONS: u16 = 18;
    /// `NFTA_SET_COUNT`, since Linux 6.16
    pub(in super::super) const COUNT: u16 = 20;
    pub(in super::super) const DESC_SIZE: u16 = 1;
    pub(in super::super) const F_ANONYMOUS: u32 = 0x1;
    pub(in super::super) const F_MAP: u32 = 0x8;
    pub(in super::super) const F_TIMEOUT: u32 = 0x10;
    pub(in super::super) const F_EVAL: u32 = 0x20;
    pub(in super::super) const F_EXPR: u32 = 0x100;
    /// `NFT_DATA_VERDICT`
    pub(in super::super) const TYPE_VERDICT: u32 = 0xffff_ff00;
}

/// `enum nft_set_elem_attributes` and `nft_set_elem_list_attributes`
pub(super) mod elem {
    pub(in super::super) const TABLE: u16 = 1;
    pub(in super::super) const SET: u16 = 2;
    pub(in super::super) const ELEMENTS: u16 = 3;
    pub(in super::super) const KEY: u16 = 1;
    pub(in super::super) const DATA: u16 = 2;
    pub(in super::super) const FLAGS: u16 = 3;
    pub(in super::super) const TIMEOUT: u16 = 4;
    pub(in super::super) const EXPIRATION: u16 = 5;
    pub(in super::super) const USERDATA: u16 = 6;
    pub(in super::super) const EXPR: u16 = 7;
    pub(in super::super) const EXPRESSIONS: u16 = 11;
}

/// `enum nft_data_attributes`, `nft_verdict_attributes` and `nft_verdicts`
pub(super) mod data {
    pub(in super::super) const VALUE: u16 = 1;
    pub(in super::super) const VERDICT: u16 = 2;
    pub(in super::super) const CODE: u16 = 1;
    pub(in super::super) const CHAIN: u16 = 2;
    pub(in super::super) const DROP: i32 = 0;
    pub(in super::super) const ACCEPT: i32 = 1;
    pub(in super::super) const JUMP: i32 = -3;
    pub(in super::super) const GOTO: i32 = -4;
    pub(in super::super) const RETURN: i32 = -5;
}

/// Attributes of expressions, each under the name of its `enum nft_…_attributes`.
pub(super) mod expr {
    pub(in super::super) const NAME: u16 = 1;
    pub(in super::super) const DATA: u16 = 2;

    pub(in super::super) const PAYLOAD_DREG: u16 = 1;
    pub(in super::super) const PAYLOAD_BASE: u16 = 2;
    pub(in super::super) const PAYLOAD_OFFSET: u16 = 3;
    pub(in super::super) const PAYLOAD_LEN: u16 = 4;

    pub(in super::super) const META_DREG: u16 = 1;
    pub(in super::super) const META_KEY: u16 = 2;
    pub(in super::super) const META_SREG: u16 = 3;
    pub(in super::super) const META_MARK: u32 = 3;

    pub(in super::super) const CT_DREG: u16 = 1;
    pub(in super::super) const CT_KEY: u16 = 2;
    pub(in super::super) const CT_DIRECTION: u16 = 3;

    pub(in super::super) const IMMEDIATE_DREG: u16 = 1;
    pub(in super::super) const IMMEDIATE_DATA: u16 = 2;

    pub(in super::super) const CMP_SREG: u16 = 1;
    pub(in super::super) const CMP_OP: u16 = 2;
    pub(in super::super) const CMP_DATA: u16 = 3;

    pub(in super::super) const BITWISE_SREG: u16 = 1;
    pub(in super::super) const BITWISE_DREG: u16 = 2;
    pub(in super::super) const BITWISE_LEN: u16 = 3;
    pub(in super::super) const BITWISE_MASK: u16 = 4;
    pub(in super::super) const BITWISE_XOR: u16 = 5;
    pub(in super::super) const BITWISE_OP: u16 = 6;

    pub(in super::super) const LOOKUP_SET: u16 = 1;
    pub(in super::super) const LOOKUP_SREG: u16 = 2;
    pub(in super::super) const LOOKUP_DREG: u16 = 3;
    pub(in super::super) const LOOKUP_FLAGS: u16 = 5;
    pub(in super::super) const LOOKUP_INVERTED: u32 = 1;

    pub(in super::super) const NUMGEN_DREG: u16 = 1;
    pub(in super::super) const NUMGEN_MODULUS: u16 = 2;
    pub(in super::super) const NUMGEN_TYPE: u16 = 3;
    pub(in super::super) const NUMGEN_OFFSET: u16 = 4;
    pub(in super::super) const NUMGEN_RANDOM: u32 = 1;

    pub(in super::super) const HASH_SREG: u16 = 1;
    pub(in super::super) const HASH_DREG: u16 = 2;
    pub(in super::super) const HASH_LEN: u16 = 3;
    pub(in super::super) const HASH_MODULUS: u16 = 4;
    pub(in super::super) const HASH_SEED: u16 = 5;
    pub(in super::super) const HASH_OFFSET: u16 = 6;
    pub(in super::super) const HASH_TYPE: u16 = 7;
    pub(in super::super) const HASH_JENKINS: u32 = 0;

    pub(in super::super) const FIB_DREG: u16 = 1;
    pub(in super::super) const FIB_RESULT: u16 = 2;
    pub(in super::super) const FIB_FLAGS: u16 = 3;
    pub(in super::super) const FIB_ADDRTYPE: u32 = 3;

    pub(in super::super) const DYNSET_SET: u16 = 1;
    pub(in super::super) const DYNSET_OP: u16 = 3;
    pub(in super::super) const DYNSET_KEY: u16 = 4;
    pub(in super::super) const DYNSET_DATA: u16 = 5;
    pub(in super::super) const DYNSET_TIMEOUT: u16 = 6;
    pub(in super::super) const DYNSET_EXPR: u16 = 7;
    pub(in super::super) const DYNSET_FLAGS: u16 = 9;
    /// `NFT_DYNSET_F_EXPR`: set by kernels for sets whose elements count
    pub(in super::super) const DYNSET_F_EXPR: u32 = 2;

    pub(in super::super) const NAT_TYPE: u16 = 1;
    pub(in super::super) const NAT_FAMILY: u16 = 2;
    pub(in super::super) const NAT_ADDR_MIN: u16 = 3;
    pub(in super::super) const NAT_ADDR_MAX: u16 = 4;
    pub(in super::super) const NAT_PORT_MIN: u16 = 5;
    pub(in super::super) const NAT_PORT_MAX: u16 = 6;
    pub(in super::super) const NAT_FLAGS: u16 = 7;
    pub(in super::super) const NAT_DNAT: u32 = 1;
    /// `NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED`: the kernel's own account of what
    /// registers are given
    pub(in super::super) const NAT_GIVEN: u32 = 3;

    pub(in super::super) const MASQ_FLAGS: u16 = 1;
    /// `NF_NAT_RANGE_PROTO_RANDOM_FULLY`
    pub(in super::super) const MASQ_FULLY_RANDOM: u32 = 16;

    pub(in super::super) const REJECT_TYPE: u16 = 1;
    pub(in super::super) const REJECT_CODE: u16 = 2;
    pub(in super::super) const REJECT_TCP_RST: u32 = 1;
    pub(in super::super) const REJECT_ICMPX: u32 = 2;
    pub(in super::super) const REJECT_PORT_UNREACH: u8 = 1;

    pub(in super::super) const COUNTER_BYTES: u16 = 1;
    pub(in super::super) const COUNTER_PACKETS: u16 = 2;
}

/// `NFTA_GEN_ID`, `NFTA_GEN_PROC_PID`, `NFTA_GEN_PROC_NAME`
pub(super) mod generation {
    pub(in super::super) const ID: u16 = 1;
    pub(in super::super) const PROCESS_ID: u16 = 2;
    pub(in super::super) const PROCESS_NAME: u16 = 3;
}

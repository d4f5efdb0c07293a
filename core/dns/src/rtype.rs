//! Numbers of record types and response codes (IANA "Domain Name System Parameters").

/// IPv4 address
pub const A: u16 = 1;
/// Name server
pub const NS: u16 = 2;
/// Canonical name
pub const CNAME: u16 = 5;
/// Start of authority
pub const SOA: u16 = 6;
/// Reverse name
pub const PTR: u16 = 12;
/// Host information; asked by loop probes only
pub const HINFO: u16 = 13;
/// Mail exchange
pub const MX: u16 = 15;
/// Text
pub const TXT: u16 = 16;
/// IPv6 address
pub const AAAA: u16 = 28;
/// Service location
pub const SRV: u16 = 33;
/// EDNS(0) pseudo record
pub const OPT: u16 = 41;
/// Incremental zone transfer
pub const IXFR: u16 = 251;
/// Whole zone transfer
pub const AXFR: u16 = 252;
/// Any type
pub const ANY: u16 = 255;

/// Class Internet
pub const CLASS_IN: u16 = 1;

/// No error
pub const NOERROR: u16 = 0;
/// The question could not be read
pub const FORMERR: u16 = 1;
/// The server could not answer
pub const SERVFAIL: u16 = 2;
/// The name does not exist
pub const NXDOMAIN: u16 = 3;
/// Operation not implemented
pub const NOTIMP: u16 = 4;
/// Policy forbids an answer
pub const REFUSED: u16 = 5;
/// Unsupported EDNS version
pub const BADVERS: u16 = 16;

const TYPES: &[(u16, &str)] = &[
    (A, "A"),
    (NS, "NS"),
    (CNAME, "CNAME"),
    (SOA, "SOA"),
    (10, "NULL"),
    (PTR, "PTR"),
    (HINFO, "HINFO"),
    (MX, "MX"),
    (TXT, "TXT"),
    (AAAA, "AAAA"),
    (29, "LOC"),
    (SRV, "SRV"),
    (35, "NAPTR"),
    (39, "DNAME"),
    (OPT, "OPT"),
    (43, "DS"),
    (46, "RRSIG"),
    (47, "NSEC"),
    (48, "DNSKEY"),
    (52, "TLSA"),
    (64, "SVCB"),
    (65, "HTTPS"),
    (IXFR, "IXFR"),
    (AXFR, "AXFR"),
    (ANY, "ANY"),
    (256, "URI"),
    (257, "CAA"),
];

const RCODES: &[&str] = &[
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET",
    "NXRRSET", "NOTAUTH", "NOTZONE",
];

/// The mnemonic of a type, `TYPE65280` for one without.
pub fn type_name(number: u16) -> String {
    let known = TYPES.iter().find(|(n, _)| *n == number);
    known.map_or_else(|| format!("TYPE{number}"), |(_, name)| (*name).to_owned())
}

/// The number of a mnemonic or of `TYPEn`; letter case does not matter.
pub fn type_number(name: &str) -> Option<u16> {
    let known = TYPES
        .iter()
        .find(|(_, known)| known.eq_ignore_ascii_case(name));
    known.map(|(number, _)| *number).or_else(|| {
        let (head, digits) = name.split_at_checked(4)?;
        head.eq_ignore_ascii_case("TYPE")
            .then(|| digits.parse().ok())?
    })
}

/// The mnemonic of a response code, its number for one without.
pub fn rcode_name(code: u16) -> String {
    if code == BADVERS {
        return "BADVERS".to_owned();
    }
    let known = RCODES.get(usize::from(code));
    known.map_or_else(|| code.to_string(), |name| (*name).to_owned())
}

//! The sets and maps of the table.

use nft::{Family, FieldType, Name, SetSpec, SetValue};

/// Most entries of a map that clients fill; beyond it new clients are balanced without memory.
const AFFINITY_ENTRIES: u32 = 262_144;
/// Most endpoints that are remembered for having gone.
const GONE_ENTRIES: u32 = 65_536;
/// How long connections to an endpoint that is gone are reset, in milliseconds.
pub(super) const GONE_MS: u64 = 3_600_000;

/// A set or map, of which there is one for each family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum SetId {
    /// ClusterIPs and external addresses with protocol and port → shape
    Services,
    /// Protocol and NodePort → shape
    NodePorts,
    /// Shape → what to do. Each verdict that comes into a map has the kernel walk the whole map, so
    /// those of Services, which may be many, hold the shape as plain numbers
    Shapes,
    /// External address, protocol, port → identity
    External,
    /// Protocol, NodePort → identity
    NodePortIdentities,
    /// Identity, slot → endpoint
    Endpoints,
    /// The same of those on this node, for policy `Local`
    LocalEndpoints,
    /// Client, identity → endpoint, filled by rules
    Affinity,
    /// Identity, endpoint: which entries of `Affinity` are good
    AffinityEndpoints,
    /// The same for policy `Local`
    LocalAffinityEndpoints,
    /// Source and destination, protocol, port of Pods that reach themselves
    Hairpin,
    /// ClusterIPs
    ClusterIps,
    /// Identity, prefix length, source range: who may use a load balancer's address
    SourceRanges,
    /// Where NodePorts answer
    NodeIps,
    /// Addresses of the DNS server on this node
    DnsAddresses,
    /// Original destinations, with counters
    Counters,
    /// Protocol and NodePort, with counters
    NodePortCounters,
    /// Endpoints that are gone
    Gone,
}

impl SetId {
    /// Those that are always there.
    pub(super) const ALWAYS: [Self; 13] = [
        Self::Services,
        Self::NodePorts,
        Self::Shapes,
        Self::External,
        Self::NodePortIdentities,
        Self::Endpoints,
        Self::LocalEndpoints,
        Self::Affinity,
        Self::AffinityEndpoints,
        Self::LocalAffinityEndpoints,
        Self::Hairpin,
        Self::ClusterIps,
        Self::SourceRanges,
    ];

    fn stem(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::NodePorts => "nodeports",
            Self::Shapes => "shapes",
            Self::External => "external",
            Self::NodePortIdentities => "nodeport-identities",
            Self::Endpoints => "endpoints",
            Self::LocalEndpoints => "local-endpoints",
            Self::Affinity => "affinity",
            Self::AffinityEndpoints => "affinity-endpoints",
            Self::LocalAffinityEndpoints => "local-affinity-endpoints",
            Self::Hairpin => "hairpin",
            Self::ClusterIps => "cluster-ips",
            Self::SourceRanges => "source-ranges",
            Self::NodeIps => "node-ips",
            Self::DnsAddresses => "dns-addresses",
            Self::Counters => "counters",
            Self::NodePortCounters => "nodeport-counters",
            Self::Gone => "gone-endpoints",
        }
    }
}

/// `4` or `6`, with which names of one family's objects end.
pub(super) fn digit(family: Family) -> char {
    match family {
        Family::Ipv4 => '4',
        Family::Ipv6 => '6',
    }
}

/// Name of a set in the table.
pub(super) fn set_name(set: SetId, family: Family) -> Name {
    format!("{}{}", set.stem(), digit(family)).into()
}

/// What a set is.
pub(super) fn set_spec(set: SetId, family: Family) -> SetSpec {
    use FieldType::{InetProto, InetService, Ipv4Addr, Ipv6Addr, Mark};
    let ip = match family {
        Family::Ipv4 => Ipv4Addr,
        Family::Ipv6 => Ipv6Addr,
    };
    let identity = [ip, InetProto, InetService];
    let fields = |fields: &[FieldType]| SetValue::Fields(fields.into());
    let (key, value): (Vec<FieldType>, SetValue) = match set {
        SetId::Services => (identity.to_vec(), fields(&[Mark; 3])),
        SetId::NodePorts => (vec![InetProto, InetService], fields(&[Mark; 3])),
        SetId::Shapes => (vec![Mark; 3], SetValue::Verdict),
        SetId::External => (identity.to_vec(), fields(&identity)),
        SetId::NodePortIdentities => (vec![InetProto, InetService], fields(&identity)),
        SetId::Endpoints | SetId::LocalEndpoints => (
            vec![ip, InetProto, InetService, Mark],
            fields(&[ip, InetService]),
        ),
        SetId::Affinity => (
            vec![ip, ip, InetProto, InetService],
            fields(&[ip, InetService]),
        ),
        SetId::AffinityEndpoints | SetId::LocalAffinityEndpoints => (
            vec![ip, InetProto, InetService, ip, InetService],
            SetValue::None,
        ),
        SetId::Hairpin => (vec![ip, ip, InetProto, InetService], SetValue::None),
        SetId::ClusterIps | SetId::NodeIps | SetId::DnsAddresses => (vec![ip], SetValue::None),
        SetId::SourceRanges => (vec![ip, InetProto, InetService, Mark, ip], SetValue::None),
        SetId::Counters | SetId::Gone => (identity.to_vec(), SetValue::None),
        SetId::NodePortCounters => (vec![InetProto, InetService], SetValue::None),
    };
    let (dynamic, timeout_ms, size) = match set {
        SetId::Affinity => (true, 10_800_000, AFFINITY_ENTRIES),
        SetId::Gone => (true, GONE_MS, GONE_ENTRIES),
        _ => (false, 0, 0),
    };
    SetSpec {
        key: key.into(),
        value,
        dynamic,
        timeout_ms,
        size,
        counters: matches!(set, SetId::Counters | SetId::NodePortCounters),
    }
}

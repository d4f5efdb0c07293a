//! ClusterIPs: one IPAddress object each, out of the ranges of the ready ServiceCIDRs.
//!
//! KEP-1880 (the objects), KEP-3070 (automatic addresses come from the upper band first, so that
//! the lower one is left to those who choose).

use super::spec::Spec;
use crate::Context;
use crate::field::{ip, names};
use crate::net::fields;
use crate::strategy::Companions;
use model::{ApiError, Cidr, FieldError, Resource, go_quote};
use serde_json::{Value, json};
use std::net::IpAddr;

/// A Service that asks for addresses.
pub(super) struct Asker<'a> {
    /// The Service, for its name
    pub(super) service: &'a Value,
    /// What surrounds the request
    pub(super) context: &'a Context<'a>,
}

/// One range of a ServiceCIDR.
struct Pool {
    range: Cidr,
    ready: bool,
}

impl Pool {
    /// Source: `NewIPAllocator`, which takes no wider range of IPv6.
    fn new(range: Cidr, ready: bool) -> Option<Self> {
        (range.is_ipv4() || range.prefix() >= 64).then_some(Self { range, ready })
    }

    /// Neither the network's own address nor the broadcast address of IPv4.
    fn holds(&self, address: IpAddr) -> bool {
        let Some(index) = self.range.index(address) else {
            return false;
        };
        index != 0 && !(self.range.is_ipv4() && index + 1 == self.range.size())
    }

    /// How many addresses can be given out; they are the 1st to the `count`th of the range.
    fn count(&self) -> u128 {
        let lost = if self.range.is_ipv4() { 2 } else { 1 };
        self.range.size().saturating_sub(lost)
    }

    /// How many of them the dynamic band leaves alone.
    fn offset(&self) -> u128 {
        let size = self.range.size();
        if size <= 16 {
            return 0;
        }
        (size / 16).clamp(16, 256)
    }

    /// The first free address: from a random one on through the upper band, then the lower.
    fn next(&self, random: u64, taken: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
        let (count, offset) = (self.count(), self.offset());
        let bands = [
            (offset, count.saturating_sub(offset)),
            (0, offset.min(count)),
        ];
        bands.into_iter().find_map(|(start, length)| {
            let first = u128::from(random).checked_rem(length)?;
            (0..length)
                .filter_map(|i| self.range.nth(1 + start + (first + i) % length))
                .find(|address| !taken(*address))
        })
    }
}

/// Why no address was given.
enum Refusal {
    Full,
    Because(String),
}

impl Asker<'_> {
    /// Gives `spec` one address per family that it has none for and takes those that it names;
    /// `from` is the first index to look at.
    ///
    /// # Errors
    /// 422 when an address cannot be had, 500 when the range is full.
    pub(super) fn allocate(
        &self,
        spec: &mut Spec,
        from: usize,
        companions: &mut Companions,
    ) -> Result<(), ApiError> {
        while spec.cluster_ips.len() < spec.ip_families.len() {
            spec.cluster_ips.push(String::new());
        }
        let asked = spec.cluster_ips.clone();
        for i in from..spec.ip_families.len() {
            let family = spec.ip_families[i].clone();
            let address = self
                .take(&family, &asked[i])
                .map_err(|refusal| self.error(refusal, &asked[i], &asked))?;
            if !self.context.dry_run {
                companions.create.push(self.companion(&address, &family));
            }
            if i == 0 {
                spec.cluster_ip.clone_from(&address);
            }
            spec.cluster_ips[i] = address;
        }
        Ok(())
    }

    fn error(&self, refusal: Refusal, address: &str, asked: &[String]) -> ApiError {
        let name = fields::name(self.service);
        match refusal {
            Refusal::Full => super::internal_error(format!(
                "failed to allocate a serviceIP for Service {}: range is full",
                go_quote(name)
            )),
            Refusal::Because(text) => {
                let what = if address.is_empty() {
                    format!("failed to allocate IP: {text}")
                } else {
                    format!("failed to allocate IP {address}: {text}")
                };
                let error = FieldError::invalid("spec.clusterIPs", &asked.into(), what);
                ApiError::invalid("", "Service", name, &[error])
            }
        }
    }

    fn take(&self, family: &str, wanted: &str) -> Result<String, Refusal> {
        let pools = pools(self.context, family == "IPv4");
        if self.context.dry_run {
            return take_dry(&pools, wanted);
        }
        let address = if wanted.is_empty() {
            self.take_any(&pools)?
        } else {
            self.take_one(&pools, wanted)?
        };
        self.check_name(&address.to_string())?;
        // What the client wrote is kept, even where it is not the canonical form.
        Ok(if wanted.is_empty() {
            address.to_string()
        } else {
            wanted.to_owned()
        })
    }

    fn take_one(&self, pools: &[Pool], wanted: &str) -> Result<IpAddr, Refusal> {
        let address = ip::parse_ip(wanted);
        let held = |address: &IpAddr| pools.iter().any(|pool| pool.ready && pool.holds(*address));
        let Some(address) = address.filter(held) else {
            return Err(Refusal::Because(
                "the provided network does not match the current range".to_owned(),
            ));
        };
        if self.is_taken(address) {
            return Err(Refusal::Because(
                "provided IP is already allocated".to_owned(),
            ));
        }
        Ok(address)
    }

    fn take_any(&self, pools: &[Pool]) -> Result<IpAddr, Refusal> {
        let ready = pools.iter().filter(|pool| pool.ready);
        ready
            .filter_map(|pool| pool.next((self.context.random)(), |a| self.is_taken(a)))
            .next()
            .ok_or(Refusal::Full)
    }

    fn is_taken(&self, address: IpAddr) -> bool {
        let view = self.context.view;
        view.get(Resource::IP_ADDRESSES, "", &address.to_string())
            .is_some()
    }

    /// The IPAddress is written before the Service's own name is validated, so that what is wrong
    /// with the name is told of the IPAddress.
    fn check_name(&self, address: &str) -> Result<(), Refusal> {
        let name = fields::name(self.service);
        let field = "spec.parentRef.name";
        let errors: Vec<FieldError> = if name.is_empty() {
            vec![FieldError::required(field, "")]
        } else {
            let texts = names::path_segment_name(name, false);
            let value = Value::from(name);
            texts
                .iter()
                .map(|text| FieldError::invalid(field, &value, text))
                .collect()
        };
        if errors.is_empty() {
            return Ok(());
        }
        let error = ApiError::invalid("networking.k8s.io", "IPAddress", address, &errors);
        Err(Refusal::Because(error.message))
    }

    fn companion(&self, address: &str, family: &str) -> (Resource, Value) {
        let canonical = ip::parse_ip(address).map_or_else(|| address.to_owned(), |a| a.to_string());
        let object = json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IPAddress",
            "metadata": {
                "name": canonical,
                "labels": {
                    "ipaddress.kubernetes.io/ip-family": family,
                    "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
                },
            },
            "spec": {"parentRef": {
                "resource": "services",
                "namespace": fields::namespace(self.service),
                "name": fields::name(self.service),
            }},
        });
        (Resource::IP_ADDRESSES, object)
    }
}

/// A dry run looks at the range alone and gives the network's address, which nobody can have.
fn take_dry(pools: &[Pool], wanted: &str) -> Result<String, Refusal> {
    let Some(pool) = pools.iter().find(|pool| pool.ready) else {
        return Err(Refusal::Because("allocator not ready".to_owned()));
    };
    if wanted.is_empty() {
        return Ok(pool.range.base().to_string());
    }
    match ip::parse_ip(wanted) {
        Some(address) if !pool.holds(address) => Err(Refusal::Because(format!(
            "the provided IP ({address}) is not in the valid range. The range of valid IPs is {}",
            pool.range
        ))),
        _ => Ok(wanted.to_owned()),
    }
}

/// The ranges of one family: those of the ServiceCIDRs, the default one first. Until the default
/// ServiceCIDR is there, the ranges of the command line stand in for it.
fn pools(context: &Context<'_>, ipv4: bool) -> Vec<Pool> {
    let objects = context.view.list(Resource::SERVICE_CIDRS, None);
    let mut values: Vec<Value> = objects.iter().map(|object| object.value()).collect();
    values.sort_by_key(|value| fields::name(value) != "kubernetes");
    let mut pools: Vec<Pool> = Vec::new();
    let mut add = |range: Cidr, ready: bool| {
        match pools.iter_mut().find(|pool| pool.range == range) {
            Some(pool) => pool.ready |= ready,
            None => pools.extend(Pool::new(range, ready)),
        };
    };
    if values.first().map_or("", fields::name) != "kubernetes" {
        let ranges = context.service_cidrs.iter();
        ranges.for_each(|range| add(*range, true));
    }
    for value in &values {
        let ready = is_ready(value);
        for text in fields::items(&value["spec"], "cidrs") {
            if let Some((_, range)) = text.as_str().and_then(ip::parse_cidr) {
                add(range, ready);
            }
        }
    }
    pools.retain(|pool| pool.range.is_ipv4() == ipv4);
    pools
}

/// Ready unless it says otherwise or is being deleted.
fn is_ready(service_cidr: &Value) -> bool {
    let deleting = service_cidr.pointer("/metadata/deletionTimestamp");
    let conditions = fields::items(&service_cidr["status"], "conditions");
    let condition = conditions
        .iter()
        .find(|condition| fields::text(condition, "type") == "Ready");
    deleting.is_none_or(Value::is_null)
        && condition.is_none_or(|condition| fields::text(condition, "status") == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(range: &str) -> Pool {
        Pool::new(range.parse().unwrap(), true).unwrap()
    }

    #[test]
    fn bands_follow_kep_3070() {
        for (range, count, offset) in [
            ("10.0.0.0/16", 65534, 256),
            ("10.0.0.0/24", 254, 16),
            ("10.0.0.0/20", 4094, 256),
            ("10.0.0.0/28", 14, 0),
            ("10.0.0.0/31", 0, 0),
            ("fd00::/112", 65535, 256),
        ] {
            let pool = pool(range);
            assert_eq!((pool.count(), pool.offset()), (count, offset), "{range}");
        }
        assert!(Pool::new("fd00::/48".parse().unwrap(), true).is_none());
    }

    #[test]
    fn the_upper_band_comes_first_and_wraps_around() {
        let pool = pool("10.0.0.0/24");
        let next = |random, taken: &dyn Fn(u8) -> bool| {
            pool.next(random, |address| match address {
                IpAddr::V4(v4) => taken(v4.octets()[3]),
                IpAddr::V6(_) => true,
            })
            .map(|address| address.to_string())
        };
        assert_eq!(next(0, &|_| false).unwrap(), "10.0.0.17");
        assert_eq!(next(237, &|_| false).unwrap(), "10.0.0.254");
        assert_eq!(next(237, &|last| last == 254).unwrap(), "10.0.0.17");
        assert_eq!(next(3, &|last| last > 16).unwrap(), "10.0.0.4");
        assert_eq!(next(3, &|_| true), None);
    }

    #[test]
    fn network_and_broadcast_are_not_held() {
        let pool = pool("10.0.0.0/24");
        for (address, held) in [
            ("10.0.0.0", false),
            ("10.0.0.1", true),
            ("10.0.0.255", false),
        ] {
            assert_eq!(pool.holds(address.parse().unwrap()), held, "{address}");
        }
    }
}

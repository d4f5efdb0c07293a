//! Node ports, `healthCheckNodePort` among them: one pool for all Services (KEP-3668: automatic
//! ones come from the upper band first).

use super::spec::Spec;
use crate::Context;
use model::{ApiError, FieldError};
use std::collections::{BTreeMap, BTreeSet};

/// The ports one request takes. What it gives back is not noted: a port is free as soon as no
/// stored Service names it.
pub(super) struct Ports<'a> {
    context: &'a Context<'a>,
    name: &'a str,
    taken: BTreeSet<i64>,
}

impl<'a> Ports<'a> {
    /// `name` is the Service's, for errors.
    pub(super) fn new(context: &'a Context<'a>, name: &'a str) -> Self {
        Self {
            context,
            name,
            taken: BTreeSet::new(),
        }
    }

    /// Gives a new Service (or one that had none) the ports its type needs.
    ///
    /// # Errors
    /// 422 for a port that cannot be had, 500 when there is none left.
    pub(super) fn allocate_new(&mut self, spec: &mut Spec) -> Result<(), ApiError> {
        if spec.has_node_ports() {
            self.new_ports(spec)?;
        }
        if spec.needs_health_check() {
            self.health_check_port(spec)?;
        }
        Ok(())
    }

    /// As [`Ports::allocate_new`] for a changed Service, which keeps the ports of the old one.
    ///
    /// # Errors
    /// As there.
    pub(super) fn allocate_changed(&mut self, spec: &mut Spec, old: &Spec) -> Result<(), ApiError> {
        if spec.has_node_ports() {
            self.changed_ports(spec, old)?;
        }
        if spec.needs_health_check() && !old.needs_health_check() {
            self.health_check_port(spec)?;
        }
        Ok(())
    }

    /// Equal port numbers of different protocols share a node port.
    fn new_ports(&mut self, spec: &mut Spec) -> Result<(), ApiError> {
        let wanted = spec.wants_node_ports();
        let mut by_port: BTreeMap<i64, i64> = BTreeMap::new();
        for i in 0..spec.ports.len() {
            let (port, asked) = (spec.ports[i].port, spec.ports[i].node_port);
            if asked == 0 && !wanted {
                continue;
            }
            let number = match by_port.get(&port) {
                Some(shared) if asked == 0 || asked == *shared => *shared,
                Some(_) => self.take_field(asked, i)?,
                None => {
                    let explicit = spec
                        .ports
                        .iter()
                        .find(|other| other.port == port && other.node_port != 0);
                    let number = match explicit.map(|other| other.node_port) {
                        Some(number) => self.take_field(number, i)?,
                        None => self.take_any()?,
                    };
                    by_port.insert(port, number);
                    number
                }
            };
            spec.ports[i].node_port = number;
        }
        Ok(())
    }

    fn changed_ports(&mut self, spec: &mut Spec, old: &Spec) -> Result<(), ApiError> {
        let wanted = spec.wants_node_ports();
        // An ExternalName Service may carry numbers that were never taken for it.
        let kept = if old.has_node_ports() {
            old.node_ports()
        } else {
            Vec::new()
        };
        let mut mine: BTreeSet<i64> = BTreeSet::new();
        let mut seen: BTreeSet<(String, i64)> = BTreeSet::new();
        for i in 0..spec.ports.len() {
            let asked = spec.ports[i].node_port;
            if asked == 0 && !wanted {
                continue;
            }
            if asked == 0 {
                spec.ports[i].node_port = self.take_any()?;
            } else if !kept.contains(&asked) && !mine.contains(&asked) {
                self.take_field(asked, i)?;
                mine.insert(asked);
            }
            let port = &spec.ports[i];
            if !seen.insert((port.protocol.clone(), port.node_port)) {
                let text = format!(
                    "duplicate nodePort: {{{} {}}}",
                    port.protocol, port.node_port
                );
                return Err(ApiError::new(500, "", text));
            }
        }
        Ok(())
    }

    fn health_check_port(&mut self, spec: &mut Spec) -> Result<(), ApiError> {
        let asked = spec.health_check_node_port;
        if asked == 0 {
            spec.health_check_node_port = self.free_port().ok_or_else(|| {
                let text = "failed to allocate a HealthCheck NodePort 0: range is full";
                super::internal_error(text.to_owned())
            })?;
            return Ok(());
        }
        self.take(asked).map_err(|text| {
            super::internal_error(format!(
                "failed to allocate requested HealthCheck NodePort {asked}: {text}"
            ))
        })
    }

    fn take_any(&mut self) -> Result<i64, ApiError> {
        self.free_port().ok_or_else(|| {
            super::internal_error("failed to allocate a nodePort: range is full".to_owned())
        })
    }

    fn take_field(&mut self, port: i64, index: usize) -> Result<i64, ApiError> {
        self.take(port).map_err(|text| {
            let field = format!("spec.ports[{index}].nodePort");
            let error = FieldError::invalid(field, &port.into(), text);
            ApiError::invalid("", "Service", self.name, &[error])
        })?;
        Ok(port)
    }

    fn take(&mut self, port: i64) -> Result<(), String> {
        let (first, last) = self.context.node_ports;
        let in_range = (i64::from(first)..=i64::from(last)).contains(&port);
        // A dry run does not look at the range, as in kube-apiserver.
        if !in_range && !self.context.dry_run {
            return Err(format!(
                "provided port is not in the valid range. The range of valid ports is \
                 {first}-{last}"
            ));
        }
        if self.is_taken(port) {
            return Err("provided port is already allocated".to_owned());
        }
        self.taken.insert(port);
        Ok(())
    }

    fn is_taken(&self, port: i64) -> bool {
        let stored =
            u16::try_from(port).is_ok_and(|port| self.context.indexes.node_port_taken(port));
        stored || self.taken.contains(&port)
    }

    /// Any free port; in a dry run a number that stands for one, outside of the range.
    fn free_port(&mut self) -> Option<i64> {
        if self.context.dry_run {
            let port = self.taken.last().map_or(32768, |port| *port) + 1;
            self.taken.insert(port);
            return Some(port);
        }
        let (first, last) = self.context.node_ports;
        let size = u64::from(last.checked_sub(first)?) + 1;
        let offset = band_offset(size);
        let random = (self.context.random)();
        let bands = [(offset, size - offset), (0, offset)];
        let found = bands.into_iter().find_map(|(start, length)| {
            let at = random.checked_rem(length)?;
            (0..length)
                .map(|i| i64::from(first) + (start + (at + i) % length) as i64)
                .find(|port| !self.is_taken(*port))
        })?;
        self.taken.insert(found);
        Some(found)
    }
}

/// How many ports at the start of the range are left to those who choose.
fn band_offset(size: u64) -> u64 {
    if size <= 16 {
        return 0;
    }
    (size / 32).clamp(16, 128)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_follow_kep_3668() {
        for (size, offset) in [(2768, 86), (16, 0), (17, 16), (100_000, 128)] {
            assert_eq!(band_offset(size), offset, "{size}");
        }
    }
}

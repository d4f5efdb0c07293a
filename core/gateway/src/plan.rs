//! Plans the route table, and plans again only what a change touches.

use crate::class;
use crate::endpoints::{EndpointSet, endpoints};
use crate::global::{Global, Settings};
use crate::host::{HostInput, plan_host, rule_host};
use crate::pattern::Pattern;
use crate::policy;
use crate::problems;
use crate::table::{CATCH_ALL, Entry, HostTable, RouteTable, Served, ServiceRef, WwwRedirect};
use crate::tls::{Certificates, certificates};
use model::{ChangedKeys, Ingress, NamespacedName, Problem, Resource, Snapshot};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Plans all hosts.
pub fn plan(snapshot: &Snapshot, settings: &Settings) -> (RouteTable, Vec<Problem>) {
    let table = full(snapshot, Arc::new(settings.clone()), None);
    let problems = table.problems(snapshot);
    (table, problems)
}

/// Plans again after a change: hosts that it does not touch are shared with `old`.
pub fn replan(old: &RouteTable, snapshot: &Snapshot, changed: &ChangedKeys) -> RouteTable {
    let config_maps = changed.objects.iter().any(|key| {
        key.resource == Resource::CONFIG_MAPS && reads_config_map(old, &key.namespace, &key.name)
    });
    if changed.has(Resource::INGRESS_CLASSES) || config_maps {
        return full(snapshot, old.settings.clone(), Some(old));
    }
    let mut table = old.clone();
    let mut hosts = BTreeSet::new();
    let id = |key: &model::ObjectKey| NamespacedName {
        namespace: key.namespace.clone(),
        name: key.name.clone(),
    };
    for key in &changed.objects {
        if key.resource == Resource::INGRESSES {
            update_entry(&mut table, &id(key), snapshot, &mut hosts);
        }
        if key.resource == Resource::SECRETS {
            hosts_with_secret(&table, &id(key), &mut hosts);
        }
    }
    if !hosts.is_empty() {
        for host in hosts {
            compile(&mut table, &host, snapshot);
        }
        index_names(&mut table);
    }
    table.problems = class_problems(snapshot, &table);
    table
}

/// Whether the controller's settings or an annotation name a ConfigMap.
fn reads_config_map(table: &RouteTable, namespace: &str, name: &str) -> bool {
    let id = NamespacedName::new(namespace, name);
    let text = id.to_string();
    let named = |entry: &Entry| entry.reads.contains(&text);
    id == table.settings.config_map
        || table.global.names(&text)
        || table.entries.values().any(named)
}

fn full(snapshot: &Snapshot, settings: Arc<Settings>, old: Option<&RouteTable>) -> RouteTable {
    let global = Arc::new(Global::from_snapshot(snapshot, &settings));
    let mut table = RouteTable {
        settings,
        global,
        hosts: BTreeMap::new(),
        aliases: BTreeMap::new(),
        alias_patterns: Vec::new(),
        www: BTreeMap::new(),
        entries: BTreeMap::new(),
        by_host: BTreeMap::new(),
        problems: Vec::new(),
    };
    if let Some(old) = old {
        table.entries = old.entries.clone();
        table
            .entries
            .retain(|id, _| snapshot.ingresses.contains_key(id));
    }
    let mut hosts: BTreeSet<Arc<str>> = [Arc::from(CATCH_ALL)].into();
    for id in snapshot.ingresses.keys() {
        update_entry(&mut table, id, snapshot, &mut hosts);
    }
    for host in hosts {
        compile(&mut table, &host, snapshot);
    }
    index_names(&mut table);
    table.problems = class_problems(snapshot, &table);
    table
}

/// Reads one Ingress again and notes the hosts that it has or had.
fn update_entry(
    table: &mut RouteTable,
    id: &NamespacedName,
    snapshot: &Snapshot,
    hosts: &mut BTreeSet<Arc<str>>,
) {
    let old = table.entries.remove(id);
    let mut before = None;
    if let Some(served) = old.and_then(|entry| entry.served) {
        for host in hosts_of(&served.ingress) {
            if let Some(ids) = table.by_host.get_mut(&host) {
                ids.remove(id);
            }
            hosts.insert(host);
        }
        before = Some(served);
    }
    let Some(ingress) = snapshot.ingresses.get(id) else {
        return;
    };
    if class::resolve(ingress, snapshot, &table.settings).is_err() {
        return;
    }
    let read = policy::read(ingress, &table.global, snapshot);
    let served = match read.policy {
        Some(policy) => Some(Arc::new(Served {
            ingress: ingress.clone(),
            policy: Arc::new(policy),
        })),
        // The version before goes on being served, as long as it is the same object.
        None => before.filter(|served| served.ingress.meta.uid == ingress.meta.uid),
    };
    if let Some(served) = &served {
        for host in hosts_of(&served.ingress) {
            let ids = table.by_host.entry(host.clone()).or_default();
            ids.insert(id.clone());
            hosts.insert(host);
        }
    }
    let annotations = &ingress.meta.annotations;
    let custom = annotations.get(&format!("{}custom-headers", policy::PREFIX));
    let entry = Entry {
        served,
        problems: read.problems,
        reads: custom
            .map(|name| name.trim().to_owned())
            .into_iter()
            .collect(),
    };
    table.entries.insert(id.clone(), entry);
}

/// Hosts of an Ingress's rules; one without rules is about the catch-all.
fn hosts_of(ingress: &Ingress) -> BTreeSet<Arc<str>> {
    let mut hosts: BTreeSet<Arc<str>> = ingress
        .rules
        .iter()
        .map(|rule| Arc::from(rule_host(&rule.host)))
        .collect();
    if ingress.rules.is_empty() {
        hosts.insert(Arc::from(CATCH_ALL));
    }
    hosts
}

fn hosts_with_secret(table: &RouteTable, id: &NamespacedName, hosts: &mut BTreeSet<Arc<str>>) {
    for entry in table.entries.values() {
        let Some(served) = &entry.served else {
            continue;
        };
        let ingress = &served.ingress;
        let named = ingress.id.namespace == id.namespace
            && ingress.tls.iter().any(|tls| *tls.secret_name == *id.name);
        if named {
            hosts.extend(hosts_of(ingress));
        }
    }
}

fn compile(table: &mut RouteTable, host: &Arc<str>, snapshot: &Snapshot) {
    let ids = table.by_host.get(host).filter(|ids| !ids.is_empty());
    if ids.is_none() {
        table.by_host.remove(host);
    }
    let mut ingresses: Vec<Arc<Served>> = table
        .by_host
        .get(host)
        .into_iter()
        .flatten()
        .filter_map(|id| table.entries.get(id)?.served.clone())
        .collect();
    sort(&mut ingresses);
    let serves = ingresses
        .iter()
        .any(|served| served.policy.canary.is_none());
    if !serves && &**host != CATCH_ALL {
        table.hosts.remove(host);
        return;
    }
    let planned = plan_host(&HostInput {
        name: host,
        ingresses: &ingresses,
        settings: &table.settings,
        global: &table.global,
        snapshot,
    });
    table.hosts.insert(host.clone(), Arc::new(planned));
}

/// The older first; of two of one second, the larger `namespace/name`.
fn sort(ingresses: &mut [Arc<Served>]) {
    let name = |served: &Served| served.ingress.id.to_string();
    ingresses.sort_by(|a, b| {
        let (old, new) = (&a.ingress.meta, &b.ingress.meta);
        old.creation_timestamp
            .cmp(&new.creation_timestamp)
            .then_with(|| name(b).cmp(&name(a)))
    });
}

/// Aliases and `www.` redirects, which depend on what other hosts exist.
fn index_names(table: &mut RouteTable) {
    table.aliases.clear();
    table.alias_patterns.clear();
    table.www.clear();
    for host in table.hosts.values() {
        for alias in &host.aliases {
            if let Some(pattern) = alias.strip_prefix('~') {
                let compiled = Pattern::ignoring_case(pattern);
                let entry = compiled.map(|pattern| (pattern, host.name.clone()));
                table.alias_patterns.extend(entry);
            } else if !table.hosts.contains_key(alias.as_str()) {
                let name = alias.to_ascii_lowercase();
                table.aliases.entry(name).or_insert(host.name.clone());
            }
        }
        if host.www
            && let Some((from, redirect)) = www(host, table)
        {
            table.www.insert(from, redirect);
        }
    }
}

fn www(host: &HostTable, table: &RouteTable) -> Option<(String, WwwRedirect)> {
    let from = match host.name.strip_prefix("www.") {
        Some(bare) => bare.to_owned(),
        None => format!("www.{}", host.name),
    };
    if table.hosts.contains_key(from.as_str()) {
        return None;
    }
    let redirect = WwwRedirect {
        to: host.name.clone(),
        tls: host.tls.clone(),
    };
    Some((from, redirect))
}

fn class_problems(snapshot: &Snapshot, table: &RouteTable) -> Vec<Problem> {
    let others = snapshot
        .ingresses
        .iter()
        .filter(|(id, _)| !table.entries.contains_key(*id));
    others
        .filter_map(|(_, ingress)| class::resolve(ingress, snapshot, &table.settings).err()?)
        .map(|problem| *problem)
        .collect()
}

impl RouteTable {
    /// All problems: of Ingresses, hosts, and the Services behind them.
    pub fn problems(&self, snapshot: &Snapshot) -> Vec<Problem> {
        let mut all = self.problems.clone();
        for entry in self.entries.values() {
            all.extend(entry.problems.iter().cloned());
        }
        for host in self.hosts.values() {
            all.extend(host.problems.iter().cloned());
            all.extend(problems::backends(host, snapshot));
        }
        all.sort();
        all.dedup();
        all
    }

    /// The Ingresses that are served, by name.
    pub fn ingresses(&self) -> impl Iterator<Item = &NamespacedName> {
        let served = self.entries.iter().filter(|(_, e)| e.served.is_some());
        served.map(|(id, _)| id)
    }
}

/// What changed for the listeners.
#[derive(Clone, Debug, Default)]
pub struct Update {
    /// A new route table, when routes changed
    pub table: Option<Arc<RouteTable>>,
    /// New endpoint sets
    pub endpoints: Vec<(ServiceRef, EndpointSet)>,
    /// Services that nothing refers to any more
    pub removed: Vec<ServiceRef>,
    /// New certificates, when they changed
    pub certificates: Option<Certificates>,
}

/// Keeps a route table up to date with the cluster, one change at a time.
#[derive(Clone, Debug)]
pub struct Planner {
    table: Arc<RouteTable>,
    endpoints: BTreeMap<ServiceRef, EndpointSet>,
    certificates: Certificates,
}

impl Planner {
    /// Plans everything; the update holds all of it.
    pub fn new(snapshot: &Snapshot, settings: &Settings) -> (Self, Update) {
        let table = Arc::new(full(snapshot, Arc::new(settings.clone()), None));
        let mut planner = Self {
            table: table.clone(),
            endpoints: BTreeMap::new(),
            certificates: certificates(&table, snapshot),
        };
        let update = Update {
            endpoints: planner.new_endpoints(snapshot, None),
            removed: Vec::new(),
            certificates: Some(planner.certificates.clone()),
            table: Some(table),
        };
        (planner, update)
    }

    /// Takes a change in.
    pub fn apply(&mut self, snapshot: &Snapshot, changed: &ChangedKeys) -> Update {
        let routes = [
            Resource::INGRESSES,
            Resource::INGRESS_CLASSES,
            Resource::SECRETS,
            Resource::CONFIG_MAPS,
        ];
        let mut update = Update::default();
        if routes.iter().any(|resource| changed.has(*resource)) {
            let table = Arc::new(replan(&self.table, snapshot, changed));
            let found = certificates(&table, snapshot);
            if found != self.certificates {
                self.certificates = found.clone();
                update.certificates = Some(found);
            }
            if table != self.table {
                self.table = table.clone();
                update.table = Some(table);
            }
        }
        let all = update.table.is_some();
        update.endpoints = self.new_endpoints(snapshot, (!all).then_some(&changed.services));
        if all {
            let wanted = self.table.services();
            let gone = self.endpoints.keys().filter(|key| !wanted.contains(*key));
            update.removed = gone.cloned().collect();
            for key in &update.removed {
                self.endpoints.remove(key);
            }
        }
        update
    }

    /// The current table.
    pub fn table(&self) -> &Arc<RouteTable> {
        &self.table
    }

    fn new_endpoints(
        &mut self,
        snapshot: &Snapshot,
        only: Option<&BTreeSet<NamespacedName>>,
    ) -> Vec<(ServiceRef, EndpointSet)> {
        let wanted: Vec<ServiceRef> = match only {
            None => self.table.services().into_iter().collect(),
            Some(services) => self
                .endpoints
                .keys()
                .filter(|key| services.contains(&key.service))
                .cloned()
                .collect(),
        };
        let mut out = Vec::new();
        for reference in wanted {
            let set = endpoints(snapshot, &reference);
            if self.endpoints.get(&reference) != Some(&set) {
                self.endpoints.insert(reference.clone(), set.clone());
                out.push((reference, set));
            }
        }
        out
    }
}

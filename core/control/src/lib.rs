//! What kube-controller-manager does, for the embedded mode: objects → writes.
//!
//! ```text
//! Event ─keys→ Key ─reconcile(Context)→ Outcome { writes, again_in }
//! ```
//!
//! Each [`Controller`] is two pure functions. `keys` names what an event makes dirty; `reconcile`
//! looks at the whole present state around one key and says which writes bring the cluster
//! nearer to what is wanted. It is level-triggered: called again on its own result it asks for
//! nothing, and called once too often it does no harm.
//!
//! **Wiring.** Feed every object that exists as an added event, then each change; put the keys
//! into one queue per controller without duplicates; execute an outcome's writes in order as
//! ordinary API requests; on a refusal put the key back with a back-off.
//!
//! **Does not** do I/O, read a clock, draw random numbers or log.
#![forbid(unsafe_code)]

mod addresses;
mod definitions;
mod disruption;
mod endpoints;
mod fields;
mod garbage;
mod hash;
mod labels;
mod load_balancers;
mod memory;
mod namespaces;
mod nodes;
mod owners;
mod pods;
mod policies;
mod protection;
mod quotas;
mod roles;
mod schedule;
mod tokens;
mod workloads;

pub use memory::Memory;
pub use tokens::{LegacyToken, TokenSigner};

use model::{ApiError, Cidr, Event, ObjectKey, Resource, Timestamp, View, Write};
use std::time::Duration;

/// What a controller works on: the object that its keys name.
pub type Key = ObjectKey;

/// What the controllers are told from outside.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The node that Pods without one are bound to; `None` schedules nothing.
    pub node: Option<String>,
    /// Where addresses of LoadBalancer Services come from; `None` serves no such Service.
    pub load_balancer_pool: Option<Cidr>,
    /// Certificate authority in PEM for the `kube-root-ca.crt` ConfigMap of every namespace.
    pub ca_pem: String,
    /// Signs the tokens that Secrets of ServiceAccounts hold; `None` leaves them without.
    pub token_signer: Option<TokenSigner>,
}

/// What a reconciliation may look at.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The cluster, earlier writes included
    pub view: &'a dyn View,
    /// The present time
    pub now: Timestamp,
    /// Settings of the process
    pub settings: &'a Settings,
    /// What the controllers remember between calls; one for the life of the process
    pub memory: &'a Memory,
}

/// What a reconciliation wants.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Writes, to be executed in this order; the first refusal ends the attempt
    pub writes: Vec<Write>,
    /// Look at the key again after this time, even if nothing changes
    pub again_in: Option<Duration>,
}

impl Outcome {
    /// In a namespace that is going away nothing can be made, so that it is not tried either.
    fn unless_ending(mut self, context: &Context<'_>, key: &Key) -> Self {
        let namespace = context.view.get(Resource::NAMESPACES, "", &key.namespace);
        if namespace.is_some_and(|namespace| namespace.meta.is_deleting()) {
            self.writes
                .retain(|write| !matches!(write, Write::Create { .. } | Write::Note(_)));
        }
        self
    }

    fn of(writes: impl IntoIterator<Item = Write>) -> Self {
        Self {
            writes: writes.into_iter().collect(),
            again_in: None,
        }
    }
}

/// One controller.
#[derive(Clone, Copy)]
pub struct Controller {
    /// Name as in `--controllers` of kube-controller-manager, where there is such a one
    pub name: &'static str,
    /// Which keys an event makes dirty
    pub keys: fn(&Event, &dyn View) -> Vec<Key>,
    /// What has to be done about one key
    pub reconcile: fn(&Context<'_>, &Key) -> Outcome,
    /// What to tell the user when a write of that key was refused for another reason than a
    /// conflict; its own writes are tried once. The key is reconciled again with a back-off anyway.
    pub refused: fn(&Context<'_>, &Key, &Write, &ApiError) -> Outcome,
}

/// For controllers that have nothing to say about a refusal.
fn silent(_: &Context<'_>, _: &Key, _: &Write, _: &ApiError) -> Outcome {
    Outcome::default()
}

/// All controllers that these settings ask for.
pub fn controllers(settings: &Settings) -> Vec<Controller> {
    let mut all = vec![
        endpoints::slices::CONTROLLER,
        endpoints::legacy::CONTROLLER,
        endpoints::mirror::CONTROLLER,
        workloads::deployment::CONTROLLER,
        workloads::replica_set::CONTROLLER,
        workloads::replica_set::OLD_CONTROLLER,
        workloads::daemon_set::CONTROLLER,
        workloads::job::CONTROLLER,
        workloads::job::TTL,
        workloads::cron_job::CONTROLLER,
        workloads::stateful_set::CONTROLLER,
        disruption::CONTROLLER,
        quotas::CONTROLLER,
        protection::CLAIMS,
        protection::VOLUMES,
        protection::CLASSES,
        garbage::CONTROLLER,
        nodes::CONTROLLER,
        namespaces::LIFECYCLE,
        namespaces::SERVICE_ACCOUNT,
        namespaces::ROOT_CA_PUBLISHER,
        definitions::NAMES,
        definitions::FINALIZING,
        addresses::SERVICE_CIDRS,
        addresses::IP_ADDRESSES,
        roles::AGGREGATION,
        policies::STATUS,
        tokens::CONTROLLER,
    ];
    if settings.node.is_some() {
        all.push(schedule::CONTROLLER);
    }
    if settings.load_balancer_pool.is_some() {
        all.push(load_balancers::CONTROLLER);
    }
    all
}

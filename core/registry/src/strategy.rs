//! The questions that the verbs ask about a kind.

use crate::Indexes;
use crate::crd::CustomObjects;
use model::{ApiError, Cidr, FieldError, ObjectKey, Resource, Timestamp, User, View};
use serde_json::Value;
use std::ops::Deref;

/// What a strategy may look at besides the object itself.
pub struct Context<'a> {
    /// The time of the request
    pub now: Timestamp,
    /// The cluster as of this write, earlier writes included
    pub view: &'a dyn View,
    /// Draws a random number; an input so that tests can repeat themselves
    pub random: &'a dyn Fn() -> u64,
    /// `--service-cidr`: primary first
    pub service_cidrs: &'a [Cidr],
    /// First and last NodePort, 30000 and 32767 by default
    pub node_ports: (u16, u16),
    /// What the stored Services hold, as of this write
    pub indexes: &'a Indexes,
    /// Accept endpoint addresses in 127.0.0.0/8 other than 127.0.0.1 (embedded mode only)
    pub loopback_endpoints: bool,
    /// The request is a dry run: allocate nothing for good
    pub dry_run: bool,
    /// Who asks, for admission that depends on it
    pub user: &'a User,
    /// Name in the request's path; empty for POST
    pub name: &'a str,
    /// `apiVersion` of the request's path, e.g. `events.k8s.io/v1`; Events are validated by it
    pub api_version: &'a str,
}

/// Which verb is being served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// POST, or PUT/apply that creates
    Create,
    /// PUT, PATCH
    Update,
    /// DELETE
    Delete,
}

/// Part of an object that is written through a path of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subresource {
    /// `/status`
    Status,
    /// Any other one by name: `scale`, `binding`, `ephemeralcontainers`, `finalize`, `resize`…
    Other(&'static str),
}

/// Objects that have to be written or removed in the same transaction as the main one, e.g. the
/// IPAddress of a Service's ClusterIP.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Companions {
    /// Whole objects to create; their metadata is completed by the caller
    pub create: Vec<(Resource, Value)>,
    /// Objects to remove at once
    pub delete: Vec<ObjectKey>,
}

/// The rules of one kind. Values are whole objects in their versioned form; `old` is what is
/// stored. The verbs call in this order:
///
/// * create: `default` → `admit` → `allocate` → `prepare_create` → `validate` → store
/// * update: (patch →) `default` → `admit` → `allocate` → `prepare_update` → `validate_update` → store
/// * subresource: as update without `allocate`, with `prepare_subresource` and
///   `validate_subresource`
/// * delete: `release` once the object really goes
///
/// Allocation comes before validation, as in kube-apiserver: its refusals win over those of the
/// fields, and validation sees what was allocated. Companions of a write that is refused later are
/// dropped with it. Read objects pass through `default` too, and so does `old`.
///
/// Metadata rules that all kinds share (names, labels, finalizers, owner references, immutable
/// metadata) are the caller's work, apart from [`Strategy::validate_name`].
pub trait Strategy: Sync {
    /// Fills in what the user left out (`SetDefaults_*`), on write and on read of old objects.
    fn default(&self, object: &mut Value) {
        let _ = object;
    }

    /// Drops what a create may not set (e.g. status) and sets what only the server may.
    fn prepare_create(&self, object: &mut Value, context: &Context<'_>) {
        let _ = (object, context);
    }

    /// Drops what an update of the main resource may not set, and counts up `generation` when the
    /// spec changed.
    fn prepare_update(&self, object: &mut Value, old: &Value, context: &Context<'_>) {
        let _ = (object, old, context);
    }

    /// Admission plugins that are on by default and change or refuse the object (service account,
    /// default IngressClass…). `old` is `None` on create.
    ///
    /// # Errors
    /// The whole refusal, e.g. 403 with its message.
    fn admit(
        &self,
        object: &mut Value,
        old: Option<&Value>,
        context: &Context<'_>,
    ) -> Result<(), ApiError> {
        let _ = (object, old, context);
        Ok(())
    }

    /// Admission plugins of this kind that only look, asked once the object is valid.
    ///
    /// # Errors
    /// The whole refusal, e.g. 403 with its message.
    fn approve(
        &self,
        object: &Value,
        old: Option<&Value>,
        context: &Context<'_>,
    ) -> Result<(), ApiError> {
        let _ = (object, old, context);
        Ok(())
    }

    /// Why `metadata.name` is no name for this kind; one text per reason, as in field errors.
    /// `prefix` says that the name is a `generateName`.
    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        let _ = (name, prefix);
        Vec::new()
    }

    /// Why the object is none of the kind, where decoding does not find that out; nothing else is
    /// validated then.
    fn validate_type(&self, object: &Value) -> Vec<FieldError> {
        let _ = object;
        Vec::new()
    }

    /// What is wrong with a new object.
    fn validate(&self, object: &Value, context: &Context<'_>) -> Vec<FieldError> {
        let _ = (object, context);
        Vec::new()
    }

    /// What is wrong with a changed object.
    fn validate_update(
        &self,
        object: &Value,
        old: &Value,
        context: &Context<'_>,
    ) -> Vec<FieldError> {
        let _ = (object, old, context);
        Vec::new()
    }

    /// Keeps of `object` only what this subresource may write; the rest is taken from `old`.
    fn prepare_subresource(
        &self,
        subresource: Subresource,
        object: &mut Value,
        old: &Value,
        context: &Context<'_>,
    ) {
        let _ = context;
        if subresource == Subresource::Status {
            let status = object.get("status").cloned();
            let meta = object.get("metadata").cloned();
            *object = old.clone();
            if let (Some(meta), Some(target)) = (meta, object.get_mut("metadata")) {
                *target = meta;
            }
            if let Some(target) = object.as_object_mut() {
                match status {
                    Some(status) => target.insert("status".to_owned(), status),
                    None => target.remove("status"),
                };
            }
        }
    }

    /// What is wrong with a change through a subresource.
    fn validate_subresource(
        &self,
        subresource: Subresource,
        object: &Value,
        old: &Value,
        context: &Context<'_>,
    ) -> Vec<FieldError> {
        let _ = (subresource, object, old, context);
        Vec::new()
    }

    /// Texts for `Warning` headers about an accepted object; `old` is `None` on create.
    fn warnings(&self, object: &Value, old: Option<&Value>, context: &Context<'_>) -> Vec<String> {
        let _ = (object, old, context);
        Vec::new()
    }

    /// Text of a `Warning` header for each request about this resource, whatever the answer.
    fn deprecation(&self) -> Option<&str> {
        None
    }

    /// As [`Strategy::warnings`], about a change through a subresource.
    fn subresource_warnings(
        &self,
        subresource: Subresource,
        object: &Value,
        old: &Value,
        context: &Context<'_>,
    ) -> Vec<String> {
        let _ = (subresource, object, old, context);
        Vec::new()
    }

    /// Takes what the object needs from shared pools (cluster addresses, node ports) and writes it
    /// into the object; `old` is `None` on create. It changes nothing but `object`: the caller
    /// stores the companions, and drops them when the write is refused or a dry run.
    ///
    /// # Errors
    /// The whole refusal: 422 with field errors in most cases, 500 when a pool is empty.
    fn allocate(
        &self,
        object: &mut Value,
        old: Option<&Value>,
        context: &Context<'_>,
    ) -> Result<Companions, ApiError> {
        let _ = (object, old, context);
        Ok(Companions::default())
    }

    /// Gives back what a deleted object held.
    fn release(&self, object: &Value, context: &Context<'_>) -> Companions {
        let _ = (object, context);
        Companions::default()
    }

    /// Whether PUT of a missing object creates it.
    fn allow_create_on_update(&self) -> bool {
        false
    }

    /// Whether PUT without `metadata.resourceVersion` is taken.
    fn allow_unconditional_update(&self) -> bool {
        true
    }

    /// Seconds of grace for a delete that asks for `wanted` (`None`: the default); `None` when the
    /// kind is deleted at once.
    fn grace_seconds(&self, object: &Value, wanted: Option<i64>) -> Option<i64> {
        let _ = (object, wanted);
        None
    }

    /// Marks the object when its deletion begins, where the kind does that in a way of its own;
    /// `false` leaves it to the machinery.
    fn begin_deletion(&self, object: &mut Value, now: Timestamp) -> bool {
        let _ = (object, now);
        false
    }

    /// Whether dependents stay when a delete does not say what becomes of them.
    fn orphans_by_default(&self) -> bool {
        false
    }

    /// Text of a `Warning` header about such a delete.
    fn delete_warning(&self) -> Option<&'static str> {
        None
    }

    /// Fields beside `metadata.name` and `metadata.namespace` that field selectors may use, with
    /// this object's values.
    fn selectable_fields(&self, object: &Value) -> Vec<(&str, String)> {
        let _ = object;
        Vec::new()
    }

    /// Names of the fields in [`Strategy::selectable_fields`].
    fn selectable_names(&self) -> &[&str] {
        &[]
    }

    /// Whether field selectors may use the field.
    fn is_selectable(&self, field: &str) -> bool {
        self.selectable_names().contains(&field)
    }
}

/// The strategy of a kind: a built-in one, or the one that a CustomResourceDefinition's kinds share.
#[derive(Clone)]
pub enum Rules {
    /// Of a built-in kind
    Builtin(&'static dyn Strategy),
    /// Of a custom kind
    Custom(CustomObjects),
}

impl Deref for Rules {
    type Target = dyn Strategy;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Builtin(strategy) => *strategy,
            Self::Custom(strategy) => strategy,
        }
    }
}

/// A kind without rules of its own.
pub(crate) struct Plain;

impl Strategy for Plain {}

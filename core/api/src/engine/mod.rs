//! The write side: one writer that applies requests in order to the newest state.
//!
//! An answer is computed before its events are durable; whoever drives the engine sends it only
//! after they are. When making them durable fails, the engine's state is ahead of the disk and must
//! be thrown away.

mod admission;
mod apply;
mod body;
mod create;
mod delete;
mod eviction;
mod namespace;
mod note;
mod patch;
mod pod;
mod receive;
mod scale;
mod update;

pub(crate) use body::name_type;
pub(crate) use create::uid;
pub use receive::receive;
pub use scale::scale_of;

use crate::accept::PatchForm;
use crate::answer;
use crate::page::Page;
use crate::query::Query;
use crate::route::Verb;
use crate::state::State;
use model::{ApiError, Cidr, Event, EventKind, Object, Resource, Timestamp, User, View};
use registry::{Companions, Context, Indexes, Policies, Rules};
use schema::{Kind, Registry};
use serde_json::Value;
use std::sync::Arc;

/// Settings that requests depend on.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `--service-cidr`: primary first
    pub service_cidrs: Vec<Cidr>,
    /// First and last NodePort
    pub node_ports: (u16, u16),
    /// Accept endpoint addresses in 127.0.0.0/8
    pub loopback_endpoints: bool,
}

/// What a request may not take from its surroundings by itself.
pub struct Env<'a> {
    /// The time of the request
    pub now: Timestamp,
    /// Draws a random number
    pub random: &'a dyn Fn() -> u64,
    /// Settings of the server
    pub settings: &'a Settings,
}

/// The body of a write.
#[derive(Clone, Debug)]
pub enum Payload {
    /// None, or an empty one
    Empty,
    /// JSON text from the network
    Json(Vec<u8>),
    /// A value from inside the process, trusted to have the right types
    Value(Value),
    /// A YAML document, for an apply
    Document {
        /// As it was read
        value: Value,
        /// What strict decoding says of keys that are there more than once, e.g.
        /// `line 7: key "a" already set in map`
        repeated: Vec<String>,
    },
}

/// One write.
#[derive(Clone, Debug)]
pub struct Request {
    /// Create, update, patch, delete or deletecollection
    pub verb: Verb,
    /// The kind behind the path
    pub kind: Arc<Kind>,
    /// Namespace of the path
    pub namespace: String,
    /// Name of the path
    pub name: String,
    /// Subresource of the path
    pub subresource: String,
    /// Parameters
    pub query: Query,
    /// Body
    pub payload: Payload,
    /// Form of the body, when it is a patch
    pub patch: Option<PatchForm>,
    /// Who asks
    pub user: User,
    /// Name of the client for managedFields, when the parameters give none
    pub agent: String,
    /// Why the user may not create what a PUT or an apply does not find; `None` when they may
    pub create_refusal: Option<Box<ApiError>>,
}

/// What is answered.
#[derive(Clone, Debug)]
pub enum Reply {
    /// An object as it is stored now
    Stored(Arc<Object>),
    /// An object that is not stored, in the kind of the request, or a Status
    Value(Value),
    /// The objects of a deletecollection
    Items(Page),
}

/// The answer to a write, and what it changed.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// HTTP status
    pub code: u16,
    /// Body
    pub reply: Reply,
    /// Texts of `Warning` headers
    pub warnings: Vec<String>,
    /// Changes in order, to be made durable before the answer is sent
    pub events: Vec<Event>,
}

/// The newest state, with writes that are not durable yet.
pub struct Engine {
    state: State,
    indexes: Indexes,
    registry: Registry,
    policies: Policies,
    version: u64,
}

/// What most parts of a request need to know.
pub(crate) struct Scope<'a> {
    pub(crate) request: &'a Request,
    pub(crate) env: &'a Env<'a>,
    pub(crate) kind: &'a Kind,
    pub(crate) stored: Arc<Kind>,
    pub(crate) strategy: Rules,
    registry: Registry,
    pub(crate) api_version: String,
    pub(crate) dry_run: bool,
}

impl<'a> Scope<'a> {
    fn new(request: &'a Request, env: &'a Env<'a>, registry: Registry) -> Self {
        let kind = &request.kind;
        // Custom objects are handled in the version of the request and converted when stored.
        let stored = registry.stored(kind.resource);
        let stored = stored.filter(|_| kind.custom().is_none());
        Self {
            request,
            env,
            kind,
            stored: stored.unwrap_or(kind).clone(),
            strategy: registry::strategy(kind),
            api_version: kind.api_version(),
            dry_run: false,
            registry,
        }
    }

    /// The resource as the path names it, which is what errors name.
    pub(crate) fn resource(&self) -> Resource {
        Resource::new(&self.kind.group, &self.kind.plural)
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The stored object in the kind of the request.
    pub(crate) fn shown(&self, object: &Object) -> Value {
        let mut value = object.value();
        self.registry().convert(&self.stored, self.kind, &mut value);
        value
    }

    pub(crate) fn context<'b>(&'b self, engine: &'b Engine) -> Context<'b> {
        let settings = self.env.settings;
        Context {
            now: self.env.now,
            view: engine,
            indexes: &engine.indexes,
            random: self.env.random,
            service_cidrs: &settings.service_cidrs,
            node_ports: settings.node_ports,
            loopback_endpoints: settings.loopback_endpoints,
            dry_run: self.dry_run,
            user: &self.request.user,
            name: &self.request.name,
            api_version: &self.api_version,
        }
    }

    /// 422 about an object.
    pub(crate) fn invalid(&self, value: &Value, errors: &[model::FieldError]) -> ApiError {
        // Events of both groups are one internal kind, whose group is the core's. A custom object
        // has the kind that it says it has.
        let (group, kind) = (&self.stored.group, &self.stored.kind);
        let said = value["kind"]
            .as_str()
            .filter(|_| self.kind.custom().is_some());
        let name = crate::meta::text(value, "name");
        ApiError::invalid(group, said.unwrap_or(kind), name, errors)
    }
}

impl Engine {
    /// Starts from what was stored, as of `version`.
    pub fn new(state: State, version: u64) -> Self {
        let indexes = Indexes::new(state.all().map(AsRef::as_ref));
        let definitions = state.list(Resource::DEFINITIONS, None);
        let registry = definitions
            .iter()
            .fold(Registry::builtin(), |registry, object| {
                registry.with_definition(&object.meta.name, Some(&object.value()))
            });
        let mut policies = Policies::default();
        for resource in [
            Resource::VALIDATING_POLICIES,
            Resource::VALIDATING_POLICY_BINDINGS,
        ] {
            for object in state.list(resource, None) {
                policies.apply(&object, true);
            }
        }
        Self {
            state,
            indexes,
            registry,
            policies,
            version,
        }
    }

    /// All kinds, those of CustomResourceDefinitions included, as of the newest write.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The version of the newest write.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The newest state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Applies one write.
    ///
    /// # Errors
    /// The refusal; nothing has changed then.
    pub fn handle(&mut self, request: &Request, env: &Env<'_>) -> Result<Outcome, ApiError> {
        let mut scope = Scope::new(request, env, self.registry.clone());
        match (request.verb, request.subresource.as_str()) {
            (Verb::Create, "") if request.kind.kind == "Binding" => self.bind(&mut scope),
            (Verb::Create, "binding") => self.bind(&mut scope),
            (Verb::Create, "eviction") => self.evict(&mut scope),
            (Verb::Create, "") => self.create(&mut scope),
            (Verb::Update | Verb::Patch, "scale") => self.scale(&mut scope),
            (Verb::Update | Verb::Patch, "finalize") => self.finalize(&mut scope),
            (Verb::Update | Verb::Patch, "binding" | "eviction") => {
                Err(answer::method_not_allowed())
            }
            (Verb::Update, _) => self.update(&mut scope),
            (Verb::Patch, _) if request.patch == Some(PatchForm::Apply) => {
                self.apply_patch(&mut scope)
            }
            (Verb::Patch, _) => self.patch(&mut scope),
            (Verb::Delete, "") => self.delete(&mut scope),
            (Verb::DeleteCollection, "") => self.delete_collection(&mut scope),
            _ => Err(answer::method_not_allowed()),
        }
    }

    fn apply(&mut self, event: &Event) {
        let new = (event.kind != EventKind::Deleted).then_some(&*event.object);
        self.indexes.apply(event.old.as_deref(), new);
        self.policies.apply(&event.object, new.is_some());
        if event.object.resource == Resource::DEFINITIONS {
            let definition = new.map(Object::value);
            let name = &event.object.meta.name;
            self.registry = self.registry.with_definition(name, definition.as_ref());
        }
        self.state.apply(event);
    }

    fn next_version(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    /// Brings a custom object into the version in which it is stored.
    fn to_storage(&self, resource: Resource, value: &mut Value) {
        if let Some(stored) = self.registry.stored(resource) {
            self.registry.store(stored, value);
        }
    }

    /// Stores a new state of an object under the next version.
    fn put(
        &mut self,
        resource: Resource,
        mut value: Value,
        old: Option<Arc<Object>>,
    ) -> Result<Event, ApiError> {
        let version = self.version + 1;
        self.to_storage(resource, &mut value);
        crate::meta::of_mut(&mut value)
            .insert("resourceVersion".to_owned(), version.to_string().into());
        let object = Object::from_value(resource, &value).map_err(answer::internal)?;
        self.version = version;
        let event = Event {
            kind: if old.is_some() {
                EventKind::Modified
            } else {
                EventKind::Added
            },
            object: Arc::new(object),
            old,
        };
        self.apply(&event);
        Ok(event)
    }

    /// Removes an object; its last state is `value`.
    fn remove(&mut self, old: Arc<Object>, mut value: Value) -> Result<Event, ApiError> {
        let version = self.next_version();
        self.to_storage(old.resource, &mut value);
        crate::meta::of_mut(&mut value)
            .insert("resourceVersion".to_owned(), version.to_string().into());
        let object = Object::from_value(old.resource, &value).map_err(answer::internal)?;
        let event = Event {
            kind: EventKind::Deleted,
            object: Arc::new(object),
            old: Some(old),
        };
        self.apply(&event);
        Ok(event)
    }

    /// Writes what belongs to a main object.
    fn companions(
        &mut self,
        scope: &Scope<'_>,
        companions: Companions,
    ) -> Result<Vec<Event>, ApiError> {
        let mut events = Vec::new();
        for key in companions.delete {
            if let Some(old) = self.state.get(key.resource, &key.namespace, &key.name) {
                let value = old.value();
                events.push(self.remove(old, value)?);
            }
        }
        for (resource, mut value) in companions.create {
            let Some(kind) = scope.registry().stored(resource).cloned() else {
                continue;
            };
            create::complete(&kind, &mut value, scope.env);
            registry::strategy(&kind).default(&mut value);
            scope.registry().normalise(&kind, &mut value);
            let (namespace, name) = (
                crate::meta::text(&value, "namespace"),
                crate::meta::text(&value, "name"),
            );
            let old = self.state.get(resource, namespace, name);
            events.push(self.put(resource, value, old)?);
        }
        Ok(events)
    }
}

impl View for Engine {
    fn get(&self, resource: Resource, namespace: &str, name: &str) -> Option<Arc<Object>> {
        self.state.get(resource, namespace, name)
    }

    fn list(&self, resource: Resource, namespace: Option<&str>) -> Vec<Arc<Object>> {
        self.state.list(resource, namespace)
    }

    fn owned_by(&self, uid: &str) -> Vec<Arc<Object>> {
        self.state.owned_by(uid)
    }

    fn resources(&self) -> Vec<Resource> {
        self.state.resources()
    }

    fn resource_of(&self, api_version: &str, kind: &str) -> Option<(Resource, bool)> {
        let kind = self.registry.by_kind(api_version, kind)?;
        kind.is_served().then_some((kind.resource, kind.namespaced))
    }
}

//! PUT, and everything else that changes one object.

use super::{Engine, Outcome, Reply, Scope, body};
use crate::query::WriteOptions;
use crate::{answer, managed, meta};
use model::{ApiError, FieldError, Object, Resource, View};
use registry::Subresource;
use schema::Kind;
use serde_json::Value;
use std::sync::Arc;

/// A proposed new state of an object.
pub(super) struct Change {
    /// In the kind of the request, decoded
    pub(super) value: Value,
    /// Warnings so far
    pub(super) warnings: Vec<String>,
    /// Whether the caller asked for this uid (PUT does, a patch does not)
    pub(super) check_uid: bool,
    /// managedFields, when they are known already
    pub(super) noted: Option<Vec<Value>>,
}

/// Kinds whose update validation checks the whole metadata once more.
fn validates_whole(kind: &Kind) -> bool {
    let exempt = matches!(
        kind.resource,
        Resource::DEPLOYMENTS
            | Resource::DEFINITIONS
            | Resource::NAMESPACES
            | Resource::NODES
            | Resource::PODS
            | Resource::SERVICES
            | Resource::INGRESS_CLASSES
            | Resource::IP_ADDRESSES
            | Resource::SERVICE_CIDRS
            | Resource::LEASES
            | Resource::STATEFUL_SETS
            | Resource::REPLICA_SETS
    );
    !exempt && kind.custom().is_none()
}

impl Engine {
    pub(super) fn update(&mut self, scope: &mut Scope<'_>) -> Result<Outcome, ApiError> {
        let options = WriteOptions::parse(&scope.request.query, "UpdateOptions")?;
        scope.dry_run = options.dry_run;
        let (mut value, mut warnings) = body::decode(
            scope,
            scope.kind,
            &scope.request.payload,
            options.validation,
        )?;
        body::match_namespace(scope, &mut value)?;
        body::match_name(scope, &value)?;
        warnings.extend(body::dedup_owners(&mut value, false));
        let change = Change {
            value,
            warnings,
            check_uid: true,
            noted: None,
        };
        let Some(old) = self.existing(scope) else {
            return self.create_on_update(scope, change, &options);
        };
        self.change(scope, &old, change, &options)
    }

    pub(super) fn existing(&self, scope: &Scope<'_>) -> Option<Arc<Object>> {
        let request = scope.request;
        self.get(scope.kind.resource, &request.namespace, &request.name)
    }

    pub(super) fn expect(&self, scope: &Scope<'_>) -> Result<Arc<Object>, ApiError> {
        let missing = || ApiError::not_found(scope.resource(), &scope.request.name);
        self.existing(scope).ok_or_else(missing)
    }

    fn create_on_update(
        &mut self,
        scope: &Scope<'_>,
        change: Change,
        options: &WriteOptions,
    ) -> Result<Outcome, ApiError> {
        if !scope.strategy.allow_create_on_update() || !scope.request.subresource.is_empty() {
            return Err(ApiError::not_found(scope.resource(), &scope.request.name));
        }
        let uid = meta::text(&change.value, "uid");
        if !uid.is_empty() {
            let text = format!(
                "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            );
            return Err(answer::conflict(
                &scope.kind.plural,
                &scope.kind.group,
                &scope.request.name,
                &text,
            ));
        }
        self.create_taken(scope, (change.value, change.warnings), options)
    }

    /// Takes a proposed state through all checks and stores it. Warnings about its decoding are
    /// told even when it is refused.
    pub(super) fn change(
        &mut self,
        scope: &Scope<'_>,
        old: &Arc<Object>,
        change: Change,
        options: &WriteOptions,
    ) -> Result<Outcome, ApiError> {
        let due = change.warnings.clone();
        self.change_checked(scope, old, change, options)
            .map_err(|error| error.warned(due))
    }

    fn change_checked(
        &mut self,
        scope: &Scope<'_>,
        old: &Arc<Object>,
        change: Change,
        options: &WriteOptions,
    ) -> Result<Outcome, ApiError> {
        let Change {
            value,
            mut warnings,
            check_uid,
            noted,
        } = change;
        if check_uid {
            check_uid_precondition(scope, &value, old)?;
        }
        let mut value = self.to_stored(scope, value);
        let mut old_value = self.in_request_version(scope, old);
        scope.strategy.default(&mut old_value);
        scope.strategy.default(&mut value);
        match noted {
            Some(noted) => managed::store(&mut value, noted),
            None => managed::on_update(scope, &mut value, &old_value, &options.field_manager),
        }
        check_version(scope, &mut value, old)?;
        let kept = old_value["metadata"]["generation"].clone();
        set_or_remove(&mut value, "generation", kept);
        let companions = self.prepare_update(scope, &mut value, &old_value)?;
        warnings.extend(self.ask_policies(scope, Some(&value), Some(&old_value))?);
        warnings.extend(body::dedup_owners(&mut value, true));
        let context = scope.context(self);
        warnings.extend(match subresource(&scope.request.subresource) {
            None => scope.strategy.warnings(&value, Some(&old_value), &context),
            Some(sub) => scope
                .strategy
                .subresource_warnings(sub, &value, &old_value, &context),
        });
        scope.registry().normalise(&scope.stored, &mut value);
        managed::drop_if_unchanged(&mut value, &old_value);
        if should_delete(scope, &value, &old_value) {
            return self.delete_emptied(scope, old, value, warnings);
        }
        if value == old_value && self.is_stored_so(scope, old, &value) {
            return Ok(Outcome {
                code: 200,
                reply: Reply::Stored(old.clone()),
                warnings,
                events: Vec::new(),
            });
        }
        if scope.dry_run {
            return Ok(self.unstored(scope, 200, value, warnings));
        }
        let mut events = self.companions(scope, companions)?;
        events.push(self.put(scope.kind.resource, value, Some(old.clone()))?);
        let stored = events[events.len() - 1].object.clone();
        Ok(Outcome {
            code: 200,
            reply: Reply::Stored(stored),
            warnings,
            events,
        })
    }

    /// The stored object as the writes handle it: custom ones in the version of the request.
    fn in_request_version(&self, scope: &Scope<'_>, old: &Object) -> Value {
        let mut value = old.value();
        scope
            .registry()
            .convert(&scope.stored, &scope.stored, &mut value);
        value
    }

    /// Whether storing the value would change nothing: a custom object may be stored in a version
    /// that is no longer the one to store in.
    fn is_stored_so(&self, scope: &Scope<'_>, old: &Object, value: &Value) -> bool {
        if scope.kind.custom().is_none() {
            return true;
        }
        let mut stored = value.clone();
        self.to_storage(scope.kind.resource, &mut stored);
        stored == old.value()
    }

    fn prepare_update(
        &self,
        scope: &Scope<'_>,
        value: &mut Value,
        old: &Value,
    ) -> Result<registry::Companions, ApiError> {
        let context = scope.context(self);
        let strategy = &scope.strategy;
        let sub = subresource(&scope.request.subresource);
        let companions = match sub {
            None => {
                strategy.admit(value, Some(old), &context)?;
                let companions = strategy.allocate(value, Some(old), &context)?;
                strategy.prepare_update(value, old, &context);
                companions
            }
            Some(sub) => {
                strategy.prepare_subresource(sub, value, old, &context);
                registry::Companions::default()
            }
        };
        keep_metadata(value, old);
        let errors = self.validate_update(scope, value, old, sub);
        if !errors.is_empty() {
            return Err(scope.invalid(value, &errors));
        }
        if sub.is_none() {
            registry::approve(scope.kind.resource, strategy, value, Some(old), &context)?;
        }
        Ok(companions)
    }

    /// Metadata is checked by the machinery and again by the kind, so that an error shows as often
    /// as the original shows it.
    fn validate_update(
        &self,
        scope: &Scope<'_>,
        value: &Value,
        old: &Value,
        sub: Option<Subresource>,
    ) -> Vec<FieldError> {
        let context = scope.context(self);
        let strategy = &scope.strategy;
        let namespaced = scope.kind.namespaced;
        let wrong = strategy.validate_type(value);
        if !wrong.is_empty() {
            return wrong;
        }
        let mut errors = meta::validate(value, namespaced, &meta::names::path_segment);
        errors.extend(meta::validate_update(value, old));
        if scope.kind.resource != Resource::ENDPOINT_SLICES
            && scope.kind.resource != Resource::EVENTS
        {
            errors.extend(meta::validate_update(value, old));
            // Kubernetes' own kinds know the finalizers that are theirs; those of another project,
            // definitions and what they define, do not ask.
            if scope.kind.custom().is_none() && scope.kind.resource != Resource::DEFINITIONS {
                errors.extend(meta::unknown_finalizers(value));
            }
        }
        match sub {
            None => {
                if validates_whole(scope.kind) {
                    let rule = |name: &str, prefix: bool| strategy.validate_name(name, prefix);
                    errors.extend(meta::validate(value, namespaced, &rule));
                    errors.extend(meta::unknown_finalizers(value));
                }
                errors.extend(strategy.validate_update(value, old, &context));
            }
            Some(sub) => errors.extend(strategy.validate_subresource(sub, value, old, &context)),
        }
        errors
    }

    /// The last finalizer of an object in deletion is gone: so is the object.
    fn delete_emptied(
        &mut self,
        scope: &Scope<'_>,
        old: &Arc<Object>,
        value: Value,
        warnings: Vec<String>,
    ) -> Result<Outcome, ApiError> {
        let mut shown = value.clone();
        scope
            .registry()
            .convert(&scope.stored, scope.kind, &mut shown);
        let events = if scope.dry_run {
            Vec::new()
        } else {
            // Watchers see the last stored state go, as they do in the original.
            let last = old.value();
            self.remove_with_companions(scope, old.clone(), last)?
        };
        Ok(Outcome {
            code: 200,
            reply: Reply::Value(shown),
            warnings,
            events,
        })
    }
}

/// Subresources that have rules of their own.
fn subresource(name: &str) -> Option<Subresource> {
    Some(match name {
        "" => return None,
        "status" => Subresource::Status,
        "scale" => return None,
        "binding" => Subresource::Other("binding"),
        "ephemeralcontainers" => Subresource::Other("ephemeralcontainers"),
        "resize" => Subresource::Other("resize"),
        "finalize" => Subresource::Other("finalize"),
        _ => Subresource::Other("other"),
    })
}

pub(super) fn set_or_remove(value: &mut Value, key: &str, new: Value) {
    let map = meta::of_mut(value);
    if new.is_null() {
        map.remove(key);
    } else {
        map.insert(key.to_owned(), new);
    }
}

/// What an update cannot change is taken from the stored object (`BeforeUpdate`).
fn keep_metadata(value: &mut Value, old: &Value) {
    let was = meta::of(old).clone();
    let map = meta::of_mut(value);
    if map
        .get("uid")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .is_empty()
        && let Some(uid) = was.get("uid")
    {
        map.insert("uid".to_owned(), uid.clone());
    }
    for key in ["creationTimestamp", "deletionTimestamp"] {
        if let Some(time) = was.get(key) {
            map.insert(key.to_owned(), time.clone());
        }
    }
    if let (Some(grace), None) = (
        was.get("deletionGracePeriodSeconds"),
        map.get("deletionGracePeriodSeconds"),
    ) {
        map.insert("deletionGracePeriodSeconds".to_owned(), grace.clone());
    }
}

fn check_uid_precondition(scope: &Scope<'_>, value: &Value, old: &Object) -> Result<(), ApiError> {
    let wanted = meta::text(value, "uid");
    if wanted.is_empty() || wanted == &*old.meta.uid {
        return Ok(());
    }
    let text = format!(
        "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {wanted}, UID in object meta: {}",
        storage_key(old, scope.kind.custom().is_some()),
        old.meta.uid
    );
    Err(answer::conflict(
        &scope.kind.plural,
        &scope.kind.group,
        &scope.request.name,
        &text,
    ))
}

/// The key under which the original stores an object; error texts show it.
fn storage_key(object: &Object, is_custom: bool) -> String {
    let prefix = match object.resource {
        Resource::SERVICES => "services/specs".to_owned(),
        Resource::ENDPOINTS => "services/endpoints".to_owned(),
        Resource::INGRESSES => "ingress".to_owned(),
        Resource::NODES => "minions".to_owned(),
        // Groups with a dot of their own: custom ones, and definitions themselves.
        other if is_custom || other == Resource::DEFINITIONS => {
            format!("{}/{}", other.group(), other.plural())
        }
        other => other.plural().to_owned(),
    };
    let place = crate::state::place(&object.meta.namespace, &object.meta.name);
    format!("/registry/{prefix}/{place}")
}

/// The version in an object, with the words of the original's store for what is none.
fn stored_version(text: &str) -> Result<u64, String> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let why = if is_number {
            "value out of range"
        } else {
            "invalid syntax"
        };
        format!(
            "strconv.ParseUint: parsing {}: {why}",
            model::go_quote(text)
        )
    })
}

/// Optimistic locking; an update without a version takes the stored one where the kind allows it.
fn check_version(scope: &Scope<'_>, value: &mut Value, old: &Object) -> Result<(), ApiError> {
    let name = &scope.request.name;
    let text = meta::text(value, "resourceVersion");
    let wanted = stored_version(text).map_err(answer::plain_500)?;
    if wanted == 0 {
        if !scope.strategy.allow_unconditional_update() {
            let error = FieldError::invalid(
                "metadata.resourceVersion",
                &0.into(),
                "must be specified for an update",
            );
            return Err(ApiError::invalid(
                &scope.kind.group,
                &scope.kind.plural,
                name,
                &[error],
            ));
        }
    } else if wanted != old.meta.resource_version {
        return Err(answer::stale(scope.resource(), name));
    }
    let version = old.meta.resource_version.to_string();
    meta::of_mut(value).insert("resourceVersion".to_owned(), version.into());
    Ok(())
}

fn should_delete(scope: &Scope<'_>, value: &Value, old: &Value) -> bool {
    let (new, was) = (meta::of(value), meta::of(old));
    let grace = was
        .get("deletionGracePeriodSeconds")
        .and_then(Value::as_i64)
        .unwrap_or(0);
    let namespace_done = || {
        let finalizers = value["spec"]["finalizers"].as_array();
        scope.kind.resource != Resource::NAMESPACES || finalizers.is_none_or(Vec::is_empty)
    };
    meta::list(new, "finalizers").is_empty()
        && was.contains_key("deletionTimestamp")
        && grace == 0
        && namespace_done()
}

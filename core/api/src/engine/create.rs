//! POST: and PUT of what is not there yet, where a kind allows it.

use super::{Engine, Env, Outcome, Reply, Scope, body, namespace};
use crate::query::WriteOptions;
use crate::{answer, managed, meta};
use model::{ApiError, Event, Resource, View};
use schema::Kind;
use serde_json::Value;

const SUFFIX: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH: usize = 5;
const PREFIX_LENGTH: usize = 63 - SUFFIX_LENGTH;

/// A random uid (RFC 9562, version 4).
pub(crate) fn uid(random: &dyn Fn() -> u64) -> String {
    let bits = (u128::from(random()) << 64) | u128::from(random());
    let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

fn generate(prefix: &str, random: &dyn Fn() -> u64) -> String {
    let mut end = prefix.len().min(PREFIX_LENGTH);
    while !prefix.is_char_boundary(end) {
        end -= 1;
    }
    let mut name = prefix[..end].to_owned();
    for _ in 0..SUFFIX_LENGTH {
        let pick = usize::try_from(random() % SUFFIX.len() as u64).unwrap_or(0);
        name.push(char::from(SUFFIX[pick]));
    }
    name
}

/// Sets what only the server may say about a new object.
pub(super) fn complete(kind: &Kind, value: &mut Value, env: &Env<'_>) {
    // What a custom object says it is was read with it, and is validated.
    if kind.custom().is_none() || value["kind"].is_null() {
        body::name_type(kind, value);
    }
    let map = meta::of_mut(value);
    for key in [
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "resourceVersion",
    ] {
        map.remove(key);
    }
    map.insert("creationTimestamp".to_owned(), env.now.rfc3339().into());
    map.insert("uid".to_owned(), uid(env.random).into());
}

impl Engine {
    pub(super) fn create(&mut self, scope: &mut Scope<'_>) -> Result<Outcome, ApiError> {
        let options = WriteOptions::parse(&scope.request.query, "CreateOptions")?;
        scope.dry_run = options.dry_run;
        let taken = body::decode(
            scope,
            scope.kind,
            &scope.request.payload,
            options.validation,
        )?;
        self.create_taken(scope, taken, &options)
    }

    /// Creates a decoded object. Warnings about its decoding are told even when it is refused.
    pub(super) fn create_taken(
        &mut self,
        scope: &Scope<'_>,
        taken: body::Taken,
        options: &WriteOptions,
    ) -> Result<Outcome, ApiError> {
        let due = taken.1.clone();
        self.create_checked(scope, taken, options, None)
            .map_err(|error| error.warned(due))
    }

    /// Creates what an apply made, with the managedFields that it noted.
    pub(super) fn create_applied(
        &mut self,
        scope: &Scope<'_>,
        taken: body::Taken,
        noted: Vec<Value>,
        options: &WriteOptions,
    ) -> Result<Outcome, ApiError> {
        let due = taken.1.clone();
        self.create_checked(scope, taken, options, Some(noted))
            .map_err(|error| error.warned(due))
    }

    fn create_checked(
        &mut self,
        scope: &Scope<'_>,
        (mut value, mut warnings): body::Taken,
        options: &WriteOptions,
        noted: Option<Vec<Value>>,
    ) -> Result<Outcome, ApiError> {
        if noted.is_none() && !meta::text(&value, "resourceVersion").is_empty() {
            return Err(answer::plain_500(
                "resourceVersion should not be set on objects to be created",
            ));
        }
        body::match_namespace(scope, &mut value)?;
        complete(scope.kind, &mut value, scope.env);
        warnings.extend(body::dedup_owners(&mut value, false));
        self.name(scope, &mut value);
        let mut value = self.to_stored(scope, value);
        scope.strategy.default(&mut value);
        match noted {
            Some(noted) => managed::store(&mut value, noted),
            None => managed::on_create(scope, &mut value, &options.field_manager),
        }
        namespace::check_create(self, scope, meta::text(&value, "name"))?;
        let companions = self.prepare_create(scope, &mut value)?;
        if let Some(refusal) = &scope.request.create_refusal {
            return Err(*refusal.clone());
        }
        warnings.extend(self.ask_policies(scope, Some(&value), None)?);
        let name = meta::text(&value, "name").to_owned();
        if self
            .get(scope.kind.resource, meta::text(&value, "namespace"), &name)
            .is_some()
        {
            return Err(answer::already_exists(scope.resource(), &name));
        }
        warnings.extend(scope.strategy.warnings(&value, None, &scope.context(self)));
        scope.registry().normalise(&scope.stored, &mut value);
        if scope.dry_run {
            return Ok(self.unstored(scope, 201, value, warnings));
        }
        let mut events = self.companions(scope, companions)?;
        events.push(self.put(scope.kind.resource, value, None)?);
        let stored = events[events.len() - 1].object.clone();
        Ok(Outcome {
            code: 201,
            reply: Reply::Stored(stored),
            warnings,
            events,
        })
    }

    /// An answer that changed nothing.
    pub(super) fn unstored(
        &self,
        scope: &Scope<'_>,
        code: u16,
        mut value: Value,
        warnings: Vec<String>,
    ) -> Outcome {
        scope
            .registry()
            .convert(&scope.stored, scope.kind, &mut value);
        Outcome {
            code,
            reply: Reply::Value(value),
            warnings,
            events: Vec::new(),
        }
    }

    /// Converts from the kind of the request to the stored one.
    pub(super) fn to_stored(&self, scope: &Scope<'_>, mut value: Value) -> Value {
        // Custom objects are converted when they are stored.
        if scope.kind.custom().is_some() {
            return value;
        }
        scope
            .registry()
            .convert(scope.kind, &scope.stored, &mut value);
        value
    }

    fn name(&self, scope: &Scope<'_>, value: &mut Value) {
        let prefix = meta::text(value, "generateName").to_owned();
        if prefix.is_empty() || !meta::text(value, "name").is_empty() {
            return;
        }
        let namespace = meta::text(value, "namespace").to_owned();
        let mut name = generate(&prefix, scope.env.random);
        for _ in 0..8 {
            if self.get(scope.kind.resource, &namespace, &name).is_none() {
                break;
            }
            name = generate(&prefix, scope.env.random);
        }
        meta::of_mut(value).insert("name".to_owned(), name.into());
    }

    fn prepare_create(
        &self,
        scope: &Scope<'_>,
        value: &mut Value,
    ) -> Result<registry::Companions, ApiError> {
        let context = scope.context(self);
        let strategy = &scope.strategy;
        strategy.admit(value, None, &context)?;
        let companions = strategy.allocate(value, None, &context)?;
        strategy.prepare_create(value, &context);
        let wrong = strategy.validate_type(value);
        if !wrong.is_empty() {
            return Err(scope.invalid(value, &wrong));
        }
        let rule = |name: &str, prefix: bool| strategy.validate_name(name, prefix);
        let mut errors = meta::validate(value, scope.kind.namespaced, &rule);
        // Custom objects are only warned.
        if scope.kind.custom().is_none() {
            errors.extend(meta::unknown_finalizers(value));
        }
        errors.extend(strategy.validate(value, &context));
        if errors.is_empty() {
            errors = meta::validate(value, scope.kind.namespaced, &meta::names::path_segment);
        }
        if !errors.is_empty() {
            return Err(scope.invalid(value, &errors));
        }
        registry::approve(scope.kind.resource, strategy, value, None, &context)?;
        Ok(companions)
    }
}

impl Engine {
    /// Stores an object as the server itself states it: defaulted, but not checked. An object that
    /// says the same already stays as it is.
    ///
    /// # Errors
    /// When the kind is not known.
    pub fn seed(
        &mut self,
        resource: Resource,
        mut value: Value,
        env: &Env<'_>,
    ) -> Result<Vec<Event>, ApiError> {
        let registry = self.registry().clone();
        let kind = registry
            .stored(resource)
            .ok_or_else(answer::no_such_resource)?;
        complete(kind, &mut value, env);
        registry::strategy(kind).default(&mut value);
        registry.normalise(kind, &mut value);
        let (namespace, name) = (meta::text(&value, "namespace"), meta::text(&value, "name"));
        let old = self.get(resource, namespace, name);
        if let Some(old) = &old {
            let was = meta::of(&old.value()).clone();
            for key in ["uid", "creationTimestamp", "resourceVersion", "generation"] {
                if let Some(kept) = was.get(key) {
                    meta::of_mut(&mut value).insert(key.to_owned(), kept.clone());
                }
            }
            if value == old.value() {
                return Ok(Vec::new());
            }
        }
        Ok(vec![self.put(resource, value, old)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_are_of_version_four() {
        assert_eq!(uid(&|| u64::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(uid(&|| 0), "00000000-0000-4000-8000-000000000000");
    }

    #[test]
    fn generated_names_stay_within_a_label() {
        assert_eq!(generate("web-", &|| 0), "web-bbbbb");
        assert_eq!(generate(&"x".repeat(80), &|| 1).len(), 63);
    }
}

//! DELETE of one object and of collections: finalizers, grace, preconditions, propagation.

use super::{Engine, Outcome, Reply, Scope, body, namespace, update};
use crate::page::Page;
use crate::past::Past;
use crate::query::{DeleteOptions, ListOptions};
use crate::route::ResourcePath;
use crate::select::Selection;
use crate::{answer, meta};
use model::{ApiError, Event, Object, Resource, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// What became of an object that was to be deleted.
pub(super) struct Deletion {
    /// Its last or its present state
    pub(super) object: Value,
    /// Whether it is gone
    pub(super) gone: bool,
    /// What changed
    pub(super) events: Vec<Event>,
}

/// Kinds whose delete answers with the object rather than with a Status.
fn returns_object(resource: Resource) -> bool {
    matches!(
        resource,
        Resource::SERVICES
            | Resource::PODS
            | Resource::NAMESPACES
            | Resource::SERVICE_ACCOUNTS
            | Resource::POD_TEMPLATES
            | Resource::RESOURCE_QUOTAS
            | Resource::VOLUMES
            | Resource::VOLUME_CLAIMS
            | Resource::STORAGE_CLASSES
            | Resource::VOLUME_ATTRIBUTES_CLASSES
            | Resource::VOLUME_ATTACHMENTS
            | Resource::CSI_DRIVERS
            | Resource::CSI_NODES
    )
}

impl Engine {
    pub(super) fn delete(&mut self, scope: &mut Scope<'_>) -> Result<Outcome, ApiError> {
        let body = body::delete_options(&scope.request.payload)?;
        let options = DeleteOptions::parse(&scope.request.query, body.as_ref())?;
        scope.dry_run = options.dry_run;
        let old = self.expect(scope)?;
        let mut warnings = delete_warnings(scope, &options);
        warnings.extend(self.ask_policies(scope, None, Some(&old.value()))?);
        let deletion = self.delete_one(scope, &old, &options)?;
        let accepted = !deletion.gone && options.orphan_dependents == Some(false);
        let mut object = deletion.object;
        let reply = if deletion.gone && !returns_object(scope.kind.resource) {
            success(scope, &old)
        } else {
            scope
                .registry()
                .convert(&scope.stored, scope.kind, &mut object);
            object
        };
        Ok(Outcome {
            code: if accepted { 202 } else { 200 },
            reply: Reply::Value(reply),
            warnings,
            events: deletion.events,
        })
    }

    /// Deletes one object as far as finalizers and grace let it.
    pub(super) fn delete_one(
        &mut self,
        scope: &Scope<'_>,
        old: &Arc<Object>,
        options: &DeleteOptions,
    ) -> Result<Deletion, ApiError> {
        namespace::check_delete(scope, old)?;
        check_preconditions(scope, old, options)?;
        if old.resource == Resource::NAMESPACES {
            return self.delete_namespace(scope, old, options);
        }
        let mut value = old.value();
        let unchanged = value.clone();
        if !old.meta.is_deleting() && scope.strategy.begin_deletion(&mut value, scope.env.now) {
            return self.mark_deleting(scope, old, value, &unchanged);
        }
        let grace = match graceful(scope, &mut value, options) {
            Grace::Pending => {
                return Ok(Deletion {
                    object: unchanged,
                    gone: false,
                    events: Vec::new(),
                });
            }
            Grace::None => None,
            Grace::Seconds(seconds) => Some(seconds),
        };
        let orphans = registry::builtin(old.resource).orphans_by_default();
        set_finalizers(&mut value, options, orphans);
        let held = !meta::list(meta::of(&value), "finalizers").is_empty();
        if grace.is_none() && held {
            mark(&mut value, scope.env.now);
        }
        if held || grace.is_some_and(|seconds| seconds > 0) {
            return self.mark_deleting(scope, old, value, &unchanged);
        }
        self.remove_now(scope, old, value)
    }

    /// Stores an object that now waits for its end.
    fn mark_deleting(
        &mut self,
        scope: &Scope<'_>,
        old: &Arc<Object>,
        value: Value,
        unchanged: &Value,
    ) -> Result<Deletion, ApiError> {
        if scope.dry_run || value == *unchanged {
            return Ok(Deletion {
                object: value,
                gone: false,
                events: Vec::new(),
            });
        }
        let event = self.put(old.resource, value, Some(old.clone()))?;
        Ok(Deletion {
            object: event.object.value(),
            gone: false,
            events: vec![event],
        })
    }

    fn remove_now(
        &mut self,
        scope: &Scope<'_>,
        old: &Arc<Object>,
        value: Value,
    ) -> Result<Deletion, ApiError> {
        if scope.dry_run {
            return Ok(Deletion {
                object: value,
                gone: true,
                events: Vec::new(),
            });
        }
        let events = self.remove_with_companions(scope, old.clone(), value)?;
        let last = &events[events.len() - 1].object;
        Ok(Deletion {
            object: last.value(),
            gone: true,
            events,
        })
    }

    /// Removes an object and gives back what it held; its own event comes last.
    pub(super) fn remove_with_companions(
        &mut self,
        scope: &Scope<'_>,
        old: Arc<Object>,
        value: Value,
    ) -> Result<Vec<Event>, ApiError> {
        let kind = scope
            .registry()
            .stored(old.resource)
            .map(registry::strategy);
        let released = kind.map(|rules| rules.release(&value, &scope.context(self)));
        let released = released.unwrap_or_default();
        let mut events = self.companions(scope, released)?;
        events.push(self.remove(old, value)?);
        Ok(events)
    }

    pub(super) fn delete_collection(&mut self, scope: &mut Scope<'_>) -> Result<Outcome, ApiError> {
        let request = scope.request;
        let list = ListOptions::parse(&request.query, false)?;
        let path = ResourcePath {
            kind: request.kind.clone(),
            namespace: request.namespace.clone(),
            name: String::new(),
            subresource: String::new(),
            watch: false,
        };
        let selection = Selection::new(&path, &list)?;
        let body = body::delete_options(&request.payload)?;
        let options = DeleteOptions::parse(&request.query, body.as_ref())?;
        scope.dry_run = options.dry_run;
        let page = {
            let past = Past::now(&self.state, selection.resource);
            let start = list.start()?;
            Page::cut(&past, &selection, &start, list.page_limit(), self.version)
        };
        let mut events = Vec::new();
        for item in &page.items {
            // One that refuses must not undo those that are gone already: what happened is answered.
            let asked = self.ask_policies(scope, None, Some(&item.value()));
            match asked.and_then(|_| self.delete_one(scope, item, &options)) {
                Ok(deletion) => events.extend(deletion.events),
                Err(error) if events.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        Ok(Outcome {
            code: 200,
            reply: Reply::Items(page),
            warnings: delete_warnings(scope, &options),
            events,
        })
    }
}

/// What a delete does that its user may not expect.
fn delete_warnings(scope: &Scope<'_>, options: &DeleteOptions) -> Vec<String> {
    let silent = options.propagation.is_none() && options.orphan_dependents.is_none();
    let text = scope.strategy.delete_warning().filter(|_| silent);
    text.map(str::to_owned).into_iter().collect()
}

/// `Status` of an object that is gone.
fn success(scope: &Scope<'_>, old: &Object) -> Value {
    let mut details =
        json!({"name": &*old.meta.name, "kind": scope.kind.plural, "uid": &*old.meta.uid});
    if !scope.kind.group.is_empty() {
        details["group"] = scope.kind.group.clone().into();
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

pub(super) fn check_preconditions(
    scope: &Scope<'_>,
    old: &Object,
    options: &DeleteOptions,
) -> Result<(), ApiError> {
    let refuse = |text: String| {
        Err(answer::conflict(
            &scope.stored.kind,
            &scope.stored.group,
            &old.meta.name,
            &text,
        ))
    };
    if old.resource == Resource::DEFINITIONS {
        return check_definition(old, options);
    }
    if let Some(uid) = options.uid.as_deref().filter(|uid| **uid != *old.meta.uid) {
        return refuse(format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted and then recreated",
            old.meta.uid
        ));
    }
    let version = old.meta.resource_version.to_string();
    if let Some(wanted) = options
        .resource_version
        .as_deref()
        .filter(|wanted| *wanted != version)
    {
        return refuse(format!(
            "the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record ({version}). The object might have been modified"
        ));
    }
    Ok(())
}

/// Preconditions of CustomResourceDefinitions, which have words of their own.
fn check_definition(old: &Object, options: &DeleteOptions) -> Result<(), ApiError> {
    let version = old.meta.resource_version.to_string();
    for (what, wanted, found) in [
        ("UID", &options.uid, &*old.meta.uid),
        ("ResourceVersion", &options.resource_version, &*version),
    ] {
        if let Some(wanted) = wanted.as_deref().filter(|wanted| *wanted != found) {
            let text = format!(
                "Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
            );
            let (plural, group) = (old.resource.plural(), old.resource.group());
            return Err(answer::conflict(plural, group, &old.meta.name, &text));
        }
    }
    Ok(())
}

enum Grace {
    /// The kind knows no grace, or none is left
    None,
    /// A deletion under way that this request does not shorten
    Pending,
    /// So many seconds; the metadata says so now
    Seconds(i64),
}

/// `BeforeDelete`: sets the deletion's time and grace.
fn graceful(scope: &Scope<'_>, value: &mut Value, options: &DeleteOptions) -> Grace {
    let wanted = options
        .grace_seconds
        .map(|seconds| if seconds < 0 { 1 } else { seconds });
    let Some(seconds) = scope.strategy.grace_seconds(value, wanted) else {
        return Grace::None;
    };
    let now = scope.env.now;
    let map = meta::of(value);
    let time = map
        .get("deletionTimestamp")
        .and_then(Value::as_str)
        .and_then(Timestamp::parse);
    let Some(time) = time else {
        set_deletion(value, now.plus_seconds(seconds), seconds);
        bump_generation(value);
        return Grace::Seconds(seconds);
    };
    let under_way = map
        .get("deletionGracePeriodSeconds")
        .and_then(Value::as_i64)
        .unwrap_or(0);
    match wanted {
        _ if under_way == 0 => Grace::None,
        None => Grace::Pending,
        Some(wanted) if wanted >= under_way => Grace::Pending,
        Some(wanted) => {
            let (mut end, mut period) = (time.plus_seconds(wanted - under_way), wanted);
            if end < now {
                end = now;
                period = period.min(1);
            }
            set_deletion(value, end, period);
            Grace::Seconds(period)
        }
    }
}

fn set_deletion(value: &mut Value, time: Timestamp, seconds: i64) {
    let map = meta::of_mut(value);
    map.insert("deletionTimestamp".to_owned(), time.rfc3339().into());
    map.insert("deletionGracePeriodSeconds".to_owned(), seconds.into());
}

fn bump_generation(value: &mut Value) {
    let generation = value["metadata"]["generation"].as_i64().unwrap_or(0);
    if generation > 0 {
        meta::of_mut(value).insert("generation".to_owned(), (generation + 1).into());
    }
}

/// Marks an object that only finalizers hold.
fn mark(value: &mut Value, now: Timestamp) {
    let time = meta::text(value, "deletionTimestamp");
    let earlier = Timestamp::parse(time).filter(|time| *time <= now);
    if time.is_empty() {
        bump_generation(value);
    }
    set_deletion(value, earlier.unwrap_or(now), 0);
}

/// The collector's finalizers, as propagation policy or the object ask for.
fn set_finalizers(value: &mut Value, options: &DeleteOptions, orphans: bool) {
    let old: Vec<Value> = meta::list(meta::of(value), "finalizers").to_vec();
    let has = |name: &str| old.iter().any(|finalizer| finalizer == name);
    let (orphan, foreground) = match (options.orphan_dependents, options.propagation.as_deref()) {
        (Some(orphan), _) => (orphan, false),
        (None, Some("Orphan")) => (true, false),
        (None, Some("Foreground")) => (false, true),
        (None, Some(_)) => (false, false),
        (None, None) if has(ORPHAN) => (true, false),
        (None, None) if has(FOREGROUND) => (false, true),
        (None, None) => (orphans, false),
    };
    let mut new: Vec<Value> = old
        .iter()
        .filter(|f| *f != ORPHAN && *f != FOREGROUND)
        .cloned()
        .collect();
    if orphan {
        new.push(ORPHAN.into());
    }
    if foreground {
        new.push(FOREGROUND.into());
    }
    if new.len() != old.len() || !new.iter().all(|finalizer| old.contains(finalizer)) {
        let list = if new.is_empty() {
            Value::Null
        } else {
            new.into()
        };
        update::set_or_remove(value, "finalizers", list);
    }
}

impl Engine {
    /// A Namespace is marked first; it goes once its contents and finalizers are gone.
    fn delete_namespace(
        &mut self,
        scope: &Scope<'_>,
        old: &Arc<Object>,
        options: &DeleteOptions,
    ) -> Result<Deletion, ApiError> {
        let mut value = old.value();
        let unchanged = value.clone();
        if !old.meta.is_deleting() {
            let now = scope.env.now.rfc3339();
            meta::of_mut(&mut value).insert("deletionTimestamp".to_owned(), now.into());
            value["status"]["phase"] = "Terminating".into();
            set_finalizers(&mut value, options, false);
        }
        let held = value["spec"]["finalizers"]
            .as_array()
            .is_some_and(|list| !list.is_empty())
            || !meta::list(meta::of(&value), "finalizers").is_empty();
        if held {
            return self.mark_deleting(scope, old, value, &unchanged);
        }
        self.remove_now(scope, old, value)
    }
}

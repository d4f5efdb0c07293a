//! Server-side apply (KEP-555): an object gets what a configuration names and loses what its
//! manager no longer names, as far as nobody else owns it.

use super::conflict::{Conflict, refusal};
use super::entry::{Entry, Operation, Owner, find};
use super::last_applied;
use super::models::Models;
use super::prune::prune;
use super::settle::{Trouble, align_all, settle, strip};
use super::update::{update, updater};
use crate::answer;
use model::ApiError;
use schema::typed::{Duplicates, equal, field_set, merge, validate};
use serde_json::{Value, json};
use std::borrow::Cow;

/// Owns what was there before anyone was noted.
const BEFORE: &str = "before-first-apply";

/// One apply.
pub(crate) struct Apply<'a> {
    pub(crate) models: Models<'a>,
    /// `fieldManager`
    pub(crate) manager: &'a str,
    pub(crate) subresource: &'a str,
    /// Take what others own
    pub(crate) force: bool,
    /// RFC 3339
    pub(crate) now: &'a str,
    /// An object of the kind with nothing in it
    pub(crate) empty: &'a Value,
}

/// What an apply makes of an object.
pub(crate) struct Applied<'a> {
    /// The object as a tree; `None` when it stays as it is
    pub(crate) object: Option<Value>,
    pub(crate) entries: Vec<Entry<'a>>,
}

impl<'a> Apply<'a> {
    /// Applies a configuration to an object, whose entries are given apart. Both are of the
    /// request's kind.
    pub(crate) fn run(
        &self,
        live: &'a Value,
        entries: Vec<Entry<'a>>,
        config: &'a Value,
    ) -> Result<Applied<'a>, ApiError> {
        self.check_kind(config)?;
        let entries = self.noted(live, entries)?;
        let mut applied = match self.once(live, entries.clone(), config, self.force) {
            Err(Refusal::Conflicts(conflicts)) if self.manager == last_applied::MANAGER => {
                match last_applied::remaining(&self.models, live, conflicts) {
                    rest if rest.is_empty() => self.once(live, entries, config, true),
                    rest => Err(Refusal::Conflicts(rest)),
                }
            }
            other => other,
        }
        .map_err(Refusal::into_error)?;
        if self.manager == last_applied::MANAGER {
            last_applied::follow(&mut applied, live, config);
        }
        Ok(applied)
    }

    fn check_kind(&self, config: &Value) -> Result<(), ApiError> {
        let kind = self.models.kind;
        let named = Named::of(config);
        if named.version == self.models.version && named.kind == kind.kind {
            return Ok(());
        }
        Err(answer::bad_request(format!(
            "invalid object type: {}",
            named.text()
        )))
    }

    /// What nobody owns yet in an object that is there is `before-first-apply`'s.
    fn noted(&self, live: &'a Value, entries: Vec<Entry<'a>>) -> Result<Vec<Entry<'a>>, ApiError> {
        if !entries.is_empty() {
            return Ok(entries);
        }
        let owner = updater(BEFORE, self.models.version, self.subresource);
        let made = update(&self.models, (self.empty, live), entries, owner, self.now);
        made.map_err(|why| {
            answer::plain_500(format!(
                "failed to create manager for existing fields: {why}"
            ))
        })
    }

    fn owner(&self) -> Owner<'a> {
        Owner {
            manager: Cow::Borrowed(self.manager),
            operation: Operation::Apply,
            api_version: Cow::Borrowed(self.models.version),
            subresource: Cow::Borrowed(self.subresource),
        }
    }

    fn once(
        &self,
        live: &'a Value,
        mut entries: Vec<Entry<'a>>,
        config: &'a Value,
        force: bool,
    ) -> Result<Applied<'a>, Refusal> {
        if config["metadata"]["managedFields"]
            .as_array()
            .is_some_and(|list| list.iter().all(Value::is_object))
        {
            let error = answer::bad_request("metadata.managedFields must be nil");
            return Err(Refusal::Other(error));
        }
        let models = &self.models;
        let ty = models.typed(models.kind);
        validate(ty, config, Duplicates::Refuse).map_err(|faults| {
            let name = Named::of(config).object_text(config);
            Refusal::failed(format!(
                "failed to create typed patch object ({name}): {faults}"
            ))
        })?;
        align_all(models, &mut entries);
        let merged = merge(ty, live, config)
            .map_err(|faults| Refusal::failed(format!("failed to merge config: {faults}")))?;
        let owner = self.owner();
        let last = self.claim(&mut entries, config);
        let object = prune(models, merged, &entries, last.as_ref());
        let settled = settle(models, (live, &object), &mut entries, Some(&owner), force);
        settled.map_err(|trouble| match trouble {
            Trouble::Conflicts(conflicts) => Refusal::Conflicts(conflicts),
            Trouble::Failed(why) => Refusal::failed(why),
        })?;
        let changed = !equal(live, &object);
        if let Some(at) = find(&entries, &owner) {
            let entry = &mut entries[at];
            entry.edit(|set| {
                strip(set);
                true
            });
            if changed {
                entry.touch(self.now);
            }
            if entry.set.is_empty() {
                entries.remove(at);
            }
        }
        Ok(Applied {
            object: changed.then_some(object),
            entries,
        })
    }

    /// Notes that the manager owns what the configuration names, and answers what it owned.
    fn claim(&self, entries: &mut Vec<Entry<'a>>, config: &'a Value) -> Option<Entry<'a>> {
        let models = &self.models;
        let mut set = field_set(models.typed(models.kind), config);
        models.filter(&mut set, models.version);
        let owner = self.owner();
        match find(entries, &owner) {
            Some(at) => {
                let time = entries[at].time.clone();
                let claimed = Entry::new(owner, set, time);
                Some(std::mem::replace(&mut entries[at], claimed))
            }
            None => {
                entries.push(Entry::new(owner, set, None));
                None
            }
        }
    }
}

enum Refusal {
    Conflicts(Vec<Conflict>),
    Other(ApiError),
}

impl Refusal {
    /// 500: an error that the original never makes a Status of.
    fn failed(why: String) -> Self {
        Self::Other(answer::plain_500(why))
    }

    fn into_error(self) -> ApiError {
        match self {
            Self::Conflicts(conflicts) => refusal(&conflicts),
            Self::Other(error) => error,
        }
    }
}

/// What a configuration says it is.
pub(crate) struct Named<'a> {
    /// `apiVersion`; empty when it is none
    version: &'a str,
    kind: &'a str,
}

impl<'a> Named<'a> {
    pub(crate) fn of(config: &'a Value) -> Self {
        let text = |key: &str| config[key].as_str().unwrap_or_default();
        let (version, kind) = (text("apiVersion"), text("kind"));
        if version.matches('/').count() > 1 {
            return Self {
                version: "",
                kind: "",
            };
        }
        Self { version, kind }
    }

    /// `apps/v1, Kind=Deployment`, `/v1, Kind=Service`.
    pub(crate) fn text(&self) -> String {
        let slash = if self.version.contains('/') { "" } else { "/" };
        format!("{slash}{}, Kind={}", self.version, self.kind)
    }

    /// `default/web; apps/v1, Kind=Deployment`.
    pub(crate) fn object_text(&self, config: &Value) -> String {
        let meta = &config["metadata"];
        let text = |key: &str| meta[key].as_str().unwrap_or_default();
        format!("{}/{}; {}", text("namespace"), text("name"), self.text())
    }
}

/// The annotation's text with the configuration, as the original writes it.
pub(super) fn encoded(config: &Value) -> String {
    let mut text = json!(config).to_string();
    for (plain, escaped) in [("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")] {
        text = text.replace(plain, escaped);
    }
    text + "\n"
}

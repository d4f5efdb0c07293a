//! What readers see: the committed objects, and a bounded history for watches and old versions.

use crate::answer;
use crate::page::{Page, decode_continue, encode_continue};
use crate::past::Past;
use crate::query::{ListOptions, parse_version};
use crate::select::Selection;
use crate::state::State;
use model::{ApiError, Event, Object, Resource, View};
use schema::Registry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};

const EXPIRED: &str = "The resourceVersion for the provided list is too old.";
const INCONSISTENT: &str = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";

/// The original deletes collections in parts of this size.
const DELETED_AT_ONCE: usize = 10_000;

/// How much history is kept.
#[derive(Clone, Copy, Debug)]
pub struct HistoryLimits {
    /// Events of one resource at most
    pub events: usize,
    /// Bytes of objects of one resource at most, of which one event more may be held
    pub bytes: usize,
    /// Bytes of objects of all resources at most; the longest history gives way
    pub all_bytes: usize,
}

impl Default for HistoryLimits {
    fn default() -> Self {
        Self {
            events: 8192,
            bytes: 8 << 20,
            all_bytes: 32 << 20,
        }
    }
}

/// One committed change, shared by all who watch.
pub struct Logged {
    /// The change
    pub event: Event,
    left: OnceLock<Option<Arc<Object>>>,
}

impl Logged {
    fn new(event: Event) -> Self {
        Self {
            event,
            left: OnceLock::new(),
        }
    }

    /// The version at which it happened.
    pub fn version(&self) -> u64 {
        self.event.object.meta.resource_version
    }

    /// The object as those see it go whose selector it left: its last selected state, under the
    /// version of this change.
    pub(crate) fn left(&self) -> Option<Arc<Object>> {
        let make = || {
            let old = self.event.old.as_ref()?;
            let mut value = old.value();
            value["metadata"]["resourceVersion"] = self.version().to_string().into();
            Object::from_value(old.resource, &value).ok().map(Arc::new)
        };
        self.left.get_or_init(make).clone()
    }

    fn bytes(&self) -> usize {
        self.event.object.bytes.len()
    }
}

#[derive(Default)]
struct Log {
    entries: VecDeque<Arc<Logged>>,
    bytes: usize,
    /// Version of the newest entry that was dropped
    dropped: u64,
}

impl Log {
    /// Drops the oldest entry; says how many bytes it had.
    fn forget(&mut self) -> usize {
        let Some(gone) = self.entries.pop_front() else {
            return 0;
        };
        self.bytes -= gone.bytes();
        self.dropped = gone.version();
        gone.bytes()
    }
}

/// The committed state of the cluster.
pub struct Committed {
    state: State,
    registry: Registry,
    version: u64,
    /// Version at start: there is no history before it
    floor: u64,
    logs: BTreeMap<Resource, Log>,
    /// Bytes of all logs
    bytes: usize,
    limits: HistoryLimits,
}

impl Committed {
    /// What was stored, as of `version`, with the kinds of that time.
    pub fn new(state: State, registry: Registry, version: u64, limits: HistoryLimits) -> Self {
        Self {
            state,
            registry,
            version,
            floor: version,
            logs: BTreeMap::new(),
            bytes: 0,
            limits,
        }
    }

    /// Version of the last commit.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The objects.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// All kinds, those of committed CustomResourceDefinitions included.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Takes over the kinds that [`Engine`](crate::Engine) made of definitions which are committed.
    pub fn set_registry(&mut self, registry: Registry) {
        self.registry = registry;
    }

    /// Takes over what was made durable, in order.
    pub fn publish(&mut self, events: &[Event]) {
        for event in events {
            self.state.apply(event);
            self.version = self.version.max(event.object.meta.resource_version);
            let log = self.logs.entry(event.object.resource).or_default();
            let logged = Arc::new(Logged::new(event.clone()));
            log.bytes += logged.bytes();
            log.entries.push_back(logged);
            self.bytes += event.object.bytes.len();
            while log.entries.len() > self.limits.events
                || (log.bytes > self.limits.bytes && log.entries.len() > 1)
            {
                self.bytes -= log.forget();
            }
            while self.bytes > self.limits.all_bytes {
                let longest = self.logs.values_mut().max_by_key(|log| log.bytes);
                match longest.map_or(0, Log::forget) {
                    0 => break,
                    freed => self.bytes -= freed,
                }
            }
        }
    }

    fn oldest(&self, resource: Resource) -> u64 {
        let dropped = self.logs.get(&resource).map_or(0, |log| log.dropped);
        dropped.max(self.floor)
    }

    /// Changes of a resource after `version`, oldest first, at most `limit` of them.
    ///
    /// # Errors
    /// 410 when that far back is forgotten.
    pub fn changes_after(
        &self,
        resource: Resource,
        version: u64,
        limit: usize,
    ) -> Result<Vec<Arc<Logged>>, ApiError> {
        let oldest = self.oldest(resource);
        if version < oldest {
            let text = format!("too old resource version: {version} ({oldest})");
            return Err(answer::expired(text));
        }
        let Some(log) = self.logs.get(&resource) else {
            return Ok(Vec::new());
        };
        let start = log
            .entries
            .partition_point(|logged| logged.version() <= version);
        Ok(log.entries.range(start..).take(limit).cloned().collect())
    }

    /// Objects of a resource as of a version; `expired` refuses those that are forgotten.
    fn as_of(
        &self,
        resource: Resource,
        version: u64,
        expired: impl FnOnce() -> ApiError,
    ) -> Result<Past<'_>, ApiError> {
        if version >= self.version {
            return Ok(Past::now(&self.state, resource));
        }
        if version < self.oldest(resource) {
            return Err(expired());
        }
        let log = self.logs.get(&resource);
        let newer = log.into_iter().flat_map(|log| log.entries.iter().rev());
        let newer = newer.take_while(|logged| logged.version() > version);
        let events = newer.map(|logged| &logged.event);
        Ok(Past::before(&self.state, resource, events))
    }

    /// One object.
    ///
    /// # Errors
    /// 404, or what `resourceVersion` is refused with.
    pub fn get(
        &self,
        resource: Resource,
        namespace: &str,
        name: &str,
        version: &str,
    ) -> Result<Arc<Object>, ApiError> {
        let wanted = parse_version(version).map_err(answer::plain_500)?;
        if wanted > self.version {
            return Err(answer::too_large_version(wanted, self.version));
        }
        let found = self.state.get(resource, namespace, name);
        found.ok_or_else(|| ApiError::not_found(resource, name))
    }

    /// A list or a part of one.
    ///
    /// # Errors
    /// 400, 410, 504 as versions and continue tokens deserve.
    pub fn list(&self, selection: &Selection, options: &ListOptions) -> Result<Page, ApiError> {
        let (past, start, version) = self.locate(selection.resource, options)?;
        let limit = options.page_limit();
        Ok(Page::cut(&past, selection, &start, limit, version))
    }

    /// Refuses a deletecollection whose list would be refused; it lists in parts.
    ///
    /// # Errors
    /// As [`Committed::list`].
    pub fn check_list(&self, resource: Resource, options: &ListOptions) -> Result<(), ApiError> {
        let limit = if options.limit == 0 {
            DELETED_AT_ONCE
        } else {
            options.limit
        };
        let options = ListOptions {
            limit,
            ..options.clone()
        };
        self.locate(resource, &options).map(|_| ())
    }

    /// The objects that a list is about, where in them it begins, and its version.
    fn locate(
        &self,
        resource: Resource,
        options: &ListOptions,
    ) -> Result<(Past<'_>, String, u64), ApiError> {
        let wanted = parse_version(&options.resource_version)
            .map_err(|e| answer::bad_request(format!("invalid resource version: {e}")))?;
        if options.continue_token.is_empty() {
            if wanted > self.version {
                return Err(answer::too_large_version(wanted, self.version));
            }
            let exact = match options.version_match.as_str() {
                "Exact" => true,
                "" => options.limit > 0,
                _ => false,
            };
            let version = if exact && wanted > 0 {
                wanted
            } else {
                self.version
            };
            let past = self.as_of(resource, version, || answer::expired(EXPIRED))?;
            return Ok((past, String::new(), version));
        }
        let (start, version) = decode_continue(&options.continue_token)
            .map_err(|e| answer::bad_request(format!("invalid continue token: {e}")))?;
        if wanted > 0 {
            let text = "specifying resource version is not allowed when using continue";
            return Err(answer::bad_request(text));
        }
        let version = version.unwrap_or(self.version);
        let expired = || {
            let mut error = answer::expired(INCONSISTENT);
            error.list_continue = Some(encode_continue(&start, None).into());
            error
        };
        let past = self.as_of(resource, version, expired)?;
        Ok((past, start, version))
    }
}

#[cfg(test)]
mod tests;

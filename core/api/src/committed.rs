//! What readers see: the committed objects, and a bounded history for watches and old versions.

use crate::answer;
use crate::query::{ListOptions, parse_version};
use crate::select::Selection;
use crate::state::State;
use base64::Engine as _;
use model::{ApiError, Event, EventKind, Object, Resource, View};
use schema::Registry;
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};

/// How much history is kept per resource.
#[derive(Clone, Copy, Debug)]
pub struct HistoryLimits {
    /// Events at most
    pub events: usize,
    /// Bytes of objects at most, of which one event more may be held
    pub bytes: usize,
}

impl Default for HistoryLimits {
    fn default() -> Self {
        Self {
            events: 8192,
            bytes: 8 << 20,
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

/// The committed state of the cluster.
pub struct Committed {
    state: State,
    registry: Registry,
    version: u64,
    /// Version at start: there is no history before it
    floor: u64,
    logs: BTreeMap<Resource, Log>,
    limits: HistoryLimits,
}

/// A part of a list.
pub struct Page {
    /// The objects
    pub items: Vec<Arc<Object>>,
    /// `metadata.resourceVersion`
    pub version: u64,
    /// `metadata.continue`; empty at the end
    pub continue_token: String,
    /// `metadata.remainingItemCount`
    pub remaining: Option<usize>,
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
            while log.entries.len() > self.limits.events
                || (log.bytes > self.limits.bytes && log.entries.len() > 1)
            {
                let Some(gone) = log.entries.pop_front() else {
                    break;
                };
                log.bytes -= gone.bytes();
                log.dropped = gone.version();
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

    /// Objects of a resource as of an older version.
    fn as_of(&self, resource: Resource, version: u64, expired: &str) -> Result<State, ApiError> {
        if version < self.oldest(resource) {
            return Err(answer::expired(expired));
        }
        let mut state = State::default();
        self.state
            .range(resource, None)
            .for_each(|(_, object)| state.insert(object.clone()));
        let log = self.logs.get(&resource);
        let newer = log.into_iter().flat_map(|log| log.entries.iter().rev());
        for logged in newer.take_while(|logged| logged.version() > version) {
            let event = &logged.event;
            match (&event.old, event.kind) {
                (Some(old), _) => state.insert(old.clone()),
                (None, _) => state.apply(&Event {
                    kind: EventKind::Deleted,
                    object: event.object.clone(),
                    old: Some(event.object.clone()),
                }),
            }
        }
        Ok(state)
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
        let wanted = parse_version(&options.resource_version)
            .map_err(|e| answer::bad_request(format!("invalid resource version: {e}")))?;
        let (start, version) = if options.continue_token.is_empty() {
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
            (String::new(), version)
        } else {
            if wanted > 0 {
                let text = "specifying resource version is not allowed when using continue";
                return Err(answer::bad_request(text));
            }
            let (start, version) = decode_continue(&options.continue_token)
                .map_err(|e| answer::bad_request(format!("invalid continue token: {e}")))?;
            (start, version.unwrap_or(self.version))
        };
        // A list at "any version" comes from a cache in the original, which knows no pages.
        let limit = match options.resource_version.as_str() {
            "0" if options.version_match.is_empty() => 0,
            _ => options.limit,
        };
        if version >= self.version {
            return Ok(page(&self.state, selection, &start, limit, self.version));
        }
        let expired = if options.continue_token.is_empty() {
            "The resourceVersion for the provided list is too old."
        } else {
            "The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter."
        };
        let state = self.as_of(selection.resource, version, expired)?;
        Ok(page(&state, selection, &start, limit, version))
    }
}

fn page(state: &State, selection: &Selection, start: &str, limit: usize, version: u64) -> Page {
    let prefix = selection.namespace.as_deref().map_or(0, |ns| ns.len() + 1);
    let all = state.range(selection.resource, selection.namespace.as_deref());
    let rest: Vec<_> = all.filter(|(place, _)| &place[prefix..] >= start).collect();
    let mut page = Page {
        items: Vec::new(),
        version,
        continue_token: String::new(),
        remaining: None,
    };
    let mut last = "";
    for (seen, (place, object)) in rest.iter().enumerate() {
        if limit > 0 && page.items.len() == limit {
            page.continue_token = encode_continue(&last[prefix..], version);
            page.remaining = selection.is_everything().then_some(rest.len() - seen);
            break;
        }
        last = place;
        if selection.matches(object) {
            page.items.push((*object).clone());
        }
    }
    page
}

fn encode_continue(last: &str, version: u64) -> String {
    let token = json!({"v": "meta.k8s.io/v1", "rv": version, "start": format!("{last}\0")});
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(token.to_string())
}

/// As Go decodes: the last character's spare bits may be anything.
const LENIENT: base64::engine::GeneralPurpose = base64::engine::GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    base64::engine::general_purpose::NO_PAD.with_decode_allow_trailing_bits(true),
);

/// First place and version of a continue token; no version means the latest.
fn decode_continue(token: &str) -> Result<(String, Option<u64>), String> {
    let bad = |why: String| format!("continue key is not valid: {why}");
    let data = LENIENT
        .decode(token)
        .map_err(|error| bad(base64_error(&error, token)))?;
    let value = schema::json::parse(&data).map_err(|e| bad(e.message))?;
    let version = value["v"].as_str().unwrap_or_default();
    if version != "meta.k8s.io/v1" {
        return Err(format!(
            "continue key is not valid: server does not recognize this encoded version {version}"
        ));
    }
    let number = value["rv"].as_i64().unwrap_or(0);
    if number == 0 {
        return Err(bad(
            "incorrect encoded start resourceVersion (version meta.k8s.io/v1)".to_owned(),
        ));
    }
    let start = value["start"].as_str().unwrap_or_default();
    if start.is_empty() {
        return Err(bad(
            "encoded start key empty (version meta.k8s.io/v1)".to_owned()
        ));
    }
    let key = start.trim_start_matches('/');
    if key
        .split('/')
        .any(|part| part.is_empty() || part == "." || part == "..")
    {
        return Err(bad(start.to_owned()));
    }
    Ok((key.to_owned(), u64::try_from(number).ok()))
}

fn base64_error(error: &base64::DecodeError, token: &str) -> String {
    let at = match error {
        base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => {
            *at
        }
        _ => token.len(),
    };
    format!("illegal base64 data at input byte {at}")
}

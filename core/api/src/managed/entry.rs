//! One entry of `metadata.managedFields`, and the list of them.

use schema::typed::{FieldSet, Type, reconcile};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// How someone came to own fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    /// By server-side apply
    Apply,
    /// By any other write
    Update,
}

impl Operation {
    fn word(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// Who owns fields.
#[derive(Clone, Debug)]
pub(crate) struct Owner<'a> {
    pub(crate) manager: Cow<'a, str>,
    pub(crate) operation: Operation,
    pub(crate) api_version: Cow<'a, str>,
    pub(crate) subresource: Cow<'a, str>,
}

impl Owner<'_> {
    /// Whether both are one entry: who applies has one for all versions.
    pub(crate) fn is_same(&self, other: &Owner<'_>) -> bool {
        self.manager == other.manager
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }

    /// The text by which the original orders owners.
    pub(crate) fn identifier(&self) -> String {
        let quoted = |text: &str| Value::from(text).to_string();
        let mut text = String::from("{");
        if !self.manager.is_empty() {
            text += &format!("\"manager\":{},", quoted(&self.manager));
        }
        text += &format!("\"operation\":{}", quoted(self.operation.word()));
        if self.operation == Operation::Update {
            text += &format!(",\"apiVersion\":{}", quoted(&self.api_version));
        }
        if !self.subresource.is_empty() {
            text += &format!(",\"subresource\":{}", quoted(&self.subresource));
        }
        text + "}"
    }
}

/// Which fields someone owns.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) owner: Owner<'a>,
    /// RFC 3339, whole seconds
    pub(crate) time: Option<Cow<'a, str>>,
    pub(crate) set: FieldSet<'a>,
    /// The entry as it is stored, as long as nothing in it changed
    stored: Option<&'a Value>,
}

impl<'a> Entry<'a> {
    pub(crate) fn new(owner: Owner<'a>, set: FieldSet<'a>, time: Option<Cow<'a, str>>) -> Self {
        Self {
            owner,
            time,
            set,
            stored: None,
        }
    }

    /// Changes what is owned; the answer says whether anything did change.
    pub(crate) fn edit(&mut self, change: impl FnOnce(&mut FieldSet<'a>) -> bool) {
        if change(&mut self.set) {
            self.stored = None;
        }
    }

    /// Forgets how the entry is stored: someone gave it, in whatever form.
    pub(crate) fn rewritten(mut self) -> Self {
        self.stored = None;
        self
    }

    /// Sets the time.
    pub(crate) fn touch(&mut self, now: &str) {
        self.time = Some(Cow::Owned(now.to_owned()));
        self.stored = None;
    }

    fn read(value: &'a Value, place: usize) -> Result<Self, String> {
        let text = |key: &str| value[key].as_str().unwrap_or_default();
        let operation = match text("operation") {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return Err("operation must be `Apply` or `Update`".to_owned()),
        };
        if text("apiVersion").is_empty() {
            return Err("apiVersion must not be empty".to_owned());
        }
        match text("fieldsType") {
            "FieldsV1" => {}
            "" => {
                return Err(format!(
                    "missing fieldsType in managed fields entry {place}"
                ));
            }
            other => {
                let other = model::go_quote(other);
                return Err(format!(
                    "invalid fieldsType {other} in managed fields entry {place}"
                ));
            }
        }
        Ok(Self {
            owner: Owner {
                manager: Cow::Borrowed(text("manager")),
                operation,
                api_version: Cow::Borrowed(text("apiVersion")),
                subresource: Cow::Borrowed(text("subresource")),
            },
            time: value["time"].as_str().map(Cow::Borrowed),
            set: FieldSet::parse(&value["fieldsV1"])?,
            stored: Some(value),
        })
    }

    fn write(&self) -> Value {
        if let Some(stored) = self.stored {
            return stored.clone();
        }
        let mut entry = Map::new();
        let mut set = |key: &str, text: &str| {
            if !text.is_empty() {
                entry.insert(key.to_owned(), text.into());
            }
        };
        set("apiVersion", &self.owner.api_version);
        set("fieldsType", "FieldsV1");
        set("manager", &self.owner.manager);
        set("operation", self.owner.operation.word());
        set("subresource", &self.owner.subresource);
        set("time", self.time.as_deref().unwrap_or_default());
        entry.insert("fieldsV1".to_owned(), self.set.to_value());
        Value::Object(entry)
    }
}

/// Reads `managedFields`. Of several entries of one owner the last counts.
///
/// # Errors
/// What is wrong in it.
pub(crate) fn read(list: &[Value]) -> Result<Vec<Entry<'_>>, String> {
    let mut entries: Vec<Entry<'_>> = Vec::with_capacity(list.len() + 1);
    for (place, value) in list.iter().enumerate() {
        let entry = Entry::read(value, place)?;
        match find(&entries, &entry.owner) {
            Some(at) => entries[at] = entry,
            None => entries.push(entry),
        }
    }
    Ok(entries)
}

/// Where the entry of an owner stands.
pub(crate) fn find(entries: &[Entry<'_>], owner: &Owner<'_>) -> Option<usize> {
    entries.iter().position(|entry| entry.owner.is_same(owner))
}

/// Writes `managedFields`: those who applied come first, then the oldest.
pub(crate) fn write(mut entries: Vec<Entry<'_>>) -> Vec<Value> {
    entries.sort_by(|a, b| order(a).cmp(&order(b)));
    entries.iter().map(Entry::write).collect()
}

fn order<'b>(entry: &'b Entry<'_>) -> (Operation, &'b str, [&'b str; 3]) {
    let Owner {
        manager,
        operation,
        api_version,
        subresource,
    } = &entry.owner;
    let time = entry.time.as_deref().unwrap_or_default();
    (*operation, time, [manager, api_version, subresource])
}

/// Brings what an entry owns in line with the schema of its version.
pub(crate) fn align(entry: &mut Entry<'_>, ty: Type<'_>) {
    entry.edit(|set| reconcile(ty, set));
}

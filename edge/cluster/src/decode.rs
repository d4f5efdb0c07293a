//! From the server's JSON to objects, without value trees in between.

use crate::client::status_error;
use crate::error::Error;
use crate::paths::{Collection, api_version};
use model::{EventKind, Object};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::sync::Arc;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ListMeta {
    resource_version: String,
    #[serde(rename = "continue")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct RawPage<'a> {
    #[serde(default)]
    metadata: ListMeta,
    #[serde(borrow, default)]
    items: Option<Vec<&'a RawValue>>,
}

/// One page of a list.
pub(crate) struct Page {
    pub(crate) version: String,
    /// Token for the next page; empty on the last one
    pub(crate) next: String,
    pub(crate) objects: Vec<Arc<Object>>,
}

/// What one line of a watch tells.
pub(crate) enum Line {
    Change(EventKind, Arc<Object>),
    Bookmark(String),
}

/// Makes objects of one collection.
pub(crate) struct Decoder {
    what: Collection,
    /// What is put in front of an object that came without its type
    head: String,
}

impl Decoder {
    pub(crate) fn new(what: &Collection) -> Self {
        let version = api_version(what.resource);
        let head = format!(r#"{{"apiVersion":"{version}","kind":"{}","#, what.kind);
        Self {
            what: what.clone(),
            head,
        }
    }

    pub(crate) fn page(&self, bytes: &[u8]) -> Result<Page, Error> {
        let page: RawPage<'_> = serde_json::from_slice(bytes)
            .map_err(|error| Error::Answer(format!("a list of {}: {error}", self.what.resource)))?;
        let items = page.items.unwrap_or_default();
        let objects = items.into_iter().filter_map(|item| self.object(item));
        Ok(Page {
            version: page.metadata.resource_version,
            next: page.metadata.next.unwrap_or_default(),
            objects: objects.collect(),
        })
    }

    pub(crate) fn line(&self, line: &[u8]) -> Result<Option<Line>, Error> {
        #[derive(Deserialize)]
        struct Raw<'a> {
            #[serde(rename = "type", borrow)]
            kind: Cow<'a, str>,
            #[serde(borrow)]
            object: &'a RawValue,
        }
        let raw: Raw<'_> = serde_json::from_slice(line).map_err(|error| {
            Error::Answer(format!("a watch of {}: {error}", self.what.resource))
        })?;
        let kind = match &*raw.kind {
            "ADDED" => EventKind::Added,
            "MODIFIED" => EventKind::Modified,
            "DELETED" => EventKind::Deleted,
            "BOOKMARK" => return bookmark(raw.object).map(Some),
            "ERROR" => return Err(status_error(500, None, raw.object.get().as_bytes())),
            _ => return Ok(None),
        };
        Ok(self
            .object(raw.object)
            .map(|object| Line::Change(kind, object)))
    }

    /// An object; one without readable metadata is passed over, since nothing could name it.
    fn object(&self, raw: &RawValue) -> Option<Arc<Object>> {
        let text = raw.get();
        let typed = [r#"{"apiVersion""#, r#"{"kind""#];
        let typed = typed.iter().any(|start| text.starts_with(start));
        let bytes: Arc<[u8]> = match text.strip_prefix('{') {
            // The server leaves the type of a list's items out.
            Some(rest) if !typed => [self.head.as_bytes(), rest.as_bytes()].concat().into(),
            _ => text.as_bytes().into(),
        };
        match Object::from_bytes(self.what.resource, bytes) {
            Ok(object) => Some(Arc::new(object)),
            Err(error) => {
                tracing::warn!(resource = %self.what.resource, %error, "an object has no metadata");
                None
            }
        }
    }
}

fn bookmark(raw: &RawValue) -> Result<Line, Error> {
    #[derive(Deserialize)]
    struct Mark {
        metadata: ListMeta,
    }
    let mark: Mark = serde_json::from_str(raw.get())
        .map_err(|error| Error::Answer(format!("a bookmark: {error}")))?;
    Ok(Line::Bookmark(mark.metadata.resource_version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Resource;

    fn decoder() -> Decoder {
        Decoder::new(&Collection::all(Resource::SERVICES, "Service"))
    }

    #[test]
    fn items_get_the_type_that_lists_leave_out() {
        let page = br#"{"kind":"ServiceList","metadata":{"resourceVersion":"7","continue":"x"},
            "items":[{"metadata":{"name":"a","namespace":"n","resourceVersion":"3"}}]}"#;
        let page = decoder().page(page).unwrap();
        assert_eq!((page.version.as_str(), page.next.as_str()), ("7", "x"));
        let value = page.objects[0].value();
        assert_eq!(value["kind"], "Service");
        assert_eq!(value["apiVersion"], "v1");
        assert_eq!(page.objects[0].meta.resource_version, 3);
        let empty = decoder().page(br#"{"metadata":{},"items":null}"#).unwrap();
        assert!(empty.objects.is_empty() && empty.next.is_empty());
    }

    #[test]
    fn lines_are_changes_bookmarks_or_errors() {
        let line = |text: &str| decoder().line(text.as_bytes());
        let change =
            line(r#"{"type":"DELETED","object":{"kind":"Service","metadata":{"name":"a"}}}"#);
        assert!(
            matches!(change, Ok(Some(Line::Change(EventKind::Deleted, o))) if &*o.meta.name == "a")
        );
        let mark = r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}}"#;
        assert!(matches!(line(mark), Ok(Some(Line::Bookmark(v))) if v == "9"));
        let gone = r#"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}"#;
        assert!(line(gone).is_err_and(|error| error.is_gone()));
        assert!(matches!(line(r#"{"type":"NEWER","object":{}}"#), Ok(None)));
        assert!(line("{").is_err());
    }
}

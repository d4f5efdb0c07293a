//! Query parameters and what they ask for, validated as apimachinery does.

use crate::selector::{FieldSelector, LabelSelector};
use crate::{answer, meta};
use model::{ApiError, FieldError};
use serde_json::Value;

/// Decoded query parameters in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(pub Vec<(String, String)>);

impl Query {
    /// The first value of a parameter.
    pub fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().find(|(k, _)| k == key);
        found.map(|(_, value)| value.as_str())
    }

    /// All values of a parameter.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        let found = self.0.iter().filter(move |(k, _)| k == key);
        found.map(|(_, value)| value.as_str())
    }

    /// The first value, or nothing.
    pub fn text(&self, key: &str) -> &str {
        self.get(key).unwrap_or_default()
    }

    /// A flag as Go's query conversion reads it: anything but `false` and `0` is true.
    pub fn flag(&self, key: &str) -> Option<bool> {
        let value = self.get(key)?;
        Some(!(value == "0" || value.eq_ignore_ascii_case("false")))
    }

    /// A whole number.
    ///
    /// # Errors
    /// 400 in the words of `strconv.ParseInt`.
    pub fn number(&self, key: &str) -> Result<Option<i64>, ApiError> {
        match self.get(key) {
            None => Ok(None),
            Some(text) => parse_int(text).map(Some).map_err(answer::bad_request),
        }
    }
}

fn parse_int(text: &str) -> Result<i64, String> {
    let quoted = model::go_quote(text);
    text.parse::<i64>().map_err(|error| {
        use std::num::IntErrorKind::{NegOverflow, PosOverflow};
        match error.kind() {
            PosOverflow | NegOverflow => {
                format!("strconv.ParseInt: parsing {quoted}: value out of range")
            }
            _ => format!("strconv.ParseInt: parsing {quoted}: invalid syntax"),
        }
    })
}

/// `resourceVersion` as a number; empty is zero.
///
/// # Errors
/// The sentence of the original.
pub fn parse_version(text: &str) -> Result<u64, String> {
    if text.is_empty() {
        return Ok(0);
    }
    let valid = text.bytes().all(|b| b.is_ascii_digit());
    let parsed = if valid { text.parse().ok() } else { None };
    parsed.ok_or_else(|| {
        let (quoted, why) = (
            model::go_quote(text),
            if valid {
                "value out of range"
            } else {
                "invalid syntax"
            },
        );
        format!(
            "resourceVersion: Invalid value: {quoted}: strconv.ParseUint: parsing {quoted}: {why}"
        )
    })
}

/// Options of list, watch and deletecollection.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// `labelSelector`
    pub labels: LabelSelector,
    /// `fieldSelector`
    pub fields: FieldSelector,
    /// `resourceVersion` as written
    pub resource_version: String,
    /// `resourceVersionMatch`
    pub version_match: String,
    /// `limit`; zero for all
    pub limit: usize,
    /// `continue`
    pub continue_token: String,
    /// `timeoutSeconds`
    pub timeout_seconds: Option<i64>,
    /// `allowWatchBookmarks`
    pub bookmarks: bool,
    /// `sendInitialEvents`
    pub initial_events: Option<bool>,
    /// Whether it is a watch
    pub watch: bool,
}

impl ListOptions {
    /// Reads the parameters.
    ///
    /// # Errors
    /// 400 for values that cannot be parsed, 422 for combinations that make no sense.
    pub fn parse(query: &Query, watch: bool) -> Result<Self, ApiError> {
        let labels =
            LabelSelector::parse(query.text("labelSelector")).map_err(answer::bad_request)?;
        let fields =
            FieldSelector::parse(query.text("fieldSelector")).map_err(answer::bad_request)?;
        let limit = query.number("limit")?.unwrap_or(0);
        let options = Self {
            labels,
            fields,
            resource_version: query.text("resourceVersion").to_owned(),
            version_match: query.text("resourceVersionMatch").to_owned(),
            limit: usize::try_from(limit).unwrap_or(0),
            continue_token: query.text("continue").to_owned(),
            timeout_seconds: query.number("timeoutSeconds")?,
            bookmarks: query.flag("allowWatchBookmarks").unwrap_or(false),
            initial_events: query.flag("sendInitialEvents"),
            watch,
        };
        let errors = if watch {
            options.validate_watch()
        } else {
            options.validate_list()
        };
        if errors.is_empty() {
            Ok(options)
        } else {
            Err(answer::invalid_options("ListOptions", &errors))
        }
    }

    /// Where a list begins.
    ///
    /// # Errors
    /// 400 for a continue token that is none.
    pub(crate) fn start(&self) -> Result<String, ApiError> {
        if self.continue_token.is_empty() {
            return Ok(String::new());
        }
        let (start, _) = crate::page::decode_continue(&self.continue_token)
            .map_err(|e| answer::bad_request(format!("invalid continue token: {e}")))?;
        Ok(start)
    }

    /// Objects in one answer, at most; zero is all. A list at "any version" comes from a cache in
    /// the original, which knows no pages.
    pub(crate) fn page_limit(&self) -> usize {
        let cached = self.continue_token.is_empty()
            && self.resource_version == "0"
            && matches!(self.version_match.as_str(), "" | "NotOlderThan");
        if cached { 0 } else { self.limit }
    }

    fn validate_list(&self) -> Vec<FieldError> {
        let field = "resourceVersionMatch";
        let mut errors = Vec::new();
        let wanted = self.version_match.as_str();
        if !wanted.is_empty() {
            if self.resource_version.is_empty() {
                let text = "resourceVersionMatch is forbidden unless resourceVersion is provided";
                errors.push(FieldError::forbidden(field, text));
            }
            if !self.continue_token.is_empty() {
                let text = "resourceVersionMatch is forbidden when continue is provided";
                errors.push(FieldError::forbidden(field, text));
            }
            if !matches!(wanted, "Exact" | "NotOlderThan") {
                let known = ["Exact", "NotOlderThan", ""];
                errors.push(FieldError::not_supported(field, &wanted.into(), &known));
            }
            if wanted == "Exact" && self.resource_version == "0" {
                let text = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
                errors.push(FieldError::forbidden(field, text));
            }
        }
        if self.initial_events.is_some() {
            let text = "sendInitialEvents is forbidden for list";
            errors.push(FieldError::forbidden("sendInitialEvents", text));
        }
        errors
    }

    fn validate_watch(&self) -> Vec<FieldError> {
        let field = "resourceVersionMatch";
        let mut errors = Vec::new();
        let wanted = self.version_match.as_str();
        if self.initial_events.is_some() && wanted != "NotOlderThan" {
            let text = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            errors.push(FieldError::forbidden(field, text));
        }
        if !wanted.is_empty() {
            if self.initial_events.is_none() {
                let text = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
                errors.push(FieldError::forbidden(field, text));
            }
            if wanted != "NotOlderThan" {
                let known = ["NotOlderThan"];
                errors.push(FieldError::not_supported(field, &wanted.into(), &known));
            }
            if !self.continue_token.is_empty() {
                let text = "resourceVersionMatch is forbidden when continue is provided";
                errors.push(FieldError::forbidden(field, text));
            }
        }
        errors
    }
}

/// What to do about unknown and duplicate fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    /// Drop them silently
    Ignore,
    /// Drop them with a warning
    #[default]
    Warn,
    /// Refuse the request
    Strict,
}

/// Options of create, update and patch.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// `dryRun=All`
    pub dry_run: bool,
    /// `fieldManager`
    pub field_manager: String,
    /// `fieldValidation`
    pub validation: FieldValidation,
    /// `force` of an apply: take over what others own
    pub force: bool,
}

impl WriteOptions {
    /// Reads the parameters; `kind` is `CreateOptions`, `UpdateOptions` or `PatchOptions`.
    ///
    /// # Errors
    /// 422 for unknown values.
    pub fn parse(query: &Query, kind: &str) -> Result<Self, ApiError> {
        let mut errors = Vec::new();
        if kind == "PatchOptions" && query.get("force").is_some() {
            let text = "may not be specified for non-apply patch";
            errors.push(FieldError::forbidden("force", text));
        }
        Self::parse_rest(query, kind, errors)
    }

    /// Reads the parameters of a server-side apply.
    ///
    /// # Errors
    /// 422 for unknown values and a missing `fieldManager`.
    pub fn parse_apply(query: &Query) -> Result<Self, ApiError> {
        let mut errors = Vec::new();
        if query.text("fieldManager").is_empty() {
            let text = "is required for apply patch";
            errors.push(FieldError::required("fieldManager", text));
        }
        let mut options = Self::parse_rest(query, "PatchOptions", errors)?;
        // Go takes for true whatever does not say otherwise.
        options.force = query
            .get("force")
            .is_some_and(|text| text != "0" && !text.eq_ignore_ascii_case("false"));
        Ok(options)
    }

    fn parse_rest(
        query: &Query,
        kind: &str,
        mut errors: Vec<FieldError>,
    ) -> Result<Self, ApiError> {
        let manager = query.text("fieldManager");
        errors.extend(meta::validate_manager_name(manager, "fieldManager"));
        errors.extend(validate_dry_run(&query.all("dryRun").collect::<Vec<_>>()));
        let validation = match query.text("fieldValidation") {
            "" | "Warn" => FieldValidation::Warn,
            "Ignore" => FieldValidation::Ignore,
            "Strict" => FieldValidation::Strict,
            other => {
                let known = ["", "Ignore", "Strict", "Warn"];
                errors.push(FieldError::not_supported(
                    "fieldValidation",
                    &other.into(),
                    &known,
                ));
                FieldValidation::Warn
            }
        };
        if !errors.is_empty() {
            return Err(answer::invalid_options(kind, &errors));
        }
        Ok(Self {
            dry_run: query.get("dryRun").is_some(),
            field_manager: manager.to_owned(),
            validation,
            force: false,
        })
    }
}

fn validate_dry_run(values: &[&str]) -> Vec<FieldError> {
    if values.iter().all(|value| *value == "All") {
        return Vec::new();
    }
    let value: Value = values.iter().map(|v| Value::from(*v)).collect();
    vec![FieldError::not_supported("dryRun", &value, &["All"])]
}

/// Options of delete and deletecollection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// `dryRun=All`
    pub dry_run: bool,
    /// `gracePeriodSeconds`
    pub grace_seconds: Option<i64>,
    /// `preconditions.uid`
    pub uid: Option<String>,
    /// `preconditions.resourceVersion`
    pub resource_version: Option<String>,
    /// `propagationPolicy`
    pub propagation: Option<String>,
    /// `orphanDependents`, the old form of `propagationPolicy`
    pub orphan_dependents: Option<bool>,
}

impl DeleteOptions {
    /// Reads them from a decoded body, or from the parameters when there is none.
    ///
    /// # Errors
    /// 400 for numbers that are none, 422 for unknown values.
    pub fn parse(query: &Query, body: Option<&Value>) -> Result<Self, ApiError> {
        let (options, dry_run) = match body {
            Some(body) => Self::from_body(body),
            None => Self::from_query(query)?,
        };
        options.validate(&dry_run)?;
        Ok(options)
    }

    fn from_body(body: &Value) -> (Self, Vec<String>) {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let dry_run = body["dryRun"].as_array();
        let dry_run: Vec<String> = dry_run.into_iter().flatten().filter_map(text).collect();
        let options = Self {
            dry_run: !dry_run.is_empty(),
            grace_seconds: body["gracePeriodSeconds"].as_i64(),
            uid: text(&body["preconditions"]["uid"]),
            resource_version: text(&body["preconditions"]["resourceVersion"]),
            propagation: text(&body["propagationPolicy"]),
            orphan_dependents: body["orphanDependents"].as_bool(),
        };
        (options, dry_run)
    }

    fn from_query(query: &Query) -> Result<(Self, Vec<String>), ApiError> {
        let dry_run: Vec<String> = query.all("dryRun").map(str::to_owned).collect();
        let options = Self {
            dry_run: !dry_run.is_empty(),
            grace_seconds: query.number("gracePeriodSeconds")?,
            propagation: query.get("propagationPolicy").map(str::to_owned),
            orphan_dependents: query.flag("orphanDependents"),
            ..Self::default()
        };
        Ok((options, dry_run))
    }

    fn validate(&self, dry_run: &[String]) -> Result<(), ApiError> {
        let field = "propagationPolicy";
        let mut errors = Vec::new();
        if let Some(policy) = &self.propagation {
            let value = Value::from(policy.as_str());
            if self.orphan_dependents.is_some() {
                let text = "orphanDependents and deletionPropagation cannot be both set";
                errors.push(FieldError::invalid(field, &value, text));
            }
            let known = ["Foreground", "Background", "Orphan", "nil"];
            if !known[..3].contains(&policy.as_str()) {
                errors.push(FieldError::not_supported(field, &value, &known));
            }
        }
        errors.extend(validate_dry_run(
            &dry_run.iter().map(String::as_str).collect::<Vec<_>>(),
        ));
        if errors.is_empty() {
            Ok(())
        } else {
            Err(answer::invalid_options("DeleteOptions", &errors))
        }
    }
}

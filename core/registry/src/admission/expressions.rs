//! What expressions of policies may name, and what they must give.

use cel::{Env, ObjectType, Program, Type};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// The variables that are there beside `object`, `oldObject`, `request` and `namespaceObject`.
#[derive(Clone, Copy)]
pub(super) struct Declared {
    /// `params`
    pub(super) params: bool,
    /// `authorizer`
    pub(super) authorizer: bool,
}

/// What an expression gives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Gives {
    Bool,
    Text,
    /// For audit annotations
    TextOrNull,
    /// For variables
    Anything,
}

/// Why an expression cannot be used.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) text: String,
    /// The fault is not the user's, as the original sees it
    pub(super) internal: bool,
}

/// Compiles expressions of one policy; variables become known one after the other.
pub(super) struct Compiler {
    /// None: the policy has no variables
    variables: Option<BTreeMap<String, Type>>,
}

impl Compiler {
    pub(super) fn new(has_variables: bool) -> Self {
        Self {
            variables: has_variables.then(BTreeMap::new),
        }
    }

    pub(super) fn compile(
        &self,
        text: &str,
        gives: Gives,
        declared: Declared,
    ) -> Result<Program, Refusal> {
        let program = self.env(declared).compile(text).map_err(|error| Refusal {
            text: format!("compilation failed: {error}"),
            internal: false,
        })?;
        let found = program.result_type();
        let wanted = match gives {
            Gives::Bool => (found != &Type::Bool).then_some("bool"),
            Gives::Text => (found != &Type::String).then_some("string"),
            Gives::TextOrNull => {
                (!matches!(found, Type::String | Type::Null)).then_some("one of [string null_type]")
            }
            Gives::Anything => None,
        };
        if let Some(wanted) = wanted {
            let found = declared_name(found);
            return Err(Refusal {
                text: format!("must evaluate to {wanted} but got {found}"),
                internal: false,
            });
        }
        if let Some(error) = program.instantiation_error() {
            return Err(Refusal {
                text: format!("program instantiation failed: {error}"),
                internal: true,
            });
        }
        Ok(program)
    }

    /// Compiles a variable, which the expressions after it can name.
    pub(super) fn variable(
        &mut self,
        name: &str,
        text: &str,
        declared: Declared,
    ) -> Result<Program, Refusal> {
        let result = self.compile(text, Gives::Anything, declared);
        let of = match &result {
            Ok(program) => as_field(program.result_type()),
            Err(_) => Type::Dyn,
        };
        if let Some(variables) = &mut self.variables {
            variables.insert(name.to_owned(), of);
        }
        result
    }

    fn env(&self, declared: Declared) -> Env {
        let mut env = BASE.clone();
        if declared.params {
            env = env.variable("params", Type::Dyn);
        }
        if declared.authorizer {
            let (authorizer, check) = (
                Type::Struct("kubernetes.authorization.Authorizer"),
                Type::Struct("kubernetes.authorization.ResourceCheck"),
            );
            env = env.variable("authorizer", authorizer);
            env = env.variable("authorizer.requestResource", check);
        }
        if let Some(variables) = &self.variables {
            let of = Type::Object(Arc::new(ObjectType {
                name: "kubernetes.variables".to_owned(),
                fields: variables.clone(),
            }));
            env = env.variable("variables", of);
        }
        env
    }
}

/// The type that a variable has as a field: what is neither simple nor a list or map is `dyn`.
fn as_field(of: &Type) -> Type {
    match of {
        Type::List(item) => Type::list(as_field(item)),
        Type::Map(key, value) => Type::map(as_field(key), as_field(value)),
        Type::Object(_) | Type::Struct(_) | Type::Opaque(_) | Type::Optional(_) => Type::Dyn,
        Type::Type(_) | Type::Error | Type::Param(_) => Type::Dyn,
        simple => simple.clone(),
    }
}

/// A type as refusals name it.
fn declared_name(of: &Type) -> String {
    match of {
        Type::Null => "null_type".to_owned(),
        Type::Timestamp => "google.protobuf.Timestamp".to_owned(),
        Type::Duration => "google.protobuf.Duration".to_owned(),
        Type::List(item) => format!("list({})", declared_name(item)),
        Type::Map(key, value) => {
            format!("map({}, {})", declared_name(key), declared_name(value))
        }
        Type::Optional(inner) => format!("optional_type({})", declared_name(inner)),
        other => other.to_string(),
    }
}

static BASE: LazyLock<Env> = LazyLock::new(|| {
    Env::new()
        .variable("object", Type::Dyn)
        .variable("oldObject", Type::Dyn)
        .variable("namespaceObject", namespace_type())
        .variable("request", request_type())
});

fn object(name: &str, fields: &[(&str, Type)]) -> Type {
    let fields = fields.iter();
    Type::Object(Arc::new(ObjectType {
        name: format!("kubernetes.{name}"),
        fields: fields
            .map(|(name, of)| ((*name).to_owned(), of.clone()))
            .collect(),
    }))
}

fn texts(name: &str, fields: &[&str]) -> Type {
    let fields: Vec<(&str, Type)> = fields.iter().map(|name| (*name, Type::String)).collect();
    object(name, &fields)
}

fn request_type() -> Type {
    let strings = Type::list(Type::String);
    let kind = texts("GroupVersionKind", &["group", "version", "kind"]);
    let resource = texts("GroupVersionResource", &["group", "version", "resource"]);
    let user = object(
        "UserInfo",
        &[
            ("username", Type::String),
            ("uid", Type::String),
            ("groups", strings.clone()),
            ("extra", Type::map(Type::String, strings)),
        ],
    );
    object(
        "AdmissionRequest",
        &[
            ("kind", kind.clone()),
            ("resource", resource.clone()),
            ("subResource", Type::String),
            ("requestKind", kind),
            ("requestResource", resource),
            ("requestSubResource", Type::String),
            ("name", Type::String),
            ("namespace", Type::String),
            ("operation", Type::String),
            ("userInfo", user),
            ("dryRun", Type::Bool),
            ("options", Type::Dyn),
        ],
    )
}

fn namespace_type() -> Type {
    let strings = Type::list(Type::String);
    let labels = Type::map(Type::String, Type::String);
    let metadata = object(
        "NamespaceMetadata",
        &[
            ("name", Type::String),
            ("generateName", Type::String),
            ("namespace", Type::String),
            ("labels", labels.clone()),
            ("annotations", labels),
            ("UID", Type::String),
            ("creationTimestamp", Type::Timestamp),
            ("deletionGracePeriodSeconds", Type::Int),
            ("deletionTimestamp", Type::Timestamp),
            ("generation", Type::Int),
            ("resourceVersion", Type::String),
            ("finalizers", strings.clone()),
        ],
    );
    let condition = object(
        "NamespaceCondition",
        &[
            ("status", Type::String),
            ("type", Type::String),
            ("lastTransitionTime", Type::Timestamp),
            ("message", Type::String),
            ("reason", Type::String),
        ],
    );
    let status = object(
        "NamespaceStatus",
        &[
            ("conditions", Type::list(condition)),
            ("phase", Type::String),
        ],
    );
    let spec = object("NamespaceSpec", &[("finalizers", strings)]);
    object(
        "Namespace",
        &[("metadata", metadata), ("spec", spec), ("status", status)],
    )
}

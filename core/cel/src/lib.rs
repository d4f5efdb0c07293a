//! The Common Expression Language as the Kubernetes API server speaks it: rules of
//! CustomResourceDefinitions (`x-kubernetes-validations`) and of admission policies.
//!
//! Text is compiled in an [`Env`] to a [`Program`]: parsed, checked against declared types, with
//! the texts of errors that users of the API know. A Program estimates its worst cost before it
//! is let in, and counts its real cost while it is evaluated, against a limit.
//!
//! Pure and bounded: the size and depth of expressions are limited by the parser, the time of an
//! evaluation by its cost. Values are read in place from JSON; nothing is copied that is not
//! computed.
//!
//! ```
//! use cel::{Activation, Decl, Env, Property, Type, Value};
//! use std::sync::Arc;
//!
//! let count = Property {
//!     name: "count".to_owned(),
//!     decl: Arc::new(Decl::integer()),
//!     required: false,
//!     defaulted: false,
//! };
//! let decl = Decl::object([count]);
//! let env = Env::new().variable("self", decl.to_type("self"));
//! let program = env.compile("self.count < 5").expect("compiles");
//! assert_eq!(program.result_type(), &Type::Bool);
//!
//! let object = serde_json::json!({"count": 3});
//! let values = Activation::new().bind("self", Value::from_json(&object, &decl));
//! let outcome = program.eval(&values, cel::PER_CALL_LIMIT);
//! assert!(matches!(outcome.result, Ok(Value::Bool(true))));
//! ```
#![forbid(unsafe_code)]

mod activation;
mod ast;
mod check;
mod cost;
mod decl;
mod env;
mod error;
mod escape;
mod eval;
mod plan;
mod program;
mod source;
mod syntax;
mod types;
mod value;

pub use activation::{Activation, Fields};
pub use cost::CostEstimate;
pub use decl::{Decl, Format, ListKind, Property};
pub use env::Env;
pub use error::{CompileError, EvalError};
pub use escape::{escape, is_reserved, unescape};
pub use program::{Outcome, Program};
pub use types::{ObjectType, Type};
pub use value::{AccessRequest, Authorizer, Decision, Str, Value};

/// What one evaluation may cost, in the API server's units.
pub const PER_CALL_LIMIT: u64 = 1_000_000;

//! Kinds that are asked and never stored: reviews of access and of tokens, TokenRequests.
//!
//! Source: `pkg/registry/authorization`, `pkg/registry/authentication`,
//! `pkg/registry/core/serviceaccount/storage/token.go`.

mod access;
mod token;

pub use token::{TokenRequest, token_request};

use crate::answer;
use ::access::Policy;
use ::access::token::Holder;
use model::{ApiError, Timestamp, User};
use serde_json::{Map, Value, json};

/// Who holds a token, for one of the audiences; or why nobody does.
pub type TokenHolder<'a> = dyn Fn(&str, &[String]) -> Result<Holder, String> + 'a;

/// What answers depend on.
pub struct Reviewer<'a> {
    /// Who may do what
    pub policy: &'a Policy,
    /// Who asks
    pub user: &'a User,
    /// The time of the request
    pub now: Timestamp,
    /// Whose token it is, if it is meant for one of these audiences; or why it is nobody's
    pub token: &'a TokenHolder<'a>,
}

impl Reviewer<'_> {
    /// Answers a decoded review.
    ///
    /// # Errors
    /// What is wrong with the question.
    pub fn answer(&self, review: Value) -> Result<Value, ApiError> {
        match review["kind"].as_str().unwrap_or_default() {
            "TokenReview" => self.token(review),
            "SelfSubjectReview" => Ok(self.whoami(&review)),
            "SelfSubjectRulesReview" => self.rules(&review),
            "SelfSubjectAccessReview" | "SubjectAccessReview" | "LocalSubjectAccessReview" => {
                self.access(review)
            }
            other => Err(answer::internal(format!("nobody answers a {other}"))),
        }
    }

    fn whoami(&self, review: &Value) -> Value {
        json!({
            "apiVersion": review["apiVersion"], "kind": review["kind"],
            "metadata": {"creationTimestamp": self.now.rfc3339()},
            "status": {"userInfo": user_info(self.user)},
        })
    }

    fn token(&self, mut review: Value) -> Result<Value, ApiError> {
        let spec = &review["spec"];
        let token = spec["token"].as_str().unwrap_or_default();
        if token.is_empty() {
            let text = "token is required for TokenReview in authentication";
            return Err(answer::bad_request(text));
        }
        let mut audiences = texts(&spec["audiences"]);
        if audiences.is_empty() {
            audiences.push(::access::token::ISSUER.to_owned());
        }
        review["status"] = match (self.token)(token, &audiences) {
            Ok(holder) => json!({
                "authenticated": true, "user": user_info(&holder.user), "audiences": holder.audiences,
            }),
            Err(why) => json!({"user": {}, "error": why}),
        };
        Ok(review)
    }
}

/// Strings of a list.
fn texts(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// `UserInfo` without what is empty.
fn user_info(user: &User) -> Value {
    let mut info = Map::new();
    info.insert("username".to_owned(), user.name.as_str().into());
    if !user.uid.is_empty() {
        info.insert("uid".to_owned(), user.uid.as_str().into());
    }
    if !user.groups.is_empty() {
        info.insert("groups".to_owned(), json!(user.groups));
    }
    if !user.extra.is_empty() {
        info.insert("extra".to_owned(), json!(user.extra));
    }
    info.into()
}

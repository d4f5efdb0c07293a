//! Asking whether somebody may do something.

use crate::error::EvalError;
use std::fmt;
use std::rc::Rc;

/// Answers the questions that expressions ask with `authorizer`.
pub trait Authorizer {
    /// Whether the request's user, or `service_account`, may do this.
    fn decide(&self, request: &AccessRequest) -> Decision;
}

/// What somebody wants to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccessRequest {
    /// Namespace and name, instead of the request's own user.
    pub service_account: Option<(String, String)>,
    /// The verb, or the HTTP method in lower case for paths.
    pub verb: String,
    /// Of a request that is not for a resource.
    pub path: Option<String>,
    /// API group.
    pub group: String,
    /// Plural name.
    pub resource: String,
    /// Or empty.
    pub subresource: String,
    /// Or empty.
    pub namespace: String,
    /// Or empty.
    pub name: String,
    /// Or empty.
    pub field_selector: String,
    /// Or empty.
    pub label_selector: String,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// Whether it is allowed.
    pub allowed: bool,
    /// Why.
    pub reason: String,
    /// What went wrong when deciding.
    pub error: Option<String>,
}

/// What is asked about so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Nothing: the authorizer itself.
    Authorizer,
    Path,
    Group,
    Resource,
}

/// The authorizer, with what was said so far.
#[derive(Clone)]
pub struct Check<'v> {
    authorizer: Rc<dyn Authorizer + 'v>,
    pub(crate) subject: Subject,
    request: AccessRequest,
}

impl fmt::Debug for Check<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.subject, self.request)
    }
}

impl PartialEq for Check<'_> {
    fn eq(&self, other: &Check<'_>) -> bool {
        self.subject == other.subject && self.request == other.request
    }
}

impl<'v> Check<'v> {
    pub(crate) fn new(authorizer: Rc<dyn Authorizer + 'v>) -> Check<'v> {
        Check {
            authorizer,
            subject: Subject::Authorizer,
            request: AccessRequest::default(),
        }
    }

    /// For a request for this resource; it is what `authorizer.requestResource` is.
    pub(crate) fn of_resource(
        authorizer: Rc<dyn Authorizer + 'v>,
        request: AccessRequest,
    ) -> Check<'v> {
        Check {
            authorizer,
            subject: Subject::Resource,
            request,
        }
    }

    pub(super) fn type_name(&self) -> &'static str {
        match self.subject {
            Subject::Authorizer => "kubernetes.authorization.Authorizer",
            Subject::Path => "kubernetes.authorization.PathCheck",
            Subject::Group => "kubernetes.authorization.GroupCheck",
            Subject::Resource => "kubernetes.authorization.ResourceCheck",
        }
    }

    /// The same with one thing more said by the function `what`.
    ///
    /// # Errors
    /// When that cannot be said here.
    pub(crate) fn with(&self, what: &str, texts: &[&str]) -> Result<Check<'v>, EvalError> {
        let mut check = self.clone();
        let request = &mut check.request;
        let text = (*texts.first().unwrap_or(&"")).to_owned();
        let blank = text.trim().is_empty();
        match (self.subject, what) {
            (Subject::Authorizer, "path") if blank => {
                return Err(EvalError::new("path must not be empty"));
            }
            (Subject::Authorizer, "path") => {
                request.path = Some(text);
                check.subject = Subject::Path;
            }
            (Subject::Authorizer, "group") => {
                request.group = text;
                check.subject = Subject::Group;
            }
            (Subject::Authorizer, "serviceAccount") => {
                request.service_account = Some(account(texts)?);
            }
            (Subject::Group, "resource") if blank => {
                return Err(EvalError::new("resource must not be empty"));
            }
            (Subject::Group, "resource") => {
                request.resource = text;
                check.subject = Subject::Resource;
            }
            (Subject::Resource, "subresource") => request.subresource = text,
            (Subject::Resource, "namespace") => request.namespace = text,
            (Subject::Resource, "name") => request.name = text,
            (Subject::Resource, "fieldSelector") => request.field_selector = text,
            (Subject::Resource, "labelSelector") => request.label_selector = text,
            _ => return Err(EvalError::no_overload()),
        }
        Ok(check)
    }

    /// Asks.
    ///
    /// # Errors
    /// When not enough was said to ask.
    pub(crate) fn decide(&self, verb: &str) -> Result<Decision, EvalError> {
        if !matches!(self.subject, Subject::Path | Subject::Resource) {
            return Err(EvalError::no_overload());
        }
        let mut request = self.request.clone();
        request.verb = verb.to_owned();
        Ok(self.authorizer.decide(&request))
    }
}

fn account(texts: &[&str]) -> Result<(String, String), EvalError> {
    let [namespace, name] = texts else {
        return Err(EvalError::no_overload());
    };
    if !super::NamedFormat::is("dns1123Subdomain", name) {
        return Err(EvalError::new("Invalid service account name"));
    }
    if !super::NamedFormat::is("dns1123Label", namespace) {
        return Err(EvalError::new("Invalid service account namespace"));
    }
    Ok(((*namespace).to_owned(), (*name).to_owned()))
}

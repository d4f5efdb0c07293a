//! HTTP: from a request to an answer.

mod backup;
mod body;
mod documents;
mod health;
mod logs;
mod objects;
mod reply;
mod reviews;
mod stream;
mod streams;

pub(crate) use body::Body;
pub(crate) use reply::{Answer, percent_decode};
pub(crate) use streams::SESSIONS;

use crate::PodAccess;
use crate::auth::{self, Access, Certificate, Keys, Tokens};
use crate::hub::Hub;
use access::{Asked, Attributes, Wanted};
use api::{Accept, FieldSelector, Query, Route, User, Verb};
use http::request::Parts;
use http::{Request, Response};
use hyper::body::Incoming;
use model::ApiError;
use schema::Registry;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{Semaphore, watch};

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) std::net::SocketAddr);

/// What all requests share.
pub(crate) struct Front {
    pub(crate) hub: Arc<Hub>,
    pub(crate) pods: Option<Arc<dyn PodAccess>>,
    pub(crate) metrics: Option<crate::settings::MoreMetrics>,
    pub(crate) address: String,
    pub(crate) watches: Arc<Semaphore>,
    /// Streams of Pods at once
    pub(crate) sessions: Arc<Semaphore>,
    pub(crate) stopping: watch::Receiver<bool>,
    pub(crate) documents: documents::Documents,
    pub(crate) access: Access,
    pub(crate) keys: Arc<Keys>,
}

/// A request with its parts at hand.
pub(crate) struct Call {
    pub(crate) parts: Parts,
    pub(crate) body: Incoming,
    pub(crate) query: Query,
    pub(crate) user: User,
    /// The kinds as of the beginning of the request
    pub(crate) registry: Registry,
}

impl Call {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    }

    pub(crate) fn agent(&self) -> &str {
        self.header("user-agent").unwrap_or_default()
    }

    /// The `Accept` headers as one.
    pub(crate) fn accept_text(&self) -> Option<String> {
        let all = self.parts.headers.get_all("accept").iter();
        let texts: Vec<&str> = all.filter_map(|value| value.to_str().ok()).collect();
        (!texts.is_empty()).then(|| texts.join(","))
    }

    pub(crate) fn accept(&self) -> Result<Accept, ApiError> {
        Accept::parse(self.accept_text().as_deref())
    }
}

/// Answers one request; never fails.
pub(crate) async fn serve(
    front: Arc<Front>,
    peer: Arc<Certificate>,
    request: Request<Incoming>,
) -> Response<Body> {
    let started = Instant::now();
    let (parts, body) = request.into_parts();
    let query = reply::parse_query(parts.uri.query().unwrap_or_default());
    let pretty = api::is_pretty(&query, "");
    let head = parts.method == http::Method::HEAD;
    let tokens = Tokens {
        keys: &front.keys,
        hub: &front.hub,
    };
    let now = crate::clock::now();
    let call = match auth::authenticate(&peer, &parts.headers, &tokens, now) {
        Ok(user) => Call {
            parts,
            body,
            query,
            user,
            registry: front.hub.registry(),
        },
        Err(error) => return Answer::refusal(&error, pretty).into_response(head),
    };
    let gzip = call
        .header("accept-encoding")
        .is_some_and(|text| text.contains("gzip"));
    let (answer, is_watch) = match dispatch(&front, call).await {
        Ok(answer) => (answer, false),
        Err(Failure::Refused(error)) => (Answer::refusal(&error, pretty), false),
        Err(Failure::Stream(answer)) => (answer, true),
        Err(Failure::Raw(response)) => return *response,
    };
    if !is_watch {
        front.hub.metrics.answered(answer.code, started.elapsed());
    }
    answer.compressed(gzip).into_response(head)
}

/// Ways out of a handler besides an answer.
pub(crate) enum Failure {
    /// A Status
    Refused(Box<ApiError>),
    /// An answer without an end
    Stream(Answer),
    /// An answer that is complete with its headers
    Raw(Box<Response<Body>>),
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Refused(Box::new(error))
    }
}

/// Puts a warning before those of the answer; refusals get it too.
fn warned(answered: Result<Answer, Failure>, text: &str, pretty: bool) -> Result<Answer, Failure> {
    let add = |mut answer: Answer| {
        let others = std::mem::take(&mut answer.headers);
        answer.warnings(&[text.to_owned()]);
        answer.headers.extend(others);
        answer
    };
    match answered {
        Ok(answer) => Ok(add(answer)),
        Err(Failure::Refused(error)) => Ok(add(Answer::refusal(&error, pretty))),
        Err(Failure::Stream(answer)) => Err(Failure::Stream(add(answer))),
        Err(Failure::Raw(response)) => Err(Failure::Raw(response)),
    }
}

/// What a request does, as access control sees it.
fn attributes(call: &Call) -> Attributes {
    let selector = FieldSelector::parse(call.query.text("fieldSelector"));
    let selector = selector.unwrap_or_default();
    let asked = Asked {
        watch: call.query.flag("watch").unwrap_or(false),
        name: selector.exact("metadata.name"),
    };
    let path = percent_decode(call.parts.uri.path());
    Attributes::of_request(call.parts.method.as_str(), &path, asked)
}

/// Checks that the user may do what is asked; from here on the request is of whom it acts as.
fn authorize(front: &Front, call: &mut Call) -> Result<(), ApiError> {
    let wanted = auth::wanted(&call.parts.headers);
    if auth::is_master(&call.user) && wanted == Wanted::default() {
        return Ok(());
    }
    let asked = attributes(call);
    let (access, hub) = (&front.access, &front.hub);
    let user = std::mem::take(&mut call.user);
    call.user = access.act_as(hub, user, &wanted, &asked)?;
    access.authorize(hub, &call.user, &asked)
}

/// Why a PUT or a patch may not create what it does not find.
fn create_refusal(front: &Front, call: &Call, verb: Verb) -> Option<Box<ApiError>> {
    if !matches!(verb, Verb::Update | Verb::Patch) || auth::is_master(&call.user) {
        return None;
    }
    let mut asked = attributes(call);
    asked.verb = "create".to_owned();
    let refused = front.access.authorize(&front.hub, &call.user, &asked);
    refused.err().map(Box::new)
}

async fn dispatch(front: &Arc<Front>, mut call: Call) -> Result<Answer, Failure> {
    authorize(front, &mut call)?;
    let path = call.parts.uri.path().to_owned();
    let method = call.parts.method.as_str().to_owned();
    let segments: Vec<String> = path.split('/').skip(1).map(percent_decode).collect();
    match Route::parse(&call.registry, &segments).with_method(&method) {
        Route::Other if path == crate::BACKUP_PATH && method == "GET" => Err(backup::serve(front)),
        Route::Other => documents::serve(front, call, &method, &path, &segments),
        Route::Nothing => Err(api::answer::no_such_resource().into()),
        Route::NoSubresource(path) => {
            let resource = model::Resource::new(&path.kind.group, &path.kind.plural);
            Err(model::ApiError::not_found(resource, &path.name).into())
        }
        Route::Resource(resource) => {
            let wants_watch = call.query.flag("watch").unwrap_or(false);
            let verb = Verb::of(&method, &resource, wants_watch)?;
            let deprecation = resource.deprecation();
            let pretty = api::is_pretty(&call.query, "");
            let answered = match verb {
                Verb::Get => objects::get(front, &call, &resource),
                Verb::List => objects::list(front, &call, &resource),
                Verb::Watch => stream::watch(front, &call, &resource),
                Verb::Connect => streams::connect(front, call, &resource).await,
                Verb::Create if reviews::answers(&resource) => {
                    reviews::create(front, call, &resource).await
                }
                verb => objects::write(front, call, &resource, verb).await,
            };
            match deprecation {
                Some(text) => warned(answered, &text, pretty),
                None => answered,
            }
        }
    }
}

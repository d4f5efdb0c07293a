//! Joins the API server's questions about Pods with the runner that knows the answers.

use apid::{LogOptions, LogStream, PodAccess, PodFuture};
use model::{ApiError, Object, Pod};
use runner::{LogError, Runner};
use std::sync::{Arc, OnceLock};

/// The runner, once it runs; the API server is started first.
#[derive(Default)]
pub(crate) struct Pods {
    runner: OnceLock<(String, Arc<Runner>)>,
}

impl Pods {
    /// From now on questions about Pods of this Node are answered.
    pub(crate) fn set(&self, node: &str, runner: Arc<Runner>) {
        let _ = self.runner.set((node.to_owned(), runner));
    }
}

impl PodAccess for Pods {
    fn runs(&self, pod: &Object) -> bool {
        let node = self.runner.get().map(|(node, _)| node.as_str());
        node.is_some() && Pod::parse(pod).ok().map(|pod| pod.node_name).as_deref() == node
    }

    fn logs(&self, pod: Arc<Object>, options: LogOptions) -> PodFuture<'_, LogStream> {
        Box::pin(async move {
            let (_, runner) = self.runner.get().ok_or_else(|| {
                ApiError::new(503, "ServiceUnavailable", "the runner has not started yet")
            })?;
            let wanted = runner::LogOptions {
                previous: options.previous,
                follow: options.follow,
                timestamps: options.timestamps,
                tail_lines: options.tail_lines,
                since: options.since,
                limit_bytes: options.limit_bytes,
            };
            let (namespace, name) = (&pod.meta.namespace, &pod.meta.name);
            let stream = runner
                .logs(namespace, name, Some(&options.container), wanted)
                .await;
            stream.map_err(|error| match error {
                LogError::NotFound(text) => ApiError::new(404, "NotFound", text),
                LogError::BadRequest(text) => ApiError::new(400, "BadRequest", text),
                LogError::Internal(text) => ApiError::new(500, "InternalError", text),
            })
        })
    }
}

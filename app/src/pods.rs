//! Joins the API server's questions about Pods with the runner that knows the answers.

use apid::{
    DialFuture, LogOptions, LogStream, Outcome, PodAccess, PodFuture, Session, Streams,
    TerminalSize,
};
use model::{ApiError, Object, Pod};
use runner::{LogError, Runner};
use std::sync::{Arc, OnceLock};
use tokio::sync::{mpsc, oneshot};

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

    fn is_node(&self, name: &str) -> bool {
        self.runner.get().is_some_and(|(node, _)| node == name)
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

    fn is_running(&self, pod: &Object, container: &str) -> bool {
        let meta = &pod.meta;
        let runner = self.runner.get();
        runner.is_some_and(|(_, runner)| runner.is_running(&meta.namespace, &meta.name, container))
    }

    fn exec(&self, pod: Arc<Object>, command: Vec<String>, streams: Streams) -> Session {
        let Some((_, runner)) = self.runner.get() else {
            return session(not_started());
        };
        let (meta, streams) = (&pod.meta, wanted(streams));
        session(runner.exec(&meta.namespace, &meta.name, &command, &streams))
    }

    fn attach(&self, pod: Arc<Object>, streams: Streams) -> Session {
        let Some((_, runner)) = self.runner.get() else {
            return session(not_started());
        };
        let (meta, streams) = (&pod.meta, wanted(streams));
        session(runner.attach(&meta.namespace, &meta.name, &streams))
    }

    fn dial(&self, pod: Arc<Object>, port: u16) -> DialFuture<'_> {
        Box::pin(async move {
            let (_, runner) = self.runner.get().ok_or(NOT_STARTED)?;
            runner.dial(&pod.meta.namespace, &pod.meta.name, port).await
        })
    }
}

const NOT_STARTED: &str = "the runner has not started yet";

fn not_started() -> runner::Session {
    runner::Session::failed(NOT_STARTED.to_owned())
}

fn wanted(streams: Streams) -> runner::Streams {
    runner::Streams {
        container: streams.container,
        stdin: streams.stdin,
        stdout: streams.stdout,
        stderr: streams.stderr,
        tty: streams.tty,
    }
}

/// A session of the runner as one of the API server's.
fn session(session: runner::Session) -> Session {
    let runner::Session {
        stdin,
        stdout,
        stderr,
        resize,
        outcome,
    } = session;
    let (mut teller, told) = oneshot::channel();
    tokio::spawn(async move {
        let outcome = tokio::select! {
            outcome = outcome => outcome,
            () = teller.closed() => return,
        };
        let outcome = match outcome {
            Ok(runner::Outcome::Exited(code)) => Outcome::Exited(code),
            Ok(runner::Outcome::Failed(why)) => Outcome::Failed(why),
            Err(_) => return,
        };
        // The client may be gone by now.
        let _ = teller.send(outcome);
    });
    let resize = resize.map(|to| {
        let (sender, mut sizes) = mpsc::channel::<TerminalSize>(1);
        tokio::spawn(async move {
            while let Some(size) = sizes.recv().await {
                if to.send((size.width, size.height)).await.is_err() {
                    return;
                }
            }
        });
        sender
    });
    Session {
        stdin,
        stdout,
        stderr,
        resize,
        outcome: told,
    }
}

//! What is sent as `Authorization`.

use crate::error::Error;
use crate::kubeconfig::{Exec, User};
use base64::Engine;
use serde::Deserialize;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// How long a token out of a file is used before the file is read again. Kubernetes writes a new
/// one when 80 % of its life are over.
const TOKEN_AGE: Duration = Duration::from_secs(60);
/// How long a program may take to print credentials, and how long they are used.
const EXEC_TIME: Duration = Duration::from_secs(60);
const EXEC_AGE: Duration = Duration::from_secs(300);

/// Who we are, besides a client certificate.
#[derive(Clone)]
pub(crate) enum Credentials {
    None,
    Token(String),
    TokenFile(PathBuf),
    Basic { user: String, password: String },
    Exec(Exec),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Token(_) => "token",
            Self::TokenFile(_) => "token file",
            Self::Basic { .. } => "password",
            Self::Exec(_) => "program",
        })
    }
}

impl Credentials {
    /// Those of a kubeconfig's user; files lie `beside` the kubeconfig.
    pub(crate) fn of(user: User, beside: &Path) -> Result<Self, String> {
        if let Some(file) = user.token_file {
            return Ok(Self::TokenFile(beside.join(file)));
        }
        if let Some(token) = user.token.filter(|token| !token.is_empty()) {
            return Ok(Self::Token(token));
        }
        if let (Some(user), Some(password)) = (user.username, user.password) {
            return Ok(Self::Basic { user, password });
        }
        if let Some(exec) = user.exec {
            if exec.command.is_empty() {
                return Err("exec names no command".to_owned());
            }
            return Ok(Self::Exec(exec));
        }
        match user.auth_provider {
            Some(provider) => Err(format!(
                "auth-provider {:?} was removed from Kubernetes in 1.26: use exec",
                provider.name
            )),
            None => Ok(Self::None),
        }
    }
}

/// Credentials with what was read last.
pub(crate) struct Holder {
    credentials: Credentials,
    kept: Mutex<Option<(Instant, String)>>,
}

impl Holder {
    pub(crate) fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            kept: Mutex::new(None),
        }
    }

    /// The header's value; `None` for none.
    pub(crate) async fn header(&self) -> Result<Option<String>, Error> {
        match &self.credentials {
            Credentials::None => Ok(None),
            Credentials::Token(token) => Ok(Some(format!("Bearer {token}"))),
            Credentials::Basic { user, password } => {
                let engine = base64::engine::general_purpose::STANDARD;
                let text = engine.encode(format!("{user}:{password}"));
                Ok(Some(format!("Basic {text}")))
            }
            Credentials::TokenFile(path) => self.keep(TOKEN_AGE, read_token(path)).await,
            Credentials::Exec(exec) => self.keep(EXEC_AGE, run(exec)).await,
        }
    }

    /// Forgets what was read, for the server did not take it.
    pub(crate) async fn forget(&self) {
        *self.kept.lock().await = None;
    }

    async fn keep(
        &self,
        age: Duration,
        read: impl Future<Output = Result<String, Error>>,
    ) -> Result<Option<String>, Error> {
        let mut kept = self.kept.lock().await;
        if let Some((since, token)) = &*kept
            && since.elapsed() < age
        {
            return Ok(Some(format!("Bearer {token}")));
        }
        let token = read.await?;
        let header = format!("Bearer {token}");
        *kept = Some((Instant::now(), token));
        Ok(Some(header))
    }
}

async fn read_token(path: &Path) -> Result<String, Error> {
    let text = tokio::fs::read_to_string(path).await;
    let text = text.map_err(|error| Error::Credentials(format!("{}: {error}", path.display())))?;
    Ok(text.trim().to_owned())
}

#[derive(Deserialize)]
struct ExecCredential {
    status: Option<ExecStatus>,
}

#[derive(Deserialize)]
struct ExecStatus {
    token: Option<String>,
}

/// Runs a credential program (`client.authentication.k8s.io`).
async fn run(exec: &Exec) -> Result<String, Error> {
    let failed = |what: String| Error::Credentials(format!("{}: {what}", exec.command));
    let mut command = tokio::process::Command::new(&exec.command);
    command.args(exec.args.iter().flatten());
    command.envs(exec.env.iter().flatten().map(|v| (&v.name, &v.value)));
    let version = exec.api_version.as_deref();
    let version = version.unwrap_or("client.authentication.k8s.io/v1");
    let info = serde_json::json!({"apiVersion": version, "kind": "ExecCredential",
        "spec": {"interactive": false}});
    command.env("KUBERNETES_EXEC_INFO", info.to_string());
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(EXEC_TIME, command.output()).await;
    let output = output.map_err(|_| failed("it takes too long".to_owned()))?;
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("{}: {}", output.status, said.trim())));
    }
    let read: Result<ExecCredential, _> = serde_json::from_slice(&output.stdout);
    let read = read.map_err(|error| failed(format!("no ExecCredential: {error}")))?;
    let token = read.status.and_then(|status| status.token);
    token.ok_or_else(|| failed("it gives no token".to_owned()))
}

//! The file that names clusters, users and contexts (`kind: Config`, `clientcmd/v1`).

use serde::Deserialize;
use std::path::PathBuf;

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct File {
    pub(crate) current_context: Option<String>,
    pub(crate) clusters: Option<Vec<NamedCluster>>,
    pub(crate) users: Option<Vec<NamedUser>>,
    pub(crate) contexts: Option<Vec<NamedContext>>,
}

#[derive(Deserialize)]
pub(crate) struct NamedCluster {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) cluster: Cluster,
}

#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Cluster {
    pub(crate) server: Option<String>,
    pub(crate) certificate_authority: Option<PathBuf>,
    pub(crate) certificate_authority_data: Option<String>,
    pub(crate) insecure_skip_tls_verify: Option<bool>,
    pub(crate) tls_server_name: Option<String>,
    pub(crate) proxy_url: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct NamedUser {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) user: User,
}

#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct User {
    pub(crate) client_certificate: Option<PathBuf>,
    pub(crate) client_certificate_data: Option<String>,
    pub(crate) client_key: Option<PathBuf>,
    pub(crate) client_key_data: Option<String>,
    pub(crate) token: Option<String>,
    #[serde(rename = "tokenFile")]
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) exec: Option<Exec>,
    pub(crate) auth_provider: Option<AuthProvider>,
}

#[derive(Deserialize, Clone)]
pub(crate) struct AuthProvider {
    pub(crate) name: String,
}

/// `users[].user.exec`: a program that prints credentials.
#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Exec {
    pub(crate) api_version: Option<String>,
    pub(crate) command: String,
    pub(crate) args: Option<Vec<String>>,
    pub(crate) env: Option<Vec<Variable>>,
}

#[derive(Deserialize, Clone)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) value: String,
}

#[derive(Deserialize)]
pub(crate) struct NamedContext {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) context: Context,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Context {
    pub(crate) cluster: String,
    pub(crate) user: String,
}

impl File {
    /// Cluster and user of the current context; without contexts, the first of each.
    pub(crate) fn current(self) -> Result<(Cluster, User), String> {
        let clusters = self.clusters.unwrap_or_default();
        let users = self.users.unwrap_or_default();
        let contexts = self.contexts.unwrap_or_default();
        let Some(wanted) = self.current_context.filter(|name| !name.is_empty()) else {
            let cluster = clusters.into_iter().next().ok_or("it names no cluster")?;
            let user = users.into_iter().next().map(|user| user.user);
            return Ok((cluster.cluster, user.unwrap_or_default()));
        };
        let context = contexts.into_iter().find(|context| context.name == wanted);
        let context = context.ok_or_else(|| format!("there is no context {wanted:?}"))?;
        let Context { cluster, user } = context.context;
        let found = clusters.into_iter().find(|other| other.name == cluster);
        let found = found.ok_or_else(|| format!("there is no cluster {cluster:?}"))?;
        if user.is_empty() {
            return Ok((found.cluster, User::default()));
        }
        let who = users.into_iter().find(|other| other.name == user);
        let who = who.ok_or_else(|| format!("there is no user {user:?}"))?;
        Ok((found.cluster, who.user))
    }
}

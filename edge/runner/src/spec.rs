//! A Pod as the runner reads it: only the fields it acts on.

use model::{ContainerPort, Object};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// `null` reads as the type's default, as Go clients write empty lists.
fn nullable<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

macro_rules! read {
    ($(#[$doc:meta])* $name:ident { $($(#[$attr:meta])* $field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub(crate) struct $name {
            $($(#[$attr])* #[serde(deserialize_with = "nullable")] pub(crate) $field: $type,)*
        }
    };
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum RestartPolicy {
    #[default]
    Always,
    OnFailure,
    Never,
}

impl RestartPolicy {
    /// Whether a container that ended with `exit_code` is started again.
    pub(crate) fn restarts(self, exit_code: i32) -> bool {
        match self {
            Self::Always => true,
            Self::OnFailure => exit_code != 0,
            Self::Never => false,
        }
    }
}

read!(
    /// `spec`
    PodSpec {
        node_name: String,
        restart_policy: RestartPolicy,
        init_containers: Vec<Container>,
        containers: Vec<Container>,
        volumes: Vec<Volume>,
        enable_service_links: Option<bool>,
        termination_grace_period_seconds: Option<i64>,
        active_deadline_seconds: Option<i64>,
        hostname: String,
        hostname_override: String,
        #[serde(rename = "setHostnameAsFQDN")]
        set_hostname_as_fqdn: bool,
        subdomain: String,
        dns_policy: String,
        dns_config: DnsConfig,
        host_aliases: Vec<HostAlias>,
        service_account_name: String,
        host_network: bool,
        readiness_gates: Vec<ReadinessGate>,
    }
);

read!(
    /// `spec.dnsConfig`
    DnsConfig {
        nameservers: Vec<String>,
        searches: Vec<String>,
        options: Vec<DnsOption>,
    }
);

read!(DnsOption {
    name: String,
    value: Option<String>,
});

read!(
    /// `spec.hostAliases[]`
    HostAlias {
        ip: String,
        hostnames: Vec<String>,
    }
);

read!(ReadinessGate {
    condition_type: String,
});

read!(
    /// `spec.containers[]` and `spec.initContainers[]`
    Container {
        name: String,
        image: String,
        command: Vec<String>,
        args: Vec<String>,
        working_dir: String,
        ports: Vec<ContainerPort>,
        env: Vec<EnvVar>,
        env_from: Vec<EnvFrom>,
        resources: Resources,
        volume_mounts: Vec<VolumeMount>,
        liveness_probe: Option<Probe>,
        readiness_probe: Option<Probe>,
        startup_probe: Option<Probe>,
        lifecycle: Lifecycle,
        restart_policy: Option<RestartPolicy>,
        termination_message_policy: String,
        stdin: bool,
        stdin_once: bool,
        tty: bool,
    }
);

read!(EnvVar {
    name: String,
    value: String,
    value_from: Option<EnvSource>,
});

read!(EnvSource {
    field_ref: Option<FieldRef>,
    resource_field_ref: Option<ResourceFieldRef>,
    config_map_key_ref: Option<KeyRef>,
    secret_key_ref: Option<KeyRef>,
});

read!(FieldRef { field_path: String });

read!(ResourceFieldRef {
    container_name: String,
    resource: String,
    divisor: Option<Quantity>,
});

read!(KeyRef {
    name: String,
    key: String,
    optional: Option<bool>,
});

read!(EnvFrom {
    prefix: String,
    config_map_ref: Option<SourceRef>,
    secret_ref: Option<SourceRef>,
});

read!(SourceRef {
    name: String,
    optional: Option<bool>,
});

read!(Resources {
    limits: BTreeMap<String, Quantity>,
    requests: BTreeMap<String, Quantity>,
});

/// A quantity, which JSON may hold as a string or a number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Value")]
pub(crate) struct Quantity(pub(crate) String);

impl From<Value> for Quantity {
    fn from(value: Value) -> Self {
        match value {
            Value::String(text) => Self(text),
            other => Self(other.to_string()),
        }
    }
}

read!(VolumeMount {
    name: String,
    mount_path: String,
    sub_path: String,
});

read!(
    /// `spec.volumes[]`; sources that are not named here are kept as unknown
    Volume {
        name: String,
        empty_dir: Option<Value>,
        config_map: Option<FilesSource>,
        secret: Option<FilesSource>,
        #[serde(rename = "downwardAPI")]
        downward_api: Option<DownwardSource>,
        projected: Option<ProjectedSource>,
        host_path: Option<HostPath>,
    }
);

read!(HostPath { path: String });

read!(
    /// A ConfigMap or Secret as files; Secrets have `secretName` in volumes and `name` elsewhere
    FilesSource {
        name: String,
        secret_name: String,
        optional: Option<bool>,
        items: Vec<KeyToPath>,
        default_mode: Option<u32>,
    }
);

read!(KeyToPath {
    key: String,
    path: String,
    mode: Option<u32>,
});

read!(DownwardSource {
    items: Vec<DownwardItem>,
    default_mode: Option<u32>,
});

read!(DownwardItem {
    path: String,
    field_ref: Option<FieldRef>,
    resource_field_ref: Option<ResourceFieldRef>,
    mode: Option<u32>,
});

read!(ProjectedSource {
    sources: Vec<Projection>,
    default_mode: Option<u32>,
});

read!(Projection {
    config_map: Option<FilesSource>,
    secret: Option<FilesSource>,
    #[serde(rename = "downwardAPI")]
    downward_api: Option<DownwardSource>,
    service_account_token: Option<TokenProjection>,
});

read!(
    /// `serviceAccountToken`
    TokenProjection {
        audience: String,
        expiration_seconds: Option<i64>,
        path: String,
    }
);

read!(
    /// A probe; unset numbers are the API's defaults
    Probe {
        exec: Option<ExecAction>,
        http_get: Option<HttpGet>,
        tcp_socket: Option<TcpSocket>,
        grpc: Option<GrpcAction>,
        initial_delay_seconds: Option<i64>,
        timeout_seconds: Option<i64>,
        period_seconds: Option<i64>,
        success_threshold: Option<u32>,
        failure_threshold: Option<u32>,
        termination_grace_period_seconds: Option<i64>,
    }
);

read!(ExecAction { command: Vec<String>, });

read!(HttpGet {
    host: String,
    path: String,
    port: Port,
    scheme: String,
    http_headers: Vec<HttpHeader>,
});

read!(HttpHeader {
    name: String,
    value: String,
});

read!(TcpSocket {
    host: String,
    port: Port,
});

read!(GrpcAction {
    port: u16,
    service: String,
});

read!(Lifecycle {
    post_start: Option<Hook>,
    pre_stop: Option<Hook>,
});

read!(Hook {
    exec: Option<ExecAction>,
    http_get: Option<HttpGet>,
    sleep: Option<SleepAction>,
});

read!(SleepAction { seconds: u64 });

/// A port by number or by the name of a container port.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Port {
    Number(u16),
    Name(String),
}

impl Default for Port {
    fn default() -> Self {
        Self::Number(0)
    }
}

impl Port {
    /// The number, with names looked up among the container's ports.
    pub(crate) fn resolve(&self, container: &Container) -> Result<u16, String> {
        let name = match self {
            Self::Number(0) => return Err("invalid port number: 0".to_owned()),
            Self::Number(number) => return Ok(*number),
            Self::Name(name) => name,
        };
        if let Ok(number) = name.parse() {
            return Ok(number);
        }
        let port = container.ports.iter().find(|port| port.name == *name);
        let port = port.ok_or_else(|| {
            format!(
                "port {name:?} is not the name of a port of container {:?}",
                container.name
            )
        })?;
        Ok(port.container_port)
    }
}

impl Probe {
    pub(crate) fn period_millis(&self) -> i64 {
        self.period_seconds.unwrap_or(10).max(1) * 1000
    }

    pub(crate) fn timeout(&self) -> std::time::Duration {
        let seconds = self.timeout_seconds.unwrap_or(1).max(1);
        std::time::Duration::from_secs(seconds.unsigned_abs())
    }
}

/// A Pod: the object and its spec, read once.
#[derive(Clone, Debug)]
pub(crate) struct PodObject {
    pub(crate) object: Arc<Object>,
    pub(crate) spec: Arc<PodSpec>,
    pub(crate) status: Arc<PodStatus>,
}

read!(
    /// `status`, as far as a runner takes it up again or has to keep it
    PodStatus {
        phase: String,
        #[serde(rename = "podIP")]
        pod_ip: String,
        start_time: String,
        conditions: Vec<Value>,
        container_statuses: Vec<ContainerStatus>,
        init_container_statuses: Vec<ContainerStatus>,
    }
);

read!(ContainerStatus {
    name: String,
    restart_count: u32,
    state: ContainerState,
    last_state: ContainerState,
});

read!(ContainerState {
    running: Option<Running>,
    terminated: Option<Terminated>,
});

read!(Running { started_at: String });

read!(Terminated {
    exit_code: i32,
    reason: String,
    message: String,
    started_at: String,
    finished_at: String,
    #[serde(rename = "containerID")]
    container_id: String,
});

read!(Whole {
    spec: PodSpec,
    status: PodStatus,
});

impl PodObject {
    /// Reads a stored Pod.
    pub(crate) fn parse(object: Arc<Object>) -> Result<Self, serde_json::Error> {
        let whole: Whole = object.parse()?;
        Ok(Self {
            object,
            spec: Arc::new(whole.spec),
            status: Arc::new(whole.status),
        })
    }

    /// `name_namespace(uid)`, as kubelet's messages name a Pod.
    pub(crate) fn title(&self) -> String {
        let meta = &self.object.meta;
        format!("{}_{}({})", meta.name, meta.namespace, meta.uid)
    }
}

//! The columns of each resource.

use model::Resource;
use serde_json::{Value, json};

/// One column of a Table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Heading, e.g. `Cluster-IP`
    pub name: &'static str,
    /// `string`, `integer` or `date`
    pub kind: &'static str,
    /// `name` for the column with the object's name, otherwise empty
    pub format: &'static str,
    /// One sentence for the reader
    pub description: &'static str,
    /// 0 is always shown, 1 only with `-o wide`
    pub priority: i64,
}

impl Column {
    /// As it stands in `columnDefinitions`.
    pub fn definition(&self) -> Value {
        json!({
            "name": self.name, "type": self.kind, "format": self.format,
            "description": self.description, "priority": self.priority,
        })
    }

    /// Shown only with `-o wide`.
    const fn wide(mut self) -> Self {
        self.priority = 1;
        self
    }

    const fn typed(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }

    const fn named(mut self) -> Self {
        self.format = "name";
        self
    }
}

const fn column(name: &'static str, description: &'static str) -> Column {
    Column {
        name,
        kind: "string",
        format: "",
        description,
        priority: 0,
    }
}

const NAME: Column = column("Name", "Name of the object").named();
const AGE: Column = column("Age", "Time since the object was created");
const CONTAINERS: Column = column("Containers", "Names of the template's containers").wide();
const IMAGES: Column = column("Images", "Images of the template's containers").wide();
const SELECTOR: Column = column("Selector", "Labels of the Pods it is about").wide();

const PODS: &[Column] = &[
    NAME,
    column("Ready", "Containers that are ready, of all"),
    column("Status", "What the Pod does, or what keeps it from that"),
    column(
        "Restarts",
        "How often containers started again, and when the last time",
    ),
    AGE,
    column("IP", "First address of the Pod").wide(),
    column("Node", "Where it runs").wide(),
    column(
        "Nominated Node",
        "Where it may run once others were evicted",
    )
    .wide(),
    column(
        "Readiness Gates",
        "Conditions of others that are true, of those asked for",
    )
    .wide(),
];

const SERVICES: &[Column] = &[
    NAME,
    column("Type", "How the Service is reached"),
    column("Cluster-IP", "Address inside the cluster"),
    column("External-IP", "Addresses or name outside of it"),
    column("Port(s)", "Port, node port and protocol of each port"),
    AGE,
    SELECTOR,
];

const ENDPOINTS: &[Column] = &[
    NAME,
    column("Endpoints", "The first addresses with their ports"),
    AGE,
];

const ENDPOINT_SLICES: &[Column] = &[
    NAME,
    column("AddressType", "Family of the addresses"),
    column("Ports", "The first ports"),
    column("Endpoints", "The first addresses"),
    AGE,
];

const INGRESSES: &[Column] = &[
    NAME,
    column("Class", "The IngressClass whose controller serves it"),
    column("Hosts", "The first hosts of its rules"),
    column("Address", "Where it is served"),
    column("Ports", "Ports it is served on"),
    AGE,
];

const INGRESS_CLASSES: &[Column] = &[
    NAME,
    column("Controller", "Which controller serves the class"),
    column("Parameters", "The object with the class's settings"),
    AGE,
];

const SERVICE_CIDRS: &[Column] = &[NAME, column("CIDRs", "Ranges for cluster addresses"), AGE];

const IP_ADDRESSES: &[Column] = &[NAME, column("ParentRef", "The object that has the address")];

const NODES: &[Column] = &[
    NAME,
    column("Status", "Whether it takes Pods"),
    column("Roles", "What its labels say it is for"),
    AGE,
    column("Version", "Version of its kubelet"),
    column("Internal-IP", "Address inside the cluster").wide(),
    column("External-IP", "Address outside of it").wide(),
    column("OS-Image", "Its operating system").wide(),
    column("Kernel-Version", "Its kernel").wide(),
    column("Container-Runtime", "What runs its containers").wide(),
];

const DEPLOYMENTS: &[Column] = &[
    NAME,
    column("Ready", "Pods that are ready, of those wanted"),
    column("Up-to-date", "Pods of the newest template"),
    column("Available", "Pods that were ready for long enough"),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

const REPLICA_SETS: &[Column] = &[
    NAME,
    column("Desired", "Pods that are wanted").typed("integer"),
    column("Current", "Pods that exist").typed("integer"),
    column("Ready", "Pods that are ready").typed("integer"),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

const STATEFUL_SETS: &[Column] = &[
    NAME,
    column("Ready", "Pods that are ready, of those wanted"),
    AGE,
    CONTAINERS,
    IMAGES,
];

const CONTROLLER_REVISIONS: &[Column] = &[
    NAME,
    column("Controller", "Whose state it is"),
    column("Revision", "Its number"),
    AGE,
];

const EVENTS: &[Column] = &[
    column("Last Seen", "When it last happened"),
    column("Type", "Normal or Warning"),
    column("Reason", "Why, in one word"),
    column("Object", "What it is about"),
    column("Subobject", "Which part of it").wide(),
    column("Source", "Who tells").wide(),
    column("Message", "What happened"),
    column("First Seen", "When it first happened").wide(),
    column("Count", "How often").wide(),
    column("Name", "Name of the object").named().wide(),
];

const NAMESPACES: &[Column] = &[NAME, column("Status", "Active, or Terminating"), AGE];

const SECRETS: &[Column] = &[
    NAME,
    column("Type", "What its keys mean"),
    column("Data", "How many keys it has"),
    AGE,
];

const CONFIG_MAPS: &[Column] = &[NAME, column("Data", "How many keys it has"), AGE];

const SERVICE_ACCOUNTS: &[Column] = &[NAME, AGE];

const LEASES: &[Column] = &[NAME, column("Holder", "Who has it"), AGE];

const BINDINGS: &[Column] = &[
    NAME,
    column("Role", "What is granted"),
    AGE,
    column("Users", "To which users").wide(),
    column("Groups", "To which groups").wide(),
    column("ServiceAccounts", "To which ServiceAccounts").wide(),
];

const DAEMON_SETS: &[Column] = &[
    NAME,
    column("Desired", "Nodes that should have a Pod").typed("integer"),
    column("Current", "Nodes that have one").typed("integer"),
    column("Ready", "Nodes with a ready one").typed("integer"),
    column("Up-to-date", "Nodes with one of the newest template").typed("integer"),
    column("Available", "Nodes with one that was ready for long enough").typed("integer"),
    column("Node Selector", "Labels of the Nodes that are chosen"),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

const POD_TEMPLATES: &[Column] = &[
    NAME,
    column("Containers", "Names of the template's containers"),
    column("Images", "Images of the template's containers"),
    column("Pod Labels", "Labels of the Pods it makes"),
];

const JOBS: &[Column] = &[
    NAME,
    column("Status", "How far it is"),
    column("Completions", "Pods that succeeded, of those wanted"),
    column("Duration", "Time from its start to its end"),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

const CRON_JOBS: &[Column] = &[
    NAME,
    column("Schedule", "When it makes a Job"),
    column("Timezone", "Where that time is meant"),
    column("Suspend", "Whether it makes none for now").typed("boolean"),
    column("Active", "Jobs that run").typed("integer"),
    column("Last Schedule", "Time since it last made one"),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

const AUTOSCALERS: &[Column] = &[
    NAME,
    column("Reference", "What it scales"),
    column("Targets", "What is measured, and what it should be"),
    column("MinPods", "Pods at least"),
    column("MaxPods", "Pods at most"),
    column("Replicas", "Pods now"),
    AGE,
];

const DISRUPTION_BUDGETS: &[Column] = &[
    NAME,
    column("Min Available", "Pods that must stay"),
    column("Max Unavailable", "Pods that may be missing"),
    column("Allowed Disruptions", "Pods that may go now").typed("integer"),
    AGE,
];

const NETWORK_POLICIES: &[Column] = &[
    NAME,
    column("Pod-Selector", "Labels of the Pods it is about"),
    AGE,
];

const RESOURCE_QUOTAS: &[Column] = &[
    NAME,
    column("Request", "What is used of requests and counts"),
    column("Limit", "What is used of limits"),
    AGE,
];

const PRIORITY_CLASSES: &[Column] = &[
    NAME,
    column("Value", "The priority of its Pods").typed("integer"),
    column("Global-Default", "Whether Pods without a class get it").typed("boolean"),
    AGE,
    column("PreemptionPolicy", "Whether its Pods push others out"),
];

const RUNTIME_CLASSES: &[Column] = &[NAME, column("Handler", "What runs its Pods"), AGE];

const ADMISSION_POLICIES: &[Column] = &[
    NAME,
    column("Validations", "How many rules the policy has").typed("integer"),
    column("ParamKind", "The kind of the policy's parameters"),
    AGE,
];
const ADMISSION_POLICY_BINDINGS: &[Column] = &[
    NAME,
    column("PolicyName", "The policy that is bound"),
    column("ParamRef", "Where the policy's parameters are"),
    AGE,
];
const WEBHOOKS: &[Column] = &[
    NAME,
    column("Webhooks", "How many it configures").typed("integer"),
    AGE,
];

const VOLUMES: &[Column] = &[
    NAME,
    column("Capacity", "How much it holds"),
    column("Access Modes", "How it can be mounted"),
    column("Reclaim Policy", "What becomes of it afterwards"),
    column("Status", "Its phase"),
    column("Claim", "Who has it"),
    column("StorageClass", "Its class"),
    column("VolumeAttributesClass", "The class of its attributes"),
    column("Reason", "Why it is in this phase"),
    AGE,
    column("VolumeMode", "Filesystem or Block").wide(),
];

const VOLUME_CLAIMS: &[Column] = &[
    NAME,
    column("Status", "Its phase"),
    column("Volume", "The volume it got"),
    column("Capacity", "How much that holds"),
    column("Access Modes", "How it can be mounted"),
    column("StorageClass", "Its class"),
    column("VolumeAttributesClass", "The class of its attributes"),
    AGE,
    column("VolumeMode", "Filesystem or Block").wide(),
];

const STORAGE_CLASSES: &[Column] = &[
    NAME,
    column("Provisioner", "Who makes its volumes"),
    column("ReclaimPolicy", "What becomes of them afterwards"),
    column("VolumeBindingMode", "When they are made"),
    column("AllowVolumeExpansion", "Whether they can grow"),
    AGE,
];

const ATTRIBUTES_CLASSES: &[Column] = &[NAME, column("DriverName", "Its driver"), AGE];

const ATTACHMENTS: &[Column] = &[
    NAME,
    column("Attacher", "Who attaches it").named(),
    column("PV", "The volume"),
    column("Node", "The Node"),
    column("Attached", "Whether it is").typed("boolean"),
    AGE,
];

const CSI_NODES: &[Column] = &[
    NAME,
    column("Drivers", "How many it has").typed("integer"),
    AGE,
];

const CSI_DRIVERS: &[Column] = &[
    NAME,
    column("AttachRequired", "Whether volumes are attached first").typed("boolean"),
    column("PodInfoOnMount", "Whether it is told of the Pod").typed("boolean"),
    column("StorageCapacity", "Whether it says what room is left").typed("boolean"),
    column("TokenRequests", "Audiences of the tokens it gets"),
    column("RequiresRepublish", "Whether it is called again").typed("boolean"),
    column("Modes", "How long its volumes live"),
    AGE,
];

const OTHERS: &[Column] = &[
    NAME,
    column("Created At", "When it was created").typed("date"),
];

/// The columns of a resource; those without a printer of their own have Name and Created At.
pub(super) fn columns(resource: Resource) -> &'static [Column] {
    match resource {
        Resource::PODS => PODS,
        Resource::SERVICES => SERVICES,
        Resource::ENDPOINTS => ENDPOINTS,
        Resource::ENDPOINT_SLICES => ENDPOINT_SLICES,
        Resource::INGRESSES => INGRESSES,
        Resource::INGRESS_CLASSES => INGRESS_CLASSES,
        Resource::SERVICE_CIDRS => SERVICE_CIDRS,
        Resource::IP_ADDRESSES => IP_ADDRESSES,
        Resource::NODES => NODES,
        Resource::DEPLOYMENTS => DEPLOYMENTS,
        Resource::REPLICA_SETS => REPLICA_SETS,
        Resource::STATEFUL_SETS => STATEFUL_SETS,
        Resource::CONTROLLER_REVISIONS => CONTROLLER_REVISIONS,
        Resource::EVENTS => EVENTS,
        Resource::NAMESPACES => NAMESPACES,
        Resource::SECRETS => SECRETS,
        Resource::CONFIG_MAPS => CONFIG_MAPS,
        Resource::SERVICE_ACCOUNTS => SERVICE_ACCOUNTS,
        Resource::LEASES => LEASES,
        Resource::ROLE_BINDINGS | Resource::CLUSTER_ROLE_BINDINGS => BINDINGS,
        resource => more_columns(resource),
    }
}

fn more_columns(resource: Resource) -> &'static [Column] {
    match resource {
        Resource::DAEMON_SETS => DAEMON_SETS,
        Resource::REPLICATION_CONTROLLERS => REPLICA_SETS,
        Resource::POD_TEMPLATES => POD_TEMPLATES,
        Resource::JOBS => JOBS,
        Resource::CRON_JOBS => CRON_JOBS,
        Resource::AUTOSCALERS => AUTOSCALERS,
        Resource::DISRUPTION_BUDGETS => DISRUPTION_BUDGETS,
        Resource::NETWORK_POLICIES => NETWORK_POLICIES,
        Resource::RESOURCE_QUOTAS => RESOURCE_QUOTAS,
        Resource::PRIORITY_CLASSES => PRIORITY_CLASSES,
        Resource::RUNTIME_CLASSES => RUNTIME_CLASSES,
        Resource::MUTATING_WEBHOOKS | Resource::VALIDATING_WEBHOOKS => WEBHOOKS,
        Resource::VALIDATING_POLICIES => ADMISSION_POLICIES,
        Resource::VALIDATING_POLICY_BINDINGS => ADMISSION_POLICY_BINDINGS,
        Resource::VOLUMES => VOLUMES,
        Resource::VOLUME_CLAIMS => VOLUME_CLAIMS,
        Resource::STORAGE_CLASSES => STORAGE_CLASSES,
        Resource::VOLUME_ATTRIBUTES_CLASSES => ATTRIBUTES_CLASSES,
        Resource::VOLUME_ATTACHMENTS => ATTACHMENTS,
        Resource::CSI_NODES => CSI_NODES,
        Resource::CSI_DRIVERS => CSI_DRIVERS,
        _ => OTHERS,
    }
}

//! The kinds of objects that the double knows.

/// One kind of object, as paths and bodies name it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Resource {
    pub(crate) group: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) version: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) namespaced: bool,
}

const fn core(plural: &'static str, kind: &'static str) -> Resource {
    Resource { group: "", plural, version: "v1", kind, namespaced: true }
}

const fn grouped(group: &'static str, plural: &'static str, kind: &'static str) -> Resource {
    Resource { group, plural, version: "v1", kind, namespaced: true }
}

const fn of_cluster(group: &'static str, plural: &'static str, kind: &'static str) -> Resource {
    Resource { group, plural, version: "v1", kind, namespaced: false }
}

const RBAC: &str = "rbac.authorization.k8s.io";

pub(crate) static PODS: Resource = core("pods", "Pod");
pub(crate) static SECRETS: Resource = core("secrets", "Secret");
pub(crate) static CONFIG_MAPS: Resource = core("configmaps", "ConfigMap");
pub(crate) static SERVICE_ACCOUNTS: Resource = core("serviceaccounts", "ServiceAccount");
pub(crate) static QUOTAS: Resource = core("resourcequotas", "ResourceQuota");
pub(crate) static EVENTS: Resource = core("events", "Event");
pub(crate) static SERVICES: Resource = core("services", "Service");
pub(crate) static NAMESPACES: Resource = of_cluster("", "namespaces", "Namespace");
pub(crate) static NODES: Resource = of_cluster("", "nodes", "Node");
pub(crate) static LEASES: Resource = grouped("coordination.k8s.io", "leases", "Lease");
pub(crate) static BUDGETS: Resource = grouped("policy", "poddisruptionbudgets", "PodDisruptionBudget");
pub(crate) static ROLES: Resource = grouped(RBAC, "roles", "Role");
pub(crate) static ROLE_BINDINGS: Resource = grouped(RBAC, "rolebindings", "RoleBinding");
pub(crate) static CLUSTER_ROLES: Resource = of_cluster(RBAC, "clusterroles", "ClusterRole");
pub(crate) static CLUSTER_ROLE_BINDINGS: Resource =
    of_cluster(RBAC, "clusterrolebindings", "ClusterRoleBinding");
pub(crate) static NETWORK_POLICIES: Resource =
    grouped("networking.k8s.io", "networkpolicies", "NetworkPolicy");
pub(crate) static DEPLOYMENTS: Resource = grouped("apps", "deployments", "Deployment");
pub(crate) static PRIORITY_CLASSES: Resource =
    of_cluster("scheduling.k8s.io", "priorityclasses", "PriorityClass");
pub(crate) static RUNTIME_CLASSES: Resource = of_cluster("node.k8s.io", "runtimeclasses", "RuntimeClass");

static ALL: [&Resource; 19] = [
    &PODS,
    &SECRETS,
    &CONFIG_MAPS,
    &SERVICE_ACCOUNTS,
    &QUOTAS,
    &EVENTS,
    &SERVICES,
    &NAMESPACES,
    &NODES,
    &LEASES,
    &BUDGETS,
    &ROLES,
    &ROLE_BINDINGS,
    &CLUSTER_ROLES,
    &CLUSTER_ROLE_BINDINGS,
    &NETWORK_POLICIES,
    &DEPLOYMENTS,
    &PRIORITY_CLASSES,
    &RUNTIME_CLASSES,
];

impl Resource {
    /// What a path of the API names.
    pub(crate) fn named(group: &str, version: &str, plural: &str) -> Option<&'static Self> {
        let fits = |it: &&&Self| it.group == group && it.version == version && it.plural == plural;
        ALL.iter().find(fits).copied()
    }

    /// What an owner reference names.
    pub(crate) fn of_kind(api_version: &str, kind: &str) -> Option<&'static Self> {
        ALL.iter().find(|it| it.api_version() == api_version && it.kind == kind).copied()
    }

    pub(crate) fn all() -> impl Iterator<Item = &'static Self> {
        ALL.iter().copied()
    }

    /// Whether any kind is in this group and version.
    pub(crate) fn is_group(group: &str, version: &str) -> bool {
        ALL.iter().any(|it| it.group == group && it.version == version)
    }

    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// As most messages name it: `pods`, `leases.coordination.k8s.io`.
    pub(crate) fn qualified(&self) -> String {
        self.with_group(self.plural)
    }

    /// As messages about invalid objects name it: `Pod`, `Lease.coordination.k8s.io`.
    pub(crate) fn qualified_kind(&self) -> String {
        self.with_group(self.kind)
    }

    fn with_group(&self, name: &str) -> String {
        if self.group.is_empty() { name.to_owned() } else { format!("{name}.{}", self.group) }
    }
}

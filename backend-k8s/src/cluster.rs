//! The cluster: where it is, and what this host may do there.

use std::fmt;

use futures_util::future::join_all;
use hearth_core::{BackendError, Result};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client};

use crate::config::{Config, Places, Reach};
use crate::failure::{answer, failure};

/// A cluster that has answered. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Cluster {
    client: Client,
    pub(crate) namespace: String,
    /// Of its API server.
    pub(crate) url: String,
    /// `v1.33.1`
    pub(crate) version: String,
}

/// Something that can be done with the objects of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Right {
    verb: &'static str,
    resource: &'static str,
    subresource: Option<&'static str>,
}

impl Right {
    const fn to(verb: &'static str, resource: &'static str) -> Self {
        Self { verb, resource, subresource: None }
    }

    const fn part(verb: &'static str, resource: &'static str, subresource: &'static str) -> Self {
        Self { verb, resource, subresource: Some(subresource) }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        self.subresource.map_or(Ok(()), |part| write!(f, "/{part}"))
    }
}

/// Those without which no function runs, or none is removed.
const NEEDED: [Right; 5] = [
    Right::to("create", "pods"),
    Right::to("list", "pods"),
    Right::to("watch", "pods"),
    Right::to("delete", "pods"),
    Right::to("create", "secrets"),
];
const READ_LOGS: Right = Right::part("get", "pods", "log");
/// The connection begins as a GET. Since 1.35 the right to create is asked for as well.
const FORWARD_PORTS: Right = Right::part("get", "pods", "portforward");

/// What can be done beyond what must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rights {
    pub(crate) logs: bool,
    pub(crate) port_forward: bool,
}

impl Cluster {
    /// The cluster that somebody has named, or the one that the host is in.
    pub(crate) async fn find(config: &Config, places: &Places) -> Result<Self> {
        let (settings, source) = settings(config, places).await?;
        let url = settings.cluster_url.to_string().trim_end_matches('/').to_owned();
        let namespace =
            config.namespace.clone().unwrap_or_else(|| settings.default_namespace.trim().to_owned());
        let client = Client::try_from(settings).map_err(|error| {
            BackendError::config(format!("the cluster at {url}, {source}, cannot be used")).caused_by(&error)
        })?;
        let version = answer(client.apiserver_version()).await;
        let version = version.map_err(|error| {
            BackendError::config(format!("no Kubernetes API server answers at {url}, {source}"))
                .caused_by(&error)
        })?;
        Ok(Self { client, namespace, url, version: version.git_version })
    }

    pub(crate) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Asks what the host may do. Fails, and names all that is missing, if it may not do what it must.
    pub(crate) async fn rights(&self, reach: Reach) -> Result<Rights> {
        let asked = NEEDED.iter().chain([&READ_LOGS, &FORWARD_PORTS]).map(|right| self.may(*right));
        let granted: Vec<bool> = join_all(asked).await.into_iter().collect::<Result<_>>()?;
        let rights = Rights { logs: granted[NEEDED.len()], port_forward: granted[NEEDED.len() + 1] };
        let mut missing: Vec<_> =
            NEEDED.iter().zip(&granted).filter(|(_, granted)| !**granted).map(|(right, _)| *right).collect();
        if reach == Reach::PortForward && !rights.port_forward {
            missing.push(FORWARD_PORTS);
        }
        if missing.is_empty() {
            return Ok(rights);
        }
        let missing: Vec<_> = missing.iter().map(Right::to_string).collect();
        Err(BackendError::config(format!(
            "hearth may not {} in the namespace {} of {}: grant it with the Role in deploy/k8s",
            missing.join(", "),
            self.namespace,
            self.url
        )))
    }

    async fn may(&self, right: Right) -> Result<bool> {
        let attributes = ResourceAttributes {
            namespace: Some(self.namespace.clone()),
            verb: Some(right.verb.to_owned()),
            resource: Some(right.resource.to_owned()),
            subresource: right.subresource.map(str::to_owned),
            ..ResourceAttributes::default()
        };
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(attributes),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let reviews: Api<SelfSubjectAccessReview> = Api::all(self.client.clone());
        let parameters = PostParams::default();
        let answered = answer(reviews.create(&parameters, &review)).await;
        let answered = answered.map_err(|error| {
            failure(&format!("the API server at {} does not say what hearth may do", self.url), &error)
        })?;
        Ok(answered.status.is_some_and(|status| status.allowed))
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, url, version, .. } = self;
        f.debug_struct("Cluster")
            .field("url", url)
            .field("namespace", namespace)
            .field("version", version)
            .finish_non_exhaustive()
    }
}

/// How to speak to the cluster, and who named it, for people.
async fn settings(config: &Config, places: &Places) -> Result<(kube::Config, String)> {
    let options = KubeConfigOptions { context: config.context.clone(), ..KubeConfigOptions::default() };
    let unfit = |source: &str, error: &dyn std::error::Error| {
        BackendError::config(format!("{source} cannot be used: {error}"))
    };
    if let Some(path) = &config.kubeconfig {
        let source = format!("the kubeconfig {}", path.display());
        let read = Kubeconfig::read_from(path).map_err(|error| unfit(&source, &error))?;
        let settings = kube::Config::from_custom_kubeconfig(read, &options).await;
        return Ok((settings.map_err(|error| unfit(&source, &error))?, format!("named by {source}")));
    }
    if !places.has_kubeconfig && places.is_in_cluster && config.context.is_none() {
        let settings =
            kube::Config::incluster().map_err(|error| unfit("the ServiceAccount of this pod", &error))?;
        return Ok((settings, "named by this pod's environment".to_owned()));
    }
    let source = if places.has_kubeconfig { "KUBECONFIG" } else { "~/.kube/config" };
    match kube::Config::from_kubeconfig(&options).await {
        Ok(settings) => Ok((settings, format!("named by {source}"))),
        Err(error) if places.has_kubeconfig => Err(unfit(source, &error)),
        Err(error) => Err(BackendError::config(
            "there is no cluster: hearth is in no pod, KUBECONFIG is not set, and ~/.kube/config cannot be used; name a \
             kubeconfig with KUBECONFIG or with `kubeconfig` in [backends.k8s]",
        )
        .caused_by(&error)),
    }
}

//! The engine: where it is, and what it can do.

mod context;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use bollard::Docker;
use hearth_core::{BackendError, Result};

use crate::config::{Config, Places};

/// How long an engine may take to say who it is.
const HELLO_LIMIT: Duration = Duration::from_secs(10);

/// An engine that has answered. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    pub(crate) docker: Docker,
    pub(crate) address: Address,
    /// For people: `Docker Engine 20.10.24`.
    pub(crate) name: String,
    /// `1.41`
    pub(crate) api: String,
}

/// Where an engine is, or may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// `unix:///path` or `tcp://host:port`.
    pub(crate) url: String,
    /// Who named it, for people; nothing for the usual places.
    named_by: Option<String>,
}

impl Address {
    fn named(url: &str, by: impl Into<String>) -> Self {
        Self { url: url.to_owned(), named_by: Some(by.into()) }
    }

    fn usual(socket: impl fmt::Display) -> Self {
        Self { url: format!("unix://{socket}"), named_by: None }
    }

    /// The machine that the engine is on, if that may be another one.
    pub(crate) fn remote_host(&self) -> Option<&str> {
        let (scheme, rest) = self.url.split_once("://")?;
        (scheme != "unix").then(|| rest.rsplit_once(':').map_or(rest, |(host, _)| host))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)?;
        match &self.named_by {
            Some(by) => write!(f, ", named by {by}"),
            None => Ok(()),
        }
    }
}

impl Engine {
    /// The first engine that answers. If none does, the error names everything that was tried.
    pub(crate) async fn find(config: &Config, places: &Places) -> Result<Self> {
        let mut tried = Vec::new();
        for address in addresses(config, places)? {
            match Self::connect(&address).await {
                Ok(engine) => return Ok(engine),
                Err(problem) => tried.push(format!("{address} ({problem})")),
            }
        }
        Err(BackendError::config(format!(
            "no container engine answers at {}; start one, or say where it is with DOCKER_HOST or with `host` in \
             [backends.docker]",
            tried.join("; nor at ")
        )))
    }

    async fn connect(address: &Address) -> Result<Self, String> {
        if let Some(socket) = address.url.strip_prefix("unix://").filter(|socket| !Path::new(socket).exists())
        {
            return Err(format!("there is no {socket}"));
        }
        let docker = Docker::connect_with_host(&address.url).map_err(|error| error.to_string())?;
        let hello = async {
            let docker = docker.negotiate_version().await?;
            let version = docker.version().await?;
            Ok::<_, bollard::errors::Error>((docker, version))
        };
        let (docker, version) = tokio::time::timeout(HELLO_LIMIT, hello)
            .await
            .map_err(|_| format!("silent for {} s", HELLO_LIMIT.as_secs()))?
            .map_err(|error| innermost(&error))?;
        let component = version.components.unwrap_or_default().into_iter().next();
        let kind = component.map_or_else(|| "Engine".to_owned(), |component| component.name);
        let kind = if kind == "Engine" { "Docker Engine".to_owned() } else { kind };
        Ok(Self {
            api: docker.client_version().to_string(),
            docker,
            address: address.clone(),
            name: format!("{kind} {}", version.version.unwrap_or_default()),
        })
    }

    /// Whether a container can be asked for by its platform: since API 1.41.
    pub(crate) fn knows_platforms(&self) -> bool {
        let version = self.docker.client_version();
        (version.major_version, version.minor_version) >= (1, 41)
    }
}

/// Where to look, first to last. What somebody has named is the only one: another engine is not what they meant.
fn addresses(config: &Config, places: &Places) -> Result<Vec<Address>> {
    if let Some(host) = &config.host {
        return Ok(vec![Address::named(host, "`host` in [backends.docker]")]);
    }
    if let Some(host) = &places.docker_host {
        return Ok(vec![Address::named(host, "DOCKER_HOST")]);
    }
    if let Some(address) = context::current(places)? {
        return Ok(vec![address]);
    }
    let mut all = vec![Address::usual("/var/run/docker.sock")];
    if let Some(folder) = &places.runtime_dir {
        all.extend(
            ["docker.sock", "podman/podman.sock"].map(|name| Address::usual(folder.join(name).display())),
        );
    }
    all.push(Address::usual("/run/podman/podman.sock"));
    Ok(all)
}

/// What is at the bottom of an error: the layers above say no more than that it failed.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn if_no_engine_answers_everything_that_was_tried_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places { runtime_dir: Some(folder.path().to_owned()), ..Places::default() };
        let urls: Vec<_> =
            addresses(&Config::default(), &places).unwrap().into_iter().map(|address| address.url).collect();
        let of_user = |name| format!("unix://{}/{name}", folder.path().display());
        let expected = [
            "unix:///var/run/docker.sock".to_owned(),
            of_user("docker.sock"),
            of_user("podman/podman.sock"),
            "unix:///run/podman/podman.sock".to_owned(),
        ];
        assert_eq!(urls, expected);

        let nowhere = format!("unix://{}/none.sock", folder.path().display());
        let places = Places { docker_host: Some(nowhere.clone()), ..places };
        let error = Engine::find(&Config::default(), &places).await.unwrap_err().to_string();
        let socket = nowhere.strip_prefix("unix://").unwrap();
        let beginning = format!(
            "no container engine answers at {nowhere}, named by DOCKER_HOST (there is no {socket}); start one, "
        );
        assert!(error.starts_with(&beginning), "{error}");
    }

    #[test]
    fn what_somebody_names_is_the_only_one_that_is_tried() {
        let places = Places { docker_host: Some("tcp://there:2375".to_owned()), ..Places::default() };
        let of = |config: &Config| addresses(config, &places).unwrap();
        let by_variable = of(&Config::default());
        assert_eq!(by_variable, [Address::named("tcp://there:2375", "DOCKER_HOST")]);
        assert_eq!(by_variable[0].remote_host(), Some("there"));
        let config = Config { host: Some("unix:///mine.sock".to_owned()), ..Config::default() };
        let by_setting = of(&config);
        assert_eq!(by_setting, [Address::named("unix:///mine.sock", "`host` in [backends.docker]")]);
        assert_eq!(by_setting[0].remote_host(), None);
    }
}

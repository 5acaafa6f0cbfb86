//! The engine: where it is, and what it can do.

mod context;
mod ssh;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, Docker};
use hearth_core::{BackendError, Result};

use crate::config::{Config, Places};

/// How long an engine may take to say who it is.
const HELLO_LIMIT: Duration = Duration::from_secs(10);

/// How many seconds an answer may take: as bollard has it where it is not asked.
const ANSWER_LIMIT_SECONDS: u64 = 120;

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
    /// `unix:///path`, `tcp://host:port` or `ssh://user@host`.
    pub(crate) url: String,
    /// The folder with the certificates by which both sides know one another, where TLS is spoken.
    certificates: Option<PathBuf>,
    /// Who named it, for people; nothing for the usual places.
    named_by: Option<String>,
}

impl Address {
    fn named(url: &str, by: impl Into<String>) -> Self {
        Self { url: url.to_owned(), certificates: None, named_by: Some(by.into()) }
    }

    fn usual(socket: impl fmt::Display) -> Self {
        Self { url: format!("unix://{socket}"), certificates: None, named_by: None }
    }

    fn with_certificates(self, folder: Option<PathBuf>) -> Self {
        Self { certificates: folder, ..self }
    }

    /// The machine that the engine is on, if that may be another one.
    pub(crate) fn remote_host(&self) -> Option<&str> {
        let (_, rest) = self.url.split_once("://").filter(|(scheme, _)| *scheme != "unix")?;
        let authority = rest.split_once('/').map_or(rest, |(authority, _)| authority);
        let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
        // What follows the last colon is no port if an IPv6 address ends after it.
        let port = place.rsplit_once(':').filter(|(_, port)| !port.contains(']'));
        Some(port.map_or(place, |(host, _)| host))
    }

    /// A client; nothing is sent yet.
    fn client(&self) -> Result<Docker, String> {
        let client = match (self.scheme(), &self.certificates) {
            ("ssh", _) => ssh::client(&self.url),
            ("tcp" | "http" | "https", Some(folder)) => return self.client_with_certificates(folder),
            ("https", None) => {
                return Err("for TLS, set DOCKER_TLS_VERIFY, or `cert_path` in [backends.docker]".to_owned());
            }
            _ => Docker::connect_with_host(&self.url),
        };
        client.map_err(|error| error.to_string())
    }

    fn client_with_certificates(&self, folder: &Path) -> Result<Docker, String> {
        let [authority, certificate, key] = ["ca.pem", "cert.pem", "key.pem"].map(|name| folder.join(name));
        if !authority.exists() {
            return Err(format!(
                "there is no {}: for TLS, ca.pem, and cert.pem and key.pem if the engine wants to know who asks",
                authority.display()
            ));
        }
        let (limit, version) = (ANSWER_LIMIT_SECONDS, API_DEFAULT_VERSION);
        Docker::connect_with_ssl(&self.url, &key, &certificate, &authority, limit, version)
            .map_err(|error| error.to_string())
    }

    fn scheme(&self) -> &str {
        self.url.split_once("://").map_or("", |(scheme, _)| scheme)
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
        let docker = address.client()?;
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
        let address = Address::named(host, "`host` in [backends.docker]");
        return Ok(vec![address.with_certificates(config.cert_path.clone())]);
    }
    if let Some(host) = &places.docker_host {
        return Ok(vec![
            Address::named(host, "DOCKER_HOST").with_certificates(places.docker_cert_path.clone()),
        ]);
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
        let config = Config { host: Some("unix:///mine.sock".to_owned()), ..Config::default() };
        let by_setting = of(&config);
        assert_eq!(by_setting, [Address::named("unix:///mine.sock", "`host` in [backends.docker]")]);
    }

    #[test]
    fn the_machine_of_an_engine_is_in_its_address() {
        for (url, host) in [
            ("unix:///var/run/docker.sock", None),
            ("tcp://there:2375", Some("there")),
            ("tcp://[fd00::1]:2376", Some("[fd00::1]")),
            ("ssh://me@there", Some("there")),
            ("ssh://me@[fd00::1]", Some("[fd00::1]")),
            ("ssh://there:2222/", Some("there")),
        ] {
            assert_eq!(Address::named(url, "test").remote_host(), host, "{url}");
        }
    }

    #[tokio::test]
    async fn certificates_that_are_missing_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let certificates = folder.path().display();
        let told = |host: &str, cert_path: Option<PathBuf>| {
            let config = Config { host: Some(host.to_owned()), cert_path, ..Config::default() };
            async move { Engine::find(&config, &Places::default()).await.unwrap_err().to_string() }
        };
        let error = told("tcp://127.0.0.1:1", Some(folder.path().to_owned())).await;
        let expected =
            format!("(there is no {certificates}/ca.pem: for TLS, ca.pem, and cert.pem and key.pem if ");
        assert!(error.contains(&expected), "{error}");
        let error = told("https://127.0.0.1:1", None).await;
        assert!(error.contains("(for TLS, set DOCKER_TLS_VERIFY, or `cert_path` in "), "{error}");
    }
}

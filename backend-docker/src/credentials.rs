//! Who pulls: what `docker login`, its credential helpers and `podman login` know.

use bollard::auth::DockerCredentials;
use docker_credential::{CredentialRetrievalError as Problem, DockerCredential};

use crate::reference;

/// The credentials for the registry of an image, if there are any. Runs a helper if one is configured for it.
pub(crate) async fn of_registry(image: &str) -> Option<DockerCredentials> {
    let registry = reference::registry(image).to_owned();
    let wanted = registry.clone();
    let looked_up = tokio::task::spawn_blocking(move || {
        docker_credential::get_credential(&wanted)
            .or_else(|problem| docker_credential::get_podman_credential(&wanted).map_err(|_| problem))
    });
    let credentials =
        DockerCredentials { serveraddress: Some(registry.clone()), ..DockerCredentials::default() };
    match looked_up.await.ok()? {
        Ok(DockerCredential::IdentityToken(token)) => {
            Some(DockerCredentials { identitytoken: Some(token), ..credentials })
        }
        Ok(DockerCredential::UsernamePassword(name, password)) => {
            Some(DockerCredentials { username: Some(name), password: Some(password), ..credentials })
        }
        Err(Problem::NoCredentialConfigured | Problem::ConfigNotFound | Problem::ConfigReadError) => None,
        Err(problem) => {
            tracing::warn!(registry, %problem, "the credentials of a registry cannot be had; pulling without");
            None
        }
    }
}

//! How folders of this machine get into containers: mounted, where the engine sees the same files, or in volumes.

use std::path::{Path, PathBuf};

use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType};
use bollard::query_parameters::{ContainerArchiveInfoOptions, RemoveContainerOptions};
use hearth_core::{BackendError, HostInfo, Result};
use tokio::sync::OnceCell;
use tokio_util::task::TaskTracker;

use crate::config::Code;
use crate::engine::Engine;
use crate::failure::{failure, is_gone};
use crate::labels;
use crate::volume::Volumes;

/// A folder of this machine and where a container is to have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    /// Says what is in it: folders of the same name have the same content.
    pub(crate) name: String,
    pub(crate) target: &'static str,
}

/// Decides once, when the first image is there to try it with.
pub(crate) struct Delivery {
    helpers: Helpers,
    state: PathBuf,
    code: Code,
    is_mounted: OnceCell<bool>,
    volumes: Volumes,
}

impl Delivery {
    pub(crate) fn new(engine: Engine, host: HostInfo, state: PathBuf, code: Code) -> Self {
        let helpers = Helpers { engine, host, tasks: TaskTracker::new() };
        Self { volumes: Volumes::new(helpers.clone()), helpers, state, code, is_mounted: OnceCell::new() }
    }

    /// The mounts that give a container of this image these folders, read-only.
    pub(crate) async fn mounts(&self, image: &str, folders: Vec<Folder>) -> Result<Vec<Mount>> {
        let is_mounted = *self.is_mounted.get_or_try_init(|| self.decide(image)).await?;
        let mut mounts = Vec::new();
        for folder in folders {
            let (kind, source) = if is_mounted {
                (MountType::BIND, folder.path.display().to_string())
            } else {
                (MountType::VOLUME, self.volumes.filled(image, &folder).await?)
            };
            mounts.push(Mount { read_only: Some(true), ..mount(kind, &source, folder.target) });
        }
        Ok(mounts)
    }

    /// Removes the volumes that earlier host processes of this installation left behind.
    pub(crate) async fn reap(&self) -> Result<()> {
        self.volumes.remove(Some(&self.helpers.host.epoch)).await
    }

    /// Waits until nothing is under way any more. Containers must be gone before their volumes can be removed.
    pub(crate) async fn rest(&self) {
        self.helpers.tasks.close();
        self.helpers.tasks.wait().await;
    }

    /// Removes the volumes of this installation.
    pub(crate) async fn remove_volumes(&self) -> Result<()> {
        self.volumes.remove(None).await
    }

    async fn decide(&self, image: &str) -> Result<bool> {
        match self.code {
            Code::Mount => return Ok(true),
            Code::Volume => return Ok(false),
            Code::Auto => {}
        }
        let (helpers, state, image) = (self.helpers.clone(), self.state.clone(), image.to_owned());
        let is_seen = self.helpers.run(async move { helpers.sees(&state, &image).await }).await?;
        let how =
            if is_seen { "mounted" } else { "sent to the engine, which does not see this machine's files" };
        tracing::info!("code is {how}");
        Ok(is_seen)
    }
}

/// Makes containers that are never started: an engine answers for what is in them all the same.
#[derive(Clone)]
pub(crate) struct Helpers {
    pub(crate) engine: Engine,
    pub(crate) host: HostInfo,
    tasks: TaskTracker,
}

impl Helpers {
    /// Where a helper has the folder that it is about.
    pub(crate) const TARGET: &str = "/var/hearth";

    /// Does something to its end, also if nobody waits for it any more: a container must not be left behind.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let done = self.tasks.spawn(work).await;
        done.unwrap_or_else(|panic| Err(BackendError::internal("a helper ended badly").caused_by(&panic)))
    }

    /// A container of this image with one mount.
    pub(crate) fn container(&self, image: &str, mount: Mount) -> ContainerCreateBody {
        ContainerCreateBody {
            image: Some(image.to_owned()),
            // An image need not have one, and an engine wants one.
            entrypoint: Some(vec!["/helper".to_owned()]),
            labels: Some(labels::of_helper(&self.host)),
            host_config: Some(HostConfig { mounts: Some(vec![mount]), ..HostConfig::default() }),
            ..ContainerCreateBody::default()
        }
    }

    pub(crate) async fn remove(&self, container: &str) -> Result<(), bollard::errors::Error> {
        let options = RemoveContainerOptions { force: true, ..RemoveContainerOptions::default() };
        self.engine.docker.remove_container(container, Some(options)).await
    }

    /// Makes a file that nobody else has, and asks the engine for it as a container would see it.
    async fn sees(&self, state: &Path, image: &str) -> Result<bool> {
        let folder = state.join("probe");
        let unwritable = |error| {
            BackendError::config(format!("the directory {} cannot be used", folder.display()))
                .caused_by(&error)
        };
        std::fs::create_dir_all(&folder).map_err(unwritable)?;
        let file = folder.join(&self.host.epoch);
        std::fs::write(&file, "").map_err(unwritable)?;
        let is_seen = self.look(&folder, image).await;
        // Nobody minds one that stays.
        drop(std::fs::remove_file(&file));
        is_seen
    }

    async fn look(&self, folder: &Path, image: &str) -> Result<bool> {
        let docker = &self.engine.docker;
        let mount = mount(MountType::BIND, &folder.display().to_string(), Self::TARGET);
        let created = match docker.create_container(None, self.container(image, mount)).await {
            Ok(created) => created,
            Err(error) if is_gone(&error) => {
                return Err(failure("the engine cannot be asked for files", &error));
            }
            // That is how an engine says that it has no such folder.
            Err(_) => return Ok(false),
        };
        let path = format!("{}/{}", Self::TARGET, self.host.epoch);
        let options = ContainerArchiveInfoOptions { path };
        let found = docker.get_container_archive_info(&created.id, Some(options)).await;
        if let Err(error) = self.remove(&created.id).await {
            tracing::warn!(%error, "a container that was never started cannot be removed; it is reaped later");
        }
        Ok(found.is_ok())
    }
}

pub(crate) fn mount(kind: MountType, source: &str, target: &str) -> Mount {
    Mount {
        typ: Some(kind),
        source: Some(source.to_owned()),
        target: Some(target.to_owned()),
        ..Mount::default()
    }
}

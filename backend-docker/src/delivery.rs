//! How folders of this machine get into containers: mounted, where the engine sees the same files, or in volumes.

use std::path::{Path, PathBuf};

use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType};
use bollard::query_parameters::{ContainerArchiveInfoOptions, RemoveContainerOptions};
use hearth_core::{BackendError, HostInfo, Result};
use tokio::sync::OnceCell;

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
    engine: Engine,
    host: HostInfo,
    state: PathBuf,
    code: Code,
    is_mounted: OnceCell<bool>,
    volumes: Volumes,
}

impl Delivery {
    pub(crate) fn new(engine: Engine, host: HostInfo, state: PathBuf, code: Code) -> Self {
        let volumes = Volumes::new(engine.clone(), host.clone());
        Self { engine, host, state, code, is_mounted: OnceCell::new(), volumes }
    }

    /// The mounts that give a container of this image these folders, read-only.
    pub(crate) async fn mounts(&self, image: &str, folders: Vec<Folder>) -> Result<Vec<Mount>> {
        let is_mounted = *self.is_mounted.get_or_try_init(|| self.decide(image)).await?;
        let mut mounts = Vec::new();
        for folder in folders {
            mounts.push(if is_mounted {
                mount(MountType::BIND, folder.path.display().to_string(), folder.target)
            } else {
                mount(MountType::VOLUME, self.volumes.filled(image, &folder).await?, folder.target)
            });
        }
        Ok(mounts)
    }

    /// Removes the volumes that carry this label.
    pub(crate) async fn remove_volumes(&self, keep_epoch: Option<&str>) -> Result<()> {
        self.volumes.remove(keep_epoch).await
    }

    async fn decide(&self, image: &str) -> Result<bool> {
        match self.code {
            Code::Mount => return Ok(true),
            Code::Volume => return Ok(false),
            Code::Auto => {}
        }
        let is_seen = self.is_seen_by_engine(image).await?;
        let how =
            if is_seen { "mounted" } else { "sent to the engine, which does not see this machine's files" };
        tracing::info!("code is {how}");
        Ok(is_seen)
    }

    /// Makes a file that nobody else has, and asks the engine for it as a container would see it. Nothing is started.
    async fn is_seen_by_engine(&self, image: &str) -> Result<bool> {
        let folder = self.state.join("probe");
        let unwritable = |error| {
            BackendError::config(format!("the directory {} cannot be used", folder.display()))
                .caused_by(&error)
        };
        std::fs::create_dir_all(&folder).map_err(unwritable)?;
        let file = folder.join(&self.host.epoch);
        std::fs::write(&file, "").map_err(unwritable)?;
        let is_seen = self.look(image, &folder).await;
        // Nobody minds one that stays.
        drop(std::fs::remove_file(&file));
        is_seen
    }

    async fn look(&self, image: &str, folder: &Path) -> Result<bool> {
        const TARGET: &str = "/var/hearth";
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            entrypoint: Some(vec!["/probe".to_owned()]),
            labels: Some(labels::of_helper(&self.host)),
            host_config: Some(HostConfig {
                mounts: Some(vec![mount(MountType::BIND, folder.display().to_string(), TARGET)]),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let docker = &self.engine.docker;
        let created = match docker.create_container(None, body).await {
            Ok(created) => created,
            Err(error) if is_gone(&error) => {
                return Err(failure("the engine cannot be asked for files", &error));
            }
            // That is how an engine says that it has no such folder.
            Err(_) => return Ok(false),
        };
        let path = format!("{TARGET}/{}", self.host.epoch);
        let found =
            docker.get_container_archive_info(&created.id, Some(ContainerArchiveInfoOptions { path })).await;
        let remove = RemoveContainerOptions { force: true, v: true, ..RemoveContainerOptions::default() };
        if let Err(error) = docker.remove_container(&created.id, Some(remove)).await {
            tracing::warn!(%error, "a container that was never started cannot be removed; it is reaped later");
        }
        Ok(found.is_ok())
    }
}

fn mount(kind: MountType, source: String, target: &str) -> Mount {
    Mount {
        typ: Some(kind),
        source: Some(source),
        target: Some(target.to_owned()),
        read_only: Some(true),
        ..Mount::default()
    }
}

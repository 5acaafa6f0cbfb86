//! Volumes with the content of folders, for engines that do not see this machine's files. Each is filled once.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bollard::body_try_stream;
use bollard::models::{MountType, VolumeCreateRequest};
use bollard::query_parameters::{ListVolumesOptions, RemoveVolumeOptions, UploadToContainerOptions};
use hearth_containers::archive::{self, Part};
use hearth_core::Result;
use tokio::sync::OnceCell;

use crate::delivery::{Folder, Helpers, mount};
use crate::failure::{failure, is_missing};
use crate::labels;

/// The volumes of this host process.
pub(crate) struct Volumes {
    helpers: Helpers,
    filled: Mutex<HashMap<String, Arc<OnceCell<()>>>>,
}

impl Volumes {
    pub(crate) fn new(helpers: Helpers) -> Self {
        Self { helpers, filled: Mutex::default() }
    }

    /// The name of the volume with the content of a folder. Whoever comes while it is filled waits for it.
    pub(crate) async fn filled(&self, image: &str, folder: &Folder) -> Result<String> {
        let name = format!("hearth-{}-{}", self.helpers.host.epoch, folder.name);
        let cell = {
            let mut filled = self.filled.lock().unwrap_or_else(PoisonError::into_inner);
            filled.entry(name.clone()).or_default().clone()
        };
        let fill = || {
            let (helpers, image) = (self.helpers.clone(), image.to_owned());
            let (name, folder) = (name.clone(), folder.path.clone());
            self.helpers.run(async move { fill(&helpers, &image, &name, &folder).await })
        };
        cell.get_or_try_init(fill).await?;
        Ok(name)
    }

    /// Removes the volumes of this installation, but for those of one host process. One that is in use stays.
    pub(crate) async fn remove(&self, keep_epoch: Option<&str>) -> Result<()> {
        let docker = &self.helpers.engine.docker;
        let filters = Some(labels::filter(labels::OWNER, &self.helpers.host.owner));
        let listed = docker.list_volumes(Some(ListVolumesOptions { filters })).await;
        let listed = listed.map_err(|error| failure("the volumes cannot be listed", &error))?;
        for volume in listed.volumes.unwrap_or_default() {
            let epoch = volume.labels.get(labels::EPOCH).map(String::as_str);
            if keep_epoch.is_some() && keep_epoch == epoch {
                continue;
            }
            match docker.remove_volume(&volume.name, None::<RemoveVolumeOptions>).await {
                Err(error) if !is_missing(&error) => {
                    tracing::warn!(volume = volume.name, %error, "a volume cannot be removed");
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Makes a volume and has the engine unpack a folder into it.
async fn fill(helpers: &Helpers, image: &str, name: &str, folder: &Path) -> Result<()> {
    let docker = &helpers.engine.docker;
    let not_filled = |error| failure(&format!("the volume {name} cannot be filled"), &error);
    let request = VolumeCreateRequest {
        name: Some(name.to_owned()),
        labels: Some(labels::of_host(&helpers.host)),
        ..VolumeCreateRequest::default()
    };
    docker.create_volume(request).await.map_err(not_filled)?;
    let mount = mount(MountType::VOLUME, name, Helpers::TARGET);
    let created = docker.create_container(None, helpers.container(image, mount)).await.map_err(not_filled)?;
    let options =
        UploadToContainerOptions { path: Helpers::TARGET.to_owned(), ..UploadToContainerOptions::default() };
    let body = body_try_stream(archive::stream(vec![Part::content(folder)]));
    let uploaded = docker.upload_to_container(&created.id, Some(options), body).await;
    uploaded.and(helpers.remove(&created.id).await).map_err(not_filled)
}

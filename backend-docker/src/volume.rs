//! Volumes with the content of folders, for engines that do not see this machine's files. Each is filled once.

use std::collections::HashMap;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bollard::body_try_stream;
use bollard::models::{MountType, VolumeCreateRequest};
use bollard::query_parameters::{ListVolumesOptions, RemoveVolumeOptions, UploadToContainerOptions};
use bytes::Bytes;
use futures_util::Stream;
use hearth_core::Result;
use tokio::sync::{OnceCell, mpsc};

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
    let body = body_try_stream(archive(folder.to_owned()));
    let uploaded = docker.upload_to_container(&created.id, Some(options), body).await;
    uploaded.and(helpers.remove(&created.id).await).map_err(not_filled)
}

/// A folder as a tar, made while it is sent. Everybody may read what is in it.
fn archive(folder: PathBuf) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let (sender, receiver) = mpsc::channel(4);
    tokio::task::spawn_blocking(move || {
        let write = || {
            let mut tar = tar::Builder::new(BufWriter::with_capacity(1 << 18, Pipe(sender.clone())));
            tar.follow_symlinks(false);
            tar.mode(tar::HeaderMode::Deterministic);
            tar.append_dir_all(".", &folder)?;
            tar.into_inner()?.flush()
        };
        if let Err(error) = write() {
            // If nobody listens any more, nobody wants to know.
            drop(sender.blocking_send(Err(error)));
        }
    });
    futures_util::stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)))
}

/// Writes into a channel.
struct Pipe(mpsc::Sender<io::Result<Bytes>>);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map(|()| bytes.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use futures_util::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn an_archive_has_all_that_is_in_the_folder_and_everybody_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        fs::write(folder.path().join("sub/file"), vec![7; 1_000_000]).unwrap();
        std::os::unix::fs::symlink("sub/file", folder.path().join("link")).unwrap();
        let pieces: Vec<Bytes> = archive(folder.path().to_owned()).try_collect().await.unwrap();
        let mut archive = tar::Archive::new(io::Cursor::new(pieces.concat()));
        let mut found: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let header = entry.unwrap().header().clone();
                let (path, link) = (header.path().unwrap(), header.link_name().unwrap());
                format!(
                    "{} {:o} {:?} {}",
                    path.display(),
                    header.mode().unwrap(),
                    link,
                    header.size().unwrap()
                )
            })
            .collect();
        found.sort();
        let expected =
            ["./ 755 None 0", "link 755 Some(\"sub/file\") 0", "sub 755 None 0", "sub/file 644 None 1000000"];
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_read_ends_the_stream_with_an_error() {
        let sent: io::Result<Vec<Bytes>> =
            archive(PathBuf::from("/there/is/no/such/folder")).try_collect().await;
        assert_eq!(sent.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}

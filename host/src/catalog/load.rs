//! Reads the catalog from disk at the start.

use std::fs;
use std::sync::{Arc, OnceLock, RwLock};

use tokio::sync::watch;

use super::function::{Function, PackageRef, Status, Version};
use super::index::Index;
use super::layer::{Layer, LayerVersion};
use super::package::{Package, PackageError, PackageStore};
use super::resource::{CodeSigningConfig, EventSourceMapping};
use super::store::Store;
use super::{OpenError, Settings, Shared};

/// Opens everything, and removes code that nothing refers to.
pub(super) fn open(settings: Settings) -> Result<(Shared, Store), OpenError> {
    let Settings { data_dir, wall_clock, function_env } = settings;
    fs::create_dir_all(&data_dir).map_err(|source| OpenError::DataDir { path: data_dir.clone(), source })?;
    let store = Store::open(&data_dir.join("hearth.db"))?;
    let packages = PackageStore::open(&data_dir.join("code"))?;
    let mut index = Index::default();
    for (key, mut layer) in store.layers()? {
        hold_layer(&packages, &key.arn(), &mut layer);
        index.put_layer(&key, Arc::new(layer));
    }
    for mut function in store.functions()? {
        hold_function(&packages, &mut function);
        index.put_function(Arc::new(function));
    }
    for (place, config) in store.resources::<CodeSigningConfig>()? {
        index.put_resource(&place, Arc::new(config));
    }
    for (place, mapping) in store.resources::<EventSourceMapping>()? {
        index.put_resource(&place, Arc::new(mapping));
    }
    let removed = packages.sweep()?;
    if removed > 0 {
        tracing::info!(folders = removed, "removed code that nothing refers to");
    }
    let shared = Shared {
        index: RwLock::new(index),
        packages,
        deployer: OnceLock::new(),
        resources_changed: watch::Sender::default(),
        wall_clock,
        function_env,
    };
    Ok((shared, store))
}

/// A layer version whose code is lost stays visible; functions that already use it say so themselves.
fn hold_layer(packages: &PackageStore, arn: &str, layer: &mut Layer) {
    for (number, version) in &mut layer.versions {
        match packages.reopen(version.package) {
            Ok(package) => {
                package.keep(true);
                *version = Arc::new(LayerVersion { hold: Some(package), ..LayerVersion::clone(version) });
            }
            Err(error) => tracing::error!(layer = arn, version = number, %error, "the layer's code is lost"),
        }
    }
}

/// A version whose code is lost is shown as failed: updating its code heals it.
fn hold_function(packages: &PackageStore, function: &mut Function) {
    let versions: Vec<_> = function.all_versions().cloned().collect();
    for version in versions {
        let (status, held) = match hold_version(packages, &version) {
            Ok(held) => (version.status.clone(), held),
            Err(error) => {
                tracing::error!(function = %function.key.arn(), version = %version.name, %error, "its code is lost");
                (Status::CreationFailed { reason: format!("The code is lost: {error}") }, Vec::new())
            }
        };
        function.put_version(Arc::new(Version { status, packages: held, ..Version::clone(&version) }));
    }
}

fn hold_version(packages: &PackageStore, version: &Version) -> Result<Vec<Arc<Package>>, PackageError> {
    let serving = version.status.serving(&version.config).map(|serving| serving.packages());
    let reopen = |reference: PackageRef| {
        let package = packages.reopen(reference)?;
        package.keep(true);
        Ok(package)
    };
    version.config.packages().into_iter().chain(serving.into_iter().flatten()).map(reopen).collect()
}

//! Changes of layers.

use std::sync::Arc;

use super::{ChangeError, Writer};
use crate::catalog::layer::{Layer, LayerKey, LayerVersion};
use crate::catalog::package::Package;

/// What to publish as a layer's next version.
#[derive(Debug)]
pub struct NewLayerVersion {
    /// Which layer; it is made if it is new.
    pub key: LayerKey,
    /// Its code.
    pub package: Arc<Package>,
    /// For people.
    pub description: String,
    /// For people.
    pub license: Option<String>,
    /// Runtimes that it says it is for.
    pub runtimes: Vec<String>,
    /// Architectures that it says it is for.
    pub architectures: Vec<String>,
}

impl Writer {
    pub(in crate::catalog) fn publish_layer_version(
        &mut self,
        new: NewLayerVersion,
    ) -> Result<Arc<LayerVersion>, ChangeError> {
        let NewLayerVersion { key, package, description, license, runtimes, architectures } = new;
        let mut layer = self.shared.index().layer(&key).map(|layer| Layer::clone(layer)).unwrap_or_default();
        layer.last_published += 1;
        let version = Arc::new(LayerVersion {
            number: layer.last_published,
            package: package.reference(),
            description,
            license,
            runtimes,
            architectures,
            created: self.now(),
            hold: Some(Arc::clone(&package)),
        });
        package.keep(true);
        self.store.add_layer_version(&key, &version)?;
        layer.versions.insert(version.number, Arc::clone(&version));
        self.shared.index_mut().put_layer(&key, Arc::new(layer));
        Ok(version)
    }

    /// Deleting what is not there is no error, as in AWS.
    pub(in crate::catalog) fn delete_layer_version(
        &mut self,
        key: &LayerKey,
        number: u32,
    ) -> Result<(), ChangeError> {
        let Some(mut layer) = self.shared.index().layer(key).map(|layer| Layer::clone(layer)) else {
            return Ok(());
        };
        let Some(version) = layer.versions.remove(&number) else { return Ok(()) };
        self.store.delete_layer_version(key, number)?;
        self.shared.index_mut().put_layer(key, Arc::new(layer));
        self.release(vec![version.package.sha256]);
        Ok(())
    }
}

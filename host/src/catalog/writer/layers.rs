//! Changes of layers.

use std::collections::HashSet;
use std::sync::Arc;

use uuid::Uuid;

use super::{ChangeError, Writer, check_revision};
use crate::catalog::layer::{Layer, LayerKey, LayerVersion};
use crate::catalog::package::Package;
use crate::catalog::policy::{LayerPolicy, Statement};

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
            policy: None,
            hold: Some(Arc::clone(&package)),
        });
        package.keep(true);
        self.store.add_layer_version(&key, &version)?;
        layer.versions.insert(version.number, Arc::clone(&version));
        self.shared.index_mut().put_layer(&key, Arc::new(layer));
        Ok(version)
    }

    /// Changes who may use a version; answers the new revision of that. A policy without statements is none.
    pub(in crate::catalog) fn edit_layer_policy<E: From<ChangeError>>(
        &mut self,
        key: &LayerKey,
        number: u32,
        revision: Option<&str>,
        edit: impl FnOnce(&mut Vec<Statement>) -> Result<(), E>,
    ) -> Result<String, E> {
        let layer = self.shared.index().layer(key).cloned().ok_or(ChangeError::LayerVersionNotFound)?;
        let version = layer.versions.get(&number).ok_or(ChangeError::LayerVersionNotFound)?;
        let present = version.policy.clone();
        let latest = present.as_ref().map_or("", |policy| policy.revision_id.as_str());
        check_revision(latest, revision)?;
        let mut statements = present.map(|policy| policy.statements).unwrap_or_default();
        edit(&mut statements)?;
        let revision_id = Uuid::new_v4().to_string();
        let policy = LayerPolicy { revision_id: revision_id.clone(), statements };
        let policy = Some(policy).filter(|policy| !policy.statements.is_empty());
        let version = Arc::new(LayerVersion { policy, ..LayerVersion::clone(version) });
        self.store.update_layer_version(key, &version).map_err(ChangeError::from)?;
        let mut layer = Layer::clone(&layer);
        layer.versions.insert(number, version);
        self.shared.index_mut().put_layer(key, Arc::new(layer));
        Ok(revision_id)
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
        self.release(HashSet::from([version.package.sha256]));
        Ok(())
    }
}

//! Changes of what accounts have besides functions and layers.

use std::sync::Arc;

use super::{ChangeError, Writer};
use crate::catalog::resource::{Place, Resource};

impl Writer {
    pub(in crate::catalog) fn put_resource<R: Resource>(
        &mut self,
        place: &Place,
        resource: R,
    ) -> Result<Arc<R>, ChangeError> {
        self.store.put_resource(place, &resource)?;
        let resource = Arc::new(resource);
        self.shared.index_mut().put_resource(place, Arc::clone(&resource));
        self.shared.resources_changed.send_replace(());
        Ok(resource)
    }

    /// Changes a value; nothing happens if there is none with this id.
    pub(in crate::catalog) fn edit_resource<R: Resource>(
        &mut self,
        place: &Place,
        id: &str,
        edit: impl FnOnce(&mut R),
    ) -> Result<Option<Arc<R>>, ChangeError> {
        let Some(present) = self.shared.index().resource::<R>(place, id).cloned() else { return Ok(None) };
        let mut resource = R::clone(&present);
        edit(&mut resource);
        self.put_resource(place, resource).map(Some)
    }

    /// Removes a value and answers it; nothing happens if there is none with this id.
    pub(in crate::catalog) fn delete_resource<R: Resource>(
        &mut self,
        place: &Place,
        id: &str,
    ) -> Result<Option<Arc<R>>, ChangeError> {
        self.store.delete_resource::<R>(place, id)?;
        let removed = self.shared.index_mut().remove_resource(place, id);
        self.shared.resources_changed.send_replace(());
        Ok(removed)
    }
}

//! Changes of function URLs.

use std::sync::Arc;

use uuid::Uuid;

use super::{ChangeError, Writer};
use crate::catalog::function::{Function, FunctionKey};
use crate::catalog::url::{FunctionUrl, UrlSettings};

/// The name under which the function itself has its URL.
const LATEST: &str = "$LATEST";

impl Writer {
    pub(in crate::catalog) fn create_url(
        &mut self,
        key: &FunctionKey,
        qualifier: String,
        settings: UrlSettings,
    ) -> Result<Arc<FunctionUrl>, ChangeError> {
        let old = self.find(key)?;
        if old.urls.contains_key(&qualifier) {
            return Err(ChangeError::UrlExists);
        }
        if qualifier != LATEST && !old.aliases.contains_key(&qualifier) {
            return Err(ChangeError::AliasNotFound);
        }
        let now = self.now();
        let id = Uuid::new_v4().simple().to_string();
        self.put_url(&old, qualifier, FunctionUrl { id, settings, created: now, last_modified: now })
    }

    pub(in crate::catalog) fn update_url(
        &mut self,
        key: &FunctionKey,
        qualifier: &str,
        edit: impl FnOnce(&mut UrlSettings),
    ) -> Result<Arc<FunctionUrl>, ChangeError> {
        let old = self.find(key)?;
        let present = old.urls.get(qualifier).ok_or(ChangeError::UrlNotFound)?;
        let mut url = FunctionUrl { last_modified: self.now(), ..FunctionUrl::clone(present) };
        edit(&mut url.settings);
        self.put_url(&old, qualifier.to_owned(), url)
    }

    pub(in crate::catalog) fn delete_url(
        &mut self,
        key: &FunctionKey,
        qualifier: &str,
    ) -> Result<(), ChangeError> {
        let old = self.find(key)?;
        let mut function = Function::clone(&old);
        function.urls.remove(qualifier).ok_or(ChangeError::UrlNotFound)?;
        self.put(Some(&old), function)?;
        Ok(())
    }

    fn put_url(
        &mut self,
        old: &Function,
        qualifier: String,
        url: FunctionUrl,
    ) -> Result<Arc<FunctionUrl>, ChangeError> {
        let url = Arc::new(url);
        let mut function = Function::clone(old);
        function.urls.insert(qualifier, Arc::clone(&url));
        self.put(Some(old), function)?;
        Ok(url)
    }
}

//! Changes of provisioned concurrency.

use std::sync::Arc;

use super::{ChangeError, Writer};
use crate::catalog::function::{Function, FunctionKey, VersionName};
use crate::catalog::provisioned::Provisioned;

impl Writer {
    pub(in crate::catalog) fn provision(
        &mut self,
        key: &FunctionKey,
        qualifier: String,
        requested: u32,
    ) -> Result<Arc<Provisioned>, ChangeError> {
        let old = self.find(key)?;
        if old.qualified(&qualifier).is_none_or(|version| version.name == VersionName::Latest) {
            return Err(ChangeError::VersionNotFound);
        }
        let provisioned = Arc::new(Provisioned { requested, last_modified: self.now() });
        let mut function = Function::clone(&old);
        function.provisioned.insert(qualifier, Arc::clone(&provisioned));
        self.put(Some(&old), function)?;
        Ok(provisioned)
    }

    /// Ending what is not there is no error, as in AWS.
    pub(in crate::catalog) fn unprovision(
        &mut self,
        key: &FunctionKey,
        qualifier: &str,
    ) -> Result<(), ChangeError> {
        let old = self.find(key)?;
        let mut function = Function::clone(&old);
        if function.provisioned.remove(qualifier).is_some() {
            self.put(Some(&old), function)?;
        }
        Ok(())
    }
}

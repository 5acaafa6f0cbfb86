//! Changes of what is set for versions and aliases.

use std::sync::Arc;

use super::{ChangeError, Writer};
use crate::catalog::function::{Function, FunctionKey, VersionName};
use crate::catalog::qualified::Qualified;

impl Writer {
    /// Changes what is set for a qualifier that exists.
    pub(in crate::catalog) fn qualify<R, E: From<ChangeError>>(
        &mut self,
        key: &FunctionKey,
        qualifier: &str,
        edit: impl FnOnce(&mut Qualified) -> Result<R, E>,
    ) -> Result<R, E> {
        let old = self.find(key)?;
        check_qualifier(&old, qualifier)?;
        let mut function = Function::clone(&old);
        let edited = edit_qualified(&mut function, qualifier, edit)?;
        self.put(Some(&old), function)?;
        Ok(edited)
    }
}

fn check_qualifier(function: &Function, qualifier: &str) -> Result<(), ChangeError> {
    match qualifier.parse::<VersionName>() {
        _ if function.has(qualifier) => Ok(()),
        Ok(_) => Err(ChangeError::VersionNotFound),
        Err(_) => Err(ChangeError::AliasNotFound),
    }
}

/// What is empty after the change is not kept.
fn edit_qualified<R, E>(
    function: &mut Function,
    qualifier: &str,
    edit: impl FnOnce(&mut Qualified) -> Result<R, E>,
) -> Result<R, E> {
    let present = function.qualified.get(qualifier);
    let mut qualified = present.map(|present| Qualified::clone(present)).unwrap_or_default();
    let edited = edit(&mut qualified)?;
    if qualified == Qualified::default() {
        function.qualified.remove(qualifier);
    } else {
        function.qualified.insert(qualifier.to_owned(), Arc::new(qualified));
    }
    Ok(edited)
}

//! Changes of what is set for versions and aliases.

use std::sync::Arc;

use uuid::Uuid;

use super::{ChangeError, Writer, check_revision};
use crate::catalog::alias::Alias;
use crate::catalog::function::{Function, FunctionKey, Version, VersionName};
use crate::catalog::policy::Statement;
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

    /// Changes who may use a version or an alias, whose revision this changes, too.
    pub(in crate::catalog) fn edit_policy<R, E: From<ChangeError>>(
        &mut self,
        key: &FunctionKey,
        qualifier: &str,
        expected: Option<&str>,
        edit: impl FnOnce(&mut Vec<Statement>) -> Result<R, E>,
    ) -> Result<R, E> {
        let old = self.find(key)?;
        check_qualifier(&old, qualifier)?;
        check_revision(revision(&old, qualifier), expected)?;
        let mut function = Function::clone(&old);
        let edited = edit_qualified(&mut function, qualifier, |qualified| edit(&mut qualified.policy))?;
        revise(&mut function, qualifier);
        self.put(Some(&old), function)?;
        Ok(edited)
    }
}

/// An alias or a version under another revision. One whose deploy is under way gets another one at the end of that.
fn revise(function: &mut Function, qualifier: &str) {
    let revision_id = Uuid::new_v4().to_string();
    if let Some(alias) = function.aliases.get_mut(qualifier) {
        *alias = Arc::new(Alias { revision_id, ..Alias::clone(alias) });
    } else if let Some(version) = function.qualified(qualifier).filter(|it| !it.status.is_in_progress()) {
        function.put_version(Arc::new(Version { revision_id, ..Version::clone(version) }));
    }
}

fn revision<'a>(function: &'a Function, qualifier: &str) -> &'a str {
    let alias = function.aliases.get(qualifier).map(|alias| &alias.revision_id);
    alias.or_else(|| Some(&function.qualified(qualifier)?.revision_id)).map_or("", String::as_str)
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

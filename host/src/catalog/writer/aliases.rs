//! Changes of aliases.

use std::sync::Arc;

use uuid::Uuid;

use super::{ChangeError, Writer, check_revision};
use crate::catalog::alias::{Alias, Route};
use crate::catalog::function::{Function, FunctionKey, VersionName};

/// What is to become of an alias; `None` leaves a part as it is.
#[derive(Clone, Debug, Default)]
pub struct AliasChange {
    /// Where invocations go.
    pub version: Option<VersionName>,
    /// Whether another version is given a share of them.
    pub routing: RoutingChange,
    /// For people.
    pub description: Option<String>,
}

/// What is to become of the share of another version.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum RoutingChange {
    /// It stays as it is.
    #[default]
    Keep,
    /// There is none any more.
    Remove,
    /// It is this.
    Set(Route),
}

impl RoutingChange {
    /// The share after the change.
    pub fn apply(self, present: Option<Route>) -> Option<Route> {
        match self {
            Self::Keep => present,
            Self::Remove => None,
            Self::Set(route) => Some(route),
        }
    }
}

impl Writer {
    pub(in crate::catalog) fn create_alias(
        &mut self,
        key: &FunctionKey,
        alias: Alias,
    ) -> Result<Arc<Alias>, ChangeError> {
        let old = self.find(key)?;
        if old.aliases.contains_key(&alias.name) {
            return Err(ChangeError::AliasExists);
        }
        self.put_alias(&old, alias)
    }

    pub(in crate::catalog) fn update_alias(
        &mut self,
        key: &FunctionKey,
        name: &str,
        revision: Option<&str>,
        change: AliasChange,
    ) -> Result<Arc<Alias>, ChangeError> {
        let old = self.find(key)?;
        let present = old.aliases.get(name).ok_or(ChangeError::AliasNotFound)?;
        check_revision(&present.revision_id, revision)?;
        let alias = Alias {
            name: present.name.clone(),
            version: change.version.unwrap_or(present.version),
            routing: change.routing.apply(present.routing),
            description: change.description.unwrap_or_else(|| present.description.clone()),
            revision_id: Uuid::new_v4().to_string(),
        };
        self.put_alias(&old, alias)
    }

    /// Deleting what is not there is no error, as in AWS.
    pub(in crate::catalog) fn delete_alias(
        &mut self,
        key: &FunctionKey,
        name: &str,
    ) -> Result<(), ChangeError> {
        let old = self.find(key)?;
        let mut function = Function::clone(&old);
        if function.aliases.remove(name).is_some() {
            function.qualified.remove(name);
            function.provisioned.remove(name);
            function.urls.remove(name);
            self.put(Some(&old), function)?;
        }
        Ok(())
    }

    fn put_alias(&mut self, old: &Function, alias: Alias) -> Result<Arc<Alias>, ChangeError> {
        let other = alias.routing.map(|route| route.version);
        let exists = |name| old.version(name).is_some();
        if !exists(alias.version) || !other.is_none_or(exists) {
            return Err(ChangeError::VersionNotFound);
        }
        let alias = Arc::new(alias);
        let mut function = Function::clone(old);
        function.aliases.insert(alias.name.clone(), Arc::clone(&alias));
        self.put(Some(old), function)?;
        Ok(alias)
    }
}

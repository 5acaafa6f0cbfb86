//! Changes of functions and versions.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ChangeError, Writer, check_revision};
use crate::catalog::function::{Function, FunctionConfig, FunctionKey, State, Status, Version, VersionName};
use crate::catalog::index::uses;
use crate::catalog::package::Package;
use crate::catalog::qualified::FunctionSettings;

/// What to create.
#[derive(Debug)]
pub struct NewFunction {
    /// Its name.
    pub key: FunctionKey,
    /// Its settings.
    pub config: FunctionConfig,
    /// Its labels.
    pub tags: BTreeMap<String, String>,
    /// What is set for all of it.
    pub settings: FunctionSettings,
    /// Whether version 1 is published at once.
    pub publish: bool,
    /// Holds its code until it is stored.
    pub packages: Vec<Arc<Package>>,
}

impl Writer {
    pub(in crate::catalog) fn create(&mut self, new: NewFunction) -> Result<Arc<Function>, ChangeError> {
        let NewFunction { key, config, tags, settings, publish, packages: _held } = new;
        if self.find(&key).is_ok() {
            return Err(ChangeError::FunctionExists);
        }
        let latest = Arc::new(self.version(VersionName::Latest, Arc::new(config), Status::Creating)?);
        let mut function = Function {
            key,
            latest,
            versions: BTreeMap::new(),
            aliases: BTreeMap::new(),
            last_published: 0,
            reserved_concurrency: None,
            provisioned: BTreeMap::new(),
            urls: BTreeMap::new(),
            tags,
            qualified: BTreeMap::new(),
            settings,
        };
        if publish && let Some(version) = self.next_version(&function, None)? {
            function.put_version(Arc::new(version));
        }
        self.put(None, function)
    }

    /// Changes `$LATEST`; `edit` makes the new settings from the present ones. Somebody must hold their code.
    pub(in crate::catalog) fn update<E: From<ChangeError>>(
        &mut self,
        key: &FunctionKey,
        revision: Option<&str>,
        publish: bool,
        edit: impl FnOnce(&Function) -> Result<FunctionConfig, E>,
    ) -> Result<Arc<Function>, E> {
        let old = self.find(key)?;
        check_revision(&old.latest.revision_id, revision)?;
        let config = edit(&old)?;
        let status = match &old.latest.status {
            Status::Creating => return Err(ChangeError::NotActive(State::Pending).into()),
            Status::Updating { .. } => return Err(ChangeError::UpdateInProgress.into()),
            Status::CreationFailed { .. } => Status::Creating,
            Status::Active => Status::Updating { serving: Arc::clone(&old.latest.config) },
            Status::UpdateFailed { serving, .. } => Status::Updating { serving: Arc::clone(serving) },
        };
        let mut latest = self.version(VersionName::Latest, Arc::new(config), status)?;
        latest.target.clone_from(&old.latest.target);
        let mut function = Function::clone(&old);
        function.latest = Arc::new(latest);
        if publish && let Some(version) = self.next_version(&function, None)? {
            function.put_version(Arc::new(version));
        }
        Ok(self.put(Some(&old), function)?)
    }

    /// Publishes `$LATEST`, unless nothing has changed since it was last published. Answers the version. What
    /// `$LATEST` runs can be run as a version at once.
    pub(in crate::catalog) fn publish(
        &mut self,
        key: &FunctionKey,
        revision: Option<&str>,
        code_sha256: Option<&str>,
        description: Option<String>,
    ) -> Result<(Arc<Function>, Arc<Version>), ChangeError> {
        let old = self.find(key)?;
        check_revision(&old.latest.revision_id, revision)?;
        if let (Some(expected), Some(code)) = (code_sha256, old.latest.config.packages().first())
            && expected != code.sha256.base64()
        {
            return Err(ChangeError::CodeMismatch { given: expected.to_owned(), present: code.sha256 });
        }
        match old.latest.status.state() {
            State::Active => {}
            state @ (State::Pending | State::Failed) => return Err(ChangeError::NotActive(state)),
        }
        if old.latest.status.is_in_progress() {
            return Err(ChangeError::UpdateInProgress);
        }
        let Some(mut version) = self.next_version(&old, description)? else {
            let newest = old.versions.values().next_back().cloned().ok_or(ChangeError::VersionNotFound)?;
            return Ok((old, newest));
        };
        if old.latest.status == Status::Active {
            self.activate(&old, &mut version);
        }
        let version = Arc::new(version);
        let mut function = Function::clone(&old);
        function.put_version(Arc::clone(&version));
        Ok((self.put(Some(&old), function)?, version))
    }

    /// Deletes a function with all its versions.
    pub(in crate::catalog) fn delete(&mut self, key: &FunctionKey) -> Result<(), ChangeError> {
        let old = self.find(key)?;
        self.store.delete_function(key)?;
        for version in old.all_versions() {
            self.retire(key, version);
        }
        self.shared.index_mut().remove_function(key);
        self.release(old.all_versions().flat_map(|version| uses(version)).collect());
        Ok(())
    }

    /// Deletes one published version.
    pub(in crate::catalog) fn delete_version(
        &mut self,
        key: &FunctionKey,
        number: u32,
    ) -> Result<(), ChangeError> {
        let old = self.find(key)?;
        let name = VersionName::Number(number);
        if let Some(alias) = old.aliases.values().find(|alias| alias.refers_to(name)) {
            return Err(ChangeError::VersionInUse(alias.name.clone()));
        }
        let mut function = Function::clone(&old);
        // Deleting what is not there is no error, as in AWS.
        let Some(version) = function.versions.remove(&number) else { return Ok(()) };
        function.qualified.remove(&name.to_string());
        function.provisioned.remove(&number.to_string());
        self.put(Some(&old), function)?;
        self.retire(key, &version);
        Ok(())
    }

    /// Sets or removes the reserved concurrency.
    pub(in crate::catalog) fn reserve(
        &mut self,
        key: &FunctionKey,
        reserved: Option<u32>,
    ) -> Result<(), ChangeError> {
        let old = self.find(key)?;
        let function = Function { reserved_concurrency: reserved, ..Function::clone(&old) };
        self.put(Some(&old), function)?;
        Ok(())
    }

    /// Changes what is set for all of it.
    pub(in crate::catalog) fn set(
        &mut self,
        key: &FunctionKey,
        edit: impl FnOnce(&mut FunctionSettings),
    ) -> Result<(), ChangeError> {
        let old = self.find(key)?;
        let mut function = Function::clone(&old);
        edit(&mut function.settings);
        self.put(Some(&old), function)?;
        Ok(())
    }

    /// Changes the tags.
    pub(in crate::catalog) fn tag(
        &mut self,
        key: &FunctionKey,
        edit: impl FnOnce(&mut BTreeMap<String, String>),
    ) -> Result<(), ChangeError> {
        let old = self.find(key)?;
        let mut function = Function::clone(&old);
        edit(&mut function.tags);
        let function = self.put(Some(&old), function)?;
        self.refresh_targets(Function::clone(&function));
        Ok(())
    }
}

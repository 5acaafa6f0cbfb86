//! The catalog in memory: what every look-up reads.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::digest::Digest;
use super::function::{Function, FunctionKey, Version, VersionName};
use super::layer::{Layer, LayerKey, LayerVersion};
use super::resource::{Place, Resource, Resources};
use super::target::{FunctionRef, ResolveError, Target};
use super::url::FunctionUrl;

/// Every function and layer, by account, region and name. Maps within maps, because they can be searched with
/// borrowed names.
#[derive(Debug, Default)]
pub(super) struct Index {
    accounts: HashMap<Arc<str>, HashMap<Arc<str>, Region>>,
    /// The function and the alias of each URL, by its id.
    urls: HashMap<String, (FunctionKey, String)>,
}

#[derive(Debug, Default)]
struct Region {
    functions: HashMap<Arc<str>, Arc<Function>>,
    layers: BTreeMap<String, Arc<Layer>>,
    resources: Resources,
}

impl Index {
    /// Finds what an invocation is for. `draw` decides where an alias has two versions.
    pub(super) fn resolve(
        &self,
        reference: &FunctionRef<'_>,
        draw: u32,
    ) -> Result<Arc<Target>, ResolveError> {
        let FunctionRef { account, region, name, qualifier } = *reference;
        let function = self.function(account, region, name).ok_or(ResolveError::NotFound)?;
        let version = choose(function, qualifier, draw).ok_or(ResolveError::NotFound)?;
        match &version.target {
            Some(target) => Ok(Arc::clone(target)),
            None => Err(ResolveError::NotActive(version.status.state())),
        }
    }

    /// A function by name.
    pub(super) fn function(&self, account: &str, region: &str, name: &str) -> Option<&Arc<Function>> {
        self.region(account, region)?.functions.get(name)
    }

    /// The functions of one account and region, by name.
    pub(super) fn functions(&self, account: &str, region: &str) -> Vec<Arc<Function>> {
        let mut functions: Vec<_> = self
            .region(account, region)
            .into_iter()
            .flat_map(|region| region.functions.values().cloned())
            .collect();
        functions.sort_unstable_by(|a, b| a.key.name.cmp(&b.key.name));
        functions
    }

    /// Every function, in no order.
    pub(super) fn all_functions(&self) -> impl Iterator<Item = &Arc<Function>> {
        self.accounts.values().flat_map(HashMap::values).flat_map(|region| region.functions.values())
    }

    /// Puts a function in the place of the one with its name.
    pub(super) fn put_function(&mut self, function: Arc<Function>) {
        let FunctionKey { account, region, name } = function.key.clone();
        let named = function
            .urls
            .iter()
            .map(|(qualifier, url)| (url.id.clone(), (function.key.clone(), qualifier.clone())));
        let named: Vec<_> = named.collect();
        let region = self.accounts.entry(account).or_default().entry(region).or_default();
        let former = region.functions.insert(name, function);
        self.forget_urls(former.as_deref());
        self.urls.extend(named);
    }

    /// Takes a function out.
    pub(super) fn remove_function(&mut self, key: &FunctionKey) {
        if let Some(region) =
            self.accounts.get_mut(&key.account).and_then(|regions| regions.get_mut(&key.region))
        {
            let former = region.functions.remove(&key.name);
            self.forget_urls(former.as_deref());
        }
    }

    /// A URL by its id, with its function and the alias that it is for.
    pub(super) fn url(&self, id: &str) -> Option<(Arc<Function>, String, Arc<FunctionUrl>)> {
        let (FunctionKey { account, region, name }, qualifier) = self.urls.get(id)?;
        let function = self.function(account, region, name)?;
        Some((Arc::clone(function), qualifier.clone(), Arc::clone(function.urls.get(qualifier)?)))
    }

    fn forget_urls(&mut self, former: Option<&Function>) {
        for url in former.into_iter().flat_map(|function| function.urls.values()) {
            self.urls.remove(&url.id);
        }
    }

    /// A layer by name.
    pub(super) fn layer(&self, key: &LayerKey) -> Option<&Arc<Layer>> {
        self.region(&key.account, &key.region)?.layers.get(&key.name)
    }

    /// The layers of one account and region that have a version, by name.
    pub(super) fn layers(&self, account: &str, region: &str) -> Vec<(String, Arc<LayerVersion>)> {
        let layers = self.region(account, region).into_iter().flat_map(|region| &region.layers);
        layers
            .filter_map(|(name, layer)| {
                Some((name.clone(), Arc::clone(layer.versions.values().next_back()?)))
            })
            .collect()
    }

    /// Puts a layer in the place of the one with its name.
    pub(super) fn put_layer(&mut self, key: &LayerKey, layer: Arc<Layer>) {
        let account = self.accounts.entry(key.account.as_str().into()).or_default();
        let region = account.entry(key.region.as_str().into()).or_default();
        region.layers.insert(key.name.clone(), layer);
    }

    /// One value of a kind.
    pub(super) fn resource<R: Resource>(&self, place: &Place, id: &str) -> Option<&Arc<R>> {
        R::all(&self.region(&place.account, &place.region)?.resources).get(id)
    }

    /// All values of a kind in one account and region, by id.
    pub(super) fn resources<R: Resource>(&self, place: &Place) -> Vec<Arc<R>> {
        let region = self.region(&place.account, &place.region).into_iter();
        region.flat_map(|region| R::all(&region.resources).values().cloned()).collect()
    }

    /// All values of a kind, in no order.
    pub(super) fn all_resources<R: Resource>(&self) -> Vec<(Place, Arc<R>)> {
        let mut found = Vec::new();
        for (account, regions) in &self.accounts {
            for (region, content) in regions {
                let place = Place { account: account.to_string(), region: region.to_string() };
                found.extend(R::all(&content.resources).values().map(|one| (place.clone(), Arc::clone(one))));
            }
        }
        found
    }

    /// Puts a value in the place of the one with its id.
    pub(super) fn put_resource<R: Resource>(&mut self, place: &Place, resource: Arc<R>) {
        let account = self.accounts.entry(place.account.as_str().into()).or_default();
        let region = account.entry(place.region.as_str().into()).or_default();
        R::all_mut(&mut region.resources).insert(resource.id().to_owned(), resource);
    }

    /// Takes a value out.
    pub(super) fn remove_resource<R: Resource>(&mut self, place: &Place, id: &str) -> Option<Arc<R>> {
        let region = self.accounts.get_mut(place.account.as_str())?.get_mut(place.region.as_str())?;
        R::all_mut(&mut region.resources).remove(id)
    }

    /// Whether any function or layer needs this package.
    pub(super) fn refers_to(&self, sha256: Digest) -> bool {
        let is_used = |version: &Version| uses(version).any(|used| used == sha256);
        let by_function = |function: &Arc<Function>| function.all_versions().any(|version| is_used(version));
        let mut layers =
            self.accounts.values().flat_map(HashMap::values).flat_map(|region| region.layers.values());
        self.all_functions().any(by_function)
            || layers.any(|layer| layer.versions.values().any(|version| version.package.sha256 == sha256))
    }

    fn region(&self, account: &str, region: &str) -> Option<&Region> {
        self.accounts.get(account)?.get(region)
    }
}

/// The packages of a version's settings and of those that serve meanwhile.
pub(super) fn uses(version: &Version) -> impl Iterator<Item = Digest> {
    let configured = version.config.packages();
    let serving = version.status.serving(&version.config).map(|serving| serving.packages());
    configured.into_iter().chain(serving.into_iter().flatten()).map(|package| package.sha256)
}

fn choose<'a>(function: &'a Function, qualifier: Option<&str>, draw: u32) -> Option<&'a Arc<Version>> {
    let Some(qualifier) = qualifier else { return Some(&function.latest) };
    match qualifier.parse::<VersionName>() {
        Ok(name) => function.version(name),
        Err(_) => function.version(function.aliases.get(qualifier)?.choose(draw)),
    }
}

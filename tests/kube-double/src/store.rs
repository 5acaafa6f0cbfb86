//! The objects, one counter of versions for all of them, and what happened so far. Pure: no clock, no waiting.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::resource::Resource;

/// The version of an empty store. Not 1: a version that a client makes up is mostly too old.
const FIRST_REVISION: u64 = 1000;
/// How many changes are remembered unless somebody asks to forget them.
const LONGEST_HISTORY: usize = 20_000;

/// Names one object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) resource: &'static Resource,
    /// Empty for objects of the cluster.
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// One step of history.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) revision: u64,
    pub(crate) key: Key,
    /// The object before it; nothing if it was made.
    pub(crate) before: Option<Arc<Value>>,
    /// The object as this step leaves it, or as it was when it went.
    pub(crate) object: Arc<Value>,
    pub(crate) is_removal: bool,
}

/// The history does not go back that far.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Forgotten {
    /// The oldest version that is known.
    pub(crate) oldest: u64,
}

#[derive(Debug)]
pub(crate) struct Store {
    revision: u64,
    objects: BTreeMap<Key, Arc<Value>>,
    history: VecDeque<Change>,
    /// Versions below this one are forgotten.
    oldest: u64,
}

impl Key {
    pub(crate) fn new(resource: &'static Resource, namespace: &str, name: &str) -> Self {
        let namespace = if resource.namespaced { namespace } else { "" };
        Self { resource, namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

impl Store {
    pub(crate) fn new() -> Self {
        Self {
            revision: FIRST_REVISION,
            objects: BTreeMap::new(),
            history: VecDeque::new(),
            oldest: FIRST_REVISION,
        }
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Arc<Value>> {
        self.objects.get(key)
    }

    /// Objects of one kind by name; of all namespaces if none is named.
    pub(crate) fn list(
        &self,
        resource: &'static Resource,
        namespace: Option<&str>,
    ) -> impl Iterator<Item = (&Key, &Arc<Value>)> {
        let of_kind = self.objects.range(Key::new(resource, namespace.unwrap_or(""), "")..);
        of_kind
            .take_while(move |(key, _)| key.resource == resource)
            .filter(move |(key, _)| namespace.is_none_or(|namespace| key.namespace == namespace))
    }

    pub(crate) fn everything(&self) -> impl Iterator<Item = (&Key, &Arc<Value>)> {
        self.objects.iter()
    }

    /// Writes an object. A write that changes nothing is no event and leaves the version as it is.
    pub(crate) fn put(&mut self, key: Key, mut object: Value) -> Arc<Value> {
        let before = self.objects.get(&key).cloned();
        if let Some(before) = &before {
            object["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"].clone();
            if object == **before {
                return Arc::clone(before);
            }
        }
        let object = self.stamp(object);
        self.objects.insert(key.clone(), Arc::clone(&object));
        self.remember(key, before, &object, false);
        object
    }

    /// Takes an object away. The last sight of it has a version of its own.
    pub(crate) fn remove(&mut self, key: &Key) -> Option<Arc<Value>> {
        let before = self.objects.remove(key)?;
        let last = self.stamp((*before).clone());
        self.remember(key.clone(), Some(before), &last, true);
        Some(last)
    }

    fn stamp(&mut self, mut object: Value) -> Arc<Value> {
        self.revision += 1;
        object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        Arc::new(object)
    }

    fn remember(&mut self, key: Key, before: Option<Arc<Value>>, object: &Arc<Value>, is_removal: bool) {
        let change = Change { revision: self.revision, key, before, object: Arc::clone(object), is_removal };
        self.history.push_back(change);
        if self.history.len() > LONGEST_HISTORY
            && let Some(first) = self.history.pop_front()
        {
            self.oldest = first.revision;
        }
    }

    /// Forgets what was, as etcd does every few minutes.
    pub(crate) fn compact(&mut self) {
        self.history.clear();
        self.oldest = self.revision;
    }

    /// What happened after this version.
    pub(crate) fn since(&self, revision: u64) -> Result<impl Iterator<Item = &Change>, Forgotten> {
        if revision < self.oldest {
            return Err(Forgotten { oldest: self.oldest });
        }
        let known = self.history.partition_point(|change| change.revision <= revision);
        Ok(self.history.range(known..))
    }

    /// The objects of one kind as they were at this version.
    pub(crate) fn list_at(
        &self,
        resource: &'static Resource,
        namespace: Option<&str>,
        revision: u64,
    ) -> Result<BTreeMap<Key, Arc<Value>>, Forgotten> {
        let concerns = |key: &Key| {
            key.resource == resource && namespace.is_none_or(|namespace| key.namespace == namespace)
        };
        let now = self.list(resource, namespace);
        let mut then: BTreeMap<Key, Arc<Value>> =
            now.map(|(key, object)| (key.clone(), Arc::clone(object))).collect();
        let changes: Vec<&Change> = self.since(revision)?.collect();
        for change in changes.into_iter().rev().filter(|change| concerns(&change.key)) {
            match &change.before {
                Some(before) => then.insert(change.key.clone(), Arc::clone(before)),
                None => then.remove(&change.key),
            };
        }
        Ok(then)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::PODS;

    fn key(name: &str) -> Key {
        Key::new(&PODS, "lab", name)
    }

    fn pod(label: &str) -> Value {
        json!({"metadata": {"labels": {"pool": label}}})
    }

    #[test]
    fn a_write_that_changes_nothing_is_no_event() {
        let mut store = Store::new();
        let first = store.put(key("a"), pod("warm"));
        let again = store.put(key("a"), pod("warm"));
        assert_eq!(first, again);
        assert_eq!(store.since(FIRST_REVISION).unwrap().count(), 1);
    }

    #[test]
    fn a_removal_has_a_version_of_its_own() {
        let mut store = Store::new();
        store.put(key("a"), pod("warm"));
        let last = store.remove(&key("a")).unwrap();
        assert_eq!(last["metadata"]["resourceVersion"], "1002");
        assert!(store.get(&key("a")).is_none());
    }

    #[test]
    fn an_older_list_is_as_it_was() {
        let mut store = Store::new();
        store.put(key("a"), pod("warm"));
        store.put(key("b"), pod("warm"));
        let then = store.revision();
        store.remove(&key("a"));
        store.put(key("b"), pod("claimed"));
        store.put(key("c"), pod("warm"));
        let list = store.list_at(&PODS, Some("lab"), then).unwrap();
        let seen: Vec<_> =
            list.iter().map(|(key, pod)| (&*key.name, &pod["metadata"]["labels"]["pool"])).collect();
        assert_eq!(seen, [("a", &json!("warm")), ("b", &json!("warm"))]);
    }

    #[test]
    fn what_was_compacted_is_forgotten() {
        let mut store = Store::new();
        store.put(key("a"), pod("warm"));
        store.put(key("a"), pod("claimed"));
        store.compact();
        assert_eq!(store.since(1001).err(), Some(Forgotten { oldest: 1002 }));
        assert_eq!(store.since(1002).unwrap().count(), 0);
    }
}

//! What everything that this backend creates is labelled with.

use std::collections::HashMap;

use hearth_core::{HostInfo, LaunchSpec};

pub(crate) const OWNER: &str = "hearth.owner";
pub(crate) const EPOCH: &str = "hearth.epoch";
pub(crate) const FUNCTION: &str = "hearth.function";
pub(crate) const VERSION: &str = "hearth.version";
pub(crate) const DEPLOY: &str = "hearth.deploy";

/// Of a container that is never started, and that goes as soon as it has served.
pub(crate) const HELPER: &str = "hearth.helper";

/// Those that say whose it is.
pub(crate) fn of_host(host: &HostInfo) -> HashMap<String, String> {
    [(OWNER, &host.owner), (EPOCH, &host.epoch)].map(|(name, value)| (name.to_owned(), value.clone())).into()
}

/// Those of a container that is never started.
pub(crate) fn of_helper(host: &HostInfo) -> HashMap<String, String> {
    of_host(host).into_iter().chain([(HELPER.to_owned(), "true".to_owned())]).collect()
}

/// Those of an instance's container.
pub(crate) fn of_instance(host: &HostInfo, spec: &LaunchSpec) -> HashMap<String, String> {
    let own = [(FUNCTION, &spec.function), (VERSION, &spec.version), (DEPLOY, &spec.deploy_id)];
    let own = own.map(|(name, value)| (name.to_owned(), value.clone()));
    of_host(host).into_iter().chain(own).collect()
}

/// What selects all that carry this label with this value, in the engine's own form.
pub(crate) fn filter(name: &str, value: &str) -> HashMap<String, Vec<String>> {
    [("label".to_owned(), vec![format!("{name}={value}")])].into()
}

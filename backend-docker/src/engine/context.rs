//! The docker CLI's contexts: named engines, of which one is the current one.

use std::fs;
use std::path::Path;

use hearth_artifacts::folder::name_of;
use hearth_core::{BackendError, Result};
use serde_json::Value;

use super::Address;
use crate::config::Places;

/// The engine of the current context; nothing if that is the default, which names none.
pub(super) fn current(places: &Places) -> Result<Option<Address>> {
    let Some(folder) = &places.docker_config else { return Ok(None) };
    let of_settings = || {
        read(&folder.join("config.json"))
            .and_then(|settings| Some(settings["currentContext"].as_str()?.to_owned()))
    };
    let Some(name) = places.docker_context.clone().or_else(of_settings).filter(|name| name != "default")
    else {
        return Ok(None);
    };
    let id = name_of([name.as_str()]);
    let file = folder.join("contexts/meta").join(&id).join("meta.json");
    let context = read(&file).unwrap_or_default();
    let endpoint = &context["Endpoints"]["docker"];
    let Some(host) = endpoint["Host"].as_str() else {
        return Err(BackendError::config(format!(
            "the docker CLI's current context is `{name}`, and {} does not say where its engine is; choose another one \
             with `docker context use`, or set DOCKER_HOST",
            file.display()
        )));
    };
    if endpoint["SkipTLSVerify"] == true {
        return Err(BackendError::config(format!(
            "the docker CLI's context `{name}` speaks to whatever answers at {host}, without a look at its certificate; \
             hearth does not: give the context the engine's `ca`, or choose another one with DOCKER_CONTEXT"
        )));
    }
    let certificates = folder.join("contexts/tls").join(&id).join("docker");
    let address = Address::named(host, format!("the docker CLI's context `{name}`"));
    Ok(Some(address.with_certificates(certificates.exists().then_some(certificates))))
}

fn read(file: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `docker context create lab --docker host=unix:///lab.sock` writes it.
    fn with_context(current: &str) -> (tempfile::TempDir, Places) {
        let folder = tempfile::tempdir().unwrap();
        let meta = folder.path().join("contexts/meta").join(name_of(["lab"]));
        fs::create_dir_all(&meta).unwrap();
        let context = r#"{"Name":"lab","Metadata":{},"Endpoints":{"docker":{"Host":"unix:///lab.sock","SkipTLSVerify":false}}}"#;
        fs::write(meta.join("meta.json"), context).unwrap();
        fs::write(folder.path().join("config.json"), format!(r#"{{"currentContext":"{current}"}}"#)).unwrap();
        let places = Places { docker_config: Some(folder.path().to_owned()), ..Places::default() };
        (folder, places)
    }

    #[test]
    fn the_current_context_names_the_engine() {
        let (_folder, places) = with_context("lab");
        let address = Address::named("unix:///lab.sock", "the docker CLI's context `lab`");
        assert_eq!(current(&places).unwrap(), Some(address));
        let (_folder, places) = with_context("default");
        assert_eq!(current(&places).unwrap(), None);
        assert_eq!(current(&Places::default()).unwrap(), None);
    }

    #[test]
    fn certificates_of_a_context_are_used_and_never_left_out() {
        let (folder, places) = with_context("lab");
        let certificates = folder.path().join("contexts/tls").join(name_of(["lab"])).join("docker");
        fs::create_dir_all(&certificates).unwrap();
        let address = Address::named("unix:///lab.sock", "the docker CLI's context `lab`");
        assert_eq!(current(&places).unwrap(), Some(address.with_certificates(Some(certificates))));

        let meta = folder.path().join("contexts/meta").join(name_of(["lab"])).join("meta.json");
        let trusting = r#"{"Endpoints":{"docker":{"Host":"tcp://lab:2376","SkipTLSVerify":true}}}"#;
        fs::write(meta, trusting).unwrap();
        let error = current(&places).unwrap_err().to_string();
        assert!(
            error.starts_with("the docker CLI's context `lab` speaks to whatever answers at tcp://lab:2376"),
            "{error}"
        );
    }

    #[test]
    fn the_variable_wins_and_a_context_that_is_not_there_is_an_error() {
        let (_folder, places) = with_context("lab");
        let places = Places { docker_context: Some("other".to_owned()), ..places };
        let error = current(&places).unwrap_err().to_string();
        assert!(error.starts_with("the docker CLI's current context is `other`, and "), "{error}");
    }
}

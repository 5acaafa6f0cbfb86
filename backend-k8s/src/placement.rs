//! Where, as whom and with whose emulator pods run: what the settings say for all of them, and tags for those of one
//! function.

use std::collections::BTreeMap;

use hearth_core::{BackendError, ErrorKind, Meta, Result};
use k8s_openapi::api::core::v1::Toleration;

use crate::config::Config;

/// What the names of tags begin with that are meant for this backend.
const TAG: &str = "tag.hearth.k8s.";
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// The part of a pod's specification that says so.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Placement {
    pub(crate) node_selector: BTreeMap<String, String>,
    pub(crate) tolerations: Vec<Toleration>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) service_account: Option<String>,
    pub(crate) pull_secrets: Vec<String>,
    pub(crate) priority_class: Option<String>,
    pub(crate) runtime_class: Option<String>,
    /// Where the image has Hearth's emulator, if it has.
    pub(crate) rie_in_image: Option<String>,
}

impl Placement {
    /// What the settings say.
    pub(crate) fn of(config: &Config) -> Result<Self> {
        let tolerations: Result<_, String> = config.tolerations.iter().map(|text| toleration(text)).collect();
        Ok(Self {
            node_selector: config.node_selector.clone(),
            tolerations: tolerations.map_err(|problem| {
                BackendError::config(format!("tolerations in [backends.k8s]: {problem}"))
            })?,
            annotations: config.annotations.clone(),
            service_account: config.service_account.clone(),
            pull_secrets: config.pull_secrets.clone(),
            priority_class: config.priority_class.clone(),
            runtime_class: config.runtime_class.clone(),
            rie_in_image: config.rie_in_image.clone(),
        })
    }

    /// The same, with what a function's tags say. Maps and lists are added to, the rest is replaced.
    pub(crate) fn with_tags(&self, meta: &Meta) -> Result<Self> {
        let mut placement = self.clone();
        for (name, value) in meta {
            let Some(name) = name.strip_prefix(TAG) else { continue };
            placement.add(name, value).map_err(|problem| {
                BackendError::new(ErrorKind::SPEC_REJECTED, format!("the tag hearth.k8s.{name}: {problem}"))
            })?;
        }
        Ok(placement)
    }

    fn add(&mut self, name: &str, value: &str) -> Result<(), String> {
        let one = || Some(value.to_owned());
        let words = || value.split_ascii_whitespace();
        match name {
            "node-selector" => {
                for word in words() {
                    let (key, value) = word
                        .split_once('=')
                        .ok_or_else(|| format!("`{word}` is not of the form key=value"))?;
                    self.node_selector.insert(key.to_owned(), value.to_owned());
                }
            }
            "tolerations" => {
                for word in words() {
                    self.tolerations.push(toleration(word)?);
                }
            }
            "service-account" => self.service_account = one(),
            "pull-secrets" => self.pull_secrets.extend(words().map(str::to_owned)),
            "priority-class" => self.priority_class = one(),
            "runtime-class" => self.runtime_class = one(),
            "rie-in-image" => self.rie_in_image = one(),
            _ => {
                let Some(annotation) = name.strip_prefix("annotation.") else {
                    return Err("there is no such setting; there are node-selector, tolerations, \
                                annotation.<name>, service-account, pull-secrets, priority-class, runtime-class and \
                                rie-in-image"
                        .to_owned());
                };
                self.annotations.insert(annotation.to_owned(), value.to_owned());
            }
        }
        Ok(())
    }
}

/// `key=value:NoSchedule`, `key:NoExecute`, `key=value` or `key`.
fn toleration(text: &str) -> Result<Toleration, String> {
    let (taint, effect) = match text.rsplit_once(':') {
        Some((taint, effect)) => (taint, Some(effect)),
        None => (text, None),
    };
    if let Some(unknown) = effect.filter(|effect| !EFFECTS.contains(effect)) {
        return Err(format!("`{text}` has the effect `{unknown}`: it can be {}", EFFECTS.join(", ")));
    }
    let (key, value) = match taint.split_once('=') {
        Some((key, value)) => (key, Some(value.to_owned())),
        None => (taint, None),
    };
    if key.is_empty() {
        return Err(format!("`{text}` names no taint"));
    }
    let operator = if value.is_some() { "Equal" } else { "Exists" };
    Ok(Toleration {
        key: Some(key.to_owned()),
        operator: Some(operator.to_owned()),
        value,
        effect: effect.map(str::to_owned),
        toleration_seconds: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_toleration_is_written_as_kubectl_writes_taints() {
        let shown = |text: &str| {
            toleration(text)
                .map(|it| [it.key, it.operator, it.value, it.effect].map(Option::unwrap_or_default).join(" "))
        };
        for (text, expected) in [
            ("gpu=yes:NoSchedule", "gpu Equal yes NoSchedule"),
            ("example.com/gpu:NoExecute", "example.com/gpu Exists  NoExecute"),
            ("gpu=yes", "gpu Equal yes "),
            ("gpu", "gpu Exists  "),
        ] {
            assert_eq!(shown(text).unwrap(), expected);
        }
        let problem = shown("gpu:Never").unwrap_err();
        assert!(problem.starts_with("`gpu:Never` has the effect `Never`"), "{problem}");
        assert_eq!(shown(":NoSchedule").unwrap_err(), "`:NoSchedule` names no taint");
    }

    #[test]
    fn tags_add_to_what_the_settings_say_or_replace_it() {
        let config = Config {
            node_selector: [("disk".to_owned(), "ssd".to_owned())].into(),
            pull_secrets: vec!["registry".to_owned()],
            runtime_class: Some("kata".to_owned()),
            ..Config::default()
        };
        let tag = |name: &str, value: &str| (format!("{TAG}{name}"), value.to_owned());
        let meta = Meta::from([
            tag("node-selector", "zone=a disk=hdd"),
            tag("tolerations", "gpu"),
            tag("annotation.example.com/owner", "me"),
            tag("pull-secrets", "mine"),
            tag("runtime-class", "gvisor"),
            ("tag.other".to_owned(), "other".to_owned()),
        ]);
        let placement = Placement::of(&config).unwrap().with_tags(&meta).unwrap();
        let own = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        assert_eq!(placement.node_selector, own(&[("disk", "hdd"), ("zone", "a")]));
        assert_eq!(placement.tolerations, [toleration("gpu").unwrap()]);
        assert_eq!(placement.annotations, own(&[("example.com/owner", "me")]));
        assert_eq!(placement.pull_secrets, ["registry", "mine"]);
        assert_eq!(placement.runtime_class.as_deref(), Some("gvisor"));
    }

    #[test]
    fn a_tag_that_means_nothing_is_refused_by_its_name() {
        for (name, value, expected) in [
            ("node", "a", "the tag hearth.k8s.node: there is no such setting; there are node-selector, "),
            ("node-selector", "a", "the tag hearth.k8s.node-selector: `a` is not of the form key=value"),
        ] {
            let meta = Meta::from([(format!("{TAG}{name}"), value.to_owned())]);
            let error = Placement::default().with_tags(&meta).unwrap_err();
            assert_eq!(error.kind, ErrorKind::SPEC_REJECTED);
            assert!(error.to_string().starts_with(expected), "{error}");
        }
    }
}

//! What everything that this backend creates is called and labelled with.
//!
//! The values of labels are short and have few characters, so that what does not fit is replaced by its digest there.
//! The whole value is in the annotation of the same name.

use std::collections::BTreeMap;

use hearth_artifacts::folder::name_of;
use hearth_core::{HostInfo, LaunchSpec};
use k8s_openapi::api::core::v1::Pod;

pub(crate) const OWNER: &str = "hearth.owner";
pub(crate) const EPOCH: &str = "hearth.epoch";
pub(crate) const FUNCTION: &str = "hearth.function";
pub(crate) const VERSION: &str = "hearth.version";
pub(crate) const DEPLOY: &str = "hearth.deploy";

/// The longest value that a label may have.
const LONGEST_VALUE: usize = 63;
/// How much of a function's name is in that of its pods, which is a host name of at most 63 characters.
const LONGEST_FUNCTION: usize = 23;
/// How long the part of a digest is that stands for a value.
const DIGEST: usize = 32;

/// The names and values that say what an instance is, whole.
pub(crate) fn of_instance(host: &HostInfo, spec: &LaunchSpec) -> BTreeMap<String, String> {
    let own = [
        (OWNER, &host.owner),
        (EPOCH, &host.epoch),
        (FUNCTION, &spec.function),
        (VERSION, &spec.version),
        (DEPLOY, &spec.deploy_id),
    ];
    own.map(|(name, value)| (name.to_owned(), value.clone())).into()
}

/// The same as labels.
pub(crate) fn as_labels(whole: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let by_hearth = ("app.kubernetes.io/managed-by".to_owned(), "hearth".to_owned());
    whole.iter().map(|(name, text)| (name.clone(), value(text))).chain([by_hearth]).collect()
}

/// What selects all that carry this label with this value.
pub(crate) fn selector(name: &str, text: &str) -> String {
    format!("{name}={}", value(text))
}

/// What a pod was labelled with, whole.
pub(crate) fn read<'a>(pod: &'a Pod, name: &str) -> &'a str {
    pod.metadata.annotations.as_ref().and_then(|all| all.get(name)).map_or("", String::as_str)
}

/// The name of an instance's pod and of all that belongs to it.
pub(crate) fn pod_name(spec: &LaunchSpec) -> String {
    let id = &spec.instance_id;
    let fits =
        id.len() <= DIGEST && !id.is_empty() && id.chars().all(|letter| is_plain(letter) || letter == '-');
    let id = if fits { id.clone() } else { digest(id) };
    let function: String = spec.function.chars().map(|letter| letter.to_ascii_lowercase()).collect();
    let function: String =
        function.chars().map(|letter| if is_plain(letter) { letter } else { '-' }).collect();
    let function = function.trim_matches('-');
    let function = function[..function.len().min(LONGEST_FUNCTION)].trim_end_matches('-');
    let parts = ["hearth", function, id.trim_matches('-')];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

/// A value as a label may have it.
fn value(text: &str) -> String {
    // The one value with a character that labels do not have, and that everybody knows.
    let text = text.strip_prefix('$').unwrap_or(text);
    let is_end = |letter: Option<char>| letter.is_none_or(|letter| letter.is_ascii_alphanumeric());
    let fits = text.len() <= LONGEST_VALUE
        && is_end(text.chars().next())
        && is_end(text.chars().last())
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter));
    if fits { text.to_owned() } else { digest(text) }
}

fn digest(text: &str) -> String {
    name_of([text])[..DIGEST].to_owned()
}

fn is_plain(letter: char) -> bool {
    letter.is_ascii_lowercase() || letter.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_no_label_can_have_is_replaced_by_its_digest() {
        for fitting in ["f", "my_function", "a.b-c", "", &"a".repeat(63)] {
            assert_eq!(value(fitting), fitting);
        }
        assert_eq!(value("$LATEST"), "LATEST");
        for unfit in ["-begins", "ends_", "a/b", &"a".repeat(64)] {
            let short = value(unfit);
            assert!(
                short.len() == DIGEST && short.chars().all(|letter| letter.is_ascii_hexdigit()),
                "{short}"
            );
        }
        assert_ne!(value("_a"), value("-a"));
    }

    #[test]
    fn the_name_of_a_pod_is_a_host_name_and_names_the_function() {
        let name = |function: &str, id: &str| {
            pod_name(&LaunchSpec {
                function: function.to_owned(),
                instance_id: id.to_owned(),
                ..LaunchSpec::default()
            })
        };
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(name("hello", id), format!("hearth-hello-{id}"));
        assert_eq!(name("My_Function_", id), format!("hearth-my-function-{id}"));
        assert_eq!(name("___", id), format!("hearth-{id}"));
        let long = name(&"long-".repeat(12), "An-Id-Of-Another-Kind");
        assert!(long.starts_with("hearth-long-long-long-long-lon-"), "{long}");
        assert_eq!(long.len(), 63);
        assert_ne!(name("f", "An-Id"), name("f", "an-id"));
    }
}

//! What `hearth backend new` writes: the example backend, under another name.

use std::path::Path;

const SOURCE: &str = include_str!("../../../examples/backend-minimal/src/lib.rs");
/// The interface, if this program was built from a checkout that is still there.
const CORE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../core");

/// The files of a project, by their place in it. Fails with a reason for people.
pub(super) fn files(name: &str) -> Result<[(&'static str, String); 3], String> {
    let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    if !name.starts_with(|letter: char| letter.is_ascii_lowercase()) || !name.chars().all(fits) {
        return Err(format!(
            "`{name}` cannot be the name of a backend: use lower-case letters, digits and hyphens, a letter first"
        ));
    }
    Ok([
        ("Cargo.toml", manifest(name, Path::new(CORE).exists().then_some(CORE))),
        ("src/lib.rs", source(name)),
        (".gitignore", "target\n".to_owned()),
    ])
}

fn manifest(name: &str, core: Option<&str>) -> String {
    let core = core.map_or_else(|| "\"1\"".to_owned(), |path| format!("{{ path = \"{path}\" }}"));
    let library = name.replace('-', "_");
    format!(
        "[package]\nname = \"hearth-backend-{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
         [lib]\nname = \"hearth_backend_{library}\"\ncrate-type = [\"cdylib\"]\n\n\
         [dependencies]\nhearth-core = {core}\n\n[workspace]\n"
    )
}

fn source(name: &str) -> String {
    let part = |part: &str| part[..1].to_uppercase() + &part[1..];
    let type_name: String = name.split('-').filter(|word| !word.is_empty()).map(part).collect();
    SOURCE.replace("\"minimal\"", &format!("\"{name}\"")).replace("Minimal", &type_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_has_the_name_in_all_its_forms() {
        let [(_, manifest), (_, source), _] = files("my-own-2").unwrap();
        assert!(manifest.contains("name = \"hearth-backend-my-own-2\""), "{manifest}");
        assert!(manifest.contains("name = \"hearth_backend_my_own_2\""), "{manifest}");
        assert!(source.contains("export_backend!(MyOwn2, \"my-own-2\");"), "{source}");
        assert!(!source.contains("inimal"), "{source}");
    }

    #[test]
    fn a_project_outside_of_a_checkout_names_a_version() {
        assert!(manifest("x", None).contains("hearth-core = \"1\""));
    }

    #[test]
    fn a_name_that_cannot_be_is_refused() {
        for name in ["", "Upper", "1st", "under_score", "../up", "-"] {
            let refused = files(name).unwrap_err();
            assert!(refused.starts_with(&format!("`{name}` cannot be the name of a backend")), "{refused}");
        }
    }
}

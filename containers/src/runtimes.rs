//! Which image a runtime is.

/// The runtimes that Lambda supports, and AWS's images of them.
const IMAGES: [(&str, &str); 31] = [
    ("dotnet6", "dotnet:6"),
    ("dotnet8", "dotnet:8"),
    ("dotnet10", "dotnet:10"),
    ("java8.al2", "java:8.al2"),
    ("java8.al2023", "java:8.al2023"),
    ("java11", "java:11"),
    ("java11.al2023", "java:11.al2023"),
    ("java17", "java:17"),
    ("java17.al2023", "java:17.al2023"),
    ("java21", "java:21"),
    ("java25", "java:25"),
    ("nodejs16.x", "nodejs:16"),
    ("nodejs18.x", "nodejs:18"),
    ("nodejs20.x", "nodejs:20"),
    ("nodejs22.x", "nodejs:22"),
    ("nodejs24.x", "nodejs:24"),
    ("nodejs26.x", "nodejs:26"),
    ("provided.al2", "provided:al2"),
    ("provided.al2023", "provided:al2023"),
    ("python3.8", "python:3.8"),
    ("python3.9", "python:3.9"),
    ("python3.10", "python:3.10"),
    ("python3.11", "python:3.11"),
    ("python3.12", "python:3.12"),
    ("python3.13", "python:3.13"),
    ("python3.14", "python:3.14"),
    ("python3.15", "python:3.15"),
    ("ruby3.2", "ruby:3.2"),
    ("ruby3.3", "ruby:3.3"),
    ("ruby3.4", "ruby:3.4"),
    ("ruby4.0", "ruby:4.0"),
];

/// Name and tag of a runtime's image, without a prefix.
pub fn image(runtime: &str) -> Option<&'static str> {
    IMAGES.iter().find(|(name, _)| *name == runtime).map(|(_, image)| *image)
}

/// Whether functions of this runtime bring the program that is started.
pub fn brings_bootstrap(runtime: &str) -> bool {
    runtime.starts_with("provided")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_of_a_runtime_is_its_language_and_its_version() {
        for (runtime, image) in IMAGES {
            let (language, version) = image.split_once(':').unwrap();
            let parts = format!("{language}{}{version}", if language == "provided" { "." } else { "" });
            assert_eq!(runtime.trim_end_matches(".x"), parts);
        }
        assert_eq!(image("cobol85"), None);
    }
}

//! The names of images.

/// The registry that an image comes from, as credentials are filed under.
pub(crate) fn registry(image: &str) -> &str {
    const DOCKER_HUB: &str = "https://index.docker.io/v1/";
    let is_host = |part: &str| part.contains(['.', ':']) || part == "localhost";
    match image.split_once('/') {
        Some(("docker.io" | "index.docker.io", _)) | None => DOCKER_HUB,
        Some((first, _)) if is_host(first) => first,
        Some(_) => DOCKER_HUB,
    }
}

/// The same image with the tag that is meant where there is none. Without one, an engine pulls every tag.
pub(crate) fn tagged(image: &str) -> String {
    let name = image.rsplit_once('/').map_or(image, |(_, name)| name);
    if name.contains([':', '@']) { image.to_owned() } else { format!("{image}:latest") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_is_the_first_part_if_that_can_be_a_host() {
        for (image, expected) in [
            ("public.ecr.aws/lambda/python:3.13", "public.ecr.aws"),
            ("localhost:5000/a", "localhost:5000"),
            ("localhost/a/b@sha256:00", "localhost"),
            ("alpine", "https://index.docker.io/v1/"),
            ("alpine:3", "https://index.docker.io/v1/"),
            ("library/alpine", "https://index.docker.io/v1/"),
            ("docker.io/library/alpine", "https://index.docker.io/v1/"),
        ] {
            assert_eq!(registry(image), expected, "{image}");
        }
    }

    #[test]
    fn an_image_without_a_tag_is_the_latest() {
        for (image, expected) in [
            ("alpine", "alpine:latest"),
            ("localhost:5000/a", "localhost:5000/a:latest"),
            ("a:1", "a:1"),
            ("a@sha256:00", "a@sha256:00"),
        ] {
            assert_eq!(tagged(image), expected);
        }
    }
}

//! The runtimes that AWS knows, and those that it has given up.

use super::error::ApiError;

/// Those that functions may be created with, in the order in which AWS lists them.
const SUPPORTED: [&str; 25] = [
    "nodejs20.x",
    "python3.14",
    "provided.al2023",
    "python3.12",
    "python3.13",
    "nodejs24.x",
    "nodejs22.x",
    "java25",
    "python3.10",
    "python3.11",
    "java21",
    "ruby3.3",
    "ruby3.4",
    "ruby3.2",
    "python3.8",
    "python3.9",
    "java17",
    "nodejs16.x",
    "dotnet10",
    "dotnet8",
    "java11",
    "dotnet6",
    "nodejs18.x",
    "provided.al2",
    "java8.al2",
];

/// Those that are newer than AWS's list was when it was recorded.
const NEWER: [&str; 6] =
    ["java11.al2023", "java17.al2023", "java8.al2023", "nodejs26.x", "python3.15", "ruby4.0"];

const DEPRECATED: [&str; 20] = [
    "dotnetcore1.0",
    "dotnetcore2.0",
    "dotnetcore2.1",
    "dotnetcore3.1",
    "go1.x",
    "java8",
    "nodejs",
    "nodejs10.x",
    "nodejs12.x",
    "nodejs14.x",
    "nodejs4.3",
    "nodejs4.3-edge",
    "nodejs6.10",
    "nodejs8.10",
    "provided",
    "python2.7",
    "python3.6",
    "python3.7",
    "ruby2.5",
    "ruby2.7",
];

/// Runtimes of any time: what a layer may say that it is for.
pub(super) const ALL: [&str; SUPPORTED.len() + NEWER.len() + DEPRECATED.len()] = {
    let mut all = [""; SUPPORTED.len() + NEWER.len() + DEPRECATED.len()];
    let (newer, deprecated) = all.split_at_mut(SUPPORTED.len()).1.split_at_mut(NEWER.len());
    newer.copy_from_slice(&NEWER);
    deprecated.copy_from_slice(&DEPRECATED);
    all.split_at_mut(SUPPORTED.len()).0.copy_from_slice(&SUPPORTED);
    all
};

/// Those that have snapshots.
const WITH_SNAP_START: [&str; 11] = [
    "dotnet10",
    "dotnet8",
    "java11",
    "java11.al2023",
    "java17",
    "java17.al2023",
    "java21",
    "java25",
    "python3.12",
    "python3.13",
    "python3.14",
];

/// Checks that a function may be created with, or updated to, this runtime.
pub(super) fn check(runtime: &str) -> Result<(), ApiError> {
    if SUPPORTED.contains(&runtime) || NEWER.contains(&runtime) {
        return Ok(());
    }
    Err(ApiError::invalid(if DEPRECATED.contains(&runtime) {
        format!(
            "The runtime parameter of {runtime} is no longer supported for creating or updating AWS Lambda functions. \
             We recommend you use a supported runtime while creating or updating functions."
        )
    } else {
        format!(
            "Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [{}] or be \
             a valid ARN",
            SUPPORTED.join(", ")
        )
    }))
}

/// Checks that snapshots may be asked for with this runtime.
pub(super) fn check_snap_start(runtime: &str) -> Result<(), ApiError> {
    if WITH_SNAP_START.contains(&runtime) {
        return Ok(());
    }
    Err(ApiError::invalid(format!("{runtime} is not supported for SnapStart enabled functions.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_and_deprecated_runtimes_are_refused_in_awss_words() {
        assert!(check("python3.13").is_ok());
        assert_eq!(
            check("python3.7").unwrap_err().to_string(),
            "InvalidParameterValueException: The runtime parameter of python3.7 is no longer supported for creating or \
             updating AWS Lambda functions. We recommend you use a supported runtime while creating or updating functions."
        );
        assert_eq!(
            check("non-existent-runtime").unwrap_err().to_string(),
            "InvalidParameterValueException: Value non-existent-runtime at 'runtime' failed to satisfy constraint: \
             Member must satisfy enum value set: [nodejs20.x, python3.14, provided.al2023, python3.12, python3.13, \
             nodejs24.x, nodejs22.x, java25, python3.10, python3.11, java21, ruby3.3, ruby3.4, ruby3.2, python3.8, \
             python3.9, java17, nodejs16.x, dotnet10, dotnet8, java11, dotnet6, nodejs18.x, provided.al2, java8.al2] or \
             be a valid ARN"
        );
    }
}

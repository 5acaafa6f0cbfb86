//! Who an instance is: what its extensions and its records tell of it.

use std::ffi::OsString;

use crate::config::Function;

/// What an instance is called, by the function's settings and by its environment.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) function: Function,
    /// Empty where there is none.
    pub(crate) handler: String,
    /// `on-demand`, or why else the instance was started.
    pub(crate) initialization_type: String,
    /// Empty where there is none.
    pub(crate) log_stream: String,
}

impl Identity {
    pub(crate) fn new(function: Function, environment: &[(OsString, OsString)]) -> Self {
        let variable = |wanted: &str| {
            let found = environment.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.to_string_lossy().into_owned())
        };
        Self {
            function,
            handler: variable("_HANDLER").unwrap_or_default(),
            initialization_type: variable("AWS_LAMBDA_INITIALIZATION_TYPE")
                .unwrap_or_else(|| "on-demand".to_owned()),
            log_stream: variable("AWS_LAMBDA_LOG_STREAM_NAME").unwrap_or_default(),
        }
    }
}

//! What the user writes: settings, and the script.

use std::num::NonZeroU64;
use std::path::PathBuf;

use hearth_core::{BackendError, Result};
use serde::{Deserialize, Serialize};

use crate::acts::{CallAct, InvocationAct, LaunchAct, Lines, Span};

/// Configuration of the mock backend, which is its script as well.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// A TOML file that has all of this. Nothing else is set beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<PathBuf>,
    /// What chance depends on: with the same seed, the same operations come to the same.
    pub seed: u64,
    /// How long the preparation of each deploy takes.
    pub prepare_delay_ms: Span,
    /// How long each launch takes.
    pub launch_delay_ms: Span,
    /// How long each invocation takes.
    pub answer_delay_ms: Span,
    /// Whether an invocation without the instance's token is refused. Without the check, anything that can
    /// reach the port can measure an instance by itself.
    pub check_token: bool,
    /// Preparations that go another way.
    pub preparations: Vec<Rule<CallAct>>,
    /// Launches that go another way.
    pub launches: Vec<Rule<LaunchAct>>,
    /// Invocations that go another way.
    pub invocations: Vec<Rule<InvocationAct>>,
    /// What the function writes in its invocations.
    pub logs: Vec<Rule<Lines>>,
    /// Terminations that go another way.
    pub terminations: Vec<Rule<CallAct>>,
}

/// Something that happens at some operations. Where several rules fit, the first one counts.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rule<Act> {
    /// The functions whose operations are counted: a name, or how names begin with a `*` behind it. Without it,
    /// those of all functions are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// The first operation that it concerns: 1 is the first of all. Without it, it is the one that `every` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nth: Option<NonZeroU64>,
    /// From one that it concerns to the next: 2 is every other one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<NonZeroU64>,
    /// How many it concerns; 0 means all that follow. Without it, one if only `nth` is given, and all otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// How likely each of them is to be concerned after all. Whether it is, depends on nothing but the seed, the
    /// rule's place in the script and the operation's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<Probability>,
    /// What happens.
    #[serde(rename = "do")]
    pub act: Act,
}

/// From 0, never, to 1, always.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Probability(f64);

impl Config {
    /// The script in a text.
    pub fn from_toml(text: &str) -> Result<Self> {
        let config: Self = toml::from_str(text).map_err(|error| BackendError::config(error.to_string()))?;
        if config.script.is_some() {
            return Err(BackendError::config("a script cannot name another script"));
        }
        Ok(config)
    }

    /// Itself, or what is in the file that it names.
    pub fn load(self) -> Result<Self> {
        let Some(path) = &self.script else { return Ok(self) };
        if self != (Self { script: self.script.clone(), ..Self::default() }) {
            return Err(BackendError::config(
                "`script` names a file that has everything; set nothing beside it",
            ));
        }
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| {
            BackendError::config(format!("cannot read the script {shown}")).caused_by(&error)
        })?;
        Self::from_toml(&text)
            .map_err(|error| BackendError::config(format!("the script {shown}: {}", error.message)))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            script: None,
            seed: 0,
            prepare_delay_ms: Span::ZERO,
            launch_delay_ms: Span::ZERO,
            answer_delay_ms: Span::ZERO,
            check_token: true,
            preparations: Vec::new(),
            launches: Vec::new(),
            invocations: Vec::new(),
            logs: Vec::new(),
            terminations: Vec::new(),
        }
    }
}

impl TryFrom<f64> for Probability {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, String> {
        if (0.0..=1.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(format!("{value} is not from 0 to 1"))
        }
    }
}

impl From<Probability> for f64 {
    fn from(probability: Probability) -> Self {
        probability.0
    }
}

//! Who may use a function or a layer. What a statement says is AWS's JSON, which `api` composes and reads.

use serde::{Deserialize, Serialize};

/// One permission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Unique in its policy.
    pub id: String,
    /// The JSON of the statement.
    pub document: String,
}

/// The permissions of a layer's version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerPolicy {
    /// Changes with every change: a random UUID.
    pub revision_id: String,
    /// At least one, in the order in which they were added.
    pub statements: Vec<Statement>,
}

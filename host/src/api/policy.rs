//! What policies of functions and of layers have in common.

use serde::Serialize;
use serde_json::value::RawValue;

use super::error::{ApiError, POLICY_LENGTH_EXCEEDED, RESOURCE_CONFLICT, RESOURCE_NOT_FOUND};
use super::validate::Violations;
use super::wire::policy::StatementDocument;
use crate::catalog::policy::Statement;

pub(super) use self::decision::{Asked, allows};

mod decision;

/// Most that a policy may measure, in bytes of its JSON.
const MAX_POLICY_BYTES: usize = 20_480;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyDocument<'a> {
    version: &'static str,
    id: &'static str,
    statement: Vec<&'a RawValue>,
}

/// The statement for the catalog.
pub(super) fn statement(document: &StatementDocument) -> Statement {
    Statement {
        id: document.sid.clone(),
        // It has nothing but texts in it.
        document: serde_json::to_string(document).unwrap_or_default(),
    }
}

/// The whole policy, as AWS writes it.
pub(super) fn document(statements: &[Statement]) -> String {
    let statement = statements.iter().filter_map(|it| serde_json::from_str(&it.document).ok()).collect();
    let policy = PolicyDocument { version: "2012-10-17", id: "default", statement };
    serde_json::to_string(&policy).unwrap_or_default()
}

/// Adds a statement under a new id.
pub(super) fn add(statements: &mut Vec<Statement>, new: Statement) -> Result<(), ApiError> {
    let Statement { id, .. } = &new;
    if statements.iter().any(|statement| statement.id == *id) {
        let message = format!(
            "The statement id ({id}) provided already exists. Please provide a new statement id, or remove the existing \
             statement."
        );
        return Err(ApiError::new(&RESOURCE_CONFLICT, message));
    }
    statements.push(new);
    let size = document(statements).len();
    if size > MAX_POLICY_BYTES {
        let message =
            format!("The final policy size ({size}) is bigger than the limit ({MAX_POLICY_BYTES}).");
        return Err(ApiError::new(&POLICY_LENGTH_EXCEEDED, message));
    }
    Ok(())
}

/// Takes a statement away.
pub(super) fn remove(statements: &mut Vec<Statement>, id: &str) -> Result<(), ApiError> {
    if statements.is_empty() {
        return Err(none());
    }
    let count = statements.len();
    statements.retain(|statement| statement.id != id);
    if statements.len() == count {
        let message = format!("Statement {id} is not found in resource policy.");
        return Err(ApiError::new(&RESOURCE_NOT_FOUND, message));
    }
    Ok(())
}

/// There is no policy.
pub(super) fn none() -> ApiError {
    ApiError::new(&RESOURCE_NOT_FOUND, "No policy is associated with the given resource.")
}

/// Checks the form of a statement's id.
pub(super) fn check_id(id: &str, pattern: &str, violations: &mut Violations) {
    violations.length(id, "statementId", 1, 100);
    let dots = pattern.contains('.');
    violations.pattern(id, "statementId", pattern, |id| {
        id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte) || (dots && byte == b'.'))
    });
}

/// Form of the id of a new statement.
pub(super) const NEW_ID_PATTERN: &str = "([a-zA-Z0-9-_]+)";
/// Form of the id of a statement that is there.
pub(super) const ID_PATTERN: &str = "([a-zA-Z0-9-_.]+)";

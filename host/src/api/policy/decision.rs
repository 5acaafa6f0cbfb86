//! Whether a policy lets somebody do something.
//!
//! The statements are those that this host has composed: each allows, for the function whose policy it is in. The rules
//! are those of
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::catalog::policy::Statement;

/// What somebody wants to do.
#[derive(Clone, Copy, Debug)]
pub(in crate::api) struct Asked<'a> {
    /// As in `lambda:InvokeFunctionUrl`.
    pub(in crate::api) action: &'a str,
    /// Of whoever asks; nothing of somebody who is not signed in.
    pub(in crate::api) account: Option<&'a str>,
    /// What there is to say about the request: condition keys, in lower case, and their values.
    pub(in crate::api) context: &'a [(&'a str, &'a str)],
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Allowing {
    principal: Principal,
    action: String,
    /// Operator, key, value.
    #[serde(default)]
    condition: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Principal {
    /// `*`
    Everybody(String),
    /// `{"AWS": …}` or `{"Service": …}`
    Named(BTreeMap<String, String>),
}

/// Whether one of the statements allows it.
pub(in crate::api) fn allows(statements: &[Statement], asked: Asked<'_>) -> bool {
    statements.iter().any(|statement| {
        let allowing: Result<Allowing, _> = serde_json::from_str(&statement.document);
        allowing.is_ok_and(|it| it.principal.is(asked.account) && it.covers(asked))
    })
}

impl Principal {
    /// Services do not call this host. Of an ARN only the account is looked at: keys are not tied to users.
    fn is(&self, account: Option<&str>) -> bool {
        match self {
            Self::Everybody(name) => name == "*",
            Self::Named(named) => named
                .get("AWS")
                .is_some_and(|arn| arn == "*" || (account.is_some() && arn.split(':').nth(4) == account)),
        }
    }
}

impl Allowing {
    fn covers(&self, asked: Asked<'_>) -> bool {
        let is_action = match self.action.strip_suffix('*') {
            Some(prefix) => asked.action.starts_with(prefix),
            None => self.action == asked.action,
        };
        is_action && self.condition.values().flatten().all(|(key, wanted)| holds(key, wanted, asked.context))
    }
}

/// A condition on something that the request does not have does not hold.
fn holds(key: &str, wanted: &str, context: &[(&str, &str)]) -> bool {
    context.iter().any(|(name, value)| name.eq_ignore_ascii_case(key) && *value == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_allows_what_it_says_and_no_more() {
        let url = r#""Action":"lambda:InvokeFunctionUrl""#;
        let none = r#""Condition":{"StringEquals":{"lambda:FunctionUrlAuthType":"NONE"}}"#;
        let account = r#"{"AWS":"arn:aws:iam::123456789012:root"}"#;
        for (statement, nobody, member, stranger) in [
            (format!(r#""Principal":"*",{url}"#), true, true, true),
            (format!(r#""Principal":"*",{url},{none}"#), true, true, true),
            (format!(r#""Principal":"*",{url},{}"#, none.replace("NONE", "AWS_IAM")), false, false, false),
            (r#""Principal":"*","Action":"lambda:InvokeFunction""#.to_owned(), false, false, false),
            (r#""Principal":"*","Action":"lambda:*""#.to_owned(), true, true, true),
            (r#""Principal":"*","Action":"*""#.to_owned(), true, true, true),
            (format!(r#""Principal":{account},{url}"#), false, true, false),
            (format!(r#""Principal":{{"AWS":"*"}},{url}"#), true, true, true),
            (format!(r#""Principal":{{"Service":"s3.amazonaws.com"}},{url}"#), false, false, false),
            (
                format!(
                    r#""Principal":"*",{url},"Condition":{{"StringEquals":{{"AWS:SourceAccount":"1"}}}}"#
                ),
                false,
                false,
                false,
            ),
        ] {
            let document = format!(r#"{{"Sid":"s","Effect":"Allow","Resource":"r",{statement}}}"#);
            let statements = [Statement { id: "s".to_owned(), document }];
            let allowed = |account| {
                let context = &[("lambda:functionurlauthtype", "NONE")];
                allows(&statements, Asked { action: "lambda:InvokeFunctionUrl", account, context })
            };
            let found = [None, Some("123456789012"), Some("210987654321")].map(allowed);
            assert_eq!(found, [nobody, member, stranger], "{statement}");
        }
        assert!(!allows(&[], Asked { action: "lambda:InvokeFunctionUrl", account: None, context: &[] }));
    }
}

//! Who may call: a file in the form of `~/.aws/credentials`, as
//! <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html> has it.
//!
//! Each profile is somebody who may call. Its name means nothing here, so that a file can be used by both sides.

use std::path::Path;
use std::sync::Arc;

use ini::{Ini, Properties};

use super::ConfigError;
use crate::api::access::{Access, KeyHolder, KeyRing};
use crate::sigv4::Keys;

/// Reads the file, if one is named.
pub(super) fn read(path: Option<&Path>) -> Result<Access, ConfigError> {
    let Some(path) = path else { return Ok(Access::Anybody) };
    let failed = |problem: String| ConfigError(format!("credentials file {}: {problem}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    parse(&text).map(|ring| Access::KeyHolders(Arc::new(ring))).map_err(failed)
}

fn parse(text: &str) -> Result<KeyRing, String> {
    // Secret keys may hold backslashes and quotes: nothing in the file is an escape.
    let file = Ini::load_from_str_noescape(text).map_err(|error| error.to_string())?;
    let mut holders: Vec<KeyHolder> = Vec::new();
    for (name, profile) in &file {
        let holder = key_holder(profile).map_err(|problem| match name {
            Some(name) => format!("[{name}]: {problem}"),
            None => format!("before the first [profile]: {problem}"),
        })?;
        let Some(holder) = holder else { continue };
        if holders.iter().any(|other| other.keys.id == holder.keys.id && *other != holder) {
            return Err(format!(
                "aws_access_key_id {} stands in it twice, with different secrets",
                holder.keys.id
            ));
        }
        holders.push(holder);
    }
    if holders.is_empty() {
        return Err("no profile in it has aws_access_key_id and aws_secret_access_key".to_owned());
    }
    Ok(KeyRing::new(holders))
}

/// A profile may be there for other things than keys.
fn key_holder(profile: &Properties) -> Result<Option<KeyHolder>, String> {
    let get = |name: &str| profile.get(name).map(str::trim).filter(|value| !value.is_empty());
    let (id, secret) = match (get("aws_access_key_id"), get("aws_secret_access_key")) {
        (Some(id), Some(secret)) => (id.to_owned(), secret.to_owned()),
        (None, None) => return Ok(None),
        (Some(_), None) => return Err("aws_secret_access_key is missing".to_owned()),
        (None, Some(_)) => return Err("aws_access_key_id is missing".to_owned()),
    };
    let account = get("aws_account_id");
    if let Some(account) = account.filter(|it| it.len() != 12 || !it.bytes().all(|it| it.is_ascii_digit())) {
        return Err(format!("aws_account_id: `{account}` is not 12 digits"));
    }
    let keys = Keys { id, secret, session_token: get("aws_session_token").map(str::to_owned) };
    Ok(Some(KeyHolder { keys, account: account.map(str::to_owned) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_profile_with_keys_may_call() {
        let ring = parse(
            "[default]\naws_access_key_id = ONE\naws_secret_access_key = a/b+c=\\n\n# a comment\n[team]\n\
             aws_access_key_id=TWO\naws_secret_access_key=s\naws_session_token=t\naws_account_id=123456789012\n\
             [elsewhere]\nregion = eu-west-1\n",
        )
        .unwrap();
        let one = ring.find("ONE").unwrap();
        assert_eq!((&*one.keys.secret, &one.keys.session_token, &one.account), ("a/b+c=\\n", &None, &None));
        let two = ring.find("TWO").unwrap();
        assert_eq!(
            (two.keys.session_token.as_deref(), two.account.as_deref()),
            (Some("t"), Some("123456789012"))
        );
        assert!(ring.find("elsewhere").is_none());
    }

    #[test]
    fn a_file_that_lets_nobody_in_or_is_unclear_is_refused() {
        for (text, problem) in [
            ("", "no profile in it has aws_access_key_id and aws_secret_access_key"),
            ("[a]\naws_access_key_id = K", "[a]: aws_secret_access_key is missing"),
            ("[a]\naws_secret_access_key = s", "[a]: aws_access_key_id is missing"),
            (
                "[a]\naws_access_key_id = K\naws_secret_access_key = s\naws_account_id = 12",
                "[a]: aws_account_id: `12` is not 12 digits",
            ),
            (
                "[a]\naws_access_key_id = K\naws_secret_access_key = s\n[b]\naws_access_key_id = K\n\
                 aws_secret_access_key = t",
                "aws_access_key_id K stands in it twice, with different secrets",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err(), problem);
        }
        let missing = read(Some(Path::new("/not/there"))).unwrap_err().to_string();
        assert!(missing.starts_with("credentials file /not/there: "), "{missing}");
    }
}

//! Where other AWS services are: the variables that AWS's own SDKs read.

use std::path::PathBuf;

use http::Uri;

use super::{ConfigError, Environment};
use crate::aws::{Service, Settings};
use crate::sigv4::Keys;

/// Reads `AWS_ENDPOINT_URL_<SERVICE>`, `AWS_ENDPOINT_URL` for services without one, and the credentials.
pub(super) fn read(environment: &impl Environment) -> Result<Settings, ConfigError> {
    let get = |name: &str| environment.get(name).filter(|value| !value.is_empty());
    let mut settings = Settings::default();
    for service in Service::ALL {
        let own = format!("AWS_ENDPOINT_URL_{}", service.variable());
        let found = get(&own).map(|url| (own, url));
        let common = || get("AWS_ENDPOINT_URL").map(|url| ("AWS_ENDPOINT_URL".to_owned(), url));
        // Nobody asks for logs to be sent with each call: only who names the service itself wants them there.
        let found = if service == Service::Logs { found } else { found.or_else(common) };
        if let Some((name, url)) = found {
            check(&name, &url)?;
            settings.endpoints.insert(service, url.trim_end_matches('/').to_owned());
        }
    }
    if let (Some(id), Some(secret)) = (get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY")) {
        settings.keys = Some(Keys { id, secret, session_token: get("AWS_SESSION_TOKEN") });
    }
    settings.ca_bundle = get("AWS_CA_BUNDLE").map(PathBuf::from);
    Ok(settings)
}

fn check(name: &str, url: &str) -> Result<(), ConfigError> {
    match url.parse::<Uri>() {
        Ok(uri) if matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some() => Ok(()),
        Ok(_) | Err(_) => {
            Err(ConfigError(format!("{name}: `{url}`: it is not an address as in http://127.0.0.1:4566")))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_services_own_endpoint_wins_over_the_common_one() {
        let environment = BTreeMap::from([
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1/"),
            ("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:2"),
        ]);
        let endpoints = read(&environment).unwrap().endpoints;
        assert_eq!(endpoints[&Service::Sqs], "http://127.0.0.1:2");
        assert_eq!(endpoints[&Service::Sns], "http://127.0.0.1:1");
        assert!(read(&BTreeMap::new()).unwrap().endpoints.is_empty());
    }

    #[test]
    fn what_is_no_address_is_named() {
        let read = |url| read(&BTreeMap::from([("AWS_ENDPOINT_URL_S3", url)]));
        for url in ["127.0.0.1:4566", "ftp://127.0.0.1"] {
            let problem = "it is not an address as in http://127.0.0.1:4566";
            let told = read(url).unwrap_err().to_string();
            assert_eq!(told, format!("AWS_ENDPOINT_URL_S3: `{url}`: {problem}"));
        }
        assert!(read("https://sqs.eu-west-1.amazonaws.com").is_ok());
    }
}

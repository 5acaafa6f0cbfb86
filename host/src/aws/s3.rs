//! Buckets: results are put there, and code is fetched from there.

use bytes::Bytes;
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Aws, Call, CallError, SMALL_ANSWER, Service};

/// What a key's characters are encoded to in a path; a slash stays.
const KEY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// An object, and who puts or fetches it. ARNs of buckets tell neither account nor region.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a> {
    /// Twelve digits.
    pub account: &'a str,
    /// As in `us-east-1`.
    pub region: &'a str,
    /// Name of the bucket.
    pub bucket: &'a str,
    /// Name of the object in it.
    pub key: &'a str,
}

impl Aws {
    /// `PutObject` of a JSON document.
    pub async fn put_object(&self, object: Object<'_>, content: Bytes) -> Result<(), CallError> {
        let Object { account, region, bucket, key } = object;
        self.call(Call {
            service: Service::S3,
            account,
            region,
            method: Method::PUT,
            path: &format!("/{bucket}/{}", utf8_percent_encode(key, KEY)),
            headers: &[("content-type", "application/json")],
            body: content,
            answer_limit: SMALL_ANSWER,
        })
        .await
        .map(drop)
    }

    /// `GetObject`, of the version that is named or of the newest one. An object of more than `limit` bytes is not
    /// fetched to its end.
    pub async fn get_object(
        &self,
        object: Object<'_>,
        version: Option<&str>,
        limit: usize,
    ) -> Result<Bytes, CallError> {
        let Object { account, region, bucket, key } = object;
        let mut path = format!("/{bucket}/{}", utf8_percent_encode(key, KEY));
        if let Some(version) = version {
            path.push_str("?versionId=");
            path.extend(utf8_percent_encode(version, KEY));
        }
        self.call(Call {
            service: Service::S3,
            account,
            region,
            method: Method::GET,
            path: &path,
            headers: &[],
            body: Bytes::new(),
            answer_limit: limit,
        })
        .await
    }
}

/// What S3 says of a refusal: `<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message>…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// As in `NoSuchKey`.
    pub code: &'a str,
    /// For people.
    pub message: &'a str,
}

impl<'a> Refusal<'a> {
    /// Reads the text of [`CallError::Refused`]. Nothing if it is no such document.
    pub fn read(text: &'a str) -> Option<Self> {
        Some(Self { code: element(text, "Code")?, message: element(text, "Message")? })
    }
}

/// The content of the first element with this name. Both that are looked for hold text alone.
fn element<'a>(document: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = document.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(content, _)| content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_read_where_there_is_one() {
        let told = "<?xml version=\"1.0\"?>\n<Error><Code>NoSuchKey</Code><Message>It is not there.</Message></Error>";
        assert_eq!(Refusal::read(told), Some(Refusal { code: "NoSuchKey", message: "It is not there." }));
        assert_eq!(Refusal::read("<html>Bad gateway</html>"), None);
    }
}

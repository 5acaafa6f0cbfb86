//! Buckets.

use bytes::Bytes;
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Aws, Call, CallError, Service};

/// What a key's characters are encoded to in a path; a slash stays.
const KEY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// An object, and who puts it there. ARNs of buckets tell neither account nor region.
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
        })
        .await
        .map(drop)
    }
}

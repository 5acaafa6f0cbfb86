//! Names of resources.

/// An ARN, taken apart: `arn:partition:service:region:account:resource`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arn<'a> {
    /// As in `sqs`.
    pub service: &'a str,
    /// Empty where the service has none.
    pub region: &'a str,
    /// Empty where the service has none.
    pub account: &'a str,
    /// All the rest.
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// Takes an ARN apart; `None` if it is none.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        let ("arn", _partition) = (parts.next()?, parts.next()?) else { return None };
        let (service, region, account) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self { service, region, account, resource: parts.next()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_is_taken_apart() {
        let arn = Arn::parse("arn:aws:lambda:us-east-1:000000000000:function:f:1").unwrap();
        assert_eq!((arn.service, arn.region, arn.account), ("lambda", "us-east-1", "000000000000"));
        assert_eq!(arn.resource, "function:f:1");
        assert_eq!(Arn::parse("arn:aws:s3:::bucket").unwrap().resource, "bucket");
        assert_eq!(Arn::parse("bucket"), None);
        assert_eq!(Arn::parse("arn:aws:sqs"), None);
    }
}

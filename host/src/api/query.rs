//! Query strings.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The parameters of a request. Names are AWS's and never encoded; values may be.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Params<'a>(&'a str);

impl<'a> Params<'a> {
    /// The parameters in what follows the question mark.
    pub(super) fn new(query: Option<&'a str>) -> Self {
        Self(query.unwrap_or_default())
    }

    /// The value of a parameter; an empty one counts as missing, as AWS's SDKs send it.
    pub(super) fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        self.all(name).next().filter(|value| !value.is_empty())
    }

    /// Every value of a parameter that may be repeated.
    pub(super) fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = Cow<'a, str>> + use<'a, 'n> {
        let pairs = self.0.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.filter(move |(key, _)| *key == name).map(|(_, value)| decode(value))
    }
}

fn decode(value: &str) -> Cow<'_, str> {
    if value.contains('+') {
        let spaced = value.replace('+', " ");
        return Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned());
    }
    percent_decode_str(value).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_may_be_repeated() {
        let params = Params::new(Some("Qualifier=%24LATEST&tagKeys=a+b&tagKeys=c%2Cd&Marker="));
        assert_eq!(params.get("Qualifier").as_deref(), Some("$LATEST"));
        assert_eq!(params.all("tagKeys").collect::<Vec<_>>(), ["a b", "c,d"]);
        assert_eq!(params.get("Marker"), None);
        assert_eq!(Params::new(None).get("Qualifier"), None);
    }
}

//! Lists in pages.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::error::ApiError;
use super::query::Params;
use super::validate::Violations;

/// What a caller wants of a list: where it goes on, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    after: Option<String>,
    most: usize,
}

impl Page {
    /// From `Marker` and `MaxItems`. A page has at most `largest` items, whatever is asked for.
    pub(super) fn of(params: Params<'_>, largest: usize) -> Result<Self, ApiError> {
        Self::read(params, largest, 10_000)
    }

    /// The same for lists of which nobody may ask for more than a page.
    pub(super) fn short(params: Params<'_>, largest: u32) -> Result<Self, ApiError> {
        Self::read(params, usize::try_from(largest).unwrap_or(usize::MAX), largest)
    }

    fn read(params: Params<'_>, largest: usize, most_asked: u32) -> Result<Self, ApiError> {
        let mut violations = Violations::default();
        let most = params.get("MaxItems").and_then(|text| {
            let Ok(number) = text.parse() else {
                violations.add(text, "maxItems", "Member must be a number");
                return None;
            };
            violations.range(number, "maxItems", 1, most_asked)
        });
        violations.check()?;
        let after = match params.get("Marker") {
            Some(marker) => Some(read_marker(&marker).ok_or_else(|| ApiError::invalid("Invalid Marker"))?),
            None => None,
        };
        let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(largest);
        Ok(Self { after, most: most.min(largest) })
    }

    /// Cuts the page out of a list that is sorted by `key`, and tells where the next one begins.
    pub(super) fn cut<T>(&self, items: Vec<T>, key: impl Fn(&T) -> String) -> (Vec<T>, Option<String>) {
        let is_new = |item: &T| self.after.as_ref().is_none_or(|after| key(item) > *after);
        let mut rest = items.into_iter().skip_while(|item| !is_new(item));
        let page: Vec<_> = rest.by_ref().take(self.most).collect();
        let more = rest.next().is_some();
        let marker = page.last().filter(|_| more).map(|last| URL_SAFE_NO_PAD.encode(key(last)));
        (page, marker)
    }
}

fn read_marker(marker: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(marker).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_one_another_until_the_list_ends() {
        let items = || ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        let mut seen = Vec::new();
        let mut query = "MaxItems=2".to_owned();
        loop {
            let page = Page::of(Params::new(Some(&query)), 50).unwrap();
            let (items, marker) = page.cut(items(), String::clone);
            seen.push(items.join(""));
            match marker {
                Some(marker) => query = format!("MaxItems=2&Marker={marker}"),
                None => break,
            }
        }
        assert_eq!(seen, ["ab", "cd", "e"]);
    }

    #[test]
    fn an_impossible_page_is_refused() {
        for (query, expected) in [
            (
                "MaxItems=0",
                "ValidationException: 1 validation error detected: Value '0' at 'maxItems' failed to satisfy constraint: Member must have value greater than or equal to 1",
            ),
            (
                "MaxItems=x",
                "ValidationException: 1 validation error detected: Value 'x' at 'maxItems' failed to satisfy constraint: Member must be a number",
            ),
            ("Marker=***", "InvalidParameterValueException: Invalid Marker"),
        ] {
            assert_eq!(Page::of(Params::new(Some(query)), 50).unwrap_err().to_string(), expected);
        }
    }
}

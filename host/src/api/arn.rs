//! Names of functions in all the forms that AWS takes.
//!
//! ```text
//! (arn:(aws…)?:lambda:)? (region:)? (account:)? (function:)? name (:qualifier)?
//! ```

/// A function's name, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FunctionName<'a> {
    /// If it was given.
    pub(super) region: Option<&'a str>,
    /// If it was given.
    pub(super) account: Option<&'a str>,
    /// The bare name.
    pub(super) name: &'a str,
    /// If it was given.
    pub(super) qualifier: Option<&'a str>,
}

/// What an operation takes as a function's name. The model has two forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NameRule {
    /// Longest form in characters.
    pub(super) max_length: usize,
    /// As errors show it.
    pub(super) pattern: &'static str,
    /// Whether a name may have dots.
    dots: bool,
}

/// For operations that read, invoke or delete.
pub(super) const NAMESPACED: NameRule = NameRule {
    max_length: 256,
    pattern: r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?",
    dots: true,
};

/// For operations that create or change.
pub(super) const PLAIN: NameRule = NameRule {
    max_length: 140,
    pattern: r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?",
    dots: false,
};

/// For operations on a function as a whole.
pub(super) const UNQUALIFIED: NameRule = NameRule {
    max_length: 140,
    pattern: r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)",
    dots: false,
};

/// As errors show it.
pub(super) const QUALIFIER_PATTERN: &str = r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+";

/// Longest qualifier in characters.
pub(super) const QUALIFIER_MAX: usize = 128;

impl NameRule {
    /// The same for names that are at most so long.
    pub(super) const fn at_most(self, max_length: usize) -> Self {
        Self { max_length, ..self }
    }

    /// Takes a name apart; `None` if it does not fit the pattern. Its length is the caller's affair.
    pub(super) fn parse<'a>(&self, text: &'a str) -> Option<FunctionName<'a>> {
        if self.is_name(text) {
            return Some(FunctionName { region: None, account: None, name: text, qualifier: None });
        }
        // Whatever may be left out is tried as there first, as a pattern would be matched.
        let full = without_arn(text).and_then(|rest| self.after_arn(rest));
        full.or_else(|| self.after_arn(text))
    }

    fn after_arn<'a>(&self, text: &'a str) -> Option<FunctionName<'a>> {
        let with_region = text.split_once(':').filter(|(region, _)| is_region(region));
        let with_region = with_region.and_then(|(region, rest)| {
            let name = self.after_region(rest)?;
            Some(FunctionName { region: Some(region), ..name })
        });
        with_region.or_else(|| self.after_region(text))
    }

    fn after_region<'a>(&self, text: &'a str) -> Option<FunctionName<'a>> {
        let with_account = text.split_once(':').filter(|(account, _)| is_account(account));
        let with_account = with_account.and_then(|(account, rest)| {
            let name = self.after_account(rest)?;
            Some(FunctionName { account: Some(account), ..name })
        });
        with_account.or_else(|| self.after_account(text))
    }

    fn after_account<'a>(&self, text: &'a str) -> Option<FunctionName<'a>> {
        let with_prefix = text.strip_prefix("function:").and_then(|rest| self.name_and_qualifier(rest));
        with_prefix.or_else(|| self.name_and_qualifier(text))
    }

    fn name_and_qualifier<'a>(&self, text: &'a str) -> Option<FunctionName<'a>> {
        let (name, qualifier) = match text.split_once(':') {
            Some((name, qualifier)) => (name, Some(qualifier)),
            None => (text, None),
        };
        let fits = self.is_name(name) && qualifier.is_none_or(|qualifier| self.is_arn_qualifier(qualifier));
        fits.then_some(FunctionName { region: None, account: None, name, qualifier })
    }

    fn is_name(&self, text: &str) -> bool {
        !text.is_empty() && text.bytes().all(|byte| is_word(byte) || (self.dots && byte == b'.'))
    }

    fn is_arn_qualifier(&self, text: &str) -> bool {
        let published = self.dots && text == "$LATEST.PUBLISHED";
        text == "$LATEST" || published || (!text.is_empty() && text.bytes().all(is_word))
    }
}

/// Whether it fits [`QUALIFIER_PATTERN`]. Its length is the caller's affair.
pub(super) fn is_qualifier(text: &str) -> bool {
    text == "$LATEST.PUBLISHED"
        || (!text.is_empty() && text.bytes().all(|byte| is_word(byte) || byte == b'$'))
}

/// Whether these are twelve digits.
pub(super) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether it has the form of an ARN, of whatever service: region and account may be empty.
pub(super) fn is_resource(text: &str) -> bool {
    let parts: Vec<_> = text.splitn(6, ':').collect();
    let ["arn", partition, service, region, account, _] = parts[..] else { return false };
    let is_word = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    partition.starts_with("aws")
        && is_word(partition)
        && !service.is_empty()
        && is_word(service)
        && (region.is_empty() || is_region(region))
        && (account.is_empty() || is_account(account))
}

/// Whether it has the form of a region's name: `us-east-1`, `us-gov-west-1`, `eusc-de-east-1`.
pub(super) fn is_region(text: &str) -> bool {
    let text = text.strip_prefix("eusc-").unwrap_or(text);
    let mut parts = text.split('-');
    let letters = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let Some(land) = parts.next().filter(|land| land.len() == 2 && letters(land)) else { return false };
    let rest = &text[land.len()..];
    let is_tail = |tail: &str| {
        let Some(tail) = tail.strip_prefix('-') else { return false };
        let mut parts = tail.split('-');
        let direction = parts.next().is_some_and(letters);
        let number =
            parts.next().is_some_and(|number| number.len() == 1 && number.as_bytes()[0].is_ascii_digit());
        direction && number && parts.next().is_none()
    };
    let gov = rest.strip_prefix("-gov");
    let iso = rest.strip_prefix("-iso");
    let iso = iso.map(|rest| rest.strip_prefix(|letter: char| letter.is_ascii_lowercase()).unwrap_or(rest));
    [Some(rest), gov, iso].into_iter().flatten().any(is_tail)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

fn without_arn(text: &str) -> Option<&str> {
    let (partition, rest) = text.strip_prefix("arn:")?.split_once(':')?;
    let tail = partition.strip_prefix("aws");
    let known = partition.is_empty()
        || tail.is_some_and(|tail| tail.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-'));
    if known { rest.strip_prefix("lambda:") } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(rule: NameRule, text: &str) -> String {
        match rule.parse(text) {
            None => "-".to_owned(),
            Some(FunctionName { region, account, name, qualifier }) => {
                let or_not = |part: Option<&str>| part.unwrap_or("_").to_owned();
                [or_not(region), or_not(account), name.to_owned(), or_not(qualifier)].join(" ")
            }
        }
    }

    #[test]
    fn every_form_of_a_name_is_taken_apart() {
        for (text, expected) in [
            ("f", "_ _ f _"),
            ("my-func_1", "_ _ my-func_1 _"),
            ("with.dots", "_ _ with.dots _"),
            ("f:live", "_ _ f live"),
            ("f:$LATEST", "_ _ f $LATEST"),
            ("f:$LATEST.PUBLISHED", "_ _ f $LATEST.PUBLISHED"),
            ("function:f", "_ _ f _"),
            ("function", "_ _ function _"),
            ("123456789012:function:f", "_ 123456789012 f _"),
            ("123456789012:f:1", "_ 123456789012 f 1"),
            ("123456789012", "_ _ 123456789012 _"),
            ("us-east-1:123456789012:function:f", "us-east-1 123456789012 f _"),
            ("us-east-1:f", "us-east-1 _ f _"),
            ("us-east-1", "_ _ us-east-1 _"),
            ("arn:aws:lambda:us-east-1:123456789012:function:f", "us-east-1 123456789012 f _"),
            ("arn:aws:lambda:us-east-1:123456789012:function:f:live", "us-east-1 123456789012 f live"),
            ("arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:f", "us-gov-west-1 123456789012 f _"),
            ("arn::lambda:function:f", "_ _ f _"),
            ("arn:lambda", "_ _ arn lambda"),
        ] {
            assert_eq!(shown(NAMESPACED, text), expected, "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_the_pattern_is_no_name() {
        for text in [
            "",
            "a b",
            "f:",
            ":f",
            "f:a b",
            "f:$latest",
            "f:1:2",
            "bad!name",
            "fünf",
            "arn:aws:lambda:us-east-1:123400000000@function:myfn",
            "arn:aws:lambda:us-east-1:123456789012:function:f:1:2",
            "arn:gcp:lambda:us-east-1:123456789012:function:f",
            "arn:aws:s3:us-east-1:123456789012:function:f",
            "arn:aws:lambda:nowhere:123456789012:function:f",
            "arn:aws:lambda:us-east-1:1234:function:f",
        ] {
            assert_eq!(shown(NAMESPACED, text), "-", "{text}");
        }
        assert_eq!(shown(PLAIN, "with.dots"), "-");
        assert_eq!(shown(PLAIN, "f:$LATEST.PUBLISHED"), "-");
    }

    #[test]
    fn regions_are_known_by_their_form() {
        for region in [
            "us-east-1",
            "eu-central-2",
            "us-gov-west-1",
            "us-iso-east-1",
            "us-isob-east-1",
            "eusc-de-east-1",
        ] {
            assert!(is_region(region), "{region}");
        }
        for text in [
            "",
            "us",
            "us-east",
            "us-east-10",
            "USA-east-1",
            "us--1",
            "us-east-1-2",
            "us-isoab-east-1",
            "local",
        ] {
            assert!(!is_region(text), "{text}");
        }
    }

    #[test]
    fn qualifiers_are_words_and_dollars() {
        for (text, expected) in [
            ("$LATEST", true),
            ("$latest", true),
            ("live", true),
            ("1", true),
            ("invalid!", false),
            ("", false),
        ] {
            assert_eq!(is_qualifier(text), expected, "{text}");
        }
    }
}

//! `docs/api.md`, as the table has it.

use std::fmt::{self, Display, Write as _};

use super::{Family, Operation, Route, Tier, table::FAMILIES};

const HEAD: &str = "\
# The Lambda API

Every operation of AWS's Lambda API, and what Hearth makes of it. `hearth api` prints this page: it is made from the
table that the router is built from. `UPDATE_EXPECT=1 cargo test -p hearth-host operations` writes it anew, and
`tests/clients/test_service_model.py` holds it against the service model of AWS's own SDKs, member by member.

- **acted on**: it makes the difference that it makes at AWS.
- **stored and shown**: it is checked, kept, and in the answers; nothing else comes of it.
- **refused**: a function would rely on it, so the request is answered with `InvalidParameterValueException`.
- **forgotten**: it is checked, if anything, and neither kept nor shown.

What stands in the path of a request is not listed: an operation with an empty row takes nothing else. Members that
the model does not have are ignored, as by AWS. What is not supported at all is answered with status 501,
`NotSupportedByHostException` and the name of the operation.

Tiers: *core* is what running functions takes; *small* what tools call, and little hangs on; *control plane* what
configures other services; *outside* what is about AWS's own machinery.
";

/// What this host makes of the Lambda API, in Markdown.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for family in FAMILIES {
        // Writing to a string does not fail.
        let _ = write!(page, "\n{family}");
    }
    page
}

impl Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "## {}\n\nTier: {}.", self.title, self.tier)?;
        let space = if self.note.is_empty() { "" } else { " " };
        writeln!(f, "{space}{}", self.note)?;
        if self.operations.iter().all(|it| matches!(it.route, Route::Refused(..))) {
            writeln!(f, "\nNot supported by this host:\n")?;
            return self.operations.iter().try_for_each(|it| writeln!(f, "- `{}`", it.name));
        }
        writeln!(
            f,
            "\n| operation | acted on | stored and shown | refused | forgotten |\n|---|---|---|---|---|"
        )?;
        self.operations.iter().try_for_each(|operation| write!(f, "{operation}"))
    }
}

impl Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Core => "core",
            Self::Small => "small",
            Self::Control => "control plane",
            Self::Outside => "outside",
        })
    }
}

impl Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Route::Refused(..) = self.route {
            return writeln!(f, "| `{}` | not supported by this host | | | |", self.name);
        }
        write!(f, "| `{}` |", self.name)?;
        for members in [self.acts_on, self.stores, self.refuses, self.forgets] {
            let members: Vec<_> = members.split_whitespace().map(|member| format!("`{member}`")).collect();
            let space = if members.is_empty() { "" } else { " " };
            write!(f, " {}{space}|", members.join(", "))?;
        }
        writeln!(f)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect_file;

    #[test]
    fn the_page_of_operations_is_what_the_table_says() {
        expect_file!["../../../../docs/api.md"].assert_eq(&super::page());
    }
}

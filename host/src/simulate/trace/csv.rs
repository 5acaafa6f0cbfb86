//! Tables of comma-separated values, and what can be wrong with them, to the line and column.

use std::fmt;

use super::MOST_A_MINUTE;

/// A table: a header, then rows. There are no quotes and no commas inside of values.
#[derive(Debug)]
pub(super) struct Table<'a> {
    file: &'a str,
    header: Vec<&'a str>,
    text: std::iter::Enumerate<std::str::Lines<'a>>,
}

/// One row of a table, with as many values as the header has names.
#[derive(Debug)]
pub(super) struct Row<'a> {
    file: &'a str,
    /// The first line, which is the header, is line 1.
    line: usize,
    values: Vec<&'a str>,
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column<'a> {
    name: &'a str,
    /// Counted from 0.
    index: usize,
}

/// What is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::simulate) struct Problem(String);

impl Problem {
    /// Something that concerns the whole file.
    pub(super) fn of_file(file: &str, problem: impl fmt::Display) -> Self {
        Self(format!("{file}: {problem}"))
    }

    pub(super) fn at(file: &str, line: usize, column: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self(format!("{file}, line {line}, column {column}: {problem}"))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Problem {}

impl<'a> Table<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Result<Self, Problem> {
        // Spreadsheets put a byte order mark in front.
        let mut text = text.trim_start_matches('\u{feff}').lines().enumerate();
        let (_, header) = text.next().filter(|(_, header)| !header.trim().is_empty()).ok_or_else(|| {
            Problem::at(file, 1, 1, "the header is missing; the first line must name the columns")
        })?;
        Ok(Self { file, header: split(header), text })
    }

    /// The column with this name.
    pub(super) fn column(&self, name: &'static str) -> Result<Column<'a>, Problem> {
        self.find(name).ok_or_else(|| {
            let shown = self.header.iter().take(5).copied().collect::<Vec<_>>().join(", ");
            let more = if 5 < self.header.len() { ", …" } else { "" };
            Problem::at(self.file, 1, name, format!("missing; the columns are {shown}{more}"))
        })
    }

    /// The columns of the minutes, `minute_1` or `1` onward, in their order.
    pub(super) fn minutes(&self) -> Result<Vec<Column<'a>>, Problem> {
        let mut minutes = Vec::new();
        for (index, name) in self.header.iter().copied().enumerate() {
            let number = name.strip_prefix("minute_").unwrap_or(name);
            if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
                continue;
            }
            let expected = minutes.len() + 1;
            if number.parse() != Ok(expected) {
                let problem = format!("minute_{expected} is missing: `{name}` stands where it should be");
                return Err(Problem::at(self.file, 1, index + 1, problem));
            }
            minutes.push(Column { name, index });
        }
        if minutes.is_empty() {
            let problem = "missing; a trace counts invocations in columns minute_1, minute_2 and so on";
            return Err(Problem::at(self.file, 1, "minute_1", problem));
        }
        Ok(minutes)
    }

    /// All rows, at least one.
    pub(super) fn rows(self) -> Result<Vec<Row<'a>>, Problem> {
        let Self { file, header, text } = self;
        let rows: Vec<_> = text
            .filter(|(_, line)| !line.trim().is_empty())
            .map(|(index, line)| Row::new(file, index + 1, line, header.len()))
            .collect::<Result<_, _>>()?;
        if rows.is_empty() {
            return Err(Problem::at(file, 2, 1, "no rows; there must be at least one below the header"));
        }
        Ok(rows)
    }

    fn find(&self, name: &str) -> Option<Column<'a>> {
        let index = self.header.iter().position(|it| *it == name)?;
        Some(Column { name: self.header[index], index })
    }
}

impl<'a> Row<'a> {
    fn new(file: &'a str, line: usize, text: &'a str, width: usize) -> Result<Self, Problem> {
        let values = split(text);
        if values.len() != width {
            let problem = format!("the row has {} values, the header has {width} columns", values.len());
            return Err(Problem::at(file, line, values.len().min(width) + 1, problem));
        }
        Ok(Self { file, line, values })
    }

    /// The text in a column; not empty.
    pub(super) fn text(&self, column: Column<'_>) -> Result<&'a str, Problem> {
        let text = self.values[column.index];
        if text.is_empty() { Err(self.problem(column, "is empty")) } else { Ok(text) }
    }

    /// The number of invocations in a column.
    pub(super) fn count(&self, column: Column<'_>) -> Result<u32, Problem> {
        let text = self.values[column.index];
        // Most cells of a trace are zero.
        if text == "0" {
            return Ok(0);
        }
        match (text.parse::<u32>(), text.parse::<f64>()) {
            (Ok(count), _) if count <= MOST_A_MINUTE => Ok(count),
            (_, Ok(number)) if number < 0.0 => Err(self.problem(column, format!("`{text}` is negative"))),
            (_, Ok(number)) if f64::from(MOST_A_MINUTE) < number => {
                Err(self.problem(column, format!("`{text}` is more than {MOST_A_MINUTE}")))
            }
            _ => Err(self.problem(column, format!("`{text}` is not a whole number"))),
        }
    }

    /// The quantity in a column: finite, and not negative.
    pub(super) fn quantity(&self, column: Column<'_>) -> Result<f64, Problem> {
        let text = self.values[column.index];
        match text.parse::<f64>() {
            Ok(number) if number < 0.0 => Err(self.problem(column, format!("`{text}` is negative"))),
            Ok(number) if number.is_finite() => Ok(number),
            _ => Err(self.problem(column, format!("`{text}` is not a number"))),
        }
    }

    fn problem(&self, column: Column<'_>, problem: impl fmt::Display) -> Problem {
        let Column { name, index } = column;
        Problem::at(self.file, self.line, format!("{} ({name})", index + 1), problem)
    }
}

fn split(line: &str) -> Vec<&str> {
    line.split(',').map(str::trim).collect()
}

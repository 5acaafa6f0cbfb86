//! Traces in the layout of the Azure Functions dataset: one table of invocations, and, if there are, one of
//! durations and one of memory.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use hearth_pool::MemoryMib;

use super::csv::{Problem, Table};
use super::{Cell, Execution, Function, Trace, compressed};
use crate::simulate::quantity::nearest;

/// Columns of the durations' percentiles, as in [`Execution::PERCENTILES`].
const PERCENTILES: [&str; 7] = [
    "percentile_Average_0",
    "percentile_Average_1",
    "percentile_Average_25",
    "percentile_Average_50",
    "percentile_Average_75",
    "percentile_Average_99",
    "percentile_Average_100",
];

/// The files of a trace.
#[derive(Clone, Debug)]
pub(in crate::simulate) struct Files {
    pub(in crate::simulate) invocations: PathBuf,
    pub(in crate::simulate) durations: Option<PathBuf>,
    pub(in crate::simulate) memory: Option<PathBuf>,
}

/// What is taken where the files say nothing.
#[derive(Clone, Copy, Debug)]
pub(in crate::simulate) struct Defaults {
    pub(in crate::simulate) duration: Duration,
    pub(in crate::simulate) memory: MemoryMib,
}

/// What is taken from a file of durations
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::simulate) enum DurationModel {
    /// Every invocation of a function takes the average
    Average,
    /// Each is drawn from the function's percentiles
    Percentiles,
}

/// Names a function across the files: its app and itself.
type Key<'a> = (&'a str, &'a str);

impl Files {
    /// Reads and joins the files.
    pub(in crate::simulate) fn read(
        &self,
        defaults: Defaults,
        model: DurationModel,
    ) -> Result<Trace, Problem> {
        let invocations = Text::read(&self.invocations)?;
        let durations = self.durations.as_deref().map(Text::read).transpose()?;
        let memory = self.memory.as_deref().map(Text::read).transpose()?;
        let executions = durations.as_ref().map(|text| executions(text, model)).transpose()?;
        let memories = memory.as_ref().map(memories).transpose()?;
        join(&invocations, |key| Function {
            execution: executions
                .as_ref()
                .and_then(|known| known.get(&key).cloned())
                .unwrap_or(Execution::Constant(defaults.duration)),
            memory: memories.as_ref().and_then(|known| known.get(key.0).copied()).unwrap_or(defaults.memory),
        })
    }
}

/// A file's name and text.
#[derive(Debug)]
struct Text {
    file: String,
    text: String,
}

impl Text {
    fn read(path: &Path) -> Result<Self, Problem> {
        let file = path.display().to_string();
        let text = compressed::read(path)
            .map_err(|error| Problem::of_file(&file, format!("cannot read: {error}")))?;
        Ok(Self { file, text })
    }

    fn table(&self) -> Result<Table<'_>, Problem> {
        Table::new(&self.file, &self.text)
    }
}

/// The trace; each row of the invocations is a function.
fn join<'a>(invocations: &'a Text, function: impl Fn(Key<'a>) -> Function) -> Result<Trace, Problem> {
    let table = invocations.table()?;
    let key = [table.column("HashApp")?, table.column("HashFunction")?];
    let columns = table.minutes()?;
    let mut minutes = vec![Vec::new(); columns.len()];
    let mut functions = Vec::new();
    for (number, row) in (0..).zip(table.rows()?) {
        functions.push(function((row.text(key[0])?, row.text(key[1])?)));
        for (minute, &column) in minutes.iter_mut().zip(&columns) {
            let count = row.count(column)?;
            if count > 0 {
                minute.push(Cell { function: number, count });
            }
        }
    }
    let trace = Trace::new(functions, minutes);
    if trace.invocations == 0 {
        return Err(Problem::of_file(&invocations.file, "no invocations; every count is 0"));
    }
    Ok(trace)
}

fn executions(durations: &Text, model: DurationModel) -> Result<HashMap<Key<'_>, Execution>, Problem> {
    let table = durations.table()?;
    let key = [table.column("HashApp")?, table.column("HashFunction")?];
    let mut executions = HashMap::new();
    match model {
        DurationModel::Average => {
            let average = table.column("Average")?;
            for row in table.rows()? {
                let execution = Execution::Constant(millis(row.quantity(average)?));
                executions.insert((row.text(key[0])?, row.text(key[1])?), execution);
            }
        }
        DurationModel::Percentiles => {
            let columns = PERCENTILES.map(|name| table.column(name));
            for row in table.rows()? {
                let mut percentiles = [0.0; 7];
                for (percentile, column) in percentiles.iter_mut().zip(&columns) {
                    *percentile = row.quantity(column.clone()?)?;
                }
                let execution = Execution::Percentiles(percentiles);
                executions.insert((row.text(key[0])?, row.text(key[1])?), execution);
            }
        }
    }
    Ok(executions)
}

fn memories(memory: &Text) -> Result<HashMap<&str, MemoryMib>, Problem> {
    let table = memory.table()?;
    let (app, average) = (table.column("HashApp")?, table.column("AverageAllocatedMb")?);
    let rows = table.rows()?.into_iter();
    rows.map(|row| Ok((row.text(app)?, MemoryMib(nearest(row.quantity(average)?).max(1))))).collect()
}

fn millis(millis: f64) -> Duration {
    Duration::from_nanos(nearest(millis * 1e6))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use expect_test::{Expect, expect};

    use super::*;

    const INVOCATIONS: &str =
        "HashOwner,HashApp,HashFunction,Trigger,1,2,3\no,app,f,http,1,0,2\no,app,g,timer,0,0,1\n";
    const DURATIONS: &str = "HashApp,HashFunction,Average\napp,f,12.5\n";
    const MEMORY: &str = "HashApp,AverageAllocatedMb\napp,170.4\n";
    const DEFAULTS: Defaults = Defaults { duration: Duration::from_millis(100), memory: MemoryMib(128) };

    fn read(invocations: &str, durations: &str, memory: &str, model: DurationModel) -> Result<Trace, String> {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let files = Files {
            invocations: write("trace.csv", invocations),
            durations: Some(write("durations.csv", durations)),
            memory: Some(write("memory.csv", memory)),
        };
        let folder = format!("{}/", folder.path().display());
        files.read(DEFAULTS, model).map_err(|problem| problem.to_string().replace(&folder, ""))
    }

    #[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
    fn check_refused(invocations: &str, durations: &str, memory: &str, expected: Expect) {
        let problem = read(invocations, durations, memory, DurationModel::Average).unwrap_err();
        expected.assert_eq(&problem);
    }

    #[test]
    fn the_three_files_are_joined() {
        let trace = read(INVOCATIONS, DURATIONS, MEMORY, DurationModel::Average).unwrap();
        let function = |micros| Function {
            memory: MemoryMib(170),
            execution: Execution::Constant(Duration::from_micros(micros)),
        };
        let cell = |function, count| Cell { function, count };
        let minutes = vec![vec![cell(0, 1)], vec![], vec![cell(0, 2), cell(1, 1)]];
        assert_eq!(trace, Trace::new(vec![function(12_500), function(100_000)], minutes));
        assert_eq!(trace.invocations, 4);
    }

    #[test]
    fn the_columns_are_found_by_name_with_either_name_of_a_minute() {
        let other = "minute_1,HashFunction,minute_2,HashApp,minute_3\r\n1,f,0,app,2\r\n0,g,0,app,1\r\n";
        let same = |text| read(text, DURATIONS, MEMORY, DurationModel::Average).unwrap();
        assert_eq!(same(other), same(INVOCATIONS));
    }

    #[test]
    fn percentiles_are_taken_if_they_are_asked_for() {
        let header = PERCENTILES.join(",");
        let durations = format!("HashApp,HashFunction,{header}\napp,f,1,2,3,4,5,6,7.5\n");
        let trace = read(INVOCATIONS, &durations, MEMORY, DurationModel::Percentiles).unwrap();
        let expected = Execution::Percentiles([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.5]);
        assert_eq!(trace.functions[0].execution, expected);
        let problem = read(INVOCATIONS, DURATIONS, MEMORY, DurationModel::Percentiles).unwrap_err();
        expect!["durations.csv, line 1, column percentile_Average_0: missing; the columns are HashApp, HashFunction, Average"].assert_eq(&problem);
    }

    #[test]
    fn a_missing_column_is_named() {
        check_refused(
            "HashApp,minute_1\na,1\n",
            DURATIONS,
            MEMORY,
            expect!["trace.csv, line 1, column HashFunction: missing; the columns are HashApp, minute_1"],
        );
        check_refused(
            "HashApp,HashFunction\na,f\n",
            DURATIONS,
            MEMORY,
            expect![
                "trace.csv, line 1, column minute_1: missing; a trace counts invocations in columns minute_1, minute_2 and so on"
            ],
        );
        check_refused(
            INVOCATIONS,
            "HashApp,HashFunction\na,f\n",
            MEMORY,
            expect!["durations.csv, line 1, column Average: missing; the columns are HashApp, HashFunction"],
        );
        check_refused(
            INVOCATIONS,
            DURATIONS,
            "HashApp\na\n",
            expect!["memory.csv, line 1, column AverageAllocatedMb: missing; the columns are HashApp"],
        );
    }

    #[test]
    fn a_missing_minute_is_named() {
        check_refused(
            "HashApp,HashFunction,minute_1,minute_3\na,f,1,1\n",
            DURATIONS,
            MEMORY,
            expect!["trace.csv, line 1, column 4: minute_2 is missing: `minute_3` stands where it should be"],
        );
    }

    #[test]
    fn a_negative_number_is_shown_with_its_place() {
        check_refused(
            &INVOCATIONS.replace("http,1,0,2", "http,1,-3,2"),
            DURATIONS,
            MEMORY,
            expect!["trace.csv, line 2, column 6 (2): `-3` is negative"],
        );
        check_refused(
            INVOCATIONS,
            &DURATIONS.replace("12.5", "-12.5"),
            MEMORY,
            expect!["durations.csv, line 2, column 3 (Average): `-12.5` is negative"],
        );
        check_refused(
            INVOCATIONS,
            DURATIONS,
            &MEMORY.replace("170.4", "-1"),
            expect!["memory.csv, line 2, column 2 (AverageAllocatedMb): `-1` is negative"],
        );
    }

    #[test]
    fn what_is_no_number_is_shown_with_its_place() {
        check_refused(
            &INVOCATIONS.replace("timer,0", "timer,1.5"),
            DURATIONS,
            MEMORY,
            expect!["trace.csv, line 3, column 5 (1): `1.5` is not a whole number"],
        );
        check_refused(
            &INVOCATIONS.replace("timer,0", "timer,"),
            DURATIONS,
            MEMORY,
            expect!["trace.csv, line 3, column 5 (1): `` is not a whole number"],
        );
        check_refused(
            &INVOCATIONS.replace("timer,0", "timer,5000000000"),
            DURATIONS,
            MEMORY,
            expect!["trace.csv, line 3, column 5 (1): `5000000000` is more than 100000000"],
        );
        check_refused(
            INVOCATIONS,
            &DURATIONS.replace("12.5", "NaN"),
            MEMORY,
            expect!["durations.csv, line 2, column 3 (Average): `NaN` is not a number"],
        );
    }

    #[test]
    fn a_file_without_rows_is_refused() {
        check_refused(
            "HashApp,HashFunction,minute_1\n",
            DURATIONS,
            MEMORY,
            expect!["trace.csv, line 2, column 1: no rows; there must be at least one below the header"],
        );
        check_refused(
            "",
            DURATIONS,
            MEMORY,
            expect![
                "trace.csv, line 1, column 1: the header is missing; the first line must name the columns"
            ],
        );
        check_refused(
            INVOCATIONS,
            "HashApp,HashFunction,Average\n\n",
            MEMORY,
            expect!["durations.csv, line 2, column 1: no rows; there must be at least one below the header"],
        );
        check_refused(
            INVOCATIONS,
            DURATIONS,
            "HashApp,AverageAllocatedMb\n",
            expect!["memory.csv, line 2, column 1: no rows; there must be at least one below the header"],
        );
    }

    #[test]
    fn a_trace_without_invocations_is_refused() {
        check_refused(
            "HashApp,HashFunction,minute_1\na,f,0\n",
            DURATIONS,
            MEMORY,
            expect!["trace.csv: no invocations; every count is 0"],
        );
    }

    #[test]
    fn a_row_of_another_width_is_refused() {
        check_refused(
            "HashApp,HashFunction,minute_1\na,f\n",
            DURATIONS,
            MEMORY,
            expect!["trace.csv, line 2, column 3: the row has 2 values, the header has 3 columns"],
        );
        check_refused(
            "HashApp,HashFunction,minute_1\na,f,1,2\n",
            DURATIONS,
            MEMORY,
            expect!["trace.csv, line 2, column 4: the row has 4 values, the header has 3 columns"],
        );
        check_refused(
            "HashApp,HashFunction,minute_1\na,,1\n",
            DURATIONS,
            MEMORY,
            expect!["trace.csv, line 2, column 2 (HashFunction): is empty"],
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let files = Files { invocations: PathBuf::from("nowhere.csv"), durations: None, memory: None };
        let problem = files.read(DEFAULTS, DurationModel::Average).unwrap_err();
        expect!["nowhere.csv: cannot read: No such file or directory (os error 2)"]
            .assert_eq(&problem.to_string());
    }
}

use std::fs;

use clap::Parser;
use expect_test::{Expect, expect};
use hearth_pool::{DeployId, Event, FunctionId, FunctionSpec, RequestId, Timestamp};

use super::recording::Recorder;
use super::*;

/// Two functions in five minutes: one is invoked all the time, one only at both ends.
const TRACE: &str = "\
HashOwner,HashApp,HashFunction,minute_1,minute_2,minute_3,minute_4,minute_5
o,a,often,60,60,60,60,60
o,b,seldom,1,0,0,0,1
";
const DURATIONS: &str = "HashApp,HashFunction,Average\na,often,10\nb,seldom,1000\n";
const MEMORY: &str = "HashApp,AverageAllocatedMb\na,512\nb,1024\n";

#[derive(Debug, Parser)]
struct Wrapper {
    #[command(flatten)]
    simulate: Simulate,
}

/// Reads flags, with `DIR` for a folder that holds the trace's files.
fn flags(folder: &Path, words: &str) -> Simulate {
    let words = words.replace("DIR", &folder.display().to_string());
    Wrapper::try_parse_from(["simulate"].into_iter().chain(words.split_whitespace())).unwrap().simulate
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("trace.csv", TRACE), ("durations.csv", DURATIONS), ("memory.csv", MEMORY)] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

const FILES: &str =
    "DIR/trace.csv --durations DIR/durations.csv --memory DIR/memory.csv --cold constant:500ms";

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn check(words: &str, expected: Expect) {
    let folder = folder();
    let answer = match compare(&flags(folder.path(), words)) {
        // How fast it was differs each time.
        Ok(answer) => {
            let lines: Vec<_> = answer.rsplit_once("\n\n").unwrap().0.lines().map(str::trim).collect();
            lines.join("\n") + "\n"
        }
        Err(problem) => problem.replace(&folder.path().display().to_string(), "DIR"),
    };
    expected.assert_eq(&answer);
}

#[test]
fn policies_are_compared_on_a_small_trace() {
    check(
        &format!("{FILES} --policy ttl:1s,ttl:2m,ttl:10m"),
        expect![[r"
            302 invocations of 2 functions in 5 minutes; arrivals equidistant, cold starts constant:500ms

            POLICY   COLD %  COLD s  IDLE GB·h  FN COLD % P50    P75  QUEUE ms P50  P99  P99.9  REFUSED %  PREWARMS
            ttl:1s     1.66    2.50       0.04            1.0  100.0             0  500    500       0.00         0
            ttl:2m     0.99    1.50       0.09            0.3  100.0             0    0    500       0.00         0
            ttl:10m    0.66    1.00       0.11            0.3   50.0             0    0    500       0.00         0
        "]],
    );
}

#[test]
fn under_a_budget_the_longest_idle_makes_way() {
    check(
        &format!("{FILES} --policy ttl:10m --budget 1.25"),
        expect![[r"
            302 invocations of 2 functions in 5 minutes; arrivals equidistant, cold starts constant:500ms

            POLICY   COLD %  COLD s  IDLE GB·h  FN COLD % P50    P75  QUEUE ms P50  P99  P99.9  REFUSED %  PREWARMS
            ttl:10m    2.32    3.50       0.07            1.7  100.0             0  500   1602       0.00         0
        "]],
    );
}

#[test]
fn what_cannot_be_simulated_is_said_in_one_line() {
    check(
        &format!("{FILES} --budget 0.5"),
        expect!["--budget 0.5: less than one instance of the largest function, 1024 MiB"],
    );
    check(&format!("{FILES} --launches-at-once 0"), expect!["launches_at_once: must be at least 1"]);
    check(
        "DIR/memory.csv",
        expect![
            "DIR/memory.csv, line 1, column HashFunction: missing; the columns are HashApp, AverageAllocatedMb"
        ],
    );
    check(
        &format!("{FILES} --plot DIR/nowhere/it.svg"),
        expect!["DIR/nowhere/it.svg: cannot write: No such file or directory (os error 2)"],
    );
}

#[test]
fn json_has_every_figure_for_each_policy_and_seed() {
    let folder = folder();
    let answer =
        compare(&flags(folder.path(), &format!("{FILES} --policy ttl:1s,ttl:10m --seeds 3 --json"))).unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(
        (&answer["functions"], &answer["minutes"], &answer["invocations"]),
        (&2.into(), &5.into(), &302.into())
    );
    assert!(answer["trace_invocations_per_s"].as_f64().unwrap() > 0.0);
    let names: Vec<_> =
        answer["policies"].as_array().unwrap().iter().map(|row| row["policy"].as_str().unwrap()).collect();
    assert_eq!(names, ["ttl:1s", "ttl:10m"]);
    let row = &answer["policies"][1];
    let seeds = row["seeds"].as_array().unwrap();
    assert_eq!((seeds.len(), row["cold_seconds"].as_f64()), (3, Some(1.0)));
    for figure in ["cold_percent", "idle_gb_hours", "queue_ms_p99_9", "refused_percent", "prewarms"] {
        assert!(row[figure].is_f64() && seeds[2][figure].is_f64(), "{figure}");
    }
}

#[test]
fn a_synthetic_trace_is_simulated_the_same_each_time() {
    let folder = folder();
    let words = "--synthetic functions=20,minutes=60,rate=50 --policy ttl:5m --seeds 2 --json";
    let figures = || {
        let answer = compare(&flags(folder.path(), words)).unwrap();
        serde_json::from_str::<serde_json::Value>(&answer).unwrap()["policies"].take()
    };
    assert_eq!(figures(), figures());
}

#[test]
fn the_plot_is_written_to_its_file() {
    let folder = folder();
    compare(&flags(folder.path(), &format!("{FILES} --policy all --seeds 2 --plot DIR/it.svg"))).unwrap();
    let svg = fs::read_to_string(folder.path().join("it.svg")).unwrap();
    assert!(svg.contains(">2 functions, 302 invocations, mean of 2 seeds<") && svg.contains(">ttl:10m<"));
}

#[test]
fn a_replay_shows_what_the_pool_decided() {
    let folder = folder();
    let file = folder.path().join("bug.jsonl");
    let mut recorder = Recorder::create(&file, &Config::default()).unwrap();
    let function = FunctionId(0);
    let spec =
        FunctionSpec { memory: MemoryMib(128), slots: 1, reserved: None, reserve_group: 0, provisioned: 0 };
    let (request, deadline) = (RequestId(7), Timestamp::from_millis(1_500));
    recorder.record(Timestamp::START, &Event::Deployed { function, deploy: DeployId([0xab; 32]), spec });
    recorder.record(Timestamp::from_millis(1_000), &Event::Requested { request, function, deadline });
    recorder.record(Timestamp::from_millis(1_500), &Event::DeadlineReached);
    recorder.finish().unwrap();
    let answer = replay(&file, &flags(folder.path(), "--replay DIR/bug.jsonl --effects")).unwrap();
    expect![[r"
        1s Launch { instance: i0.0, function: f0, deploy: abababab, purpose: Demand }
        1.5s Refuse { request: r7, reason: Deadline(Launch) }
        3 events, the last effect at 1.500 s
        launches      1 (0 prewarms)
        grants        0 cold, 0 warm, 0 provisioned
        refusals      1
        terminations  0
    "]]
    .assert_eq(&answer);
}

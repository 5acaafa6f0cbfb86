//! What the policies decide about idle instances.

use std::fmt::Write as _;

use expect_test::expect;
use hearth_pool::{Config, KeepAlive, MemoryMib};

use crate::script::{check_with, play};

fn hybrid_histogram() -> Config {
    Config { keep_alive: KeepAlive::HybridHistogram, ..Config::default() }
}

#[test]
fn hybrid_histogram_keeps_a_function_that_it_does_not_know_for_four_hours() {
    check_with(
        hybrid_histogram(),
        "0s     deploy f v1
         0s     request f a
         1s     launched #1
         2s     release #1
         20000s wait",
        expect![[r"
            0ns launch #1 of f v1
            1s grant #1 to a, cold
            14402s terminate #1: Idle
        "]],
    );
}

#[test]
fn hybrid_histogram_unloads_a_function_until_shortly_before_it_is_expected() {
    // It has been idle for half an hour each time: it is expected again after 27 minutes, and until 34.1 minutes.
    check_with(
        hybrid_histogram(),
        "0s    deploy f v1
         0s    request f a
         1s    launched #1
         2s    release #1
         1802s request f b
         1803s release #1
         1804s terminated #1
         3424s launched #2
         3603s request f c
         3604s release #2
         3605s terminated #2
         5225s launched #3
         9000s wait",
        expect![[r"
            0ns launch #1 of f v1
            1s grant #1 to a, cold
            1802s grant #1 to b, warm
            1803s terminate #1: Idle
            3423s launch #2 of f v1, predicted
            3603s grant #2 to c, provisioned
            3604s terminate #2: Idle
            5224s launch #3 of f v1, predicted
            5650s terminate #3: Idle
        "]],
    );
}

#[test]
fn a_prediction_gives_way_to_whoever_comes_first() {
    check_with(
        hybrid_histogram(),
        "0s    deploy f v1
         0s    request f a
         1s    launched #1
         2s    release #1
         1802s request f b
         1803s release #1
         1804s terminated #1
         1900s request f c
         1901s launched #2
         9000s wait",
        expect![[r"
            0ns launch #1 of f v1
            1s grant #1 to a, cold
            1802s grant #1 to b, warm
            1803s terminate #1: Idle
            1900s launch #2 of f v1
            1901s grant #2 to c, cold
        "]],
    );
}

#[test]
fn nothing_makes_way_for_a_prediction() {
    // When f is expected, g has the whole budget: f's instance is not launched, and g's stays.
    check_with(
        Config { memory_budget: Some(MemoryMib(128)), ..hybrid_histogram() },
        "0s    deploy f v1; 0s deploy g v1
         0s    request f a
         1s    launched #1
         2s    release #1
         1802s request f b
         1803s release #1
         1804s terminated #1
         1900s request g c
         1901s launched #2
         1902s release #2
         4000s wait",
        expect![[r"
            0ns launch #1 of f v1
            1s grant #1 to a, cold
            1802s grant #1 to b, warm
            1803s terminate #1: Idle
            1900s launch #2 of g v1
            1901s grant #2 to c, cold
        "]],
    );
}

/// `f` is used five times and `g` once, later: then `h` needs the room of one of them.
fn under_pressure(keep_alive: KeepAlive) -> String {
    let mut script = "0s deploy f v1; 0s deploy g v1; 0s deploy h v1".to_owned();
    script += "\n0s request f a\n1s launched #1\n2s release #1";
    for second in (10..14).map(|it| it * 10) {
        write!(script, "\n{second}s request f a{second}\n{}s release #1", second + 1)
            .expect("a string takes everything");
    }
    script += "\n200s request g b\n201s launched #2\n202s release #2\n300s request h c";
    play(Config { keep_alive, memory_budget: Some(MemoryMib(256)), ..Config::default() }, &script)
}

#[test]
fn greedy_dual_and_level_cost_let_go_what_is_used_least_and_a_time_to_live_what_is_used_longest_ago() {
    let evicted = |keep_alive| under_pressure(keep_alive).contains("terminate #1: MemoryPressure");
    assert!(evicted(KeepAlive::Ttl(std::time::Duration::from_secs(600))));
    for keep_alive in [KeepAlive::GreedyDual, KeepAlive::LevelCost { price: 1e-6 }] {
        assert!(
            under_pressure(keep_alive.clone()).contains("terminate #2: MemoryPressure"),
            "{keep_alive:?}"
        );
        assert!(!evicted(keep_alive));
    }
}

#[test]
fn greedy_dual_keeps_what_nobody_needs_the_room_of() {
    check_with(
        Config { keep_alive: KeepAlive::GreedyDual, ..Config::default() },
        "0s    deploy f v1
         0s    request f a
         1s    launched #1
         2s    release #1
         90000s request f b",
        expect![[r"
            0ns launch #1 of f v1
            1s grant #1 to a, cold
            90000s grant #1 to b, warm
        "]],
    );
}

/// `f` is invoked two at a time at first, and then one at a time every 100 s: what becomes of the second instance?
#[test]
fn level_cost_keeps_the_level_that_is_used_and_not_the_one_that_a_burst_needed() {
    let mut script = "0s deploy f v1\n0s request f a b\n1s launched #1 #2\n2s release #1 #2".to_owned();
    for second in (1..40).map(|it| it * 100) {
        write!(script, "\n{second}s request f a{second}\n{}s release #2", second + 1)
            .expect("a string takes everything");
    }
    let transcript =
        play(Config { keep_alive: KeepAlive::LevelCost { price: 0.0025 }, ..Config::default() }, &script);
    let grants = transcript.lines().filter(|line| line.ends_with("warm")).count();
    let ended: Vec<_> = transcript.lines().filter(|line| line.contains("terminate")).collect();
    assert_eq!((grants, ended.as_slice()), (39, ["602s terminate #1: Idle"].as_slice()), "{transcript}");
}

//! A policy that foresees when a function is asked for again: its instance goes, and another one is ready in time.

use std::time::Duration;

use expect_test::expect;
use hearth_pool::{Config, KeepAlive, MemoryMib};

use super::script::check_with;

fn hybrid() -> Config {
    let pause = Duration::from_secs(3600);
    Config {
        keep_alive: KeepAlive::HybridHistogram,
        backoff_min: pause,
        backoff_max: pause,
        ..Config::default()
    }
}

/// Twice in half an hour: now the policy knows how long the function pauses.
const TWICE: &str = "
    0s deploy f v1; 0s request f a; 1s launched #1; 1s release #1
    1801s request f b; 1801s release #1; 1802s terminated #1
";

#[test]
fn an_instance_goes_between_two_uses_and_another_one_is_ready_for_the_next() {
    let script = format!("{TWICE} 3425s launched #2; 3601s request f c; 3602s release #2");
    check_with(
        hybrid(),
        &script,
        expect![[r"
        0ns launch #1 of f v1
        1s grant #1 to a, cold
        1801s grant #1 to b, warm
        1801s terminate #1: Idle
        3421s launch #2 of f v1, predicted
        3601s grant #2 to c, provisioned
        3602s terminate #2: Idle
    "]],
    );
}

#[test]
fn a_guess_that_comes_to_nothing_is_not_made_again() {
    let script = format!("{TWICE} 3422s failed #2; 9000s wait");
    check_with(
        hybrid(),
        &script,
        expect![[r"
        0ns launch #1 of f v1
        1s grant #1 to a, cold
        1801s grant #1 to b, warm
        1801s terminate #1: Idle
        3421s launch #2 of f v1, predicted
    "]],
    );
}

/// A launch for another request failed shortly before: its pause is an hour, and nobody waits at its end.
#[test]
fn a_guess_that_falls_into_the_pause_after_a_failure_is_made_at_its_end() {
    let script = "
        0s deploy f v1; 0s request f a; 1s launched #1; 1s release #1
        1801s request f b; 1801s request f c by 1802s; 1803s failed #2; 1804s release #1; 1805s terminated #1
        9000s wait
    ";
    check_with(
        hybrid(),
        script,
        expect![[r"
        0ns launch #1 of f v1
        1s grant #1 to a, cold
        1801s grant #1 to b, warm
        1801s launch #2 of f v1
        1802s refuse c: Deadline(Launch)
        1804s terminate #1: Idle
        5403s launch #3 of f v1, predicted
    "]],
    );
}

#[test]
fn whoever_comes_before_the_guess_is_served_by_a_launch_of_their_own() {
    let script = format!("{TWICE} 3000s request f c; 3001s launched #2");
    check_with(
        hybrid(),
        &script,
        expect![[r"
        0ns launch #1 of f v1
        1s grant #1 to a, cold
        1801s grant #1 to b, warm
        1801s terminate #1: Idle
        3000s launch #2 of f v1
        3001s grant #2 to c, cold
    "]],
    );
}

#[test]
fn a_guess_makes_nobody_go() {
    let config = Config { memory_budget: Some(MemoryMib(128)), ..hybrid() };
    let script = format!(
        "{TWICE} 3400s deploy g v1; 3400s request g x; 3401s launched #2; 3402s release #2; 3500s wait"
    );
    check_with(
        config,
        &script,
        expect![[r"
        0ns launch #1 of f v1
        1s grant #1 to a, cold
        1801s grant #1 to b, warm
        1801s terminate #1: Idle
        3400s launch #2 of g v1
        3401s grant #2 to x, cold
    "]],
    );
}

#[test]
fn under_greedy_dual_the_one_goes_that_is_used_least() {
    let config = Config {
        keep_alive: KeepAlive::GreedyDual,
        memory_budget: Some(MemoryMib(256)),
        ..Config::default()
    };
    let script = "
        0s deploy often v1; 0s deploy rare v1; 0s deploy new v1
        0s request often a; 1s launched #1; 1s release #1
        2s request often b; 2s release #1; 3s request often c; 3s release #1
        4s request rare d; 5s launched #2; 5s release #2
        6s request new e
    ";
    check_with(
        config,
        script,
        expect![[r"
        0ns launch #1 of often v1
        1s grant #1 to a, cold
        2s grant #1 to b, warm
        3s grant #1 to c, warm
        4s launch #2 of rare v1
        5s grant #2 to d, cold
        6s terminate #2: MemoryPressure
    "]],
    );
}

//! What becomes of a predicted launch when launches fail. How predictions are made is in `keep_alive.rs`.

use std::time::Duration;

use expect_test::expect;
use hearth_pool::{Config, KeepAlive};

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

//! Cost-aware scale-out: start another instance only if that is the quicker way.

use expect_test::expect;
use hearth_pool::{Config, ScaleOut};

use crate::script::check_with;

fn cost_aware() -> Config {
    Config { scale_out: ScaleOut::CostAware, ..Config::default() }
}

#[test]
fn one_that_will_be_free_sooner_than_a_start_takes_is_waited_for() {
    check_with(
        cost_aware(),
        "0s    deploy f v1
         0s    request f a
         1s    launched #1
         1.1s  release #1
         2s    request f b
         2s    request f c
         2.1s  release #1
         2.2s  release #1",
        expect![[r"
            0ns launch #1 of f v1
            1s grant #1 to a, cold
            2s grant #1 to b, warm
            2.1s grant #1 to c, warm
        "]],
    );
}

#[test]
fn a_line_that_busy_instances_cannot_serve_in_time_is_worth_a_start() {
    check_with(
        cost_aware(),
        "0s    deploy f v1
         0s    request f a
         1s    launched #1
         1.5s  release #1
         2s    request f b c d e f",
        expect![[r"
            0ns launch #1 of f v1
            1s grant #1 to a, cold
            2s grant #1 to b, warm
            2s launch #2 of f v1
            2s launch #3 of f v1
        "]],
    );
}

#[test]
fn who_has_waited_for_as_long_as_a_start_takes_is_worth_one() {
    check_with(
        cost_aware(),
        "0s    deploy f v1
         0s    request f a
         1s    launched #1
         1.1s  release #1
         2s    request f b
         2s    request f c
         10s   wait",
        expect![[r"
            0ns launch #1 of f v1
            1s grant #1 to a, cold
            2s grant #1 to b, warm
            3s launch #2 of f v1
        "]],
    );
}

#[test]
fn with_nothing_live_everybody_is_worth_a_start() {
    check_with(
        cost_aware(),
        "0s    deploy f v1
         0s    request f a b c",
        expect![[r"
            0ns launch #1 of f v1
            0ns launch #2 of f v1
            0ns launch #3 of f v1
        "]],
    );
}

//! The start gate, and who gets what when there is not enough for all.

use expect_test::expect;
use hearth_pool::{Config, MemoryMib};

use crate::script::check_with;

fn gate(launches_at_once: u32) -> Config {
    Config { launches_at_once, ..Config::default() }
}

#[test]
fn one_functions_burst_of_500_does_not_delay_anothers_first_start() {
    let names: Vec<String> = (1..=500).map(|number| format!("r{number}")).collect();
    let script = format!(
        "0s deploy f v1; 0s deploy g v1; 0s request f {}; 0s request g first; 1s launched #1; 2s launched #2 #3",
        names.join(" ")
    );
    check_with(
        gate(2),
        &script,
        expect![[r"
        0ns launch #1 of f v1
        0ns launch #2 of f v1
        1s grant #1 to r1, cold
        1s launch #3 of g v1
        2s grant #2 to r2, cold
        2s launch #4 of f v1
        2s grant #3 to first, cold
        2s launch #5 of f v1
    "]],
    );
}

#[test]
fn functions_take_turns_launch_by_launch() {
    check_with(
        gate(1),
        "0s deploy f v1
         0s deploy g v1
         0s deploy h v1
         0s request f a b c
         0s request g d e
         0s request h i
         1s launched #1
         2s launched #2
         3s launched #3
         4s launched #4
         5s launched #5",
        expect![[r"
            0ns launch #1 of f v1
            1s grant #1 to a, cold
            1s launch #2 of g v1
            2s grant #2 to d, cold
            2s launch #3 of h v1
            3s grant #3 to i, cold
            3s launch #4 of f v1
            4s grant #4 to b, cold
            4s launch #5 of g v1
            5s grant #5 to e, cold
            5s launch #6 of f v1
        "]],
    );
}

#[test]
fn launches_that_have_not_begun_are_withdrawn_when_those_who_waited_have_gone() {
    check_with(
        gate(1),
        "0s deploy f v1
         0s request f a b c d
         1s cancel b c d
         2s launched #1
         3s release #1",
        expect![[r"
            0ns launch #1 of f v1
            2s grant #1 to a, cold
        "]],
    );
}

#[test]
fn launches_that_have_not_begun_are_withdrawn_when_freed_instances_serve_the_line() {
    check_with(
        gate(1),
        "0s deploy f v1
         0s request f a b c
         1s launched #1
         2s release #1
         3s release #1
         4s launched #2",
        expect![[r"
            0ns launch #1 of f v1
            1s grant #1 to a, cold
            1s launch #2 of f v1
            2s grant #1 to b, warm
            3s grant #1 to c, warm
        "]],
    );
}

#[test]
fn a_launch_that_has_begun_joins_the_pool_if_those_who_waited_have_gone() {
    check_with(
        gate(1),
        "0s deploy f v1
         0s request f a
         1s cancel a
         2s launched #1
         3s request f b",
        expect![[r"
            0ns launch #1 of f v1
            3s grant #1 to b, cold
        "]],
    );
}

#[test]
fn a_function_that_floods_the_account_gives_an_instance_up_for_one_that_has_none() {
    check_with(
        Config { account_concurrency: 2, ..Config::default() },
        "0s deploy f v1
         0s deploy g v1
         0s request f a b c d e
         0s launched #1 #2
         1s request g first
         2s release #1
         3s launched #3
         4s release #2
         5s release #3",
        expect![[r"
            0ns launch #1 of f v1
            0ns launch #2 of f v1
            0ns grant #1 to a, cold
            0ns grant #2 to b, cold
            2s terminate #1: ConcurrencyPressure
            2s launch #3 of g v1
            3s grant #3 to first, cold
            4s grant #2 to c, warm
            5s terminate #3: ConcurrencyPressure
            5s launch #4 of f v1
        "]],
    );
}

#[test]
fn a_version_that_floods_the_reserved_concurrency_gives_an_instance_up_for_one_that_has_none() {
    check_with(
        gate(10),
        "0s deploy f v1 group=1 reserved=2
         0s deploy g v2 group=1 reserved=2
         0s request f a b c d
         0s launched #1 #2
         1s request g first
         2s release #1
         3s launched #3
         4s release #2",
        expect![[r"
            0ns launch #1 of f v1
            0ns launch #2 of f v1
            0ns grant #1 to a, cold
            0ns grant #2 to b, cold
            2s terminate #1: ConcurrencyPressure
            2s launch #3 of g v2
            3s grant #3 to first, cold
            4s grant #2 to c, warm
        "]],
    );
}

#[test]
fn a_function_that_floods_the_memory_gives_instances_up_for_one_that_has_none() {
    check_with(
        Config { memory_budget: Some(MemoryMib(300)), ..Config::default() },
        "0s deploy f v1 memory=100
         0s deploy g v1 memory=200
         0s request f a b c d e f
         0s launched #1 #2 #3
         1s request g first
         1.5s release #1
         2s release #2
         2.5s release #3
         2.6s terminated #2 #3
         3s launched #4",
        expect![[r"
            0ns launch #1 of f v1
            0ns launch #2 of f v1
            0ns launch #3 of f v1
            0ns grant #1 to a, cold
            0ns grant #2 to b, cold
            0ns grant #3 to c, cold
            1.5s grant #1 to d, warm
            2s terminate #2: MemoryPressure
            2.5s terminate #3: MemoryPressure
            2.6s launch #4 of g v1
            3s grant #4 to first, cold
        "]],
    );
}

//! Provisioned concurrency: instances that are kept ready.

use expect_test::expect;
use hearth_pool::{Config, MemoryMib};

use crate::script::{check, check_with};

#[test]
fn provisioned_instances_are_launched_before_anybody_comes_and_outlive_the_time_to_live() {
    check(
        "0s deploy f v1 provisioned=2
         1s launched #1 #2
         2h request f a
         2h release #2
         5h wait",
        expect![[r"
            0ns launch #1 of f v1, provisioned
            0ns launch #2 of f v1, provisioned
            7200s grant #2 to a, provisioned
        "]],
    );
}

#[test]
fn what_exceeds_the_floor_ages_out() {
    check(
        "0s deploy f v1 provisioned=1
         0s launched #1
         1s request f a b
         2s launched #2
         3s release #1 #2
         1h wait",
        expect![[r"
            0ns launch #1 of f v1, provisioned
            1s grant #1 to a, provisioned
            1s launch #2 of f v1
            2s grant #2 to b, cold
            603s terminate #2: Idle
        "]],
    );
}

#[test]
fn those_that_came_with_a_burst_are_used_last_and_leave_first() {
    check(
        "0s deploy f v1 provisioned=1
         0s launched #1
         1s request f a b c
         2s launched #2 #3
         3s release #1 #3 #2
         4s request f d
         5s request f e
         6s release #1 #2
         1h wait",
        expect![[r"
            0ns launch #1 of f v1, provisioned
            1s grant #1 to a, provisioned
            1s launch #2 of f v1
            1s launch #3 of f v1
            2s grant #2 to b, cold
            2s grant #3 to c, cold
            4s grant #1 to d, warm
            5s grant #2 to e, warm
            603s terminate #3: Idle
            606s terminate #2: Idle
        "]],
    );
}

#[test]
fn one_that_dies_is_replaced() {
    check(
        "0s deploy f v1 provisioned=1
         0s launched #1
         1s request f a
         2s release #1
         3s exited #1
         4s launched #2",
        expect![[r"
            0ns launch #1 of f v1, provisioned
            1s grant #1 to a, provisioned
            3s terminate #1: Exited
            3s launch #2 of f v1, provisioned
        "]],
    );
}

#[test]
fn a_deploy_replaces_them_and_a_removal_ends_them() {
    check(
        "0s deploy f v1 provisioned=1
         0s launched #1
         1s deploy f v2 provisioned=1
         2s launched #2
         3s remove f",
        expect![[r"
            0ns launch #1 of f v1, provisioned
            1s terminate #1: StaleDeploy
            1s launch #2 of f v2, provisioned
            3s terminate #2: Removed
        "]],
    );
}

#[test]
fn a_lowered_floor_lets_them_age_out() {
    check(
        "0s deploy f v1 provisioned=2
         0s launched #1 #2
         1h deploy f v1 provisioned=1
         2h deploy f v1",
        expect![[r"
            0ns launch #1 of f v1, provisioned
            0ns launch #2 of f v1, provisioned
            3600s terminate #1: Idle
            7200s terminate #2: Idle
        "]],
    );
}

#[test]
fn they_are_launched_after_those_that_somebody_waits_for_and_take_half_of_the_gate_at_most() {
    check_with(
        Config { launches_at_once: 4, ..Config::default() },
        "0s deploy f v1 provisioned=9
         0s deploy g v1
         0s request g a b c
         1s launched #1
         2s launched #2",
        expect![[r"
            0ns launch #1 of f v1, provisioned
            0ns launch #2 of f v1, provisioned
            0ns launch #3 of g v1
            0ns launch #4 of g v1
            1s launch #5 of g v1
            2s launch #6 of f v1, provisioned
        "]],
    );
}

#[test]
fn they_keep_their_place_in_the_reserved_concurrency_from_other_versions() {
    check(
        "0s deploy f v1 group=1 reserved=2 provisioned=1
         0s deploy g v2 group=1 reserved=2
         0s request g a b
         1s launched #1 #2
         2s release #2
         3s request f c",
        expect![[r"
            0ns launch #1 of f v1, provisioned
            0ns launch #2 of g v2
            1s grant #2 to a, cold
            2s grant #2 to b, warm
            3s grant #1 to c, provisioned
        "]],
    );
}

#[test]
fn a_version_for_which_provisioned_concurrency_leaves_nothing_is_refused_at_once() {
    check(
        "0s deploy f v1 group=1 reserved=1 provisioned=1
         0s deploy g v2 group=1 reserved=1
         0s request g a",
        expect![[r"
            0ns launch #1 of f v1, provisioned
            0ns refuse a: ReservedConcurrency
        "]],
    );
}

#[test]
fn memory_pressure_spares_them() {
    check_with(
        Config { memory_budget: Some(MemoryMib(500)), ..Config::default() },
        "0s deploy f v1 provisioned=1 memory=300
         0s deploy g v1 memory=200
         0s launched #1
         1s request g a
         1s launched #2
         2s release #2
         3s request g b c by 5s
         9s wait",
        expect![[r"
            0ns launch #1 of f v1, provisioned
            1s launch #2 of g v1
            1s grant #2 to a, cold
            3s grant #2 to b, warm
            5s refuse c: Deadline(Memory)
        "]],
    );
}

#[test]
fn they_are_not_more_than_the_limit_allows() {
    check(
        "0s deploy f v1 reserved=1 provisioned=3
         0s launched #1",
        expect![[r"
            0ns launch #1 of f v1, provisioned
        "]],
    );
}

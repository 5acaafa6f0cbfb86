//! Concurrency: reserved, of the account, and what makes way.

use expect_test::expect;
use hearth_pool::Config;

use crate::script::{check, check_with};

#[test]
fn launches_under_way_count_against_the_limit() {
    check(
        "0s deploy f v1 reserved=2
         0s request f a b c
         1s launched #1
         2s launched #2
         3s release #1",
        expect![[r"
            0ns launch #1 of f v1
            0ns launch #2 of f v1
            1s grant #1 to a, cold
            2s grant #2 to b, cold
            3s grant #1 to c, warm
        "]],
    );
}

#[test]
fn versions_share_the_reserved_concurrency_of_their_function() {
    check(
        "0s deploy f v1 group=1 reserved=2
         0s deploy g v2 group=1 reserved=2
         0s request f a b
         0s request g c
         1s launched #1 #2
         2s release #1
         3s terminated #1
         3s launched #3",
        expect![[r"
            0ns launch #1 of f v1
            0ns launch #2 of f v1
            1s grant #1 to a, cold
            1s grant #2 to b, cold
            2s terminate #1: ConcurrencyPressure
            2s launch #3 of g v2
            3s grant #3 to c, cold
        "]],
    );
}

#[test]
fn an_idle_instance_of_another_version_makes_way_for_who_waits() {
    check(
        "0s deploy f v1 group=1 reserved=1
         0s deploy g v2 group=1 reserved=1
         0s request f a
         0s launched #1
         1s release #1
         2s request g b
         3s launched #2",
        expect![[r"
            0ns launch #1 of f v1
            0ns grant #1 to a, cold
            2s terminate #1: ConcurrencyPressure
            2s launch #2 of g v2
            3s grant #2 to b, cold
        "]],
    );
}

#[test]
fn at_the_limit_of_the_account_the_least_recently_used_instance_makes_way() {
    check_with(
        Config { account_concurrency: 2, ..Config::default() },
        "0s deploy f v1
         0s deploy g v1
         0s deploy h v1
         0s request f a
         0s request g b
         0s launched #1 #2
         1s release #2
         2s release #1
         3s request h c",
        expect![[r"
            0ns launch #1 of f v1
            0ns launch #2 of g v1
            0ns grant #1 to a, cold
            0ns grant #2 to b, cold
            3s terminate #2: ConcurrencyPressure
            3s launch #3 of h v1
        "]],
    );
}

#[test]
fn what_is_reserved_is_taken_out_of_what_the_others_share() {
    check_with(
        Config { account_concurrency: 3, ..Config::default() },
        "0s deploy f v1 reserved=2
         0s deploy g v1
         0s request g a b
         0s launched #1
         1s request f c d
         2s launched #2 #3
         3s request g e by 9s
         9s wait",
        expect![[r"
            0ns launch #1 of g v1
            0ns grant #1 to a, cold
            1s launch #2 of f v1
            1s launch #3 of f v1
            2s grant #2 to c, cold
            2s grant #3 to d, cold
            9s refuse e: Deadline(AccountConcurrency)
        "]],
    );
}

#[test]
fn a_function_with_reserved_concurrency_of_zero_is_refused_at_once() {
    check(
        "0s deploy f v1 reserved=0
         0s request f a
         1s deploy f v1 reserved=1
         1s request f b",
        expect![[r"
            0ns refuse a: ReservedConcurrency
            1s launch #1 of f v1
        "]],
    );
}

#[test]
fn reserving_nothing_for_a_function_refuses_those_who_wait_and_lets_those_who_run_finish() {
    check(
        "0s deploy f v1
         0s request f a b c
         0s launched #1 #2
         1s release #1
         2s release #1
         3s request f d
         3s request f e f
         4s deploy f v1 reserved=0
         5s launched #3
         5s release #1
         6s release #2",
        expect![[r"
            0ns launch #1 of f v1
            0ns launch #2 of f v1
            0ns launch #3 of f v1
            0ns grant #1 to a, cold
            0ns grant #2 to b, cold
            1s grant #1 to c, warm
            3s grant #1 to d, warm
            3s launch #4 of f v1
            4s refuse e: ReservedConcurrency
            4s refuse f: ReservedConcurrency
            5s terminate #3: Surplus
            5s terminate #1: Surplus
            6s terminate #2: Surplus
        "]],
    );
}

#[test]
fn a_lowered_limit_ends_idle_instances_at_once_and_busy_ones_when_they_are_done() {
    check(
        "0s deploy f v1
         0s request f a b c
         0s launched #1 #2 #3
         1s release #3
         2s deploy f v1 reserved=1
         3s release #1
         4s release #2
         5s request f d",
        expect![[r"
            0ns launch #1 of f v1
            0ns launch #2 of f v1
            0ns launch #3 of f v1
            0ns grant #1 to a, cold
            0ns grant #2 to b, cold
            0ns grant #3 to c, cold
            2s terminate #3: Surplus
            3s terminate #1: Surplus
            5s grant #2 to d, warm
        "]],
    );
}

#[test]
fn a_raised_limit_serves_those_who_wait() {
    check(
        "0s deploy f v1 reserved=1
         0s request f a b c
         1s deploy f v1 reserved=2
         2s deploy f v1",
        expect![[r"
            0ns launch #1 of f v1
            1s launch #2 of f v1
            2s launch #3 of f v1
        "]],
    );
}

#[test]
fn when_everything_is_reserved_the_others_are_refused_at_once() {
    check_with(
        Config { account_concurrency: 1, ..Config::default() },
        "0s deploy f v1
         0s request f a
         0s launched #1
         0s request f b by 60s
         1s deploy g v1 reserved=1
         2s release #1
         3s request f c",
        expect![[r"
            0ns launch #1 of f v1
            0ns grant #1 to a, cold
            1s refuse b: AccountConcurrency
            2s terminate #1: Surplus
            3s refuse c: AccountConcurrency
        "]],
    );
}

#[test]
fn what_is_given_back_is_for_the_others_again() {
    check_with(
        Config { account_concurrency: 1, ..Config::default() },
        "0s deploy f v1
         0s deploy g v1 reserved=1
         0s request f a
         1s remove g
         2s request f b",
        expect![[r"
            0ns refuse a: AccountConcurrency
            2s launch #1 of f v1
        "]],
    );
}

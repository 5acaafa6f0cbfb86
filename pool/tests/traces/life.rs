//! The basic life of an instance.

use std::time::Duration;

use expect_test::expect;
use hearth_pool::{Config, KeepAlive};

use crate::script::{check, check_with};

#[test]
fn a_first_request_launches_an_instance_that_the_next_one_finds_warm() {
    check(
        "0s    deploy f v1
         0s    request f a
         500ms launched #1
         600ms release #1
         1s    request f b
         2s    release #1
         15m   wait",
        expect![[r"
            0ns launch #1 of f v1
            500ms grant #1 to a, cold
            1s grant #1 to b, warm
            602s terminate #1: Idle
        "]],
    );
}

#[test]
fn the_instance_used_last_is_used_first_so_that_the_surplus_ages_out() {
    check(
        "0s   deploy f v1
         0s   request f a b c
         1s   launched #1 #2 #3
         2s   release #1 #2 #3
         3s   request f d
         4s   release #3
         5s   request f e
         6s   release #3
         700s wait",
        expect![[r"
            0ns launch #1 of f v1
            0ns launch #2 of f v1
            0ns launch #3 of f v1
            1s grant #1 to a, cold
            1s grant #2 to b, cold
            1s grant #3 to c, cold
            3s grant #3 to d, warm
            5s grant #3 to e, warm
            602s terminate #1: Idle
            602s terminate #2: Idle
            606s terminate #3: Idle
        "]],
    );
}

#[test]
fn a_freed_instance_serves_the_line_before_the_launch_that_was_begun_for_it_ends() {
    check(
        "0s    deploy f v1
         0s    request f a
         1s    launched #1
         2s    request f b
         2.1s  release #1
         2.5s  launched #2
         3s    request f c",
        expect![[r"
            0ns launch #1 of f v1
            1s grant #1 to a, cold
            2s launch #2 of f v1
            2.1s grant #1 to b, warm
            3s grant #2 to c, cold
        "]],
    );
}

#[test]
fn the_time_to_live_counts_from_the_end_of_a_long_invocation() {
    check(
        "0s    deploy f v1
         0s    request f a
         1s    launched #1
         30m   release #1
         39.9m wait
         41m   wait",
        expect![[r"
            0ns launch #1 of f v1
            1s grant #1 to a, cold
            2400s terminate #1: Idle
        "]],
    );
}

#[test]
fn an_instance_that_is_used_again_in_time_stays() {
    check(
        "0s   deploy f v1
         0s   request f a
         0s   launched #1
         0s   release #1
         599s request f b
         601s release #1
         1200s request f c
         1201s release #1
         1h   wait",
        expect![[r"
            0ns launch #1 of f v1
            0ns grant #1 to a, cold
            599s grant #1 to b, warm
            1200s grant #1 to c, warm
            1801s terminate #1: Idle
        "]],
    );
}

#[test]
fn an_instance_whose_time_is_over_is_not_granted_at_that_very_moment() {
    check(
        "0s   deploy f v1
         0s   request f a
         0s   launched #1
         1s   release #1
         601s request f b
         601s terminated #1
         602s launched #2",
        expect![[r"
            0ns launch #1 of f v1
            0ns grant #1 to a, cold
            601s terminate #1: Idle
            601s launch #2 of f v1
            602s grant #2 to b, cold
        "]],
    );
}

#[test]
fn slots_are_filled_on_instances_that_serve_already() {
    check(
        "0s  deploy f v1 slots=2
         0s  request f a b c
         1s  launched #1
         1s  launched #2
         2s  release #1
         2s  release #1
         3s  request f d
         4s  request f e
         5s  request f g",
        expect![[r"
            0ns launch #1 of f v1
            0ns launch #2 of f v1
            1s grant #1 to a, cold
            1s grant #1 to b, warm
            1s grant #2 to c, cold
            3s grant #2 to d, warm
            4s grant #1 to e, warm
            5s grant #1 to g, warm
        "]],
    );
}

#[test]
fn an_instance_with_slots_is_idle_once_all_of_them_are_free() {
    check(
        "0s   deploy f v1 slots=3
         0s   request f a b
         0s   launched #1
         1s   release #1
         700s wait
         701s release #1
         1301s wait",
        expect![[r"
            0ns launch #1 of f v1
            0ns grant #1 to a, cold
            0ns grant #1 to b, warm
            1301s terminate #1: Idle
        "]],
    );
}

#[test]
fn a_time_to_live_of_zero_ends_an_instance_after_each_invocation() {
    check_with(
        Config { keep_alive: KeepAlive::Ttl(Duration::ZERO), ..Config::default() },
        "0s  deploy f v1
         0s  request f a b
         1s  launched #1
         2s  release #1
         3s  release #1
         3s  terminated #1
         4s  launched #2",
        expect![[r"
            0ns launch #1 of f v1
            0ns launch #2 of f v1
            1s grant #1 to a, cold
            2s grant #1 to b, warm
            3s terminate #1: Idle
            4s terminate #2: Idle
        "]],
    );
}

#[test]
fn time_that_goes_back_counts_as_the_latest() {
    check(
        "5s  deploy f v1
         5s  request f a by 7s
         6s  launched #1
         1s  release #1
         2s  request f b",
        expect![[r"
            5s launch #1 of f v1
            6s grant #1 to a, cold
            2s grant #1 to b, warm
        "]],
    );
}

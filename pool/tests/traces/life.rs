//! The basic life of an instance.

use expect_test::expect;

use crate::script::check;

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
        expect![[r#"
            0ns launch #1 of f v1
            500ms grant #1 to a, cold
            1s grant #1 to b, warm
            602s terminate #1: Idle
        "#]],
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
        expect![[r#"
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
        "#]],
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
        expect![[r#"
            0ns launch #1 of f v1
            1s grant #1 to a, cold
            2s launch #2 of f v1
            2.1s grant #1 to b, warm
            3s grant #2 to c, cold
        "#]],
    );
}

#[test]
fn an_instance_that_broke_is_given_to_nobody() {
    check(
        "0s  deploy f v1 reserved=1
         0s  request f a b
         1s  launched #1
         2s  break #1
         3s  terminated #1
         4s  launched #2",
        expect![[r#"
            0ns launch #1 of f v1
            1s grant #1 to a, cold
            2s terminate #1: Broken
            2s launch #2 of f v1
            4s grant #2 to b, cold
        "#]],
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
        expect![[r#"
            0ns launch #1 of f v1
            0ns launch #2 of f v1
            1s grant #1 to a, cold
            1s grant #1 to b, warm
            1s grant #2 to c, cold
            3s grant #2 to d, warm
            4s grant #1 to e, warm
            5s grant #1 to g, warm
        "#]],
    );
}

//! Launches that fail, instances that die, and events that come late.

use expect_test::expect;

use crate::script::check;

#[test]
fn a_failed_launch_answers_all_who_can_have_no_other_and_is_not_repeated_by_each() {
    check(
        "0s    deploy f v1
         0s    request f a b c
         0s    deploy g v1
         500ms failed #1
         500ms failed #2
         500ms failed #3",
        expect![[r"
            0ns launch #1 of f v1
            0ns launch #2 of f v1
            0ns launch #3 of f v1
            500ms refuse a: the launch of #3 failed
            500ms refuse b: the launch of #3 failed
            500ms refuse c: the launch of #3 failed
        "]],
    );
}

#[test]
fn after_a_failure_the_next_request_waits_for_one_probe_that_comes_later() {
    check(
        "0s    deploy f v1
         0s    request f a
         0s    failed #1
         10ms  request f b c
         5s    wait
         5s    launched #2
         6s    request f d",
        expect![[r"
            0ns launch #1 of f v1
            0ns refuse a: the launch of #1 failed
            116.524998ms launch #2 of f v1
            5s grant #2 to b, cold
            5s launch #3 of f v1
            6s launch #4 of f v1
        "]],
    );
}

#[test]
fn pauses_grow_from_failure_to_failure() {
    check(
        "0s  deploy f v1
         0s  request f a
         0s  failed #1
         0s  request f b
         1s  failed #2
         1s  request f c
         3s  failed #3
         3s  request f d
         9s  failed #4
         9s  request f e
         20s wait",
        expect![[r"
            0ns launch #1 of f v1
            0ns refuse a: the launch of #1 failed
            116.524998ms launch #2 of f v1
            1s refuse b: the launch of #2 failed
            1.392923289s launch #3 of f v1
            3s refuse c: the launch of #3 failed
            3.652503134s launch #4 of f v1
            9s refuse d: the launch of #4 failed
            10.593528252s launch #5 of f v1
        "]],
    );
}

#[test]
fn no_probe_is_made_for_those_who_have_gone() {
    check(
        "0s  deploy f v1
         0s  request f a
         0s  failed #1
         1ms request f b
         2ms cancel b
         60s wait
         60s request f c",
        expect![[r"
            0ns launch #1 of f v1
            0ns refuse a: the launch of #1 failed
            60s launch #2 of f v1
        "]],
    );
}

#[test]
fn a_failure_leaves_those_who_have_a_busy_instance_waiting_for_it() {
    check(
        "0s deploy f v1
         0s request f a
         0s launched #1
         1s request f b
         2s failed #2
         3s release #1",
        expect![[r"
            0ns launch #1 of f v1
            0ns grant #1 to a, cold
            1s launch #2 of f v1
            2.116524998s launch #3 of f v1
            3s grant #1 to b, warm
        "]],
    );
}

#[test]
fn a_new_deploy_may_try_at_once() {
    check(
        "0s  deploy f v1
         0s  request f a
         0s  failed #1
         1ms request f b
         2ms deploy f v2",
        expect![[r"
            0ns launch #1 of f v1
            0ns refuse a: the launch of #1 failed
            2ms launch #2 of f v2
        "]],
    );
}

#[test]
fn a_waiter_that_the_pause_outlasts_is_told_that_it_waited_for_a_launch() {
    check(
        "0s  deploy f v1
         0s  request f a
         0s  failed #1
         1ms request f b by 50ms
         1s  wait",
        expect![[r"
            0ns launch #1 of f v1
            0ns refuse a: the launch of #1 failed
            50ms refuse b: Deadline(Launch)
        "]],
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
        expect![[r"
            0ns launch #1 of f v1
            1s grant #1 to a, cold
            2s terminate #1: Broken
            2s launch #2 of f v1
            4s grant #2 to b, cold
        "]],
    );
}

#[test]
fn an_instance_that_broke_for_one_lets_its_other_invocations_finish() {
    check(
        "0s  deploy f v1 slots=2
         0s  request f a b c
         1s  launched #1
         2s  break #1
         3s  launched #2
         4s  release #1",
        expect![[r"
            0ns launch #1 of f v1
            0ns launch #2 of f v1
            1s grant #1 to a, cold
            1s grant #1 to b, warm
            3s grant #2 to c, cold
            4s terminate #1: Broken
        "]],
    );
}

#[test]
fn an_idle_instance_that_dies_is_given_to_nobody() {
    check(
        "0s  deploy f v1
         0s  request f a
         0s  launched #1
         1s  release #1
         2s  exited #1
         3s  request f b",
        expect![[r"
            0ns launch #1 of f v1
            0ns grant #1 to a, cold
            2s terminate #1: Exited
            3s launch #2 of f v1
        "]],
    );
}

#[test]
fn a_busy_instance_that_dies_is_replaced_for_those_who_wait() {
    check(
        "0s  deploy f v1 reserved=1
         0s  request f a b
         1s  launched #1
         2s  exited #1
         2s  break #1
         3s  terminated #1
         4s  launched #2",
        expect![[r"
            0ns launch #1 of f v1
            1s grant #1 to a, cold
            2s terminate #1: Exited
            2s launch #2 of f v1
            4s grant #2 to b, cold
        "]],
    );
}

#[test]
fn two_dead_instances_in_a_row_cost_no_request() {
    check(
        "0s  deploy f v1
         0s  request f a b
         0s  launched #1 #2
         1s  release #1 #2
         2s  exited #1
         2s  exited #2
         3s  request f c
         4s  launched #3",
        expect![[r"
            0ns launch #1 of f v1
            0ns launch #2 of f v1
            0ns grant #1 to a, cold
            0ns grant #2 to b, cold
            2s terminate #1: Exited
            2s terminate #2: Exited
            3s launch #3 of f v1
            4s grant #3 to c, cold
        "]],
    );
}

#[test]
fn an_instance_that_dies_before_its_launch_is_answered_counts_as_a_failed_launch() {
    check(
        "0s  deploy f v1
         0s  request f a
         1s  exited #1
         2s  launched #1
         3s  request f b
         9s  exited #2
         9s  failed #2",
        expect![[r"
            0ns launch #1 of f v1
            2s terminate #1: Exited
            2s refuse a: the launch of #1 failed
            3s launch #2 of f v1
            9s refuse b: the launch of #2 failed
        "]],
    );
}

#[test]
fn an_instance_that_dies_as_soon_as_it_is_ready_is_not_launched_over_and_over() {
    check(
        "0s   deploy f v1 provisioned=1
         0s   launched #1
         0s   exited #1
         1s   launched #2
         1s   exited #2
         2s   launched #3
         2s   exited #3
         10s  wait",
        expect![[r"
            0ns launch #1 of f v1, provisioned
            0ns terminate #1: Exited
            116.524998ms launch #2 of f v1, provisioned
            1s terminate #2: Exited
            1.392923289s launch #3 of f v1, provisioned
            2s terminate #3: Exited
            2.652503134s launch #4 of f v1, provisioned
        "]],
    );
}

#[test]
fn what_is_said_of_an_instance_may_come_in_any_order_and_twice() {
    check(
        "0s  deploy f v1
         0s  request f a b
         0s  launched #1 #2
         1s  exited #1
         1s  terminated #1
         1s  break #1
         2s  terminated #2
         2s  release #2
         2s  exited #2
         3s  launched #1 #2
         3s  failed #1
         3s  terminated #1 #2
         4s  request f c",
        expect![[r"
            0ns launch #1 of f v1
            0ns launch #2 of f v1
            0ns grant #1 to a, cold
            0ns grant #2 to b, cold
            1s terminate #1: Exited
            4s launch #3 of f v1
        "]],
    );
}

#[test]
fn a_slot_given_back_twice_is_free_once() {
    check(
        "0s  deploy f v1 reserved=1
         0s  request f a
         0s  launched #1
         1s  release #1
         1s  release #1
         2s  request f b c",
        expect![[r"
            0ns launch #1 of f v1
            0ns grant #1 to a, cold
            2s grant #1 to b, warm
        "]],
    );
}

//! Versions, deploys and removals.

use expect_test::expect;

use crate::script::check;

#[test]
fn an_invocation_is_not_cut_off_by_a_deploy() {
    check(
        "0s deploy f v1
         0s request f a b
         0s launched #1 #2
         1s release #2
         2s deploy f v2
         3s request f c
         4s release #1
         5s launched #3",
        expect![[r"
            0ns launch #1 of f v1
            0ns launch #2 of f v1
            0ns grant #1 to a, cold
            0ns grant #2 to b, cold
            2s terminate #2: StaleDeploy
            3s launch #3 of f v2
            4s terminate #1: StaleDeploy
            5s grant #3 to c, cold
        "]],
    );
}

#[test]
fn a_launch_of_the_former_deploy_is_dropped_when_it_arrives() {
    check(
        "0s deploy f v1
         0s request f a
         1s deploy f v2
         2s launched #1
         3s launched #2",
        expect![[r"
            0ns launch #1 of f v1
            1s launch #2 of f v2
            2s terminate #1: StaleDeploy
            3s grant #2 to a, cold
        "]],
    );
}

#[test]
fn a_failed_launch_of_the_former_deploy_is_nobodys_failure() {
    check(
        "0s deploy f v1
         0s request f a
         1s deploy f v2
         2s failed #1
         3s launched #2",
        expect![[r"
            0ns launch #1 of f v1
            1s launch #2 of f v2
            3s grant #2 to a, cold
        "]],
    );
}

#[test]
fn versions_neither_share_nor_evict_each_others_instances() {
    check(
        "0s deploy f v1 group=1
         0s deploy g v2 group=1
         0s request f a
         0s request g b
         1s launched #1 #2
         2s release #1 #2
         3s request f c
         3s request g d
         4s deploy g v3
         5s release #1
         6s request f e",
        expect![[r"
            0ns launch #1 of f v1
            0ns launch #2 of g v2
            1s grant #1 to a, cold
            1s grant #2 to b, cold
            3s grant #1 to c, warm
            3s grant #2 to d, warm
            6s grant #1 to e, warm
        "]],
    );
}

#[test]
fn a_deploy_that_changes_only_limits_keeps_the_instances() {
    check(
        "0s deploy f v1
         0s request f a
         0s launched #1
         1s release #1
         2s deploy f v1 reserved=5
         3s request f b",
        expect![[r"
            0ns launch #1 of f v1
            0ns grant #1 to a, cold
            3s grant #1 to b, warm
        "]],
    );
}

#[test]
fn going_back_to_the_former_deploy_keeps_what_still_runs_it() {
    check(
        "0s deploy f v1
         0s request f a b
         0s launched #1
         1s deploy f v2
         2s deploy f v1
         3s launched #2
         4s release #1
         5s request f c",
        expect![[r"
            0ns launch #1 of f v1
            0ns launch #2 of f v1
            0ns grant #1 to a, cold
            1s launch #3 of f v2
            3s grant #2 to b, cold
            5s grant #1 to c, warm
        "]],
    );
}

#[test]
fn one_that_broke_stays_out_even_if_its_deploy_comes_back() {
    check(
        "0s deploy f v1 slots=2
         0s request f a b
         0s launched #1
         1s break #1
         2s deploy f v2 slots=2
         3s deploy f v1 slots=2
         4s request f c
         5s release #1",
        expect![[r"
            0ns launch #1 of f v1
            0ns grant #1 to a, cold
            0ns grant #1 to b, warm
            4s launch #2 of f v1
            5s terminate #1: Broken
        "]],
    );
}

#[test]
fn a_removed_function_refuses_those_who_wait_and_lets_those_who_run_finish() {
    check(
        "0s deploy f v1 reserved=1
         0s request f a b
         0s launched #1
         1s remove f
         2s request f c
         3s release #1
         3s terminated #1",
        expect![[r"
            0ns launch #1 of f v1
            0ns grant #1 to a, cold
            1s refuse b: NoSuchFunction
            2s refuse c: NoSuchFunction
            3s terminate #1: Removed
        "]],
    );
}

#[test]
fn a_removed_function_can_be_deployed_again() {
    check(
        "0s deploy f v1
         0s request f a
         0s launched #1
         1s remove f
         2s deploy f v2
         2s request f b
         3s launched #2
         4s release #1 #2
         5s request f c",
        expect![[r"
            0ns launch #1 of f v1
            0ns grant #1 to a, cold
            2s launch #2 of f v2
            3s grant #2 to b, cold
            4s terminate #1: StaleDeploy
            5s grant #2 to c, warm
        "]],
    );
}

#[test]
fn evicting_ends_idle_instances_at_once_busy_ones_when_done_and_launches_when_they_arrive() {
    check(
        "0s deploy f v1
         0s request f a b c
         0s launched #1 #2
         1s release #1
         2s cancel c
         2s release #1
         3s request f d e
         4s evict f
         5s release #2
         6s launched #3
         7s request f g
         8s launched #4",
        expect![[r"
            0ns launch #1 of f v1
            0ns launch #2 of f v1
            0ns launch #3 of f v1
            0ns grant #1 to a, cold
            0ns grant #2 to b, cold
            1s grant #1 to c, warm
            3s grant #1 to d, warm
            4s launch #4 of f v1
            5s terminate #2: Evicted
            6s terminate #3: Evicted
            7s launch #5 of f v1
            8s grant #4 to e, cold
        "]],
    );
}

#[test]
fn who_waits_while_every_instance_is_evicted_gets_another() {
    check(
        "0s deploy f v1 reserved=2
         0s request f a b
         0s launched #1 #2
         1s request f c d
         2s evict f
         3s release #1
         4s terminated #1
         4s exited #2
         5s launched #3
         5s terminated #2
         6s launched #4",
        expect![[r"
            0ns launch #1 of f v1
            0ns launch #2 of f v1
            0ns grant #1 to a, cold
            0ns grant #2 to b, cold
            3s terminate #1: Evicted
            3s launch #3 of f v1
            4s terminate #2: Exited
            4s launch #4 of f v1
            5s grant #3 to c, cold
            6s grant #4 to d, cold
        "]],
    );
}

#[test]
fn many_deploys_under_load_fail_nobody() {
    check(
        "0s    deploy f v1
         0s    request f a
         100ms launched #1
         100ms deploy f v2
         100ms request f b
         200ms launched #2
         200ms deploy f v3
         200ms request f c
         250ms release #1 #2
         300ms launched #3
         300ms release #3
         400ms request f d",
        expect![[r"
            0ns launch #1 of f v1
            100ms grant #1 to a, cold
            100ms launch #2 of f v2
            200ms grant #2 to b, cold
            200ms launch #3 of f v3
            250ms terminate #1: StaleDeploy
            250ms terminate #2: StaleDeploy
            300ms grant #3 to c, cold
            400ms grant #3 to d, warm
        "]],
    );
}

//! The host goes down.

use expect_test::expect;

use crate::script::check;

#[test]
fn nobody_is_admitted_any_more_and_everything_ends_in_good_order() {
    check(
        "0s deploy f v1 reserved=2 provisioned=1
         0s request f a b c
         0s launched #1
         1s shutdown
         2s request f d
         3s launched #2
         4s release #1
         5s terminated #1 #2",
        expect![[r"
            0ns launch #1 of f v1, provisioned
            0ns launch #2 of f v1
            0ns grant #1 to a, cold
            1s refuse b: ShuttingDown
            1s refuse c: ShuttingDown
            2s refuse d: ShuttingDown
            3s terminate #2: ShutDown
            4s terminate #1: ShutDown
        "]],
    );
}

#[test]
fn a_deploy_during_the_shutdown_changes_nothing() {
    check(
        "0s deploy f v1 provisioned=1
         0s launched #1
         1s shutdown
         2s deploy f v2 provisioned=1
         3s deploy g v1 provisioned=1",
        expect![[r"
            0ns launch #1 of f v1, provisioned
            1s terminate #1: ShutDown
        "]],
    );
}

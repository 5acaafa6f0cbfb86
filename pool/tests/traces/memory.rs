//! The memory budget.

use expect_test::expect;
use hearth_pool::{Config, MemoryMib};

use crate::script::check_with;

fn budget(mib: u64) -> Config {
    Config { memory_budget: Some(MemoryMib(mib)), ..Config::default() }
}

#[test]
fn the_least_recently_used_instance_anywhere_makes_way() {
    check_with(
        budget(500),
        "0s deploy f v1 memory=200
         0s deploy g v1 memory=200
         0s deploy h v1 memory=300
         0s request f a
         0s request g b
         0s launched #1 #2
         1s release #2
         2s release #1
         3s request h c
         4s terminated #2
         5s launched #3",
        expect![[r"
            0ns launch #1 of f v1
            0ns launch #2 of g v1
            0ns grant #1 to a, cold
            0ns grant #2 to b, cold
            3s terminate #2: MemoryPressure
            4s launch #3 of h v1
            5s grant #3 to c, cold
        "]],
    );
}

#[test]
fn memory_counts_until_the_backend_confirms_that_it_is_free() {
    check_with(
        budget(500),
        "0s deploy f v1 memory=400
         0s deploy g v1 memory=400
         0s request f a
         0s launched #1
         1s release #1
         2s request g b
         60s terminated #1",
        expect![[r"
            0ns launch #1 of f v1
            0ns grant #1 to a, cold
            2s terminate #1: MemoryPressure
            60s launch #2 of g v1
        "]],
    );
}

#[test]
fn as_many_make_way_at_once_as_a_burst_needs() {
    check_with(
        budget(300),
        "0s deploy f v1 memory=100
         0s deploy g v1 memory=100
         0s request f a b c
         0s launched #1 #2 #3
         1s release #1 #2 #3
         2s request g d e
         3s terminated #1 #2",
        expect![[r"
            0ns launch #1 of f v1
            0ns launch #2 of f v1
            0ns launch #3 of f v1
            0ns grant #1 to a, cold
            0ns grant #2 to b, cold
            0ns grant #3 to c, cold
            2s terminate #1: MemoryPressure
            2s terminate #2: MemoryPressure
            3s launch #4 of g v1
            3s launch #5 of g v1
        "]],
    );
}

#[test]
fn memory_that_was_made_free_for_one_is_not_taken_by_another() {
    check_with(
        budget(500),
        "0s deploy f v1 memory=400
         0s deploy g v1 memory=400
         0s deploy h v1 memory=100
         0s request f a
         0s launched #1
         1s release #1
         2s request g b
         2s request h c
         3s terminated #1
         3s request h d",
        expect![[r"
            0ns launch #1 of f v1
            0ns grant #1 to a, cold
            2s terminate #1: MemoryPressure
            2s launch #2 of h v1
            3s launch #3 of g v1
        "]],
    );
}

#[test]
fn nobody_makes_way_for_one_that_would_not_fit_all_the_same() {
    check_with(
        budget(500),
        "0s deploy f v1 memory=300
         0s deploy g v1 memory=100
         0s deploy h v1 memory=300
         0s request f a
         0s request g b
         0s launched #1 #2
         1s release #2
         2s request h c
         3s release #1
         4s terminated #1
         5s request g d",
        expect![[r"
            0ns launch #1 of f v1
            0ns launch #2 of g v1
            0ns grant #1 to a, cold
            0ns grant #2 to b, cold
            3s terminate #2: MemoryPressure
            3s terminate #1: MemoryPressure
            4s launch #3 of h v1
            5s launch #4 of g v1
        "]],
    );
}

#[test]
fn what_can_never_fit_is_refused_at_once() {
    check_with(
        budget(500),
        "0s deploy f v1 memory=501
         0s request f a",
        expect![[r"
            0ns refuse a: Memory
        "]],
    );
}

#[test]
fn what_needs_little_may_pass_by_what_needs_much_but_not_for_ever() {
    check_with(
        budget(400),
        "0s    deploy f v1 memory=100
         0s    deploy g v1 memory=300
         0s    request f a b
         0s    launched #1 #2
         500ms request g c
         600ms request f d
         600ms launched #3
         2s    request f e
         3s    release #1
         4s    release #1 #2 #3
         5s    terminated #1 #2",
        expect![[r"
            0ns launch #1 of f v1
            0ns launch #2 of f v1
            0ns grant #1 to a, cold
            0ns grant #2 to b, cold
            600ms launch #3 of f v1
            600ms grant #3 to d, cold
            3s terminate #1: MemoryPressure
            4s terminate #2: MemoryPressure
            4s grant #3 to e, warm
            5s launch #4 of g v1
        "]],
    );
}

#[test]
fn a_small_function_has_its_first_instance_whoever_waits_for_memory() {
    check_with(
        budget(500),
        "0s  deploy f v1 memory=300
         0s  deploy g v1 memory=300
         0s  deploy h v1 memory=100
         0s  request f a
         0s  launched #1
         1s  request g b
         60s request h c",
        expect![[r"
            0ns launch #1 of f v1
            0ns grant #1 to a, cold
            60s launch #2 of h v1
        "]],
    );
}

#[test]
fn a_deadline_tells_that_memory_was_taken_up() {
    check_with(
        budget(500),
        "0s deploy f v1 memory=300
         0s request f a
         0s launched #1
         1s request f b by 2s
         3s wait",
        expect![[r"
            0ns launch #1 of f v1
            0ns grant #1 to a, cold
            2s refuse b: Deadline(Memory)
        "]],
    );
}

#[test]
fn an_instance_is_counted_with_what_it_was_launched_with() {
    check_with(
        budget(500),
        "0s deploy f v1 memory=300
         0s request f a
         0s launched #1
         1s deploy f v2 memory=100
         1s request f b c d
         2s release #1
         3s terminated #1",
        expect![[r"
            0ns launch #1 of f v1
            0ns grant #1 to a, cold
            1s launch #2 of f v2
            1s launch #3 of f v2
            2s terminate #1: StaleDeploy
            3s launch #4 of f v2
        "]],
    );
}

//! Those who wait: in which order, and for how long.

use expect_test::expect;
use hearth_pool::{Config, MemoryMib, QueuePolicy};

use crate::script::{check, check_with, play};

#[test]
fn nobody_is_overtaken() {
    check(
        "0s deploy f v1 reserved=1
         0s request f a b c
         1s launched #1
         2s release #1
         2s request f d
         3s release #1
         4s release #1
         5s release #1",
        expect![[r"
            0ns launch #1 of f v1
            1s grant #1 to a, cold
            2s grant #1 to b, warm
            3s grant #1 to c, warm
            4s grant #1 to d, warm
        "]],
    );
}

#[test]
fn a_waiter_is_refused_at_its_deadline_to_the_moment() {
    check(
        "0s    deploy f v1 reserved=1
         0s    request f a
         0s    launched #1
         1s    request f b by 3s
         1s    request f c by 2.5s
         2s    request f d by 9s
         5s    release #1",
        expect![[r"
            0ns launch #1 of f v1
            0ns grant #1 to a, cold
            2.5s refuse c: Deadline(ReservedConcurrency)
            3s refuse b: Deadline(ReservedConcurrency)
            5s grant #1 to d, warm
        "]],
    );
}

#[test]
fn an_instance_that_comes_free_at_a_deadline_comes_too_late() {
    check(
        "0s deploy f v1 reserved=1
         0s request f a
         0s launched #1
         1s request f b by 3s
         3s release #1",
        expect![[r"
            0ns launch #1 of f v1
            0ns grant #1 to a, cold
            3s refuse b: Deadline(ReservedConcurrency)
        "]],
    );
}

#[test]
fn who_has_gone_away_is_passed_over_and_leaves_nothing_behind() {
    check(
        "0s deploy f v1 reserved=1
         0s request f a b c
         1s launched #1
         2s cancel b
         3s release #1
         4s cancel c
         5s release #1
         6s request f d",
        expect![[r"
            0ns launch #1 of f v1
            1s grant #1 to a, cold
            3s grant #1 to c, warm
            6s grant #1 to d, warm
        "]],
    );
}

#[test]
fn a_function_that_calls_itself_to_its_limit_is_refused_at_the_deadline_and_recovers() {
    check(
        "0s   deploy f v1 reserved=2
         0s   request f outer
         0s   launched #1
         1s   request f inner
         1s   launched #2
         2s   request f innermost by 5s
         6s   release #2
         7s   release #1
         8s   request f next",
        expect![[r"
            0ns launch #1 of f v1
            0ns grant #1 to outer, cold
            1s launch #2 of f v1
            1s grant #2 to inner, cold
            5s refuse innermost: Deadline(ReservedConcurrency)
            8s grant #1 to next, warm
        "]],
    );
}

#[test]
fn a_line_that_is_full_refuses_the_next_at_once() {
    check_with(
        Config { queue: QueuePolicy::Wait { max_waiters: 2 }, ..Config::default() },
        "0s deploy f v1 reserved=1
         0s request f a
         0s launched #1
         1s request f b c d
         2s cancel b
         2s request f e",
        expect![[r"
            0ns launch #1 of f v1
            0ns grant #1 to a, cold
            1s refuse d: QueueFull
        "]],
    );
}

#[test]
fn who_may_not_wait_is_refused_with_the_limit_that_is_taken_up() {
    check_with(
        Config { queue: QueuePolicy::Refuse, account_concurrency: 3, ..Config::default() },
        "0s deploy f v1 reserved=1
         0s deploy g v1
         0s request f a b
         0s request g c d e
         1s launched #1 #2 #3
         2s request f h
         2s request g i
         3s release #1
         3s request f j",
        expect![[r"
            0ns launch #1 of f v1
            0ns refuse b: ReservedConcurrency
            0ns launch #2 of g v1
            0ns launch #3 of g v1
            0ns refuse e: AccountConcurrency
            1s grant #1 to a, cold
            1s grant #2 to c, cold
            1s grant #3 to d, cold
            2s refuse h: ReservedConcurrency
            2s refuse i: AccountConcurrency
            3s grant #1 to j, warm
        "]],
    );
}

#[test]
fn who_may_not_wait_still_gets_the_room_of_an_idle_instance_of_another_function() {
    check_with(
        Config { queue: QueuePolicy::Refuse, account_concurrency: 1, ..Config::default() },
        "0s deploy f v1
         0s deploy g v1
         0s request f a
         0s launched #1
         1s release #1
         2s request g b c",
        expect![[r"
            0ns launch #1 of f v1
            0ns grant #1 to a, cold
            2s terminate #1: ConcurrencyPressure
            2s launch #2 of g v1
            2s refuse c: AccountConcurrency
        "]],
    );
}

#[test]
fn who_may_not_wait_is_refused_for_memory_too() {
    check_with(
        Config { queue: QueuePolicy::Refuse, memory_budget: Some(MemoryMib(500)), ..Config::default() },
        "0s deploy f v1 memory=300
         0s deploy g v1 memory=200
         0s request f a
         0s request g b
         0s request g c
         0s launched #1 #2
         1s release #1
         2s request g d e",
        expect![[r"
            0ns launch #1 of f v1
            0ns launch #2 of g v1
            0ns refuse c: Memory
            0ns grant #1 to a, cold
            0ns grant #2 to b, cold
            2s terminate #1: MemoryPressure
            2s refuse e: Memory
        "]],
    );
}

#[test]
fn a_deadline_in_the_past_is_refused_unless_an_instance_is_there() {
    check(
        "5s deploy f v1
         5s request f a by 4s
         6s request f b
         6s launched #1
         7s release #1
         8s request f c by 1s",
        expect![[r"
            5s refuse a: Deadline(Launch)
            6s launch #1 of f v1
            6s grant #1 to b, cold
            8s grant #1 to c, warm
        "]],
    );
}

#[test]
fn a_request_for_what_was_never_deployed_is_refused() {
    check(
        "0s deploy f v1
         0s request g a",
        expect![[r"
            0ns refuse a: NoSuchFunction
        "]],
    );
}

#[test]
fn a_burst_of_a_hundred_is_served_after_one_launch_and_not_after_a_hundred() {
    let names: Vec<String> = (1..=100).map(|number| format!("r{number}")).collect();
    let launched: Vec<String> = (1..=100).map(|number| format!("#{number}")).collect();
    let script = format!(
        "0s deploy f v1 reserved=100; 0s request f {}; 500ms launched {}",
        names.join(" "),
        launched.join(" ")
    );
    let transcript = play(Config { launches_at_once: 100, ..Config::default() }, &script);
    let expected: String = (1..=100)
        .map(|number| format!("0ns launch #{number} of f v1\n"))
        .chain((1..=100).map(|number| format!("500ms grant #{number} to r{number}, cold\n")))
        .collect();
    assert_eq!(transcript, expected);
}

#[test]
fn a_burst_of_a_hundred_at_a_limit_of_ten_is_served_in_order() {
    let names: Vec<String> = (1..=100).map(|number| format!("r{number}")).collect();
    let tenth = "#1 #2 #3 #4 #5 #6 #7 #8 #9 #10";
    let releases: Vec<String> = (2..=10).map(|second| format!("{second}s release {tenth}")).collect();
    let script = format!(
        "0s deploy f v1 reserved=10; 0s request f {}; 1s launched {tenth}; {}",
        names.join(" "),
        releases.join(";")
    );
    let transcript = play(Config::default(), &script);
    let expected: String = (1..=10)
        .map(|number| format!("0ns launch #{number} of f v1\n"))
        .chain((1..=100).map(|number| {
            let (second, instance) = ((number - 1) / 10 + 1, (number - 1) % 10 + 1);
            let start = if second == 1 { "cold" } else { "warm" };
            format!("{second}s grant #{instance} to r{number}, {start}\n")
        }))
        .collect();
    assert_eq!(transcript, expected);
}

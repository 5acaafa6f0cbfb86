//! Functions that call themselves: each call holds its instance until the one within it is answered.

use std::time::Duration;

use hearth_pool::{
    Config, DeployId, Effect, Event, FunctionId, FunctionSpec, InstanceId, MemoryMib, Outcome, Pool, Refusal,
    RequestId, Timestamp, WaitedFor,
};
use proptest::prelude::{ProptestConfig, any};
use proptest::{prop_assert, prop_assert_eq, proptest};

const F: FunctionId = FunctionId(0);

fn effects(pool: &mut Pool) -> Vec<Effect> {
    std::iter::from_fn(|| pool.next_effect()).collect()
}

/// What the answer to a request is, once launches have succeeded.
fn answer(pool: &mut Pool, now: Timestamp) -> Option<Result<InstanceId, Refusal>> {
    let mut answer = None;
    let mut asked = effects(pool);
    while let Some(effect) = asked.pop() {
        match effect {
            Effect::Launch { instance, .. } => {
                pool.handle(now, Event::Launched { instance });
                asked.extend(effects(pool));
            }
            Effect::Grant { instance, .. } => answer = Some(Ok(instance)),
            Effect::Refuse { reason, .. } => answer = Some(Err(reason)),
            Effect::Terminate { .. } => {}
        }
    }
    answer
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn a_call_within_itself_beyond_the_limit_is_refused_at_the_deadline_and_not_before(
        limit in 1..20u32,
        is_reserved in any::<bool>(),
        patience in 1..60_000u64,
    ) {
        let account_concurrency = if is_reserved { 1000 } else { limit };
        let mut pool = Pool::new(Config { account_concurrency, ..Config::default() }).unwrap();
        let reserved = is_reserved.then_some(limit);
        let spec =
            FunctionSpec { memory: MemoryMib(128), slots: 1, reserved, reserve_group: 0, provisioned: 0 };
        let mut now = Timestamp::START;
        pool.handle(now, Event::Deployed { function: F, deploy: DeployId([0; 32]), spec });
        let deadline = now + Duration::from_millis(patience);
        let ask = |number: u32| Event::Requested { request: RequestId(number.into()), function: F, deadline };
        let mut held = Vec::new();
        for number in 0..limit {
            pool.handle(now, ask(number));
            held.push(answer(&mut pool, now).unwrap().unwrap());
        }
        pool.handle(now, ask(limit));
        prop_assert_eq!(answer(&mut pool, now), None);
        prop_assert!(pool.next_deadline() <= Some(deadline));
        while let Some(due) = pool.next_deadline().filter(|due| *due < deadline) {
            pool.handle(due, Event::DeadlineReached);
            prop_assert_eq!(answer(&mut pool, due), None);
        }
        now = deadline;
        pool.handle(now, Event::DeadlineReached);
        let waited_for =
            if is_reserved { WaitedFor::ReservedConcurrency } else { WaitedFor::AccountConcurrency };
        prop_assert_eq!(answer(&mut pool, now), Some(Err(Refusal::Deadline(waited_for))));
        for instance in held.into_iter().rev() {
            pool.handle(now, Event::Released { instance, outcome: Outcome::Reusable });
        }
        prop_assert_eq!(answer(&mut pool, now), None);
        let deadline = now + Duration::from_secs(1);
        pool.handle(now, Event::Requested { request: RequestId(1000), function: F, deadline });
        prop_assert!(matches!(answer(&mut pool, now), Some(Ok(_))));
        prop_assert_eq!(pool.audit(), Ok(()));
    }
}

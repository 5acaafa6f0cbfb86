//! Reads a scenario, plays it through a pool, and writes down what the pool asked for.
//!
//! A script is lines of `TIME EVENT`, in order of time:
//!
//! ```text
//! 0s    deploy f v1 memory=128 slots=1 reserved=2 group=7 provisioned=1
//! 0s    request f a b c by 30s
//! 500ms launched #1            also: failed, exited, terminated
//! 1s    release #1             also: break
//! 2s    cancel b               also: remove f, evict f, shutdown
//! 15m   wait
//! ```
//!
//! Functions, deploys and requests are whatever the script calls them; instances are `#1`, `#2`, … in the order
//! of their launch. The pool is woken at its deadlines exactly, and audited after every event.

#![expect(clippy::needless_pass_by_value, reason = "an expectation is written where it is handed over")]

use std::fmt::Write as _;
use std::time::Duration;

use hearth_pool::{
    Config, DeployId, Effect, Event, FunctionId, FunctionSpec, InstanceId, MemoryMib, Outcome, Pool, Purpose,
    Refusal, RequestId, Start, Timestamp,
};

/// Plays a script with the default configuration.
#[track_caller]
pub(crate) fn check(script: &str, expected: expect_test::Expect) {
    check_with(Config::default(), script, expected);
}

/// Plays a script.
#[track_caller]
pub(crate) fn check_with(config: Config, script: &str, expected: expect_test::Expect) {
    expected.assert_eq(&play(config, script));
}

/// What the pool asks for while the script is played: a line each.
pub(crate) fn play(config: Config, script: &str) -> String {
    let mut player = Player::new(config);
    for line in script.lines().flat_map(|line| line.split(';')).map(str::trim).filter(|line| !line.is_empty())
    {
        player.play(line);
    }
    player.transcript
}

struct Player {
    pool: Pool,
    functions: Vec<String>,
    deploys: Vec<String>,
    requests: Vec<String>,
    instances: Vec<InstanceId>,
    transcript: String,
}

impl Player {
    fn new(config: Config) -> Self {
        Self {
            pool: Pool::new(config).expect("the configuration holds"),
            functions: Vec::new(),
            deploys: Vec::new(),
            requests: Vec::new(),
            instances: Vec::new(),
            transcript: String::new(),
        }
    }

    fn play(&mut self, line: &str) {
        let (time, event) = line.split_once(char::is_whitespace).expect("TIME EVENT");
        let now = Timestamp::START + duration(time);
        while let Some(deadline) = self.pool.next_deadline().filter(|&deadline| deadline <= now) {
            self.handle(deadline, Event::DeadlineReached);
        }
        for event in self.events(event.trim()) {
            self.handle(now, event);
        }
    }

    fn handle(&mut self, now: Timestamp, event: Event) {
        self.pool.handle(now, event);
        while let Some(effect) = self.pool.next_effect() {
            let line = self.describe(effect);
            writeln!(self.transcript, "{:?} {line}", now.since_start()).expect("a string takes everything");
        }
        if let Err(problem) = self.pool.audit() {
            panic!("{problem}\nat {now:?}, after {event:?} and\n{}", self.transcript);
        }
    }

    fn events(&mut self, text: &str) -> Vec<Event> {
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest: Vec<&str> = rest.split_whitespace().collect();
        match (verb, rest.as_slice()) {
            ("deploy", [function, deploy, settings @ ..]) => {
                let function = number(&mut self.functions, function);
                let deploy =
                    DeployId([u8::try_from(number(&mut self.deploys, deploy)).expect("few deploys"); 32]);
                vec![Event::Deployed {
                    function: FunctionId(function),
                    deploy,
                    spec: spec(function, settings),
                }]
            }
            ("request", [function, names @ .., "by", deadline]) => {
                self.requests(function, names, Timestamp::START + duration(deadline))
            }
            ("request", [function, names @ ..]) => self.requests(function, names, Timestamp::NEVER),
            ("remove", [function]) => vec![Event::Removed { function: self.function(function) }],
            ("evict", [function]) => vec![Event::Evicted { function: self.function(function) }],
            ("cancel", names) => {
                names.iter().map(|name| Event::Cancelled { request: self.request(name) }).collect()
            }
            ("shutdown", []) => vec![Event::ShutDown],
            ("wait", []) => vec![],
            (verb, instances) => instances.iter().map(|name| self.about(verb, name)).collect(),
        }
    }

    fn about(&self, verb: &str, name: &str) -> Event {
        let position: usize = name.trim_start_matches('#').parse().expect("an instance, as in #1");
        let instance =
            *self.instances.get(position - 1).unwrap_or_else(|| panic!("{name} was never launched"));
        match verb {
            "release" => Event::Released { instance, outcome: Outcome::Reusable },
            "break" => Event::Released { instance, outcome: Outcome::Broken },
            "launched" => Event::Launched { instance },
            "failed" => Event::LaunchFailed { instance },
            "exited" => Event::Exited { instance },
            "terminated" => Event::Terminated { instance },
            _ => panic!("what is `{verb}`?"),
        }
    }

    fn requests(&mut self, function: &str, names: &[&str], deadline: Timestamp) -> Vec<Event> {
        let function = self.function(function);
        names
            .iter()
            .map(|name| Event::Requested { request: self.request(name), function, deadline })
            .collect()
    }

    fn function(&mut self, name: &str) -> FunctionId {
        FunctionId(number(&mut self.functions, name))
    }

    fn request(&mut self, name: &str) -> RequestId {
        RequestId(number(&mut self.requests, name).into())
    }

    fn describe(&mut self, effect: Effect) -> String {
        match effect {
            Effect::Launch { instance, function, deploy, purpose } => {
                self.instances.push(instance);
                let (function, deploy) =
                    (&self.functions[function.0 as usize], &self.deploys[deploy.0[0] as usize]);
                let purpose = match purpose {
                    Purpose::Demand => "",
                    Purpose::Provisioned => ", provisioned",
                    Purpose::Prediction => ", predicted",
                };
                format!("launch {} of {function} {deploy}{purpose}", self.name(instance))
            }
            Effect::Grant { request, instance, start } => {
                let start = match start {
                    Start::Cold => "cold",
                    Start::Warm => "warm",
                    Start::Provisioned => "provisioned",
                };
                format!("grant {} to {}, {start}", self.name(instance), self.request_name(request))
            }
            Effect::Refuse { request, reason: Refusal::LaunchFailed(instance) } => {
                format!("refuse {}: the launch of {} failed", self.request_name(request), self.name(instance))
            }
            Effect::Refuse { request, reason } => {
                format!("refuse {}: {reason:?}", self.request_name(request))
            }
            Effect::Terminate { instance, reason } => {
                format!("terminate {}: {reason:?}", self.name(instance))
            }
        }
    }

    /// By the latest launch: a place in the pool's table may be used again, an instance's name never is.
    fn name(&self, id: InstanceId) -> String {
        let position = self.instances.iter().position(|&known| known == id).expect("it was launched");
        format!("#{}", position + 1)
    }

    fn request_name(&self, request: RequestId) -> &str {
        &self.requests[usize::try_from(request.0).expect("few requests")]
    }
}

/// The position of a name in the list, to which it is added if it is new.
fn number(names: &mut Vec<String>, name: &str) -> u32 {
    let position = names.iter().position(|known| known == name).unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    });
    u32::try_from(position).expect("few names")
}

fn spec(function: u32, settings: &[&str]) -> FunctionSpec {
    let mut spec = FunctionSpec {
        memory: MemoryMib(128),
        slots: 1,
        reserved: None,
        reserve_group: function,
        provisioned: 0,
    };
    for setting in settings {
        let (key, value) = setting.split_once('=').expect("KEY=VALUE");
        let value: u32 = value.parse().expect("a number");
        match key {
            "memory" => spec.memory = MemoryMib(value.into()),
            "slots" => spec.slots = value,
            "reserved" => spec.reserved = Some(value),
            "group" => spec.reserve_group = value,
            "provisioned" => spec.provisioned = value,
            _ => panic!("what is `{key}`?"),
        }
    }
    spec
}

fn duration(text: &str) -> Duration {
    let unit = text.find(|c: char| c.is_ascii_alphabetic()).expect("a time, as in 500ms");
    let number: f64 = text[..unit].parse().expect("a number");
    let seconds = match &text[unit..] {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        unit => panic!("what is `{unit}`?"),
    };
    Duration::from_secs_f64(number * seconds)
}

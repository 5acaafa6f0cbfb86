//! The warm pool.

#![forbid(unsafe_code)]

mod backoff;
mod capacity;
mod config;
mod effect;
mod event;
mod fleet;
mod heap;
mod id;
mod instance;
mod keep_alive;
mod list;
mod load;
mod memory;
mod pool;
mod random;
mod slab;
mod snapshot;
mod start_queue;
mod time;
mod timers;
mod victims;
mod wait_queue;

pub use self::config::{Config, ConfigError, KeepAlive, QueuePolicy, ScaleOut};
pub use self::effect::{Effect, EvictReason, Refusal, Start, WaitedFor};
pub use self::event::{Event, FunctionSpec, MemoryMib, Outcome};
pub use self::id::{DeployId, FunctionId, InstanceId, RequestId};
pub use self::instance::Purpose;
pub use self::pool::Pool;
pub use self::snapshot::{FunctionSnapshot, InstanceSnapshot, PhaseSnapshot, Snapshot};
pub use self::time::Timestamp;

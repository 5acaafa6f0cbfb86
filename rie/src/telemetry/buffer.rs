//! What waits to be delivered to one subscriber, within bounds.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Instant;

/// When a batch is full. As subscribers give it, within AWS's bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) max_items: usize,
    pub(crate) max_bytes: usize,
    /// The longest that a record waits for others.
    pub(crate) timeout: Duration,
}

/// Records in the order in which they came.
#[derive(Debug)]
pub(crate) struct Buffer {
    limits: Limits,
    records: VecDeque<Arc<str>>,
    bytes: usize,
    /// When the oldest of them came.
    since: Option<Instant>,
    dropped: Dropped,
    flushing: bool,
}

/// What there was no room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

/// Records that are delivered together, and what was lost before them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) records: Vec<Arc<str>>,
    pub(crate) dropped: Dropped,
}

impl Buffer {
    /// How many full batches are kept for a subscriber that does not keep up.
    const BATCHES: usize = 2;

    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            records: VecDeque::new(),
            bytes: 0,
            since: None,
            dropped: Dropped::default(),
            flushing: false,
        }
    }

    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.dropped == Dropped::default()
    }

    pub(crate) fn push(&mut self, now: Instant, record: Arc<str>) {
        let Limits { max_items, max_bytes, .. } = self.limits;
        let has_room = self.records.len() < Self::BATCHES * max_items
            && (self.records.is_empty() || self.bytes + record.len() <= Self::BATCHES * max_bytes);
        if has_room {
            self.bytes += record.len();
            self.records.push_back(record);
            self.since.get_or_insert(now);
        } else {
            self.lose([record]);
        }
    }

    /// Records that will never be delivered.
    pub(crate) fn lose(&mut self, records: impl IntoIterator<Item = Arc<str>>) {
        for record in records {
            self.dropped.records += 1;
            self.dropped.bytes += record.len() as u64;
        }
    }

    /// What is here need not wait for more.
    pub(crate) fn flush(&mut self) {
        self.flushing = true;
    }

    /// When the next batch is to be taken; the past if it is full.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        let Limits { max_items, max_bytes, timeout } = self.limits;
        let full = self.records.len() >= max_items || self.bytes >= max_bytes;
        if !self.is_empty() && (full || self.flushing) {
            return Some(now);
        }
        self.since.map(|since| since + timeout)
    }

    pub(crate) fn take(&mut self, now: Instant) -> Batch {
        let mut batch = Batch { records: Vec::new(), dropped: std::mem::take(&mut self.dropped) };
        let mut bytes = 0;
        while let Some(record) = self.records.front() {
            bytes += record.len();
            let fits = batch.records.is_empty() || bytes <= self.limits.max_bytes;
            if !fits || batch.records.len() == self.limits.max_items {
                break;
            }
            self.bytes -= record.len();
            batch.records.extend(self.records.pop_front());
        }
        self.since = if self.records.is_empty() { None } else { Some(now) };
        self.flushing &= !self.records.is_empty();
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { max_items: 3, max_bytes: 10, timeout: Duration::from_secs(1) };

    fn texts(batch: &Batch) -> Vec<&str> {
        batch.records.iter().map(|record| &**record).collect()
    }

    #[test]
    fn a_batch_waits_for_its_time_unless_it_is_full() {
        let zero = crate::clock::now();
        let (later, much_later) = (zero + Duration::from_millis(400), zero + Duration::from_secs(3));
        let mut buffer = Buffer::new(LIMITS);
        assert_eq!(buffer.due(zero), None);
        buffer.push(zero, "a".into());
        buffer.push(later, "b".into());
        assert_eq!(buffer.due(later), Some(zero + LIMITS.timeout));
        buffer.push(later, "c".into());
        assert_eq!(buffer.due(later), Some(later), "it has as many records as it may");
        assert_eq!(texts(&buffer.take(later)), ["a", "b", "c"]);
        assert_eq!(buffer.due(later), None);
        buffer.push(much_later, "0123456789".into());
        assert_eq!(buffer.due(much_later), Some(much_later), "it has as many bytes as it may");
    }

    #[test]
    fn a_batch_holds_no_more_than_the_limits_say() {
        let now = crate::clock::now();
        let mut buffer = Buffer::new(LIMITS);
        for record in ["1234", "1234", "1234", "12345678901234"] {
            buffer.push(now, record.into());
        }
        assert_eq!(texts(&buffer.take(now)), ["1234", "1234"]);
        assert_eq!(buffer.due(now), Some(now + LIMITS.timeout), "what is left has a time of its own");
    }

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let now = crate::clock::now();
        let mut buffer = Buffer::new(LIMITS);
        (0..9).for_each(|number| buffer.push(now, number.to_string().into()));
        let first = buffer.take(now);
        assert_eq!((texts(&first), first.dropped), (vec!["0", "1", "2"], Dropped { records: 3, bytes: 3 }));
        let second = buffer.take(now);
        assert_eq!((texts(&second), second.dropped), (vec!["3", "4", "5"], Dropped::default()));
        assert!(buffer.is_empty());
        buffer.push(now, "longer than a batch, and alone".into());
        assert_eq!(texts(&buffer.take(now)).len(), 1);
    }

    #[test]
    fn a_flush_does_not_wait_and_ends_with_the_last_record() {
        let now = crate::clock::now();
        let mut buffer = Buffer::new(LIMITS);
        (0..4).for_each(|number| buffer.push(now, number.to_string().into()));
        buffer.take(now);
        buffer.flush();
        assert_eq!(buffer.due(now), Some(now));
        buffer.take(now);
        buffer.push(now, "later".into());
        assert_eq!(buffer.due(now), Some(now + LIMITS.timeout));
    }
}

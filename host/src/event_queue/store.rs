//! The queue on disk.
//!
//! One thread owns the connection. It takes whatever waits for it and commits that as one transaction: a burst of
//! events shares the price of reaching the disk.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use rusqlite::{Connection, Row, params};
use tokio::sync::oneshot;

use super::{Entry, QueuedEvent};

/// Version of the schema that this host writes.
const SCHEMA: i64 = 1;

/// At most so many changes share a transaction.
const BATCH: usize = 256;

/// Why the queue cannot be read or written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite failed.
    #[error("the event queue {path} failed: {problem}")]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        problem: String,
    },
    /// A later version of hearth wrote it.
    #[error(
        "the event queue {path} was written by a newer hearth: its schema is {found}, this one knows {SCHEMA}"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Schema version on disk.
        found: i64,
    },
    /// The thread that writes it has ended.
    #[error("the event queue is closed")]
    Closed,
}

/// A change that waits for its transaction.
#[derive(Debug)]
struct Request {
    change: Change,
    done: oneshot::Sender<Result<i64, StoreError>>,
}

#[derive(Debug)]
enum Change {
    Insert { event: Box<QueuedEvent>, now_ms: i64 },
    Update { id: i64, failures: u32, refusals: u32, due_ms: i64 },
    Remove { id: i64 },
}

/// Handle of the thread that owns the file. The thread ends with the last handle.
#[derive(Debug)]
pub(super) struct Store {
    requests: mpsc::Sender<Request>,
}

impl Store {
    /// Opens or creates the file; answers what is in it, in the order of acceptance.
    pub(super) async fn open(path: PathBuf) -> Result<(Self, Vec<Entry>), StoreError> {
        let (requests, inbox) = mpsc::channel();
        let (opened, was_opened) = oneshot::channel();
        let run = move || match open(&path) {
            Ok((connection, entries)) => {
                let _nobody = opened.send(Ok(entries));
                serve(connection, &path, &inbox);
            }
            Err(error) => {
                let _nobody = opened.send(Err(error));
            }
        };
        thread::Builder::new().name("event-queue".to_owned()).spawn(run).map_err(|_| StoreError::Closed)?;
        let entries = was_opened.await.map_err(|_| StoreError::Closed)??;
        Ok((Self { requests }, entries))
    }

    /// Writes a new event; it is on disk once this returns.
    pub(super) async fn insert(&self, event: QueuedEvent, now_ms: i64) -> Result<Entry, StoreError> {
        let id = self.ask(Change::Insert { event: Box::new(event.clone()), now_ms }).await?;
        Ok(Entry { id, event, failures: 0, refusals: 0, accepted_ms: now_ms, due_ms: now_ms })
    }

    /// Writes how far an event has come.
    pub(super) async fn update(
        &self,
        id: i64,
        failures: u32,
        refusals: u32,
        due_ms: i64,
    ) -> Result<(), StoreError> {
        self.ask(Change::Update { id, failures, refusals, due_ms }).await.map(drop)
    }

    /// Forgets an event.
    pub(super) async fn remove(&self, id: i64) -> Result<(), StoreError> {
        self.ask(Change::Remove { id }).await.map(drop)
    }

    async fn ask(&self, change: Change) -> Result<i64, StoreError> {
        let (done, was_done) = oneshot::channel();
        self.requests.send(Request { change, done }).map_err(|_| StoreError::Closed)?;
        was_done.await.map_err(|_| StoreError::Closed)?
    }
}

fn open(path: &PathBuf) -> Result<(Connection, Vec<Entry>), StoreError> {
    let failed =
        |error: rusqlite::Error| StoreError::Database { path: path.clone(), problem: error.to_string() };
    let connection = Connection::open(path).map_err(failed)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    let found =
        connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).map_err(failed)?;
    if found > SCHEMA {
        return Err(StoreError::Newer { path: path.clone(), found });
    }
    if found == 0 {
        let schema = format!("BEGIN; {TABLE} PRAGMA user_version = {SCHEMA}; COMMIT;");
        connection.execute_batch(&schema).map_err(failed)?;
    }
    let entries = read(&connection).map_err(failed)?;
    Ok((connection, entries))
}

const TABLE: &str = "
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    function TEXT NOT NULL,
    qualifier TEXT,
    arn TEXT NOT NULL,
    request_id TEXT NOT NULL,
    payload BLOB NOT NULL,
    client_context TEXT,
    trace_id TEXT,
    tenant_id TEXT,
    failures INTEGER NOT NULL DEFAULT 0,
    refusals INTEGER NOT NULL DEFAULT 0,
    accepted_ms INTEGER NOT NULL,
    due_ms INTEGER NOT NULL
) STRICT;
";

fn read(connection: &Connection) -> rusqlite::Result<Vec<Entry>> {
    let mut query = connection.prepare("SELECT * FROM events ORDER BY id")?;
    query.query_map([], entry)?.collect()
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let event = QueuedEvent {
        account: row.get("account")?,
        region: row.get("region")?,
        function: row.get("function")?,
        qualifier: row.get("qualifier")?,
        arn: row.get("arn")?,
        request_id: row.get("request_id")?,
        payload: row.get::<_, Vec<u8>>("payload")?.into(),
        client_context: row.get("client_context")?,
        trace_id: row.get("trace_id")?,
        tenant_id: row.get("tenant_id")?,
    };
    Ok(Entry {
        id: row.get("id")?,
        event,
        failures: row.get("failures")?,
        refusals: row.get("refusals")?,
        accepted_ms: row.get("accepted_ms")?,
        due_ms: row.get("due_ms")?,
    })
}

fn serve(mut connection: Connection, path: &Path, inbox: &mpsc::Receiver<Request>) {
    while let Ok(first) = inbox.recv() {
        let batch: Vec<_> = std::iter::once(first).chain(inbox.try_iter()).take(BATCH).collect();
        let (changes, answers): (Vec<_>, Vec<_>) = batch.into_iter().map(|it| (it.change, it.done)).unzip();
        let outcome = commit(&mut connection, &changes)
            .map_err(|error| StoreError::Database { path: path.to_owned(), problem: error.to_string() });
        for (index, answer) in answers.into_iter().enumerate() {
            let _nobody = answer.send(outcome.as_ref().map(|ids| ids[index]).map_err(Clone::clone));
        }
    }
}

/// All changes or none; the id that each concerns.
fn commit(connection: &mut Connection, changes: &[Change]) -> rusqlite::Result<Vec<i64>> {
    let transaction = connection.transaction()?;
    let ids = changes.iter().map(|change| apply(&transaction, change)).collect::<rusqlite::Result<_>>()?;
    transaction.commit()?;
    Ok(ids)
}

fn apply(connection: &Connection, change: &Change) -> rusqlite::Result<i64> {
    match change {
        Change::Insert { event, now_ms } => {
            let sql = "INSERT INTO events (account, region, function, qualifier, arn, request_id, payload,
                       client_context, trace_id, tenant_id, accepted_ms, due_ms)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11)";
            connection.prepare_cached(sql)?.execute(params![
                event.account,
                event.region,
                event.function,
                event.qualifier,
                event.arn,
                event.request_id,
                &event.payload[..],
                event.client_context,
                event.trace_id,
                event.tenant_id,
                now_ms,
            ])?;
            Ok(connection.last_insert_rowid())
        }
        Change::Update { id, failures, refusals, due_ms } => {
            let sql = "UPDATE events SET failures = ?, refusals = ?, due_ms = ? WHERE id = ?";
            connection.prepare_cached(sql)?.execute(params![failures, refusals, due_ms, id])?;
            Ok(*id)
        }
        Change::Remove { id } => {
            connection.prepare_cached("DELETE FROM events WHERE id = ?")?.execute([id])?;
            Ok(*id)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(request_id: &str) -> QueuedEvent {
        QueuedEvent {
            account: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
            function: "f".to_owned(),
            qualifier: Some("live".to_owned()),
            arn: "arn".to_owned(),
            request_id: request_id.to_owned(),
            payload: bytes::Bytes::from_static(b"{\"a\":1}"),
            client_context: None,
            trace_id: Some("Root=1".to_owned()),
            tenant_id: None,
        }
    }

    #[tokio::test]
    async fn what_was_accepted_is_there_when_the_file_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.db");
        let (store, entries) = Store::open(path.clone()).await.unwrap();
        assert_eq!(entries, []);
        let first = store.insert(event("first"), 5).await.unwrap();
        let second = store.insert(event("second"), 6).await.unwrap();
        let third = store.insert(event("third"), 7).await.unwrap();
        store.remove(first.id).await.unwrap();
        store.update(third.id, 1, 2, 99).await.unwrap();
        drop(store);

        let (_store, entries) = Store::open(path).await.unwrap();
        let third = Entry { failures: 1, refusals: 2, due_ms: 99, ..third };
        assert_eq!(entries, [second, third]);
    }

    #[tokio::test]
    async fn a_file_of_a_newer_host_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.db");
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 7).unwrap();
        let refusal = Store::open(path).await.unwrap_err().to_string();
        assert!(
            refusal.contains("was written by a newer hearth: its schema is 7, this one knows 1"),
            "{refusal}"
        );
    }
}

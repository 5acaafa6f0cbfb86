//! The lines that the platform writes about an invocation.

use std::fmt::Write;
use std::time::Duration;

use crate::config::Function;
use crate::outcome::FaultKind;

/// What the REPORT line says.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) duration: Duration,
    pub(crate) max_memory_bytes: u64,
    /// Set on the first invocation after an init phase of its own.
    pub(crate) init: Option<Duration>,
    pub(crate) fault: Option<FaultKind>,
}

/// The first line of an invocation.
pub(crate) fn start(function: &Function, request_id: &str) -> String {
    format!("START RequestId: {request_id} Version: {}", function.version)
}

/// The last but one.
pub(crate) fn end(request_id: &str) -> String {
    format!("END RequestId: {request_id}")
}

impl Report {
    /// The last line of an invocation.
    pub(crate) fn line(&self, function: &Function, request_id: &str) -> String {
        let duration = milliseconds(self.duration);
        let billed = self.duration.as_nanos().div_ceil(1_000_000);
        let memory = self.max_memory_bytes.div_ceil(1024 * 1024);
        let mut line = format!(
            "REPORT RequestId: {request_id}\tDuration: {duration:.2} ms\tBilled Duration: {billed} ms\t\
             Memory Size: {} MB\tMax Memory Used: {memory} MB\t",
            function.memory_mb,
        );
        // Writing to a string cannot fail.
        if let Some(init) = self.init {
            let _ = write!(line, "Init Duration: {:.2} ms\t", milliseconds(init));
        }
        if let Some((kind, status)) = self.fault.as_ref().and_then(|kind| Some((kind, kind.status()?))) {
            let _ = write!(line, "Status: {status}");
            if *kind != FaultKind::Timeout {
                let _ = write!(line, "\tError Type: {}", kind.error_type());
            }
        }
        line
    }
}

/// What the log says of an init phase that did not end well.
pub(crate) fn init_report(duration: Duration, status: &str) -> String {
    format!("INIT_REPORT Init Duration: {:.2} ms\tPhase: init\tStatus: {status}", milliseconds(duration))
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn report(init: Option<u64>, fault: Option<FaultKind>) -> String {
        let function =
            Function { name: "f".into(), version: "$LATEST".into(), memory_mb: 128, account_id: None };
        let report = Report {
            duration: Duration::from_micros(3010),
            max_memory_bytes: 36 * MIB - 1,
            init: init.map(Duration::from_micros),
            fault,
        };
        report.line(&function, "id")
    }

    #[test]
    fn reports_look_as_on_aws() {
        let begin = "REPORT RequestId: id\tDuration: 3.01 ms\tBilled Duration: 4 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\t";
        assert_eq!(report(None, None), begin);
        assert_eq!(report(Some(110_100), None), format!("{begin}Init Duration: 110.10 ms\t"));
        assert_eq!(report(None, Some(FaultKind::Timeout)), format!("{begin}Status: timeout"));
        assert_eq!(
            report(None, Some(FaultKind::Exit)),
            format!("{begin}Status: error\tError Type: Runtime.ExitError")
        );
        assert_eq!(
            init_report(Duration::from_secs(10), "timeout"),
            "INIT_REPORT Init Duration: 10000.00 ms\tPhase: init\tStatus: timeout"
        );
    }
}

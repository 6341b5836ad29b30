//! Counters since the start of the server, in the text format of Prometheus.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::{Method, StatusCode};

const METHODS: [&str; 5] = ["GET", "HEAD", "PUT", "POST", "other"];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// A counter.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All numbers except that of open connections, which the limits count.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    requests: [[Counter; CLASSES.len()]; METHODS.len()],
    /// Bytes written to sockets, including TLS and headers.
    pub(super) sent: Counter,
    /// Bytes read from sockets.
    pub(super) received: Counter,
    /// Accepted connections.
    pub(super) connections: Counter,
    /// Connections that were refused because there were too many.
    pub(super) refused: Counter,
    /// Connections that were ended because their client was too slow or silent.
    pub(super) timed_out: Counter,
    /// HTTP/2 responses that were broken off because their client accepted nothing of them.
    pub(super) stalled: Counter,
    /// Objects that were staged.
    pub(super) staged_objects: Counter,
    /// The total length of these objects, in bytes.
    pub(super) staged_bytes: Counter,
    /// Statements that were added to the log.
    pub(super) statements: Counter,
    /// Requests to publish that were refused.
    pub(super) publish_refused: Counter,
}

impl Metrics {
    pub(super) fn answered(&self, method: &Method, status: StatusCode) {
        let method = METHODS.iter().position(|name| *name == method.as_str()).unwrap_or(METHODS.len() - 1);
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        self.requests[method][class].add(1);
    }

    /// Returns the text, including the number of `open` connections.
    pub(super) fn text(&self, open: usize) -> String {
        let mut text = String::new();
        let mut family = |name: &str, kind: &str, help: &str, lines: &[(String, u64)]| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in lines {
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        };
        let requests = METHODS.iter().zip(&self.requests).flat_map(|(method, classes)| {
            let line = move |(class, counter): (&&str, &Counter)| {
                (format!("{{method=\"{method}\",status=\"{class}\"}}"), counter.get())
            };
            CLASSES.iter().zip(classes).map(line).filter(|(_, value)| *value > 0)
        });
        let requests: Vec<_> = requests.collect();
        family("isn_requests_total", "counter", "Answered requests.", &requests);
        family("isn_connections", "gauge", "Open connections.", &[(String::new(), open as u64)]);
        for (name, help, counter) in [
            ("isn_connections_total", "Connections that were let in.", &self.connections),
            ("isn_connections_refused_total", "Connections over a limit.", &self.refused),
            ("isn_connections_timed_out_total", "Connections of silent clients.", &self.timed_out),
            ("isn_streams_stalled_total", "Answers that their client did not take.", &self.stalled),
            ("isn_sent_bytes_total", "Bytes written to sockets.", &self.sent),
            ("isn_received_bytes_total", "Bytes read from sockets.", &self.received),
            ("isn_publish_objects_total", "Objects staged.", &self.staged_objects),
            ("isn_publish_bytes_total", "Bytes of objects staged.", &self.staged_bytes),
            ("isn_publish_statements_total", "Statements added to the log.", &self.statements),
            ("isn_publish_refused_total", "Refused requests to publish.", &self.publish_refused),
        ] {
            family(name, "counter", help, &[(String::new(), counter.get())]);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_method_and_class() {
        let metrics = Metrics::default();
        metrics.answered(&Method::GET, StatusCode::OK);
        metrics.answered(&Method::GET, StatusCode::PARTIAL_CONTENT);
        metrics.answered(&Method::DELETE, StatusCode::METHOD_NOT_ALLOWED);
        metrics.sent.add(5);
        let text = metrics.text(3);
        for line in [
            "isn_requests_total{method=\"GET\",status=\"2xx\"} 2",
            "isn_requests_total{method=\"other\",status=\"4xx\"} 1",
            "isn_connections 3",
            "isn_sent_bytes_total 5",
            "# TYPE isn_sent_bytes_total counter",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}

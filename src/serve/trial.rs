//! Tests whether stand-ins arrive as the bytes that they stand for. `direct` relies on how hyper writes,
//! which hyper does not promise; so a server tests it with the hyper and the kernel at hand before it serves
//! anybody.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::Response;
use hyper::body::Incoming;
use hyper::header::CONTENT_LENGTH;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::body::FileBody;
use super::connection::builder;
use super::direct::{IS_POSSIBLE, Lane, PIECE};
use super::streams::{Answer, Streams};
use super::watched::{Activity, Watched};

/// The lengths of the test responses, in bytes: hyper might treat short ones, and the last bytes of long
/// ones, differently.
const LENGTHS: [usize; 6] = [1, 300, 20_000, 64 << 10, PIECE, 2 * PIECE + 17];
/// The maximum time for all of them.
const LIMIT: Duration = Duration::from_secs(10);

/// Fails if stand-ins do not work here. `pass` is applied to each body before hyper gets it.
pub(super) async fn stand_ins(pass: fn(Body) -> Body) -> io::Result<()> {
    if !IS_POSSIBLE {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let sample: Vec<u8> = (0..LENGTHS[LENGTHS.len() - 1]).map(|i| 1 | (i / 251 + i % 251) as u8).collect();
    let mut file = tempfile::tempfile()?;
    file.write_all(&sample)?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let connected = async { tokio::try_join!(TcpStream::connect(address), listener.accept()) };
    let (client, (server, _)) = connected.await?;
    let exchange = async { tokio::join!(serve(server, file, pass), check(client, &sample)).1 };
    timeout(LIMIT, exchange).await?
}

/// Answers requests with as many bytes of the file as their path says.
async fn serve(stream: TcpStream, file: File, pass: fn(Body) -> Body) {
    let (activity, metrics, lane) = (Arc::<Activity>::default(), Arc::default(), Arc::<Lane>::default());
    let streams = Streams { activity: activity.clone(), metrics: Arc::clone(&metrics), idle: LIMIT };
    let stream = Watched::new(stream, metrics, activity, lane.clone(), LIMIT);
    let permits = Arc::new(Semaphore::new(LENGTHS.len()));
    let answers = service_fn(|request: hyper::Request<Incoming>| {
        let length: u64 = request.uri().path()[1..].parse().unwrap_or(0);
        let made = file.try_clone().map(|file| FileBody::new(file, 0..length, Some(lane.clone()), None));
        let permit = permits.clone().try_acquire_owned();
        async move {
            let body = pass(Body::new(Answer::new(Body::new(made?), permit.map_err(io::Error::other)?)));
            let mut response = Response::new(body);
            response.headers_mut().insert(CONTENT_LENGTH, length.into());
            Ok::<_, io::Error>(response)
        }
    });
    // A fault shows at the other end.
    let _ = builder(streams, LIMIT).serve_connection(TokioIo::new(stream), answers).await;
}

/// Requests all lengths at once, and compares the responses with the sample.
async fn check(mut stream: TcpStream, sample: &[u8]) -> io::Result<()> {
    let asked = LENGTHS.map(|length| format!("GET /{length} HTTP/1.1\r\nHost: x\r\n\r\n")).concat();
    stream.write_all(asked.as_bytes()).await?;
    let mut came = vec![0; 1];
    for length in LENGTHS {
        came.clear();
        while !came.ends_with(b"\r\n\r\n") {
            came.push(stream.read_u8().await?);
        }
        came.resize(length, 0);
        stream.read_exact(&mut came).await?;
        if came != sample[..length] {
            return Err(io::Error::other(format!("a response of {length} bytes differs from the file")));
        }
    }
    Ok(())
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use bytes::Bytes;
    use futures_util::StreamExt as _;

    use super::*;

    fn run(pass: fn(Body) -> Body) -> io::Result<()> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().unwrap().block_on(stand_ins(pass))
    }

    #[test]
    fn stand_ins_work_with_this_hyper() {
        run(|body| body).unwrap();
    }

    #[test]
    fn a_hyper_that_copies_is_found_out() {
        let copying = |body: Body| {
            let copy = |piece: Bytes| Bytes::copy_from_slice(&piece);
            Body::from_stream(body.into_data_stream().map(move |piece| piece.map(copy)))
        };
        let error = run(copying).unwrap_err().to_string();
        assert!(error.contains("differs from the file"), "{error}");
    }
}

//! Connections: accepted up to a limit, ended in order.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Server, routes};
use crate::limits::{DRAIN_TIME_MAX, HEAD_LEN_MAX, HEAD_TIME_MAX, HTTP_CONNECTIONS_MAX};

/// How soon it is tried again to accept, when the process has no file descriptors left.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Why a server ended before it was told to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The listener takes no more connections.
    #[error("no more connections can be accepted; start the server again")]
    Accept(#[source] io::Error),
}

/// Serves until `stop` is done; then sockets are closed, and requests under way have
/// [`DRAIN_TIME_MAX`](crate::limits::DRAIN_TIME_MAX).
///
/// # Errors
/// [`ServeError`] when the listener fails for good.
///
/// # Cancel safety
/// Dropping the future drops every connection.
pub async fn serve(
    listener: TcpListener,
    server: &Server,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let site = &server.0;
    let router = routes::router(site);
    let room = Arc::new(Semaphore::new(HTTP_CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    let ended = loop {
        let accepted = tokio::select! {
            () = &mut stop => break Ok(()),
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &room) => accepted,
        };
        match accepted {
            Ok((stream, permit)) => {
                let (router, stopping) = (router.clone(), site.stopping.subscribe());
                connections.spawn(async move {
                    connection(stream, router, stopping).await;
                    drop(permit);
                });
            }
            Err(error) => break Err(ServeError::Accept(error)),
        }
    };
    drop(listener);
    site.stopping.send_replace(true);
    // Whoever is at work holds a receiver.
    let all = site.stopping.closed();
    // Who does not end in time is cut off.
    drop(timeout(DRAIN_TIME_MAX, all).await);
    connections.shutdown().await;
    ended
}

/// The next connection, once there is room for it.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Keystrokes are small, and must not wait for more.
                drop(stream.set_nodelay(true));
                return Ok((stream, permit));
            }
            // The peer has changed its mind.
            Err(error) if is_of_the_peer(&error) => {}
            // No file descriptors: others give theirs back.
            Err(error) if error.raw_os_error().is_some() => {
                let mut again = tokio::time::interval(ACCEPT_AGAIN_AFTER);
                again.reset();
                again.tick().await;
            }
            Err(error) => return Err(error),
        }
    }
}

fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Waits for the end of the server.
pub(super) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // A server that is gone has ended, too.
    drop(stopping.wait_for(|is_stopping| *is_stopping).await);
}

/// Serves one connection until it ends, or the server does.
async fn connection(stream: TcpStream, router: Router, mut stopping: watch::Receiver<bool>) {
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(HEAD_LEN_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended: Result<(), hyper::Error> = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // How a peer misbehaved is its own affair.
    drop(ended);
}

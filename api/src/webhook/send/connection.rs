//! Connections to receivers, and the requests that go over one, one after the other.
//!
//! hyper speaks HTTP/1.1, without a layer above it: so a request takes one task and no second copy of itself, and what waits
//! takes little room. Invariants: a connection has no task of its own, so it moves on only while somebody waits
//! for it; it goes to an address that the guard permits, and over TLS if the scheme says so.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tower_service::Service;

use super::MAX_HEAD_BYTES;
use crate::webhook::egress::{Destination, Guard, GuardedResolver, Scheme};
use crate::webhook::failure::AttemptError;

/// How long a connection that is given up has to say so.
const CLOSING: Duration = Duration::from_secs(1);

/// What bytes go through: TCP, or TLS over it.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

// In a box, for a connection without TLS shall not take the room of one with it.
type Driver = http1::Connection<TokioIo<Box<dyn Stream>>, Full<Bytes>>;

/// Opens connections. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Connector {
    // A resolver does not see the scheme, and other addresses are open to http than to https.
    https: HttpsConnector<HttpConnector<GuardedResolver>>,
    http: HttpConnector<GuardedResolver>,
}

impl Connector {
    /// One that obeys the guard.
    ///
    /// # Errors
    /// If the system's certificates cannot be used.
    pub fn new(guard: &Guard) -> io::Result<Self> {
        let tcp = |scheme| {
            let mut tcp = HttpConnector::new_with_resolver(guard.resolver(scheme));
            tcp.set_nodelay(true);
            tcp
        };
        let mut under_tls = tcp(Scheme::Https);
        under_tls.enforce_http(false);
        let tls = HttpsConnectorBuilder::new()
            .with_provider_and_platform_verifier(rustls::crypto::aws_lc_rs::default_provider())?;
        Ok(Self { https: tls.https_only().enable_http1().wrap_connector(under_tls), http: tcp(Scheme::Http) })
    }

    /// Resolves, connects, and agrees on TLS.
    ///
    /// # Errors
    /// What of it failed.
    pub async fn connect(&self, to: &Destination) -> Result<Connection, AttemptError> {
        let uri = to.uri().clone();
        let stream = match to.scheme() {
            Scheme::Https => self.https.clone().call(uri).await.map_err(|e| AttemptError::of_connecting(&*e, true))?,
            Scheme::Http => {
                let tcp = self.http.clone().call(uri).await;
                MaybeHttpsStream::Http(tcp.map_err(|e| AttemptError::of_connecting(&e, false))?)
            }
        };
        let (stream, address): (Box<dyn Stream>, _) = match stream {
            MaybeHttpsStream::Http(tcp) => {
                let tcp = tcp.into_inner();
                let address = tcp.peer_addr();
                (Box::new(tcp), address)
            }
            MaybeHttpsStream::Https(tls) => {
                let tls = tls.into_inner();
                let address = tls.get_ref().0.inner().inner().peer_addr();
                (Box::new(tls), address)
            }
        };
        let over = Connection::over(stream, address.ok()).await;
        over.map_err(|e| AttemptError::of_exchange(&e))
    }
}

/// A connection, over which nothing or one request is on its way.
pub struct Connection {
    requests: http1::SendRequest<Full<Bytes>>,
    driver: Pin<Box<Driver>>,
    has_ended: bool,
    address: Option<SocketAddr>,
}

impl Connection {
    async fn over(stream: Box<dyn Stream>, address: Option<SocketAddr>) -> hyper::Result<Self> {
        let stream = TokioIo::new(stream);
        let (requests, driver) = http1::Builder::new().max_buf_size(MAX_HEAD_BYTES).handshake(stream).await?;
        Ok(Self { requests, driver: Box::pin(driver), has_ended: false, address })
    }

    /// The address and port at its other end.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Makes a request, and gives the head of the answer.
    ///
    /// # Errors
    /// If there is none. The error holds the request if nothing of it was sent.
    pub async fn request(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>> {
        let answer = self.requests.try_send_request(request);
        self.drive(answer).await
    }

    /// Does something that waits for this connection.
    pub async fn drive<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            if !self.has_ended {
                // How it ended is told to who waits for an answer.
                self.has_ended = self.driver.as_mut().poll(cx).is_ready();
            }
            work.as_mut().poll(cx)
        })
        .await
    }

    /// Whether another request can be made: the last answer has come to its end, and the receiver has not left since.
    pub async fn is_free(&mut self) -> bool {
        poll_fn(|cx| {
            self.has_ended = self.has_ended || self.driver.as_mut().poll(cx).is_ready();
            Poll::Ready(!self.has_ended && self.requests.is_ready())
        })
        .await
    }

    /// Tells the receiver that nothing more will come.
    pub async fn close(self) {
        let Self { requests, driver, has_ended, .. } = self;
        drop(requests);
        if !has_ended {
            let _ = tokio::time::timeout(CLOSING, driver).await;
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("address", &self.address).finish_non_exhaustive()
    }
}

//! The guard as a whole: the client that sends, with names whose addresses change between the check and the sending, and
//! every notation of an address that must not be reached. A canary listens where nothing may arrive.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

use super::{AllowList, Guard, UrlError};
use crate::webhook::failure::ErrorCode;
use crate::webhook::send::{Attempt, Outbound, Sender};

/// Listens on all addresses of this machine, counts what connects, and answers nothing.
struct Canary {
    port: u16,
    connections: Arc<AtomicUsize>,
    _stop: DropGuard,
}

impl Canary {
    async fn start() -> Self {
        let listener = match TcpListener::bind("[::]:0").await {
            Ok(listener) => listener,
            // A machine without IPv6.
            Err(_) => TcpListener::bind("0.0.0.0:0").await.unwrap(),
        };
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let (counter, stop) = (Arc::clone(&connections), CancellationToken::new());
        let stopped = stop.clone();
        tokio::spawn(async move {
            while let Some(Ok((mut socket, _))) = stopped.run_until_cancelled(listener.accept()).await {
                counter.fetch_add(1, Ordering::SeqCst);
                let _ = socket.read_u8().await;
            }
        });
        Self { port, connections, _stop: stop.drop_guard() }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// A name server that gives another answer each time; the last one for good.
fn answers(answers: &[&[&str]]) -> super::resolver::Source {
    let parse = |addresses: &&[&str]| addresses.iter().map(|a| a.parse::<IpAddr>().unwrap()).collect::<Vec<_>>();
    let left = Mutex::new(answers.iter().map(parse).collect::<VecDeque<_>>());
    Arc::new(move |_| {
        let mut left = left.lock().unwrap();
        let next = if left.len() > 1 { left.pop_front() } else { left.front().cloned() };
        Ok(next.unwrap_or_default())
    })
}

async fn send(guard: &Guard, url: &str) -> Attempt {
    let sender = Sender::new(guard.clone()).unwrap();
    let outbound = Outbound {
        to: Arc::new(url.parse().unwrap()),
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"{}"),
        timeout: Duration::from_secs(20),
    };
    sender.send(outbound).await
}

fn assert_blocked(attempt: &Attempt, url: &str) {
    let error = attempt.error.as_ref().unwrap_or_else(|| panic!("{url} was reached"));
    assert_eq!(error.code, ErrorCode::BlockedAddress, "{url}");
    assert_eq!(error.message, "the host has no address that webhooks may be sent to", "{url}");
    assert_eq!((attempt.address.as_deref(), attempt.status_code, attempt.response_body.as_deref()), (None, None, None));
}

#[tokio::test]
async fn a_name_that_is_bound_to_another_address_after_its_check_reaches_nothing() {
    let canary = Canary::start().await;
    for inside in
        ["127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "64:ff9b::7f00:1", "2002:7f00:1::", "fd00:ec2::254"]
    {
        let guard = Guard::resolving(AllowList::none(), answers(&[&["93.184.216.34"], &[inside]]));
        let url = format!("https://rebound.example:{}/", canary.port);
        assert!(guard.check_url(&url).await.is_ok(), "at registration it is a public host");
        assert_blocked(&send(&guard, &url).await, inside);
    }
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn of_mixed_addresses_only_the_permitted_are_used() {
    let canary = Canary::start().await;
    for inside in [&["127.0.0.1", "169.254.169.254"][..], &["10.0.0.1", "::1", "fe80::1"], &["100.64.0.1", "224.0.0.1"]]
    {
        let guard = Guard::resolving(AllowList::none(), answers(&[inside]));
        let url = format!("https://mixed.example:{}/", canary.port);
        assert_eq!(guard.check_url(&url).await, Err(UrlError::Blocked), "{inside:?}");
        assert_blocked(&send(&guard, &url).await, "mixed.example");
    }
    // A public address beside them: the registration is fine, and the resolver gives that one alone.
    let mixed = ["127.0.0.1", "93.184.216.34", "::1", "169.254.169.254"];
    let guard = Guard::resolving(AllowList::none(), answers(&[&mixed]));
    assert!(guard.check_url("https://mixed.example/").await.is_ok());
    let resolver = guard.resolver(super::Scheme::Https);
    let found = resolver.resolve("mixed.example").await.unwrap_or_else(|error| panic!("{error}"));
    let found: Vec<_> = found.iter().map(|address| address.ip().to_string()).collect();
    assert_eq!(found, ["93.184.216.34"]);
    assert_eq!(canary.connections(), 0);
}

/// Two addresses of this machine, one of which is open: what is sent arrives there, and never at the other.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_is_sent_goes_to_the_address_that_was_checked() {
    let open = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let port = open.local_addr().unwrap().port();
    let canary = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let router = axum::Router::new().fallback(|| async { "here" });
    tokio::spawn(async move { axum::serve(open, router).await });
    let guard = Guard::resolving("127.0.0.2".parse().unwrap(), answers(&[&["127.0.0.1", "127.0.0.2", "::1"]]));
    for _ in 0..5 {
        let attempt = send(&guard, &format!("http://mixed.example:{port}/")).await;
        assert_eq!(attempt.address, Some(format!("127.0.0.2:{port}")));
        assert_eq!(attempt.response_body.as_deref(), Some("here"));
    }
    let arrived = tokio::select! {
        biased;
        arrived = canary.accept() => arrived.is_ok(),
        () = std::future::ready(()) => false,
    };
    assert!(!arrived, "the canary was reached");
}

/// Every notation that a URL parser, a resolver or a network may take for an address that is not to be reached.
#[tokio::test]
async fn no_notation_of_an_address_gets_through() {
    let canary = Canary::start().await;
    let system = Guard::new(AllowList::none());
    for (what, hosts) in [
        (
            "loopback",
            &["127.0.0.1", "127.1", "127.0.1", "127.255.255.254", "[::1]", "[0:0:0:0:0:0:0:1]", "localhost"][..],
        ),
        ("decimal", &["2130706433", "2852039166", "0"]),
        ("hexadecimal", &["0x7f000001", "0x7f.1", "0x7F.0x0.0x0.0x1", "0xa9fea9fe", "0x7f.0.1"]),
        ("octal", &["0177.0.0.1", "0177.1", "017700000001", "0300.0250.1.1", "00.00.00.00"]),
        ("a dot at the end", &["127.0.0.1.", "127.1.", "0x7f.1."]),
        (
            "escapes and other digits",
            &["%31%32%37.0.0.1", "①②⑦.⓪.⓪.①", "１２７.0.0.1", "127。0。0。1", "127%2e0%2e0%2e1"],
        ),
        (
            "IPv4-mapped",
            &[
                "[::ffff:127.0.0.1]",
                "[::ffff:7f00:1]",
                "[::ffff:169.254.169.254]",
                "[0:0:0:0:0:ffff:10.0.0.1]",
                "[::ffff:8.8.8.8]",
            ],
        ),
        ("IPv4-compatible", &["[::127.0.0.1]", "[::a9fe:a9fe]"]),
        ("NAT64", &["[64:ff9b::127.0.0.1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::7f00:1]"]),
        ("6to4 and Teredo", &["[2002:7f00:1::]", "[2002:a9fe:a9fe::1]", "[2001:0:7f00:1::]"]),
        (
            "metadata",
            &["169.254.169.254", "[fd00:ec2::254]", "100.100.100.200", "192.0.0.192", "168.63.129.16", "169.254.170.2"],
        ),
        ("private", &["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "[fc00::1]", "[fdff::1]"]),
        ("link-local", &["169.254.0.1", "[fe80::1]", "[febf::1]", "[fec0::1]"]),
        ("carrier-grade NAT", &["100.64.0.1", "100.127.255.255"]),
        ("unspecified and this network", &["0.0.0.0", "0.1.2.3", "[::]"]),
        ("multicast and broadcast", &["224.0.0.1", "239.255.255.255", "255.255.255.255", "[ff02::1]", "[ff0e::1]"]),
        ("reserved", &["240.0.0.1", "[4000::1]", "[100::1]", "[5f00::1]"]),
        (
            "documentation and benchmarks",
            &["192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "[2001:db8::1]", "[3fff::1]", "[2001:2::1]"],
        ),
    ] {
        for host in hosts {
            for scheme in ["https", "http"] {
                let url = format!("{scheme}://{host}:{}/hook", canary.port);
                assert_eq!(system.check_url(&url).await, Err(UrlError::Blocked), "{what}: {url}");
                assert_blocked(&send(&system, &url).await, &url);
            }
        }
    }
    // What only looks like another host.
    for url in ["https://93.184.216.34@127.0.0.1/", "https://example.com:443@127.0.0.1/", "https://:@[::1]/"] {
        let checked = system.check_url(url).await;
        assert!(matches!(checked, Err(UrlError::UserInfo | UrlError::Blocked)), "{url}: {checked:?}");
        let mut url = Url::parse(url).unwrap();
        url.set_port(Some(canary.port)).unwrap();
        assert_blocked(&send(&system, url.as_str()).await, url.as_str());
    }
    assert_eq!(canary.connections(), 0);
}

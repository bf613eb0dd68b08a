//! Real receivers on loopback that misbehave in all ways.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use super::*;
use crate::webhook::egress::AllowList;
use crate::webhook::failure::ErrorCode;

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(200);

/// A receiver on port 0 that handles each connection by itself. Returns its port.
fn receiver(handle: impl Fn(TcpStream) + Send + Sync + Clone + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, handle) = (stream.unwrap(), handle.clone());
            thread::spawn(move || handle(stream));
        }
    });
    port
}

/// Reads the head and, if it has a length, the body of one request.
fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return text,
            Ok(n) => request.extend_from_slice(&buffer[..n]),
        }
    }
}

/// A receiver that answers every request with these bytes and then waits until the client leaves.
fn answering(answer: impl AsRef<[u8]> + Send + Sync + Clone + 'static) -> u16 {
    receiver(move |mut stream| {
        while !read_request(&mut stream).is_empty() {
            if stream.write_all(answer.as_ref()).is_err() {
                return;
            }
        }
    })
}

fn status(line: &str) -> String {
    format!("HTTP/1.1 {line}\r\ncontent-length: 5\r\n\r\nhello")
}

fn sender(allow: AllowList) -> Sender {
    Sender::new(Guard::new(allow)).unwrap()
}

fn destination(url: &str) -> Arc<Destination> {
    Arc::new(url.parse().unwrap())
}

async fn post(url: &str, timeout: Duration) -> Attempt {
    let body = Bytes::from_static(b"{}");
    let outbound = Outbound { to: destination(url), headers: HeaderMap::new(), body, timeout };
    sender(AllowList::loopback()).send(outbound).await
}

async fn post_to(port: u16, timeout: Duration) -> Attempt {
    post(&format!("http://127.0.0.1:{port}/hook"), timeout).await
}

fn code(attempt: &Attempt) -> Option<ErrorCode> {
    // No message may tell the owner of a webhook about the server's network.
    if let Some(error) = &attempt.error {
        assert!(!error.message.contains("127.0.0.1") && !error.message.contains("os error"), "{}", error.message);
    }
    attempt.error.as_ref().map(|e| e.code)
}

#[tokio::test]
async fn statuses() {
    for (line, expected) in [
        ("200 OK", None),
        ("201 Created", None),
        ("299 Fine", None),
        ("301 Moved\r\nlocation: /elsewhere", Some(ErrorCode::Redirect)),
        ("302 Found\r\nlocation: http://127.0.0.1:1/", Some(ErrorCode::Redirect)),
        ("307 Temporary\r\nlocation: /elsewhere", Some(ErrorCode::Redirect)),
        ("400 Bad", Some(ErrorCode::Status)),
        ("410 Gone", Some(ErrorCode::Status)),
        ("500 Oops", Some(ErrorCode::Status)),
    ] {
        let port = answering(status(line));
        let attempt = post_to(port, LONG).await;
        assert_eq!(code(&attempt), expected, "{line}");
        assert_eq!(attempt.status_code, Some(line[..3].parse().unwrap()));
        assert_eq!(attempt.response_body.as_deref(), Some("hello"));
        assert_eq!(attempt.address, Some(format!("127.0.0.1:{port}")));
        assert_eq!(attempt.is_success(), expected.is_none());
    }
}

#[tokio::test]
async fn retry_after_of_failures_is_read() {
    let attempt = post_to(answering(status("503 Busy\r\nretry-after: 17")), LONG).await;
    assert_eq!(attempt.retry_after, Some(Duration::from_secs(17)));
    let attempt = post_to(answering(status("200 OK\r\nretry-after: 17")), LONG).await;
    assert_eq!(attempt.retry_after, None);
    let attempt = post_to(answering(status("429 Slow\r\nretry-after: \u{00e4}")), LONG).await;
    assert_eq!((code(&attempt), attempt.retry_after), (Some(ErrorCode::Status), None));
}

#[tokio::test]
async fn the_request_is_what_was_asked_for() {
    let (seen, requests) = mpsc::channel();
    let port = receiver(move |mut stream| {
        seen.send(read_request(&mut stream)).unwrap();
        stream.write_all(status("200 OK").as_bytes()).unwrap();
    });
    let mut headers = HeaderMap::new();
    headers.insert("webhook-id", "evt_1".parse().unwrap());
    headers.insert("accept", "text/plain".parse().unwrap());
    let to = destination(&format!("http://127.0.0.1:{port}/hook?a=b"));
    let outbound = Outbound { to, headers, body: Bytes::from_static(b"{\"a\":1}"), timeout: LONG };
    assert!(sender(AllowList::loopback()).send(outbound).await.is_success());
    let request = requests.recv().unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("post /hook?a=b http/1.1\r\n"), "{head}");
    assert_eq!(body, "{\"a\":1}");
    for line in [
        "accept: text/plain",
        "webhook-id: evt_1",
        "content-length: 7",
        &format!("user-agent: tandem/{}", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(head.contains(line), "{line} in {head}");
    }
    assert!(!head.contains("accept-encoding") && !head.contains("referer"), "{head}");
}

#[tokio::test]
async fn connections_are_used_again() {
    let (seen, connections) = mpsc::channel();
    let port = receiver(move |mut stream| {
        seen.send(()).unwrap();
        while !read_request(&mut stream).is_empty() {
            stream.write_all(status("200 OK").as_bytes()).unwrap();
        }
    });
    let sender = sender(AllowList::loopback());
    for _ in 0..5 {
        let to = destination(&format!("http://127.0.0.1:{port}/"));
        let outbound = Outbound { to, headers: HeaderMap::new(), body: Bytes::new(), timeout: LONG };
        assert!(sender.send(outbound).await.is_success());
    }
    assert_eq!(connections.try_iter().count(), 1);
}

#[tokio::test]
async fn a_connection_that_cannot_be_used_again_is_not() {
    let (seen, connections) = mpsc::channel();
    // What follows an answer in the same piece, or its being too long to be read, or the receiver's leaving.
    let closing = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";
    let unasked = format!("{0}{0}", status("200 OK"));
    let long = format!("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{}", "x".repeat(100_000));
    let until_the_end = "HTTP/1.1 200 OK\r\n\r\nok".to_owned();
    for (answer, leaves) in
        [(closing.to_owned(), false), (unasked, false), (long, false), (until_the_end, true), (status("200 OK"), true)]
    {
        let (seen, answer) = (seen.clone(), Arc::new(answer));
        let what = answer.lines().last().unwrap().chars().take(20).collect::<String>();
        let port = receiver(move |mut stream| {
            seen.send(()).unwrap();
            while !read_request(&mut stream).is_empty() && stream.write_all(answer.as_bytes()).is_ok() && !leaves {}
        });
        let sender = sender(AllowList::loopback());
        for _ in 0..3 {
            let to = destination(&format!("http://127.0.0.1:{port}/"));
            let outbound = Outbound { to, headers: HeaderMap::new(), body: Bytes::new(), timeout: LONG };
            let attempt = sender.send(outbound).await;
            assert!(attempt.is_success(), "{what}: {:?}", attempt.error);
            if leaves {
                // Whether it has left is seen when the next request is made.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        assert_eq!(connections.try_iter().count(), 3, "{what}");
    }
}

#[tokio::test]
async fn a_connection_that_nobody_needs_is_closed() {
    let (seen, ended) = mpsc::channel();
    let port = receiver(move |mut stream| {
        while !read_request(&mut stream).is_empty() {
            stream.write_all(status("200 OK").as_bytes()).unwrap();
        }
        seen.send(()).unwrap();
    });
    let sender = sender(AllowList::loopback());
    let to = destination(&format!("http://127.0.0.1:{port}/"));
    let outbound = Outbound { to, headers: HeaderMap::new(), body: Bytes::new(), timeout: LONG };
    assert!(sender.send(outbound).await.is_success());
    let ended = tokio::task::spawn_blocking(move || ended.recv_timeout(LONG));
    assert_eq!(ended.await.unwrap(), Ok(()));
}

#[tokio::test]
async fn a_long_head_ends_the_request() {
    for (bytes, expected) in [(MAX_HEAD_BYTES / 2, None), (MAX_HEAD_BYTES * 2, Some(ErrorCode::Protocol))] {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-long: {}\r\n\r\n", "x".repeat(bytes));
        assert_eq!(code(&post_to(answering(head), LONG).await), expected, "{bytes}");
    }
}

#[tokio::test]
async fn one_deadline_covers_everything() {
    let silent = receiver(|mut stream| while !read_request(&mut stream).is_empty() {});
    let slow_head = answering("HTTP/1.1 200 OK\r\nx-slow: ");
    let informing = answering("HTTP/1.1 102 Processing\r\n\r\n");
    let not_tls = receiver(|mut stream| while stream.read(&mut [0; 512]).is_ok_and(|n| n > 0) {});
    for url in [
        format!("http://127.0.0.1:{silent}/"),
        format!("http://127.0.0.1:{slow_head}/"),
        format!("http://127.0.0.1:{informing}/"),
        format!("https://127.0.0.1:{not_tls}/"),
    ] {
        let attempt = post(&url, SHORT).await;
        assert_eq!(code(&attempt), Some(ErrorCode::Timeout), "{url}");
        assert_eq!(attempt.status_code, None);
        assert!(attempt.duration_ms >= 200, "{}", attempt.duration_ms);
    }
}

#[tokio::test]
async fn a_success_stays_one_when_its_body_stalls_or_breaks() {
    let stalling = answering("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nstart");
    let breaking = receiver(|mut stream| {
        read_request(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nstart\r\nzz").unwrap();
    });
    for port in [stalling, breaking] {
        let attempt = post_to(port, SHORT).await;
        assert_eq!((code(&attempt), attempt.status_code), (None, Some(200)));
        assert_eq!(attempt.response_body.as_deref(), Some("start"));
    }
    let failing = answering("HTTP/1.1 500 Oops\r\ncontent-length: 100\r\n\r\nstart");
    let attempt = post_to(failing, SHORT).await;
    assert_eq!((code(&attempt), attempt.response_body.as_deref()), (Some(ErrorCode::Status), Some("start")));
}

#[tokio::test]
async fn a_huge_answer_is_cut_off() {
    let port = receiver(|mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n");
        while stream.write_all(&[b'x'; 64 * 1024]).is_ok() {}
    });
    let attempt = post_to(port, LONG).await;
    assert!(attempt.is_success());
    assert_eq!(attempt.response_body.unwrap().len(), MAX_RESPONSE_BYTES);
}

#[tokio::test]
async fn long_answers_have_a_bound_together() {
    let long = format!("HTTP/1.1 500 Oops\r\ncontent-length: 5000\r\n\r\n{}", "x".repeat(5000));
    let short = format!("HTTP/1.1 500 Oops\r\ncontent-length: 1024\r\n\r\n{}", "x".repeat(1024));
    let (long, short) = (answering(long), answering(short));
    let sender = Sender { answers: Answers::bounded(1), ..sender(AllowList::loopback()) };
    let kept = async |port: u16| {
        let to = destination(&format!("http://127.0.0.1:{port}/hook"));
        let outbound = Outbound { to, headers: HeaderMap::new(), body: Bytes::new(), timeout: LONG };
        sender.send(outbound).await.response_body.unwrap()
    };
    // A short one needs no room, nor does a long one that is given up, or is cut later.
    assert_eq!([kept(short).await.len(), kept(long).await.len()], [1024, 5000]);
    let mut first = kept(long).await;
    assert_eq!([first.len(), kept(long).await.len(), kept(short).await.len()], [5000, 1024, 1024]);
    first.truncate(1024);
    assert_eq!(kept(long).await.len(), 5000);
}

#[tokio::test]
async fn nothing_is_decompressed() {
    // The start of a gzip stream; whether it is a bomb does not matter if it is never opened.
    let mut answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 12\r\n\r\n".to_vec();
    answer.extend_from_slice(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xed\xff");
    let attempt = post_to(answering(answer), LONG).await;
    assert!(attempt.is_success());
    let body = attempt.response_body.unwrap();
    assert!(body.starts_with("\u{1f}\u{fffd}\u{8}"), "{body:?}");
    assert!(!body.contains('\0'));
}

#[tokio::test]
async fn connections_that_fail() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let attempt = post_to(closed, LONG).await;
    assert_eq!(code(&attempt), Some(ErrorCode::Connect));
    assert_eq!((attempt.status_code, attempt.address), (None, None));

    // Closing with unread data resets the connection.
    let resetting = receiver(|mut stream| {
        let _ = stream.read(&mut [0; 1]);
    });
    let failure = code(&post_to(resetting, LONG).await);
    assert!(matches!(failure, Some(ErrorCode::Connect | ErrorCode::Protocol)), "{failure:?}");

    let hanging_up = receiver(|mut stream| {
        read_request(&mut stream);
    });
    assert_eq!(code(&post_to(hanging_up, LONG).await), Some(ErrorCode::Protocol));
    assert_eq!(code(&post_to(answering("SSH-2.0-OpenSSH_9.6\r\n"), LONG).await), Some(ErrorCode::Protocol));
}

#[tokio::test]
async fn tls_that_fails() {
    let plain = receiver(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let closing = receiver(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
    });
    for port in [plain, closing] {
        let attempt = post(&format!("https://127.0.0.1:{port}/"), LONG).await;
        assert_eq!(code(&attempt), Some(ErrorCode::Tls), "{:?}", attempt.error);
    }
}

#[tokio::test]
async fn blocked_addresses_are_never_connected_to() {
    let (seen, connections) = mpsc::channel();
    let port = receiver(move |_| seen.send(()).unwrap());
    let sender = sender(AllowList::none());
    for scheme in ["http", "https"] {
        for host in ["127.0.0.1", "0x7f.1", "2130706433", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0"] {
            let to = destination(&format!("{scheme}://{host}:{port}/"));
            let outbound = Outbound { to, headers: HeaderMap::new(), body: Bytes::new(), timeout: LONG };
            let attempt = sender.send(outbound).await;
            assert_eq!(code(&attempt), Some(ErrorCode::BlockedAddress), "{scheme}://{host}");
        }
    }
    assert_eq!(connections.try_iter().count(), 0);
}

#[tokio::test]
async fn names_that_do_not_resolve() {
    assert_eq!(code(&post("https://nobody.invalid/", LONG).await), Some(ErrorCode::Dns));
}

/// Thousands may wait for an answer. A future holds twice what it hands on by value, so this grows at a touch.
#[test]
fn a_request_that_waits_takes_little_room() {
    let to = destination("https://example.com/");
    let outbound = Outbound { to, headers: HeaderMap::new(), body: Bytes::new(), timeout: LONG };
    let bytes = size_of_val(&sender(AllowList::none()).send(outbound));
    assert!(bytes <= 3 * 1024, "{bytes}");
}

//! A request as a receiver got it: from the bytes of HTTP/1.1, as proxies, debuggers and request bins save them.

/// Headers and body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Names in lower case, values without the white space around them; in the order they came.
    pub headers: Vec<(String, String)>,
    /// The body, byte for byte; of a chunked one without the framing.
    pub body: Vec<u8>,
}

impl Request {
    /// The values of a header.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Reads a whole request.
///
/// # Errors
/// Why it is none, for people.
pub fn parse(input: &[u8]) -> Result<Request, String> {
    let (head, body) = split(input).ok_or(
        "error: there is no empty line between headers and body; give the whole request as it was received, or the headers \
         with --header and the body alone",
    )?;
    let head = std::str::from_utf8(head).map_err(|_| "error: the headers are no text")?;
    let mut lines = head.lines().peekable();
    if lines.peek().is_some_and(|line| line.starts_with("HTTP/")) {
        return Err("error: this is a response, not a request".to_owned());
    }
    lines.next_if(|line| is_request_line(line));
    let headers = lines.map(header).collect::<Result<Vec<_>, _>>()?;
    let mut request = Request { headers, body: body.to_vec() };
    if request.values("transfer-encoding").any(|coding| coding.eq_ignore_ascii_case("chunked")) {
        // Whoever saved it may have saved what came out of the framing.
        request.body = dechunk(body).unwrap_or_else(|| body.to_vec());
    }
    Ok(request)
}

/// A request whose headers were given one by one.
///
/// # Errors
/// If one of them is no header, for people.
pub fn of_parts(headers: &[String], body: Vec<u8>) -> Result<Request, String> {
    Ok(Request { headers: headers.iter().map(|line| header(line)).collect::<Result<_, _>>()?, body })
}

/// At the first empty line, whatever its line ends are.
fn split(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut start = 0;
    while let Some(length) = input[start..].iter().position(|byte| *byte == b'\n') {
        let line = &input[start..start + length];
        let next = start + length + 1;
        if line.is_empty() || line == b"\r" {
            return Some((&input[..start], &input[next..]));
        }
        start = next;
    }
    None
}

/// `POST /hook HTTP/1.1`
fn is_request_line(line: &str) -> bool {
    let method = line.split(' ').next().unwrap_or_default();
    line.contains(' ') && !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn header(line: &str) -> Result<(String, String), String> {
    let (name, value) = line.split_once(':').unwrap_or_default();
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(is_token) {
        let shown: String = line.chars().take(40).collect();
        return Err(format!("error: {shown:?} is no header; expected NAME: VALUE"));
    }
    Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
}

/// The body inside the framing of RFC 9112, section 7.1; `None` if it is not framed.
fn dechunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(input: &str) -> Result<(Vec<(String, String)>, String), String> {
        parse(input.as_bytes()).map(|request| (request.headers, String::from_utf8(request.body).unwrap()))
    }

    #[test]
    fn requests_are_read_in_every_usual_form() {
        let headers = vec![("webhook-id".to_owned(), "a b:c".to_owned()), ("x".to_owned(), String::new())];
        for (input, body) in [
            ("POST /a?b HTTP/1.1\r\nWebhook-Id: a b:c \r\nX:\r\n\r\n{}\r\n\r\n", "{}\r\n\r\n"),
            ("webhook-id:a b:c\nx: \n\n{}\n", "{}\n"),
            ("WEBHOOK-ID: a b:c\nX:\n\n", ""),
        ] {
            assert_eq!(shown(input), Ok((headers.clone(), body.to_owned())), "{input:?}");
        }
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n";
        for (framed, body) in [
            ("4;a=b\r\n{\"a\"\r\n3\r\n:1}\r\n0\r\n\r\n", "{\"a\":1}"),
            ("{\"a\":1}", "{\"a\":1}"),
            ("ff\r\n{}\r\n0\r\n\r\n", "ff\r\n{}\r\n0\r\n\r\n"),
        ] {
            assert_eq!(shown(&format!("{chunked}{framed}")).unwrap().1, body, "{framed:?}");
        }
    }

    #[test]
    fn what_is_no_request_is_said() {
        for (input, expected) in [
            ("", "no empty line"),
            ("{\"type\":\"a\"}", "no empty line"),
            ("{\"type\":\"a\"}\n\n", "is no header"),
            ("HTTP/1.1 200 OK\r\n\r\n", "a response"),
            ("POST / HTTP/1.1\nno header\n\n", "\"no header\" is no header"),
        ] {
            let error = shown(input).unwrap_err();
            assert!(error.contains(expected), "{input:?}: {error}");
        }
        assert!(parse(b"a: \xff\n\n").unwrap_err().contains("no text"));
        let parts = of_parts(&["Webhook-Id: a".to_owned()], b"{}".to_vec()).unwrap();
        assert_eq!(parts.values("webhook-id").collect::<Vec<_>>(), ["a"]);
        assert!(of_parts(&["a".to_owned()], Vec::new()).is_err());
    }
}

//! What programs between the sender and the verifier do to a body, undone: whether one of these gives what was signed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

/// Looks for the body that was signed, and says what has become of it.
pub fn explain(body: &[u8], content_length: Option<usize>, is_signed: impl Fn(&[u8]) -> bool) -> Option<String> {
    let found = candidates(body, content_length).into_iter().find(|(original, _)| is_signed(original));
    found.map(|(_, what)| what)
}

fn candidates(body: &[u8], content_length: Option<usize>) -> Vec<(Vec<u8>, String)> {
    let mut all = Vec::new();
    let mut add =
        |original: Option<Vec<u8>>, what: &str| all.extend(original.map(|original| (original, what.to_owned())));
    let text = std::str::from_utf8(body).ok();
    let trimmed = text.map(|text| text.trim_end_matches(['\r', '\n']).as_bytes());
    add(trimmed.map(<[u8]>::to_vec), "a newline was added at its end, as editors and `echo` do");
    add(
        content_length.and_then(|length| body.get(..length)).map(<[u8]>::to_vec),
        "there is more after the end that content-length tells",
    );
    add(Some([body, b"\n"].concat()), "the newline at its end was removed");
    add(Some([body, b"\r\n"].concat()), "the newline at its end was removed");
    add(text.map(|text| text.replace("\r\n", "\n").into_bytes()), "its line ends were changed to CRLF");
    add(text.map(|text| text.replace('\n', "\r\n").into_bytes()), "its line ends were changed to LF");
    add(body.strip_prefix(b"\xef\xbb\xbf").map(<[u8]>::to_vec), "a byte order mark was put before it");
    let json: Option<Value> = serde_json::from_slice(body).ok();
    add(
        json.as_ref().map(|json| json.to_string().into_bytes()),
        "it was parsed as JSON and written again, which changes white space and escapes: verify the bytes that came, before \
         any JSON parser",
    );
    let inner = json.as_ref().and_then(Value::as_str).map(|inner| inner.as_bytes().to_vec());
    add(inner, "it was put into a JSON string");
    let decoded = trimmed.and_then(|text| BASE64.decode(text).ok());
    add(decoded, "it was encoded in base64, as API gateways do with what they take for binary");
    let latin = text.map(|text| text.chars().map(|c| u8::try_from(u32::from(c))).collect::<Result<Vec<_>, _>>());
    add(latin.and_then(Result::ok), "it was read as Latin-1 instead of UTF-8");
    all
}

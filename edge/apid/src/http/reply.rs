//! Answers, and the small print of HTTP: query strings, warnings, compression.

use super::Body;
use api::{Encoding, Query};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use model::ApiError;
use serde_json::Value;

/// Answers from this size on are compressed for clients that take it.
const COMPRESS_FROM: usize = 128 * 1024;

/// An answer before it becomes HTTP.
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: Body,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Answer {
    pub(crate) fn new(code: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            code,
            content_type,
            body: Body::Whole(Some(body.into())),
            headers: Vec::new(),
        }
    }

    pub(crate) fn text(code: u16, text: impl Into<Bytes>) -> Self {
        let mut answer = Self::new(code, "text/plain; charset=utf-8", text);
        answer.header(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        answer
    }

    pub(crate) fn json(code: u16, value: &Value, pretty: bool) -> Self {
        Self::new(
            code,
            "application/json",
            api::encode(value, Encoding::Json, pretty),
        )
    }

    /// A refusal as a Status.
    pub(crate) fn refusal(error: &ApiError, pretty: bool) -> Self {
        let mut answer = Self::json(error.code, &error.status(), pretty);
        answer.warnings(&error.warnings);
        let retry = error
            .details
            .as_ref()
            .and_then(|details| details["retryAfterSeconds"].as_i64());
        if let Some(seconds) = retry {
            answer.header(header::RETRY_AFTER, &seconds.to_string());
        }
        answer
    }

    pub(crate) fn header(&mut self, name: HeaderName, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
    }

    /// `Warning: 299 - "…"` headers, each text once.
    pub(crate) fn warnings(&mut self, warnings: &[String]) {
        let mut seen = std::collections::BTreeSet::new();
        for text in warnings.iter().filter(|text| seen.insert(text.as_str())) {
            let clean: String = text.chars().filter(|c| !c.is_control()).collect();
            let quoted = clean.replace('\\', "\\\\").replace('"', "\\\"");
            self.header(header::WARNING, &format!("299 - \"{quoted}\""));
        }
    }

    /// Compresses a large answer.
    pub(crate) fn compressed(mut self, wanted: bool) -> Self {
        let Body::Whole(Some(bytes)) = &self.body else {
            return self;
        };
        let encoded = self
            .headers
            .iter()
            .any(|(name, _)| name == header::CONTENT_ENCODING);
        if !wanted || encoded || bytes.len() < COMPRESS_FROM {
            return self;
        }
        self.body = Body::Whole(Some(gzip(bytes).into()));
        self.header(header::CONTENT_ENCODING, "gzip");
        self.header(header::VARY, "Accept-Encoding");
        self
    }

    pub(crate) fn into_response(self, head: bool) -> Response<Body> {
        let body = if head { Body::Whole(None) } else { self.body };
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        if !self.content_type.is_empty() {
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static(self.content_type),
            );
        }
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-cache, private"),
        );
        for (name, value) in self.headers {
            headers.append(name, value);
        }
        response
    }
}

/// RFC 1952 around a deflated body.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    out.extend(miniz_oxide::deflate::compress_to_vec(bytes, 1));
    out.extend(crc32(bytes).to_le_bytes());
    out.extend(
        u32::try_from(bytes.len() & 0xffff_ffff)
            .unwrap_or(0)
            .to_le_bytes(),
    );
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0u32; 256];
        let mut i = 0;
        while i < 256 {
            let (mut value, mut bit) = (i as u32, 0);
            while bit < 8 {
                value = if value & 1 == 1 {
                    0xedb8_8320 ^ (value >> 1)
                } else {
                    value >> 1
                };
                bit += 1;
            }
            table[i] = value;
            i += 1;
        }
        table
    };
    let step = |crc: u32, byte: &u8| TABLE[usize::from((crc as u8) ^ byte)] ^ (crc >> 8);
    !bytes.iter().fold(!0, step)
}

/// Decodes `%XX`; what is malformed stays as it is.
pub(crate) fn percent_decode(text: &str) -> String {
    decode(text, false)
}

fn decode(text: &str, plus_is_blank: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = bytes
            .get(i + 1..i + 3)
            .and_then(|pair| std::str::from_utf8(pair).ok());
        match (
            bytes[i],
            hex.and_then(|pair| u8::from_str_radix(pair, 16).ok()),
        ) {
            (b'%', Some(byte)) => {
                out.push(byte);
                i += 2;
            }
            (b'+', _) if plus_is_blank => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        i += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Splits and decodes a query string.
pub(crate) fn parse_query(text: &str) -> Query {
    let pairs = text.split('&').filter(|part| !part.is_empty());
    Query(
        pairs
            .map(|part| part.split_once('=').unwrap_or((part, "")))
            .map(|(key, value)| (decode(key, true), decode(value, true)))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        let query = parse_query("a=b%2Cc&d=x+y&e&%zz=1");
        assert_eq!(query.text("a"), "b,c");
        assert_eq!(query.text("d"), "x y");
        assert_eq!(query.get("e"), Some(""));
        assert_eq!(query.get("%zz"), Some("1"));
    }

    #[test]
    fn checksums_are_those_of_gzip() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        let packed = gzip(b"hello hello hello");
        let body = &packed[10..packed.len() - 8];
        assert_eq!(
            miniz_oxide::inflate::decompress_to_vec(body).unwrap(),
            b"hello hello hello"
        );
    }
}

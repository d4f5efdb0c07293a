//! Responses that need no backend.

use crate::headers::Headers;

/// A response made here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Status code
    pub status: u16,
    /// Headers, without Content-Length
    pub headers: Headers,
    /// Body
    pub body: Vec<u8>,
    /// Whether the connection ends with it
    pub close: bool,
}

impl Answer {
    /// A status with a short page.
    pub fn status(status: u16) -> Self {
        let mut headers = Headers::new();
        let body = if matches!(status, 204 | 304) {
            Vec::new()
        } else {
            headers.push("Content-Type", "text/html");
            page(status).into_bytes()
        };
        Self {
            status,
            headers,
            body,
            close: false,
        }
    }

    /// 400, which ends the connection.
    pub fn bad_request() -> Self {
        Self {
            close: true,
            ..Self::status(400)
        }
    }

    /// A redirect.
    pub fn redirect(status: u16, location: Vec<u8>) -> Self {
        let mut answer = Self::status(status);
        answer.headers.push("Location", location);
        answer
    }

    /// 204 for a CORS preflight request.
    pub fn preflight() -> Self {
        let mut answer = Self::status(204);
        answer
            .headers
            .push("Content-Type", "text/plain charset=UTF-8");
        answer.headers.push("Content-Length", "0");
        answer
    }
}

fn page(status: u16) -> String {
    let reason = reason(status);
    format!(
        "<html>\n<head><title>{status} {reason}</title></head>\n<body>\n\
         <h1>{status} {reason}</h1>\n</body>\n</html>\n"
    )
}

/// The reason phrase of a status.
pub fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Authorization Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Not Allowed",
        408 => "Request Time-out",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Large",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Temporarily Unavailable",
        504 => "Gateway Time-out",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

//! Links of a backend, as they have to read for a client of the proxy.

/// What is needed to rewrite links.
#[derive(Clone, Debug)]
pub(super) struct Links {
    /// Path of the proxy, without a slash at its end
    pub(super) prefix: String,
    /// `host:port` of the backend
    pub(super) backend: String,
    /// The name by which the client calls this server
    pub(super) host: String,
}

/// The parts of a URL that matter here.
struct Url<'a> {
    /// `scheme:` with the colon, or nothing
    scheme: &'a str,
    /// What follows `//`
    host: Option<&'a str>,
    path: &'a str,
    /// Query and fragment with their marks
    rest: &'a str,
}

impl<'a> Url<'a> {
    fn split(text: &'a str) -> Self {
        let cut = text.find(['?', '#']).unwrap_or(text.len());
        let (text, rest) = text.split_at(cut);
        let scheme = match text.find([':', '/']) {
            Some(at) if text[at..].starts_with(':') && is_scheme(&text[..at]) => at + 1,
            _ => 0,
        };
        let (scheme, text) = text.split_at(scheme);
        let Some(after) = text.strip_prefix("//") else {
            return Self {
                scheme,
                host: None,
                path: text,
                rest,
            };
        };
        let (host, path) = after.split_at(after.find('/').unwrap_or(after.len()));
        Self {
            scheme,
            host: Some(host),
            path,
            rest,
        }
    }
}

fn is_scheme(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(plain)
}

impl Links {
    /// The link for the client; nothing when it may stay as it is. Absolute paths of the same
    /// host get the proxy's path in front.
    pub(super) fn rewrite(&self, link: &str) -> Option<String> {
        let url = Url::split(link);
        let host = url.host.unwrap_or_default();
        let is_here = host.is_empty() || host == self.backend || host == self.host;
        if !is_here || !url.path.starts_with('/') || (url.host.is_none() && !url.scheme.is_empty())
        {
            return None;
        }
        // A link that names this server keeps its host: the client knows it.
        let front = if !host.is_empty() && host == self.host {
            format!("{}//{host}", url.scheme)
        } else {
            String::new()
        };
        let path = if url.path.starts_with(&self.prefix) {
            url.path.to_owned()
        } else {
            clean(&format!("{}/{}", self.prefix, url.path))
        };
        Some(format!("{front}{path}{}", url.rest)).filter(|new| new != link)
    }

    /// `X-Forwarded-Uri` of a path at the backend.
    pub(super) fn forwarded(&self, path: &str) -> String {
        clean(&format!("{}/{path}", self.prefix))
    }
}

/// A path without empty segments, `.` and `..`; a slash at its end stays.
pub(super) fn clean(path: &str) -> String {
    if path.is_empty() {
        return String::new();
    }
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    let mut out = format!("/{}", kept.join("/"));
    if path.ends_with('/') && out != "/" {
        out.push('/');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_the_backend_lead_through_the_proxy() {
        let links = Links {
            prefix: "/p/proxy".to_owned(),
            backend: "10.0.0.1:80".to_owned(),
            host: "api:6443".to_owned(),
        };
        let cases = [
            ("/", "/p/proxy/"),
            ("/a?b=/c#d", "/p/proxy/a?b=/c#d"),
            ("/a/", "/p/proxy/a/"),
            ("/a/../b//c", "/p/proxy/b/c"),
            ("/p/proxy/a", "/p/proxy/a"),
            ("a/b", "a/b"),
            ("../a", "../a"),
            ("#top", "#top"),
            ("?x=1", "?x=1"),
            ("", ""),
            ("http://10.0.0.1:80/a", "/p/proxy/a"),
            ("//10.0.0.1:80/a", "/p/proxy/a"),
            ("https://api:6443/a", "https://api:6443/p/proxy/a"),
            ("https://elsewhere/a", "https://elsewhere/a"),
            ("//elsewhere/a", "//elsewhere/a"),
            ("mailto:a@b", "mailto:a@b"),
            ("javascript:/x/", "javascript:/x/"),
        ];
        for (link, wanted) in cases {
            let got = links.rewrite(link);
            assert_eq!(got.as_deref().unwrap_or(link), wanted, "{link}");
        }
        assert_eq!(links.forwarded("/a/"), "/p/proxy/a/");
    }
}

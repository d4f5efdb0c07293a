//! Header fields in the order of arrival, kept in one buffer.

/// A list of header fields. Names compare without case; order and spelling are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    bytes: Vec<u8>,
    fields: Vec<Field>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    name: (u32, u32),
    value: (u32, u32),
}

impl Headers {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field at the end.
    pub fn push(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let name = self.store(name.as_ref());
        let value = self.store(value.as_ref());
        self.fields.push(Field { name, value });
    }

    fn store(&mut self, bytes: &[u8]) -> (u32, u32) {
        let from = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(bytes);
        (from, u32::try_from(self.bytes.len()).unwrap_or(u32::MAX))
    }

    fn slice(&self, span: (u32, u32)) -> &[u8] {
        self.bytes
            .get(span.0 as usize..span.1 as usize)
            .unwrap_or_default()
    }

    /// Replaces all fields of this name by one at the end.
    pub fn set(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.remove(name.as_ref());
        self.push(name, value);
    }

    /// Removes all fields of this name.
    pub fn remove(&mut self, name: impl AsRef<[u8]>) {
        let name = name.as_ref();
        let bytes = &self.bytes;
        self.fields.retain(|field| {
            let found = bytes.get(field.name.0 as usize..field.name.1 as usize);
            !found.unwrap_or_default().eq_ignore_ascii_case(name)
        });
    }

    /// Keeps the fields that `keep` accepts.
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8], &[u8]) -> bool) {
        let bytes = &self.bytes;
        let get = |span: (u32, u32)| {
            bytes
                .get(span.0 as usize..span.1 as usize)
                .unwrap_or_default()
        };
        self.fields
            .retain(|field| keep(get(field.name), get(field.value)));
    }

    /// The first value of this name.
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        let name = name.as_ref();
        self.iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// All values of this name, joined with `, `, as nginx's `$http_…` variables have them.
    pub fn joined(&self, name: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        let name = name.as_ref();
        let separator: &[u8] = if name.eq_ignore_ascii_case(b"cookie") {
            b"; "
        } else {
            b", "
        };
        let mut out: Option<Vec<u8>> = None;
        for (_, value) in self.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)) {
            match &mut out {
                None => out = Some(value.to_vec()),
                Some(out) => {
                    out.extend_from_slice(separator);
                    out.extend_from_slice(value);
                }
            }
        }
        out
    }

    /// Number of fields of this name.
    pub fn count(&self, name: impl AsRef<[u8]>) -> usize {
        let name = name.as_ref();
        self.iter()
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .count()
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields
            .iter()
            .map(|field| (self.slice(field.name), self.slice(field.value)))
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// True when there is no field.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The value of a cookie, from the `Cookie` fields.
    pub fn cookie(&self, name: &str) -> Option<&[u8]> {
        self.iter()
            .filter(|(found, _)| found.eq_ignore_ascii_case(b"cookie"))
            .flat_map(|(_, value)| value.split(|&b| b == b';'))
            .find_map(|pair| {
                let pair = pair.trim_ascii();
                let at = pair.iter().position(|&b| b == b'=')?;
                let (key, value) = (pair.get(..at)?, pair.get(at + 1..)?);
                key.trim_ascii()
                    .eq_ignore_ascii_case(name.as_bytes())
                    .then_some(value)
            })
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for Headers {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(pairs: T) -> Self {
        let mut headers = Self::new();
        pairs.into_iter().for_each(|(n, v)| headers.push(n, v));
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_compare_without_case_and_keep_their_order() {
        let mut headers: Headers = [("A", "1"), ("b", "2"), ("a", "3")].into_iter().collect();
        assert_eq!(headers.get("a"), Some(&b"1"[..]));
        assert_eq!(headers.joined("A"), Some(b"1, 3".to_vec()));
        headers.set("a", "4");
        let pairs: Vec<_> = headers.iter().collect();
        assert_eq!(pairs, [(&b"b"[..], &b"2"[..]), (&b"a"[..], &b"4"[..])]);
    }

    #[test]
    fn cookies_are_found_in_any_field() {
        let headers: Headers = [("Cookie", "a=1; b=2"), ("cookie", "c=x=y")]
            .into_iter()
            .collect();
        assert_eq!(headers.cookie("b"), Some(&b"2"[..]));
        assert_eq!(headers.cookie("c"), Some(&b"x=y"[..]));
        assert_eq!(headers.cookie("d"), None);
    }
}

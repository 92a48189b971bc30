//! Reading big-endian fields from a slice, each with its name for the error.

use super::Malformed;

/// What is left of one message.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, length: bytes.len() }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn skip_rest(&mut self) {
        self.rest = &[];
    }

    pub(super) fn end(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed::Trailing(self.rest.len())) }
    }

    pub(super) fn bytes(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], Malformed> {
        let (head, rest) =
            self.rest.split_at_checked(count).ok_or(Malformed::Truncated { field, length: self.length })?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Malformed> {
        let (head, rest) =
            self.rest.split_first_chunk::<N>().ok_or(Malformed::Truncated { field, length: self.length })?;
        self.rest = rest;
        Ok(*head)
    }

    pub(super) fn u8(&mut self, field: &'static str) -> Result<u8, Malformed> {
        self.array::<1>(field).map(|[byte]| byte)
    }

    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32, Malformed> {
        self.array(field).map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self, field: &'static str) -> Result<u64, Malformed> {
        self.array(field).map(u64::from_be_bytes)
    }

    pub(super) fn i64(&mut self, field: &'static str) -> Result<i64, Malformed> {
        self.array(field).map(i64::from_be_bytes)
    }

    /// A 16-bit count, never negative.
    pub(super) fn count(&mut self, field: &'static str) -> Result<usize, Malformed> {
        let count = self.array(field).map(i16::from_be_bytes)?;
        usize::try_from(count).map_err(|_| Malformed::Negative(field))
    }

    /// A 32-bit length, never negative.
    pub(super) fn length(&mut self, field: &'static str) -> Result<usize, Malformed> {
        let length = self.array(field).map(i32::from_be_bytes)?;
        usize::try_from(length).map_err(|_| Malformed::Negative(field))
    }

    /// A text that ends with a zero byte.
    pub(super) fn text(&mut self, field: &'static str) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.until_zero(field)?).map_err(|_| Malformed::NotUtf8(field))
    }

    /// Bytes that end with a zero byte, which is not one of them.
    pub(super) fn until_zero(&mut self, field: &'static str) -> Result<&'a [u8], Malformed> {
        let end = self.rest.iter().position(|byte| *byte == 0);
        let end = end.ok_or(Malformed::Truncated { field, length: self.length })?;
        let text = self.bytes(end, field)?;
        self.u8(field)?;
        Ok(text)
    }
}

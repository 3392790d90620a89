//! Reading requests to the byte: it takes no more off the stream than it was told to.
//!
//! It knows no Vault path and no fault; `connection` decides how far to read.

use std::io::{self, Read, Write};

use crate::http::{Head, Headers};

/// Vault's `max_request_size`.
const MAX_BODY: usize = 32 << 20;
const MAX_HEAD: usize = 1 << 20;

/// Why a request could not be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The peer closed, or the connection broke.
    Gone,
    /// The bytes are not HTTP.
    Malformed,
    /// The body is larger than Vault accepts.
    TooLarge,
}

impl From<io::Error> for ReadError {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// Reads requests from a stream and counts the bytes of the current one.
pub(crate) struct Reader<S> {
    pub(crate) stream: S,
    buffer: Vec<u8>,
    /// How many bytes of the current request have been taken off the stream.
    pub(crate) taken: usize,
}

impl<S: Read + Write> Reader<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new(), taken: 0 }
    }

    /// Starts a new request. What was read beyond the last one belongs to it.
    pub(crate) fn begin(&mut self) {
        self.taken = self.buffer.len();
    }

    /// Reads at most `limit` bytes; an end of the stream is an error.
    fn fill(&mut self, limit: usize) -> Result<(), ReadError> {
        let mut chunk = [0; 16 << 10];
        let wanted = limit.min(chunk.len());
        let count = self.stream.read(&mut chunk[..wanted])?;
        if count == 0 {
            return Err(ReadError::Gone);
        }
        self.taken += count;
        self.buffer.extend_from_slice(&chunk[..count]);
        Ok(())
    }

    /// Reads the request line and leaves it in the buffer. It goes byte by byte: only then it is known whether a fault
    /// forbids to read on.
    pub(crate) fn request_line(&mut self) -> Result<(String, String), ReadError> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                let mut words = line.split(' ');
                return match (words.next(), words.next()) {
                    (Some(method), Some(target)) => Ok((method.to_owned(), target.to_owned())),
                    _ => Err(ReadError::Malformed),
                };
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(ReadError::Malformed);
            }
            if self.buffer.first().is_some_and(|byte| !byte.is_ascii_graphic()) {
                // A TLS hello has no line end that must come; Go stumbles over it as early. Taken off the stream, or
                // the close would be an RST that overtakes the answer.
                let _ = self.fill(usize::MAX);
                return Err(ReadError::Malformed);
            }
            self.fill(1)?;
        }
    }

    /// Reads until `total` bytes of this request were taken, or the peer stops.
    pub(crate) fn take_up_to(&mut self, total: usize) {
        while self.taken < total && self.fill(total - self.taken).is_ok() {}
    }

    pub(crate) fn head(&mut self) -> Result<Head, ReadError> {
        loop {
            let mut fields = [httparse::EMPTY_HEADER; 128];
            let mut request = httparse::Request::new(&mut fields);
            match request.parse(&self.buffer).map_err(|_| ReadError::Malformed)? {
                httparse::Status::Complete(length) => {
                    let mut headers = Headers::default();
                    for field in request.headers.iter() {
                        headers.push(field.name, String::from_utf8_lossy(field.value));
                    }
                    let head = Head {
                        method: request.method.unwrap_or_default().to_owned(),
                        target: request.path.unwrap_or_default().to_owned(),
                        minor_version: request.version.unwrap_or(1),
                        headers,
                    };
                    self.buffer.drain(..length);
                    return Ok(head);
                }
                httparse::Status::Partial if self.buffer.len() > MAX_HEAD => return Err(ReadError::Malformed),
                httparse::Status::Partial => self.fill(usize::MAX)?,
            }
        }
    }

    pub(crate) fn body(&mut self, head: &Head) -> Result<Vec<u8>, ReadError> {
        if head.headers.get("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            self.stream.flush()?;
        }
        if head.headers.get("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            return self.chunks();
        }
        match head.headers.get("content-length") {
            None => Ok(Vec::new()),
            Some(length) => {
                let length = length.trim().parse().map_err(|_| ReadError::Malformed)?;
                self.exactly(length)
            }
        }
    }

    fn chunks(&mut self) -> Result<Vec<u8>, ReadError> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| ReadError::Malformed)?;
            if size == 0 {
                while !self.line()?.is_empty() {}
                return Ok(body);
            }
            if size.saturating_add(body.len()) > MAX_BODY {
                return Err(ReadError::TooLarge);
            }
            body.extend(self.exactly(size)?);
            if !self.line()?.is_empty() {
                return Err(ReadError::Malformed);
            }
        }
    }

    fn exactly(&mut self, length: usize) -> Result<Vec<u8>, ReadError> {
        if length > MAX_BODY {
            return Err(ReadError::TooLarge);
        }
        while self.buffer.len() < length {
            self.fill(usize::MAX)?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    fn line(&mut self) -> Result<String, ReadError> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.buffer.drain(..end + 2);
                return Ok(line);
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(ReadError::Malformed);
            }
            self.fill(usize::MAX)?;
        }
    }
}

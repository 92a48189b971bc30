//! A subscriber of the protocol graphql-transport-ws over a websocket, written and read by hand: thousands of them have to cost less
//! than the service.

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// A connection with one subscription.
pub(super) struct Subscriber {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// How much of the buffer is the message that was read last.
    read: usize,
}

impl Subscriber {
    /// Connects and subscribes; what is told first is not read yet.
    pub(super) async fn open(address: &str, query: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await.context("cannot connect to the service")?;
        stream.set_nodelay(true)?;
        let mut subscriber = Self { stream, buffer: Vec::with_capacity(512), read: 0 };
        let upgrade = "GET /graphql HTTP/1.1\r\nhost: bench\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                       sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                       sec-websocket-protocol: graphql-transport-ws\r\n\r\n";
        subscriber.stream.write_all(upgrade.as_bytes()).await?;
        subscriber.head().await?;
        subscriber.say(TEXT, br#"{"type":"connection_init"}"#).await?;
        let answer = subscriber.hear().await?;
        ensure!(contains(answer, b"connection_ack"), "not acknowledged: {}", String::from_utf8_lossy(answer));
        let subscribe = format!(r#"{{"id":"1","type":"subscribe","payload":{{"query":"{query}"}}}}"#);
        subscriber.say(TEXT, subscribe.as_bytes()).await?;
        Ok(subscriber)
    }

    /// The version of the aggregate in what is told next.
    pub(super) async fn version(&mut self) -> Result<i64> {
        const FIELD: &[u8] = b"\"version\":";
        let told = self.hear().await?;
        let at = told.windows(FIELD.len()).position(|window| window == FIELD);
        let digits = at.map(|at| told[at + FIELD.len()..].iter().take_while(|byte| byte.is_ascii_digit()));
        let version = digits.map(|digits| digits.fold(0, |number, digit| number * 10 + i64::from(digit - b'0')));
        version.with_context(|| format!("no version was told: {}", String::from_utf8_lossy(told)))
    }

    /// Waits for the next text.
    async fn hear(&mut self) -> Result<&[u8]> {
        loop {
            let (kind, start, end) = self.frame().await?;
            match kind {
                TEXT => return Ok(&self.buffer[start..end]),
                PING => {
                    let payload = self.buffer[start..end].to_vec();
                    self.say(PONG, &payload).await?;
                }
                CLOSE => bail!("the service has closed: {}", String::from_utf8_lossy(&self.buffer[start..end])),
                _ => {}
            }
        }
    }

    /// Reads a frame: its kind, and where its payload is in the buffer.
    async fn frame(&mut self) -> Result<(u8, usize, usize)> {
        self.buffer.drain(..self.read);
        self.read = 0;
        self.fill(2).await?;
        let (kind, length) = (self.buffer[0] & 0x0f, self.buffer[1] & 0x7f);
        let (start, length) = match length {
            126 => {
                self.fill(4).await?;
                (4, usize::from(u16::from_be_bytes([self.buffer[2], self.buffer[3]])))
            }
            127 => bail!("a message that is longer than any here"),
            length => (2, usize::from(length)),
        };
        self.fill(start + length).await?;
        self.read = start + length;
        Ok((kind, start, start + length))
    }

    /// Reads until so much is there.
    async fn fill(&mut self, length: usize) -> Result<()> {
        while self.buffer.len() < length {
            ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the service has gone");
        }
        Ok(())
    }

    /// Reads the head of the answer to the upgrade.
    async fn head(&mut self) -> Result<()> {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                let answer = String::from_utf8_lossy(&self.buffer);
                ensure!(answer.starts_with("HTTP/1.1 101"), "no websocket: {answer}");
                self.read = end + 4;
                return Ok(());
            }
            self.fill(self.buffer.len() + 1).await?;
        }
    }

    /// Sends a short frame. A client has to mask what it sends: a mask of zeros leaves it as it is.
    async fn say(&mut self, kind: u8, payload: &[u8]) -> Result<()> {
        const MASKED: u8 = 0x80;
        let mut frame = vec![0x80 | kind];
        match u8::try_from(payload.len()) {
            Ok(length) if length < 126 => frame.push(MASKED | length),
            _ => {
                frame.push(MASKED | 126);
                frame.extend(u16::try_from(payload.len())?.to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        Ok(self.stream.write_all(&frame).await?)
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

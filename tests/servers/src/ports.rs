//! A free port of the loopback interface, for a server that is about to start.
//!
//! Taken from below the range from which systems give ports to outgoing connections. In that range a client which
//! connects again and again to a server that is down can end up connected to itself, and then holds the port.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use anyhow::{Result, anyhow};

const RANGE: Range<u16> = 15_000..32_000;
const TRIES: usize = 200;

/// A port that was free a moment ago. Another process may take it first: who starts a server there tries again.
pub(crate) fn free() -> Result<u16> {
    (0..TRIES)
        .map(|_| rand::random_range(RANGE))
        .find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
        .ok_or_else(|| anyhow!("no free port found between {} and {}", RANGE.start, RANGE.end))
}

//! The processor over real HTTP: what it promises, how it misbehaves, and what is left of it after a crash.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod behaviours;
mod crash;
mod promises;
mod restart;
mod shop;

//! The gate: what the contexts promise cannot change without somebody noticing, nor break those who rely on it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod asyncapi;
mod compatibility;
mod files;
mod gate;
mod registry;
mod samples;
mod schemas;
mod versions;

//! From a command to GraphQL through the real programs, and what happens when one of them is killed on the way.

mod crash;
mod one_booking;
mod payments;
mod poison;
mod replay;
mod start_up;
mod trace;

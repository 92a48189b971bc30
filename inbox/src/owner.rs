//! Whose offsets and parked events they are.

use std::fmt;

use crate::Handler;

/// A handler and the generation of its effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) handler: &'static str,
    pub(crate) generation: i32,
}

impl Owner {
    pub(crate) fn of(handler: &impl Handler) -> Self {
        Self { handler: handler.name(), generation: handler.generation() }
    }
}

/// The handler's name, with the generation where that is not the first: two generations are two consumer groups.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.generation {
            1 => f.write_str(self.handler),
            generation => write!(f, "{}.{generation}", self.handler),
        }
    }
}

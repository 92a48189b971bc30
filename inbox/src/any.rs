//! A handler, whatever its events are: a service lists its handlers once, to run them and to see to what they parked.

use deadpool_postgres::Pool;
use futures::future::{BoxFuture, FutureExt};
use telemetry::CancellationToken;

use crate::{
    Applied, Halt, Handler, Intake,
    retry::{self, Place, Retried, Stuck},
};

/// A handler of any kind of event.
pub trait AnyHandler: Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// The generation that it fills.
    fn generation(&self) -> i32;

    /// What would happen a second time if it began anew.
    fn repeats(&self) -> Option<&'static str>;

    /// Runs it, as [`crate::run`] does.
    fn run(
        self: Box<Self>,
        intake: Intake,
        applied: Applied,
        shutdown: CancellationToken,
    ) -> BoxFuture<'static, Result<(), Halt>>;

    /// Applies the parked events of an aggregate, as far as they can be.
    #[doc(hidden)]
    fn retry<'a>(&'a self, pool: &'a Pool, schema: &'a str, place: &'a Place) -> BoxFuture<'a, Result<Retried, Stuck>>;
}

impl<H: Handler> AnyHandler for H {
    fn name(&self) -> &'static str {
        Handler::name(self)
    }

    fn generation(&self) -> i32 {
        Handler::generation(self)
    }

    fn repeats(&self) -> Option<&'static str> {
        Handler::repeats(self)
    }

    fn run(
        self: Box<Self>,
        intake: Intake,
        applied: Applied,
        shutdown: CancellationToken,
    ) -> BoxFuture<'static, Result<(), Halt>> {
        crate::run(*self, intake, applied, shutdown).boxed()
    }

    fn retry<'a>(&'a self, pool: &'a Pool, schema: &'a str, place: &'a Place) -> BoxFuture<'a, Result<Retried, Stuck>> {
        retry::aggregate(self, pool, schema, place).boxed()
    }
}

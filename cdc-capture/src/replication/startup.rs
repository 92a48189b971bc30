//! The start of a session: what pgwire's own handler does, with the parameters that replication wants.

use async_trait::async_trait;
use futures::{Sink, SinkExt, Stream};
use pgwire::{
    api::client::{
        ClientInfo, ServerInformation,
        auth::{DefaultStartupHandler, StartupHandler},
    },
    error::{PgWireClientError, PgWireClientResult, PgWireResult},
    messages::{
        PgWireBackendMessage, PgWireFrontendMessage,
        response::ReadyForQuery,
        startup::{Authentication, BackendKeyData, Startup},
    },
};

/// What the server is told beside user and database. The formats of times and texts are the relay's own wish, whatever
/// the role or the database has as its default.
const PARAMETERS: [(&str, &str); 4] =
    [("replication", "database"), ("client_encoding", "UTF8"), ("DateStyle", "ISO, YMD"), ("TimeZone", "UTC")];

/// Starts a session in replication mode.
pub(super) struct ReplicationStartup(DefaultStartupHandler);

impl ReplicationStartup {
    pub(super) fn new() -> Self {
        Self(DefaultStartupHandler::new())
    }
}

#[async_trait]
impl StartupHandler for ReplicationStartup {
    async fn startup<C>(&mut self, client: &mut C) -> PgWireClientResult<()>
    where
        C: ClientInfo + Sink<PgWireFrontendMessage> + Unpin + Send,
        PgWireClientError: From<<C as Sink<PgWireFrontendMessage>>::Error>,
    {
        let config = client.config();
        let mut startup = Startup::new();
        (startup.protocol_number_major, startup.protocol_number_minor) = config.get_protocol_version().version_number();
        let own = [
            ("user", config.get_user()),
            ("database", config.get_dbname()),
            ("options", config.get_options()),
            ("application_name", config.get_application_name()),
        ];
        let own = own.into_iter().filter_map(|(name, value)| Some((name, value?)));
        startup.parameters.extend(own.chain(PARAMETERS).map(|(name, value)| (name.to_owned(), value.to_owned())));
        client.send(PgWireFrontendMessage::Startup(startup)).await?;
        Ok(())
    }

    async fn on_authentication<C>(&mut self, client: &mut C, message: Authentication) -> PgWireClientResult<()>
    where
        C: ClientInfo + Stream<Item = PgWireResult<PgWireBackendMessage>> + Sink<PgWireFrontendMessage> + Unpin + Send,
        PgWireClientError: From<<C as Sink<PgWireFrontendMessage>>::Error>,
    {
        self.0.on_authentication(client, message).await
    }

    async fn on_backend_key<C>(&mut self, client: &mut C, message: BackendKeyData) -> PgWireClientResult<()>
    where
        C: ClientInfo + Sink<PgWireFrontendMessage> + Unpin + Send,
        PgWireClientError: From<<C as Sink<PgWireFrontendMessage>>::Error>,
    {
        self.0.on_backend_key(client, message).await
    }

    async fn on_ready_for_query<C>(
        &mut self,
        client: &mut C,
        message: ReadyForQuery,
    ) -> PgWireClientResult<ServerInformation>
    where
        C: ClientInfo + Sink<PgWireFrontendMessage> + Unpin + Send,
        PgWireClientError: From<<C as Sink<PgWireFrontendMessage>>::Error>,
    {
        self.0.on_ready_for_query(client, message).await
    }
}

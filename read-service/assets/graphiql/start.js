// Starts GraphiQL against this server.
const welcome = `# Ctrl-Enter runs a query, Ctrl-Space completes it.
# The book on the left is the schema.

query Arrivals {
  bookings(first: 10) {
    nodes {
      id
      status
      checkIn
      checkOut
      total { amountMinor currency }
      account { name }
      roomType { name }
    }
    pageInfo { hasNextPage endCursor }
  }
}
`;

ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, {
    fetcher: GraphiQL.createFetcher({ url: "/graphql" }),
    defaultQuery: welcome,
    defaultEditorToolsVisibility: "headers",
    shouldPersistHeaders: false,
  }),
);

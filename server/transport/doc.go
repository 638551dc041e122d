// Package transport carries GraphQL operations over HTTP: JSON by POST, queries by GET, files by multipart/form-data,
// and subscriptions as Server-Sent Events, or with everything else over WebSocket.
// Each is a gqlgen graphql.Transport; Handler asks them in turn.
//
// What one request goes through:
//
//	negotiate Accept ─► authenticate ─► enter the Gate ─► read the body ─► run the operation ─► write the answer
//	      │ 406              │ 401 429       │ 503            │ 400 413 415      │ the codes' statuses
//	      └──────────────────┴───────────────┴────────────────┴──────────────────┴─► {"errors": […]}
//
// The document of an operation comes with it, or is one of Documents that it names.
//
// A subscription leaves the Gate when it has begun, and is one of Streams from then on: bounded in number, kept alive, and
// ended in order. Each WebSocket has a goroutine that reads, and one for each operation; who does not read what is sent
// is cut off alone.
//
// Everything that is read is bounded in bytes and in time, nothing that was read is ever echoed, and every error has
// `extensions.code`. Sources: GraphQL over HTTP (https://graphql.github.io/graphql-over-http/draft/) and the GraphQL
// multipart request specification (https://github.com/jaydenseric/graphql-multipart-request-spec).
package transport

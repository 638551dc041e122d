// Package graph is the GraphQL API and its use cases.
//
//	schema/*.graphqls      the contract, one noun a file
//	*.resolvers.go         one noun a file; short, for the work is done elsewhere
//	predict.go             the use case: bytes ──► inference ──► rows ──► persistence
//	root.go                operations of one field, as nearly all are; predict_field.go the one that is asked most
//	node.go connection.go  global IDs, cursors and pages
//	lists.go loaders.go    lists, and what one operation has read: nothing is read twice or one by one
//	plan.go plain.go       how fields that need no resolver are written, past gqlgen's execution of each
//	known.go               what resolvers can tell without waiting
//	image.go thumbnail.go  image bytes in answers, bounded; thumbnails are kept
//	subscription.go        what is stored, as soon as it is: what belongs to it is read once for all who ask
//	errors.go              every error a client can see
//
// It is the one place where inference and persistence meet: it turns a result into rows. It knows nothing of HTTP.
package graph

// Package persistence keeps what was predicted: rows in PostgreSQL, and image bytes beside them or in object storage.
//
//	Open ──► Store ──┬─ writer.go       Record: the rows of many callers in one transaction (record.go has its SQL)
//	                 ├─ predictions.go  predictions; prediction_list.go lists them by keyset, in the order of an index
//	                 │                  prediction_export.go gives all of a list with all that belongs to it
//	                 ├─ subscription.go what is stored, as soon as it is, on whichever replica: notify.go tells of it with the
//	                 │                  rows, listener.go hears of it, and batch.go reads what belongs to it
//	                 ├─ labels.go       what is true of inputs, with copies on their predictions
//	                 ├─ idempotency.go  what was asked with which key
//	                 ├─ inputs.go       inputs, without their bytes
//	                 ├─ images.go       the bytes of inputs, wherever they are; image_reader.go reads parts of them
//	                 ├─ objects.go      object storage: objects_put.go writes to it before Record's rows, collect.go deletes
//	                 │                  what no row refers to, and objects_mark.go sees to it that it is the right one
//	                 ├─ retention.go    deletes what has been kept for long enough
//	                 ├─ distribute.go   spreads tables over the nodes of Citus
//	                 ├─ jobs.go         what one replica at a time does, again and again
//	                 ├─ models.go       every model version that ever served
//	                 └─ routes.go       which versions serve and shadow
//
// One file holds one aggregate: its type, its SQL and its methods. MigrateUp brings a database to the schema of this
// binary; StartEmbedded runs the PostgreSQL that serves where no other is named. Every statement is parameterised, and
// every error is one of the sentinels in errors.go, a context's, or a bug.
package persistence

// Package migrations embeds the SQL that makes and changes the tables, numbered in the order in which it runs.
package migrations

import "embed"

// FS holds NNNNNN_name.up.sql and its .down.sql. A migration that has been released is never edited.
//
//go:embed *.sql
var FS embed.FS

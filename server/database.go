package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"

	"sibyl/persistence"
)

// database is where the rows are, and the PostgreSQL behind it where that is our own.
type database struct {
	url string
	// direct is the same without a pooler in between.
	direct string
	// embedded is nil where the database is another's, or another process's.
	embedded *persistence.Embedded
}

// start starts the embedded PostgreSQL, where no other database is configured.
func (c *DatabaseConfig) start(ctx context.Context, logger *slog.Logger) (database, error) {
	if c.DatabaseURL != "" {
		url := string(c.DatabaseURL)
		return database{url: url, direct: cmp.Or(string(c.ListenURL), url)}, nil
	}
	embedded, err := persistence.StartEmbedded(ctx, persistence.EmbeddedOptions{
		Dir: c.Data, Binaries: c.Postgres, Logger: logger,
	})
	if err != nil {
		return database{}, err
	}
	return database{url: embedded.URL(), direct: embedded.URL(), embedded: embedded}, nil
}

// find is start, for a command beside the server: the embedded PostgreSQL of one that runs is used. Only where the command
// may create it is a database made that is not there: a misspelt --data is none.
func (c *DatabaseConfig) find(ctx context.Context, create bool, logger *slog.Logger) (database, error) {
	if c.DatabaseURL == "" {
		url, err := persistence.RunningEmbedded(c.Data)
		if err == nil {
			return database{url: url, direct: url}, nil
		}
		if !errors.Is(err, persistence.ErrNotRunning) {
			return database{}, err
		}
		if !create && !persistence.HasEmbedded(c.Data) {
			return database{}, fmt.Errorf("--data %s has no database: name the directory that serve has, or --database-url", c.Data)
		}
	}
	return c.start(ctx, logger)
}

// exited is closed when the embedded PostgreSQL has ended for good; nil where there is none.
func (d database) exited() <-chan struct{} {
	if d.embedded == nil {
		return nil
	}
	return d.embedded.Exited()
}

// close stops the embedded PostgreSQL, where there is one.
func (d database) close() error {
	if d.embedded == nil {
		return nil
	}
	return d.embedded.Close()
}

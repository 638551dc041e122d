package persistence

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// readyPoll is the pause between two looks at what is waited for: a server that starts, or one that ends.
const readyPoll = 10 * time.Millisecond

// awaitReady connects until the server accepts, and makes the database where it is missing.
func awaitReady(ctx context.Context, url, maintenanceURL string) error {
	for {
		err := connectOnce(ctx, url, "")
		if code := sqlState(err); code == "3D000" { // no such database
			err = connectOnce(ctx, maintenanceURL, "CREATE DATABASE "+embeddedName)
		}
		switch code := sqlState(err); {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case code != "" && code != "57P03" && code != "53300": // not: starting up, too many connections
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(readyPoll):
		}
	}
}

// connectOnce opens a session, runs a statement where there is one, and ends the session.
func connectOnce(ctx context.Context, url, statement string) error {
	conn, err := pgconn.Connect(ctx, url)
	if err != nil {
		return err
	}
	if statement != "" {
		err = conn.Exec(ctx, statement).Close()
	}
	return errors.Join(err, conn.Close(ctx))
}

// sqlState is the SQLSTATE of an error of the server, empty for any other error.
func sqlState(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

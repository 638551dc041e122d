package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"
)

// createDatabase makes another database in the PostgreSQL of a URL, with Sibyl's tables, constraints and indexes, and
// gives its URL.
func createDatabase(ctx context.Context, databaseURL, name string) (string, error) {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return "", errors.New("database URL cannot be parsed")
	}
	u.Path = "/" + name
	files, err := filepath.Glob(filepath.Join("migrations", "*.up.sql")) // in their order
	if err != nil || len(files) == 0 {
		return "", errors.Join(errors.New("migrations/ has no files: run this in the root of the repository"), err)
	}
	statements := []string{}
	for _, file := range files {
		statement, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		statements = append(statements, string(statement))
	}
	if err := execute(ctx, databaseURL, "CREATE DATABASE "+name); err != nil {
		return "", err
	}
	return u.String(), execute(ctx, u.String(), statements...)
}

// dropDatabase ends the sessions on a database and removes it.
func dropDatabase(ctx context.Context, databaseURL, name string) error {
	return execute(ctx, databaseURL, "DROP DATABASE "+name+" WITH (FORCE)")
}

// execute runs scripts, each of one or several statements.
func execute(ctx context.Context, databaseURL string, scripts ...string) (err error) {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	for _, script := range scripts {
		if _, err := conn.PgConn().Exec(ctx, script).ReadAll(); err != nil {
			return fmt.Errorf("database: %w", err)
		}
	}
	return nil
}

// databaseVersion is PostgreSQL's.
func databaseVersion(ctx context.Context, databaseURL string) (version string, err error) {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	err = conn.QueryRow(ctx, "SHOW server_version").Scan(&version)
	return version, err
}

package persistence

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/golang-migrate/migrate/v4"
	migratepgx "github.com/golang-migrate/migrate/v4/database/pgx/v5"
	"github.com/golang-migrate/migrate/v4/source/iofs"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"sibyl/migrations"
)

const (
	// migrateLockTimeout bounds the wait for another process that migrates the same database.
	migrateLockTimeout = 60 * time.Second
	// migrateLock is the advisory lock of whoever migrates: "sibyl" in ASCII.
	migrateLock = 0x736962796c
	// jobsMigration is the one with which River's tables come and go. Their own versions are those that River knows.
	jobsMigration = 7
)

var (
	// ErrSchemaNewer is returned when the database has migrations that this binary does not know.
	ErrSchemaNewer = errors.New("the database is newer than this program: run a newer sibyl")
	// ErrSchemaOlder is returned when the database lacks migrations of this binary.
	ErrSchemaOlder = errors.New("the database is older than this program: run `sibyl migrate up`")
	// ErrPooled is returned when the database would have to be migrated through a pooler, which keeps no locks.
	ErrPooled = errors.New("the schema cannot be changed through a pooler: " +
		"give --listen-url, with which PostgreSQL is reached directly")
	// ErrSchemaDirty is returned when a migration ended half-way.
	ErrSchemaDirty = errors.New("a migration ended half-way: restore the database, or mend it and its schema_migrations")
)

// MigrateUp brings the database at url to the schema of this binary, with River's tables. Of several processes that
// start at once one migrates and the others wait, for a bounded time. It returns ErrSchemaNewer, ErrSchemaDirty,
// ErrPooled where there is something to do, or what went wrong; a migration that fails leaves the schema as it was.
func MigrateUp(ctx context.Context, url string) error {
	err := aloneInDatabase(ctx, url, func() error {
		if err := withMigrate(ctx, url, migrateUp); err != nil {
			return err
		}
		return migrateJobs(ctx, url, rivermigrate.DirectionUp)
	})
	if errors.Is(err, ErrPooled) {
		if version, dirty, _ := schemaVersion(ctx, url); checkSchema(version, dirty) == nil {
			return nil
		}
	}
	return err
}

func migrateUp(m *migrate.Migrate) error {
	upErr := m.Up()
	version, dirty, err := currentVersion(m)
	switch {
	case err != nil:
		return errors.Join(upErr, err)
	case errors.As(upErr, new(migrate.ErrDirty)), version > newestMigration():
		return checkSchema(version, dirty)
	}
	return upErr
}

// MigrateDown takes back the given number of migrations, and their tables with all that is in them.
func MigrateDown(ctx context.Context, url string, steps int) error {
	return aloneInDatabase(ctx, url, func() error {
		return withMigrate(ctx, url, func(m *migrate.Migrate) error {
			version, dirty, err := currentVersion(m)
			if err != nil {
				return err
			}
			if err := checkSchema(version, dirty); err != nil && !errors.Is(err, ErrSchemaOlder) {
				return err
			}
			if version == 0 {
				return nil
			}
			steps = min(steps, int(version))
			if int(version)-steps < jobsMigration {
				if err := migrateJobs(ctx, url, rivermigrate.DirectionDown); err != nil {
					return err
				}
			}
			return m.Steps(-steps)
		})
	})
}

// aloneInDatabase calls f while no other process migrates.
func aloneInDatabase(ctx context.Context, url string, f func() error) error {
	server, conn, err := connectServer(ctx, url)
	if err != nil {
		return fmt.Errorf("migrations: %w", classify(err))
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // which gives the lock back
	if server.pooled {
		return fmt.Errorf("migrations: %w", ErrPooled)
	}
	lock := fmt.Sprintf("SET lock_timeout = %d; SELECT pg_advisory_lock(%d)", migrateLockTimeout.Milliseconds(), migrateLock)
	if _, err := conn.Exec(ctx, lock, pgx.QueryExecModeSimpleProtocol); err != nil {
		return fmt.Errorf("migrations: %w", classify(err))
	}
	return f()
}

// migrateJobs makes River's tables, or changes them to those of this binary, or drops them.
func migrateJobs(ctx context.Context, url string, direction rivermigrate.Direction) error {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return fmt.Errorf("migrations of jobs: %w", err)
	}
	defer pool.Close()
	m, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return fmt.Errorf("migrations of jobs: %w", err)
	}
	all := &rivermigrate.MigrateOpts{}
	if direction == rivermigrate.DirectionDown {
		all.TargetVersion = -1
	}
	if _, err := m.Migrate(ctx, direction, all); err != nil {
		return fmt.Errorf("migrations of jobs: %w", classify(err))
	}
	return nil
}

// MigrationVersion returns the number of the last migration that ran, 0 where none has, and whether it ended half-way.
func MigrationVersion(ctx context.Context, url string) (version uint, dirty bool, err error) {
	err = withMigrate(ctx, url, func(m *migrate.Migrate) error {
		version, dirty, err = currentVersion(m)
		return err
	})
	return version, dirty, err
}

// schemaVersion is MigrationVersion without any lock: of a migration that is under way it tells that it ended half-way.
func schemaVersion(ctx context.Context, url string) (version uint, dirty bool, err error) {
	_, conn, err := connectServer(ctx, url)
	if err != nil {
		return 0, false, classify(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	err = conn.QueryRow(ctx, versionQuery, pgx.QueryExecModeSimpleProtocol).Scan(&version, &dirty)
	return version, dirty, classify(err)
}

const versionQuery = `SELECT version, dirty FROM schema_migrations`

// withMigrate gives f a Migrate on a connection pool of its own.
func withMigrate(ctx context.Context, url string, f func(*migrate.Migrate) error) error {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("database URL: %w", err)
	}
	// migrate waits for its lock in the background, past its own timeout: the server has to end the wait.
	config.ConnConfig.RuntimeParams["lock_timeout"] = fmt.Sprint(migrateLockTimeout.Milliseconds())
	db := stdlib.OpenDB(*config.ConnConfig)
	defer func() { _ = db.Close() }()
	driver, err := migratepgx.WithInstance(db, &migratepgx.Config{})
	if err != nil {
		return fmt.Errorf("migrations: %w", classify(err))
	}
	files, err := iofs.New(migrations.FS, ".")
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	m, err := migrate.NewWithInstance("iofs", files, "pgx5", driver)
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	defer func() { _, _ = m.Close() }()
	m.LockTimeout = migrateLockTimeout
	// migrate looks at GracefulStop between two files; without its database it stops waiting for the lock, too.
	stop := context.AfterFunc(ctx, func() {
		m.GracefulStop <- true
		_ = db.Close()
	})
	defer stop()
	if err := f(m); err != nil && !errors.Is(err, migrate.ErrNoChange) {
		return fmt.Errorf("migrations: %w", err)
	}
	return ctx.Err()
}

func currentVersion(m *migrate.Migrate) (version uint, dirty bool, err error) {
	version, dirty, err = m.Version()
	if errors.Is(err, migrate.ErrNilVersion) {
		return 0, false, nil
	}
	return version, dirty, err
}

// checkSchema returns nil where the database's version is the newest that this binary knows.
func checkSchema(version uint, dirty bool) error {
	newest := newestMigration()
	switch {
	case dirty:
		return fmt.Errorf("%w (version %d)", ErrSchemaDirty, version)
	case version > newest:
		return fmt.Errorf("%w (version %d, known %d)", ErrSchemaNewer, version, newest)
	case version < newest:
		return fmt.Errorf("%w (version %d, newest %d)", ErrSchemaOlder, version, newest)
	}
	return nil
}

// newestMigration counts the embedded files: they are numbered from 1 without gaps, which a test checks.
func newestMigration() uint {
	names, err := fs.Glob(migrations.FS, "*.up.sql")
	if err != nil {
		panic(err) // the pattern is constant
	}
	return uint(len(names))
}

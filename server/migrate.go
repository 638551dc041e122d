package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"sibyl/persistence"
)

// migrateCommand changes the schema, of a running embedded PostgreSQL too.
type migrateCommand struct {
	Up      migrateUp      `cmd:"" default:"withargs" help:"Brings the database to the schema of this program."`
	Down    migrateDown    `cmd:"" help:"Takes back the last migrations, with all that is in their tables."`
	Version migrateVersion `cmd:"" help:"Prints the number of the last migration that ran."`
}

type migrateUp struct {
	DatabaseConfig `embed:""`

	Distributed bool `help:"Have Citus spread what grows over its nodes, too."`
}

// Run migrates upwards.
func (c *migrateUp) Run(ctx context.Context) error {
	return c.with(ctx, true, func(ctx context.Context, db database) error {
		if err := persistence.MigrateUp(ctx, db.direct); err != nil || !c.Distributed {
			return err
		}
		return persistence.Distribute(ctx, db.direct)
	})
}

type migrateDown struct {
	DatabaseConfig `embed:""`

	Steps int `arg:"" default:"1" help:"How many migrations."`
}

// Run migrates downwards.
func (c *migrateDown) Run(ctx context.Context) error {
	if c.Steps < 1 {
		return errors.New("the number of migrations must be more than 0")
	}
	return c.with(ctx, false, func(ctx context.Context, db database) error {
		return persistence.MigrateDown(ctx, db.direct, c.Steps)
	})
}

type migrateVersion struct {
	DatabaseConfig `embed:""`
}

// Run prints the version.
func (c *migrateVersion) Run(ctx context.Context) error {
	return c.with(ctx, false, func(ctx context.Context, db database) error {
		version, dirty, err := persistence.MigrationVersion(ctx, db.direct)
		if err != nil {
			return err
		}
		if dirty {
			fmt.Println(version, "dirty")
			return nil
		}
		fmt.Println(version)
		return nil
	})
}

// with gives f the database, which is made first where it is not there and create is true.
func (c *DatabaseConfig) with(ctx context.Context, create bool, f func(context.Context, database) error) error {
	if err := c.validate(); err != nil {
		return err
	}
	db, err := c.find(ctx, create, newLogger(os.Stderr, "auto", "warn"))
	if err != nil {
		return err
	}
	return errors.Join(f(ctx, db), db.close())
}

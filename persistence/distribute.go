package persistence

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// ErrNoCitus is returned when tables are to be distributed and the database cannot do that.
var ErrNoCitus = errors.New("the database has no Citus: run `CREATE EXTENSION citus` in it on every node, " +
	"and add the nodes to the coordinator")

// Distribute has Citus spread the tables that grow over its nodes: inputs by id, all that belongs to an input beside it,
// and idempotency keys by themselves. The rows that are there move along. What else there is stays on the coordinator:
// models and routes are few, image_stores has one row, and jobs are no work. The database must have the schema of this
// binary. Where it is done already nothing happens; it returns ErrNoCitus where it cannot be done, and after any error
// nothing has changed.
func Distribute(ctx context.Context, url string) error {
	return aloneInDatabase(ctx, url, func() error {
		server, conn, err := connectServer(ctx, url)
		if err != nil {
			return fmt.Errorf("distribute: %w", classify(err))
		}
		defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
		if !server.distributed {
			return fmt.Errorf("distribute: %w", ErrNoCitus)
		}
		if err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return distribute(ctx, tx) }); err != nil {
			return fmt.Errorf("distribute: %w", classify(err))
		}
		return nil
	})
}

// distribute does it in a transaction.
func distribute(ctx context.Context, tx pgx.Tx) error {
	const isDone = `SELECT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = 'inputs'::regclass)`
	var done bool
	if err := tx.QueryRow(ctx, isDone).Scan(&done); err != nil || done {
		return err
	}
	keys, err := keysToInputs(ctx, tx)
	if err != nil {
		return err
	}
	// A table can be distributed neither before those that it refers to nor before those that refer to it: there must be
	// no foreign keys meanwhile. They are made again one shard after the other, as Citus wants it in a transaction.
	statements := []string{`SET LOCAL citus.multi_shard_modify_mode = 'sequential'`}
	for _, key := range keys {
		statements = append(statements, `ALTER TABLE `+key.Table+` DROP CONSTRAINT `+key.name())
	}
	statements = append(statements,
		`SELECT create_distributed_table('inputs', 'id', colocate_with => 'none')`,
		`SELECT create_distributed_table('idempotency_keys', 'key', colocate_with => 'none')`)
	for _, key := range keys {
		statements = append(statements,
			fmt.Sprintf(`SELECT create_distributed_table('%s', 'input_id', colocate_with => 'inputs')`, key.Table))
	}
	for _, key := range keys {
		statements = append(statements, `ALTER TABLE `+key.Table+` ADD CONSTRAINT `+key.name()+` `+key.Definition)
	}
	for _, statement := range statements {
		if _, err := tx.Exec(ctx, statement, pgx.QueryExecModeSimpleProtocol); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// foreignKey is one of the schema.
type foreignKey struct {
	// Table has it, as it is written in SQL.
	Table, Constraint, Definition string
}

func (k foreignKey) name() string { return pgx.Identifier{k.Constraint}.Sanitize() }

// keysToInputs are those of the tables whose rows belong to an input.
func keysToInputs(ctx context.Context, tx pgx.Tx) ([]foreignKey, error) {
	const query = `
SELECT c.conrelid::regclass::text, c.conname, pg_get_constraintdef(c.oid)
FROM pg_constraint c
WHERE c.contype = 'f'
  AND c.confrelid = 'inputs'::regclass
ORDER BY 1`
	rows, err := tx.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[foreignKey])
}

package persistence_test

import (
	"errors"
	"sync"
	"testing"

	"sibyl/persistence"
	"sibyl/persistence/persistencetest"
)

func TestMigrateUpDownUp(t *testing.T) {
	t.Parallel()
	url := persistencetest.Database(t)
	newest := uint(0)
	for _, step := range []string{"up", "down", "up", "up again"} {
		var err error
		if step == "down" {
			err = persistence.MigrateDown(t.Context(), url, 1000)
		} else {
			err = persistence.MigrateUp(t.Context(), url)
		}
		if err != nil {
			t.Fatalf("%s: %v", step, err)
		}
		version, dirty, err := persistence.MigrationVersion(t.Context(), url)
		if err != nil || dirty {
			t.Fatalf("after %s: version %d, dirty %t, %v", step, version, dirty, err)
		}
		newest = max(newest, version)
		if down := step == "down"; down != (version == 0) || !down && version != newest {
			t.Fatalf("after %s: version %d of %d", step, version, newest)
		}
	}
	var tables int
	const query = `SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'`
	if err := connect(t, url).QueryRow(t.Context(), query).Scan(&tables); err != nil || tables < 4 {
		t.Errorf("%d tables, %v", tables, err)
	}
}

func TestMigrateDownLeavesNothing(t *testing.T) {
	t.Parallel()
	url := persistencetest.Database(t)
	if err := persistence.MigrateUp(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	if err := persistence.MigrateDown(t.Context(), url, 1000); err != nil {
		t.Fatal(err)
	}
	var left int
	const query = `
SELECT count(*)
FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace
  AND c.relname NOT LIKE 'schema_migrations%'`
	if err := connect(t, url).QueryRow(t.Context(), query).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d relations are left, %v", left, err)
	}
}

func TestMigrateByManyAtOnce(t *testing.T) {
	t.Parallel()
	url := persistencetest.Database(t)
	var group sync.WaitGroup
	for range 5 {
		group.Go(func() {
			if err := persistence.MigrateUp(t.Context(), url); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func TestMigrateRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change string
		want   error
	}{
		"a newer database": {`UPDATE schema_migrations SET version = 999999`, persistence.ErrSchemaNewer},
		"a dirty database": {`UPDATE schema_migrations SET dirty = true`, persistence.ErrSchemaDirty},
	} {
		t.Run(name, func(t *testing.T) {
			_, url := setup(t)
			if _, err := connect(t, url).Exec(t.Context(), test.change); err != nil {
				t.Fatal(err)
			}
			if err := persistence.MigrateUp(t.Context(), url); !errors.Is(err, test.want) {
				t.Errorf("up: %v, want %v", err, test.want)
			}
			if err := persistence.MigrateDown(t.Context(), url, 1); !errors.Is(err, test.want) {
				t.Errorf("down: %v, want %v", err, test.want)
			}
		})
	}
}

func TestReady(t *testing.T) {
	t.Parallel()
	store, url := setup(t)
	if err := store.Ready(t.Context()); err != nil {
		t.Errorf("a database with the newest schema: %v", err)
	}
	if _, err := connect(t, url).Exec(t.Context(), `UPDATE schema_migrations SET version = 0`); err != nil {
		t.Fatal(err)
	}
	if err := store.Ready(t.Context()); !errors.Is(err, persistence.ErrSchemaOlder) {
		t.Errorf("a database with an older schema: %v, want ErrSchemaOlder", err)
	}
}

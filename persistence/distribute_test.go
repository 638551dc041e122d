package persistence_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"sibyl/persistence"
)

// distributedBy is the column by which each table that grows is distributed.
var distributedBy = map[string]string{
	"inputs": "id", "predictions": "input_id", "labels": "input_id", "idempotency_keys": "key",
}

// TestSchemaCanBeDistributed states what Citus asks of tables that are distributed: each primary key and each unique
// constraint has the column by which its table is, so that one shard can hold to it, and each foreign key is to a row of the
// same shard. There are no triggers. What belongs to an input is distributed beside it.
func TestSchemaCanBeDistributed(t *testing.T) {
	t.Parallel()
	_, url := setup(t)
	conn := connect(t, url)
	type constraint struct {
		Table, Name string
		Columns     []string
		Refers      *string
	}
	const unique = `
SELECT i.indrelid::regclass::text, i.indexrelid::regclass::text,
  array(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)), NULL
FROM pg_index i
JOIN pg_class c ON c.oid = i.indrelid
WHERE i.indisunique
  AND c.relnamespace = 'public'::regnamespace`
	const foreign = `
SELECT f.conrelid::regclass::text, f.conname,
  array(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = f.conrelid AND a.attnum = ANY(f.conkey)),
  f.confrelid::regclass::text
FROM pg_constraint f
WHERE f.contype = 'f'`
	read := func(query string) []constraint {
		t.Helper()
		rows, err := conn.Query(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[constraint])
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	keyed := map[string]bool{}
	for _, c := range read(unique) {
		column, distributed := distributedBy[c.Table]
		keyed[c.Table] = true
		if distributed && !slices.Contains(c.Columns, column) {
			t.Errorf("%s of %s does not have %s, but %q", c.Name, c.Table, column, c.Columns)
		}
	}
	children := 0
	for _, c := range read(foreign) {
		if *c.Refers != "inputs" || distributedBy[c.Table] != "input_id" || len(c.Columns) != 1 || c.Columns[0] != "input_id" {
			t.Errorf("%s of %s refers to %s by %q", c.Name, c.Table, *c.Refers, c.Columns)
		}
		children++
	}
	if children != 2 {
		t.Errorf("%d tables refer to inputs", children)
	}
	for table := range distributedBy {
		if !keyed[table] {
			t.Errorf("%s has no primary key", table)
		}
	}
	var triggers int
	const triggered = `SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal`
	if err := conn.QueryRow(t.Context(), triggered).Scan(&triggers); err != nil || triggers != 0 {
		t.Errorf("%d triggers, %v", triggers, err)
	}
}

// TestNoStatementChangesSeveralTables: none of ours has a WITH that writes, which Citus does only within one shard.
func TestNoStatementChangesSeveralTables(t *testing.T) {
	t.Parallel()
	writes := regexp.MustCompile(`(?i)^\s*WITH\b(?s:.*)\b(INSERT|UPDATE|DELETE)\b`)
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	statements := 0
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(text, "INSERT INTO") {
				statements++
			}
			if writes.MatchString(text) {
				t.Errorf("%s: %s", path, text)
			}
			return true
		})
	}
	if statements < 5 {
		t.Errorf("%d statements that insert were read", statements)
	}
}

func TestDistributeNeedsCitus(t *testing.T) {
	t.Parallel()
	_, url := setup(t)
	if err := persistence.Distribute(t.Context(), url); !errors.Is(err, persistence.ErrNoCitus) {
		t.Error(err)
	}
}

// TestStatementsOfDistributedTables runs what is said otherwise to Citus on PostgreSQL, with the same outcomes.
func TestStatementsOfDistributedTables(t *testing.T) {
	asIfDistributed = true
	t.Cleanup(func() { asIfDistributed = false })
	for name, test := range map[string]func(*testing.T){
		"record": TestRecord, "record nothing": TestRecordStoresNothingOnFailure, "record together": TestRecordTogether,
		"an input that is gone": TestRecordOfAnInputThatIsGone, "lost connections": TestRecordThroughLostConnections,
		"a bad row": TestRecordOfABadRowFailsAlone, "labels": TestLabelIsCopiedToPredictions,
		"labels and predictions": TestLabelsAndPredictionsAtTheSameTime, "keys": TestKeyIsTakenOnce,
		"nested": TestPredictionsByInput, "retention": TestRemoveBesideWriters,
	} {
		t.Run(name, test)
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// minFullRatio is the least share of the predictions a second that must be left on many rows.
const minFullRatio = 0.9

// full compares predictions stored beside few rows and beside many.
type full struct {
	// Rows is how many predictions there were, each with its input.
	Rows int         `json:"rows"`
	Few  measurement `json:"few"`
	Many measurement `json:"many"`
}

// measureFull measures two servers in turn, one of which has many rows.
func measureFull(ctx context.Context, o options, pictures []picture, r *report) (err error) {
	few, err := startSibyl(ctx, o.server, o.data, o.model)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, few.stop()) }()
	many, err := startSibyl(ctx, o.server, o.data, o.model)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, many.stop()) }()
	fmt.Fprintf(os.Stderr, "%s: %d rows are stored\n", many.name, o.rows)
	if err := fill(ctx, many.databaseURL, o.rows); err != nil {
		return err
	}
	fewPredict, err := predictWorkload(few.address, pictures)
	if err != nil {
		return err
	}
	manyPredict, err := predictWorkload(many.address, pictures)
	if err != nil {
		return err
	}
	r.Full = &full{Rows: o.rows}
	connections := o.connections[len(o.connections)-1]
	r.Full.Few, r.Full.Many, err = inTurn(ctx, side{&few.target, fewPredict}, side{&many.target, manyPredict}, connections,
		o.duration)
	return err
}

// fill stores predictions of one a millisecond up to now, each with all that the server stores with one.
func fill(ctx context.Context, databaseURL string, rows int) error {
	const id = `(lpad(to_hex(%d + n), 12, '0') || '7' || lpad(to_hex(n %% 4096), 3, '0') || '8' || substr(md5(n::text), 1, 15))::uuid`
	oldest := time.Now().UnixMilli() - int64(rows) - 1
	ids := fmt.Sprintf(id, oldest)
	return execute(ctx, databaseURL, fmt.Sprintf(`
INSERT INTO inputs (id, created_at, filename, content_type, width, height, byte_size, sha256, image)
SELECT %s, to_timestamp((%d + n) / 1000.0), n || '.png', 'image/png', 28, 28, 300, sha256(n::text::bytea), decode(repeat('5a', 300), 'hex')
FROM generate_series(1, %d) n`, ids, oldest, rows), fmt.Sprintf(`
INSERT INTO predictions (id, input_id, created_at, model, version, source, class_index, class_name, confidence, outputs,
  decode_microseconds, queue_microseconds, inference_microseconds)
SELECT %s, %s, to_timestamp((%d + n) / 1000.0), 'mnist', 1, 'REQUEST', n %% 10, (n %% 10)::text, 1 - random() / 10, '%s', 20, 5, 120
FROM generate_series(1, %d) n`, ids, ids, oldest, limitOutputs, rows),
		"VACUUM (ANALYZE)", "CHECKPOINT")
}

func (f *full) table() *table {
	t := &table{title: fmt.Sprintf("Predictions beside %d rows, %d connections", f.Rows, f.Few.Connections)}
	t.add("", "requests/s", "p50 ms", "CPU ms", "PostgreSQL's", "errors")
	for _, row := range []struct {
		name string
		m    measurement
	}{{"few rows", f.Few}, {"many rows", f.Many}} {
		t.add(row.name, number(row.m.PerSecond), number(row.m.P50), number(row.m.CPU), number(row.m.DatabaseCPU),
			strconv.Itoa(row.m.Errors))
	}
	t.add("many/few", ratio(f.Many.PerSecond, f.Few.PerSecond), ratio(f.Many.P50, f.Few.P50),
		ratio(f.Many.CPU, f.Few.CPU), ratio(f.Many.DatabaseCPU, f.Few.DatabaseCPU))
	t.add("limit", number(minFullRatio)+" ×", "", "", "", "0")
	return t
}

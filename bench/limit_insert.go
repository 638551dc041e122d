package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	mathrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	insertWriters = 4
	insertGroup   = 64
	limitDatabase = "bench_limit"
)

const insertInputs = `
INSERT INTO inputs (id, created_at, filename, content_type, width, height, byte_size, sha256, image)
SELECT *
FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::integer[], $6::integer[], $7::integer[],
  $8::bytea[], $9::bytea[])`

const insertPredictions = `
INSERT INTO predictions (id, input_id, created_at, model, version, source, class_index, class_name, confidence, outputs,
  decode_microseconds, queue_microseconds, inference_microseconds)
SELECT *
FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::integer[], $6::text[], $7::integer[], $8::text[],
  $9::float8[], $10::jsonb[], $11::bigint[], $12::bigint[], $13::bigint[])`

// limitOutputs is what is stored of a model's output: ten probabilities.
const limitOutputs = `[{"name":"probabilities","datatype":"FP32","shape":[10],"data":[1.2345678e-7,2.3456789e-6,` +
	`0.99987654,3.4567891e-5,4.5678912e-9,5.6789123e-8,6.7891234e-7,7.8912345e-6,8.9123456e-5,9.1234567e-9]}]`

// insertLimit measures the rows a second (an input with its bytes, and a prediction) that a few writers store in
// groups, each a transaction of two pipelined statements, in a database with Sibyl's tables and indexes.
func insertLimit(ctx context.Context, o limitOptions) (_ limit, err error) {
	databaseURL, err := createDatabase(ctx, o.databaseURL, limitDatabase)
	if err != nil {
		return limit{}, err
	}
	defer func() {
		err = errors.Join(err, dropDatabase(context.WithoutCancel(ctx), o.databaseURL, limitDatabase))
	}()
	var rows atomic.Int64
	errs := make([]error, insertWriters)
	begun := time.Now()
	end := begun.Add(o.duration)
	var writers sync.WaitGroup
	for i := range errs {
		writers.Go(func() {
			n, err := insertUntil(ctx, databaseURL, newGroup(o.pictures), end)
			rows.Add(n)
			errs[i] = err
		})
	}
	writers.Wait()
	rate := float64(rows.Load()) / time.Since(begun).Seconds()
	return limit{Name: "raw group insert", PerSecond: rate, Unit: "rows"}, errors.Join(errs...)
}

// insertUntil stores a group again and again, each time with new IDs, and counts the predictions.
func insertUntil(ctx context.Context, databaseURL string, g *group, end time.Time) (rows int64, err error) {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	for time.Now().Before(end) {
		g.renew(time.Now())
		if err := conn.SendBatch(ctx, g.batch()).Close(); err != nil {
			return rows, err
		}
		rows += insertGroup
	}
	return rows, nil
}

// group are the columns of the rows that one transaction stores.
type group struct {
	ids, inputIDs                 [][16]byte
	times                         []time.Time
	filenames, types              []string
	sides, sizes                  []int32
	digests, images               [][]byte
	models, sources, classes      []string
	versions, indexes             []int32
	confidences                   []float64
	outputs                       []string
	decodeTimes, queues, runTimes []int64
}

// newGroup makes rows of the pictures in turn.
func newGroup(pictures []picture) *group {
	g := &group{ids: make([][16]byte, insertGroup), inputIDs: make([][16]byte, insertGroup)}
	for i := range insertGroup {
		p := pictures[i%len(pictures)]
		digest := sha256.Sum256(p.png)
		g.times = append(g.times, time.Time{})
		g.filenames, g.types = append(g.filenames, p.filename), append(g.types, "image/png")
		g.sides, g.sizes = append(g.sides, digitSide), append(g.sizes, int32(len(p.png)))
		g.digests, g.images = append(g.digests, digest[:]), append(g.images, p.png)
		g.models, g.sources = append(g.models, "mnist"), append(g.sources, "REQUEST")
		g.classes, g.indexes = append(g.classes, "2"), append(g.indexes, 2)
		g.versions, g.confidences = append(g.versions, 1), append(g.confidences, 0.99987654)
		g.outputs = append(g.outputs, limitOutputs)
		g.decodeTimes, g.queues = append(g.decodeTimes, 20), append(g.queues, 5)
		g.runTimes = append(g.runTimes, 120)
	}
	return g
}

// renew gives the rows new IDs, UUIDv7 that sort by time as Sibyl's do, and confidences in no order.
func (g *group) renew(now time.Time) {
	now = now.Truncate(time.Millisecond)
	for i := range insertGroup {
		g.ids[i], g.inputIDs[i] = uuid7(now), uuid7(now)
		g.times[i], g.confidences[i] = now, mathrand.Float64()
	}
}

func uuid7(t time.Time) (id [16]byte) {
	_, _ = rand.Read(id[:]) // never fails
	var milliseconds [8]byte
	binary.BigEndian.PutUint64(milliseconds[:], uint64(t.UnixMilli()))
	copy(id[:6], milliseconds[2:])
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// batch is sent with one Sync at its end, so that both statements are one transaction in one round trip.
func (g *group) batch() *pgx.Batch {
	var b pgx.Batch
	b.Queue(insertInputs, g.inputIDs, g.times, g.filenames, g.types, g.sides, g.sides, g.sizes, g.digests, g.images)
	b.Queue(insertPredictions, g.ids, g.inputIDs, g.times, g.models, g.versions, g.sources, g.indexes, g.classes,
		g.confidences, g.outputs, g.decodeTimes, g.queues, g.runTimes)
	return &b
}

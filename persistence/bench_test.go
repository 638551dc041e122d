package persistence_test

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sibyl/persistence"
)

// BenchmarkStore stores predictions one by one, and from many callers at once.
func BenchmarkStore(b *testing.B) {
	store, _ := setup(b)
	b.Run("callers=1", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			storeOne(b, store)
		}
	})
	b.Run("callers=64", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(crowd / runtime.GOMAXPROCS(0))
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				storeOne(b, store)
			}
		})
	})
}

// crowd is how many callers store at once.
const crowd = 64

// benchmarkImage is the image of every row; it is not written to.
var benchmarkImage = make([]byte, 300)

// benchmarkSample is a new sample of any confidence, which indexes are sorted by.
func benchmarkSample() (*persistence.Input, *persistence.Prediction) {
	in, p := sample(benchmarkImage)
	p.Confidence = ptr(mathrand.Float64())
	return in, p
}

// storeOne stores a new prediction.
func storeOne(b *testing.B, store *persistence.Store) {
	in, p := benchmarkSample()
	if err := store.Record(context.Background(), rows(in, benchmarkImage, p)); err != nil {
		b.Error(err)
	}
}

// BenchmarkStoreImages stores predictions of many callers, each with an image of its own, in the places of images that
// need no other server.
func BenchmarkStoreImages(b *testing.B) {
	plain, url := setup(b)
	files, err := persistence.Open(b.Context(), url, persistence.Options{Images: "file://" + b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(files.Close)
	for name, store := range map[string]*persistence.Store{"database": plain, "file": files} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(crowd / runtime.GOMAXPROCS(0))
			b.RunParallel(func(pb *testing.PB) {
				image := make([]byte, 300)
				for pb.Next() {
					_, _ = rand.Read(image)
					in, p := sample(image)
					if err := store.Record(context.Background(), rows(in, image, p)); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// BenchmarkRaw is the limit of BenchmarkStore, by pgx alone: a transaction for each row, and a few writers that insert
// the same rows in groups, by the same two statements.
func BenchmarkRaw(b *testing.B) {
	_, url := setup(b)
	pool := rawPool(b, url)
	b.Run("transaction", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			rawTransaction(b, pool)
		}
	})
	b.Run("group", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(1)
		b.RunParallel(func(pb *testing.PB) {
			for more := true; more; {
				n := 0
				for n < persistence.GroupRows {
					if more = pb.Next(); !more {
						break
					}
					n++
				}
				rawGroup(b, pool, n)
			}
		})
	})
}

// BenchmarkStoreToRaw takes both in turn, so that what else the machine does, and how full the tables are, weighs on
// both alike. It tells how the store's median with one caller compares to the raw transaction's, and how many percent of
// the raw rows a second the store reaches with a crowd: of groups as large as a crowd can make where each of two writers
// has its half, and of the largest.
func BenchmarkStoreToRaw(b *testing.B) {
	store, url := setup(b)
	pool := rawPool(b, url)
	b.Run("one", func(b *testing.B) {
		store, raw := inTurn(b, func() { storeOne(b, store) }, func() { rawTransaction(b, pool) })
		b.ReportMetric(store/raw, "p50-ratio")
	})
	for _, group := range []int{crowd / rawWriters, persistence.GroupRows} {
		b.Run(fmt.Sprintf("crowd/group=%d", group), func(b *testing.B) {
			const rows = 2048
			store, raw := inTurn(b,
				func() { together(crowd, rows/crowd, func() { storeOne(b, store) }) },
				func() { together(rawWriters, rows/rawWriters/group, func() { rawGroup(b, pool, group) }) })
			b.ReportMetric(100*raw/store, "rows-%")
		})
	}
}

// BenchmarkStoreFull takes a database with many rows (SIBYL_TEST_ROWS of each of two sources) and an empty one in turn,
// and tells how many percent of the rows a second of the empty one the full one reaches.
func BenchmarkStoreFull(b *testing.B) {
	empty, _ := setup(b)
	full, url := setup(b)
	conn := connect(b, url)
	fill(b, conn, testRows(b, 10_000))
	const rows = 2048
	b.ResetTimer()
	one := func(store *persistence.Store) func() {
		return func() { together(crowd, rows/crowd, func() { storeOne(b, store) }) }
	}
	fullTime, emptyTime := inTurn(b, one(full), one(empty))
	b.ReportMetric(100*emptyTime/fullTime, "rows-%")
	b.ReportMetric(emptyTime/rows, "ns/row")
}

// rawWriters is how many insert groups at once: as many as the store has.
const rawWriters = persistence.Writers

// inTurn calls both in turn, and tells the median of the nanoseconds that each takes.
func inTurn(b *testing.B, store, raw func()) (storeTime, rawTime float64) {
	var took [2][]time.Duration
	for b.Loop() {
		for i, call := range []func(){store, raw} {
			start := time.Now()
			call()
			took[i] = append(took[i], time.Since(start))
		}
	}
	slices.Sort(took[0])
	slices.Sort(took[1])
	return float64(took[0][len(took[0])/2]), float64(took[1][len(took[1])/2])
}

// together has n callers who each call so many times.
func together(n, times int, call func()) {
	var callers sync.WaitGroup
	for range n {
		callers.Go(func() {
			for range times {
				call()
			}
		})
	}
	callers.Wait()
}

func rawPool(b *testing.B, url string) *pgxpool.Pool {
	b.Helper()
	pool, err := pgxpool.New(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	return pool
}

// rawTransaction inserts what storeOne does.
func rawTransaction(b *testing.B, pool *pgxpool.Pool) {
	in, p := benchmarkSample()
	var batch pgx.Batch
	batch.Queue(`INSERT INTO inputs (id, created_at, filename, content_type, width, height, byte_size, sha256, stored_in,
  image)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`, in.ID, in.CreatedAt, in.Filename, in.ContentType, in.Width,
		in.Height, in.ByteSize, in.SHA256, in.StoredIn, benchmarkImage)
	batch.Queue(`INSERT INTO predictions (id, input_id, created_at, model, version, source, class_index, class_name,
  confidence, outputs, decode_microseconds, queue_microseconds, inference_microseconds)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`, p.ID, p.InputID, p.CreatedAt, p.ModelName,
		p.ModelVersion, p.Source, p.ClassIndex, p.ClassName, p.Confidence, p.Outputs, p.DecodeMicroseconds,
		p.QueueMicroseconds, p.InferenceMicroseconds)
	if err := pool.SendBatch(context.Background(), &batch).Close(); err != nil {
		b.Error(err)
	}
}

// rawGroup inserts n of what storeOne does in one transaction.
func rawGroup(b *testing.B, pool *pgxpool.Pool, n int) {
	records := make([]*persistence.Record, n)
	for i := range records {
		in, p := benchmarkSample()
		records[i] = rows(in, benchmarkImage, p)
	}
	if err := persistence.InsertGroup(context.Background(), pool, records); err != nil {
		b.Error(err)
	}
}

// BenchmarkPredictions reads a page of a list of 1,000 with its inputs, as the API does.
func BenchmarkPredictions(b *testing.B) {
	store, _ := setup(b)
	for range 1000 {
		in, p := sample([]byte("image"))
		if err := store.Record(b.Context(), rows(in, []byte("image"), p)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		page, err := store.Predictions(b.Context(), persistence.PredictionQuery{}, persistence.Page{Limit: 20})
		if err != nil || len(page.Rows) != 20 {
			b.Fatalf("%d rows, %v", len(page.Rows), err)
		}
		ids := make([]persistence.InputID, len(page.Rows))
		for i, row := range page.Rows {
			ids[i] = row.InputID
		}
		inputs, err := store.InputsByID(b.Context(), ids, true)
		if err != nil || len(inputs) != 20 {
			b.Fatalf("%d inputs, %v", len(inputs), err)
		}
	}
}

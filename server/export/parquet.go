package export

import (
	"io"

	"github.com/parquet-go/parquet-go"
)

// The bounds of a row group, which is in memory until it is written: rows as DuckDB likes them, and bytes.
const (
	groupRows  = 122_880
	groupBytes = 32 << 20
)

// parquetFile writes Parquet: instants are timestamps in UTC, lists are lists, images are bytes.
type parquetFile[T any] struct {
	writer *parquet.GenericWriter[T]
	join   func(r row, image []byte) T
	one    [1]T
	// rows and bytes are about those of the row group.
	rows, bytes int
}

func newParquet(w io.Writer, images bool) encoder {
	if images {
		return newParquetFile(w, func(r row, image []byte) imageRow { return imageRow{r, image} })
	}
	return newParquetFile(w, func(r row, _ []byte) row { return r })
}

func newParquetFile[T any](w io.Writer, join func(row, []byte) T) *parquetFile[T] {
	return &parquetFile[T]{join: join, writer: parquet.NewGenericWriter[T](w,
		parquet.Compression(&parquet.Snappy),
		// The smallest and the largest are kept for all pages until the end, and nobody looks for them.
		parquet.SkipPageBounds("image"), parquet.SkipPageBounds("outputs"),
	)}
}

func (p *parquetFile[T]) encode(r row, image []byte) error {
	p.one[0] = p.join(r, image)
	if _, err := p.writer.Write(p.one[:]); err != nil {
		return err
	}
	p.rows++
	p.bytes += len(r.Outputs) + len(image) + 8*len(r.Scores) + 8*len(r.Values)
	if p.rows < groupRows && p.bytes < groupBytes {
		return nil
	}
	p.rows, p.bytes = 0, 0
	return p.writer.Flush()
}

func (p *parquetFile[T]) close() error { return p.writer.Close() }

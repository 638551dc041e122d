package persistence

import (
	"context"
	"errors"
	"iter"
	"math/bits"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// The bounds of what an export holds in memory: rows of one statement, and bytes of them or of their images. One row
// that is larger goes alone.
const (
	firstExportRows = 64
	exportRows      = 1024
	exportBytes     = 8 << 20
)

// Stored is a prediction with all that is stored of it. It must not be changed.
type Stored struct {
	// Prediction has its Outputs.
	Prediction
	Input Input
	// Label is nil where the input has none.
	Label *Label
	// Image are the input's bytes; nil where they were not asked for, or retention has removed them.
	Image []byte
}

// bytes is about what the row takes in memory, without its image.
func (s *Stored) bytes() int { return recordOverhead + len(s.Outputs) }

// Export gives every prediction that f picks, oldest first and a few at a time, with the images too where they are asked
// for. It ends with the first error. What it gives is the caller's only until it gives more.
//
// It reads a page while the last one is used, and keeps no transaction and no connection in between, so that it may take
// hours and hinders neither VACUUM nor anybody else. Each row is as it was when its page was read. The last one is the
// newest that was there when it began; what was being stored then may be missing, and so may what is deleted meanwhile.
func (s *Store) Export(ctx context.Context, f PredictionFilter, images bool) iter.Seq2[[]*Stored, error] {
	s = s.inBackground()
	return func(yield func([]*Stored, error) bool) {
		reading, cancel := context.WithCancel(ctx)
		e := export{store: s, query: exportQuery(f), rows: firstExportRows, pages: make(chan exportPage)}
		var reader sync.WaitGroup
		reader.Go(func() { e.run(reading) })
		defer reader.Wait()
		defer cancel()
		for page := range e.pages {
			if !s.give(ctx, page, images, yield) {
				return
			}
		}
		if err := ctx.Err(); err != nil { // which has ended the pages
			yield(nil, err)
		}
	}
}

// give gives what was read, and tells whether more is wanted.
func (s *Store) give(ctx context.Context, p exportPage, images bool, yield func([]*Stored, error) bool) bool {
	if !images || p.err != nil {
		return yield(p.rows, p.err)
	}
	for group, err := range s.withImages(ctx, p.rows) {
		if !yield(group, err) || err != nil {
			return false
		}
	}
	return true
}

func exportQuery(f PredictionFilter) PredictionQuery {
	return PredictionQuery{Filters: []PredictionFilter{f}, Order: OrderOldest, Outputs: true}
}

// export is how far an export has come.
type export struct {
	store *Store
	query PredictionQuery
	// last is the newest row's key, and after that of the last row that was read; nil before the first page.
	last, after *Key
	// rows is how many are asked for next.
	rows int
	// pages are those that were read: one is while another is given.
	pages chan exportPage
}

// exportPage is some rows, or why there are none.
type exportPage struct {
	rows []*Stored
	err  error
}

// run reads pages to the last one, the first error, or the end of ctx.
func (e *export) run(ctx context.Context) {
	defer close(e.pages)
	for {
		rows, err := e.next(ctx)
		if err == nil && len(rows) == 0 {
			return
		}
		select {
		case e.pages <- exportPage{rows, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// next reads the next page, which is empty at the end.
func (e *export) next(ctx context.Context) ([]*Stored, error) {
	if e.last == nil {
		newest, err := e.store.predictions(ctx, e.query, nil, true, 1)
		if err != nil || len(newest) == 0 {
			return nil, err
		}
		e.last = &Key{ID: uuid.UUID(newest[0].ID)}
	}
	page, bytes, err := e.read(ctx)
	if err != nil || len(page) == 0 {
		return nil, err
	}
	e.after = &Key{ID: uuid.UUID(page[len(page)-1].ID)}
	// A power of two, as each number is a statement of its own to the database.
	fit := max(1, min(exportRows, exportBytes*len(page)/bytes, 4*e.rows))
	e.rows = 1 << (bits.Len(uint(fit)) - 1)
	return page, nil
}

// read reads rows until they are as many as were asked for or take exportBytes; the rest of the statement's is dropped.
func (e *export) read(ctx context.Context) (page []*Stored, bytes int, err error) {
	query, args := e.statement()
	rows, err := e.store.pool.Query(ctx, query, args...)
	if err != nil {
		return nil, 0, classify(err)
	}
	defer rows.Close()
	for bytes < exportBytes && rows.Next() {
		row, err := scanStored(rows.Scan)
		if err != nil {
			return nil, 0, classify(err)
		}
		page, bytes = append(page, row), bytes+row.bytes()
	}
	rows.Close()
	return page, bytes, classify(rows.Err())
}

// statement reads the next rows of the list with their inputs and labels.
func (e *export) statement() (query string, args []any) {
	q := e.query
	bounds := []bound{{key: *e.last, short: true, with: true}}
	if e.after != nil {
		bounds = append(bounds, bound{key: *e.after})
	}
	list, args := q.segment(q.segments()[0], bounds, false, e.rows)
	return `
SELECT ` + q.columns() + `, ` + inputColumns + `,
  l.created_at, l.class_index, l.class_name, l.value
FROM (` + list + `) p
JOIN inputs i ON i.id = p.input_id
LEFT JOIN labels l ON l.input_id = i.id
ORDER BY p.id`, args
}

// scanStored reads a row of export.statement.
func scanStored(scan func(...any) error) (*Stored, error) {
	row, label := new(Stored), new(Label)
	var labelledAt *time.Time
	p, in := &row.Prediction, &row.Input
	err := scan(
		&p.ID, &p.InputID, &p.CreatedAt, &p.ModelName, &p.ModelVersion, &p.Source, &p.ClassIndex, &p.ClassName,
		&p.Confidence, &p.Labelled, &p.Correct, &p.DecodeMicroseconds, &p.QueueMicroseconds, &p.InferenceMicroseconds,
		(*[]byte)(&p.Outputs), // which need not be checked again
		&in.ID, &in.CreatedAt, &in.Filename, &in.ContentType, &in.Width, &in.Height, &in.ByteSize, &in.SHA256, &in.StoredIn,
		&labelledAt, &label.ClassIndex, &label.ClassName, &label.Value)
	if labelledAt != nil {
		label.InputID, label.CreatedAt = in.ID, *labelledAt
		row.Label = label
	}
	return row, err
}

// withImages gives the rows of a page their images, as many rows at a time as fit into exportBytes by their images.
// Those of inputs that were deleted since are left out.
func (s *Store) withImages(ctx context.Context, page []*Stored) iter.Seq2[[]*Stored, error] {
	return func(yield func([]*Stored, error) bool) {
		for len(page) > 0 {
			group := page[:imageGroup(page)]
			page = page[len(group):]
			images, err := s.ImagesByID(ctx, column(group, func(row *Stored) InputID { return row.InputID }))
			group = slices.DeleteFunc(slices.Clone(group), func(row *Stored) (deleted bool) {
				image, ok := images[row.InputID]
				if !ok {
					return true
				}
				row.Image = image.Bytes
				if image.Err != nil && !errors.Is(image.Err, ErrImageRemoved) {
					err = errors.Join(err, image.Err)
				}
				return false
			})
			if !yield(group, err) || err != nil {
				return
			}
			for _, row := range group {
				row.Image = nil // the page still holds the row
			}
		}
	}
}

// imageGroup is how many of the rows may have their images in memory together.
func imageGroup(page []*Stored) int {
	n, bytes := 0, 0
	for n < len(page) && (n == 0 || bytes+page[n].Input.ByteSize <= exportBytes) {
		bytes += page[n].Input.ByteSize
		n++
	}
	return n
}

package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/term"

	"sibyl/graph"
	"sibyl/persistence"
	"sibyl/server/export"
)

// progressInterval is how often a person is told how far an export is.
const progressInterval = time.Second

// exportCommand writes stored predictions to a file, of a running embedded PostgreSQL too.
type exportCommand struct {
	DatabaseConfig `embed:""`

	// Images is as in Config.
	Images     ImagesURL `placeholder:"URL" help:"Object store of images, as serve has it."`
	WithImages bool      `help:"With the bytes of the images."`

	Format string `default:"jsonl" enum:"jsonl,csv,parquet" help:"jsonl, csv or parquet."`
	Filter string `placeholder:"JSON" help:"A PredictionFilter of the API; without it all that clients asked for."`
	Output string `default:"-" placeholder:"FILE" help:"The file, which is there once it is complete; - is the standard output."`
}

// Run exports until all is written, or ctx ends.
func (c *exportCommand) Run(ctx context.Context) error {
	order, err := newExportOrder(c.Format, c.WithImages, c.Filter)
	if err != nil {
		return fmt.Errorf("--filter: %w", err)
	}
	if err := c.Images.validate(); err != nil {
		return err
	}
	o := persistence.Options{MaxConnections: c.MaxConnections, StatementTimeout: c.StatementTimeout}
	if c.WithImages { // else a store that is away does not matter
		o.Images = string(c.Images)
	}
	return c.with(ctx, false, func(ctx context.Context, db database) error {
		store, err := persistence.Open(ctx, db.url, o)
		if err != nil {
			return imagesError(err)
		}
		defer store.Close()
		if err := store.Ready(ctx); err != nil {
			return fmt.Errorf("the database has not the schema of this program (`sibyl migrate up` brings it there): %w", err)
		}
		if err := store.CheckImages(ctx); err != nil { // else its rows would fail one by one
			return imagesError(err)
		}
		rows := graph.Export(ctx, store, order.filter, order.images)
		if term.IsTerminal(int(os.Stderr.Fd())) {
			rows = told(rows, os.Stderr)
		}
		return writeFile(c.Output, func(w io.Writer) error { return export.Write(w, order.format, order.images, rows) })
	})
}

// told tells w how many rows have gone by.
func told(rows iter.Seq2[graph.Exported, error], w io.Writer) iter.Seq2[graph.Exported, error] {
	return func(yield func(graph.Exported, error) bool) {
		count, next := 0, time.Now().Add(progressInterval)
		defer func() { fmt.Fprintf(w, "\r%d predictions\n", count) }()
		for row, err := range rows {
			if !yield(row, err) {
				return
			}
			if count++; time.Now().After(next) {
				next = next.Add(progressInterval)
				fmt.Fprintf(w, "\r%d predictions", count)
			}
		}
	}
}

// writeFile makes a file of what write writes, under its name only once it is complete. What is no plain file, such as a
// pipe, is written to as it is.
func writeFile(path string, write func(io.Writer) error) error {
	if path == "-" {
		return writeTo(os.Stdout, write)
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(writeTo(file, write), file.Close())
	}
	partial := path + "." + rand.Text()[:8] + ".partial"
	file, err := os.OpenFile(partial, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	err = writeTo(file, write)
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(partial, path)
	}
	if err != nil {
		_ = os.Remove(partial)
	}
	return err
}

func writeTo(w io.Writer, write func(io.Writer) error) error {
	buffered := bufio.NewWriterSize(w, exportChunk)
	if err := write(buffered); err != nil {
		return err
	}
	return buffered.Flush()
}

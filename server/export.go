package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"sibyl/graph"
	"sibyl/persistence"
	"sibyl/server/compress"
	"sibyl/server/export"
	"sibyl/server/transport"
)

const (
	// maxExports bounds the exports that run; each takes a core.
	maxExports = 4
	// exportMemory is about what one holds: a page of rows, and a row group.
	exportMemory = 64 << 20
	// exportChunk is written at a time, and exportStall is how long its client may take to read it, and how long it may
	// make us wait in all, beyond the time for all that it has read at exportRate bytes a second: one that reads little by
	// little would keep its place for ever.
	exportChunk = 64 << 10
	exportStall = 30 * time.Second
	exportRate  = 64 << 10
)

// exports serves /export. An export takes as long as it takes: it ends when its client goes away, reads no more, or may
// not have it any more, or when the server stops.
type exports struct {
	store  *persistence.Store
	gate   *transport.Gate
	logger *slog.Logger
	// running has room for those that may run.
	running chan struct{}
	// stopping ends when exports must.
	stopping context.Context
	stall    time.Duration
}

func newExports(
	stopping context.Context, store *persistence.Store, gate *transport.Gate, logger *slog.Logger,
) *exports {
	return &exports{store, gate, logger, make(chan struct{}, maxExports), stopping, exportStall}
}

// ServeHTTP answers GET alone: what HEAD would tell is known after all has been read.
func (h *exports) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodOptions:
		w.Header().Set("Allow", http.MethodGet)
		w.WriteHeader(http.StatusNoContent)
		return
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		answerError(h.logger, w, r, http.StatusMethodNotAllowed, &graph.Error{
			Code: graph.CodeBadRequest, Message: "/export answers GET alone",
		})
		return
	case transport.FromStranger(w.Header(), r):
		answerError(h.logger, w, r, http.StatusForbidden, &graph.Error{
			Code: graph.CodeCSRFPrevention, Message: "/export does not answer the pages of other sites",
		})
		return
	}
	order, err := parseExport(r.URL.RawQuery)
	if err == nil {
		if order.format != export.Parquet { // which is compressed already
			order.coding = compress.Negotiate(r.Header, w.Header())
		}
		var release func()
		if release, err = h.enter(); err == nil {
			defer release()
			err = h.send(w, r, order)
		}
	}
	if err != nil {
		answerError(h.logger, w, r, 0, err)
	}
}

// enter takes a place among those that run, and memory.
func (h *exports) enter() (release func(), err error) {
	select {
	case h.running <- struct{}{}:
	default:
		return nil, &graph.Error{
			Code: graph.CodeOverloaded, Message: fmt.Sprintf("%d exports are running; ask again later", cap(h.running)),
		}
	}
	giveBack, err := h.gate.Reserve(exportMemory)
	if err != nil {
		<-h.running
		return nil, &graph.Error{Code: graph.CodeOverloaded, Message: err.Error()}
	}
	return func() { giveBack(); <-h.running }, nil
}

// send writes the export. It returns the error of one of which nothing has been sent; else it cuts the connection, so
// that nobody takes a part of the file for the whole.
func (h *exports) send(w http.ResponseWriter, r *http.Request, o exportOrder) error {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	out := &exportWriter{ctx: ctx, to: w, deadline: http.NewResponseController(w).SetWriteDeadline, stall: h.stall, order: o}
	defer context.AfterFunc(h.stopping, cancel)()
	defer context.AfterFunc(ctx, func() { _ = out.deadline(time.Now()) })() // its client may not be reading
	err := h.write(ctx, out, o)
	if err == nil {
		out.begin() // a file may be empty
		return nil
	}
	var refused *graph.Error
	if errors.As(context.Cause(ctx), &refused) {
		err = refused
	}
	switch {
	case ctx.Err() == nil && !out.begun:
		return err
	case ctx.Err() == nil || refused != nil: // else the client has gone, or the server stops
		h.logger.LogAttrs(ctx, slog.LevelWarn, "export broken off",
			slog.String("request_id", graph.RequestID(ctx)), slog.Any("error", err))
	}
	panic(http.ErrAbortHandler)
}

// write writes the file.
func (h *exports) write(ctx context.Context, to io.Writer, o exportOrder) error {
	if o.images {
		if err := h.store.ImagesReady(ctx); err != nil {
			return err
		}
	}
	buffered := bufio.NewWriterSize(to, exportChunk)
	file := o.coding.Stream(buffered)
	if err := export.Write(file, o.format, o.images, graph.Export(ctx, h.store, o.filter, o.images)); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return buffered.Flush()
}

// exportOrder is what is to be exported, and how.
type exportOrder struct {
	format export.Format
	images bool
	filter persistence.PredictionFilter
	coding compress.Coding
}

// exportParameters are those that there are: with one misspelt, everything would be exported instead of a part.
var exportParameters = []string{"format", "images", "filter"}

// parseExport reads the parameters of the URL.
func parseExport(query string) (exportOrder, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return exportOrder{}, badRequest("the parameters are not readable")
	}
	for name, given := range values {
		if !slices.Contains(exportParameters, name) || len(given) > 1 {
			return exportOrder{}, badRequest("the parameters are `format`, `images` and `filter`, each at most once")
		}
	}
	images := false
	if text := values.Get("images"); text != "" {
		if images, err = strconv.ParseBool(text); err != nil {
			return exportOrder{}, badRequest("`images` is true or false")
		}
	}
	return newExportOrder(values.Get("format"), images, values.Get("filter"))
}

// newExportOrder reads a format, which is jsonl where it is empty, and a filter. The error is fit for everybody.
func newExportOrder(format string, images bool, filter string) (exportOrder, error) {
	o := exportOrder{format: export.Format(format), images: images}
	if format == "" {
		o.format = export.JSONL
	}
	if o.format.MediaType() == "" {
		return o, badRequest("the format is jsonl, csv or parquet")
	}
	var err error
	o.filter, err = graph.ExportFilter(filter)
	return o, err
}

func badRequest(message string) error {
	return &graph.Error{Code: graph.CodeBadRequest, Message: message}
}

// exportWriter sends the headers with the first bytes, and gives the client time for each chunk.
type exportWriter struct {
	ctx      context.Context
	to       http.ResponseWriter
	deadline func(time.Time) error
	stall    time.Duration
	order    exportOrder
	begun    bool
	// sent is how many bytes the client has taken, waited how long we waited for it.
	sent   int64
	waited time.Duration
}

func (w *exportWriter) begin() {
	if !w.begun {
		w.begun = true
		w.order.describe(w.to.Header())
	}
}

// Write sends chunks. It ends with the context.
func (w *exportWriter) Write(p []byte) (written int, err error) {
	w.begin()
	for len(p) > 0 && err == nil {
		begin := time.Now()
		if err = w.deadline(begin.Add(w.patience())); err != nil {
			break
		}
		// Only now: who ends the context takes the deadline back after it.
		if err = w.ctx.Err(); err != nil {
			break
		}
		var n int
		n, err = w.to.Write(p[:min(len(p), exportChunk)])
		written, p = written+n, p[n:]
		w.sent, w.waited = w.sent+int64(n), w.waited+time.Since(begin)
	}
	return written, err
}

// patience is how long the client may take to read another chunk.
func (w *exportWriter) patience() time.Duration {
	due := time.Duration(float64(w.sent) / exportRate * float64(time.Second))
	return min(w.stall, w.stall+due-w.waited)
}

// describe sets the headers of a file.
func (o exportOrder) describe(h http.Header) {
	o.coding.Describe(h)
	h.Set("Content-Type", o.format.MediaType())
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="predictions.%s"`, o.format))
	h.Set("Cache-Control", "no-store")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

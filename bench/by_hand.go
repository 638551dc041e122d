package main

import (
	"context"
	"encoding/base32"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// The statements that answer listDocument, by one who knows that nothing else is ever asked.
const (
	selectPredictions = `
SELECT p.id, p.input_id, p.created_at, p.class_name, p.confidence
FROM predictions p
WHERE p.source = 'REQUEST'
ORDER BY p.id DESC
LIMIT `
	selectInputs = `
SELECT i.id, i.filename
FROM inputs i
WHERE i.id = ANY($1)`
)

// byHand answers listDocument as fast as one program can: net/http, pgx, two statements, and JSON put together by hand.
// It is what the server's lists are measured beside.
type byHand struct {
	address  string
	pool     *pgxpool.Pool
	server   *http.Server
	finished chan error
}

// startByHand serves from the database of a URL, in this process, on a free port.
func startByHand(ctx context.Context, databaseURL string) (*byHand, error) {
	config, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		return nil, errors.New("database URL cannot be parsed")
	}
	config.MaxConns = listConnections
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		pool.Close()
		return nil, err
	}
	h := &byHand{address: listener.Addr().String(), pool: pool, finished: make(chan error, 1)}
	h.server = &http.Server{Handler: h}
	go func() { h.finished <- h.server.Serve(listener) }()
	return h, nil
}

// stop ends it.
func (h *byHand) stop() error {
	err := h.server.Close()
	if served := <-h.finished; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	h.pool.Close()
	return err
}

// ServeHTTP answers a list.
func (h *byHand) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Variables struct{ First int }
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer, err := h.list(r.Context(), request.Variables.First)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	_, _ = w.Write(answer) // the generator sees what did not arrive
}

// listed is a prediction of the list.
type listed struct {
	id, inputID [16]byte
	createdAt   time.Time
	className   *string
	confidence  *float64
}

func (h *byHand) list(ctx context.Context, first int) ([]byte, error) {
	rows, _ := h.pool.Query(ctx, selectPredictions+strconv.Itoa(first)) // its error comes with the rows
	predictions := make([]listed, 0, first)
	var p listed
	_, err := pgx.ForEachRow(rows, []any{&p.id, &p.inputID, &p.createdAt, &p.className, &p.confidence}, func() error {
		predictions = append(predictions, p)
		return nil
	})
	if err != nil {
		return nil, err
	}
	filenames, err := h.filenames(ctx, predictions)
	if err != nil {
		return nil, err
	}
	answer := append(make([]byte, 0, 256+256*len(predictions)), `{"data":{"predictions":{"nodes":[`...)
	for i := range predictions {
		if i > 0 {
			answer = append(answer, ',')
		}
		answer = predictions[i].append(answer, filenames[predictions[i].inputID])
	}
	return append(answer, `]}}}`...), nil
}

func (h *byHand) filenames(ctx context.Context, predictions []listed) (map[[16]byte]*string, error) {
	ids := make([][16]byte, len(predictions))
	for i := range predictions {
		ids[i] = predictions[i].inputID
	}
	rows, _ := h.pool.Query(ctx, selectInputs, ids) // its error comes with the rows
	filenames := make(map[[16]byte]*string, len(ids))
	var id [16]byte
	var filename *string
	_, err := pgx.ForEachRow(rows, []any{&id, &filename}, func() error {
		filenames[id] = filename
		return nil
	})
	return filenames, err
}

// append appends the prediction with its input as JSON.
func (p *listed) append(b []byte, filename *string) []byte {
	b = appendTypeID(append(b, `{"id":"prediction_`...), p.id)
	b = p.createdAt.UTC().AppendFormat(append(b, `","createdAt":"`...), "2006-01-02T15:04:05.000Z")
	b = append(b, `","likelyClass":`...)
	if p.className == nil || p.confidence == nil {
		b = append(b, `null`...)
	} else {
		b = appendString(append(b, `{"name":`...), *p.className)
		b = append(strconv.AppendFloat(append(b, `,"confidence":`...), *p.confidence, 'g', -1, 64), '}')
	}
	b = append(appendTypeID(append(b, `,"input":{"id":"input_`...), p.inputID), `","filename":`...)
	if filename == nil {
		return append(b, `null}}`...)
	}
	return append(appendString(b, *filename), `}}`...)
}

// appendString appends a string, most of which have nothing to escape.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] == '"' || s[i] == '\\' {
			text, _ := json.Marshal(s) // never fails
			return append(b, text...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// typeIDEncoding is that of TypeIDs: 26 digits for 128 bits with two zero bits in front, the last of 32 digits for 160
// bits.
var typeIDEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

func appendTypeID(b []byte, id [16]byte) []byte {
	var padded [20]byte
	copy(padded[4:], id[:])
	var digits [32]byte
	typeIDEncoding.Encode(digits[:], padded[:])
	return append(b, digits[6:]...)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

// limitAnswer is as long as a prediction's.
const limitAnswer = `{"data":{"predict":{"id":"prediction_01kaq3v5t6fz8r3h2m9w7c4x1e",` +
	`"likelyClass":{"name":"2","confidence":0.9998765468597412}}}}`

// httpLimit measures the uploads a second that Go's HTTP server reads and answers with a constant, in this process. The
// generator's own work is in it, as it is in every measurement under load.
func httpLimit(ctx context.Context, o limitOptions) (limit, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return limit{}, err
	}
	server := &http.Server{Handler: http.HandlerFunc(answerConstantly)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	w, err := predictWorkload(listener.Addr().String(), o.pictures)
	if err != nil {
		return limit{}, err
	}
	seen, elapsed := drive(ctx, listener.Addr().String(), w, o.connections, o.duration)
	err = errors.Join(ctx.Err(), seen.firstError, server.Close())
	if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	rate := float64(len(seen.latencies)) / elapsed.Seconds()
	return limit{Name: fmt.Sprintf("net/http, %d connections", o.connections), PerSecond: rate, Unit: "requests"}, err
}

func answerConstantly(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, limitAnswer) // the generator sees what did not arrive
}

// Command bench measures the built server under load over HTTP, and beside it what the machine could do: bare runs of
// the model, bare inserts, bare HTTP. With -peer it measures bench/peer instead, the same service in Python, in turn
// with the server under the same load. It is run in the root of the repository, by `make bench` and `make bench-peer`.
//
// The generator runs on the server's own cores and is made to need little of them: requests are bytes made once, and a
// connection is one goroutine that writes them, reads the answer, and checks it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	server      string
	model       string
	python      string
	json        string
	data        string
	connections []int
	duration    time.Duration
	rows        int
	peer        bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	r, err := benchmark(ctx, o)
	if err != nil {
		return err
	}
	if err := r.write(out); err != nil {
		return err
	}
	if o.json != "" {
		if err := r.save(o.json); err != nil {
			return err
		}
	}
	return r.failures()
}

func parseOptions(args []string) (o options, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	connections := flags.String("connections", "1,8,64", "numbers of connections to predict with, the largest last")
	flags.DurationVar(&o.duration, "duration", 10*time.Second, "length of each measurement")
	flags.IntVar(&o.rows, "rows", 1_000_000, "predictions that a second server has before it is measured beside one without; 0: none is")
	flags.BoolVar(&o.peer, "peer", false, "measure bench/peer in turn with the server")
	flags.StringVar(&o.json, "json", "", "also write the figures to this file")
	flags.StringVar(&o.server, "server", "bin/sibyl", "the built server")
	flags.StringVar(&o.data, "data", "", "where the database is made, on a disk; without it the system's temporary files")
	flags.StringVar(&o.model, "model", "inference/models/mnist/1/model.onnx", "the server's model, for limits and peer")
	flags.StringVar(&o.python, "python", "python3", "Python 3.11 or later, for the peer")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.duration <= 0 || o.rows < 0 || flags.NArg() > 0 {
		return o, errors.New("usage: bench [flags], -duration more than 0 and -rows 0 or more; -help lists the flags")
	}
	o.connections, err = parseConnections(*connections)
	return o, err
}

func parseConnections(list string) (numbers []int, err error) {
	for item := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(item)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("-connections %q: numbers of at least 1, with commas between them", list)
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// benchmark starts what is measured, measures it, and ends it.
func benchmark(ctx context.Context, o options) (_ *report, err error) {
	r := &report{Machine: describeMachine(ctx)}
	pictures, err := drawDigits()
	if err != nil {
		return nil, err
	}
	s, err := startSibyl(ctx, o.server, o.data, o.model)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	r.Machine.Sibyl = s.version
	if r.Machine.Postgres, err = databaseVersion(ctx, s.databaseURL); err != nil {
		return nil, err
	}
	if o.peer {
		return r, comparePeer(ctx, o, s, pictures, r)
	}
	if err := errors.Join(loadSibyl(ctx, o, s, pictures, r), limits(ctx, o, s, pictures, r)); err != nil || o.rows == 0 {
		return r, err
	}
	return r, measureFull(ctx, o, pictures, r)
}

// loadSibyl measures predictions, also while models change, and then lists of them.
func loadSibyl(ctx context.Context, o options, s *sibyl, pictures []picture, r *report) error {
	predict, err := predictWorkload(s.address, pictures)
	if err != nil {
		return err
	}
	for _, connections := range o.connections {
		if err := r.measure(ctx, &s.target, predict, connections, o.duration); err != nil {
			return err
		}
	}
	if err := measureReloads(ctx, s, predict, o.duration, r); err != nil {
		return err
	}
	return measureLists(ctx, s, o.duration, r)
}

func (r *report) measure(ctx context.Context, t *target, w workload, connections int, duration time.Duration) error {
	m, err := measure(ctx, t, w, connections, duration)
	r.Loads = append(r.Loads, m)
	return err
}

// limits measures what the machine could do, while the server has nothing to do.
func limits(ctx context.Context, o options, s *sibyl, pictures []picture, r *report) (err error) {
	library, err := findRuntime()
	if err != nil {
		return err
	}
	version, unload, err := openRuntime(library)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unload()) }()
	r.Machine.Runtime = version
	r.Limits, err = measureLimits(ctx, limitOptions{
		model: o.model, databaseURL: s.databaseURL, pictures: pictures,
		connections: o.connections[len(o.connections)-1], duration: o.duration,
	})
	return err
}

// comparePeer measures the server and the peer.
func comparePeer(ctx context.Context, o options, s *sibyl, pictures []picture, r *report) (err error) {
	peer, err := startPeer(ctx, s, o.python, o.model)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, peer.process.stop()) }()
	r.Machine.Peer = "FastAPI, uvicorn, onnxruntime, asyncpg, Pillow"
	ours, err := predictWorkload(s.address, pictures)
	if err != nil {
		return err
	}
	theirs, err := peerWorkload(peer.address, pictures)
	if err != nil {
		return err
	}
	for _, connections := range o.connections {
		sibyl, other, err := inTurn(ctx, side{&s.target, ours}, side{peer, theirs}, connections, o.duration)
		if err != nil {
			return err
		}
		r.Loads = append(r.Loads, sibyl, other)
	}
	return nil
}

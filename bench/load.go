package main

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"
)

// answerTimeout is how long the last answers may take after the end of a measurement.
const answerTimeout = 30 * time.Second

// redialPause keeps a generator whose server is gone from spinning.
const redialPause = 10 * time.Millisecond

// workload is what one connection after another sends, over and over.
type workload struct {
	name string
	// requests are whole HTTP requests, sent in turn.
	requests [][]byte
	// verify returns an error for an answer that is not the one wanted.
	verify func(status int, body []byte) error
}

// tally is what one or all connections saw.
type tally struct {
	latencies  []time.Duration
	errors     int
	firstError error
}

func (t *tally) fail(err error) {
	t.errors++
	if t.firstError == nil {
		t.firstError = err
	}
}

// drive keeps each of n connections busy with one request at a time, until duration has passed; it returns what they
// saw and how long it took until the last of them had its answer.
func drive(ctx context.Context, address string, w workload, n int, duration time.Duration) (tally, time.Duration) {
	tallies := make([]tally, n)
	begun := time.Now()
	var connections sync.WaitGroup
	for i := range n {
		connections.Go(func() {
			c := connection{address: address, workload: w, next: i, end: begun.Add(duration)}
			tallies[i] = c.run(ctx)
		})
	}
	connections.Wait()
	elapsed := time.Since(begun)
	var all tally
	for _, t := range tallies {
		all.latencies = append(all.latencies, t.latencies...)
		all.errors += t.errors
		if all.firstError == nil {
			all.firstError = t.firstError
		}
	}
	slices.Sort(all.latencies)
	return all, elapsed
}

// connection is one client of a closed loop.
type connection struct {
	address  string
	workload workload
	next     int
	end      time.Time
	client   *client
	tally    tally
}

// run sends until the end, dialling again after an error.
func (c *connection) run(ctx context.Context) tally {
	c.tally.latencies = make([]time.Duration, 0, 1<<14)
	for began := time.Now(); began.Before(c.end) && ctx.Err() == nil; {
		if err := c.once(); err != nil {
			c.tally.fail(err)
			c.hangUp()
			time.Sleep(redialPause)
			began = time.Now()
			continue
		}
		now := time.Now()
		c.tally.latencies = append(c.tally.latencies, now.Sub(began))
		began = now
	}
	c.hangUp()
	return c.tally
}

// once sends the next request and checks its answer.
func (c *connection) once() (err error) {
	if c.client == nil {
		if c.client, err = dial(c.address, c.end.Add(answerTimeout)); err != nil {
			return err
		}
	}
	request := c.workload.requests[c.next%len(c.workload.requests)]
	c.next++
	status, body, err := c.client.do(request)
	if err != nil {
		return err
	}
	return c.workload.verify(status, body)
}

func (c *connection) hangUp() {
	if c.client != nil {
		c.client.close()
		c.client = nil
	}
}

// percentile is the nearest-rank percentile of sorted durations; 0 of none.
func percentile(sorted []time.Duration, percent float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(percent / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

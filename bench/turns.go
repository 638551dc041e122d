package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// turns is how often each of two is measured where they are compared.
const turns = 10

// side is a server and what is asked of it.
type side struct {
	target   *target
	workload workload
}

// inTurn measures two in short turns, together as long as the duration for each: so what else the machine does meanwhile
// hits both. Percentiles are means of those of the turns.
func inTurn(
	ctx context.Context, a, b side, connections int, duration time.Duration,
) (ofA, ofB measurement, err error) {
	fmt.Fprintf(os.Stderr, "%s and %s in turn: %s, %d connections\n", a.target.name, b.target.name, a.workload.name, connections)
	for turn := range turns {
		first, second := a, b
		if turn%2 == 1 {
			first, second = b, a
		}
		for _, s := range []side{first, second} {
			m, err := measureTurn(ctx, s.target, s.workload, connections, duration/turns)
			if err != nil {
				return ofA, ofB, err
			}
			if s.target == a.target {
				ofA = ofA.with(m)
			} else {
				ofB = ofB.with(m)
			}
		}
	}
	return ofA, ofB, nil
}

// with is a measurement and a later one of the same load together.
func (m measurement) with(later measurement) measurement {
	if m.Requests == 0 {
		return later
	}
	share := func(a, b float64) float64 {
		return (a*float64(m.Requests) + b*float64(later.Requests)) / float64(m.Requests+later.Requests)
	}
	later.P50, later.P99 = share(m.P50, later.P50), share(m.P99, later.P99)
	later.CPU, later.DatabaseCPU = share(m.CPU, later.CPU), share(m.DatabaseCPU, later.DatabaseCPU)
	later.GeneratorCPU = share(m.GeneratorCPU, later.GeneratorCPU)
	later.Requests += m.Requests
	later.Seconds += m.Seconds
	later.PerSecond = float64(later.Requests) / later.Seconds
	if later.Errors += m.Errors; m.FirstError != "" {
		later.FirstError = m.FirstError
	}
	return later
}

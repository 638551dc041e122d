package main

import (
	"context"
	"fmt"
	"time"
)

// limit is what a part of the service could do alone on this machine, nothing else running.
type limit struct {
	Name string `json:"name"`
	// PerSecond counts Unit.
	PerSecond float64 `json:"perSecond"`
	Unit      string  `json:"unit"`
}

// combinedLimit is what a service could do that spent nothing but what these limits spend, one after another: each
// keeps the whole machine busy.
func combinedLimit(name string, limits ...limit) limit {
	var seconds float64
	for _, l := range limits {
		seconds += 1 / l.PerSecond
	}
	return limit{Name: name, PerSecond: 1 / seconds, Unit: "requests"}
}

// limitOptions are what the limits need.
type limitOptions struct {
	model       string
	databaseURL string
	pictures    []picture
	connections int
	duration    time.Duration
}

// measureLimits measures each part alone, and adds the sum of all.
func measureLimits(ctx context.Context, o limitOptions) ([]limit, error) {
	single, err := runtimeLimit(ctx, o, 1)
	if err != nil {
		return nil, fmt.Errorf("raw ONNX Runtime: %w", err)
	}
	batched, err := runtimeLimit(ctx, o, 32)
	if err != nil {
		return nil, fmt.Errorf("raw ONNX Runtime: %w", err)
	}
	insert, err := insertLimit(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("raw insert: %w", err)
	}
	uploads, err := httpLimit(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("raw HTTP: %w", err)
	}
	all := combinedLimit("HTTP, then batch 32, then insert", uploads, batched, insert)
	return []limit{single, batched, insert, uploads, all}, nil
}

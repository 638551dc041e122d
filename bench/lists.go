package main

import (
	"context"
	"errors"
	"time"
)

// listConnections is how many ask for lists at the same time.
const listConnections = 16

// listing is a list asked of the server and of a handler written by hand.
type listing struct {
	Sibyl  measurement `json:"sibyl"`
	ByHand measurement `json:"byHand"`
}

// measureLists asks for pages of what was predicted before.
func measureLists(ctx context.Context, s *sibyl, duration time.Duration, r *report) (err error) {
	h, err := startByHand(ctx, s.databaseURL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.stop()) }()
	hand := &target{name: "by hand", address: h.address, databasePID: s.databasePID}
	for _, first := range []int{20, 100} {
		ours, err := listWorkload(s.address, first)
		if err != nil {
			return err
		}
		theirs, err := listWorkload(hand.address, first)
		if err != nil {
			return err
		}
		sibyl, byHand, err := inTurn(ctx, side{&s.target, ours}, side{hand, theirs}, listConnections, duration)
		if err != nil {
			return err
		}
		r.Loads, r.Lists = append(r.Loads, sibyl), append(r.Lists, listing{sibyl, byHand})
	}
	return nil
}

func listTable(lists []listing) *table {
	t := &table{title: "Lists beside a handler written by hand: net/http, pgx, two statements"}
	t.add("", "requests/s: Sibyl", "by hand", "Sibyl/by hand", "p50 ms: Sibyl", "by hand", "PostgreSQL's CPU ms: Sibyl",
		"by hand")
	for _, l := range lists {
		t.add(l.Sibyl.Workload, number(l.Sibyl.PerSecond), number(l.ByHand.PerSecond),
			ratio(l.Sibyl.PerSecond, l.ByHand.PerSecond), number(l.Sibyl.P50), number(l.ByHand.P50),
			number(l.Sibyl.DatabaseCPU), number(l.ByHand.DatabaseCPU))
	}
	return t
}

package main

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
)

// statements counts what operations ask of the database.
func (s *suite) statements(ctx context.Context) error {
	argon := s.small.sites[argonSlug]
	return s.small.with(ctx, func(n *node) error {
		token, err := n.door.create(ctx, argon)
		if err != nil {
			return err
		}
		for _, op := range []struct {
			name string
			most float64
			do   func() error
		}{
			{"create a flow", 5, func() error { _, err := n.door.create(ctx, argon); return err }},
			{"read a state", 5, func() error { return n.door.state(ctx, argon, token) }},
			{"create a flow and identify", 5, func() error { return n.door.identify(ctx, argon) }},
			{"login in one request", 8, func() error { return n.door.login(ctx, argon) }},
			{"login in three steps", 15, func() error { return n.door.login3(ctx, argon) }},
			{"check a session", 2, func() error { return n.door.session(ctx, argon, chance(argon.users)) }},
		} {
			count, err := n.statementsOf(ctx, op.do)
			s.show(op.name, "", atMost(op.most, 0), one(count), err)
		}
		return nil
	})
}

// background are the groups of statements that no request waits for, and the
// brackets of transactions.
var background = []string{"audit_seal", "purge", "notify", "schema", "ping", "begin", "commit", "rollback", "flush"}

// statementsOf repeats an operation, one after the other, and divides. The poll
// for changed tenants adds one now and then, so it rounds.
func (n *node) statementsOf(ctx context.Context, do func() error) (float64, error) {
	const times = 50
	if err := do(); err != nil { // fills caches
		return 0, err
	}
	before, err := n.counted(ctx)
	if err != nil {
		return 0, err
	}
	for range times {
		if err := do(); err != nil {
			return 0, err
		}
	}
	after, err := n.counted(ctx)
	if err != nil {
		return 0, err
	}
	total := 0.0
	for group, count := range after {
		if !slices.Contains(background, group) {
			total += count - before[group]
		}
	}
	return math.Round(total / times), nil
}

var countLine = regexp.MustCompile(`(?m)^usher_db_query_duration_seconds_count\{group="(\w+)"\} (\S+)$`)

var nextGCLine = regexp.MustCompile(`(?m)^go_memstats_next_gc_bytes (\S+)$`)

// live is the heap in MiB that the last collection found in use: the next one
// begins when it has doubled (GOGC=100).
func (n *node) live(ctx context.Context) (float64, error) {
	text, err := n.scrape(ctx)
	if err != nil {
		return 0, err
	}
	m := nextGCLine.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("the metrics have no go_memstats_next_gc_bytes")
	}
	next, err := strconv.ParseFloat(m[1], 64)
	return next / 2 / (1 << 20), err
}

// counted reads how many statements of each group were made since the start.
func (n *node) counted(ctx context.Context) (map[string]float64, error) {
	text, err := n.scrape(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]float64{}
	for _, m := range countLine.FindAllStringSubmatch(text, -1) {
		if out[m[1]], err = strconv.ParseFloat(m[2], 64); err != nil {
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("the metrics have no usher_db_query_duration_seconds")
	}
	return out, nil
}

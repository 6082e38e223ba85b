package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// door is a server to send requests to, by address; the tenant is in the Host
// header.
type door struct {
	address string
	http    *http.Client
}

func newDoor(address string) *door {
	return &door{address, &http.Client{
		Timeout: time.Minute,
		Transport: &http.Transport{
			MaxIdleConns: 512, MaxIdleConnsPerHost: 512, DisableCompression: true,
		},
	}}
}

// request is one call and the answer it must get.
type request struct {
	method, host, path string
	bearer             string
	from               string // the client's address; "" for one of many
	body               []byte
	want               int // status; 0 for 200
}

// errShed says that the server turned a request away, rightly.
var errShed = errors.New("turned away with 503 and Retry-After")

// unexpected is an answer that isn't what was asked for.
type unexpected struct {
	status int
	body   []byte
}

func (u *unexpected) Error() string {
	return fmt.Sprintf("unexpected answer %d: %.300s", u.status, u.body)
}

// call sends a request and reads the answer into a value.
func (d *door) call(ctx context.Context, q request, into any) error {
	// One address for all tenants, so that connections are used again as a proxy in front of them does.
	r, err := http.NewRequestWithContext(ctx, q.method, "http://"+d.address+q.path, bytes.NewReader(q.body))
	if err != nil {
		return err
	}
	r.Host = q.host
	if q.body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if q.bearer != "" {
		r.Header.Set("Authorization", "Bearer "+q.bearer)
	}
	if q.from == "" { // people come from many addresses, and limits count each
		n := chance(10_000)
		q.from = "10.20." + strconv.Itoa(n/100) + "." + strconv.Itoa(n%100)
	}
	r.Header.Set("X-Forwarded-For", q.from)
	a, err := d.http.Do(r)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		return err
	}
	want := q.want
	if want == 0 {
		want = http.StatusOK
	}
	if a.StatusCode == http.StatusServiceUnavailable && want != a.StatusCode {
		if after, err := strconv.Atoi(a.Header.Get("Retry-After")); err == nil && after > 0 {
			return errShed
		}
	}
	if a.StatusCode != want {
		return &unexpected{a.StatusCode, body}
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		return &unexpected{a.StatusCode, body}
	}
	return nil
}

// drive lets clients repeat an operation for a while, or until one of them gets
// an error. What has begun is finished and counted. With patience, a client that
// is turned away waits so long before it comes again; without, being turned away
// is an error.
func drive(ctx context.Context, d time.Duration, clients int, patience time.Duration, op func(context.Context) error) (sample, error) {
	var mu sync.Mutex
	var all sample
	var failed error
	var over atomic.Bool
	var group sync.WaitGroup
	start := time.Now()
	for range clients {
		group.Go(func() {
			var mine sample
			var bad error
			for time.Since(start) < d && !over.Load() {
				begun := time.Now()
				switch err := op(ctx); {
				case err == nil:
					mine.Ops++
					mine.Took = append(mine.Took, time.Since(begun))
				case patience > 0 && errors.Is(err, errShed):
					mine.Shed++
					select {
					case <-time.After(min(patience, d-time.Since(start))):
					case <-ctx.Done():
					}
				default:
					bad = err
					over.Store(true)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			failed = cmp.Or(failed, bad)
			all.Ops += mine.Ops
			all.Shed += mine.Shed
			all.Took = append(all.Took, mine.Took...)
		})
	}
	group.Wait()
	all.Wall = time.Since(start)
	slices.Sort(all.Took)
	return all, failed
}

// load is an arm of clients that repeat an operation.
func load(name string, m meter, clients int, op func(context.Context) error) arm {
	return arm{name, func(ctx context.Context, d time.Duration) (sample, error) {
		return m.during(func() (sample, error) { return drive(ctx, d, clients, 0, op) })
	}}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// peer is another server with the same job, set up by whoever wants to compare.
// Its file is a list of these:
//
//	[{"name": "other", "users": 1000, "processes": [4711, 4712], "operations": {
//	  "login": {"method": "POST", "url": "http://127.0.0.1:9000/login", "headers": {"Content-Type": "application/json"},
//	            "body": "{\"user\":\"user{n}@example.com\",\"password\":\"secret\"}", "status": 200, "contains": "token"}}}]
//
// {n} becomes the number of a user. An operation named as one of ours, which are
// "create a flow", "login" and "check a session", is compared with it.
type peer struct {
	Name       string               `json:"name"`
	Users      int                  `json:"users"`
	Processes  []int                `json:"processes"` // whose CPU counts, its database's too; none for time alone
	Operations map[string]operation `json:"operations"`
}

type operation struct {
	Method   string            `json:"method"`
	URL      string            `json:"url"`
	Headers  map[string]string `json:"headers"`
	Body     string            `json:"body"`
	Status   int               `json:"status"`
	Contains string            `json:"contains"` // what a right answer holds
}

func readPeers(file string) ([]peer, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file) //nolint:gosec // whoever runs the bench names it
	if err != nil {
		return nil, err
	}
	var out []peer
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&out); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return out, nil
}

// do makes one call and checks the answer.
func (o *operation) do(ctx context.Context, client *http.Client, users int) error {
	n := strconv.Itoa(chance(max(1, users)))
	put := func(s string) string { return strings.ReplaceAll(s, "{n}", n) }
	r, err := http.NewRequestWithContext(ctx, o.Method, put(o.URL), strings.NewReader(put(o.Body)))
	if err != nil {
		return err
	}
	for k, v := range o.Headers {
		r.Header.Set(k, put(v))
	}
	a, err := client.Do(r)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err == nil && (a.StatusCode != o.Status || !bytes.Contains(body, []byte(o.Contains))) {
		err = &unexpected{a.StatusCode, body}
	}
	return err
}

// peers compares other servers with ours on this database.
func (s *suite) peers(ctx context.Context) error {
	if len(s.others) == 0 {
		return nil
	}
	argon := s.small.sites[argonSlug]
	return s.small.with(ctx, func(n *node) error {
		ours := map[string]func(context.Context) error{
			"create a flow":   func(ctx context.Context) error { _, err := n.door.create(ctx, argon); return err },
			"login":           func(ctx context.Context) error { return n.door.login(ctx, argon) },
			"check a session": func(ctx context.Context) error { return n.door.session(ctx, argon, chance(argon.users)) },
		}
		client := &http.Client{
			Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 512, DisableCompression: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
		for _, p := range s.others {
			for name, o := range p.Operations {
				theirs := p.Name + ", " + name
				arms := []arm{load(theirs, meter{others: p.Processes}, clients, func(ctx context.Context) error { return o.do(ctx, client, p.Users) })}
				if ours[name] != nil {
					arms = append(arms, load(name, n.meter, clients, ours[name]))
				}
				r := interleave(ctx, s.rounds, s.hashSlice, arms...)
				s.comparePeer(r, theirs, name, len(p.Processes) > 0, len(arms) > 1)
			}
		}
		return nil
	})
}

func (s *suite) comparePeer(r *series, theirs, ours string, cpu, both bool) {
	median := func(at sample) float64 { return at.quantile(0.5) }
	f, err := r.figure(func(at func(string) sample) float64 { return median(at(theirs)) }, theirs)
	s.show(theirs+", median time", "ms", shown, f, err)
	if both {
		f, err = r.figure(func(at func(string) sample) float64 { return median(at(theirs)) / median(at(ours)) }, theirs, ours)
		s.show(theirs+" / ours, median time", "", shown, f, err)
	}
	if !cpu {
		return
	}
	s.costs(r, theirs)
	if both {
		s.ratio(r, theirs+" / ours, CPU", shown, []string{theirs}, []string{ours})
	}
}

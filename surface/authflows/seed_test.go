package authflows_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/usher-id/usher/tenant"
)

// seed is what the seed document says of a record: its keys with the examples,
// as they stand there.
type seed struct {
	keys     []string            // of the summary
	seen     []string            // of an interaction
	examples map[string][]string // lines behind each key
	statuses []string
	codes    []string
}

// readSeed reads the page. A key stands in a line of its own; those of the
// summary and of an interaction are told apart by where they stand.
func readSeed(t *testing.T) seed {
	t.Helper()
	text, err := os.ReadFile("testdata/prefactor-fetch-authflow.txt")
	must(t, err)
	s := seed{examples: map[string][]string{}}
	key := regexp.MustCompile(`^[a-z]+_?[a-z]*$`)
	lines := strings.Split(string(text), "\n")
	begin := slices.Index(lines, "Authflow_Summary")
	end := slices.Index(lines, "Error")
	words := []string{"object", "string", "number", "authflow", "new", "basic"} // types and examples
	current := ""
	for i, line := range lines[begin:end] {
		line = strings.TrimSpace(line)
		value, allowed := strings.CutPrefix(line, "Allowed values: ")
		switch {
		case allowed && current == "status":
			s.statuses = strings.Fields(value)
		case key.MatchString(line) && !slices.Contains(words, line):
			current = line
			switch {
			case slices.Contains([]string{"at", "remote_ip", "user_agent"}, line):
				if !slices.Contains(s.seen, line) {
					s.seen = append(s.seen, line)
				}
			default:
				s.keys = append(s.keys, line)
			}
		case i > 0 && line != "":
			s.examples[current] = append(s.examples[current], line)
		}
	}
	for _, line := range lines[end:] {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "Allowed values: bad_request"); ok {
			s.codes = append([]string{"bad_request"}, strings.Fields(value)...)
		}
	}
	return s
}

// A record has the keys of the seed document, each with the shape of its example.
func TestSeed(t *testing.T) {
	s := readSeed(t)
	if want := strings.Fields("account_id device_id domain_id factor_names first_seen id last_seen plan_name pool_id return_url session_id status title type"); !slices.Equal(s.keys, want) {
		t.Fatalf("the page lists %q", s.keys)
	}
	if len(s.seen) != 3 || len(s.statuses) != 5 || len(s.codes) != 12 {
		t.Fatalf("the page lists %q, %q and %q", s.seen, s.statuses, s.codes)
	}
	// Its own ids are of one moment and one partition.
	ids := 0
	for _, lines := range s.examples {
		for _, line := range lines {
			if id, err := tenant.ParsePFID(line); err == nil {
				ids++
				if id.At != 1234567890000 || id.Partition != 123456789 || id.String() != line {
					t.Errorf("%s: %+v", line, id)
				}
			}
		}
	}
	if ids != 6 {
		t.Errorf("%d ids in the page", ids)
	}
	onBoth(t, func(h *house) {
		key := h.key("acme", tenant.Viewer)
		finished, _ := h.signUp("acme")
		fresh, _ := h.begin("acme")
		for _, id := range []string{finished, fresh} {
			a := h.get("acme", "/"+id, key).ok()
			var record obj
			raw, err := json.Marshal(a.at("summary"))
			must(h.T, err)
			must(h.T, json.Unmarshal(raw, &record))
			if len(record) != len(s.keys) || len(a.body) != 2 || a.str("status") != "success" {
				h.T.Errorf("%s", a.raw)
			}
			for _, k := range s.keys {
				v, there := record[k]
				if !there || !fits(s, k, v) {
					h.T.Errorf("%s is %v, of %s", k, v, a.raw)
				}
			}
			if len(s.statuses) == 0 || !slices.Contains(s.statuses, a.str("summary", "status")) || a.str("summary", "type") != "authflow" || a.str("summary", "id") != id {
				h.T.Errorf("%s", a.raw)
			}
		}
	})
}

var pfid = regexp.MustCompile(`^[0-7][0-9a-hjkmnp-tv-z]{31}$`)

func fits(s seed, key string, v any) bool {
	switch key {
	case "factor_names":
		_, list := v.([]any)
		return list
	case "first_seen", "last_seen":
		seen, object := v.(map[string]any)
		at, number := seen["at"].(float64)
		return object && len(seen) == len(s.seen) && number && at > 1e9 && at < 1e10 && seen["remote_ip"] == "127.0.0.1" && seen["user_agent"] == "agent/1"
	}
	text, ok := v.(string)
	if strings.HasSuffix(key, "id") {
		ok = ok && pfid.MatchString(text)
	}
	return ok
}

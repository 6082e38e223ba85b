package secret

import "testing"

func TestIDsSortAsMade(t *testing.T) {
	last := ""
	for range 20_000 {
		id := NewID()
		if id <= last {
			t.Fatalf("%s was made after %s", id, last)
		}
		last = id
	}
}

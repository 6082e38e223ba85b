package testenv

import "testing"

func TestNode(t *testing.T) {
	out := Node(t, "testdata/clients.cjs", "WHO=me")
	if out != "127.0.0.1 function function function me\n" {
		t.Errorf("%q", out)
	}
}

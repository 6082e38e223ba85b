package selfservice_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/usher-id/usher/testenv"
)

// Both published clients, unmodified, do everything that the documentation says.
func TestPublishedClients(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		x := h.tenant("acme")
		h.shows(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/ui/code":
				_, _ = io.WriteString(w, h.code(x, r.URL.Query().Get("to")))
			case "/ui/wait":
				h.Wait(2 * time.Second)
			}
		})
		for client, prefix := range map[string]string{"@ory/client": "", "@ory/client-fetch": "/auth"} {
			if out := testenv.Node(t, "testdata/clients.cjs", "BASE_URL="+h.Origin("acme.localhost"), "CLIENT="+client, "PREFIX="+prefix); strings.TrimSpace(out) != "works" {
				t.Errorf("%s: %s", client, out)
			}
		}
	})
}

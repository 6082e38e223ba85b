package flowapi_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/usher-id/usher/surface/flowapi"
	"github.com/usher-id/usher/surface/pages"
	"github.com/usher-id/usher/testenv"
	"github.com/usher-id/usher/testenv/housetest"
)

// house is the door and the hosted pages with everything behind them.
type house struct {
	*housetest.House
	server *httptest.Server
}

func build(t *testing.T, url string, change ...func(*housetest.Options)) *house {
	t.Helper()
	h := &house{House: housetest.Build(t, url, change...)}
	mux := http.NewServeMux()
	mux.Handle("/", flowapi.New(h.Engine, h.Doors))
	mux.Handle(pages.Path, pages.New(h.Engine, h.Doors))
	h.server = httptest.NewServer(mux)
	t.Cleanup(h.server.Close)
	return h
}

// onBoth runs a test in a house on each database.
func onBoth(t *testing.T, run func(h *house), change ...func(*housetest.Options)) {
	t.Helper()
	testenv.Databases(t, func(t *testing.T, url string) { run(build(t, url, change...)) })
}

func must(t *testing.T, err error) {
	t.Helper()
	housetest.Must(t, err)
}

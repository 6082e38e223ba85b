package graph_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/usher-id/usher/graph"
)

// TestGraphiQL: the page and everything that it names is served, and nothing
// comes from elsewhere.
func TestGraphiQL(t *testing.T) {
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		graph.GraphiQL().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		return w
	}
	index := get("/graphiql/")
	if index.Code != 200 || !strings.HasPrefix(index.Header().Get("Content-Type"), "text/html") {
		t.Fatalf("%d %v", index.Code, index.Header())
	}
	named := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(index.Body.String(), -1)
	if len(named) < 5 {
		t.Fatalf("%d files are named", len(named))
	}
	for _, n := range named {
		if f := get("/graphiql/" + n[1]); f.Code != 200 || f.Body.Len() == 0 || strings.Contains(n[1], ":") {
			t.Errorf("%s: %d", n[1], f.Code)
		}
	}
	for _, path := range []string{"/graphiql/nothing.js", "/graphiql/update.sh", "/graphiql/../graphiql.go"} {
		if f := get(path); f.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, f.Code)
		}
	}
}

package graph

import (
	"bytes"
	"embed"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

// page is GraphiQL with all it needs; the large files are compressed
// (graphiql/update.sh fetches them).
//
//go:embed graphiql/*.html graphiql/*.css graphiql/*.js graphiql/*.gz graphiql/LICENSE.*
var page embed.FS

// GraphiQL is a page to try the API with, for development: to be served at
// /graphiql/ when the API is at /graphql. It loads nothing from elsewhere.
func GraphiQL() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := path.Base(r.URL.Path)
		if strings.HasSuffix(r.URL.Path, "/") {
			name = "index.html"
		}
		body, err := fs.ReadFile(page, "graphiql/"+name)
		if err != nil {
			if body, err = fs.ReadFile(page, "graphiql/"+name+".gz"); err != nil {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("Content-Encoding", "gzip") // every browser reads it
		}
		w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; connect-src 'self'; frame-ancestors 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(body))
	})
}

package admin

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/usher-id/usher/tenant"
)

// FuzzImport reads whatever there is as an import document of either format: no
// panic, and a record is either refused with words or has somebody to be.
func FuzzImport(f *testing.F) {
	files, err := filepath.Glob("testdata/import/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal(err, "no seeds")
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, doc string) {
		for _, format := range []Format{FormatUsher, FormatAuthgear} {
			i := &importer{
				s: &Service{Now: time.Now}, t: &tenant.Tenant{Slug: "acme"}, cfg: tenant.DefaultConfig(), in: Import{Format: format},
			}
			err := i.read(strings.NewReader(doc), func(r *incoming) error {
				if len(r.errors) == 0 && len(r.keys) == 0 {
					t.Errorf("record %d is nobody", r.index)
				}
				for _, p := range append(r.errors, r.warnings...) {
					if p.Reason == "" || p.Message == "" || p.Pointer != "" && p.Pointer[0] != '/' {
						t.Errorf("a problem without words or place: %+v", p)
					}
				}
				if len(r.errors) == 0 && r.attributes.Standard != nil && !json.Valid(r.attributes.Standard) {
					t.Errorf("attributes %q", r.attributes.Standard)
				}
				return nil
			})
			if err != nil && tenant.AsError(err).Kind == tenant.Internal {
				t.Errorf("an internal error: %v", err)
			}
		}
	})
}

package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/testenv"
)

func (b *bench) importFile(file string, dryRun bool) *admin.ImportResult {
	b.t.Helper()
	doc, err := os.ReadFile(file)
	must(b.t, err)
	format := admin.FormatUsher
	if strings.HasPrefix(filepath.Base(file), "authgear") {
		format = admin.FormatAuthgear
	}
	done, err := b.ImportUsers(b.ctx, ann, "acme", bytes.NewReader(doc), admin.Import{Format: format, DryRun: dryRun})
	must(b.t, err)
	return done
}

func (b *bench) export(hashes bool) string {
	b.t.Helper()
	var doc bytes.Buffer
	_, err := b.ExportUsers(b.ctx, ann, "acme", &doc, hashes)
	must(b.t, err)
	return doc.String()
}

// Each document is imported into a tenant with two users, as a dry run and then
// in earnest.
func TestImport(t *testing.T) {
	files, err := filepath.Glob("testdata/import/*_*.json")
	must(t, err)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			testenv.Databases(t, func(t *testing.T, url string) {
				b := newBench(t, url)
				b.importFile("testdata/import/base.json", false)
				before := b.export(true)
				events := b.auditCount("acme")
				dry := b.importFile(file, true)
				if b.auditCount("acme") != events {
					t.Error("a dry run was audited")
				}
				if after := b.export(true); after != before {
					t.Errorf("a dry run changed something: %s", cmp.Diff(before, after))
				}
				done := b.importFile(file, false)
				if d := cmp.Diff(dry, withoutIDs(done)); d != "" {
					t.Errorf("-dry run +import: %s", d)
				}
				golden(t, strings.TrimSuffix(file, ".json")+".golden", done)
				var users any
				must(t, json.Unmarshal([]byte(b.export(true)), &users))
				golden(t, strings.TrimSuffix(file, ".json")+".users.golden", sorted(users))
				b.intact()
			})
		})
	}
}

// withoutIDs forgets the ids of new users, which a dry run doesn't know.
func withoutIDs(r *admin.ImportResult) *admin.ImportResult {
	out := *r
	out.Details = append([]admin.ImportDetail(nil), r.Details...)
	for i := range out.Details {
		if out.Details[i].Outcome == admin.Inserted {
			out.Details[i].UserID = ""
		}
	}
	return &out
}

// sorted brings lists whose order is by random ids to one that goldens can have.
func sorted(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = sorted(v[k])
		}
	case []any:
		for i := range v {
			v[i] = sorted(v[i])
		}
		key := func(x any) string {
			m, _ := x.(map[string]any)
			if ids, ok := m["identities"]; ok {
				return fmt.Sprint(ids)
			}
			return fmt.Sprint(m["kind"], m["type"], m["value"])
		}
		slices.SortFunc(v, func(a, b any) int { return strings.Compare(key(a), key(b)) })
	}
	return v
}

// What an export says an import brings back, credentials included.
func TestExportRoundTrip(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		b := newBench(t, url)
		for _, file := range []string{"base", "authgear_insert", "usher_insert"} {
			b.importFile("testdata/import/"+file+".json", false)
		}
		full := b.export(true)
		other := newBench(t, testenv.SQLite(t))
		done, err := other.ImportUsers(other.ctx, ann, "acme", strings.NewReader(full), admin.Import{})
		must(t, err)
		if done.Summary.Inserted != done.Summary.Total || done.Summary.Total == 0 {
			t.Fatalf("%+v", done)
		}
		var want, got any
		must(t, json.Unmarshal([]byte(full), &want))
		must(t, json.Unmarshal([]byte(other.export(true)), &got))
		if d := cmp.Diff(sorted(want), sorted(got)); d != "" {
			t.Errorf("-exported +exported again: %s", d)
		}
		plain := b.export(false)
		for _, secret := range []string{"$2a$", "$argon2", "JBSW", "hash", "carol-2@"} {
			if strings.Contains(plain, secret) {
				t.Errorf("an export without hashes holds %s", secret)
			}
		}
		// One without hashes changes no credentials when it comes back.
		upsert := strings.Replace(plain, `"upsert":false`, `"upsert":true`, 1)
		done, err = other.ImportUsers(other.ctx, ann, "acme", strings.NewReader(upsert), admin.Import{})
		must(t, err)
		if done.Summary.Updated != done.Summary.Total {
			t.Errorf("%+v", done)
		}
		var again any
		must(t, json.Unmarshal([]byte(other.export(true)), &again))
		if d := cmp.Diff(withoutUpdated(got), withoutUpdated(again)); d != "" {
			t.Errorf("an update without credentials changed: %s", d)
		}
	})
}

func withoutUpdated(v any) any {
	for _, u := range v.(map[string]any)["users"].([]any) {
		delete(u.(map[string]any), "updated_at")
	}
	return sorted(v)
}

func TestImportRefusesDocuments(t *testing.T) {
	b := newBench(t, testenv.SQLite(t))
	for name, c := range map[string]struct {
		format admin.Format
		doc    string
		want   *tenant.Error
		total  int // records read before
	}{
		"format":           {"CSV", `{}`, tenant.ErrValidation, 0},
		"empty":            {"", ``, tenant.ErrValidation, 0},
		"list":             {"", `[]`, tenant.ErrValidation, 0},
		"no users":         {"", `{}`, tenant.ErrValidation, 0},
		"unknown key":      {"", `{"people":[]}`, tenant.ErrValidation, 0},
		"cut off":          {"", `{"users":[{"identities":[{"kind":"email","value":"a@example.com"}]},{"ident`, tenant.ErrValidation, 1},
		"upsert is late":   {"", `{"users":[],"upsert":true}`, tenant.ErrValidation, 0},
		"upsert is a word": {"", `{"upsert":"yes","users":[]}`, tenant.ErrValidation, 0},
		"no identifier":    {"AUTHGEAR", `{"records":[{}]}`, tenant.ErrValidation, 0},
		"wrong identifier": {"AUTHGEAR", `{"identifier":"shoe size","records":[{}]}`, tenant.ErrValidation, 0},
		"long record":      {"", `{"users":[{"id":"` + strings.Repeat("x", 1<<20) + `"}]}`, tenant.ErrTooLarge, 0},
		"long header":      {"", `{"` + strings.Repeat("x", 1<<20) + `":1}`, tenant.ErrTooLarge, 0},
		"deep record":      {"", `{"users":[` + strings.Repeat("[", 20_000) + `]}`, tenant.ErrValidation, 0},
	} {
		done, err := b.ImportUsers(b.ctx, ann, "acme", strings.NewReader(c.doc), admin.Import{Format: c.format})
		if !errors.Is(err, c.want) || done.Summary.Total != c.total {
			t.Errorf("%s: %v, %+v", name, err, done.Summary)
		}
	}
	_, err := b.ImportUsers(b.ctx, ann, "nobody", strings.NewReader("{}"), admin.Import{})
	refused(t, err, tenant.ErrTenantNotFound)

	_, err = b.ImportUsers(b.ctx, ann, "admin", strings.NewReader(`{"upsert":true,"users":[]}`), admin.Import{})
	refused(t, err, tenant.ErrForbidden)

	ctx, cancel := context.WithCancel(b.ctx)
	cancel()
	if _, err := b.ImportUsers(ctx, ann, "acme", strings.NewReader("{}"), admin.Import{}); err == nil {
		t.Error("imported although nobody waits")
	}
}

// manyUsers writes an import document as it is read.
func manyUsers(n int) io.Reader {
	r, w := io.Pipe()
	go func() {
		fmt.Fprint(w, `{"identifier":"email","records":[`)
		for i := range n {
			if i > 0 {
				fmt.Fprint(w, ",")
			}
			fmt.Fprintf(w, `{"email":"user%d@example.com","email_verified":true,"preferred_username":"user%d","name":"User %d","custom_attributes":{"n":%d},`+
				`"password":{"type":"bcrypt","password_hash":"$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"}}`, i, i, i, i)
		}
		fmt.Fprint(w, "]}")
		w.Close()
	}()
	return r
}

// An import of several batches, with records about the same user far apart.
func TestImportInBatches(t *testing.T) {
	testenv.Databases(t, func(t *testing.T, url string) {
		b := newBench(t, url)
		const n = 1203
		doc := `{"identifier":"email","records":[` + records(n) + "," + records(3) + "]}"
		for _, dry := range []bool{true, false} {
			count := 0
			done, err := b.ImportUsers(b.ctx, ann, "acme", strings.NewReader(doc), admin.Import{Format: admin.FormatAuthgear, DryRun: dry, Each: func(d admin.ImportDetail) error {
				if d.Index != count {
					t.Fatalf("detail %d is of record %d", count, d.Index)
				}
				count++
				return nil
			}})
			must(t, err)
			if want := (admin.ImportSummary{Total: n + 3, Inserted: n, Skipped: 3}); done.Summary != want || count != n+3 || done.Details != nil {
				t.Errorf("dry run %v: %+v, %d details", dry, done.Summary, count)
			}
		}
		users, err := b.Store.Users(b.ctx, b.tenant("acme").ID, tenant.UserFilter{}, tenant.Page{Limit: 2 * n})
		must(t, err)
		if len(users) != n {
			t.Errorf("%d users", len(users))
		}
		b.intact()
	})
}

func records(n int) string {
	doc, err := io.ReadAll(manyUsers(n))
	if err != nil {
		panic(err)
	}
	text := strings.TrimPrefix(string(doc), `{"identifier":"email","records":[`)
	return strings.TrimSuffix(text, "]}")
}

// BenchmarkImport imports users on both databases and says how many a second,
// and how much the heap grew.
func BenchmarkImport(b *testing.B) {
	for name, open := range map[string]func(testing.TB) string{"sqlite": testenv.SQLite, "postgres": testenv.Postgres} {
		b.Run(name, func(b *testing.B) {
			s := open(b)
			t := newService(b, s)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			start := time.Now()
			done, err := t.ImportUsers(b.Context(), ann, "acme", manyUsers(b.N), admin.Import{Format: admin.FormatAuthgear, Each: func(admin.ImportDetail) error { return nil }})
			if err != nil || done.Summary.Inserted != b.N {
				b.Fatal(done, err)
			}
			took := time.Since(start)
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(b.N)/took.Seconds(), "users/s")
			b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/float64(b.N), "heap-B/user")
		})
	}
}

// The decoder doesn't say where an unknown key stands; the report does.
func TestImportPointsToUnknownKeys(t *testing.T) {
	b := newBench(t, testenv.SQLite(t))
	const doc = `{"users":[{"identities":[{"kind":"email","value":"a@example.com"}],"authenticators":[{"type":"secondary_totp"},{"type":"primary_password","password":"x"}]},{"shoes":1}]}`
	done, err := b.ImportUsers(b.ctx, ann, "acme", strings.NewReader(doc), admin.Import{DryRun: true})
	must(t, err)
	for i, want := range []string{"/authenticators/1/password UnknownKey", "/shoes UnknownKey"} {
		if got := problems(done.Details[i].Errors); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The rules of the house, kept by a test and not by good will. Whoever has to
// break one writes down why, in the tables below.

const module = "github.com/usher-id/usher"

// pkg is what go list says of a package.
type pkg struct {
	ImportPath, Dir string
	GoFiles         []string
	Imports, Deps   []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports,Deps", module+"/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if len(p.GoFiles) > 0 {
			all = append(all, p)
		}
	}
}

// within says whether a package is one of ours, in a directory or below it.
func within(path, dir string) bool {
	dir = module + "/" + dir
	return path == dir || strings.HasPrefix(path, dir+"/")
}

func TestImports(t *testing.T) {
	worldly := []string{"net", "net/http", "database/sql", "os/exec", "log", "log/slog", "crypto/rand", "math/rand", "math/rand/v2"}
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, module+"/")
		refuse := func(imports []string, why string, bad func(string) bool) {
			for _, i := range imports {
				if bad(i) {
					t.Errorf("%s must not import %s: %s", path, i, why)
				}
			}
		}
		pure := func(i string) bool { return slices.Contains(worldly, i) }

		switch {
		case path == "tenant":
			refuse(p.Deps, "nouns need the standard library only", func(i string) bool {
				return strings.Contains(strings.Split(i, "/")[0], ".")
			})
			refuse(p.Deps, "nouns don't look at the world", pure)
		case path == "flowengine/flow":
			refuse(p.Deps, "a flow is a function of what it is given", pure)
		case within(p.ImportPath, "tenant"):
			refuse(p.Imports, "nouns know no verbs and no doors", func(i string) bool {
				return within(i, "flowengine") || within(i, "surface") || within(i, "graph") || within(i, "cmd")
			})
		case within(p.ImportPath, "flowengine"):
			refuse(p.Imports, "verbs know no doors, and what is kept only by tenant.Store", func(i string) bool {
				return within(i, "surface") || within(i, "graph") || within(i, "cmd") || within(i, "tenant/store")
			})
		case within(p.ImportPath, "surface"), within(p.ImportPath, "graph"):
			refuse(p.Imports, "doors know neither one another nor the database", func(i string) bool {
				sibling := i != module+"/surface" && i != p.ImportPath && (within(i, "surface") || within(i, "graph"))
				return sibling && !strings.HasPrefix(i, p.ImportPath+"/") || within(i, "tenant/store") || within(i, "cmd") ||
					i == "database/sql" || strings.HasPrefix(i, "github.com/uptrace/bun")
			})
		}
	}
}

// Every package says in its doc.go, and only there, what it owns and what not.
func TestDocs(t *testing.T) {
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, module+"/")
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if name == "doc.go" {
				if text := strings.Join(strings.Fields(f.Doc.Text()), " "); !strings.Contains(text, "not own") {
					t.Errorf("%s/doc.go doesn't say what the package does not own", path)
				}
			} else if f.Doc != nil && !strings.HasPrefix(f.Doc.Text(), "Code generated") {
				t.Errorf("%s/%s: what describes the package belongs into doc.go", path, name)
			}
		}
		if !slices.Contains(p.GoFiles, "doc.go") {
			t.Errorf("%s has no doc.go", path)
		}
	}
}

// Sizes above which a file or a function wants a reason.
const (
	maxFileLines     = 400
	maxFunctionLines = 60
)

// big lists the files and functions that are larger, each with its reason.
var big = map[string]string{
	"flowengine/metrics.go": "every family of the engine, in one list",
}

func TestSizes(t *testing.T) {
	for _, p := range packages(t) {
		for _, name := range p.GoFiles {
			file := strings.TrimPrefix(p.ImportPath, module+"/") + "/" + name
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if ast.IsGenerated(f) || strings.HasSuffix(f.Name.Name, "test") { // a list of cases is as long as it is
				continue
			}
			if n := fset.Position(f.FileEnd).Line; n > maxFileLines && big[file] == "" {
				t.Errorf("%s has %d lines", file, n)
			}
			for _, d := range f.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok {
					continue
				}
				n := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1
				if n > maxFunctionLines && big[file+":"+fn.Name.Name] == "" {
					t.Errorf("%s: %s has %d lines", file, fn.Name.Name, n)
				}
			}
		}
	}
}

// unfinished is what no committed file may hold: notes to self, stubs, and
// places that exist on one machine only.
var unfinished = regexp.MustCompile(`\b(?:TODO|FIXME|XXX)\b|panic\("(?:unfinished|not implemented)|not implemented: |(?:^|[^\w.])/(?:root|work)/`)

func TestFinished(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	files := exec.Command("git", "ls-files", "-z")
	files.Dir = root
	out, err := files.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	for name := range strings.SplitSeq(strings.Trim(string(out), "\x00"), "\x00") {
		if name == "cmd/usher/architecture_test.go" || strings.Contains(name, "testdata/") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		if os.IsNotExist(err) {
			continue // removed, and not committed yet
		}
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			if found := unfinished.FindString(line); found != "" && !bytes.ContainsRune(text, 0) {
				t.Errorf("%s:%d: %q", name, i+1, strings.TrimSpace(found))
			}
		}
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	validator "github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// contract is a published OpenAPI 3.0 document, which answers are held against.
type contract struct {
	document map[string]any
	compiler *validator.Compiler
	paths    []contractPath

	mu     sync.Mutex
	called map[string]int // answers that were as documented, by operation
}

type contractPath struct {
	pattern *regexp.Regexp
	path    string
}

const contractURL = "mem:///contract.json"

// readContract reads a document whose paths are below base.
func readContract(t *testing.T, file, base string) *contract {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c := &contract{called: map[string]int{}, compiler: validator.NewCompiler()}
	if err := yaml.Unmarshal(text, &c.document); err != nil {
		t.Fatal(err)
	}
	strict(c.document)
	if text, err = json.Marshal(c.document); err != nil {
		t.Fatal(err)
	}
	document, err := validator.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c.compiler.AssertFormat()
	if err := c.compiler.AddResource(contractURL, document); err != nil {
		t.Fatal(err)
	}
	parameter := regexp.MustCompile(`\\\{\w+\\\}`)
	for path := range object(c.document["paths"]) {
		pattern := "^" + base + parameter.ReplaceAllString(regexp.QuoteMeta(path), `[^/]+`) + "$"
		c.paths = append(c.paths, contractPath{regexp.MustCompile(pattern), path})
	}
	// Of two that fit, the one with fewer parameters.
	slices.SortFunc(c.paths, func(a, b contractPath) int { return strings.Count(a.path, "{") - strings.Count(b.path, "{") })
	return c
}

func object(v any) map[string]any { o, _ := v.(map[string]any); return o }

// strict turns schemas of OpenAPI 3.0 into those of JSON Schema: null where it
// may be, the one of several that a discriminator names, and no key that isn't
// documented.
func strict(v any) {
	if list, ok := v.([]any); ok {
		for _, item := range list {
			strict(item)
		}
		return
	}
	o := object(v)
	for _, item := range o {
		strict(item)
	}
	if choice := object(o["discriminator"]); choice["mapping"] != nil {
		key, names, then := choice["propertyName"].(string), []any{}, []any{}
		for name, ref := range object(choice["mapping"]) {
			names = append(names, name)
			then = append(then, map[string]any{
				"if":   map[string]any{"properties": map[string]any{key: map[string]any{"const": name}}},
				"then": map[string]any{"$ref": ref},
			})
		}
		delete(o, "oneOf")
		o["allOf"], o["required"] = then, []any{key}
		o["properties"] = map[string]any{key: map[string]any{"enum": names}}
		return
	}
	if object(o["properties"]) != nil && o["type"] == "object" && o["additionalProperties"] == nil {
		o["additionalProperties"] = false
	}
	if o["nullable"] == true {
		inner := maps.Clone(o)
		clear(o)
		o["anyOf"] = []any{inner, map[string]any{"type": "null"}}
	}
}

// at walks a JSON pointer of unescaped parts.
func (c *contract) at(parts ...string) map[string]any {
	o := c.document
	for _, part := range parts {
		o = object(o[part])
	}
	return o
}

// check holds one answer against the document.
func (c *contract) check(method, path string, status int, contentType string, body []byte) error {
	if status == http.StatusFound { // documented for no operation
		return nil
	}
	i := slices.IndexFunc(c.paths, func(p contractPath) bool { return p.pattern.MatchString(path) })
	if i < 0 {
		return fmt.Errorf("the path isn't documented")
	}
	here := []string{"paths", c.paths[i].path, strings.ToLower(method)}
	id, _ := c.at(here...)["operationId"].(string)
	if status == http.StatusNotFound { // nor is this, but it is an answer where there is something to ask
		if !bytes.Contains(body, []byte("RouteNotFound")) {
			c.count(id)
		}
		return nil
	}
	here = append(here, "responses", strconv.Itoa(status))
	if ref, ok := c.at(here...)["$ref"].(string); ok {
		here = strings.Split(strings.TrimPrefix(ref, "#/"), "/")
	}
	if c.at(here...) == nil {
		return fmt.Errorf("an answer with %d isn't documented", status)
	}
	c.count(id)
	here = append(here, "content", "application/json", "schema")
	schema := c.at(here...)
	if schema == nil || schema["format"] == "binary" {
		return nil
	}
	if contentType != "application/json" {
		return fmt.Errorf("content type %q", contentType)
	}
	value, err := validator.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	pointer := ""
	for _, part := range here {
		pointer += "/" + url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(part))
	}
	c.mu.Lock() // the compiler is no one's alone
	compiled, err := c.compiler.Compile(contractURL + "#" + pointer)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	return compiled.Validate(value)
}

func (c *contract) count(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.called[id]++
}

// between stands in front of a server, at an address of its own, and holds what
// it answers below base against the document.
func (c *contract) between(t *testing.T, address, base string) *httptest.Server {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", address },
		ModifyResponse: func(r *http.Response) error {
			path := r.Request.URL.Path
			if !strings.HasPrefix(path, base) {
				return nil
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return err
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			if err := c.check(r.Request.Method, path, r.StatusCode, r.Header.Get("Content-Type"), body); err != nil {
				t.Errorf("%s %s: %d %s\n%v", r.Request.Method, r.Request.URL, r.StatusCode, body, err)
			}
			return nil
		},
	}
	s := httptest.NewServer(proxy)
	t.Cleanup(s.Close)
	return s
}

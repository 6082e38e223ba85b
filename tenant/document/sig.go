package document

import (
	"encoding/json"

	"github.com/usher-id/usher/tenant"
)

// Change is one difference between two configurations.
type Change struct {
	Pointer string     `json:"pointer"` // RFC 6901, into the newer document; into the older for what was removed
	Kind    ChangeKind `json:"kind"`
	Words   string     `json:"words"`            // for people
	Before  any        `json:"before,omitempty"` // JSON value; nil when added
	After   any        `json:"after,omitempty"`  // JSON value; nil when removed
}

// ChangeKind says what happened to a value.
type ChangeKind string

// The kinds of change.
const (
	Added   ChangeKind = "added"
	Removed ChangeKind = "removed"
	Changed ChangeKind = "changed"
	Moved   ChangeKind = "moved"
)

// Decode reads a whole document, JSON or YAML, over the defaults. The
// configuration is nil when there are problems.
func Decode(doc []byte) (*tenant.Config, []tenant.Problem) { panic("unfinished") }

// Patch merges a JSON patch (RFC 7396) into one section.
func Patch(cfg *tenant.Config, section string, patch json.RawMessage) (*tenant.Config, []tenant.Problem) {
	panic("unfinished")
}

// Sections lists the names of the sections, in the order of the document.
func Sections() []string { panic("unfinished") }

// Encode writes the whole configuration in canonical JSON, and its SHA-256 in
// hex. Equal configurations have equal bytes.
func Encode(cfg *tenant.Config) (doc []byte, hash string) { panic("unfinished") }

// YAML writes the whole configuration for people.
func YAML(cfg *tenant.Config) []byte { panic("unfinished") }

// Schema is the JSON Schema (draft 2020-12) of a document, indented.
func Schema() []byte { panic("unfinished") }

// Diff says what differs, in the order of the document.
func Diff(from, to *tenant.Config) []Change { panic("unfinished") }

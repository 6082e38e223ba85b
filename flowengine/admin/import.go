package admin

import (
	"context"
	"io"

	"github.com/usher-id/usher/tenant"
)

// Import says how users are imported.
type Import struct {
	Format Format // "" is USHER
	DryRun bool   // change nothing and answer the same
	// Each is told of every record in turn, so that an import of any length
	// needs bounded memory; nil collects them in ImportResult.Details.
	Each func(ImportDetail) error
}

// ImportResult is what came of an import.
type ImportResult struct {
	Summary ImportSummary  `json:"summary"`
	Details []ImportDetail `json:"details,omitempty"`
}

// ImportSummary counts records by outcome.
type ImportSummary struct {
	Total    int `json:"total"`
	Inserted int `json:"inserted"`
	Updated  int `json:"updated"`
	Skipped  int `json:"skipped"`
	Failed   int `json:"failed"`
}

// ImportDetail is what became of one record.
type ImportDetail struct {
	Index    int              `json:"index"` // from 0
	Outcome  ImportOutcome    `json:"outcome"`
	UserID   string           `json:"user_id,omitempty"`
	Errors   []tenant.Problem `json:"errors,omitempty"`   // pointers go into the record
	Warnings []tenant.Problem `json:"warnings,omitempty"` // what was kept but does nothing yet, or was left out
}

// ImportOutcome is what became of a record.
type ImportOutcome string

// The outcomes.
const (
	Inserted ImportOutcome = "inserted"
	Updated  ImportOutcome = "updated"
	Skipped  ImportOutcome = "skipped"
	Failed   ImportOutcome = "failed"
)

// ImportUsers makes users of a document, which is read as it comes. Records
// that fail don't stop the others. ErrValidation when the document as a whole
// can't be read.
func (s *Service) ImportUsers(ctx context.Context, a Actor, slug string, doc io.Reader, in Import) (*ImportResult, error) {
	panic("unfinished")
}

// ExportUsers writes all users as an USHER import document and says how many.
// With hashes the document can bring back every credential, and is as
// sensitive as the database.
func (s *Service) ExportUsers(ctx context.Context, a Actor, slug string, w io.Writer, hashes bool) (int, error) {
	panic("unfinished")
}

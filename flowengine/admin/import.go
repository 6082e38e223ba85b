package admin

import (
	"context"
	"errors"
	"hash/maphash"
	"io"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// Import says how users are imported.
type Import struct {
	Format Format // "" is USHER
	DryRun bool   // change nothing and answer the same
	// Each is told of every record in turn, so that an import of any length
	// needs little memory; nil collects them in ImportResult.Details.
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
	Warnings []tenant.Problem `json:"warnings,omitempty"` // what does nothing yet, or was left out
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

// importBatch is how many records one transaction takes.
const importBatch = 500

// ImportUsers makes users of a document, which is read as it comes and
// committed in batches. A record that fails stops no other. ErrValidation when
// the document can't be read on; the result is then of what was read before.
func (s *Service) ImportUsers(ctx context.Context, a Actor, slug string, doc io.Reader, in Import) (*ImportResult, error) {
	t, err := s.Store.TenantBySlug(ctx, slug)
	if err != nil {
		return nil, err
	}
	cfg, err := s.Published(ctx, t)
	if err != nil {
		return nil, err
	}
	i := &importer{
		s: s, a: a, t: t, cfg: cfg, in: in, id: secret.NewID(), result: &ImportResult{},
		seed: maphash.MakeSeed(), seen: map[uint64]int{}, freed: map[uint64]bool{},
	}
	return i.result, i.run(ctx, doc)
}

// importer is one import under way.
type importer struct {
	s      *Service
	a      Actor
	t      *tenant.Tenant
	cfg    *tenant.Config
	in     Import
	id     string // names the import in the audit log
	result *ImportResult

	// What the records before this one claimed, and what they let go of, so that
	// a dry run, whose batches are rolled back, answers as the import will. 8
	// bytes for each claim: two of a million collide once in 10^7 imports.
	seed  maphash.Seed
	seen  map[uint64]int // by which record
	freed map[uint64]bool
}

func (i *importer) run(ctx context.Context, doc io.Reader) error {
	var batch []*incoming
	flush := func() error {
		err := i.batch(ctx, batch)
		batch = batch[:0]
		return err
	}
	err := i.read(doc, func(r *incoming) error {
		batch = append(batch, r)
		if len(batch) < importBatch {
			return ctx.Err()
		}
		return flush()
	})
	if refusal, ok := errors.AsType[*tenant.Error](err); err == nil || ok && (refusal.Kind == tenant.Invalid || refusal.Kind == tenant.TooLarge) {
		err = errors.Join(flush(), err) // what was read is still good
	}
	return err
}

// batch imports some records in one transaction.
func (i *importer) batch(ctx context.Context, records []*incoming) error {
	if len(records) == 0 {
		return nil
	}
	var w *batchWriter
	var err error
	for range 4 {
		_, err = i.s.change(ctx, i.a, i.t.Slug, "user.import", func(c *change) error {
			w = &batchWriter{importer: i, c: c, now: i.s.now()}
			if err := w.write(records); err != nil {
				return err
			}
			if i.in.DryRun || w.summary.Inserted+w.summary.Updated == 0 {
				return errUnchanged
			}
			c.detail = detail{"import": i.id, "format": withFormat(i.in.Format), "first": records[0].index, "summary": w.summary}
			return nil
		})
		if !errors.Is(err, tenant.ErrDuplicatedIdentity) && !errors.Is(err, tenant.ErrAlreadyExists) {
			break // else somebody signed up meanwhile: look again
		}
	}
	if err != nil {
		return err
	}
	w.remember()
	return i.report(w)
}

func withFormat(f Format) Format {
	if f == "" {
		return FormatUsher
	}
	return f
}

func (i *importer) report(w *batchWriter) error {
	sum := &i.result.Summary
	sum.Total += w.summary.Total
	sum.Inserted += w.summary.Inserted
	sum.Updated += w.summary.Updated
	sum.Skipped += w.summary.Skipped
	sum.Failed += w.summary.Failed
	for _, d := range w.details {
		if i.in.DryRun && d.Outcome == Inserted {
			d.UserID = "" // nobody has it
		}
		if i.in.Each == nil {
			i.result.Details = append(i.result.Details, d)
		} else if err := i.in.Each(d); err != nil {
			return err
		}
	}
	return nil
}

func (i *importer) mark(c tenant.Claim) uint64 {
	return maphash.String(i.seed, c.Kind+"\x00"+c.Value)
}

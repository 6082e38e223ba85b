package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/usher-id/usher/flowengine/deliver"
	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/flowengine/ldap"
	"github.com/usher-id/usher/flowengine/passkey"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/document"
)

// Edit guards and finishes an edit of the draft.
type Edit struct {
	ExpectedVersion *int64        // the Tenant.DraftRevision that the editor saw; nil for whatever it is
	AutoPublish     bool          // publish the draft at once
	Message         string        // why, for the version; with AutoPublish
	Force           string        // publish although users would lose their last way in, for this reason; with AutoPublish
	Secrets         []NamedSecret // kept, or forgotten, at once: they have no draft
}

// Publication says why and how a configuration is put in force.
type Publication struct {
	ExpectedVersion *int64
	Message         string
	Force           string // the reason to publish although users would lose their last way in; kept in the audit log
}

// Edited is what came of an edit or a publication.
type Edited struct {
	Tenant    *tenant.Tenant
	Config    *tenant.Config    // the draft, or what is in force when there is none (any more)
	Draft     *tenant.Draft     // nil when there is none (any more)
	Published *tenant.Version   // the version that this made; nil when it made none
	Changes   []document.Change // what the call changed: of the draft, or of what is in force
	Problems  []tenant.Problem  // of a draft that can't be published as it is
	Secrets   []string          // names of those that were kept or forgotten
}

// Check lists everything that is wrong with a configuration of a tenant with
// these hosts; without hosts, of any.
func Check(cfg *tenant.Config, hosts ...string) []tenant.Problem {
	_, problems := check(cfg, hosts)
	return problems
}

func check(cfg *tenant.Config, hosts []string) (*flow.Program, []tenant.Problem) {
	program, problems := flow.Compile(cfg)
	return program, slices.Concat(tenant.CheckConfig(cfg), deliver.Check(cfg), ldap.Check(cfg), passkey.Check(cfg, hosts), problems)
}

// revision is a configuration on its way to be the draft or the next version.
type revision struct {
	action    string // for the audit log
	want      func(*standing) (*tenant.Config, error)
	expected  *int64
	publish   bool
	keepDraft bool // publishing leaves the draft alone, for it isn't what is published
	message   string
	force     string
	facts     detail // more for the audit log
	secrets   []NamedSecret
	sealed    sealedSecrets // those of secrets that are new
}

// EditSection merges a JSON merge patch (RFC 7396) into one section of the
// draft, which begins as what is in force; section "" takes a patch of the
// whole document. ErrConfigInvalid with the problems when the result isn't a
// configuration, or would send a secret elsewhere; one that can't work may be a
// draft. ErrValidation for a secret of an unknown name. ErrVersionConflict when
// the draft moved on; its facts are draft_revision, version, theirs and mine
// (both []document.Change, from what is in force).
func (s *Service) EditSection(ctx context.Context, a Actor, slug, section string, patch json.RawMessage, e Edit) (*Edited, error) {
	return s.revise(ctx, a, slug, revision{
		action: "config.edit", expected: e.ExpectedVersion, publish: e.AutoPublish, message: e.Message, force: e.Force, secrets: e.Secrets,
		want: func(st *standing) (*tenant.Config, error) {
			cfg, problems := document.Patch(st.cfg, section, patch)
			if len(problems) > 0 {
				return nil, tenant.Problems(problems)
			}
			return cfg, nil
		},
	})
}

// Amend puts in force what edit makes of the configuration in force; the draft
// stays. edit is called again when somebody else was faster. What it refuses
// with, ErrConfigInvalid, ErrLastWayIn, ErrVersionConflict.
func (s *Service) Amend(ctx context.Context, a Actor, slug, message string, edit func(*tenant.Config) error) (*Edited, error) {
	return s.revise(ctx, a, slug, revision{
		action: "config.edit", publish: true, keepDraft: true, message: message,
		want: func(st *standing) (*tenant.Config, error) {
			text, _ := document.Encode(st.published)
			cfg, err := load(text) // a copy
			if err == nil {
				err = edit(cfg)
			}
			if err != nil {
				return nil, err
			}
			text, _ = document.Encode(cfg)
			cfg, problems := document.Decode(text)
			if len(problems) > 0 {
				return nil, tenant.Problems(problems)
			}
			return cfg, nil
		},
	})
}

// Publish makes the draft the next version. ErrNotFound without a draft,
// ErrConfigInvalid, ErrLastWayIn, ErrVersionConflict. A draft that changes
// nothing is discarded and no version made.
func (s *Service) Publish(ctx context.Context, a Actor, slug string, p Publication) (*Edited, error) {
	return s.revise(ctx, a, slug, revision{
		action: "config.publish", expected: p.ExpectedVersion, publish: true, message: p.Message, force: p.Force,
		want: func(st *standing) (*tenant.Config, error) {
			if st.draft == nil {
				return nil, errNoDraft
			}
			return st.cfg, nil
		},
	})
}

var errNoDraft = tenant.ErrNotFound.Says("there is no draft")

// Rollback publishes an old version anew; the draft stays. ErrNotFound, and
// what Publish answers.
func (s *Service) Rollback(ctx context.Context, a Actor, slug string, to int64, p Publication) (*Edited, error) {
	return s.revise(ctx, a, slug, revision{
		action: "config.rollback", expected: p.ExpectedVersion, publish: true, keepDraft: true, force: p.Force,
		message: withDefault(p.Message, fmt.Sprintf("back to version %d", to)),
		want:    func(st *standing) (*tenant.Config, error) { return s.version(ctx, st.t, to) },
		facts:   detail{"to": to},
	})
}

func withDefault(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// DiscardDraft forgets the draft. ErrNotFound without one, ErrVersionConflict.
func (s *Service) DiscardDraft(ctx context.Context, a Actor, slug string, expected *int64) (*tenant.Tenant, error) {
	return s.change(ctx, a, slug, "config.discard_draft", func(c *change) error {
		if expected != nil && *expected != c.t.DraftRevision {
			return tenant.ErrVersionConflict.With("draft_revision", c.t.DraftRevision)
		}
		if _, err := c.Draft(c.t.ID); errors.Is(err, tenant.ErrNotFound) {
			return errNoDraft
		} else if err != nil {
			return err
		}
		return c.dropDraft()
	})
}

func (s *Service) revise(ctx context.Context, a Actor, slug string, r revision) (*Edited, error) {
	if err := checkOptional("/message", r.message); err != nil {
		return nil, err
	}
	if err := checkOptional("/force", r.force); err != nil {
		return nil, err
	}
	var done *Edited
	err := again(func() error {
		st, err := s.standing(ctx, slug)
		if err != nil {
			return err
		}
		if r.expected != nil && *r.expected != st.t.DraftRevision {
			return s.conflict(ctx, st, r)
		}
		cfg, err := r.want(st)
		if err != nil {
			return err
		}
		if r.sealed, err = s.sealSecrets(ctx, st.t, cfg, r.secrets); err != nil {
			return err
		}
		strayed, err := s.strayed(ctx, st, cfg, r.secrets)
		if err != nil {
			return err
		}
		if len(strayed) > 0 {
			return tenant.Problems(strayed)
		}
		if r.publish {
			done, err = s.publish(ctx, a, st, cfg, r)
		} else {
			done, err = s.keepDraft(ctx, a, st, cfg, r)
		}
		if err == nil {
			done.Secrets = r.sealed.names()
		}
		return err
	})
	if s.OnPublish != nil && r.publish && (err != nil || done.Published != nil) {
		s.OnPublish(a.Kind, err)
	}
	if err != nil {
		return nil, err
	}
	return done, nil
}

func checkOptional(pointer, text string) error {
	if text == "" {
		return nil
	}
	return checkWords(pointer, text, maxWords)
}

// conflict refuses an edit of a draft that moved on, and shows both sides.
func (s *Service) conflict(ctx context.Context, st *standing, r revision) error {
	theirs := document.Diff(st.published, st.cfg)
	if st.draft == nil && st.t.Version > 1 { // it was published
		before, err := s.version(ctx, st.t, st.t.Version-1)
		if err != nil {
			return err
		}
		theirs = document.Diff(before, st.published)
	}
	var mine []document.Change
	if cfg, err := r.want(&standing{t: st.t, published: st.published, cfg: st.published}); err == nil {
		mine = document.Diff(st.published, cfg)
	}
	return tenant.ErrVersionConflict.With("draft_revision", st.t.DraftRevision).With("version", st.t.Version).
		With("theirs", theirs).With("mine", mine)
}

// keepDraft makes a configuration the draft. One that is what is in force
// needs no draft.
func (s *Service) keepDraft(ctx context.Context, a Actor, st *standing, cfg *tenant.Config, r revision) (*Edited, error) {
	changes := document.Diff(st.cfg, cfg)
	done := &Edited{Tenant: st.t, Config: cfg, Draft: st.draft, Changes: changes, Problems: Check(cfg, st.t.Hosts...)}
	if len(changes) == 0 && len(r.sealed) == 0 {
		return done, nil
	}
	doc, _ := document.Encode(cfg)
	d := &tenant.Draft{TenantID: st.t.ID, Base: st.t.Version, Document: doc, Author: a.String(), UpdatedAt: s.now()}
	if st.draft != nil {
		d.Base = st.draft.Base
	}
	needless := len(document.Diff(st.published, cfg)) == 0
	t, err := s.change(ctx, a, st.t.Slug, r.action, func(c *change) error {
		if err := st.stillHolds(c.t); err != nil {
			return err
		}
		c.detail = detail{"changes": changes}
		if err := r.sealed.put(c, s); err != nil || len(changes) == 0 {
			return err
		}
		if needless {
			return c.dropDraft()
		}
		if err := c.PutDraft(d); err != nil {
			return err
		}
		c.t.DraftRevision++
		return c.UpdateTenant(c.t)
	})
	done.Tenant = t
	switch {
	case needless:
		done.Draft = nil
	case len(changes) > 0:
		done.Draft = d
	}
	return done, err
}

// dropDraft forgets the draft, if there is one, and raises its revision.
func (c *change) dropDraft() error {
	if err := c.DeleteDraft(c.t.ID); err != nil && !errors.Is(err, tenant.ErrNotFound) {
		return err
	}
	c.t.DraftRevision++
	return c.UpdateTenant(c.t)
}

// publish puts a configuration in force: the next version, the tenant that
// names it and the end of the draft, in one transaction.
func (s *Service) publish(ctx context.Context, a Actor, st *standing, cfg *tenant.Config, r revision) (*Edited, error) {
	program, problems := check(cfg, st.t.Hosts)
	if len(problems) > 0 {
		return nil, tenant.Problems(problems)
	}
	changes := document.Diff(st.published, cfg)
	dropDraft := st.draft != nil && !r.keepDraft
	done := &Edited{Tenant: st.t, Config: cfg, Changes: changes}
	if !dropDraft {
		done.Draft = st.draft
	}
	if len(changes) == 0 {
		return done, s.noNews(ctx, a, st, r, dropDraft, done)
	}
	before, _ := flow.Compile(st.published)
	impact, err := s.risk(ctx, st.t, before.WaysIn(), program.WaysIn())
	if err != nil {
		return nil, err
	}
	if impact.Refused() && r.force == "" {
		return nil, impact.refusal()
	}
	doc, hash := document.Encode(cfg)
	v := &tenant.Version{
		TenantID: st.t.ID, Number: st.t.Version + 1, Document: doc, Hash: hash,
		Message: r.message, Author: a.String(), CreatedAt: s.now(),
	}
	done.Tenant, err = s.change(ctx, a, st.t.Slug, r.action, func(c *change) error {
		if err := st.stillHolds(c.t); err != nil {
			return err
		}
		c.detail = detail{"version": v.Number, "changes": changes, "message": r.message}
		maps.Copy(c.detail, r.facts)
		if r.force != "" {
			c.detail["force"] = r.force
			c.detail["losing"] = impact.Losing
		}
		if err := r.sealed.put(c, s); err != nil {
			return err
		}
		if err := c.CreateVersion(v); err != nil {
			return err
		}
		c.t.Version = v.Number
		if dropDraft {
			return c.dropDraft()
		}
		c.t.DraftRevision++ // what it is compared with is another now
		return c.UpdateTenant(c.t)
	})
	done.Published = v
	return done, err
}

// noNews ends a publication that changes nothing of the configuration: the
// draft goes, and what else belongs to it is done.
func (s *Service) noNews(ctx context.Context, a Actor, st *standing, r revision, dropDraft bool, done *Edited) error {
	t, err := s.change(ctx, a, st.t.Slug, r.action, func(c *change) error {
		if err := st.stillHolds(c.t); err != nil {
			return err
		}
		c.detail = detail{"changes": []document.Change{}}
		if !dropDraft && len(r.sealed) == 0 {
			return errUnchanged
		}
		err := r.sealed.put(c, s)
		if dropDraft {
			err = firstOf(err, c.dropDraft())
		}
		return err
	})
	done.Tenant = t
	return err
}

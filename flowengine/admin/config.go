package admin

import (
	"context"
	"encoding/json"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/document"
)

// Edit guards and finishes an edit of the draft.
type Edit struct {
	ExpectedVersion *int64 // the Tenant.DraftRevision that the editor saw; nil for whatever it is
	AutoPublish     bool   // publish the draft at once
	Message         string // why, for the version; with AutoPublish
	Force           string // publish although users would lose their last way in, for this reason; with AutoPublish
}

// Edited is what came of an edit or a publication.
type Edited struct {
	Tenant    *tenant.Tenant
	Config    *tenant.Config    // the draft, or what is in force when there is none any more
	Draft     *tenant.Draft     // nil when there is none (any more)
	Published *tenant.Version   // the version that this made; nil when it made none
	Changes   []document.Change // what is now different from before the call
	Problems  []tenant.Problem  // of a draft that couldn't be published as it is
}

// Publication says why and how a draft is published.
type Publication struct {
	ExpectedVersion *int64
	Message         string
	Force           string // the reason to publish although users would lose their last way in; kept in the audit log
}

// Plan is what publishing would do.
type Plan struct {
	Tenant   *tenant.Tenant
	Base     int64             // the version in force
	Config   *tenant.Config    // as it would be; nil when the document can't be read
	Changes  []document.Change // from what is in force
	Flows    []FlowChange
	Problems []tenant.Problem // while there are any it can't be published
	Users    UserImpact
}

// Empty says that publishing would change nothing.
func (p *Plan) Empty() bool { return len(p.Changes) == 0 }

// FlowChange is what would become of one flow, derived ones included.
type FlowChange struct {
	Flow  tenant.FlowRef
	Kind  document.ChangeKind
	Steps []string // what changes, step by step, in words
}

// UserImpact counts real users.
type UserImpact struct {
	LockedOutNow  int  // active users with no way in under the version in force
	LockedOutThen int  // and once this is published
	Losing        int  // those who have a way in now and would have none
	LastAdmin     bool // no operator could sign in any more; of the admin tenant only
}

// Refused says that publishing needs a reason to force it.
func (u UserImpact) Refused() bool { return u.Losing > 0 || u.LastAdmin }

// Published reads the configuration in force.
func (s *Service) Published(ctx context.Context, t *tenant.Tenant) (*tenant.Config, error) {
	panic("unfinished")
}

// Draft reads the draft; nil, nil, nil when there is none.
func (s *Service) Draft(ctx context.Context, t *tenant.Tenant) (*tenant.Config, *tenant.Draft, error) {
	panic("unfinished")
}

// Version reads the configuration of one version; 0 is the draft, or what is
// in force when there is none. ErrNotFound.
func (s *Service) Version(ctx context.Context, t *tenant.Tenant, number int64) (*tenant.Config, error) {
	panic("unfinished")
}

// Diff says what differs between two versions (0 is the draft). ErrNotFound.
func (s *Service) Diff(ctx context.Context, t *tenant.Tenant, from, to int64) ([]document.Change, error) {
	panic("unfinished")
}

// Check lists everything that is wrong with a configuration.
func Check(cfg *tenant.Config) []tenant.Problem { panic("unfinished") }

// EditSection merges a JSON merge patch (RFC 7396) into one section of the
// draft, which begins as what is in force; section "" takes a patch of the
// whole document. ErrConfigInvalid with the problems when the result isn't a
// configuration. ErrVersionConflict when the draft moved on; its facts are
// draft_revision, version, theirs and mine (both []document.Change).
func (s *Service) EditSection(ctx context.Context, a Actor, slug, section string, patch json.RawMessage, e Edit) (*Edited, error) {
	panic("unfinished")
}

// Publish makes the draft the next version. ErrNotFound without a draft,
// ErrConfigInvalid, ErrLastWayIn, ErrVersionConflict. A draft that changes
// nothing is discarded and no version made.
func (s *Service) Publish(ctx context.Context, a Actor, slug string, p Publication) (*Edited, error) {
	panic("unfinished")
}

// DiscardDraft forgets the draft. ErrNotFound without one.
func (s *Service) DiscardDraft(ctx context.Context, a Actor, slug string, expected *int64) (*tenant.Tenant, error) {
	panic("unfinished")
}

// Rollback publishes an old version anew; the draft stays. ErrNotFound, and
// what Publish answers.
func (s *Service) Rollback(ctx context.Context, a Actor, slug string, to int64, p Publication) (*Edited, error) {
	panic("unfinished")
}

// Plan says what publishing the draft would do; an empty plan without one.
func (s *Service) Plan(ctx context.Context, t *tenant.Tenant) (*Plan, error) { panic("unfinished") }

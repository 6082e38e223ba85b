package store

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/usher-id/usher/tenant"
)

type runRow struct {
	bun.BaseModel `bun:"table:flow_run,alias:r"`

	TenantID       string
	ID             string
	FlowType       string
	FlowName       string
	ConfigVersion  int64
	Status         string
	Surface        string
	SessionKind    string
	UserID         string
	SessionID      string
	DeviceID       string
	Factors        string
	FirstSeenAt    int64
	FirstIP        string
	FirstUserAgent string
	LastSeenAt     int64
	LastIP         string
	LastUserAgent  string
	CreatedAt      int64
	ExpiresAt      int64
	FinishedAt     int64
	ReturnURL      string
	Head           string
	SurfaceData    string

	Timeline string // not read by loadState
}

// runColumns are what dest takes, in its order, and seenColumns what destSeen
// does: the first is all that a step needs.
const (
	runColumns = `r.id, r.flow_type, r.flow_name, r.config_version, r.status, r.surface, r.session_kind, r.user_id,
	r.session_id, r.device_id, r.factors, r.created_at, r.expires_at, r.finished_at, r.return_url, r.head, r.surface_data`
	seenColumns = `r.first_seen_at, r.first_ip, r.first_user_agent, r.last_seen_at, r.last_ip, r.last_user_agent`
)

func (r *runRow) dest() []any {
	return []any{
		&r.ID, &r.FlowType, &r.FlowName, &r.ConfigVersion, &r.Status, &r.Surface, &r.SessionKind, &r.UserID,
		&r.SessionID, &r.DeviceID, &r.Factors, &r.CreatedAt, &r.ExpiresAt, &r.FinishedAt, &r.ReturnURL, &r.Head, &r.SurfaceData,
	}
}

func (r *runRow) destSeen() []any {
	return []any{&r.FirstSeenAt, &r.FirstIP, &r.FirstUserAgent, &r.LastSeenAt, &r.LastIP, &r.LastUserAgent}
}

func (r *runRow) noun() tenant.Run {
	return tenant.Run{
		TenantID: r.TenantID, ID: r.ID, Flow: tenant.FlowRef{Type: tenant.FlowType(r.FlowType), Name: r.FlowName},
		ConfigVersion: r.ConfigVersion, Status: tenant.RunStatus(r.Status), Surface: r.Surface,
		SessionKind: tenant.SessionKind(r.SessionKind), UserID: r.UserID, SessionID: r.SessionID, DeviceID: r.DeviceID,
		Factors:   list(r.Factors),
		FirstSeen: tenant.Seen{At: at(r.FirstSeenAt), IP: r.FirstIP, UserAgent: r.FirstUserAgent},
		LastSeen:  tenant.Seen{At: at(r.LastSeenAt), IP: r.LastIP, UserAgent: r.LastUserAgent},
		CreatedAt: at(r.CreatedAt), ExpiresAt: at(r.ExpiresAt), FinishedAt: at(r.FinishedAt),
		ReturnURL: r.ReturnURL, Head: r.Head, SurfaceData: r.SurfaceData,
		Timeline: events(r.Timeline),
	}
}

// eventLine is one event of a timeline, as it is kept.
type eventLine struct {
	At     int64  `json:"t"`
	Step   string `json:"s,omitempty"`
	Method string `json:"m,omitempty"`
}

// timeline writes events, a line each.
func timeline(events []tenant.RunEvent) string {
	var b strings.Builder
	for _, e := range events {
		line, err := json.Marshal(eventLine{ms(e.At), e.Step, e.Method})
		if err != nil {
			panic(err) // strings and a number
		}
		b.Write(append(line, '\n'))
	}
	return b.String()
}

func events(timeline string) []tenant.RunEvent {
	var out []tenant.RunEvent
	for line := range strings.Lines(timeline) {
		var e eventLine
		if json.Unmarshal([]byte(line), &e) == nil {
			out = append(out, tenant.RunEvent{At: at(e.At), Step: e.Step, Method: e.Method})
		}
	}
	return out
}

func (r *runRow) pointer() *tenant.Run {
	run := r.noun()
	return &run
}

const userOfState = ` LEFT JOIN user_account u ON u.tenant_id = s.tenant_id AND u.id = s.user_id ` + authenticatorsOfUser

var loadState = &statement{group: runLoad, text: `SELECT ` + runColumns + `, s.user_id, s.data, s.created_at,` + accountColumns + `
	FROM flow_state s JOIN flow_run r ON r.tenant_id = s.tenant_id AND r.id = s.run_id` + userOfState + `
	WHERE s.tenant_id = ? AND s.token_hash = ?`}

// loadHead starts from the run, which may have outlived its states.
var loadHead = &statement{group: runLoad, text: `SELECT ` + runColumns + `, coalesce(s.user_id, ''), coalesce(s.data, ''), coalesce(s.created_at, 0),` +
	accountColumns + `, coalesce(s.token_hash, ''), ` + seenColumns + `
	FROM flow_run r LEFT JOIN flow_state s ON s.tenant_id = r.tenant_id AND s.token_hash = r.head` + userOfState + `
	WHERE r.tenant_id = ? AND r.id = ? AND r.head <> ''`}

// LoadState implements [tenant.RunStore].
func (s *Store) LoadState(ctx context.Context, tenantID, tokenHash string, now time.Time) (*tenant.Loaded, error) {
	state := tenant.FlowState{TokenHash: tokenHash}
	l, err := s.load(ctx, loadState, tenantID, tokenHash, &state, &runRow{}, nil)
	if err == nil && !l.Run.Walkable(now) {
		return nil, tenant.ErrFlowNotFound
	}
	return l, err
}

// LoadHead implements [tenant.RunStore].
func (s *Store) LoadHead(ctx context.Context, tenantID, runID string) (*tenant.Loaded, error) {
	var state tenant.FlowState
	var run runRow
	return s.load(ctx, loadHead, tenantID, runID, &state, &run, append([]any{&state.TokenHash}, run.destSeen()...))
}

func (s *Store) load(ctx context.Context, by *statement, tenantID, key string, state *tenant.FlowState, run *runRow, more []any) (*tenant.Loaded, error) {
	var (
		data    string
		created int64
		account accountScan
	)
	dest := slices.Concat(run.dest(), []any{&state.UserID, &data, &created}, account.dest(), more)
	err := s.each(ctx, by, func(scan scan) error {
		if err := scan(dest...); err != nil {
			return err
		}
		account.fold(tenantID)
		return nil
	}, tenantID, clean(key))
	if err != nil {
		return nil, err
	}
	if run.ID == "" {
		return nil, tenant.ErrFlowNotFound
	}
	run.TenantID, state.TenantID, state.RunID, state.CreatedAt = tenantID, tenantID, run.ID, at(created)
	state.Data, err = unseal(data)
	return &tenant.Loaded{Run: run.noun(), State: *state, Account: account.account}, err
}

var noteRun = &statement{group: runMove, text: `UPDATE flow_run SET surface_data = ? WHERE tenant_id = ? AND id = ? AND head <> '' AND surface_data = ?`}

// NoteRun implements [tenant.RunStore].
func (s *Store) NoteRun(ctx context.Context, tenantID, runID, old, data string) error {
	n, err := s.alone(ctx, false, noteRun, data, tenantID, clean(runID), old)
	if err == nil && n == 0 {
		err = tenant.ErrFlowConflict
	}
	return err
}

var completeRun = &statement{group: runComplete, text: `UPDATE flow_run SET status = 'complete', timeline = timeline || ?
	WHERE tenant_id = ? AND id = ? AND status = 'finished'`}

// CompleteRun implements [tenant.RunStore]. The one event may stand over the
// bound on timelines.
func (s *Store) CompleteRun(ctx context.Context, tenantID, id string, now time.Time) error {
	line := timeline([]tenant.RunEvent{{At: now, Step: tenant.CompletedEvent}})
	_, err := s.alone(ctx, false, completeRun, line, tenantID, clean(id))
	return err
}

// CancelRun implements [tenant.Tx].
func (t *tx) CancelRun(tenantID, id string, now time.Time) (*tenant.Run, error) {
	if !askable(id) {
		return nil, tenant.ErrNotFound
	}
	line := timeline([]tenant.RunEvent{{At: now, Step: tenant.CancelledEvent}})
	r, err := t.NewUpdate().Model((*runRow)(nil)).Set("status = ?", string(tenant.RunCancelled)).Set("timeline = timeline || ?", line).
		Where("tenant_id = ? AND id = ? AND status IN ('new', 'pending')", tenantID, id).Exec(t.in(runEnd))
	refused := t.one(r, err, tenant.ErrFlowFinished)
	if refused != nil && !errors.Is(refused, tenant.ErrFlowFinished) {
		return nil, refused
	}
	var row runRow
	err = t.NewSelect().Model(&row).Where("r.tenant_id = ? AND r.id = ?", tenantID, id).Scan(t.in(runRead))
	if err != nil {
		return nil, t.found(err, tenant.ErrNotFound)
	}
	return row.pointer(), refused
}

// Run implements [tenant.RunStore].
func (s *Store) Run(ctx context.Context, tenantID, id string) (*tenant.Run, error) {
	if !askable(id) {
		return nil, tenant.ErrNotFound
	}
	ctx, cancel := s.within(ctx, runRead)
	defer cancel()
	var row runRow
	err := s.read.NewSelect().Model(&row).Where("r.tenant_id = ? AND r.id = ?", tenantID, id).Scan(ctx)
	if err != nil {
		return nil, orRefuse(err, tenant.ErrNotFound)
	}
	return row.pointer(), nil
}

// Runs implements [tenant.RunStore].
func (s *Store) Runs(ctx context.Context, tenantID string, filter tenant.RunFilter, page tenant.Page) ([]*tenant.Run, error) {
	var rows []runRow
	q := s.read.NewSelect().Model(&rows).Where("r.tenant_id = ?", tenantID)
	if page.After != "" {
		q = q.Where("r.id < ?", clean(page.After))
	}
	if filter.Status != "" {
		q = q.Where("r.status = ?", string(filter.Status))
	}
	if filter.Type != "" {
		q = q.Where("r.flow_type = ?", string(filter.Type))
	}
	if filter.UserID != "" {
		q = q.Where("r.user_id = ? AND r.user_id <> ''", clean(filter.UserID))
	}
	if filter.SupportCode != "" {
		suffix, ok := tenant.ParseSupportCode(filter.SupportCode)
		if !ok {
			return nil, nil
		}
		q = q.Where("substr(r.id, 25) = ? AND r.timeline <> ''", suffix)
	}
	err := q.Order("r.id DESC").Limit(int64(page.Limit)).Scan(in(ctx, runRead))
	return mapped(rows, (*runRow).pointer), refuse(err)
}

// CountActive implements [tenant.RunStore].
func (s *Store) CountActive(ctx context.Context, now time.Time) (runs, sessions int, err error) {
	err = s.read.NewRaw(`SELECT
		(SELECT count(*) FROM flow_run WHERE walkable AND expires_at > ?0 AND status IN ('new', 'pending')),
		(SELECT count(*) FROM session WHERE expires_at > ?0 AND idle_expires_at > ?0 AND revoked_at = 0)`, ms(now)).
		Scan(in(ctx, runRead), &runs, &sessions)
	return runs, sessions, refuse(err)
}

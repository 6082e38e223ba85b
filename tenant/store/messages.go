package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/usher-id/usher/tenant"
)

type messageRow struct {
	bun.BaseModel `bun:"table:message,alias:m"`

	TenantID  string
	ID        string
	CodeID    string
	RunID     string
	Channel   string
	Recipient string
	Purpose   string
	Language  string
	Payload   string
	Status    string
	Attempts  int
	NextAt    int64
	ExpiresAt int64
	CreatedAt int64
	SentAt    int64
	Provider  string
	Error     string
}

func newMessageRow(m *tenant.Message) messageRow {
	return messageRow{
		TenantID: m.TenantID, ID: m.ID, CodeID: m.CodeID, RunID: m.RunID, Channel: m.Channel, Recipient: clean(m.To),
		Purpose: string(m.Purpose), Language: clean(m.Language), Payload: seal(m.Payload), Status: string(m.Status), Attempts: m.Attempts,
		NextAt: ms(m.NextAt), ExpiresAt: ms(m.ExpiresAt), CreatedAt: ms(m.CreatedAt), SentAt: ms(m.SentAt),
		Provider: clean(m.Provider), Error: clean(m.Error),
	}
}

func (r *messageRow) noun() (*tenant.Message, error) {
	payload, err := unseal(r.Payload)
	if len(payload) == 0 {
		payload = nil
	}
	return &tenant.Message{
		TenantID: r.TenantID, ID: r.ID, CodeID: r.CodeID, RunID: r.RunID, Channel: r.Channel, To: r.Recipient,
		Purpose: tenant.CodePurpose(r.Purpose), Language: r.Language, Payload: payload, Status: tenant.MessageStatus(r.Status),
		Attempts: r.Attempts, NextAt: at(r.NextAt), ExpiresAt: at(r.ExpiresAt), CreatedAt: at(r.CreatedAt), SentAt: at(r.SentAt),
		Provider: r.Provider, Error: r.Error,
	}, err
}

func messages(rows []messageRow) ([]*tenant.Message, error) {
	out := make([]*tenant.Message, len(rows))
	for i := range rows {
		var err error
		if out[i], err = rows[i].noun(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// ClaimMessages implements [tenant.MessageStore]. A claim is the moving of the
// time of the next try.
func (s *Store) ClaimMessages(ctx context.Context, now time.Time, lease time.Duration, limit int, except []tenant.Lane) (out []*tenant.Message, err error) {
	ctx = in(ctx, messageClaim)
	due := s.read.NewSelect().TableExpr("message").Column("tenant_id", "id").
		Where("status = 'queued' AND next_at <= ?", ms(now)).Order("next_at").Limit(int64(limit))
	if len(except) > 0 {
		lanes := make([]bun.TupleValues, len(except))
		for i, l := range except {
			lanes[i] = bun.Tuple([]string{l.TenantID, l.Channel})
		}
		due = due.Where("(tenant_id, channel) NOT IN (VALUES ?)", bun.List(lanes))
	}
	if s.skipLocked != "" {
		due = due.For(s.skipLocked)
	}
	var rows []messageRow
	err = s.transact(ctx, false, func(tx bun.Tx) error {
		rows = nil
		return tx.NewRaw(`UPDATE message SET next_at = ?, attempts = attempts + 1 WHERE (tenant_id, id) IN (?) RETURNING *`,
			ms(now.Add(lease)), due).Scan(ctx, &rows)
	})
	if err != nil {
		return nil, refuse(err)
	}
	slices.SortFunc(rows, func(a, b messageRow) int { return strings.Compare(a.ID, b.ID) })
	return messages(rows)
}

// SettleMessage implements [tenant.MessageStore]. What is forgotten when the
// power fails is sent again.
func (s *Store) SettleMessage(ctx context.Context, m *tenant.Message) error {
	r := newMessageRow(m)
	return refuse(s.transact(ctx, false, func(tx bun.Tx) error {
		_, err := tx.NewUpdate().Model(&r).Column("status", "attempts", "next_at", "sent_at", "provider", "error", "payload").
			Where("tenant_id = ? AND id = ? AND status = 'queued'", m.TenantID, m.ID).Exec(in(ctx, messageWrite))
		return err
	}))
}

// Messages implements [tenant.MessageStore].
func (s *Store) Messages(ctx context.Context, tenantID string, filter tenant.MessageFilter, page tenant.Page) ([]*tenant.Message, error) {
	var rows []messageRow
	q := s.read.NewSelect().Model(&rows).Where("m.tenant_id = ? AND m.provider <> ?", tenantID, tenant.DecoyProvider)
	if page.After != "" {
		q = q.Where("m.id < ?", clean(page.After))
	}
	if filter.Channel != "" {
		q = q.Where("m.channel = ?", clean(filter.Channel))
	}
	if filter.Status != "" {
		q = q.Where("m.status = ?", string(filter.Status))
	}
	if filter.To != "" {
		q = q.Where("m.recipient = ?", clean(filter.To))
	}
	if err := q.Order("m.id DESC").Limit(int64(page.Limit)).Scan(in(ctx, messageRead)); err != nil {
		return nil, refuse(err)
	}
	return messages(rows)
}

// MessageOfCode implements [tenant.MessageStore].
func (s *Store) MessageOfCode(ctx context.Context, tenantID, codeID string) (*tenant.Message, error) {
	if codeID == "" || !askable(codeID) {
		return nil, tenant.ErrNotFound
	}
	var row messageRow
	err := s.read.NewSelect().Model(&row).Where("m.tenant_id = ? AND m.code_id = ?", tenantID, codeID).Limit(1).Scan(in(ctx, messageRead))
	if err != nil {
		return nil, orRefuse(err, tenant.ErrNotFound)
	}
	return row.noun()
}

// CountMessages implements [tenant.MessageStore].
func (s *Store) CountMessages(ctx context.Context) (queued int, oldest time.Time, err error) {
	var first int64
	err = s.read.NewRaw(`SELECT count(*), coalesce(min(created_at), 0) FROM message WHERE status = 'queued'`).Scan(in(ctx, messageRead), &queued, &first)
	return queued, at(first), refuse(err)
}

var insertMessage = &statement{group: messageWrite, text: `INSERT INTO message (tenant_id, id, code_id, run_id, channel, recipient, purpose,
	language, payload, status, attempts, next_at, expires_at, created_at, sent_at, provider, error)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, 0, ?, '')`}

// messages puts what is to be delivered into the outbox.
func (w *write) messages(c *tenant.Commit) {
	for i := range c.Messages {
		r := newMessageRow(&c.Messages[i])
		w.do(insertMessage, r.TenantID, r.ID, r.CodeID, r.RunID, r.Channel, r.Recipient, r.Purpose,
			r.Language, r.Payload, r.Status, r.NextAt, r.ExpiresAt, r.CreatedAt, r.Provider)
	}
}

package graph

import (
	"encoding/base64"
	"strconv"

	"github.com/usher-id/usher/tenant"
)

// Connection is a page of a list (the GraphQL Cursor Connections Specification).
type Connection[T any] struct {
	Edges    []Edge[T]
	Nodes    []T
	PageInfo PageInfo
}

// Edge is one row of a page. Its cursor is the row's key, so that a page begins
// where the last one ended whatever was added or removed meanwhile.
type Edge[T any] struct {
	Cursor string
	Node   T
}

// PageInfo says where a page lies.
type PageInfo struct {
	HasNextPage bool
	EndCursor   *string
}

// The connections of the schema.
type (
	TenantConnection        = Connection[*tenant.Tenant]
	TenantEdge              = Edge[*tenant.Tenant]
	ConfigVersionConnection = Connection[*tenant.Version]
	ConfigVersionEdge       = Edge[*tenant.Version]
	UserConnection          = Connection[*tenant.UserRecord]
	UserEdge                = Edge[*tenant.UserRecord]
	SessionConnection       = Connection[*tenant.Session]
	SessionEdge             = Edge[*tenant.Session]
	FlowRunConnection       = Connection[*tenant.Run]
	FlowRunEdge             = Edge[*tenant.Run]
	HookDeliveryConnection  = Connection[*HookDelivery]
	HookDeliveryEdge        = Edge[*HookDelivery]
	MessageConnection       = Connection[*Message]
	MessageEdge             = Edge[*Message]
	AuditEventConnection    = Connection[*tenant.AuditEvent]
	AuditEventEdge          = Edge[*tenant.AuditEvent]
	APIKeyConnection        = Connection[*tenant.APIKey]
	APIKeyEdge              = Edge[*tenant.APIKey]
)

// MaxFirst is the longest page.
const MaxFirst = 100

// connect reads a page of a list: one row more than was asked for tells whether
// there is a next page.
func connect[T any](first int, after *string, key func(T) string, read func(tenant.Page) ([]T, error)) (*Connection[T], error) {
	if first < 1 || first > MaxFirst {
		return nil, tenant.Invalidf("/first", "range", "first is from 1 to %d", MaxFirst)
	}
	page := tenant.Page{Limit: first + 1}
	if after != nil {
		b, err := base64.RawURLEncoding.DecodeString(*after)
		if err != nil || len(b) == 0 {
			return nil, tenant.Invalidf("/after", "format", "after is a cursor of this API")
		}
		page.After = string(b)
	}
	rows, err := read(page)
	if err != nil {
		return nil, err
	}
	c := &Connection[T]{Edges: make([]Edge[T], 0, first)}
	if len(rows) > first {
		rows, c.PageInfo.HasNextPage = rows[:first], true
	}
	c.Nodes = rows
	for _, row := range rows {
		cursor := base64.RawURLEncoding.EncodeToString([]byte(key(row)))
		c.Edges = append(c.Edges, Edge[T]{cursor, row})
		c.PageInfo.EndCursor = &cursor
	}
	return c, nil
}

func tenantKey(t *tenant.Tenant) string      { return t.Slug }
func versionKey(v *tenant.Version) string    { return strconv.FormatInt(v.Number, 10) }
func userKey(u *tenant.UserRecord) string    { return u.ID }
func sessionKey(s *tenant.Session) string    { return s.ID }
func runKey(r *tenant.Run) string            { return r.ID }
func hookDeliveryKey(d *HookDelivery) string { return d.ID }
func messageKey(m *Message) string           { return m.ID }
func eventKey(e *tenant.AuditEvent) string   { return e.ID }
func apiKeyKey(k *tenant.APIKey) string      { return k.ID }

package graph

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/tenant"
)

// caller is who sent a request.
type caller struct {
	kind   tenant.ActorKind
	id     string // of the user of tenant admin, or of the key
	name   string // of the key; a member's is read when asked for
	grants []tenant.Grant
	cookie bool // a browser vouches for them, and may have been told to by another site
}

// rolesIn lists what the caller is at a tenant. A role in the platform holds
// everywhere. The tenant admin belongs to the platform alone: whoever could
// change its users could become any of them.
func (c *caller) rolesIn(tenantID, adminID string) []tenant.Role {
	var out []tenant.Role
	for _, g := range c.grants {
		if g.Domain == tenant.PlatformDomain || g.Domain == tenantID && tenantID != adminID {
			out = append(out, g.Role)
		}
	}
	return out
}

// everywhere says whether the caller has a role in the platform.
func (c *caller) everywhere() bool { return len(c.rolesIn("", "")) > 0 }

// authenticate finds out who is calling; ErrUnauthenticated when nobody is
// known, whatever the reason.
func (h *handler) authenticate(r *http.Request) (*caller, error) {
	if scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " "); scheme != "" {
		if !strings.EqualFold(scheme, "Bearer") {
			return nil, tenant.ErrUnauthenticated
		}
		return h.byKey(r.Context(), strings.TrimSpace(key))
	}
	if h.Session == nil {
		return nil, tenant.ErrUnauthenticated
	}
	userID, ok, err := h.Session(r)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, tenant.ErrUnauthenticated
	}
	grants, err := h.Store.GrantsOf(r.Context(), userID)
	if err != nil {
		return nil, err
	}
	return &caller{kind: tenant.ActorMember, id: userID, grants: grants, cookie: true}, nil
}

func (h *handler) byKey(ctx context.Context, key string) (*caller, error) {
	k, err := h.Admin.Key(ctx, key)
	if errors.Is(err, tenant.ErrInvalidCredentials) {
		return nil, tenant.ErrUnauthenticated
	}
	if err != nil {
		return nil, err
	}
	domain := k.TenantID
	if k.Role == tenant.Operator {
		domain = tenant.PlatformDomain
	}
	return &caller{kind: tenant.ActorKey, id: k.ID, name: k.Name, grants: []tenant.Grant{{Role: k.Role, Domain: domain}}}, nil
}

// call is one request on its way through the resolvers.
type call struct {
	*caller
	ip        string
	requestID string
	users     userLoader
	size      int         // of the body, in bytes
	refused   atomic.Bool // some part of it
	failed    atomic.Bool // some part of it, on our side
}

// actor is the caller as the audit log names them.
func (c *call) actor() admin.Actor {
	return admin.Actor{Kind: c.kind, ID: c.id, IP: c.ip, RequestID: c.requestID}
}

type callKey struct{}

func withCall(ctx context.Context, c *call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// callOf finds the call. It travels in the context because directives and
// resolvers of gqlgen take nothing else.
func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

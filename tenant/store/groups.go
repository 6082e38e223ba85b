package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"
)

// group is what sort of statement one is, for metrics and for counting. The set
// is closed.
type group string

// The groups. Those of a single name are one statement each.
const (
	accountByClaim   group = "account_by_claim"
	accountByID      group = "account_by_id"
	runLoad          group = "run_load" // with state and account
	runStart         group = "run_start"
	runMove          group = "run_move"
	runComplete      group = "run_complete"
	stateKeep        group = "state_keep"
	sessionCheck     group = "session_check"
	sessionOpen      group = "session_open"
	sessionTouch     group = "session_touch"
	sessionRenew     group = "session_renew"
	secretUpdate     group = "secret_update"
	identityVerify   group = "identity_verify"
	factorRemove     group = "factor_remove"
	attributesUpdate group = "attributes_update"
	userPromote      group = "user_promote"
	codeRead         group = "code_read"
	codeTry          group = "code_try"
	codeWrite        group = "code_write"
	messageClaim     group = "message_claim"
	messageRead      group = "message_read"
	messageWrite     group = "message_write"
	hookClaim        group = "hook_claim"
	hookRead         group = "hook_read"
	hookWrite        group = "hook_write"
	keyCheck         group = "api_key_check"
	keyTouch         group = "api_key_touch"
	errorRead        group = "error_read"
	errorWrite       group = "error_write"

	tenantRead  group = "tenant_read"
	tenantWrite group = "tenant_write"
	configRead  group = "config_read"
	configWrite group = "config_write"
	userRead    group = "user_read"
	userWrite   group = "user_write"
	runRead     group = "run_read"
	runEnd      group = "run_end"
	sessionRead group = "session_read"
	sessionEnd  group = "session_end"
	adminRead   group = "admin_read"
	adminWrite  group = "admin_write"
	auditRead   group = "audit_read"
	auditWrite  group = "audit_write"
	auditSeal   group = "audit_seal"
	purge       group = "purge"
	notify      group = "notify"
	schemaGroup group = "schema"
	ping        group = "ping"

	// What others run through [Store.Hot]: the rate limits.
	rateLimit group = "rate_limit"

	begin    group = "begin"
	commit   group = "commit"
	rollback group = "rollback"
	flush    group = "flush" // SQLite: the log is written to the disk
)

// Groups lists the groups of statements that Options.OnQuery hears of.
func Groups() []string {
	all := []group{
		accountByClaim, accountByID, runLoad, runStart, runMove, runComplete, stateKeep, sessionCheck, sessionOpen, sessionTouch, sessionRenew, secretUpdate, identityVerify,
		factorRemove, attributesUpdate, userPromote,
		codeRead, codeTry, codeWrite, messageClaim, messageRead, messageWrite,
		hookClaim, hookRead, hookWrite,
		keyCheck, keyTouch, errorRead, errorWrite, tenantRead, tenantWrite, configRead, configWrite, userRead, userWrite, runRead, runEnd, sessionRead,
		sessionEnd, adminRead, adminWrite, auditRead, auditWrite, auditSeal, purge, notify, schemaGroup, ping, rateLimit,
		begin, commit, rollback, flush,
	}
	names := make([]string, len(all))
	for i, g := range all {
		names[i] = string(g)
	}
	return names
}

type groupKey struct{}

// in says which group the statements run with the context belong to.
func in(ctx context.Context, g group) context.Context {
	return context.WithValue(ctx, groupKey{}, g)
}

// within is [in] with the store's own bound on time.
func (s *Store) within(ctx context.Context, g group) (context.Context, context.CancelFunc) {
	return context.WithTimeout(in(ctx, g), s.o.Timeout)
}

// observer tells of the statements that bun runs.
type observer func(group string, took time.Duration, err error)

func (o observer) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }

func (o observer) AfterQuery(ctx context.Context, e *bun.QueryEvent) {
	g, ok := ctx.Value(groupKey{}).(group)
	switch e.Query {
	case "BEGIN":
		g = begin
	case "COMMIT":
		g = commit
	case "ROLLBACK":
		g = rollback
	default:
		if !ok { // a test's or a measurement's, by way of [Store.DB]
			return
		}
	}
	o(string(g), time.Since(e.StartTime), e.Err)
}

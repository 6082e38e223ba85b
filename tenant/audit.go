package tenant

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// AuditEvent is one row of a tenant's audit log. Rows are chained: the hash of
// each covers its content and the hash of the one before it.
type AuditEvent struct {
	TenantID  string
	ID        string // UUIDv7
	Seq       int64  // place in the chain, from 1; 0 until sealed
	At        time.Time
	Category  AuditCategory
	Action    string // what was done, such as config.publish
	Outcome   string // success, or the reason of the refusal
	ActorKind ActorKind
	ActorID   string
	IP        string
	RequestID string
	RunID     string
	UserID    string          // whom it was done to
	Detail    json.RawMessage // what exactly; secrets redacted
	PrevHash  string          // hex
	Hash      string          // hex
}

// AuditCategory sorts events.
type AuditCategory string

// The categories.
const (
	AuditSignIn AuditCategory = "sign_in"
	AuditAdmin  AuditCategory = "admin"
	AuditSystem AuditCategory = "system"
)

// ActorKind says who did it.
type ActorKind string

// The kinds of actor.
const (
	ActorUser   ActorKind = "user"    // an end user
	ActorMember ActorKind = "member"  // a signed-in admin
	ActorKey    ActorKind = "api_key" //
	ActorCLI    ActorKind = "cli"     // the command line on the server
	ActorSystem ActorKind = "system"
	ActorNobody ActorKind = "anonymous"
)

// Chain puts the event behind the one whose hash is given.
func (e *AuditEvent) Chain(seq int64, prev string) {
	e.Seq, e.PrevHash = seq, prev
	e.Hash = e.digest()
}

// digest is SHA-256 over everything but Hash, each field behind its length, so
// that no two events are written alike.
func (e *AuditEvent) digest() string {
	h := sha256.New()
	for _, field := range []string{
		e.TenantID, e.ID, string(e.Category), e.Action, e.Outcome, string(e.ActorKind), e.ActorID,
		e.IP, e.RequestID, e.RunID, e.UserID, string(e.Detail), e.PrevHash,
	} {
		h.Write(binary.AppendUvarint(nil, uint64(len(field))))
		h.Write([]byte(field))
	}
	h.Write(binary.AppendVarint(nil, e.Seq))
	h.Write(binary.AppendVarint(nil, e.At.UnixMilli()))
	return hex.EncodeToString(h.Sum(nil))
}

// BrokenChain says where an audit log was tampered with: the first place that
// isn't as it was written.
type BrokenChain struct {
	TenantID string
	Seq      int64
	ID       string // of the event found there; empty when it is missing
	Why      string
}

func (b *BrokenChain) Error() string {
	return fmt.Sprintf("the audit log of tenant %s is broken at event %d: %s", b.TenantID, b.Seq, b.Why)
}

// VerifyAudit reads a tenant's whole chain and says how many events it has, and
// with a [BrokenChain] which one was the first to be changed, moved or removed.
// Who can rewrite every event and the head isn't found out by this alone: keep
// the head elsewhere.
func VerifyAudit(ctx context.Context, log AuditStore, tenantID string) (events int64, err error) {
	check := AuditCheck{TenantID: tenantID}
	for done := false; !done && err == nil; {
		done, err = check.Next(ctx, log, 1000)
	}
	return check.Events, err
}

// AuditCheck is [VerifyAudit] portion by portion: it remembers how far it has
// come, and what the events up to there end with.
type AuditCheck struct {
	TenantID string
	Events   int64 // those that are as they were written

	prev    string // the hash of the last of them
	begun   bool
	end     int64 // the chain's, as the check began
	endHash string
}

// Next checks up to limit more events. done says that there are no more.
func (c *AuditCheck) Next(ctx context.Context, log AuditStore, limit int) (done bool, err error) {
	if !c.begun {
		// Read first: what is chained meanwhile is behind it.
		if c.end, c.endHash, err = log.AuditHead(ctx, c.TenantID); err != nil {
			return false, err
		}
		c.begun = true
	}
	page, err := log.AuditChain(ctx, c.TenantID, c.Events+1, limit)
	if err != nil {
		return false, err
	}
	for _, e := range page {
		broken := &BrokenChain{TenantID: c.TenantID, Seq: c.Events + 1, ID: e.ID}
		switch {
		case e.Seq != c.Events+1:
			broken.ID, broken.Why = "", "it is missing"
		case e.PrevHash != c.prev:
			broken.Why = "it does not follow the one before it"
		case e.Hash != e.digest():
			broken.Why = "its content was changed"
		case e.Seq == c.end && e.Hash != c.endHash:
			broken.Why = "it is not the event that the chain ended with"
		default:
			c.Events, c.prev = e.Seq, e.Hash
			continue
		}
		return false, broken
	}
	if done = len(page) < limit; done && c.Events < c.end {
		return false, &BrokenChain{TenantID: c.TenantID, Seq: c.Events + 1, Why: "it is missing"}
	}
	return done, nil
}

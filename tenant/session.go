package tenant

import "time"

// Session is a user signed in on a device. Its token is known to the client
// alone; the store has its SHA-256.
type Session struct {
	TenantID        string
	ID              string // UUIDv7
	TokenHash       string // base64url of SHA-256
	UserID          string
	RunID           string // the run that opened it
	AMR             []string
	AuthenticatedAt time.Time
	CreatedAt       time.Time
	LastSeenAt      time.Time
	ExpiresAt       time.Time // absolute
	IdleExpiresAt   time.Time // moves with use
	IP              string
	UserAgent       string
	RevokedAt       time.Time // zero while it lives

	Unused bool // the run that opened it waits for its first use; as SessionByToken reads it
}

// Renewal is of a session whose user has proved themselves again.
type Renewal struct {
	SessionID string
	AMR       []string // all that the session stands on now
}

// Live says whether the session still proves anything at a time.
func (s *Session) Live(at time.Time) bool {
	return s.RevokedAt.IsZero() && at.Before(s.ExpiresAt) && at.Before(s.IdleExpiresAt)
}

// ACR is the authentication context class: how many factors were proved
// (1 or 2), as a URN that NIST's levels give a meaning to.
func (s *Session) ACR() string {
	for _, m := range s.AMR {
		if m == "mfa" {
			return "urn:usher:aal2"
		}
	}
	return "urn:usher:aal1"
}

// SessionSelector names sessions of one tenant.
// ID and UserID narrow each other; with neither nothing is selected.
type SessionSelector struct {
	ID     string
	UserID string
	Except string // a session to spare
}

// SessionFilter narrows a list of sessions.
type SessionFilter struct {
	UserID string    // "" for all
	LiveAt time.Time // only those that prove something at this time; zero for all
}

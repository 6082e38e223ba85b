package admin

import (
	"time"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// Service carries out the verbs. Its fields are set once, before the first
// call; its methods may run at the same time.
type Service struct {
	Store  tenant.Store
	Master *secret.Master
	Hasher *secret.Hasher
	Now    func() time.Time
}

// Actor is who asks, as the audit log names them.
type Actor struct {
	Kind      tenant.ActorKind
	ID        string // of the member's user or of the key; the operating system's user for the command line
	IP        string
	RequestID string
}

// System is the actor of what Usher does by itself, such as making the admin
// tenant on a fresh database.
var System = Actor{Kind: tenant.ActorSystem}

package tenant

import "time"

// MessageStatus is where a message stands.
type MessageStatus string

// The statuses of a message.
const (
	MessageQueued     MessageStatus = "queued"     // waits to be handed over, perhaps again
	MessageSent       MessageStatus = "sent"       // a gateway took it
	MessageFailed     MessageStatus = "failed"     // given up
	MessageSuppressed MessageStatus = "suppressed" // not to be sent: the tenant's test mode
	MessageExpired    MessageStatus = "expired"    // its code no longer works
)

// Message is something to be delivered to somebody: a row of the outbox.
type Message struct {
	TenantID  string
	ID        string // UUIDv7
	CodeID    string // the code it carries; "" for none
	RunID     string
	Channel   string // email, sms, whatsapp
	To        string
	Purpose   CodePurpose
	Language  string // BCP 47
	Payload   []byte // sealed; nil once sent or expired
	Status    MessageStatus
	Attempts  int
	NextAt    time.Time // when to try
	ExpiresAt time.Time // from then on there is no use in it
	CreatedAt time.Time
	SentAt    time.Time
	Provider  string // that took or refused it
	Error     string // the last one, for admins; holds no secret
}

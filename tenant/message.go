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

// DecoyProvider is the provider of messages to nobody: they take their course as
// others do, so that strangers can't tell, and admins aren't shown them.
const DecoyProvider = "decoy"

// Lane is the messages that share a gateway.
type Lane struct {
	TenantID string
	Channel  string
}

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
	Provider  string // that took or refused it; [DecoyProvider] for what nobody is sent
	Error     string // the last one, for admins; holds no secret
}

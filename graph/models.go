package graph

import (
	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/document"
)

// Node is anything with a global id: [*tenant.Tenant], [*tenant.UserRecord],
// [*tenant.Run], [*tenant.Version].
type Node any

// OwnedConfig is a configuration and whose it is.
type OwnedConfig struct {
	*tenant.Config
	TenantID string
}

// Draft is a draft and what it says.
type Draft struct {
	*tenant.Draft
	config *tenant.Config
}

// Config is what the draft says, by section.
func (d *Draft) Config() *OwnedConfig { return &OwnedConfig{d.config, d.TenantID} }

// Document is what the draft says, for people or programs.
func (d *Draft) Document(encoding DocumentEncoding) string { return write(d.config, encoding) }

func write(cfg *tenant.Config, encoding DocumentEncoding) string {
	if encoding == DocumentEncodingJSON {
		doc, _ := document.Encode(cfg)
		return string(doc)
	}
	return string(document.YAML(cfg))
}

// OAuthProvider is a provider and the outside of its client secret.
type OAuthProvider struct {
	tenant.OAuthProvider
	HasSecret bool
	LastFour  *string
}

// Member is a user of tenant admin who has a role somewhere.
type Member struct {
	tenant.Grant
	TenantID string // of the tenant they are shown under
}

// UserError is why a mutation did nothing.
type UserError struct {
	Pointer string
	Reason  string
	Message string
	Info    any // a JSON object; nil when there is nothing to add
}

// PasswordViolation is a rule of the policy that a password breaks.
type PasswordViolation struct {
	Rule    string
	Details any // a JSON object; nil when the rule says all
}

// MessageChannel is one of tenant.Channels.
type MessageChannel string

// The channels.
const (
	EmailChannel    MessageChannel = tenant.EmailChannel
	SMSChannel      MessageChannel = tenant.SMSChannel
	WhatsAppChannel MessageChannel = tenant.WhatsAppChannel
)

// Message is a message of the outbox, with what it says where that may be read.
type Message struct {
	*tenant.Message
	Channel                         MessageChannel
	Subject, Body, HTML, Code, Link *string
}

// newMessage shows what was written, as far as there is any of it.
func newMessage(m *admin.Message) *Message {
	out := &Message{Message: m.Message, Channel: MessageChannel(m.Channel)}
	if w := m.Written; w != nil {
		for _, part := range []struct {
			to   **string
			text string
		}{{&out.Subject, w.Subject}, {&out.Body, w.Text}, {&out.HTML, w.HTML}, {&out.Code, w.Code}, {&out.Link, w.Link}} {
			if part.text != "" {
				*part.to = &part.text
			}
		}
	}
	return out
}

// MessagePreview is what a message says.
type MessagePreview struct{ Language, Subject, Body, HTML string }

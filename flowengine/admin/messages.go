package admin

import (
	"context"
	"strings"

	"github.com/usher-id/usher/flowengine/deliver"
	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/tenant"
)

// Message is a message of the outbox. Written is nil when it may not be read:
// only what test mode kept back may, and in development everything.
type Message struct {
	*tenant.Message
	Written *deliver.Rendered
}

// MessagesOf lists a tenant's messages as Store.Messages does.
func (s *Service) MessagesOf(ctx context.Context, t *tenant.Tenant, f tenant.MessageFilter, page tenant.Page) ([]*Message, error) {
	list, err := s.Store.Messages(ctx, t.ID, f, page)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	cfg, err := s.Published(ctx, t)
	if err != nil {
		return nil, err
	}
	out := make([]*Message, len(list))
	for i, m := range list {
		out[i] = &Message{Message: m}
		if s.Messages == nil {
			continue
		}
		if out[i].Written, err = s.Messages.Read(t, cfg, m); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// PreviewMessage writes out a message as the draft has it, or what is in force
// when there is none, with a code that doesn't work. ErrValidation.
func (s *Service) PreviewMessage(ctx context.Context, slug string, in deliver.Sample) (*deliver.Rendered, error) {
	st, err := s.sampled(ctx, slug, &in)
	if err != nil {
		return nil, err
	}
	return s.Messages.Preview(st.t, st.cfg, in)
}

// SendTestMessage sends one of these, by the gateway that the draft has, and
// waits for what the gateway says. ErrValidation, ErrRateLimited.
func (s *Service) SendTestMessage(ctx context.Context, a Actor, slug string, in deliver.Sample) (*deliver.Trial, error) {
	kind := "phone"
	if in.Channel == tenant.EmailChannel {
		kind = "email"
	}
	st, err := s.sampled(ctx, slug, &in)
	if err != nil {
		return nil, err
	}
	claim, err := flow.NormalizeClaim(&st.cfg.LoginIDs, kind, in.To)
	if err != nil {
		return nil, tenant.Invalidf("/to", "format", "%s", tenant.AsError(err).Message)
	}
	in.To = claim.Value
	trial, err := s.Messages.Test(ctx, st.t, st.cfg, in)
	if err != nil {
		return nil, err
	}
	_, err = s.change(ctx, a, slug, "message.test", func(c *change) error {
		c.detail = detail{"channel": in.Channel, "purpose": in.Purpose, "to": in.To, "provider": trial.Provider, "error": trial.Error}
		return nil
	})
	return trial, err
}

// sampled checks what is to be tried out, and reads the configuration for it.
func (s *Service) sampled(ctx context.Context, slug string, in *deliver.Sample) (*standing, error) {
	switch {
	case s.Messages == nil:
		return nil, tenant.ErrUnavailable.Says("only a running server sends messages")
	case !deliver.Known(in.Purpose, in.Channel):
		return nil, tenant.Invalidf("/channel", "enum", "there are %s", strings.Join(tenant.Channels, ", "))
	case len(in.Language) > 35: // RFC 5646 section 4.4.1
		return nil, tenant.Invalidf("/language", "format", "a language is a BCP 47 tag, such as de-AT")
	}
	st, err := s.standing(ctx, slug)
	if err != nil {
		return nil, err
	}
	if problems := deliver.Check(st.cfg); len(problems) > 0 {
		return nil, tenant.Problems(problems)
	}
	return st, nil
}

package admin

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/usher-id/usher/flowengine/passkey"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/document"
	"github.com/usher-id/usher/tenant/secret"
)

// NewTenant is a tenant to be made.
type NewTenant struct {
	Slug     string
	Name     string         // the slug when empty
	Hosts    []string       // the first is the primary one
	Template string         // slug of the tenant whose published configuration is copied; "" for Config
	Config   *tenant.Config // nil for the defaults
}

// CreateTenant makes a tenant with a data key and version 1 of its
// configuration. ErrValidation, ErrConfigInvalid, ErrAlreadyExists for the slug
// or a host, ErrTenantNotFound for the template.
func (s *Service) CreateTenant(ctx context.Context, a Actor, n NewTenant) (*tenant.Tenant, error) {
	if n.Name == "" {
		n.Name = n.Slug
	}
	err := firstOf(tenant.CheckSlug("/slug", n.Slug), checkWords("/name", n.Name, maxName), checkHosts(n.Hosts))
	if err != nil {
		return nil, err
	}
	cfg, err := s.firstConfig(ctx, n)
	if err != nil {
		return nil, err
	}
	key, err := s.Master.NewTenantKey()
	if err != nil {
		return nil, err
	}
	now := s.now()
	t := &tenant.Tenant{
		ID: secret.NewID(), Slug: n.Slug, Name: n.Name, State: tenant.Active, Hosts: n.Hosts,
		Key: key, Version: 1, CreatedAt: now, ChangedAt: now,
	}
	for {
		t.Partition = randomPartition()
		err := s.insertTenant(ctx, a, t, cfg, n.Template)
		if !errors.Is(err, tenant.ErrAlreadyExists) {
			return t, err
		}
		if _, taken := s.Store.TenantBySlug(ctx, n.Slug); taken == nil {
			return nil, tenant.AsError(err).With("pointer", "/slug")
		}
		at, err2 := s.takenHost(ctx, t.ID, n.Hosts)
		if at != "" || err2 != nil {
			return nil, firstOf(err2, tenant.AsError(err).With("pointer", at))
		}
		// It was the partition: of 2^30 another one.
	}
}

// firstConfig is what a new tenant starts with.
func (s *Service) firstConfig(ctx context.Context, n NewTenant) (*tenant.Config, error) {
	cfg := n.Config
	switch {
	case n.Template != "":
		from, err := s.Store.TenantBySlug(ctx, n.Template)
		if err != nil {
			return nil, err
		}
		if cfg, err = s.Published(ctx, from); err != nil {
			return nil, err
		}
	case cfg == nil:
		cfg = tenant.DefaultConfig()
	}
	if problems := Check(cfg, n.Hosts...); len(problems) > 0 {
		return nil, tenant.Problems(problems)
	}
	return cfg, nil
}

func (s *Service) insertTenant(ctx context.Context, a Actor, t *tenant.Tenant, cfg *tenant.Config, template string) error {
	platform, err := s.Store.TenantBySlug(ctx, tenant.AdminSlug)
	if err != nil && !errors.Is(err, tenant.ErrTenantNotFound) {
		return err
	}
	doc, hash := document.Encode(cfg)
	return s.Store.Change(ctx, func(tx tenant.Tx) error {
		if err := tx.CreateTenant(t); err != nil {
			return err
		}
		err := tx.CreateVersion(&tenant.Version{
			TenantID: t.ID, Number: 1, Document: doc, Hash: hash, Message: "created", Author: a.String(), CreatedAt: t.CreatedAt,
		})
		if err != nil {
			return err
		}
		c := &change{Tx: tx, t: t, platform: true, detail: detail{"slug": t.Slug, "name": t.Name, "hosts": t.Hosts}}
		if template != "" {
			c.detail["template"] = template
		}
		return s.record(a, "tenant.create", c, platform)
	})
}

func randomPartition() uint32 {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint32(b[:]) & tenant.MaxPartition
}

// takenHost says where in a list a host stands that another tenant has; "" for
// nowhere.
func (s *Service) takenHost(ctx context.Context, tenantID string, hosts []string) (pointer string, err error) {
	for i, host := range hosts {
		t, err := s.Store.TenantByHost(ctx, host)
		if err == nil && t.ID != tenantID {
			return fmt.Sprintf("/hosts/%d", i), nil
		}
		if err != nil && !errors.Is(err, tenant.ErrTenantNotFound) {
			return "", err
		}
	}
	return "", nil
}

// TenantChange is what is to change of a tenant; nil leaves it.
type TenantChange struct {
	Name  *string
	Hosts []string // all of them; the first is the primary one
}

// UpdateTenant changes name and hosts. ErrValidation, ErrAlreadyExists for a host.
func (s *Service) UpdateTenant(ctx context.Context, a Actor, slug string, in TenantChange) (*tenant.Tenant, error) {
	var err error
	if in.Name != nil {
		err = checkWords("/name", *in.Name, maxName)
	}
	if in.Hosts != nil {
		err = firstOf(err, checkHosts(in.Hosts), s.checkAdminHost(slug, in.Hosts), s.checkPasskeys(ctx, slug, in.Hosts))
	}
	if err != nil {
		return nil, err
	}
	t, err := s.change(ctx, a, slug, "tenant.update", func(c *change) error {
		c.detail = detail{}
		if in.Name != nil && *in.Name != c.t.Name {
			c.detail["name"] = []string{c.t.Name, *in.Name}
			c.t.Name = *in.Name
		}
		if in.Hosts != nil && !slices.Equal(in.Hosts, c.t.Hosts) {
			c.detail["hosts"] = [][]string{c.t.Hosts, in.Hosts}
			c.t.Hosts = slices.Clone(in.Hosts)
		}
		if len(c.detail) == 0 {
			return errUnchanged
		}
		return c.UpdateTenant(c.t)
	})
	if errors.Is(err, tenant.ErrAlreadyExists) {
		at, err2 := s.takenHost(ctx, t.ID, in.Hosts)
		err = firstOf(err2, tenant.AsError(err).With("pointer", at))
	}
	return t, err
}

// checkAdminHost refuses to take from tenant admin the host that the server runs
// with: nobody could reach the admin API any more.
func (s *Service) checkAdminHost(slug string, hosts []string) error {
	if slug != tenant.AdminSlug || s.AdminHost == "" || slices.Contains(hosts, s.AdminHost) {
		return nil
	}
	return tenant.Invalidf("/hosts", "admin_host", "%s stays: the server runs with it as its admin host", s.AdminHost)
}

// checkPasskeys refuses hosts that the relying party id in force doesn't cover.
func (s *Service) checkPasskeys(ctx context.Context, slug string, hosts []string) error {
	t, err := s.Store.TenantBySlug(ctx, slug)
	if err != nil {
		return err
	}
	cfg, err := s.Published(ctx, t)
	if err != nil {
		return err
	}
	if problems := passkey.Check(cfg, hosts); len(problems) > 0 {
		return tenant.Invalidf("/hosts", "passkeys", "%s: %s", problems[0].Pointer, problems[0].Message)
	}
	return nil
}

// SuspendTenant stops a tenant's doors. The admin tenant can't be suspended.
func (s *Service) SuspendTenant(ctx context.Context, a Actor, slug, reason string) (*tenant.Tenant, error) {
	if err := firstOf(notAdmin(slug), checkWords("/reason", reason, maxWords)); err != nil {
		return nil, err
	}
	return s.setState(ctx, a, slug, tenant.Suspended, reason)
}

// ResumeTenant opens them again.
func (s *Service) ResumeTenant(ctx context.Context, a Actor, slug string) (*tenant.Tenant, error) {
	return s.setState(ctx, a, slug, tenant.Active, "")
}

func (s *Service) setState(ctx context.Context, a Actor, slug string, state tenant.State, reason string) (*tenant.Tenant, error) {
	action := map[tenant.State]string{tenant.Active: "tenant.resume", tenant.Suspended: "tenant.suspend"}[state]
	return s.change(ctx, a, slug, action, func(c *change) error {
		if c.t.State == state && c.t.SuspendReason == reason {
			return errUnchanged
		}
		c.t.State, c.t.SuspendReason = state, reason
		c.platform = true
		if reason != "" {
			c.detail = detail{"reason": reason}
		}
		return c.UpdateTenant(c.t)
	})
}

// DeleteTenant forgets a tenant and everything that is its. confirm is the
// slug again. The admin tenant can't be deleted.
func (s *Service) DeleteTenant(ctx context.Context, a Actor, slug, confirm string) error {
	if err := notAdmin(slug); err != nil {
		return err
	}
	if confirm != slug {
		return tenant.Invalidf("/confirm", "confirm", "to delete a tenant repeat its slug")
	}
	platform, err := s.Store.TenantBySlug(ctx, tenant.AdminSlug)
	if err != nil {
		return err // without it the deletion would leave no trace
	}
	return s.Store.Change(ctx, func(tx tenant.Tx) error {
		t, err := tx.Tenant(slug)
		if err != nil {
			return err
		}
		if err := tx.DeleteTenant(t.ID); err != nil {
			return err
		}
		t.State = gone
		c := &change{Tx: tx, t: t, platform: true, detail: detail{"id": t.ID, "name": t.Name, "hosts": t.Hosts}}
		return s.record(a, "tenant.delete", c, platform)
	})
}

func notAdmin(slug string) error {
	if slug == tenant.AdminSlug {
		return tenant.ErrForbidden.Says("the admin tenant can't be suspended or deleted")
	}
	return nil
}

// How long what people write may be, in characters.
const (
	maxName  = 200
	maxWords = 1000
	maxHosts = 20 // of a tenant
)

// checkWords refuses what isn't one line of printable text.
func checkWords(pointer, text string, most int) error {
	switch {
	case strings.TrimSpace(text) == "":
		return tenant.Invalidf(pointer, "required", "this can't be empty")
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return tenant.Invalidf(pointer, "format", "this must be printable text on one line")
	case utf8.RuneCountInString(text) > most:
		return tenant.Invalidf(pointer, "max_length", "at most %d characters", most)
	}
	return nil
}

func checkHosts(hosts []string) error {
	if len(hosts) == 0 {
		return tenant.Invalidf("/hosts", "required", "a tenant needs a host")
	}
	if len(hosts) > maxHosts {
		return tenant.Invalidf("/hosts", "max_items", "at most %d hosts", maxHosts)
	}
	for i, host := range hosts {
		at := fmt.Sprintf("/hosts/%d", i)
		if err := tenant.CheckHost(at, host); err != nil {
			return err
		}
		if slices.Contains(hosts[:i], host) {
			return tenant.Invalidf(at, "duplicate", "this host stands here twice")
		}
	}
	return nil
}

// firstOf is the first refusal.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

package housetest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// Tenant makes a tenant with the default configuration, as changed.
func (h *House) Tenant(slug string, change ...func(*tenant.Config)) *tenant.Tenant {
	h.T.Helper()
	cfg := tenant.DefaultConfig()
	cfg.PasswordPolicy.BreachedCheck = false
	for _, c := range change {
		c(cfg)
	}
	key, err := h.Master.NewTenantKey()
	Must(h.T, err)
	h.partition++
	x := &tenant.Tenant{
		ID: secret.NewID(), Slug: slug, Name: slug, State: tenant.Active, Hosts: []string{slug + "." + h.Domain}, Partition: h.partition, Key: key,
		Version: 1, CreatedAt: h.Now(), ChangedAt: h.Now(),
	}
	first := h.version(x, 1, cfg)
	h.Change(x, func(tx tenant.Tx) error {
		if err := tx.CreateTenant(x); err != nil {
			return err
		}
		return tx.CreateVersion(first)
	})
	return x
}

func (h *House) version(x *tenant.Tenant, number int64, cfg *tenant.Config) *tenant.Version {
	h.T.Helper()
	document, err := json.Marshal(cfg)
	Must(h.T, err)
	sum := sha256.Sum256(document)
	return &tenant.Version{TenantID: x.ID, Number: number, Document: document, Hash: hex.EncodeToString(sum[:]), CreatedAt: h.Now()}
}

// Publish puts another version of the configuration in force: the default, as
// changed.
func (h *House) Publish(x *tenant.Tenant, number int64, change func(*tenant.Config)) {
	h.T.Helper()
	cfg := tenant.DefaultConfig()
	change(cfg)
	next := h.version(x, number, cfg)
	h.Change(x, func(tx tenant.Tx) error {
		fresh, err := tx.Tenant(x.Slug)
		if err != nil {
			return err
		}
		fresh.Version, fresh.ChangedAt = number, h.Now()
		if err := tx.CreateVersion(next); err != nil {
			return err
		}
		return tx.UpdateTenant(fresh)
	})
}

// Change writes to the database as an admin would.
func (h *House) Change(x *tenant.Tenant, fn func(tenant.Tx) error) {
	h.T.Helper()
	Must(h.T, h.Store.Change(context.Background(), func(tx tenant.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return tx.Audit(&tenant.AuditEvent{
			TenantID: x.ID, ID: secret.NewID(), At: h.Now(), Category: tenant.AuditAdmin, Action: "test", Outcome: "success",
			ActorKind: tenant.ActorCLI, Detail: json.RawMessage(`{}`),
		})
	}))
}

// Secret keeps a secret of the configuration.
func (h *House) Secret(x *tenant.Tenant, name, value string) {
	h.T.Helper()
	sealed, err := h.Master.Seal(x, tenant.SecretTable, name, []byte(value))
	Must(h.T, err)
	h.Change(x, func(tx tenant.Tx) error {
		return tx.PutSecret(x.ID, tenant.Secret{Name: name, UpdatedAt: h.Now()}, sealed)
	})
}

// User imports a user who logs in with a password. Login ids are kind:value, and
// verified.
func (h *House) User(x *tenant.Tenant, password string, loginIDs ...string) *tenant.UserRecord {
	h.T.Helper()
	return h.UserAs(x, password, func(*tenant.UserRecord) {}, loginIDs...)
}

// UserAs is User with a change before.
func (h *House) UserAs(x *tenant.Tenant, password string, change func(*tenant.UserRecord), loginIDs ...string) *tenant.UserRecord {
	h.T.Helper()
	hasher := secret.NewHasher(secret.HasherOptions{}) // what the house's does is counted
	defer hasher.Close()
	hash, err := hasher.Hash(context.Background(), tenant.DefaultConfig().Authenticators.Password, password)
	Must(h.T, err)
	now := h.Now()
	u := &tenant.UserRecord{User: tenant.User{TenantID: x.ID, ID: secret.NewID(), State: tenant.UserActive, CreatedAt: now, UpdatedAt: now}}
	for _, id := range loginIDs {
		kind, value, _ := strings.Cut(id, ":")
		u.Identities = append(u.Identities, tenant.Identity{
			TenantID: x.ID, ID: secret.NewID(), UserID: u.ID, Claim: tenant.Claim{Kind: kind, Value: value}, Shown: value, VerifiedAt: now, CreatedAt: now,
		})
	}
	u.Authenticators = []tenant.Authenticator{{
		TenantID: x.ID, ID: secret.NewID(), UserID: u.ID, Type: "primary_password", Secret: hash, CreatedAt: now, UpdatedAt: now,
	}}
	change(u)
	h.Change(x, func(tx tenant.Tx) error { return tx.CreateUser(u) })
	return u
}

package authflows

import (
	"context"
	"crypto/sha256"

	"github.com/usher-id/usher/tenant"
)

// Every id of this dialect is a PFID of the tenant's partition. Runs have one;
// users and sessions have a UUIDv7, which is the same id written differently
// (tenant.PFIDOf). What has neither gets one that is derived: of the time at
// which the tenant was made, and a hash. No run, session or user is as old as
// its tenant, so a derived id is known by its time.

// derived is the id of something that has none of its own.
func derived(t *tenant.Tenant, kind, name string) tenant.PFID {
	sum := sha256.Sum256([]byte(kind + "\x00" + name))
	return tenant.PFID{At: t.CreatedAt.UnixMilli(), Partition: t.Partition, Random: [10]byte(sum[:])}
}

// A tenant is one account with one domain, its host, and one pool of users.
func accountID(t *tenant.Tenant) tenant.PFID { return derived(t, "account", t.ID) }
func domainID(t *tenant.Tenant) tenant.PFID  { return derived(t, "domain", t.ID) }
func poolID(t *tenant.Tenant) tenant.PFID    { return derived(t, "pool", t.ID) }

// deviceID is derived of the device's cookie. A client that keeps none is
// another device each time.
func deviceID(t *tenant.Tenant, r *tenant.Run) tenant.PFID {
	if r.DeviceID == "" {
		return derived(t, "client", r.ID)
	}
	return derived(t, "device", r.DeviceID)
}

// sessionID stands for the session as long as there is none: this dialect
// knows no record without one.
func sessionID(t *tenant.Tenant, r *tenant.Run) tenant.PFID {
	if id, err := tenant.PFIDOf(r.SessionID, t.Partition); err == nil {
		return id
	}
	return derived(t, "session", r.ID)
}

// parseID reads an id of the tenant. Another tenant's names nothing here.
func parseID(t *tenant.Tenant, name, s string) (tenant.PFID, error) {
	if s == "" {
		return tenant.PFID{}, tenant.Invalidf("/"+name, "required", "%s is required", name)
	}
	id, err := tenant.ParsePFID(s)
	if err != nil {
		return tenant.PFID{}, tenant.Invalidf("/"+name, "format", "%s is 32 characters of lower-case Crockford base32", name)
	}
	if id.Partition != t.Partition {
		return tenant.PFID{}, tenant.ErrNotFound.Says("%s names nothing here", name)
	}
	return id, nil
}

func isDerived(t *tenant.Tenant, id tenant.PFID) bool { return id.At == t.CreatedAt.UnixMilli() }

// kindOf says what an id names; "" for nothing.
func (a *api) kindOf(ctx context.Context, t *tenant.Tenant, id tenant.PFID) (string, error) {
	if isDerived(t, id) {
		return "derived", nil
	}
	uuid, err := id.UUID()
	if err != nil {
		return "", nil
	}
	for _, known := range []struct {
		kind string
		read func() error
	}{
		{"authflow", func() error { _, err := a.store.Run(ctx, t.ID, id.String()); return err }},
		{"session", func() error { _, err := a.store.Session(ctx, t.ID, uuid); return err }},
		{"user", func() error { _, err := a.store.Account(ctx, t.ID, uuid); return err }},
	} {
		err := known.read()
		if err == nil {
			return known.kind, nil
		}
		if tenant.AsError(err).Kind != tenant.NotFound {
			return "", err
		}
	}
	return "", nil
}

// expect refuses an id that names something of another kind than is wanted.
func (a *api) expect(ctx context.Context, t *tenant.Tenant, name string, id tenant.PFID, want string) error {
	kind, err := a.kindOf(ctx, t, id)
	if err == nil && kind != "" && kind != want {
		err = otherKind(name, want)
	}
	return err
}

// refType is the kind of a cause that says that an id names something else.
const refType = "ref_type"

func otherKind(name, want string) error {
	return tenant.Invalidf("/"+name, refType, "%s is an id, but no %s's", name, want)
}

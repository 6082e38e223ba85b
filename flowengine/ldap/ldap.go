package ldap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/flowengine/outbound"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// Options is what directories are reached with. All of it is needed but Timeout.
type Options struct {
	Secrets tenant.ConfigReader
	Master  *secret.Master
	Guard   outbound.Guard
	Metrics *Metrics
	Log     *slog.Logger
	Timeout time.Duration // of a whole try; 0 for 10 seconds
}

// Directories proves users by the directories of all tenants.
type Directories struct {
	o    Options
	gate *outbound.Gate // by tenant and server
}

const (
	timeout = 10 * time.Second
	atOnce  = 64  // tries at one server
	maxID   = 128 // bytes of what users are known by
	retryIn = 5   // seconds, for who is turned away because of the directory
)

// New makes directories.
func New(o Options) *Directories {
	if o.Timeout == 0 {
		o.Timeout = timeout
	}
	return &Directories{o: o, gate: outbound.NewGate(atOnce)}
}

// profile is what entries say of a user (RFC 4519, RFC 2798) as standard
// attributes, the first that is there.
var profile = map[string][]string{
	"/name": {"displayName", "cn"}, "/given_name": {"givenName"}, "/family_name": {"sn"},
}

// Bind finds somebody at a server and proves them by their password; nil when
// nobody is found and when the password is wrong. tenant.ErrUnavailable when the
// directory can't be asked. Nobody may hold a transaction meanwhile.
func (d *Directories) Bind(ctx context.Context, t *tenant.Tenant, s *tenant.LDAPServer, username, password string) (*flow.DirectoryUser, error) {
	u, err := d.bind(ctx, t, s, username, password)
	outcome := passed
	switch {
	case err != nil:
		outcome = failed
		d.o.Log.WarnContext(ctx, "a directory can't be asked", "tenant", t.Slug, "server", s.Name, "err", err)
		err = tenant.ErrUnavailable.Says("the directory can't be asked right now").With("retry_after_seconds", retryIn).Because(err)
	case u == nil:
		outcome = refused
	}
	d.o.Metrics.binds.WithLabelValues(outcome).Inc()
	return u, err
}

func (d *Directories) bind(ctx context.Context, t *tenant.Tenant, s *tenant.LDAPServer, username, password string) (*flow.DirectoryUser, error) {
	if password == "" { // a bind without one proves nothing (RFC 4513 section 5.1.2)
		return nil, nil
	}
	lane := t.ID + " " + s.Name
	if !d.gate.Enter(lane) {
		return nil, errors.New("too many wait for it")
	}
	defer d.gate.Leave(lane)
	searchAs, err := d.searcher(ctx, t, s)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, d.o.Timeout)
	defer cancel()
	c, err := d.dial(ctx, s)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if searchAs.dn != "" {
		if err := c.Bind(searchAs.dn, searchAs.password); err != nil {
			return nil, fmt.Errorf("it can't be searched as the secrets say: %w", plainly(err))
		}
	}
	entry, err := d.find(ctx, t, c, s, username)
	if err != nil {
		return nil, err
	}
	if entry == nil {
		// A bind as nobody, so that it takes as long.
		entry, password = &goldap.Entry{DN: "cn=" + secret.NewID() + "," + s.BaseDN}, secret.NewID()
	}
	if err := c.Bind(entry.DN, password); err != nil {
		if goldap.IsErrorAnyOf(err, wrong...) {
			return nil, nil
		}
		return nil, fmt.Errorf("it can't tell whether a password is right: %w", plainly(err))
	}
	return d.user(ctx, t, s, entry), nil
}

// wrong are the results of a bind that say that it isn't who they say; others
// say that the directory couldn't tell (RFC 4511 appendix A).
var wrong = []uint16{
	goldap.LDAPResultInvalidCredentials, goldap.LDAPResultInappropriateAuthentication, goldap.LDAPResultInsufficientAccessRights,
	goldap.LDAPResultNoSuchObject, goldap.LDAPResultUnwillingToPerform, goldap.LDAPResultConstraintViolation, goldap.LDAPResultInvalidDNSyntax,
}

// credentials are whom a directory is searched as; nobody when the DN is "".
type credentials struct{ dn, password string }

func (d *Directories) searcher(ctx context.Context, t *tenant.Tenant, s *tenant.LDAPServer) (c credentials, err error) {
	dn, err := d.o.Master.Kept(ctx, d.o.Secrets, t, s.DNSecretName())
	if errors.Is(err, tenant.ErrNotFound) {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("the secret %s: %w", s.DNSecretName(), err)
	}
	password, err := d.o.Master.Kept(ctx, d.o.Secrets, t, s.PasswordSecretName())
	if err != nil {
		return c, fmt.Errorf("the secret %s: %w", s.PasswordSecretName(), err)
	}
	return credentials{string(dn), string(password)}, nil
}

// find searches for the one entry of a name; nil when there is none, or more
// than one.
func (d *Directories) find(ctx context.Context, t *tenant.Tenant, c *goldap.Conn, s *tenant.LDAPServer, username string) (*goldap.Entry, error) {
	f, err := parseFilter(s.SearchFilterTemplate)
	if err != nil {
		return nil, fmt.Errorf("its filter: %w", err)
	}
	text, err := f.For(username)
	if err != nil {
		return nil, fmt.Errorf("its filter: %w", err)
	}
	attributes := []string{s.UserIDAttributeName}
	for _, names := range profile {
		attributes = append(attributes, names...)
	}
	slices.Sort(attributes[1:])
	request := goldap.NewSearchRequest(
		s.BaseDN, goldap.ScopeWholeSubtree, goldap.NeverDerefAliases, 2, int(d.o.Timeout.Seconds()), false, text, attributes, nil,
	)
	request.EnforceSizeLimit = true // whether the server does or not
	found, err := c.Search(request)
	several := goldap.IsErrorWithCode(err, goldap.LDAPResultSizeLimitExceeded) || errors.Is(err, goldap.ErrSizeLimitExceeded)
	switch {
	case err != nil && !several:
		return nil, fmt.Errorf("it can't be searched: %w", plainly(err))
	case several || len(found.Entries) > 1:
		d.o.Log.WarnContext(ctx, "a directory finds several users for one name, so none of them gets in", "tenant", t.Slug, "server", s.Name)
		return nil, nil
	case len(found.Entries) == 0:
		return nil, nil
	}
	return found.Entries[0], nil
}

// user is what an entry says of who has proved to be it; nil when it doesn't say
// whom.
func (d *Directories) user(ctx context.Context, t *tenant.Tenant, s *tenant.LDAPServer, e *goldap.Entry) *flow.DirectoryUser {
	id := e.GetEqualFoldRawAttributeValue(s.UserIDAttributeName)
	if len(id) == 0 || len(id) > maxID {
		d.o.Log.WarnContext(ctx, "an entry of a directory lacks what users are known by", "tenant", t.Slug, "server", s.Name, "attribute", s.UserIDAttributeName)
		return nil
	}
	u := &flow.DirectoryUser{ID: id, Profile: map[string]json.RawMessage{}}
	for pointer, names := range profile {
		for _, name := range names {
			text := e.GetEqualFoldAttributeValue(name)
			value, err := json.Marshal(text)
			if err == nil && text != "" && tenant.CheckAttribute(pointer, value) == "" {
				u.Profile[pointer] = value
				break
			}
		}
	}
	return u
}

// plainly is an error without what the directory says about it, which may hold
// names.
func plainly(err error) error {
	var e *goldap.Error
	if !errors.As(err, &e) {
		return err
	}
	if e.ResultCode == goldap.ErrorNetwork {
		return outbound.Plainly(e.Err)
	}
	return fmt.Errorf("result %d, %s", e.ResultCode, goldap.LDAPResultCodeMap[e.ResultCode])
}

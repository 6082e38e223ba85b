package tenant

import (
	"regexp"
	"strings"
	"time"
)

// State is where a tenant stands in its life.
type State string

// The states of a tenant. A deleted tenant has no row.
const (
	Active    State = "active"
	Suspended State = "suspended"
)

// AdminSlug is the tenant whose users are the admins of all others.
const AdminSlug = "admin"

// Tenant is one customer of the platform: its hosts, its state, and which
// version of its configuration is in force. It is what a request is resolved
// to, so it holds no list that grows.
type Tenant struct {
	ID            string // UUIDv7
	Slug          string // unique; admins and the command line use it
	Name          string
	State         State
	SuspendReason string // for people; empty unless Suspended
	Hosts         []string
	Partition     uint32 // of the PFIDs made here; unique
	Key           []byte // data key, wrapped by the master key
	Version       int64  // the published version of the configuration, from 1
	Revision      int64  // grows with every change of the tenant row, its draft or its configuration
	DraftRevision int64  // grows with every edit of the draft; guards it
	CreatedAt     time.Time
	ChangedAt     time.Time
}

// PrimaryHost is the host that links are made from.
func (t *Tenant) PrimaryHost() string {
	if len(t.Hosts) == 0 {
		return ""
	}
	return t.Hosts[0]
}

var (
	slugForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	hostForm = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

// CheckSlug refuses what can't be a slug: a DNS label of lower-case letters,
// digits and inner hyphens.
func CheckSlug(pointer, slug string) error {
	if !slugForm.MatchString(slug) {
		return Invalidf(pointer, "format", "a slug is 1 to 63 lower-case letters, digits and inner hyphens")
	}
	return nil
}

// NormalizeHost brings a Host header to the form hosts are kept in: lower case,
// without port and without the trailing dot (RFC 9110 section 7.2). It answers
// "" for what can't be a host name.
func NormalizeHost(host string) string {
	if strings.HasPrefix(host, "[") { // an IPv6 literal
		end := strings.IndexByte(host, ']')
		if end < 0 {
			return ""
		}
		return strings.ToLower(host[:end+1])
	}
	if i := strings.IndexByte(host, ':'); i >= 0 {
		host = host[:i]
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if len(host) > 253 || !hostForm.MatchString(host) {
		return ""
	}
	return host
}

// CheckHost refuses what can't be a host of a tenant.
func CheckHost(pointer, host string) error {
	if host == "" || NormalizeHost(host) != host {
		return Invalidf(pointer, "format", "a host is a lower-case DNS name without port and trailing dot")
	}
	return nil
}

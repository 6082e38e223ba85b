package passkey

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"golang.org/x/net/publicsuffix"

	"github.com/usher-id/usher/tenant"
)

// Check finds what is wrong between a configuration and the hosts of its tenant;
// without hosts, what is wrong with it on any.
func Check(cfg *tenant.Config, hosts []string) []tenant.Problem {
	var out []tenant.Problem
	add := func(pointer, reason, format string, args ...any) {
		out = append(out, tenant.Problem{Pointer: pointer, Reason: reason, Message: fmt.Sprintf(format, args...)})
	}
	p := &cfg.Passkeys
	id := p.RPID
	if id != "" {
		checkID(id, hosts, add)
	} else if len(hosts) > 0 {
		id = hosts[0]
		if _, err := netip.ParseAddr(id); err == nil && cfg.PasskeysOn() {
			add("/passkeys/rp_id", "Required", "passkeys belong to a domain, and the primary host %s is an address", id)
		}
	}
	for i, origin := range p.ExtraOrigins {
		at := fmt.Sprintf("/passkeys/extra_origins/%d", i)
		switch host := hostOf(origin); {
		case host == "" && (!protocol.IsKnownOpaqueOrigin(origin) || strings.HasPrefix(origin, "file:")):
			add(at, "WrongForm", "an origin is https://host, https://host:port or the origin of an app, such as android:apk-key-hash:...")
		case host == "":
		case strings.TrimSuffix(origin, "/") != origin || strings.Count(origin, "/") != 2 || strings.ToLower(origin) != origin:
			add(at, "WrongForm", "a web origin is scheme://host or scheme://host:port in lower case, with nothing after it")
		case strings.HasPrefix(origin, "http:") && !below(host, "localhost"):
			add(at, "NotSecure", "browsers offer passkeys over https alone")
		case id != "" && !below(host, id):
			add(at, "NotCovered", "%s is not below the relying party id %s, so browsers refuse it there", host, id)
		}
	}
	return out
}

// checkID holds a relying party id to what browsers accept: the effective domain
// of the page or a registrable suffix of it (HTML, "is a registrable domain
// suffix of or is equal to").
func checkID(id string, hosts []string, add func(pointer, reason, format string, args ...any)) {
	const at = "/passkeys/rp_id"
	if tenant.NormalizeHost(id) != id {
		add(at, "WrongForm", "a relying party id is a lower-case DNS name")
		return
	}
	if _, err := netip.ParseAddr(id); err == nil {
		add(at, "WrongForm", "a relying party id is a domain, not an address")
		return
	}
	suffix, _ := publicsuffix.PublicSuffix(id)
	for _, host := range hosts {
		switch {
		case host == id:
		case !below(host, id):
			add(at, "NotCovered", "the host %s is not below %s", host, id)
		case suffix == id:
			add(at, "PublicSuffix", "anybody can have a domain below %s", id)
		}
	}
	if len(hosts) == 0 && suffix == id && id != "localhost" {
		add(at, "PublicSuffix", "anybody can have a domain below %s", id)
	}
}

// below says whether a host is a domain or one under it.
func below(host, domain string) bool {
	return host == domain || strings.HasSuffix(host, "."+domain)
}

// CheckRecord says whether a passkey that was made elsewhere can be used.
func CheckRecord(p *tenant.Passkey) error {
	id, err := base64.RawURLEncoding.Strict().DecodeString(p.ID)
	switch {
	case err != nil:
		return err
	case len(id) < minID || len(id) > maxID:
		return fmt.Errorf("passkey: a credential id has %d to %d bytes", minID, maxID)
	case len(p.UserHandle) == 0 || len(p.UserHandle) > maxHandle:
		return fmt.Errorf("passkey: a user handle has 1 to %d bytes", maxHandle)
	case len(p.Transports) > maxTransports:
		return fmt.Errorf("passkey: a credential has at most %d transports", maxTransports)
	}
	_, err = webauthncose.ParsePublicKey(p.PublicKey)
	return err
}

// The sizes of WebAuthn level 3, sections 4 and 5.4.3, in bytes.
const (
	minID     = 16
	maxID     = 1023
	maxHandle = 64
)

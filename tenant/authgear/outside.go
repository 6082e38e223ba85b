package authgear

import (
	"slices"
	"strings"

	"github.com/usher-id/usher/tenant"
)

// directories reads the LDAP servers. Whom they are searched as comes apart.
func (t *translation) directories(root place) {
	all := root.at("/identity/ldap/servers")
	if !all.given {
		return
	}
	list := &node{list: true, from: all.pointer}
	for _, p := range all.items() {
		if _, ok := p.value.(map[string]any); !ok {
			continue
		}
		one := p.object("name", "url", "base_dn", "search_filter_template", "user_id_attribute_name")
		// In that format StartTLS is tried, and passwords go in the clear when the
		// server doesn't know it.
		if url := p.key("url"); strings.HasPrefix(url.text(), "ldap://") {
			one.put("/start_tls", graft(string(tenant.StartTLSIfOffered), url.pointer))
			t.note(url.pointer, Loose, "as in the format, StartTLS is used if the server offers it: set start_tls to required once it does")
		}
		list.add(one)
	}
	t.out.put("/ldap/servers", list)
}

// botProtection reads whose widget is shown. Without a provider that is known
// here nothing can be asked for.
func (t *translation) botProtection(root place) {
	p := root.key("bot_protection")
	on, typ, key := p.key("enabled"), p.at("provider/type"), p.at("provider/site_key")
	if key.given {
		t.put("/bot_protection/provider/site_key", key, key.value)
	}
	known := slices.Contains(tenant.BotProviders, typ.text())
	switch {
	case known:
		t.put("/bot_protection/provider/type", typ, typ.value)
	case typ.text() != "":
		typ.note(NotSupported, "there is no such provider of bot protection here")
	}
	switch site, _ := key.value.(string); {
	case !on.given:
	case on.value == true && (!known || site == ""):
		on.note(NotSupported, "without a provider that is known here and its site key nothing can be asked for")
	default:
		t.put("/bot_protection/enabled", on, on.value)
	}
}

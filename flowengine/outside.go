package flowengine

import (
	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/tenant"
)

func (w *world) Human(response string) error {
	return w.engine.bots.Check(w.ctx, w.tenant, &w.config.BotProtection, w.client.IP, response)
}

// Bind also forgets the failed tries before it, for they are not counted under
// the user whom the end of the run forgives.
func (w *world) Bind(server, username, password string) (*flow.DirectoryUser, error) {
	s := w.config.LDAP.Server(server)
	if s == nil {
		return nil, tenant.ErrInternal
	}
	u, err := w.engine.ldap.Bind(w.ctx, w.tenant, s, username, password)
	if u != nil {
		w.forgive(flow.LDAPSubject(server, username))
	}
	return u, err
}

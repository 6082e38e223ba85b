package graph_test

import (
	"testing"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/graph"
	"github.com/usher-id/usher/tenant"
)

// What other doors ask the policy for is what the policy knows.
func TestMay(t *testing.T) {
	may, err := graph.May()
	must(t, err)
	for to, least := range map[admin.Permission]tenant.Role{
		admin.ReadConfig: tenant.Viewer, admin.WriteConfig: tenant.Editor,
		admin.ReadRuns: tenant.Viewer, admin.WriteRuns: tenant.Support, admin.ReadAudit: tenant.Support,
	} {
		if !may(least, to) || !may(tenant.Owner, to) || !may(tenant.Operator, to) {
			t.Errorf("%s may not %v", least, to)
		}
		if least != tenant.Viewer && may(tenant.Viewer, to) {
			t.Errorf("a viewer may %v", to)
		}
	}
	for _, to := range []admin.Permission{{}, {Object: "flow_run"}, {Object: "nothing", Action: "read"}} {
		if may(tenant.Operator, to) {
			t.Errorf("an operator may %v", to)
		}
	}
}

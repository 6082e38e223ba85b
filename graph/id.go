package graph

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/usher-id/usher/tenant"
)

// globalID names a node anywhere: its type in the schema, its tenant and its
// own id there, opaque to clients.
type globalID struct {
	Type     string // Tenant, User, FlowRun, ConfigVersion
	TenantID string
	ID       string // empty for a tenant
}

func (g globalID) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte(g.Type + ":" + g.TenantID + ":" + g.ID))
}

func parseGlobalID(s string) (g globalID, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return g, false
	}
	part := strings.Split(string(b), ":")
	if len(part) != 3 || nodeObjects[part[0]] == "" {
		return g, false
	}
	return globalID{part[0], part[1], part[2]}, true
}

// localUserID reads what a filter names a user by: a global id, or the id that
// flows and exports use. A global id of another tenant finds nobody.
func localUserID(tenantID, s string) string {
	if g, ok := parseGlobalID(s); ok && g.Type == "User" && g.TenantID == tenantID {
		return g.ID
	}
	return s
}

func tenantGlobalID(id string) string    { return globalID{"Tenant", id, ""}.String() }
func userGlobalID(u *tenant.User) string { return globalID{"User", u.TenantID, u.ID}.String() }
func runGlobalID(r *tenant.Run) string   { return globalID{"FlowRun", r.TenantID, r.ID}.String() }
func versionGlobalID(v *tenant.Version) string {
	return globalID{"ConfigVersion", v.TenantID, strconv.FormatInt(v.Number, 10)}.String()
}

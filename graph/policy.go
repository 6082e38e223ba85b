package graph

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
	stringadapter "github.com/casbin/casbin/v2/persist/string-adapter"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/tenant"
)

// anyone is the role of a caller who is known and nothing more.
const anyone tenant.Role = "anyone"

// roles lists all of them, the mightiest first.
var roles = []tenant.Role{tenant.Operator, tenant.Owner, tenant.Admin, tenant.Editor, tenant.Support, tenant.Viewer, anyone}

// rules are the permissions of the roles: p role, object, action; g role,
// the role whose permissions it has too.
//
//go:embed policy.csv
var rules string

// Who has which role in which domain is in the database and decided before
// casbin is asked, so the model is about roles alone.
const casbinModel = `
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act
`

// permission is a question to the policy.
type permission struct {
	role   tenant.Role
	object Object
	action Action
}

// policy is every answer that casbin gives. Roles, objects and actions are
// closed sets, so all of them are asked for once and a decision is a look-up,
// whatever the number of tenants.
type policy map[permission]bool

var loadPolicy = sync.OnceValues(newPolicy)

// May is the policy for other doors: it says what a role may. The error is of
// the policy itself.
func May() (func(tenant.Role, admin.Permission) bool, error) {
	p, err := loadPolicy()
	return func(role tenant.Role, to admin.Permission) bool {
		return p[permission{role, Object(strings.ToUpper(to.Object)), Action(strings.ToUpper(to.Action))}]
	}, err
}

func newPolicy() (policy, error) {
	m, err := model.NewModelFromString(casbinModel)
	if err != nil {
		return nil, fmt.Errorf("policy model: %w", err)
	}
	e, err := casbin.NewEnforcer(m, stringadapter.NewAdapter(rules))
	if err != nil {
		return nil, fmt.Errorf("policy.csv: %w", err)
	}
	p := policy{}
	for _, role := range roles {
		for _, object := range AllObject {
			for _, action := range AllAction {
				ok, err := e.Enforce(string(role), strings.ToLower(string(object)), strings.ToLower(string(action)))
				if err != nil {
					return nil, fmt.Errorf("policy.csv: %w", err)
				}
				p[permission{role, object, action}] = ok
			}
		}
	}
	return p, nil
}

// allows says whether any of the roles may do it.
func (p policy) allows(roles []tenant.Role, object Object, action Action) bool {
	for _, role := range roles {
		if p[permission{role, object, action}] {
			return true
		}
	}
	return false
}

// covers says whether the roles may do everything that another may: who hands
// out a role gives away no more than they have.
func (p policy) covers(roles []tenant.Role, other tenant.Role) bool {
	for _, object := range AllObject {
		for _, action := range AllAction {
			if p[permission{other, object, action}] && !p.allows(roles, object, action) {
				return false
			}
		}
	}
	return true
}

// permissions lists what a role may do, such as CONFIG:WRITE.
func (p policy) permissions(role tenant.Role) []string {
	var out []string
	for _, object := range AllObject {
		for _, action := range AllAction {
			if p[permission{role, object, action}] {
				out = append(out, string(object)+":"+string(action))
			}
		}
	}
	return out
}

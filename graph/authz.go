package graph

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/usher-id/usher/tenant"
)

// Who may do what. The rule, which authz_test.go holds over the whole schema:
//
//   - A field that is answered by a resolver reads or changes something, and
//     carries @can. Those are all fields of Query and Mutation, and every other
//     one that goes to the store or to flowengine/admin. The id of a node is
//     exempt: it is made of what is there.
//   - Every other field is a part of what such a field handed out.
//
// @can finds the tenant that the field is about (the argument tenant, slug or
// id of a root field, the tenant of the object for any other), the caller's
// roles there, and asks the policy. Without any role there the answer is
// NotFound, the same as for a tenant that doesn't exist; with a role that is too
// weak it is Forbidden.

// nodeObjects says what a permission to read a node is about, by its type.
var nodeObjects = map[string]Object{
	"Tenant":        ObjectTenant,
	"User":          ObjectUser,
	"FlowRun":       ObjectFlowRun,
	"ConfigVersion": ObjectConfig,
}

// can is the directive @can.
func (h *handler) can(ctx context.Context, obj any, next graphql.Resolver, object Object, action Action) (any, error) {
	if err := h.authorize(ctx, obj, object, action); err != nil {
		return nil, err
	}
	return next(ctx)
}

func (h *handler) authorize(ctx context.Context, obj any, object Object, action Action) error {
	c := callOf(ctx)
	switch object {
	case ObjectSelf:
		return h.decide(append(c.rolesIn("", ""), anyone), object, action)
	case ObjectPlatform:
		return h.decide(c.rolesIn("", ""), object, action)
	}
	adminID, err := h.adminTenantID(ctx)
	if err != nil {
		return err
	}
	field := graphql.GetFieldContext(ctx)
	if id := tenantIDOf(obj); id != "" {
		return h.decide(c.rolesIn(id, adminID), object, action)
	}
	args := field.Field.ArgumentMap(graphql.GetOperationContext(ctx).Variables)
	if object == ObjectNode {
		id, _ := args["id"].(string)
		g, ok := parseGlobalID(id)
		held := c.rolesIn(g.TenantID, adminID)
		if !ok || len(held) == 0 {
			return tenant.ErrNotFound
		}
		return h.decide(held, nodeObjects[g.Type], action)
	}
	t, err := h.Store.TenantBySlug(ctx, slugIn(args))
	if err != nil {
		return noSuchTenant(err)
	}
	held := c.rolesIn(t.ID, adminID)
	if len(held) == 0 {
		return noSuchTenant(tenant.ErrTenantNotFound)
	}
	if err := h.decide(held, object, action); err != nil {
		return err
	}
	if field.Field.ObjectDefinition.Name != "Mutation" {
		return nil
	}
	if t.State == tenant.Suspended && !c.everywhere() {
		return tenant.ErrTenantSuspended
	}
	return h.mayGive(held, args)
}

func (h *handler) decide(held []tenant.Role, object Object, action Action) error {
	if !h.policy.allows(held, object, action) {
		return tenant.ErrForbidden.Says("you may not %s this: it needs %s:%s", strings.ToLower(string(action)), object, action)
	}
	return nil
}

// mayGive refuses a mutation that hands out a role which may do more than the
// caller.
func (h *handler) mayGive(held []tenant.Role, args map[string]any) error {
	input, _ := args["input"].(map[string]any)
	role, ok := input["role"].(string)
	if ok && !h.policy.covers(held, tenant.Role(strings.ToLower(role))) {
		return tenant.ErrForbidden.Says("you may not give the role %s: it may do more than you", role)
	}
	return nil
}

// slugIn finds the tenant that the arguments of a root field name.
func slugIn(args map[string]any) string {
	if input, ok := args["input"].(map[string]any); ok {
		args = input
	}
	for _, name := range []string{"tenant", "slug"} {
		if slug, ok := args[name].(string); ok {
			return slug
		}
	}
	return ""
}

// tenantIDOf says whose an object is; "" for the root.
func tenantIDOf(obj any) string {
	switch o := obj.(type) {
	case *tenant.Tenant:
		return o.ID
	case *tenant.Version:
		return o.TenantID
	case *tenant.UserRecord:
		return o.TenantID
	case *tenant.Session:
		return o.TenantID
	case *tenant.Run:
		return o.TenantID
	case *OwnedConfig:
		return o.TenantID
	case *Draft:
		return o.TenantID
	case *Member:
		return o.TenantID
	}
	return ""
}

func noSuchTenant(err error) error {
	if errors.Is(err, tenant.ErrTenantNotFound) {
		return tenant.ErrTenantNotFound.Says("no such tenant")
	}
	return err
}

// adminTenantID reads which tenant is admin, once: it can't be deleted.
func (h *handler) adminTenantID(ctx context.Context) (string, error) {
	if id, ok := h.adminID.Load().(string); ok {
		return id, nil
	}
	t, err := h.Store.TenantBySlug(ctx, tenant.AdminSlug)
	if err != nil {
		return "", fmt.Errorf("tenant admin: %w", err)
	}
	h.adminID.Store(t.ID)
	return t.ID, nil
}

// resolves says whether a field is one that the rule above is about.
func resolves(def *ast.Definition, field *ast.FieldDefinition) bool {
	return def.Name == "Query" || def.Name == "Mutation" || field.Directives.ForName("can") != nil
}

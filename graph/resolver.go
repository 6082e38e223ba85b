package graph

import (
	"context"

	"github.com/usher-id/usher/flowengine/admin"
	"github.com/usher-id/usher/tenant"
)

//go:generate go run ./internal/sections ../tenant schema/sections.graphql
//go:generate go run github.com/99designs/gqlgen generate

// Resolver answers the fields that read or change something.
type Resolver struct {
	admin  *admin.Service
	store  tenant.Store
	policy policy

	adminTenantID func(context.Context) (string, error)
}

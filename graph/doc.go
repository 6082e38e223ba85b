// Package graph is the admin API: GraphQL over HTTP.
//
// It owns the schema (schema/*.graphql), who may call (the [Options.Session] of
// a signed-in admin, or an API key), who may do what (the @can directive, with
// the roles of policy.csv), what a request may cost, and how refusals are
// written. Resolvers are thin: they call [tenant.Store] to read and
// flowengine/admin to change, and nothing else.
//
// It does not own what an admin's verb means (flowengine/admin), how anything is
// kept (tenant/store), how an admin signs in (flowengine), or which host and
// path it is served at (cmd/usher).
//
// generated.go and models_gen.go are made by gqlgen from the schema and
// gqlgen.yml.
package graph

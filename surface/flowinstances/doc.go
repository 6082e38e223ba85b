// Package flowinstances is the door for programs and front ends that speak
// authentik's API: flow instances with their bindings and stages, and the flow
// executor. The contract is the API reference in testdata/ and the public client
// @goauthentik/api.
//
//	/api/v3/flows/instances/...   a tenant's flows: read, presented, copied, removed, exported, imported
//	/api/v3/flows/bindings/       the steps of flows, in the order in which they are walked
//	/api/v3/stages/...            what steps do, by type
//	/api/v3/policies/...          empty lists: nothing here is decided by policies
//	/api/v3/flows/executor/{slug} a run, stage by stage
//
// It owns the dialect: slugs, keys, stage types, challenges and the shape of
// errors, and one cookie, which holds the state token of the run in a browser.
// Everything it shows is a view of the tenant's flow definitions, and everything
// it changes is a new version of the tenant's configuration.
//
// It does not own flows or runs (flowengine), the configuration and who may
// change it (flowengine/admin), or how a request is read (surface). It keeps no
// state.
package flowinstances

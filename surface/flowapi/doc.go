// Package flowapi is the main door: the authentication flow API, and what an
// app needs to know of the session that a flow ends with.
//
//	POST /api/v1/authentication_flows               begin a run
//	POST /api/v1/authentication_flows/states/input  answer what a state asks for
//	POST /api/v1/authentication_flows/states        ask again
//	GET  /api/v1/authentication_flows/ws            hear that a run changed elsewhere
//	POST /api/v1/authentication_flows/links/approve approve a link, from a page of the tenant's own
//	GET  /api/v1/session                            who is signed in
//	POST /api/v1/session/revoke                     sign out
//
// It owns the dialect: the names of keys, errors and cookies. The contract is
// the API reference in testdata/, of which every example is a test. It does not
// own what a flow does (flowengine) or how a request is read (surface).
package flowapi

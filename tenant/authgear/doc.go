// Package authgear translates an Authgear project's authgear.yaml into the
// configuration of a tenant.
//
// It owns what the keys of that format mean here, its defaults (defaults.yaml,
// which differ from ours), and the promise that nothing is dropped in silence:
// every key either has its part in the configuration or is listed by its
// pointer, with a reason. Most keys stand in the tables of moves.go and limits.go.
//
// The translation makes a document of our own, whose every value knows where it
// came from. What a check refuses in that document is taken out of it again and
// listed; so what a later Usher can express is translated as soon as its schema
// has the setting.
//
// It does not own the USHER document and its schema (tenant/document), whether
// flows are sound (flowengine/flow, handed in as a check), secrets, which that
// format keeps elsewhere, and users (flowengine/admin's import).
package authgear

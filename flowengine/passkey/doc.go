// Package passkey is a tenant as the relying party of WebAuthn level 3: it makes
// the options that browsers are given, and checks what authenticators answer,
// with the help of github.com/go-webauthn/webauthn. It implements
// flow.Passkeys, because the core of flows is pure and that library is not, and
// says which configurations can't work ([Check]).
//
// Attestation isn't asked for: a passkey is trusted because the user brought it
// while signed in, not for who made it.
//
// It does not own when a passkey is asked for and what it proves
// (flowengine/flow), how its record is kept (tenant.Passkey), or that an answer
// works once (flow, by tenant.Passkey.Spend).
package passkey

// Package setup is the page behind a one-time link on the admin host: whoever
// was sent it chooses a password there.
//
// It owns the page: one form, drawn by the server, without script, that asks for
// a password and shows what the policy has against it.
//
// It does not own what a link is worth, how long it lives and what it opens
// (flowengine/admin), nor signing in with the password (surface/flowapi).
package setup

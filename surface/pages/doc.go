// Package pages is what a link in a message leads to when the tenant has no page
// of its own: a page that asks before it approves, and one that takes a new
// password. Both work on any device.
//
//	GET  /link?code=...   says what the link is for; changes nothing, because mail scanners look
//	POST /link            approves it, or sets the new password
//
// It owns the pages: drawn by the server, without script, one style sheet, in
// the languages that messages are in.
//
// It does not own what a link is worth (flowengine), who is told when it was
// approved (flowengine, surface/flowapi), or what a message says
// (flowengine/deliver).
package pages

// Package botcheck asks the provider of a tenant's bot protection
// (tenant.BotProtection) whether the response of its widget comes from a human.
//
// It owns the call of siteverify, which Cloudflare Turnstile, reCAPTCHA v2 and
// hCaptcha have alike, its bounds, what an answer means, and the family
// usher_bot_challenges_total. Whatever isn't a clear yes lets nobody in: a
// response that was refused is the user's to repeat, and a provider that is
// down, slow, or answers nonsense is told apart from that, as is a secret key
// that it doesn't take.
//
// It does not own when a response is asked for (flowengine/flow), how often one
// may be refused (flowengine's limits), the secret key (tenant.Store), or which
// addresses may be called (flowengine/outbound).
package botcheck

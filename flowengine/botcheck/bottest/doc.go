// Package bottest is a provider of bot protection for tests: a real HTTP server
// that answers siteverify as Cloudflare Turnstile, reCAPTCHA v2 and hCaptcha
// publish it.
//
// It does not own what Usher makes of its answers (flowengine/botcheck).
package bottest

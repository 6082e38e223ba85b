// Package deliver brings messages to users.
//
// It owns the outbox worker (claiming, rendering, sending, trying again until
// there is no use in it), the gateways (SMTP, signed webhooks, Twilio and the
// inbox of development), the built-in words of messages and the checking and
// rendering of the tenants' own.
//
// It does not own codes (flowengine/flow makes them, the store keeps them), the
// limits on how often somebody may be written to (flowengine counts them before a
// message is made), nor the guard of outbound calls (flowengine/outbound).
//
// A message is put into the outbox by the transaction that keeps its code, so it
// is sent if and only if the code works, and no client waits for a gateway. A
// worker claims it by moving the time of the next try: a worker that dies loses
// its claim when the lease ends, and another one sends the same code again
// (at least once). What was handed over, given up or has expired loses its
// payload.
package deliver

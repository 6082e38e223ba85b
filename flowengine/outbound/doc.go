// Package outbound calls others: gateways, hooks, providers.
//
// It owns the guard that keeps tenants' settings from reaching what only the
// machine itself or its network should (loopback, private and other addresses
// that aren't on the Internet are refused once a name is resolved, so that no
// answer of a name server slips past), the bounds of such calls in time and
// size, and the signature that the calls of ours carry. The proxy of HTTPS_PROXY
// and the certificates of SSL_CERT_FILE are used. The guard is lifted for
// development (--dev, --allow-private-outbound).
//
// It does not own what is called, when a call is tried again, or what an answer
// means.
package outbound

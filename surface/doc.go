// Package surface is the kit that doors are built from: which tenant a request
// is for and who sent it, reading and writing JSON, and one place where a
// refusal becomes an answer, a count and a line in the log.
//
// It owns what is the same for every door: request ids, trusted proxies, the
// demand for HTTPS, CORS, limits on bodies, headers, panics, the access log and
// the HTTP metrics. It does not own any route or dialect; those are the packages
// below it, which don't know one another. Nothing travels in context values: a
// handler gets its [Request] as an argument.
package surface

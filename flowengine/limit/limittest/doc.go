// Package limittest owns what every limit.Limiter has to pass, wherever it keeps
// its buckets. It does not own how such a place is set up.
package limittest

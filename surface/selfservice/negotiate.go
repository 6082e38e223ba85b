package selfservice

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// wantsJSON says whether the client wants a document rather than a redirect: by
// what it accepts, or by what it has sent.
func wantsJSON(r *http.Request) bool {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && media == "application/json" {
		return true
	}
	return prefers(strings.Join(r.Header.Values("Accept"), ","), "application/json", "text/html")
}

// prefers says whether an Accept header (RFC 9110 section 12.5.1) ranks one media
// type before another: by weight, and then by how closely it is named.
func prefers(accept, one, other string) bool {
	q1, close1 := ranked(accept, one)
	q2, close2 := ranked(accept, other)
	return q1 > q2 || q1 == q2 && q1 > 0 && close1 > close2
}

// ranked is the weight of a media type, given by the range that names it most
// closely: itself 3, its kind 2, anything 1, nothing 0.
func ranked(accept, media string) (weight float64, closeness int) {
	kind, _, _ := strings.Cut(media, "/")
	for part := range strings.SplitSeq(accept, ",") {
		name, params, err := mime.ParseMediaType(strings.TrimSpace(part))
		if err != nil {
			continue
		}
		c := 0
		switch name {
		case media:
			c = 3
		case kind + "/*":
			c = 2
		case "*/*":
			c = 1
		}
		if c <= closeness {
			continue
		}
		weight, closeness = 1, c
		if q, err := strconv.ParseFloat(params["q"], 64); err == nil {
			weight = q
		}
	}
	return weight, closeness
}

package flowapi_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/usher-id/usher/flowengine/limit"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/testenv/housetest"
)

// elsewhere are the transcripts that need a World made for them; what they are
// about is played through the door by other tests.
var elsewhere = map[string]string{
	"passkey.flow":           "its passkeys answer any challenge: passkey_test.go has a device that computes",
	"passkey_custom.flow":    "as passkey.flow",
	"passkey_signup.flow":    "as passkey.flow",
	"settings_passkeys.flow": "as passkey.flow",
	"hooks.flow":             "its hooks answer without being called: hooks are called for real where they are delivered",
	"hooks_refuse.flow":      "as hooks.flow",
	"hooks_start.flow":       "as hooks.flow",
}

// TestTranscriptsThroughTheDoor plays the transcripts of the core (see there)
// with everything behind the door. What only the core can see, effects and
// traces, is passed over.
func TestTranscriptsThroughTheDoor(t *testing.T) {
	files, err := filepath.Glob("../../flowengine/flow/testdata/*.flow")
	must(t, err)
	if len(files) < 20 {
		t.Fatalf("only %d transcripts", len(files))
	}
	limits := &transcriptLimits{}
	onBoth(t, func(h *house) {
		hashes := map[string]string{} // hashing takes its time
		for i, f := range files {
			if elsewhere[filepath.Base(f)] != "" {
				continue
			}
			h.Sub(strings.TrimSuffix(filepath.Base(f), ".flow"), func(t *testing.T) {
				h.Wait(time.Unix(1_700_000_000, 0).Sub(h.Now())) // when all of them begin
				p := &doorPlayer{house: h, T: t, limits: limits, hashes: hashes}
				p.read(f, fmt.Sprintf("flow%d", i))
				p.play()
			})
		}
	}, func(s *housetest.Options) { s.Limiter = limits.over })
}

// transcriptLimits counts as transcripts do: nothing, or every kind of try up to
// a number.
type transcriptLimits struct {
	limit.Limiter
	mu    sync.Mutex
	burst int // 0 for no limit
	since int // grows when the counting begins anew
}

func (l *transcriptLimits) over(real limit.Limiter) limit.Limiter {
	return &overLimits{real, l}
}

func (l *transcriptLimits) set(burst int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.burst, l.since = burst, l.since+1
	if burst >= 1000 {
		l.burst = 0
	}
}

type overLimits struct {
	limit.Limiter
	by *transcriptLimits
}

func (o *overLimits) Take(ctx context.Context, tenantID string, now time.Time, buckets ...limit.Bucket) (bool, error) {
	return o.Limiter.Take(ctx, tenantID, now, o.by.of(buckets)...)
}

func (o *overLimits) Refund(ctx context.Context, now time.Time, tries ...limit.Try) error {
	for i, t := range tries {
		tries[i].Buckets = o.by.of(t.Buckets)
	}
	return o.Limiter.Refund(ctx, now, tries...)
}

func (l *transcriptLimits) of(buckets []limit.Bucket) []limit.Bucket {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []limit.Bucket
	for _, b := range buckets {
		name, _, _ := strings.Cut(b.Key, ":")
		counts := name == "identify_per_ip" || name == "signup_per_ip" || strings.HasSuffix(name, "_per_user_per_ip")
		switch {
		case b.Lockout != nil:
			out = append(out, b)
		case l.burst > 0 && counts:
			out = append(out, limit.Bucket{Key: fmt.Sprint(b.Key, "#", l.since), Rate: tenant.Rate{Burst: l.burst, PeriodSeconds: 86400}})
		}
	}
	return out
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/usher-id/usher/tenant"
)

// strangersSlug is a tenant whose users can prove themselves by a password or by
// a code, and get in again by a code.
const strangersSlug = "strangers"

func strangersConfig() *tenant.Config {
	cfg := codeConfig()
	cfg.Authenticators.Primary = []string{"primary_password", "primary_oob_otp_email"}
	return cfg
}

// strangers says how well the time of an answer tells users from strangers: the
// chance that an answer about a user takes longer than one about a stranger
// (Mann-Whitney; 0.5 is no difference). With 600 of each, one standard error is
// 0.017.
func (s *suite) strangers(ctx context.Context) error {
	t := s.small.sites[strangersSlug]
	samples := 600
	if s.smoke {
		samples = 10
	}
	return s.small.with(ctx, func(n *node) error {
		took := map[string]*[2][]float64{}
		var steps []string
		const warm = 10 // of each, to fill caches
		for _, way := range []func(*walk, context.Context) error{(*walk).signIn, (*walk).recover} {
			time.Sleep(2 * time.Second) // the cooldown of what was sent before
			for i := range warm + samples {
				first := chance(2)
				for _, who := range []int{first, 1 - first} {
					w := &walk{door: n.door, site: t, login: t.login(i + who*t.users)} // beyond the last user there is nobody
					w.measure = func(step string, d time.Duration) {
						if i < warm {
							return
						}
						if took[step] == nil {
							took[step], steps = &[2][]float64{}, append(steps, step)
						}
						took[step][who] = append(took[step][who], float64(d.Nanoseconds())/1e3)
					}
					if err := way(w, ctx); err != nil {
						return err
					}
				}
			}
		}
		for _, step := range steps {
			users, strangers := took[step][0], took[step][1]
			p := slower(users, strangers)
			s.show(step+": how much P(user slower) differs from 0.5", "", atMost(0.05, 0), one(math.Abs(p-0.5)), nil)
			s.show(step+": medians, user - stranger", "µs", shown, one(middle(users)-middle(strangers)), nil)
		}
		return nil
	})
}

// walk is one user's or stranger's way through what answers both alike.
type walk struct {
	door    *door
	site    *site
	login   string
	measure func(step string, took time.Duration)
}

func (w *walk) begin(ctx context.Context, flowType string) (token string, err error) {
	r, err := w.door.flow(ctx, w.site, flowsPath, `{"type":"`+flowType+`","name":"default"}`, "identify")
	if err != nil {
		return "", err
	}
	return r.Result.StateToken, nil
}

func (w *walk) signIn(ctx context.Context) error {
	token, err := w.begin(ctx, "login")
	if err != nil {
		return err
	}
	proof, err := w.post(ctx, "login: identify", token, identification(w.login), http.StatusOK)
	if err != nil {
		return err
	}
	if _, err := w.post(ctx, "login: wrong password", proof, authentication("wrong"), http.StatusUnauthorized); err != nil {
		return err
	}
	sent, err := w.post(ctx, "login: send a code", proof, `{"authentication":"primary_oob_otp_email"}`, http.StatusOK)
	if err != nil {
		return err
	}
	_, err = w.post(ctx, "login: wrong code", sent, `{"code":"000000"}`, http.StatusUnauthorized)
	return err
}

func (w *walk) recover(ctx context.Context) error {
	token, err := w.begin(ctx, "account_recovery")
	if err != nil {
		return err
	}
	found, err := w.post(ctx, "recovery: identify", token, identification(w.login), http.StatusOK)
	if err != nil {
		return err
	}
	_, err = w.post(ctx, "recovery: send a code", found, `{"index":0}`, http.StatusOK)
	return err
}

// post sends an input and measures how long the answer takes.
func (w *walk) post(ctx context.Context, step, token, input string, status int) (next string, err error) {
	var r result
	body, err := json.Marshal(map[string]any{"state_token": token, "input": json.RawMessage(input)})
	if err != nil {
		return "", err
	}
	begun := time.Now()
	err = w.door.call(ctx, request{method: http.MethodPost, host: w.site.host, path: inputPath, body: body, want: status}, &r)
	w.measure(step, time.Since(begun))
	if err != nil {
		return "", fmt.Errorf("%s: %w", step, err)
	}
	return r.Result.StateToken, nil
}

// slower is the chance that a sample of a is greater than one of b.
func slower(a, b []float64) float64 {
	sorted := slices.Sorted(slices.Values(b))
	greater := 0.0
	for _, v := range a {
		low, _ := slices.BinarySearch(sorted, v)
		high := low
		for high < len(sorted) && sorted[high] == v {
			high++
		}
		greater += float64(low) + float64(high-low)/2
	}
	return greater / float64(len(a)*len(b))
}

func middle(v []float64) float64 { return slices.Sorted(slices.Values(v))[len(v)/2] }

package flow

import (
	"slices"

	"github.com/usher-id/usher/tenant"
)

// oauth identifies by an OAuth provider of the tenant.
type oauth struct{ oneShot }

func (oauth) For(step string) bool { return step == stepIdentify }

// Proves: the provider has seen to it.
func (oauth) Proves(string) bool { return true }

func (oauth) Options(c *Cursor, _ *tenant.Step, _ *tenant.Branch) ([]Option, error) {
	providers := c.Config().OAuthProviders
	out := make([]Option, 0, len(providers))
	for i := range providers {
		p := &providers[i]
		status := "missing_credentials"
		if c.ProviderReady(p.Alias) {
			status = "active"
		}
		show := map[string]any{"identification": idOAuth, "provider_type": p.Type, "alias": p.Alias, "provider_status": status}
		if p.Type == "wechat" && p.AppType != "" {
			show["wechat_app_type"] = p.AppType
		}
		out = append(out, Option{Show: show})
	}
	return out, nil
}

func (oauth) Take(c *Cursor, _ *tenant.Step, _ *tenant.Branch, _ Option, in *Answer) (Verdict, error) {
	alias, err := in.text("alias")
	if err != nil {
		return Verdict{}, err
	}
	if !slices.ContainsFunc(c.Config().OAuthProviders, func(p tenant.OAuthProvider) bool { return p.Alias == alias }) {
		return Verdict{}, tenant.ErrProviderNotFound
	}
	if !c.ProviderReady(alias) {
		return Verdict{}, tenant.ErrProviderMissingCredentials
	}
	return Verdict{}, tenant.ErrOAuth.Says("this server lists OAuth providers and can't send users to them")
}

package flow

import (
	"testing"

	"github.com/usher-id/usher/tenant"
)

// Pages that show at once what comes after identifying show the widget too; and
// while bot protection is off nothing asks, whatever a branch says.
func TestWidgetAhead(t *testing.T) {
	for _, enabled := range []bool{true, false} {
		cfg := tenant.DefaultConfig()
		cfg.BotProtection.Enabled, cfg.BotProtection.Provider.SiteKey = enabled, "site"
		cfg.Flows.LoginFlows = []tenant.Flow{{Name: "own", Steps: []tenant.Step{
			{Type: stepIdentify, OneOf: []tenant.Branch{{Identification: idEmail}}},
			{Type: stepAuthenticate, OneOf: []tenant.Branch{{Authentication: primaryPassword, BotProtection: &tenant.BotRequirement{Mode: tenant.BotAlways}}}},
		}}}
		p, problems := Compile(cfg)
		if problems != nil {
			t.Fatal(problems)
		}
		r, err := p.Start(&world{limit: 1000}, tenant.FlowRef{Type: tenant.Login, Name: "own"}, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, asks := p.Ahead(r.State)[0].Ways[0]["bot_protection"]; asks != enabled {
			t.Errorf("enabled %v: asks %v", enabled, asks)
		}
	}
}

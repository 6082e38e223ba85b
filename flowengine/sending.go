package flowengine

import (
	"github.com/usher-id/usher/flowengine/flow"
	"github.com/usher-id/usher/flowengine/limit"
	"github.com/usher-id/usher/tenant"
	"github.com/usher-id/usher/tenant/secret"
)

// sendBuckets are what a message to a target is counted by: the cooldown, then
// the target, whoever asks, and the tenant as a whole. WhatsApp counts as SMS:
// both ring the same phone.
func (w *world) sendBuckets(kind flow.Limit, target string) []limit.Bucket {
	limits, network := &w.config.Limits, networkOf(w.client.IP)
	perTarget, perIP, perTenant := limits.SendEmailPerTarget, limits.SendEmailPerIP, limits.SendEmailPerTenant
	if kind == flow.LimitSendSMS {
		perTarget, perIP, perTenant = limits.SendSMSPerTarget, limits.SendSMSPerIP, limits.SendSMSPerTenant
	}
	name, hashed := string(kind), secret.TokenHash(target) // nobody reads addresses out of the buckets
	return []limit.Bucket{
		{Key: name + "_cooldown:" + hashed, Rate: tenant.Rate{Burst: 1, PeriodSeconds: w.config.OTP.ResendCooldownSeconds}},
		{Key: name + "_per_target:" + hashed, Rate: perTarget},
		{Key: name + "_per_ip:" + network, Rate: perIP},
		{Key: name + "_per_tenant", Rate: perTenant},
	}
}

package flowengine

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/usher-id/usher/flowengine/deliver"
	"github.com/usher-id/usher/tenant"
)

// messageMetrics are the families of the outbox.
type messageMetrics struct {
	sent, tried   *prometheus.CounterVec
	took          *prometheus.HistogramVec
	queued, waits prometheus.Gauge
}

func newMessageMetrics(r registrar) *messageMetrics {
	m := &messageMetrics{
		sent: r.counters("usher_messages_total", "Tries at handing messages to gateways, and messages that test mode kept back.", "channel", "provider", "purpose", "outcome"),
		tried: r.counters("usher_otp_verifications_total", "Codes that were entered, those that stand for nobody included; of codes that had ended see the rejections.",
			"channel", "outcome"),
		took: r.histograms("usher_message_send_duration_seconds", "How long a try at handing over a message took.",
			[]float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15}, "channel", "provider"),
		queued: r.gauges("usher_message_queue_depth", "Messages that wait, of all nodes.").WithLabelValues(),
		waits:  r.gauges("usher_message_queue_oldest_age_seconds", "How long the oldest of them has waited.").WithLabelValues(),
	}
	for _, channel := range tenant.Channels {
		m.tried.WithLabelValues(channel, "right")
		m.tried.WithLabelValues(channel, "wrong")
		for _, provider := range deliver.ProvidersOf(channel) {
			m.took.WithLabelValues(channel, provider)
			for _, purpose := range deliver.Purposes {
				for _, o := range deliver.Outcomes {
					m.sent.WithLabelValues(channel, provider, string(purpose), string(o))
				}
			}
		}
		for _, purpose := range deliver.Purposes {
			m.sent.WithLabelValues(channel, deliver.NoProvider, string(purpose), string(tenant.MessageSuppressed))
		}
	}
	return m
}

// MessageSent is for deliver.Options.Sent.
func (m *Metrics) MessageSent(s deliver.Sent) {
	m.messages.sent.WithLabelValues(s.Channel, s.Provider, string(s.Purpose), string(s.Outcome)).Inc()
	m.messages.took.WithLabelValues(s.Channel, s.Provider).Observe(s.Took.Seconds())
}

// MessageQueue is for deliver.Options.Queue.
func (m *Metrics) MessageQueue(queued int, oldest time.Duration) {
	m.messages.queued.Set(float64(queued))
	m.messages.waits.Set(oldest.Seconds())
}

// codeTried counts a code that was entered.
func (m *Metrics) codeTried(channel string, right bool) {
	outcome := "wrong"
	if right {
		outcome = "right"
	}
	m.messages.tried.WithLabelValues(channel, outcome).Inc()
}

// messageMade counts what is kept back before it reaches the outbox's worker.
func (m *Metrics) messageMade(t *tenant.Message) {
	if t.Status == tenant.MessageSuppressed && t.Provider != tenant.DecoyProvider {
		m.messages.sent.WithLabelValues(t.Channel, deliver.NoProvider, string(t.Purpose), string(t.Status)).Inc()
	}
}

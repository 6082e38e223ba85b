// Package limit counts tries, so that passwords can't be guessed and mail can't
// be flooded faster than a tenant allows.
//
// It owns the rule, the generic cell rate algorithm (GCRA, ITU-T I.371): a
// bucket holds Rate.Burst tries and one comes back every PeriodSeconds / Burst.
// All that is kept of a bucket is one moment, its theoretical arrival time
// (TAT), at which it will be full again. It owns the lockout too: a bucket that
// counts failed tries, and from some number on is closed for a while that grows
// with each further one (tenant.Lockout). Every try counts as failed until it is
// known to be right, so 20 at once count as 20. It owns two places to keep it in: the
// database ([SQL]), and Redis where there is one ([Redis]). Both are shared by
// all nodes, survive a restart, and pass package limittest.
//
// It does not own which tries are counted in which buckets (flowengine) or how
// large these are (tenant.Limits), and it never looks at the clock.
//
// What can't be counted isn't allowed: when the database or Redis can't be
// asked, [Limiter.Take] answers tenant.ErrUnavailable. An attacker who can bring
// Redis down must not win unlimited guesses by it; and a deployment that was
// told to use Redis doesn't fall back to the database, whose buckets would all
// be full.
package limit

package limit

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gomodule/redigo/redis"
)

// Redis keeps buckets in Redis, one key each, which expires when the bucket is
// full. A try costs one command and is all or nothing at every moment. The keys
// of a tenant share a hash slot.
//
// The pool owns the bounds on time (see [OpenRedis]). done hears of every one of
// [Operations] that Redis was asked for; nil for nobody.
func Redis(pool *redis.Pool, done func(op string, err error)) Limiter {
	if done == nil {
		done = func(string, error) {}
	}
	return redisLimiter{pool, done}
}

type redisLimiter struct {
	pool *redis.Pool
	done func(op string, err error)
}

const (
	redisTimeout = time.Second // for connecting, for sending and for an answer
	redisConns   = 64          // at once; more than hash and wait for a database
	redisIdle    = 16
)

// OpenRedis makes the pool of connections to redis://[USER:PASSWORD@]HOST:PORT[/DB],
// or rediss:// for TLS. It connects when there is something to ask.
func OpenRedis(address string) (*redis.Pool, error) {
	u, err := url.Parse(address)
	if err == nil && strings.Trim(u.Path, "/") != "" {
		_, err = strconv.ParseUint(strings.Trim(u.Path, "/"), 10, 31)
	}
	if err != nil || u.Scheme != "redis" && u.Scheme != "rediss" || u.Host == "" {
		return nil, errors.New("redis URL: want redis://HOST:PORT/DB") // the cause could quote a password
	}
	return &redis.Pool{
		MaxActive: redisConns, MaxIdle: redisIdle, Wait: true,
		DialContext: func(ctx context.Context) (redis.Conn, error) {
			c, err := redis.DialURLContext(ctx, address, redis.DialConnectTimeout(redisTimeout), redis.DialTLSHandshakeTimeout(redisTimeout),
				redis.DialReadTimeout(redisTimeout), redis.DialWriteTimeout(redisTimeout))
			if err != nil {
				return nil, fmt.Errorf("Redis at %s: %w", u.Host, err) // not the URL, which may have a password
			}
			return c, nil
		},
		TestOnBorrow: func(c redis.Conn, used time.Time) error { // the server may have been started anew
			if time.Since(used) < redisTimeout {
				return nil
			}
			_, err := c.Do("PING")
			return err
		},
	}, nil
}

// Scripts take as ARGV now, the number of cells, and increment and tolerance of
// each; and of a lock: whether the total locks, most, minimum, maximum, memory,
// factor, steps. KEYS are the cells, and of a lock the total and the own one.
// Those are hashes of failed tries, the end of the lockout, when to forget them,
// and the generation, which Unlock changes in the total alone: what has another
// one counts for nothing. Lua's own tostring would round a time to 14 digits.
const prelude = `
local now, n = tonumber(ARGV[1]), tonumber(ARGV[2])
local a = 2 + 2*n
local locks, most, minimum, maximum, memory, factor, steps
local total, own
local function whole(x) return string.format('%.0f', x) end
local function read(key, generation)
  local v = redis.call('HMGET', key, 'f', 'u', 'g', 'n')
  local r = {key = key, failed = tonumber(v[1] or 0), ends = tonumber(v[2] or 0), forgets = tonumber(v[3] or 0), generation = v[4] or ''}
  if r.forgets <= now or generation and r.generation ~= generation then r.failed, r.ends, r.forgets = 0, 0, 0 end
  r.generation = generation or r.generation
  return r
end
local function write(r)
  redis.call('HSET', r.key, 'f', whole(r.failed), 'u', whole(r.ends), 'g', whole(r.forgets), 'n', r.generation)
  local ms = math.ceil((r.forgets - now) / 1000)
  if r.generation ~= '' and r.key == total.key then ms = math.max(ms, 61 * 86400000) end
  redis.call('PEXPIRE', r.key, whole(math.max(ms, 1)))
end
if #KEYS > n then
  locks = ARGV[a+1] == '1'
  most, minimum, maximum, memory = tonumber(ARGV[a+2]), tonumber(ARGV[a+3]), tonumber(ARGV[a+4]), tonumber(ARGV[a+5])
  factor, steps = tonumber(ARGV[a+6]), tonumber(ARGV[a+7])
  total = read(KEYS[n+1])
  own = read(KEYS[n+2], total.generation)
end
`

var (
	// takeScript answers {0, 0}, {0, 1} for a try that locks out, {1, when to
	// come again}, or {2, the end of the lockout}.
	takeScript = redis.NewScript(-1, prelude+`
local retry, tats, locker = 0, {}, nil
if own then
  locker = own
  if locks then locker = total end
  if locker.ends > now then return {2, locker.ends} end
end
for i = 1, n do
  local tat = math.max(tonumber(redis.call('GET', KEYS[i]) or 0), now) + tonumber(ARGV[1+2*i])
  tats[i] = tat
  if tat > now + tonumber(ARGV[2+2*i]) then retry = math.max(retry, tat - tonumber(ARGV[2+2*i])) end
end
if retry > 0 then return {1, retry} end
for i = 1, n do
  redis.call('SET', KEYS[i], whole(tats[i]), 'PX', math.ceil((tats[i] - now) / 1000))
end
if not own then return {0, 0} end
local function fail(r)
  r.failed, r.ends = r.failed + 1, 0
  local over = r.failed - most
  if r == locker and over >= 0 then
    local lasts = maximum
    if over < steps then lasts = math.floor(minimum * factor ^ over + 0.5) end
    r.ends = now + lasts
  end
  r.forgets = math.max(r.ends, now) + memory
  write(r)
end
fail(own)
if locks then fail(total) end
if locker.ends > now then return {0, 1} end
return {0, 0}`)

	refundScript = redis.NewScript(-1, prelude+`
for i = 1, n do
  local tat = tonumber(redis.call('GET', KEYS[i]) or 0) - tonumber(ARGV[1+2*i])
  if tat <= now then redis.call('DEL', KEYS[i])
  else redis.call('SET', KEYS[i], whole(tat), 'PX', math.ceil((tat - now) / 1000)) end
end
if own and own.failed > 0 then
  own.failed, own.ends = own.failed - 1, 0
  write(own)
  if locks and total.failed > 0 then
    total.failed, total.ends = total.failed - 1, 0
    write(total)
  end
end
return {0, 0}`)

	forgiveScript = redis.NewScript(-1, prelude+`
redis.call('DEL', own.key)
if locks and own.failed > 0 and total.failed > 0 then
  total.failed = math.max(total.failed - own.failed, 0)
  if total.failed < most then total.ends = 0 end
  write(total)
end
return {0, 0}`)

	unlockScript = redis.NewScript(-1, prelude+`
total.failed, total.ends, total.forgets, total.generation = 0, 0, 0, ARGV[1]
write(total)
return {0, 0}`)
)

func (l redisLimiter) Take(ctx context.Context, tenantID string, now time.Time, buckets ...Bucket) (locked bool, err error) {
	cs, lk, err := split(buckets)
	if err != nil || len(cs) == 0 && lk == nil {
		return false, err
	}
	verdict, value, err := l.run(ctx, opTake, takeScript, tenantID, now, cs, lk)
	switch {
	case err != nil:
		return false, err
	case verdict == 1:
		return false, limited(now, value)
	case verdict == 2:
		return false, lockedOut(now, value)
	}
	return value == 1, nil
}

func (l redisLimiter) Refund(ctx context.Context, now time.Time, tries ...Try) error {
	for _, t := range tries {
		cs, lk, err := split(t.Buckets)
		if err == nil && (len(cs) > 0 || lk != nil) {
			_, _, err = l.run(ctx, opRefund, refundScript, t.TenantID, now, cs, lk)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l redisLimiter) Forgive(ctx context.Context, tenantID string, now time.Time, b Bucket) error {
	_, lk, err := split([]Bucket{b})
	if err == nil && lk != nil {
		_, _, err = l.run(ctx, opForgive, forgiveScript, tenantID, now, nil, lk)
	}
	return err
}

func (l redisLimiter) Unlock(ctx context.Context, tenantID string, now time.Time, key string) error {
	_, _, err := l.run(ctx, opUnlock, unlockScript, tenantID, now, nil, &lock{total: key, own: key + separator})
	return err
}

// Purge has nothing to do: full buckets have expired. Who is locked out could
// only be counted by looking at every key that Redis has.
func (redisLimiter) Purge(context.Context, time.Time) (Locked, error) { return nil, nil }

func (l redisLimiter) run(ctx context.Context, op string, script *redis.Script, tenantID string, now time.Time, cs []cell, lk *lock) (verdict, value int64, err error) {
	args := make([]any, 1, 12+3*len(cs)) // how many keys, the keys, and ARGV
	for _, c := range cs {
		args = append(args, "usher:rate:{"+tenantID+"}:"+c.key)
	}
	if lk != nil {
		args = append(args, "usher:lock:{"+tenantID+"}:"+lk.total, "usher:lock:{"+tenantID+"}:"+lk.own)
	}
	args[0] = len(args) - 1
	args = append(args, now.UnixMicro(), len(cs))
	for _, c := range cs {
		args = append(args, c.increment, c.tolerance)
	}
	if lk != nil {
		locks := 0
		if lk.perUser {
			locks = 1
		}
		args = append(args, locks, lk.most, lk.minimum, lk.maximum, lk.memory, strconv.FormatFloat(lk.factor, 'g', -1, 64), lk.steps)
	}
	n, err := l.ask(ctx, script, args)
	if err == nil && len(n) != 2 {
		err = fmt.Errorf("an answer of %d numbers", len(n))
	}
	if err == nil || ctx.Err() == nil { // else whoever asked has gone
		l.done(op, err)
	}
	if err != nil {
		return 0, 0, unavailable(ctx, err)
	}
	return n[0], n[1], nil
}

func (l redisLimiter) ask(ctx context.Context, script *redis.Script, args []any) ([]int64, error) {
	waiting, cancel := context.WithTimeoutCause(ctx, redisTimeout, errors.New("no connection to Redis in time"))
	defer cancel()
	c, err := l.pool.GetContext(waiting)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return redis.Int64s(script.Do(c, args...))
}

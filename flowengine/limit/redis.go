package limit

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/rueidis"
)

// Redis keeps buckets in Redis, one key each, which expires when the bucket is
// full. A try costs one command and is all or nothing at every moment. The keys
// of a tenant share a hash slot, so that works on a cluster too.
//
// The client owns the timeouts of connections; a command that takes longer than
// a second counts as failed.
func Redis(client rueidis.Client) Limiter { return redisLimiter{client} }

type redisLimiter struct{ client rueidis.Client }

const redisTimeout = time.Second

// Both scripts take: KEYS buckets; ARGV now, then increment and tolerance of
// each. Lua's own tostring would round a TAT to 14 digits.
var (
	// takeScript answers 0, or when to come again.
	takeScript = rueidis.NewLuaScript(`
local now, retry, tats = tonumber(ARGV[1]), 0, {}
for i, key in ipairs(KEYS) do
  local tat = math.max(tonumber(redis.call('GET', key) or 0), now) + tonumber(ARGV[2*i])
  tats[i] = tat
  if tat > now + tonumber(ARGV[2*i+1]) then retry = math.max(retry, tat - tonumber(ARGV[2*i+1])) end
end
if retry > 0 then return retry end
for i, key in ipairs(KEYS) do
  redis.call('SET', key, string.format('%.0f', tats[i]), 'PX', math.ceil((tats[i] - now) / 1000))
end
return 0`)

	refundScript = rueidis.NewLuaScript(`
local now = tonumber(ARGV[1])
for i, key in ipairs(KEYS) do
  local tat = tonumber(redis.call('GET', key) or 0) - tonumber(ARGV[2*i])
  if tat <= now then redis.call('DEL', key)
  else redis.call('SET', key, string.format('%.0f', tat), 'PX', math.ceil((tat - now) / 1000)) end
end
return 0`)
)

func (l redisLimiter) Take(ctx context.Context, tenantID string, now time.Time, buckets ...Bucket) error {
	retryAt, err := l.run(ctx, takeScript, tenantID, now, buckets)
	if err != nil || retryAt == 0 {
		return err
	}
	return limited(now, retryAt)
}

func (l redisLimiter) Refund(ctx context.Context, tenantID string, now time.Time, buckets ...Bucket) error {
	_, err := l.run(ctx, refundScript, tenantID, now, buckets)
	return err
}

// Purge has nothing to do: full buckets have expired.
func (redisLimiter) Purge(context.Context, time.Time) error { return nil }

func (l redisLimiter) run(ctx context.Context, script *rueidis.Lua, tenantID string, now time.Time, buckets []Bucket) (int64, error) {
	cs, err := cells(buckets)
	if err != nil || len(cs) == 0 {
		return 0, err
	}
	keys := make([]string, len(cs))
	args := make([]string, 1, 1+2*len(cs))
	args[0] = strconv.FormatInt(now.UnixMicro(), 10)
	for i, c := range cs {
		keys[i] = "usher:rate:{" + tenantID + "}:" + c.key
		args = append(args, strconv.FormatInt(c.increment, 10), strconv.FormatInt(c.tolerance, 10))
	}
	timed, cancel := context.WithTimeoutCause(ctx, redisTimeout, errors.New("no answer from Redis in time"))
	defer cancel()
	n, err := script.Exec(timed, l.client, keys, args).AsInt64()
	if err != nil {
		return 0, unavailable(ctx, err)
	}
	return n, nil
}

package limits

import (
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/time/rate"
)

const (
	maxBuckets = 100_000
	idleTime   = 10 * time.Minute
)

// buckets are token buckets by key.
type buckets[K comparable] struct {
	cache *otter.Cache[K, *rate.Limiter]
}

func newBuckets[K comparable]() buckets[K] {
	return buckets[K]{otter.Must(&otter.Options[K, *rate.Limiter]{MaximumSize: maxBuckets, ExpiryCalculator: otter.ExpiryAccessing[K, *rate.Limiter](idleTime)})}
}

// burst is how many tokens a bucket holds.
func burst(perSecond float64) int { return max(1, int(2*perSecond)) }

// get returns the bucket of a key at a rate, which may have changed.
func (b buckets[K]) get(now time.Time, key K, perSecond float64) *rate.Limiter {
	l, ok := b.cache.GetIfPresent(key)
	if !ok {
		l, _ = b.cache.ComputeIfAbsent(key, func() (*rate.Limiter, bool) { return rate.NewLimiter(rate.Limit(perSecond), burst(perSecond)), false })
	}
	adjust(l, now, perSecond)
	return l
}

func adjust(l *rate.Limiter, now time.Time, perSecond float64) {
	if l.Limit() != rate.Limit(perSecond) {
		l.SetLimitAt(now, rate.Limit(perSecond))
		l.SetBurstAt(now, burst(perSecond))
	}
}

// take takes one token, or none and says when there will be one.
func (b buckets[K]) take(now time.Time, key K, perSecond float64) (wait time.Duration) {
	if perSecond <= 0 {
		return 0
	}
	r := b.get(now, key, perSecond).ReserveN(now, 1)
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

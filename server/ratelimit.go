package main

import (
	"context"
	"net/netip"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	"sibyl/graph"
)

const (
	// maxBuckets bounds the callers that are remembered. One that is forgotten begins with a full bucket: who has so many
	// addresses is not held by a limit for each.
	maxBuckets = 16 << 10
	// networkBits is the part of an IPv6 address that counts: whoever has one has all of its network.
	networkBits = 64
)

// rateLimit bounds how often a caller may ask: by key, and where there are no keys by address. It is a token bucket
// for each, which fills with limit and holds burst. Safe for concurrent use.
type rateLimit struct {
	limit rate.Limit
	burst int

	mu      sync.Mutex
	buckets *simplelru.LRU[string, *rate.Limiter] // guarded by mu
}

// newRateLimit returns a limit of so many requests a second; nil, which limits nothing, where that is 0.
func newRateLimit(perSecond float64, burst int) *rateLimit {
	if perSecond == 0 {
		return nil
	}
	buckets, _ := simplelru.NewLRU[string, *rate.Limiter](maxBuckets, nil) // its error is of a size below 1
	return &rateLimit{limit: rate.Limit(perSecond), burst: burst, buckets: buckets}
}

// take lets one request of the context's caller through, or of the address, as http.Request has it, where nobody is
// known to ask; RATE_LIMITED where there are too many.
func (l *rateLimit) take(ctx context.Context, address string) error {
	if l == nil {
		return nil
	}
	bucket := l.bucket(bucketName(ctx, address))
	reservation := bucket.Reserve()
	wait := reservation.Delay()
	if wait == 0 {
		return nil
	}
	reservation.Cancel()
	return &graph.Error{Code: graph.CodeRateLimited, Message: "You ask too often; ask again later.", RetryAfter: wait}
}

func (l *rateLimit) bucket(name string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	bucket, found := l.buckets.Get(name)
	if !found {
		bucket = rate.NewLimiter(l.limit, l.burst)
		l.buckets.Add(name, bucket)
	}
	return bucket
}

// bucketName tells callers apart. Names of keys have no blanks, and addresses come after one.
func bucketName(ctx context.Context, address string) string {
	if caller := graph.CallerOf(ctx); caller != nil {
		return caller.Name
	}
	remote, err := netip.ParseAddrPort(address)
	if err != nil {
		return " " + address
	}
	ip := remote.Addr().Unmap().WithZone("")
	if ip.Is6() {
		if network, err := ip.Prefix(networkBits); err == nil {
			return " " + network.String()
		}
	}
	return " " + ip.String()
}

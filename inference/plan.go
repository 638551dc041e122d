package inference

import "time"

// batchPlan says how many of those who wait share a run. It is immutable.
type batchPlan struct {
	// most is the largest batch.
	most int
	// counts[n] is how many to take when n wait, for n from 1 to most.
	counts []int
}

// newBatchPlan makes the plan of the least time, for runs of the sizes in buckets, ascending, each of which takes the
// time beside it: five that wait run as a padded eight where that is faster than four and then one, as on a GPU, else
// as four and one, as on a CPU. most may be less than the largest bucket.
func newBatchPlan(most int, buckets []int, times []time.Duration) batchPlan {
	p := batchPlan{most: most, counts: make([]int, most+1)}
	cost := make([]time.Duration, most+1)
	for n := 1; n <= most; n++ {
		up := bucketFor(buckets, n)
		p.counts[n], cost[n] = n, times[up]
		if buckets[up] == n || up == 0 {
			continue
		}
		down := buckets[up-1]
		if split := times[up-1] + cost[n-down]; split < cost[n] {
			p.counts[n], cost[n] = down, split
		}
	}
	return p
}

// take is how many of n, at least 1, that wait are to run together.
func (p batchPlan) take(n int) int { return p.counts[min(n, p.most)] }

// bucketFor is the index of the smallest bucket that n images fit in.
func bucketFor(buckets []int, n int) int {
	i := 0
	for buckets[i] < n {
		i++
	}
	return i
}

// bucketsUpTo are 1, 2, 4 … and the limit.
func bucketsUpTo(limit int) []int {
	var buckets []int
	for n := 1; n < limit; n *= 2 {
		buckets = append(buckets, n)
	}
	return append(buckets, limit)
}

// worthwhile is what an image may take in a batch, of what it takes alone, or batching is off.
const worthwhile = 0.9

// fastestBucket is the index of the bucket whose runs take the least time for an image.
func fastestBucket(buckets []int, times []time.Duration) int {
	const better = 0.97 // less is noise
	best := 0
	for i := range times {
		if perImage(buckets, times, i) < better*perImage(buckets, times, best) {
			best = i
		}
	}
	return best
}

// worthwhileBucket is the fastest, or the first where batches gain too little.
func worthwhileBucket(buckets []int, times []time.Duration) int {
	best := fastestBucket(buckets, times)
	if perImage(buckets, times, best) > worthwhile*perImage(buckets, times, 0) {
		return 0
	}
	return best
}

func perImage(buckets []int, times []time.Duration, i int) float64 {
	return float64(times[i]) / float64(buckets[i])
}

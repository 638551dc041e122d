package metrics

import "sync"

// kept are metrics that were found before: by the texts of their labels Prometheus takes ten times as long. It has as many
// as there are series, of which none ends. The zero value is empty; safe for concurrent use.
type kept[Labels comparable, M any] struct {
	mu sync.RWMutex
	m  map[Labels]M // guarded by mu
}

func (k *kept[Labels, M]) find(labels Labels) (metric M, found bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	metric, found = k.m[labels]
	return metric, found
}

func (k *kept[Labels, M]) keep(labels Labels, metric M) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.m == nil {
		k.m = make(map[Labels]M)
	}
	k.m[labels] = metric
}

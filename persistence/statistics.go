package persistence

// Statistics are about the Store now and since it was opened.
type Statistics struct {
	// Groups counts the transactions of the group commit, and Rows the predictions in them; they only grow.
	Groups, Rows int64
	// PendingRows and PendingBytes wait for a writer.
	PendingRows, PendingBytes int
	// Connections are open, of at most MaxConnections, and Acquired of them are at work.
	Connections, Acquired, MaxConnections int
	// EmptyAcquires counts the waits for a connection because all were at work; it only grows.
	EmptyAcquires int64
	// Subscribers are the subscriptions that there are.
	Subscribers int
}

// Statistics may be asked for at any time.
func (s *Store) Statistics() Statistics {
	pool := s.pool.Stat()
	out := Statistics{
		Groups: s.writer.groups.Load(), Rows: s.writer.rows.Load(),
		Connections: int(pool.TotalConns()), Acquired: int(pool.AcquiredConns()), MaxConnections: int(pool.MaxConns()),
		EmptyAcquires: pool.EmptyAcquireCount(), Subscribers: s.listener.count(),
	}
	s.writer.mu.Lock()
	defer s.writer.mu.Unlock()
	out.PendingRows, out.PendingBytes = len(s.writer.pending), s.writer.bytes
	return out
}

package persistence

// Seams for tests.
var (
	// ServersOn is the processes of PostgreSQL that work in a database directory.
	ServersOn = serversOn
	// LockDirectory and UnlockDirectory make this process the only one that serves a data directory, and undo that.
	LockDirectory, UnlockDirectory = lockDirectory, unlockDirectory
	// MaxFailures is how many starts in a row may fail.
	MaxFailures = &maxFailures
)

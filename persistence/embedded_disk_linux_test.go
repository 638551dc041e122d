package persistence_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"sibyl/persistence"
)

// smallDisk is a directory of so many bytes, which the end of the test takes away.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755,size="+size)
	if err != nil { // which no package brings, so that CI may skip it, too
		t.Skipf("SKIPPED, missing: the right to mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fillDisk takes nearly all room of a disk until it is called.
func fillDisk(t *testing.T, disk string) (free func()) {
	t.Helper()
	var stat unix.Statfs_t
	if err := unix.Statfs(disk, &stat); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(disk, "fill"))
	if err != nil {
		t.Fatal(err)
	}
	const left = 256 << 10
	if err := unix.Fallocate(int(file.Fd()), 0, 0, int64(stat.Bavail)*stat.Bsize-left); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := errors.Join(file.Close(), os.Remove(file.Name())); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFullDisk: rows are refused as ErrUnavailable while there is no room, and stored again when there is, without a
// restart of this process; what was acknowledged is there.
func TestFullDisk(t *testing.T) {
	giveUpAfter := *persistence.MaxFailures
	*persistence.MaxFailures = 0 // it must not give up at all
	t.Cleanup(func() { *persistence.MaxFailures = giveUpAfter })
	t.Run("tables", func(t *testing.T) {
		t.Parallel()
		disk := smallDisk(t, "160m")
		e := startEmbedded(t, filepath.Join(disk, "data"))
		fullDisk(t, e, disk, true)
	})
	// PostgreSQL ends itself where it cannot write its log, and does not come up before it can.
	t.Run("log", func(t *testing.T) {
		t.Parallel()
		disk, dir := smallDisk(t, "40m"), t.TempDir()
		e := startEmbedded(t, dir)
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		log, there := filepath.Join(dir, "pgdata", "pg_wal"), filepath.Join(disk, "pg_wal")
		moveTo(t, log, there)
		fullDisk(t, startEmbedded(t, dir), disk, false)
	})
}

func fullDisk(t *testing.T, e *persistence.Embedded, disk string, readable bool) {
	if err := persistence.MigrateUp(t.Context(), e.URL()); err != nil {
		t.Fatal(err)
	}
	store := openImages(t, e.URL(), "")
	acknowledged := []*persistence.Input{keep(t, store, randomImage(t, 200_000))}
	free := fillDisk(t, disk)
	for refused := 0; refused < 3; {
		image := randomImage(t, 200_000)
		in, p := sample(image)
		err := store.Record(t.Context(), rows(in, image, p))
		switch {
		case err == nil:
			acknowledged = append(acknowledged, in)
		case errors.Is(err, persistence.ErrUnavailable), errors.Is(err, persistence.ErrStoredUnknown):
			refused++
		default:
			t.Fatalf("a full disk: %v", err)
		}
	}
	if _, err := store.Image(t.Context(), acknowledged[0].ID); readable && err != nil {
		t.Errorf("nothing can be read: %v", err)
	}
	free()
	image := randomImage(t, 200_000)
	eventually(t, "rows are stored again", func() bool {
		in, p := sample(image)
		return store.Record(t.Context(), rows(in, image, p)) == nil
	})
	for _, in := range acknowledged {
		image, err := store.Image(t.Context(), in.ID)
		if err != nil || persistence.DigestOf(image).String() != in.SHA256.String() {
			t.Errorf("%s was acknowledged: %v", in.ID, err)
		}
	}
	t.Logf("%d acknowledged", len(acknowledged))
}

// moveTo moves a directory with its owner to another disk, and leaves a link.
func moveTo(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(to, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(to, path)
		if err != nil {
			return err
		}
		var stat unix.Stat_t
		if err := unix.Stat(filepath.Join(from, relative), &stat); err != nil {
			return err
		}
		return errors.Join(os.Chown(path, int(stat.Uid), int(stat.Gid)), os.Chmod(path, os.FileMode(stat.Mode).Perm()))
	})
	if err == nil {
		err = os.RemoveAll(from)
	}
	if err == nil {
		err = os.Symlink(to, from)
	}
	if err != nil {
		t.Fatal(err)
	}
}

package persistence_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sibyl/persistence"
	"sibyl/persistence/persistencetest"
)

// identity is the ID of a database, with which it marks its image store.
func identity(t *testing.T, url string) (id string) {
	t.Helper()
	if err := connect(t, url).QueryRow(t.Context(), `SELECT id::text FROM image_stores`).Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}

// marked is what an image store is marked with; "" where it is not.
func (at imageStore) marked(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(at.mark())
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// claimFails opens a store whose images are another's, and fails where its error does not tell this, or that of one who
// only reads.
func claimFails(t *testing.T, url, images string, tells ...string) {
	t.Helper()
	store := openUnclaimed(t, url, images)
	for _, err := range []error{store.ClaimImages(t.Context()), store.CheckImages(t.Context())} {
		if !errors.Is(err, persistence.ErrOtherImages) {
			t.Fatalf("%v", err)
		}
		for _, text := range append(tells, ".sibyl with the text "+identity(t, url)) {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%v, want %q", err, text)
			}
		}
	}
}

// TestClaimImages: a database keeps to its first image store, which is no other database's.
func TestClaimImages(t *testing.T) {
	t.Parallel()
	everyObjectStore(t, func(t *testing.T, at imageStore) {
		store, url := setupImages(t, at.images)
		id := identity(t, url)
		if got := at.marked(t); got != id {
			t.Fatalf("marked with %q, want %s", got, id)
		}
		in := keep(t, store, []byte("image"))
		if _, err := openImages(t, url, at.images).Image(t.Context(), in.ID); err != nil {
			t.Errorf("another replica: %v", err)
		}
		_, other := setup(t)
		claimFails(t, other, at.images, "is another database's")
		if got := at.marked(t); got != id {
			t.Errorf("marked anew with %q", got)
		}
		empty := imageStore{dir: t.TempDir()}
		claimFails(t, url, "file://"+empty.dir, empty.dir+" has no .sibyl")
		if got := empty.marked(t); got != "" {
			t.Errorf("another store was marked with %q", got)
		}
		if err := os.Remove(at.mark()); err != nil {
			t.Fatal(err)
		}
		claimFails(t, url, at.images, "has no .sibyl")
		if err := os.WriteFile(at.mark(), []byte(id+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		openImages(t, url, at.images)
	})
}

// TestCheckImages: whoever only reads marks nothing, and waits for nobody who does.
func TestCheckImages(t *testing.T) {
	t.Parallel()
	everyObjectStore(t, func(t *testing.T, at imageStore) {
		_, url := setup(t)
		store, conn := openUnclaimed(t, url, at.images), connect(t, url)
		check := func(when string) {
			t.Helper()
			if err := store.CheckImages(t.Context()); err != nil {
				t.Errorf("%s: %v", when, err)
			}
		}
		check("a store of nobody's")
		keep(t, store, []byte("image"))
		check("one with images")
		var known bool
		if err := conn.QueryRow(t.Context(), `SELECT marked FROM image_stores`).Scan(&known); err != nil || known {
			t.Errorf("marked %t, %v", known, err)
		}
		if got := at.marked(t); got != "" {
			t.Errorf("marked with %q", got)
		}
		openImages(t, url, at.images)
		tx, err := conn.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), `SELECT id FROM image_stores FOR UPDATE`); err != nil {
			t.Fatal(err)
		}
		check("a marked one")
	})
}

// TestImagesCopiedElsewhere: with the mark, the place is the same store.
func TestImagesCopiedElsewhere(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), t.TempDir()+"/images"
	store, url := setupImages(t, "file://"+from)
	in := keep(t, store, []byte("image"))
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	if _, err := openImages(t, url, "file://"+to).Image(t.Context(), in.ID); err != nil {
		t.Error(err)
	}
}

// TestClaimUnderAPrefix: databases that share a bucket have a mark each.
func TestClaimUnderAPrefix(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, a := setupImages(t, "file://"+dir+"?prefix=a/")
	setupImages(t, "file://"+dir+"?prefix=b/")
	if got := (imageStore{dir: dir + "/a"}).marked(t); got != identity(t, a) {
		t.Errorf("a is marked with %q", got)
	}
	claimFails(t, a, "file://"+dir+"?prefix=b/", dir+"/b/ is another database's")
}

// TestClaimOfAnOlderDatabase, whose objects were written before there were marks.
func TestClaimOfAnOlderDatabase(t *testing.T) {
	t.Parallel()
	everyObjectStore(t, func(t *testing.T, at imageStore) {
		_, url := setup(t)
		store := openUnclaimed(t, url, at.images)
		lost := keep(t, store, []byte("lost"))
		keep(t, store, []byte("kept"))
		if err := os.Remove(at.path(lost.SHA256)); err != nil {
			t.Fatal(err)
		}
		empty := imageStore{dir: t.TempDir()}
		claimFails(t, url, "file://"+empty.dir, empty.dir+" has not the images of this database")
		if got := empty.marked(t); got != "" {
			t.Errorf("another store was marked with %q", got)
		}
		openImages(t, url, at.images)
		if got, want := at.marked(t), identity(t, url); got != want {
			t.Errorf("marked with %q, want %s", got, want)
		}
	})
}

// TestClaimByManyAtOnce marks the store once, also where one was killed before the database knew.
func TestClaimByManyAtOnce(t *testing.T) {
	t.Parallel()
	at := imageStore{dir: t.TempDir()}
	_, url := setup(t)
	stores := make([]*persistence.Store, 8)
	for i := range stores {
		stores[i] = openUnclaimed(t, url, "file://"+at.dir)
	}
	for range 2 {
		var claiming sync.WaitGroup
		for _, store := range stores {
			claiming.Go(func() {
				if err := store.ClaimImages(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		claiming.Wait()
		if got, want := at.marked(t), identity(t, url); got != want {
			t.Errorf("marked with %q, want %s", got, want)
		}
		if _, err := connect(t, url).Exec(t.Context(), `UPDATE image_stores SET marked = false`); err != nil {
			t.Fatal(err)
		}
	}
}

// TestClaimOfUnreachableImages tells what is away.
func TestClaimOfUnreachableImages(t *testing.T) {
	t.Parallel()
	s3 := persistencetest.StartS3(t)
	_, url := setup(t)
	store := openUnclaimed(t, url, s3.URL)
	s3.Stop()
	if err := store.ClaimImages(t.Context()); !errors.Is(err, persistence.ErrImagesUnavailable) {
		t.Errorf("the object store: %v", err)
	}
	if err := store.ImagesInPlace(t.Context()); err != nil {
		t.Errorf("no directory of this machine: %v", err)
	}
	if err := store.CheckImages(t.Context()); !errors.Is(err, persistence.ErrImagesUnavailable) {
		t.Errorf("the object store: %v", err)
	}
	s3.Start(t)
	if err := store.ClaimImages(t.Context()); err != nil {
		t.Errorf("it is back: %v", err)
	}
	empty := openUnclaimed(t, persistencetest.Database(t), s3.URL)
	if err := empty.ClaimImages(t.Context()); !errors.Is(err, persistence.ErrUnavailable) {
		t.Errorf("a database without schema: %v", err)
	}
	plain := openUnclaimed(t, url, "")
	if err := errors.Join(plain.ClaimImages(t.Context()), plain.CheckImages(t.Context())); err != nil {
		t.Errorf("no object store: %v", err)
	}
}

// TestDiskGoesAway: its directory is there still, empty, as a mount point is. Nothing is written to it.
func TestDiskGoesAway(t *testing.T) {
	t.Parallel()
	at := imageStore{dir: t.TempDir()}
	store, _ := setupImages(t, "file://"+at.dir)
	before := keep(t, store, []byte("before"))
	disk := t.TempDir()
	move := func(from, to string) {
		t.Helper()
		for _, name := range []string{".sibyl", "sha256"} {
			if err := os.Rename(filepath.Join(from, name), filepath.Join(to, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	move(at.dir, disk)
	in, p := sample([]byte("image"))
	if err := store.Record(t.Context(), rows(in, []byte("image"), p)); !errors.Is(err, persistence.ErrImagesUnavailable) {
		t.Errorf("Record: %v", err)
	}
	if err := store.ImagesReady(t.Context()); !errors.Is(err, persistence.ErrImagesUnavailable) {
		t.Errorf("ImagesReady: %v", err)
	}
	if err := store.ImagesInPlace(t.Context()); !errors.Is(err, persistence.ErrImagesUnavailable) {
		t.Errorf("ImagesInPlace: %v", err)
	}
	if _, err := store.Image(t.Context(), before.ID); !errors.Is(err, persistence.ErrImagesUnavailable) {
		t.Errorf("Image: %v", err)
	}
	if left := at.files(t); len(left) > 0 {
		t.Errorf("written where the disk is not: %v", left)
	}
	move(disk, at.dir)
	keep(t, store, []byte("image"))
	if err := store.ImagesInPlace(t.Context()); err != nil {
		t.Errorf("it is back: %v", err)
	}
	if _, err := store.Image(t.Context(), before.ID); err != nil {
		t.Errorf("it is back: %v", err)
	}
}

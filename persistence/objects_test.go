package persistence_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sibyl/persistence"
	"sibyl/persistence/persistencetest"
)

// imageStore is a place of images, as the same tests see it.
type imageStore struct {
	// images is the URL; empty for the database.
	images string
	// dir has the files of its objects; empty for the database.
	dir string
}

// everyImageStore runs a test on each place of images.
func everyImageStore(t *testing.T, test func(t *testing.T, at imageStore)) {
	t.Run("database", func(t *testing.T) {
		t.Parallel()
		test(t, imageStore{})
	})
	everyObjectStore(t, test)
}

func everyObjectStore(t *testing.T, test func(t *testing.T, at imageStore)) {
	t.Run("file", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		test(t, imageStore{images: "file://" + dir, dir: dir})
	})
	t.Run("s3", func(t *testing.T) {
		t.Parallel()
		s3 := persistencetest.StartS3(t)
		test(t, imageStore{images: s3.URL, dir: s3.Dir})
	})
}

// setupImages opens a store on a fresh database whose images go to a place.
func setupImages(t *testing.T, images string) (*persistence.Store, string) {
	t.Helper()
	plain, url := setup(t)
	if images == "" {
		return plain, url
	}
	return openImages(t, url, images), url
}

// openImages opens a store as a server does.
func openImages(t *testing.T, url, images string) *persistence.Store {
	t.Helper()
	store := openUnclaimed(t, url, images)
	if err := store.ClaimImages(t.Context()); err != nil {
		t.Fatal(err)
	}
	return store
}

func openUnclaimed(t *testing.T, url, images string) *persistence.Store {
	t.Helper()
	store, err := persistence.Open(t.Context(), url, persistence.Options{Images: images})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store
}

// keep stores an image with a prediction.
func keep(t *testing.T, store *persistence.Store, image []byte) *persistence.Input {
	t.Helper()
	in, p := sample(image)
	if err := store.Record(t.Context(), rows(in, image, p)); err != nil {
		t.Fatal(err)
	}
	return in
}

// mark is the file that says whose store it is.
func (at imageStore) mark() string { return filepath.Join(at.dir, ".sibyl") }

// files are those of the objects, by key, without the mark.
func (at imageStore) files(t *testing.T) map[string]fs.FileInfo {
	t.Helper()
	files := map[string]fs.FileInfo{}
	err := filepath.WalkDir(at.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path == at.mark() {
			return err
		}
		key, _ := filepath.Rel(at.dir, path)
		files[key], err = entry.Info()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// path is the file of an image.
func (at imageStore) path(digest persistence.Digest) string {
	hex := digest.String()
	return filepath.Join(at.dir, "sha256", hex[:2], hex[2:])
}

// age makes an object older than it is.
func (at imageStore) age(t *testing.T, digest persistence.Digest, by time.Duration) {
	t.Helper()
	then := time.Now().Add(-by)
	if err := os.Chtimes(at.path(digest), then, then); err != nil {
		t.Fatal(err)
	}
}

func (at imageStore) has(digest persistence.Digest) bool {
	_, err := os.Stat(at.path(digest))
	return err == nil
}

func randomImage(t *testing.T, size int) []byte {
	t.Helper()
	image := make([]byte, size)
	_, _ = rand.Read(image)
	return image
}

func TestImagesAreReadFromWhereTheyAre(t *testing.T) {
	t.Parallel()
	everyImageStore(t, func(t *testing.T, at imageStore) {
		store, url := setupImages(t, at.images)
		want := persistence.StoredInDatabase
		if at.images != "" {
			want = persistence.StoredInObjects
		}
		small, large := randomImage(t, 300), randomImage(t, 3*persistence.ImagePiece+17)
		var ids []persistence.InputID
		for _, image := range [][]byte{small, large, small} {
			in := keep(t, store, image)
			ids = append(ids, in.ID)
			got, err := store.Input(t.Context(), in.ID)
			if err != nil || got.StoredIn != want || in.StoredIn != want {
				t.Errorf("stored in %s, %v", got.StoredIn, err)
			}
			if got, err := store.Image(t.Context(), in.ID); err != nil || !bytes.Equal(got, image) {
				t.Errorf("%d bytes, %v; want %d", len(got), err, len(image))
			}
		}
		missing := persistence.NewInputID()
		images, err := store.ImagesByID(t.Context(), append(ids, missing))
		if err != nil || len(images) != 3 || images[missing] != nil {
			t.Fatalf("%d images, %v", len(images), err)
		}
		for i, image := range [][]byte{small, large, small} {
			if got := images[ids[i]]; got.Err != nil || !bytes.Equal(got.Bytes, image) {
				t.Errorf("image %d: %d bytes, %v", i, len(got.Bytes), got.Err)
			}
		}
		if at.images != "" && len(at.files(t)) != 2 {
			t.Errorf("the same image twice and another are %d objects", len(at.files(t)))
		}
		removed := ids[0]
		_, err = connect(t, url).Exec(t.Context(),
			`UPDATE inputs SET stored_in = 'removed', image = NULL WHERE id = $1`, removed)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := store.Image(t.Context(), removed); !errors.Is(err, persistence.ErrImageRemoved) {
			t.Errorf("removed: %v", err)
		}
		if _, err := store.OpenImage(t.Context(), removed, 0); !errors.Is(err, persistence.ErrImageRemoved) {
			t.Errorf("removed: %v", err)
		}
		if _, err := store.OpenImage(t.Context(), missing, 0); !errors.Is(err, persistence.ErrNotFound) {
			t.Errorf("missing: %v", err)
		}
	})
}

func TestOpenImage(t *testing.T) {
	t.Parallel()
	everyImageStore(t, func(t *testing.T, at imageStore) {
		store, _ := setupImages(t, at.images)
		for _, size := range []int{1, 100, persistence.ImagePiece, persistence.ImagePiece + 1, 2*persistence.ImagePiece + 5} {
			image := randomImage(t, size)
			id := keep(t, store, image).ID
			for _, from := range []int64{0, 1, int64(size) - 1, int64(size), int64(size) + 1, 1 << 40, -1} {
				r, err := store.OpenImage(t.Context(), id, from)
				if err != nil {
					t.Fatalf("%d from %d: %v", size, from, err)
				}
				got, err := io.ReadAll(r)
				if begin := min(max(from, 0), int64(size)); err != nil || !bytes.Equal(got, image[begin:]) {
					t.Errorf("%d from %d: %d bytes, %v", size, from, len(got), err)
				}
				// As http.ServeContent does for several ranges.
				for _, begin := range []int64{0, int64(size) / 2, int64(size) - 1, 0} {
					if end, err := r.Seek(0, io.SeekEnd); err != nil || end != int64(size) {
						t.Errorf("%d: the end is at %d, %v", size, end, err)
					}
					if _, err := r.Seek(begin, io.SeekStart); err != nil {
						t.Error(err)
					}
					part := make([]byte, min(10, int64(size)-begin))
					if _, err := io.ReadFull(r, part); err != nil || !bytes.Equal(part, image[begin:begin+int64(len(part))]) {
						t.Errorf("%d at %d: %v", size, begin, err)
					}
				}
				if err := errors.Join(r.Close(), r.Close()); err != nil {
					t.Error(err)
				}
			}
		}
	})
}

// TestImagesOfOtherStores: whatever --images says now, what was stored before stays readable, or says why it is not.
func TestImagesOfOtherStores(t *testing.T) {
	t.Parallel()
	everyObjectStore(t, func(t *testing.T, at imageStore) {
		plain, url := setup(t)
		inDatabase := keep(t, plain, []byte("one"))
		store := openImages(t, url, at.images)
		inObjects := keep(t, store, []byte("two"))
		if image, err := store.Image(t.Context(), inDatabase.ID); err != nil || string(image) != "one" {
			t.Errorf("%s, %v", image, err)
		}
		images, err := plain.ImagesByID(t.Context(), []persistence.InputID{inDatabase.ID, inObjects.ID})
		if err != nil {
			t.Fatal(err)
		}
		if got := images[inDatabase.ID]; got.Err != nil || string(got.Bytes) != "one" {
			t.Errorf("%+v", got)
		}
		if got := images[inObjects.ID]; !errors.Is(got.Err, persistence.ErrNoImageStore) {
			t.Errorf("%+v", got)
		}
		if _, err := plain.OpenImage(t.Context(), inObjects.ID, 0); !errors.Is(err, persistence.ErrNoImageStore) {
			t.Error(err)
		}
		if _, err := plain.CollectObjects(t.Context(), 0); !errors.Is(err, persistence.ErrNoImageStore) {
			t.Error(err)
		}
		if err := os.Remove(at.path(inObjects.SHA256)); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Image(t.Context(), inObjects.ID); !errors.Is(err, persistence.ErrImageDamaged) {
			t.Errorf("an object that is lost: %v", err)
		}
		if _, err := store.OpenImage(t.Context(), inObjects.ID, 0); !errors.Is(err, persistence.ErrImageDamaged) {
			t.Errorf("an object that is lost: %v", err)
		}
	})
}

// TestManyRecordsWithObjects: each image is one object, however many send it at a time.
func TestManyRecordsWithObjects(t *testing.T) {
	t.Parallel()
	everyObjectStore(t, func(t *testing.T, at imageStore) {
		store, _ := setupImages(t, at.images)
		var recorders sync.WaitGroup
		for i := range 200 {
			recorders.Go(func() { keep(t, store, []byte{byte(i % 20)}) })
		}
		recorders.Wait()
		together := make([]*persistence.Record, 30)
		for i := range together {
			image := []byte{byte(i % 15), 1}
			in, p := sample(image)
			together[i] = rows(in, image, p)
		}
		if err := store.RecordTogether(t.Context(), together); err != nil {
			t.Fatal(err)
		}
		if n, err := store.CountInputs(t.Context(), persistence.InputFilter{}); err != nil || n != 230 {
			t.Errorf("%d inputs, %v", n, err)
		}
		if files := at.files(t); len(files) != 35 {
			t.Errorf("%d objects of 35 images", len(files))
		}
		for _, r := range together {
			if image, err := store.Image(t.Context(), r.Input.ID); err != nil || !bytes.Equal(image, r.Image) {
				t.Errorf("%v, %v", image, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := store.RecordTogether(ctx, together); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller that has gone: %v", err)
		}
	})
}

// TestCollectObjects: what no row refers to goes, once it is old; whatever is young or referred to stays.
func TestCollectObjects(t *testing.T) {
	t.Parallel()
	everyObjectStore(t, func(t *testing.T, at imageStore) {
		store, url := setupImages(t, at.images)
		const old = persistence.CollectAge + time.Minute
		wanted, shared, removed := keep(t, store, []byte("wanted")), keep(t, store, []byte("shared")),
			keep(t, store, []byte("removed"))
		twin := keep(t, store, []byte("shared"))
		orphan, young := keep(t, store, []byte("orphan")), keep(t, store, []byte("young"))
		for _, in := range []*persistence.Input{wanted, shared, removed, orphan} {
			at.age(t, in.SHA256, old)
		}
		for _, in := range []*persistence.Input{twin, orphan, young} {
			if _, err := store.DeleteInput(t.Context(), in.ID); err != nil {
				t.Fatal(err)
			}
		}
		_, err := connect(t, url).Exec(t.Context(), `UPDATE inputs SET stored_in = 'removed' WHERE id = $1`, removed.ID)
		if err != nil {
			t.Fatal(err)
		}
		strange := filepath.Join(at.dir, "sha256", orphan.SHA256.String()[:2], "strange")
		if err := os.WriteFile(strange, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		then := time.Now().Add(-old)
		if err := os.Chtimes(strange, then, then); err != nil {
			t.Fatal(err)
		}
		if n, err := store.CollectObjects(t.Context(), 2*old); err != nil || n != 0 {
			t.Errorf("older than any: %d, %v", n, err)
		}
		if n, err := store.CollectObjects(t.Context(), 0); err != nil || n != 2 {
			t.Errorf("%d, %v; want the orphan and the removed one", n, err)
		}
		for name, row := range map[string]struct {
			in   *persistence.Input
			kept bool
		}{
			"wanted": {wanted, true}, "shared": {shared, true}, "removed": {removed, false},
			"orphan": {orphan, false}, "young": {young, true},
		} {
			if at.has(row.in.SHA256) != row.kept {
				t.Errorf("%s: kept %t", name, !row.kept)
			}
		}
		if _, err := os.Stat(strange); err != nil {
			t.Errorf("what is no object of ours: %v", err)
		}
		if n, err := store.CollectObjects(t.Context(), 0); err != nil || n != 0 {
			t.Errorf("again: %d, %v", n, err)
		}
	})
}

// TestUnfinishedFilesAreCollected are those of writers that were killed.
func TestUnfinishedFilesAreCollected(t *testing.T) {
	t.Parallel()
	at := imageStore{dir: t.TempDir()}
	store, _ := setupImages(t, "file://"+at.dir)
	in := keep(t, store, []byte("image"))
	then := time.Now().Add(-2 * persistence.CollectAge)
	for name, age := range map[string]time.Time{".17f.tmp": then, ".18f.tmp": time.Now()} {
		if err := os.WriteFile(at.path(in.SHA256)+name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(at.path(in.SHA256)+name, age, age); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := store.CollectObjects(t.Context(), 0); err != nil || n != 1 || len(at.files(t)) != 2 {
		t.Errorf("%d, %v: %v", n, err, at.files(t))
	}
}

// TestOldObjectsAreWrittenAgain, so that no collector takes them from under a row that is about to commit.
func TestOldObjectsAreWrittenAgain(t *testing.T) {
	t.Parallel()
	everyObjectStore(t, func(t *testing.T, at imageStore) {
		store, _ := setupImages(t, at.images)
		in := keep(t, store, []byte("image"))
		written := at.files(t)
		keep(t, store, []byte("image"))
		for key, file := range at.files(t) {
			if !file.ModTime().Equal(written[key].ModTime()) {
				t.Errorf("a young object was written again")
			}
		}
		if err := os.WriteFile(at.path(in.SHA256), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		again := keep(t, store, []byte("image"))
		if image, err := store.Image(t.Context(), again.ID); err != nil || string(image) != "image" {
			t.Errorf("one that was cut off: %s, %v", image, err)
		}
		at.age(t, in.SHA256, persistence.RefreshAge+time.Minute)
		keep(t, store, []byte("image"))
		if file := at.files(t); time.Since(file[keyOfObject(in.SHA256)].ModTime()) > persistence.RefreshAge {
			t.Error("an old object was relied on")
		}
	})
}

func keyOfObject(digest persistence.Digest) string {
	return strings.TrimPrefix(imageStore{}.path(digest), "/")
}

// TestCollectBesideWriters has objects die, be collected and be wanted again at the same time. Each row must have its
// image.
func TestCollectBesideWriters(t *testing.T) {
	t.Parallel()
	everyObjectStore(t, func(t *testing.T, at imageStore) {
		store, url := setupImages(t, at.images)
		other := openImages(t, url, at.images)
		stop := make(chan struct{})
		var collecting, writing sync.WaitGroup
		collected := 0
		collecting.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				n, err := other.CollectObjects(t.Context(), 0)
				if collected += n; err != nil {
					t.Error(err)
				}
			}
		})
		for i := range 8 {
			writing.Go(func() {
				image := []byte{byte(i)}
				for range 30 {
					in := keep(t, store, image)
					if got, err := store.Image(t.Context(), in.ID); err != nil || !bytes.Equal(got, image) {
						t.Errorf("a row without its image: %v", err)
					}
					if _, err := store.DeleteInput(t.Context(), in.ID); err != nil {
						t.Error(err)
					}
					then := time.Now().Add(-2 * persistence.CollectAge)
					_ = os.Chtimes(at.path(in.SHA256), then, then)
				}
			})
		}
		writing.Wait()
		close(stop)
		collecting.Wait()
		t.Logf("%d collected", collected)
	})
}

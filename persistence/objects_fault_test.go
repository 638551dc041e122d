package persistence_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sibyl/persistence"
	"sibyl/persistence/persistencetest"
)

func TestImagesURL(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"s3://bucket": "", "gs://bucket?prefix=a/": "", "azblob://container": "", "file:///a/b": "", "file://./a": "",
		"": "scheme", "bucket": "scheme", "ftp://geheim@host/x": "ftp", "mem://": "mem", "s3://": "names no bucket",
		"s3:bucket": "names no bucket", "file://": "names no directory", "file:///": "names no directory",
		"postgres://me:geheim@db/x": "postgres", "s3://geheim\x7f": "not a URL", ":geheim": "not a URL",
	} {
		err := persistence.CheckImagesURL(url)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", url, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "geheim") {
			t.Errorf("%q is shown: %v", url, err)
		}
	}
}

// refused opens a store whose images cannot be reached.
func refused(t *testing.T, database, images string) error {
	t.Helper()
	store, err := persistence.Open(t.Context(), database, persistence.Options{Images: images})
	if err == nil {
		store.Close()
		t.Fatalf("%s was opened", images)
	}
	return err
}

func TestOpenWithoutReachableImages(t *testing.T) {
	t.Parallel()
	url := persistencetest.Database(t)
	for images, want := range map[string]string{
		"nonsense://x":                         "nonsense",
		"file://" + t.TempDir() + "/not/there": "image store",
		"file://" + t.TempDir() + "?geheim=1":  "geheim", // it names the parameter that it does not know
	} {
		err := refused(t, url, images)
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), images) {
			t.Errorf("%s: %v", images, err)
		}
	}
}

func TestOpenWithUnreachableS3(t *testing.T) {
	s3 := persistencetest.StartS3(t)
	url := persistencetest.Database(t)
	if err := refused(t, url, strings.Replace(s3.URL, "s3://images", "s3://another", 1)); !strings.Contains(err.Error(),
		"NoSuchBucket") || !errors.Is(err, persistence.ErrImagesUnavailable) {
		t.Errorf("no bucket: %v", err)
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", "geheim")
	if err := refused(t, url, s3.URL); !errors.Is(err, persistence.ErrImagesUnavailable) ||
		!strings.Contains(err.Error(), "SignatureDoesNotMatch") || strings.Contains(err.Error(), "geheim") {
		t.Errorf("wrong secret: %v", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "nobody")
	if err := refused(t, url, s3.URL); !errors.Is(err, persistence.ErrImagesUnavailable) {
		t.Errorf("wrong key: %v", err)
	}
	s3.Stop()
	if err := refused(t, url, s3.URL); !errors.Is(err, persistence.ErrImagesUnavailable) {
		t.Errorf("no server: %v", err)
	}
}

// TestLostObjectStore: nothing is stored while it is away, and all works again when it is back.
func TestLostObjectStore(t *testing.T) {
	t.Parallel()
	s3 := persistencetest.StartS3(t)
	store, url := setupImages(t, s3.URL)
	plain, err := persistence.Open(t.Context(), url, persistence.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(plain.Close)
	before := keep(t, store, []byte("before"))
	inDatabase := keep(t, plain, []byte("in the database"))
	s3.Stop()
	in, p := sample([]byte("lost"))
	if err := store.Record(t.Context(), rows(in, []byte("lost"), p)); !errors.Is(err, persistence.ErrImagesUnavailable) {
		t.Errorf("Record: %v", err)
	}
	together := []*persistence.Record{rows(in, []byte("lost"), p)}
	if err := store.RecordTogether(t.Context(), together); !errors.Is(err, persistence.ErrImagesUnavailable) {
		t.Errorf("RecordTogether: %v", err)
	}
	if _, err := store.Input(t.Context(), in.ID); !errors.Is(err, persistence.ErrNotFound) {
		t.Errorf("the input of a lost image: %v", err)
	}
	if _, err := store.CollectObjects(t.Context(), 0); !errors.Is(err, persistence.ErrImagesUnavailable) {
		t.Errorf("CollectObjects: %v", err)
	}
	images, err := store.ImagesByID(t.Context(), []persistence.InputID{before.ID, inDatabase.ID})
	if err != nil || !errors.Is(images[before.ID].Err, persistence.ErrImagesUnavailable) ||
		string(images[inDatabase.ID].Bytes) != "in the database" {
		t.Errorf("%+v, %v", images, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := store.Record(ctx, rows(in, []byte("lost"), p)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a deadline: %v", err)
	}
	// A prediction of a stored image needs no object store to be stored.
	if err := store.Record(t.Context(), &persistence.Record{Prediction: again(before)}); err != nil {
		t.Error(err)
	}
	s3.Start(t)
	if err := store.Record(t.Context(), rows(in, []byte("lost"), p)); err != nil {
		t.Errorf("after it came back: %v", err)
	}
	for _, stored := range []*persistence.Input{before, in} {
		if _, err := store.Image(t.Context(), stored.ID); err != nil {
			t.Errorf("after it came back: %v", err)
		}
	}
}

// again is another prediction of a stored input.
func again(in *persistence.Input) *persistence.Prediction {
	_, p := sample(nil)
	p.InputID = in.ID
	return p
}

// TestObjectStoreLostInMidRun: what is acknowledged is whole, and what is not is not there.
func TestObjectStoreLostInMidRun(t *testing.T) {
	t.Parallel()
	s3 := persistencetest.StartS3(t)
	store, _ := setupImages(t, s3.URL)
	stop := make(chan struct{})
	var recorders sync.WaitGroup
	var mu sync.Mutex
	outcomes := map[persistence.InputID]error{}
	for range 8 {
		recorders.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				image := randomImage(t, 50_000)
				in, p := sample(image)
				err := store.Record(context.Background(), rows(in, image, p))
				mu.Lock()
				outcomes[in.ID] = err
				mu.Unlock()
			}
		})
	}
	count := func(refused bool) (n int) {
		mu.Lock()
		defer mu.Unlock()
		for _, outcome := range outcomes {
			if (outcome != nil) == refused {
				n++
			}
		}
		return n
	}
	for range 2 {
		for n := count(false); count(false) < n+20; {
			time.Sleep(time.Millisecond)
		}
		s3.Stop()
		for n := count(true); count(true) < n+2; {
			time.Sleep(time.Millisecond)
		}
		s3.Start(t)
	}
	close(stop)
	recorders.Wait()
	for id, outcome := range outcomes {
		_, err := store.Image(t.Context(), id)
		switch {
		case outcome == nil && err != nil:
			t.Errorf("acknowledged, but: %v", err)
		case outcome != nil && (!errors.Is(err, persistence.ErrNotFound) || !errors.Is(outcome, persistence.ErrImagesUnavailable)):
			t.Errorf("refused with %v, but: %v", outcome, err)
		}
	}
	t.Logf("%d acknowledged, %d refused", count(false), count(true))
}

// TestFullDirectory: a directory that cannot be written to is an object store that is lost.
func TestFullDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, _ := setupImages(t, "file://"+dir)
	if err := os.WriteFile(dir+"/sha256", nil, 0o600); err != nil { // where a directory should be
		t.Fatal(err)
	}
	in, p := sample([]byte("image"))
	if err := store.Record(t.Context(), rows(in, []byte("image"), p)); !errors.Is(err, persistence.ErrImagesUnavailable) {
		t.Errorf("%v", err)
	}
	if err := os.Remove(dir + "/sha256"); err != nil {
		t.Fatal(err)
	}
	keep(t, store, []byte("image"))
}

// TestDirectoryGoesAway: it is not made anew while it is away, and nothing is stored.
func TestDirectoryGoesAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/images"
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	store, url := setupImages(t, "file://"+dir)
	if err := store.ImagesReady(t.Context()); err != nil {
		t.Errorf("empty: %v", err)
	}
	plain := openImages(t, url, "")
	if err := plain.ImagesReady(t.Context()); err != nil {
		t.Errorf("no object is stored: %v", err)
	}
	before := keep(t, store, []byte("before"))
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	in, p := sample([]byte("image"))
	if err := store.Record(t.Context(), rows(in, []byte("image"), p)); !errors.Is(err, persistence.ErrImagesUnavailable) {
		t.Errorf("Record: %v", err)
	}
	if _, err := store.Input(t.Context(), in.ID); !errors.Is(err, persistence.ErrNotFound) {
		t.Errorf("the input of a lost image: %v", err)
	}
	if _, err := store.Image(t.Context(), before.ID); !errors.Is(err, persistence.ErrImagesUnavailable) {
		t.Errorf("Image: %v", err)
	}
	if err := store.ImagesReady(t.Context()); !errors.Is(err, persistence.ErrImagesUnavailable) {
		t.Errorf("ImagesReady: %v", err)
	}
	if err := plain.ImagesReady(t.Context()); !errors.Is(err, persistence.ErrNoImageStore) {
		t.Errorf("ImagesReady of a store without: %v", err)
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatalf("it was made anew: %v", err)
	}
	keep(t, store, []byte("image"))
	if _, err := store.Image(t.Context(), before.ID); err != nil {
		t.Errorf("after it came back: %v", err)
	}
}

// TestDamagedObject: what is not what was written is never given whole.
func TestDamagedObject(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, _ := setupImages(t, "file://"+dir)
	for name, damage := range map[string]func([]byte) []byte{
		"shortened": func(b []byte) []byte { return b[:len(b)-1] },
		"longer":    func(b []byte) []byte { return append(b, 0) },
		"changed":   func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"emptied":   func([]byte) []byte { return nil },
	} {
		for _, size := range []int{100, 3 << 20} {
			image := randomImage(t, size)
			in := keep(t, store, image)
			hex := in.SHA256.String()
			file := filepath.Join(dir, "sha256", hex[:2], hex[2:])
			if err := os.WriteFile(file, damage(bytes.Clone(image)), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := store.Image(t.Context(), in.ID); !errors.Is(err, persistence.ErrImageDamaged) {
				t.Errorf("%s, %d bytes: %v", name, size, err)
			}
			read := 0
			r, err := store.OpenImage(t.Context(), in.ID, 0)
			if err == nil {
				var all []byte
				all, err = io.ReadAll(r)
				read = len(all)
				_ = r.Close()
			}
			if !errors.Is(err, persistence.ErrImageDamaged) || read >= size-1 {
				t.Errorf("%s, %d bytes: %d bytes were read, then %v", name, size, read, err)
			}
		}
	}
}

// TestObjectThatIsGone is damage, where the store is there: to try again would not help.
func TestObjectThatIsGone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, _ := setupImages(t, "file://"+dir)
	in := keep(t, store, randomImage(t, 100))
	hex := in.SHA256.String()
	if err := os.Remove(filepath.Join(dir, "sha256", hex[:2], hex[2:])); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Image(t.Context(), in.ID); !errors.Is(err, persistence.ErrImageDamaged) {
		t.Error(err)
	}
	for _, from := range []int64{0, 50} {
		if _, err := store.OpenImage(t.Context(), in.ID, from); !errors.Is(err, persistence.ErrImageDamaged) {
			t.Errorf("from %d: %v", from, err)
		}
	}
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Image(t.Context(), in.ID); !errors.Is(err, persistence.ErrImagesUnavailable) {
		t.Errorf("a store that is away: %v", err)
	}
}

// TestPartsOfDamagedObjects: an object of another size is told before any part of it is given. Of one of the same size
// that is larger than a piece, parts are given as they are, which the documentation tells.
func TestPartsOfDamagedObjects(t *testing.T) {
	t.Parallel()
	everyObjectStore(t, func(t *testing.T, at imageStore) {
		store, _ := setupImages(t, at.images)
		const size = 2*persistence.ImagePiece + 100
		image := randomImage(t, size)
		in := keep(t, store, image)
		for name, object := range map[string][]byte{
			"shortened": image[:size/2], "without its last byte": image[:size-1], "longer": append(bytes.Clone(image), 0),
			"empty": nil,
		} {
			if err := os.WriteFile(at.path(in.SHA256), object, 0o600); err != nil {
				t.Fatal(err)
			}
			for _, from := range []int64{0, 1, size/2 - 1, size / 2, size - 1} {
				r, err := store.OpenImage(t.Context(), in.ID, from)
				if !errors.Is(err, persistence.ErrImageDamaged) {
					t.Errorf("%s, from %d: %v", name, from, err)
				}
				if err == nil {
					_ = r.Close()
				}
			}
		}
		changed := bytes.Clone(image)
		changed[size/2] ^= 1
		if err := os.WriteFile(at.path(in.SHA256), changed, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := store.OpenImage(t.Context(), in.ID, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.Close() }()
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, changed[1:]) {
			t.Errorf("a part: %d bytes, %v", len(got), err)
		}
		if _, err := r.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); !errors.Is(err, persistence.ErrImageDamaged) || len(got) >= size {
			t.Errorf("the whole: %d bytes, %v", len(got), err)
		}
	})
}

// TestOutcomeTimeout grows with what the database has to write.
func TestOutcomeTimeout(t *testing.T) {
	t.Parallel()
	for bytes, want := range map[int64]time.Duration{
		0: 5 * time.Second, 8 << 20: 5 * time.Second, 208 << 20: 25 * time.Second,
	} {
		if got := persistence.OutcomeTimeout(bytes); got != want {
			t.Errorf("%d bytes: %s, want %s", bytes, got, want)
		}
	}
}

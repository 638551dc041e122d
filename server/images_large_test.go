package main_test

import (
	"bytes"
	"crypto/sha256"
	byteorder "encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"testing"

	"sibyl/persistence"
	"sibyl/persistence/persistencetest"
)

// largeImageBytes is what a large image has at least.
const largeImageBytes = 128 << 20

// largeImage is a PNG of few pixels and a chunk that decoders pass over, whose bytes are nowhere the same.
func largeImage() []byte {
	const head = 8 + 25 // the signature and the chunk IHDR
	small := digit()
	image := make([]byte, head, len(small)+12+largeImageBytes)
	copy(image, small)
	image = byteorder.BigEndian.AppendUint32(image, largeImageBytes)
	chunk := len(image)
	image = append(image, "siBl"...) // ancillary, private, safe to copy
	image = image[:len(image)+largeImageBytes]
	_, _ = rand.NewChaCha8([32]byte{}).Read(image[chunk+4:])
	image = byteorder.BigEndian.AppendUint32(image, crc32.ChecksumIEEE(image[chunk:]))
	return append(image, small[head:]...)
}

// TestLargeImage predicts a file many times larger than the pieces it is read in, and has the whole and parts of it back
// from a server that has not seen it before, which never holds all of it.
func TestLargeImage(t *testing.T) {
	t.Parallel()
	file := largeImage()
	for name, images := range map[string]func(*testing.T) string{
		"database": func(*testing.T) string { return "" },
		"file":     func(t *testing.T) string { return "file://" + t.TempDir() },
		"s3":       func(t *testing.T) string { return persistencetest.StartS3(t).URL },
	} {
		t.Run(name, func(t *testing.T) {
			arguments := []string{
				"--database-url", persistencetest.Database(t), "--images", images(t), "--timeout", "10m",
				"--max-upload-bytes", "256MiB", "--max-request-bytes", "300MiB", "--statement-timeout", "10m",
			}
			data := t.TempDir()
			first := startProcess(t, data, arguments...)
			path := first.predictLarge(t, file)
			if err := first.stop(t); err != nil {
				t.Fatal(err)
			}
			second := startProcess(t, data, arguments...)
			before := second.peakMemory(t)
			second.fetchLarge(t, path, file)
			// What is read from the database becomes garbage, of which there may be some.
			if grown := second.peakMemory(t) - before; grown > int64(len(file))*3/4 {
				t.Errorf("the server has taken %d MiB to send an image of %d MiB", grown>>20, len(file)>>20)
			}
		})
	}
}

// predictLarge sends a file without another copy of it, and returns the path of its image.
func (p *process) predictLarge(t *testing.T, file []byte) string {
	t.Helper()
	const place = "the file"
	body, contentType := uploadBody(
		`mutation ($image: Upload!) { predict(image: $image) { likelyClass { name } input { image { url byteSize } } } }`,
		[]byte(place))
	before, after, _ := bytes.Cut(body, []byte(place))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/graphql",
		io.MultiReader(bytes.NewReader(before), bytes.NewReader(file), bytes.NewReader(after)))
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = int64(len(before) + len(file) + len(after))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("GraphQL-Require-Preflight", "1")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatalf("%v\n%s", err, p.logged())
	}
	defer func() { _ = resp.Body.Close() }()
	var predicted struct {
		LikelyClass struct{ Name string }
		Input       struct {
			Image struct {
				URL      string
				ByteSize int
			}
		}
	}
	answer := readResult(t, resp)
	if err := json.Unmarshal(answer.Data["predict"], &predicted); err != nil || predicted.LikelyClass.Name != "1" ||
		predicted.Input.Image.ByteSize != len(file) {
		t.Fatalf("%v: %+v\n%s", err, answer, p.logged())
	}
	return predicted.Input.Image.URL
}

// fetchLarge asks for the whole image and for parts, and compares them with the file.
func (p *process) fetchLarge(t *testing.T, path string, file []byte) {
	t.Helper()
	size, middle := len(file), len(file)/2
	beyond := middle + 3*persistence.ImagePiece
	for name, row := range map[string]struct {
		begin, end int
		asked      string
	}{
		"the whole":  {0, size, ""},
		"the middle": {middle, beyond, fmt.Sprintf("bytes=%d-%d", middle, beyond-1)},
		"a byte":     {middle, middle + 1, fmt.Sprintf("bytes=%d-%[1]d", middle)},
		"the end":    {size - 5000, size, "bytes=-5000"},
		"the rest":   {size - 5000, size, fmt.Sprintf("bytes=%d-", size-5000)},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		status := http.StatusOK
		if row.asked != "" {
			r.Header.Set("Range", row.asked)
			status = http.StatusPartialContent
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.New()
		n, err := io.Copy(sum, resp.Body)
		_ = resp.Body.Close()
		if want := persistence.DigestOf(file[row.begin:row.end]); err != nil || resp.StatusCode != status ||
			n != int64(row.end-row.begin) || hex.EncodeToString(sum.Sum(nil)) != want.String() {
			t.Errorf("%s: %d, %d bytes instead of %d, %v", name, resp.StatusCode, n, row.end-row.begin, err)
		}
		if got := resp.Header.Get("Content-Range"); row.asked != "" &&
			got != fmt.Sprintf("bytes %d-%d/%d", row.begin, row.end-1, size) {
			t.Errorf("%s: Content-Range %s", name, got)
		}
	}
}

// peakMemory is the most that the process has had in memory, in bytes; 0 where the system does not tell.
func (p *process) peakMemory(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if os.IsNotExist(err) {
		return 0
	}
	_, line, _ := strings.Cut(string(status), "\nVmHWM:")
	var kilobytes int64
	if _, scanErr := fmt.Sscan(line, &kilobytes); err != nil || scanErr != nil {
		t.Fatal(err, scanErr)
	}
	return kilobytes << 10
}

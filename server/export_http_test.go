package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	server "sibyl/server"
)

// export asks for an export; the caller reads its body.
func (s *service) export(t *testing.T, method string, parameters ...string) *http.Response {
	t.Helper()
	values := url.Values{}
	for i := 0; i < len(parameters); i += 2 {
		values.Add(parameters[i], parameters[i+1])
	}
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+"/export?"+values.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "identity")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func TestExport(t *testing.T) {
	s := newServer(t)
	for range 3 {
		if answer := s.predict(t, predictQuery, digit()); len(answer.Errors) > 0 {
			t.Fatal(answer.Errors)
		}
	}
	for _, row := range []struct {
		parameters           []string
		mediaType, extension string
		lines                int
	}{
		{nil, "application/jsonl", "jsonl", 3},
		{[]string{"format", "csv", "images", "true"}, "text/csv; charset=utf-8", "csv", 4},
		{[]string{"format", "parquet"}, "application/vnd.apache.parquet", "parquet", -1},
		{[]string{"filter", `{"source":["SHADOW"]}`}, "application/jsonl", "jsonl", 0},
		{[]string{"filter", `{"className":"1","model":"mnist"}`, "images", "false"}, "application/jsonl", "jsonl", 3},
	} {
		resp := s.export(t, http.MethodGet, row.parameters...)
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 || resp.Header.Get("Content-Type") != row.mediaType ||
			resp.Header.Get("Content-Disposition") != `attachment; filename="predictions.`+row.extension+`"` {
			t.Errorf("%v: %d %v %v", row.parameters, resp.StatusCode, resp.Header, err)
		}
		if lines := bytes.Count(body, []byte("\n")); row.lines >= 0 && lines != row.lines {
			t.Errorf("%v: %d lines\n%s", row.parameters, lines, body)
		}
		if row.lines < 0 && (!bytes.HasPrefix(body, []byte("PAR1")) || !bytes.HasSuffix(body, []byte("PAR1"))) {
			t.Errorf("no Parquet file: %q", body)
		}
	}
}

func TestExportRefuses(t *testing.T) {
	s := newServer(t)
	for _, row := range []struct {
		method     string
		parameters []string
		status     int
		code       string
	}{
		{"POST", nil, 405, "BAD_REQUEST"},
		{"DELETE", nil, 405, "BAD_REQUEST"},
		{"GET", []string{"format", "xml"}, 400, "BAD_REQUEST"},
		{"GET", []string{"images", "yes"}, 400, "BAD_REQUEST"},
		{"GET", []string{"Format", "csv"}, 400, "BAD_REQUEST"},
		{"GET", []string{"format", "csv", "format", "jsonl"}, 400, "BAD_REQUEST"},
		{"GET", []string{"filter", `{"modle":"x"}`}, 400, "BAD_USER_INPUT"},
		{"GET", []string{"filter", `{"model":"\u0000"}`}, 400, "BAD_USER_INPUT"},
	} {
		resp := s.export(t, row.method, row.parameters...)
		var answer result
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != row.status ||
			answer.code() != row.code || resp.Header.Get("Content-Disposition") != "" ||
			(resp.Header.Get("Allow") == "GET") != (row.status == 405) {
			t.Errorf("%s %v: %d %+v %v", row.method, row.parameters, resp.StatusCode, answer, err)
		}
	}
	if resp := s.export(t, http.MethodOptions); resp.StatusCode != 204 || resp.Header.Get("Allow") != "GET" {
		t.Errorf("OPTIONS: %d %v", resp.StatusCode, resp.Header)
	}
	for site, want := range map[string]int{"cross-site": 403, "same-site": 200, "same-origin": 200, "none": 200} {
		if got := s.fetch(t, "/export", http.Header{"Sec-Fetch-Site": {site}}); got.StatusCode != want {
			t.Errorf("%s: %d %s", site, got.StatusCode, got.body)
		}
	}
	if resp := s.export(t, http.MethodHead); resp.StatusCode != 405 || resp.Header.Get("Allow") != "GET" {
		t.Errorf("HEAD: %d %v", resp.StatusCode, resp.Header)
	}
}

// filledServer is a server of which much can be exported, and a connection to its database.
func filledServer(t *testing.T, change ...func(*server.Config)) (*service, *pgx.Conn) {
	t.Helper()
	var database string
	s := newServer(t, append(change, func(c *server.Config) { database = string(c.DatabaseURL) })...)
	db, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close(context.Background()) })
	server.FillExport(t, db)
	return s, db
}

// longExport is a server with an export that its client has begun to read, of more than sockets hold.
func longExport(t *testing.T) (s *service, body io.Reader, db *pgx.Conn) {
	t.Helper()
	s, db = filledServer(t)
	body = s.export(t, http.MethodGet, "images", "true").Body
	if _, err := io.ReadFull(body, make([]byte, 100_000)); err != nil {
		t.Fatal(err)
	}
	return s, body, db
}

// TestBrokenExport: what goes wrong after the first bytes must not look like the end of the file.
func TestBrokenExport(t *testing.T) {
	t.Parallel()
	_, body, db := longExport(t)
	if _, err := db.Exec(t.Context(), `ALTER TABLE inputs RENAME TO gone`); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%d bytes, then %v", n, err)
	}
}

// TestStoppedExport: a server that is told to stop does not wait for exports.
func TestStoppedExport(t *testing.T) {
	s, body, _ := longExport(t)
	s.stop()
	if err := <-s.ended; err != nil {
		t.Error(err)
	}
	if n, err := io.Copy(io.Discard, body); err == nil {
		t.Errorf("%d bytes, and no error", n)
	}
}

// TestExportCommand exports from the embedded database, while a server runs on it and when none does.
func TestExportCommand(t *testing.T) {
	t.Parallel()
	data, directory := t.TempDir(), t.TempDir()
	file := filepath.Join(directory, "predictions.csv")
	p := startProcess(t, data)
	if answer, err := p.predict(t.Context(), digit()); err != nil || len(answer.Errors) > 0 {
		t.Fatalf("%+v, %v", answer, err)
	}
	run := func(arguments ...string) (output string, err error) {
		path, err := binary()
		if err != nil {
			t.Fatal(err)
		}
		command := exec.CommandContext(t.Context(), path, append([]string{"export", "--data", data}, arguments...)...)
		command.Stderr = t.Output()
		out, err := command.Output()
		return string(out), err
	}
	if out, err := run("--with-images", "--filter", `{"className":"1"}`); err != nil || strings.Count(out, "\n") != 1 ||
		!strings.Contains(out, `"class_name":"1"`) || strings.Contains(out, `"image":null`) {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := run("--filter", `{"x":1}`, "--output", file); err == nil {
		t.Errorf("a bad filter: %s", out)
	}
	if err := p.stop(t); err != nil {
		t.Error(err)
	}
	if out, err := run("--format", "csv", "--output", file); err != nil || out != "" {
		t.Errorf("%v: %s", err, out)
	}
	if text, err := os.ReadFile(file); err != nil || bytes.Count(text, []byte("\r\n")) != 2 {
		t.Errorf("%v: %s", err, text)
	}
	if files, err := os.ReadDir(directory); err != nil || len(files) != 1 {
		t.Errorf("%v is left, %v", files, err)
	}
}

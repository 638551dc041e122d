package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sibyl/graph"
	"sibyl/persistence/persistencetest"
	server "sibyl/server"
	"sibyl/server/keys"
)

// keyring is a file with a key for each of the names, `reader`, `reader_predictor` and so on, which tell its roles.
type keyring struct {
	path string
	keys map[string]string
	// lines are those of the file, by the names.
	lines map[string]string
}

func newKeyring(t *testing.T, names ...string) keyring {
	t.Helper()
	ring := keyring{path: filepath.Join(t.TempDir(), "keys"), keys: map[string]string{}, lines: map[string]string{}}
	for _, name := range names {
		var roles []graph.Role
		for role := range strings.SplitSeq(name, "_") {
			roles = append(roles, graph.Role(strings.ToUpper(role)))
		}
		key, line, err := keys.New(name, roles)
		if err != nil {
			t.Fatal(err)
		}
		ring.keys[name], ring.lines[name] = key, line
	}
	ring.write(t)
	return ring
}

// write makes the file anew, of the lines.
func (k keyring) write(t *testing.T) {
	t.Helper()
	var text strings.Builder
	for _, line := range k.lines {
		fmt.Fprintln(&text, line)
	}
	if err := os.WriteFile(k.path+".new", []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(k.path+".new", k.path); err != nil {
		t.Fatal(err)
	}
}

// use makes a server take the keys.
func (k keyring) use(c *server.Config) { c.APIKeys = k.path }

// request sends a request with headers, given as name and value in turn; its body is JSON where there is one.
func (s *service) request(t *testing.T, method, path, body string, headers ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// ask sends a document with headers.
func (s *service) ask(t *testing.T, document string, headers ...string) *result {
	t.Helper()
	body, _ := json.Marshal(map[string]string{"query": document})
	return readResult(t, s.request(t, http.MethodPost, "/graphql", string(body), headers...))
}

func readResult(t *testing.T, resp *http.Response) *result {
	t.Helper()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	answer := &result{Status: resp.StatusCode}
	if err := json.Unmarshal(text, answer); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return answer
}

func TestKeyIsNeeded(t *testing.T) {
	ring := newKeyring(t, "reader")
	s := newServer(t, ring.use)
	key := ring.keys["reader"]
	for name, row := range map[string]struct {
		headers []string
		status  int
	}{
		"none":            {nil, 401},
		"wrong":           {[]string{"X-API-Key", key + "x"}, 401},
		"another scheme":  {[]string{"Authorization", "Basic " + key}, 401},
		"no scheme":       {[]string{"Authorization", key}, 401},
		"nothing":         {[]string{"Authorization", "Bearer ", "X-API-Key", ""}, 401},
		"two":             {[]string{"Authorization", "Bearer " + key, "X-API-Key", "sibyl_other"}, 401},
		"bearer":          {[]string{"Authorization", "Bearer " + key}, 200},
		"small letters":   {[]string{"Authorization", "bearer " + key}, 200},
		"header":          {[]string{"X-API-Key", key}, 200},
		"twice":           {[]string{"X-API-Key", key, "Authorization", "Bearer " + key}, 200},
		"behind a proxy":  {[]string{"Authorization", "Basic bWU6eA==", "X-API-Key", key}, 200},
		"in the URL only": {[]string{"Referer", "https://example.org/?key=" + key}, 401},
	} {
		for _, accept := range []string{"application/json", "application/graphql-response+json"} {
			resp := s.request(t, http.MethodPost, "/graphql", `{"query":"{models{name}}"}`, append(row.headers, "Accept", accept)...)
			answer := readResult(t, resp)
			unauthenticated := answer.code() == "UNAUTHENTICATED"
			if answer.Status != row.status || unauthenticated != (row.status == 401) || unauthenticated && answer.Data != nil {
				t.Errorf("%s: %d %+v", name, answer.Status, answer.Errors)
			}
			if challenged := resp.Header.Get("WWW-Authenticate") == `Bearer realm="sibyl"`; challenged != unauthenticated {
				t.Errorf("%s: %v", name, resp.Header)
			}
			if !strings.HasPrefix(resp.Header.Get("Content-Type"), accept) {
				t.Errorf("%s: %v", name, resp.Header)
			}
		}
	}
}

// TestPathsWithoutAKey: what a browser needs before it can ask for the key is there without one, and health.
func TestPathsWithoutAKey(t *testing.T) {
	s := newServer(t, newKeyring(t, "reader").use)
	for path, want := range map[string]int{
		"/": 200, "/app.js": 200, "/healthz": 200, "/readyz": 200, "/nothing": 404,
		"/graphql?query={__typename}": 401, "/export": 401, "/metrics": 401, "/images/input_01h455vb4pex5vsknk084sn02q": 401,
	} {
		resp := s.request(t, http.MethodGet, path, "")
		if resp.StatusCode != want || want == 401 && resp.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}

// TestRolesAreHeld over HTTP: the status is the code's, and the operation is refused as a whole, before anything is
// stored.
func TestRolesAreHeld(t *testing.T) {
	ring := newKeyring(t, "reader", "predictor", "labeller", "admin", "reader_predictor")
	s := newServer(t, ring.use)
	const predict = `mutation ($image: Upload!) {
  predict(image: $image) { id model { name predictions { nodes { id } } } input { id image { url } } }
}`
	body, contentType := uploadBody(predict, digit())
	upload := func(name string) *result {
		return readResult(t, s.request(t, http.MethodPost, "/graphql", string(body), "X-API-Key", ring.keys[name],
			"GraphQL-Require-Preflight", "1", "Content-Type", contentType))
	}
	if answer := upload("reader"); answer.Status != 403 || answer.code() != "FORBIDDEN" {
		t.Errorf("%+v", answer)
	}
	if answer := upload("predictor"); answer.Status != 403 || answer.code() != "FORBIDDEN" || answer.Data != nil {
		t.Errorf("the list behind the prediction: %+v", answer)
	}
	stored := s.ask(t, "{predictions{nodes{id}} inputs{nodes{id}}}", "X-API-Key", ring.keys["reader"])
	if got := string(stored.Data["predictions"]) + string(stored.Data["inputs"]); got != `{"nodes":[]}{"nodes":[]}` {
		t.Errorf("what was refused is stored: %s %+v", got, stored.Errors)
	}
	var predicted struct {
		ID    string
		Input struct {
			ID    string
			Image struct{ URL string }
		}
	}
	answer := upload("reader_predictor")
	if err := json.Unmarshal(answer.Data["predict"], &predicted); err != nil || len(answer.Errors) > 0 {
		t.Fatalf("%v %+v", err, answer)
	}
	one := fmt.Sprintf("{prediction(id: %q){id}}", predicted.ID)
	label := fmt.Sprintf(`mutation{labelInput(inputId: %q, label: {classIndex: 1}){id}}`, predicted.Input.ID)
	remove := fmt.Sprintf(`mutation{deleteInput(inputId: %q){id}}`, predicted.Input.ID)
	for _, row := range []struct {
		document string
		may      string // admin, which may everything, comes last
	}{
		{"{__typename}", "predictor labeller reader admin"},
		{one, "reader admin"},
		{label, "labeller admin"},
		{"mutation{reloadModels{name}}", "admin"},
		{remove, "admin"},
	} {
		for _, name := range []string{"reader", "predictor", "labeller", "admin"} {
			want := 403
			if strings.Contains(row.may, name) {
				want = 200
			}
			answer := s.ask(t, row.document, "X-API-Key", ring.keys[name])
			if answer.Status != want || (answer.code() == "FORBIDDEN") != (want == 403) || want == 200 && len(answer.Errors) > 0 {
				t.Errorf("%s %s: %d %+v", name, row.document, answer.Status, answer.Errors)
			}
		}
	}
	for _, path := range []string{"/export", "/metrics", predicted.Input.Image.URL} {
		for name, want := range map[string]bool{"reader": true, "predictor": false, "admin": true} {
			resp := s.request(t, http.MethodGet, path, "", "Authorization", "Bearer "+ring.keys[name])
			if (resp.StatusCode == 403) == want {
				t.Errorf("%s %s: %d", name, path, resp.StatusCode)
			}
		}
	}
	refused := s.ask(t, "mutation{__typename reloadModels{name}}", "X-API-Key", ring.keys["reader"])
	if refused.Status != 403 || refused.code() != "FORBIDDEN" || refused.Data != nil {
		t.Errorf("%+v", refused)
	}
}

// TestKeysAreReadAgain while the server runs.
func TestKeysAreReadAgain(t *testing.T) {
	first, second := newKeyring(t, "reader"), newKeyring(t, "reader")
	s := newServer(t, first.use)
	status := func(k keyring) int { return s.ask(t, "{models{name}}", "X-API-Key", k.keys["reader"]).Status }
	if status(first) != 200 || status(second) != 401 {
		t.Error("the first key is not taken, or the second one is")
	}
	if err := os.Rename(second.path, first.path); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return status(second) == 200 })
	if status(first) != 401 {
		t.Error("a key that was taken away is taken")
	}
}

func TestBadKeysStopTheStart(t *testing.T) {
	c := server.DefaultConfig()
	c.Address, c.DatabaseURL = "127.0.0.1:0", server.DatabaseURL(persistencetest.Database(t))
	c.APIKeys = filepath.Join(t.TempDir(), "keys")
	for _, text := range []string{"", "me reader sibyl_geheim"} {
		if err := os.WriteFile(c.APIKeys, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := server.New(t.Context(), c, slog.New(slog.DiscardHandler))
		if err == nil || !strings.HasPrefix(err.Error(), "--api-keys: ") || strings.Contains(err.Error(), "geheim") {
			t.Error(err)
		}
	}
}

// TestNewKeyWorks: what `sibyl keys new` prints is a key and its line, and the log tells the name and not the key.
func TestNewKeyWorks(t *testing.T) {
	t.Parallel()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path, "keys", "new", "camera-1", "--roles", "reader,predictor").Output()
	if err != nil {
		t.Fatal(err)
	}
	key, line, _ := bytes.Cut(bytes.TrimSpace(out), []byte("\n"))
	if !bytes.HasPrefix(line, []byte("camera-1 reader,predictor sha256:")) {
		t.Fatalf("%s", out)
	}
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, line, 0o600); err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, t.TempDir(), "--api-keys", file, "--log-level", "debug",
		"--database-url", persistencetest.Database(t))
	s := &service{url: p.url}
	if answer := s.ask(t, "{models{name}}", "X-API-Key", string(key)); answer.Status != 200 {
		t.Errorf("%+v", answer)
	}
	if answer := s.ask(t, "mutation{reloadModels{name}}", "X-API-Key", string(key)); answer.Status != 403 {
		t.Errorf("%+v", answer)
	}
	waitFor(t, func() bool { return strings.Contains(p.logged(), `"caller":"camera-1"`) })
	if log := p.logged(); strings.Contains(log, string(key)) {
		t.Error(log)
	}
	for _, arguments := range [][]string{{"me"}, {"me", "--roles", "writer"}, {"a b", "--roles", "reader"}} {
		if out, err := exec.Command(path, append([]string{"keys", "new"}, arguments...)...).Output(); err == nil {
			t.Errorf("%v: %s", arguments, out)
		}
	}
}

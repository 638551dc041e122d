package main_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sibyl/persistence/persistencetest"
)

// load predicts from many callers until ctx ends, and returns the IDs that were acknowledged.
func load(ctx context.Context, p *process, callers int, each func(*result)) []string {
	var mu sync.Mutex
	var ids []string
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			for ctx.Err() == nil {
				answer, err := p.predict(ctx, digit())
				if err != nil {
					continue
				}
				var prediction *struct{ ID string }
				_ = json.Unmarshal(answer.Data["predict"], &prediction)
				mu.Lock()
				if prediction != nil {
					ids = append(ids, prediction.ID)
				}
				each(answer)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	return ids
}

// storedPredictions reads every input with its predictions, and fails where one has none: it would be an orphan.
func storedPredictions(t *testing.T, p *process) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for after := "null"; ; {
		var page struct {
			Inputs struct {
				PageInfo struct {
					HasNextPage bool
					EndCursor   string
				}
				Nodes []struct {
					ID          string
					Predictions struct{ Nodes []struct{ ID string } }
				}
			}
		}
		p.query(t, `{ inputs(first: 500, after: `+after+`) {
  pageInfo { hasNextPage endCursor } nodes { id predictions(first: 1) { nodes { id } } }
} }`, &page)
		for _, in := range page.Inputs.Nodes {
			if len(in.Predictions.Nodes) == 0 {
				t.Errorf("%s has no prediction", in.ID)
				continue
			}
			found[in.Predictions.Nodes[0].ID] = true
		}
		if !page.Inputs.PageInfo.HasNextPage {
			return found
		}
		after = `"` + page.Inputs.PageInfo.EndCursor + `"`
	}
}

// attempt is a prediction that was sent with a key of its own, and what was acknowledged of it.
type attempt struct {
	key, prediction string
	labelled        bool
}

// tryKey predicts with a key, and returns the prediction and its input; empty where that was not acknowledged.
func (p *process) tryKey(ctx context.Context, key string) (prediction, input string) {
	body, contentType := uploadBody(`mutation ($image: Upload!) {
  predict(image: $image, idempotencyKey: "`+key+`") { id input { id } }
}`, digit())
	answer, err := p.post(ctx, body, contentType)
	if err != nil {
		return "", ""
	}
	var predicted struct {
		ID    string
		Input struct{ ID string }
	}
	_ = json.Unmarshal(answer.Data["predict"], &predicted)
	return predicted.ID, predicted.Input.ID
}

// tryLabel states what is true of an input, and tells whether that was acknowledged.
func (p *process) tryLabel(ctx context.Context, input string) bool {
	body, _ := json.Marshal(map[string]string{
		"query": `mutation { labelInput(inputId: "` + input + `", label: {className: "1"}) { id } }`,
	})
	answer, err := p.post(ctx, body, "application/json")
	return err == nil && len(answer.Errors) == 0
}

// killInTheMiddle predicts and labels from many callers, and kills the server while they do.
func killInTheMiddle(t *testing.T, p *process, round int) []attempt {
	t.Helper()
	const callers, enough = 8, 12
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	var attempts []attempt
	var killing sync.Once
	labelled := 0
	var group sync.WaitGroup
	for caller := range callers {
		group.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				a := attempt{key: fmt.Sprintf("%d-%d-%d", round, caller, i)}
				var input string
				if a.prediction, input = p.tryKey(ctx, a.key); input != "" {
					a.labelled = p.tryLabel(ctx, input)
				}
				mu.Lock()
				attempts = append(attempts, a)
				if a.labelled {
					labelled++
				}
				done := labelled >= enough
				mu.Unlock()
				if done { // and the others are in the middle of something
					killing.Do(func() {
						p.kill()
						cancel()
					})
				}
			}
		})
	}
	group.Wait()
	return attempts
}

// keptInput is an input as it must be: whole.
type keptInput struct {
	Image       struct{ DataURL string }
	Label       *struct{ ClassName string }
	Predictions struct {
		Nodes []struct {
			ID      string
			Correct *bool
		}
	}
}

// TestKillUnderLoad kills the server again and again while it predicts and labels. What was acknowledged must be there
// afterwards, whole, and no input without a prediction; each key leads to one prediction, the acknowledged one.
func TestKillUnderLoad(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	var attempts []attempt
	for round := range 20 {
		attempts = append(attempts, killInTheMiddle(t, startProcess(t, data), round)...)
	}
	p := startProcess(t, data)
	image := "data:image/png;base64," + base64.StdEncoding.EncodeToString(digit())
	kept := map[string]keptInput{}
	for after := "null"; after != ""; {
		var page struct {
			Inputs struct {
				PageInfo struct {
					HasNextPage bool
					EndCursor   string
				}
				Nodes []keptInput
			}
		}
		p.query(t, `{ inputs(first: 500, after: `+after+`) { pageInfo { hasNextPage endCursor } nodes {
  image { dataUrl } label { className } predictions(first: 2) { nodes { id correct } }
} } }`, &page)
		for _, in := range page.Inputs.Nodes {
			if len(in.Predictions.Nodes) != 1 || in.Image.DataURL != image ||
				(in.Label != nil) != (in.Predictions.Nodes[0].Correct != nil) {
				t.Fatalf("not whole: %+v", in)
			}
			kept[in.Predictions.Nodes[0].ID] = in
		}
		if after = ""; page.Inputs.PageInfo.HasNextPage {
			after = `"` + page.Inputs.PageInfo.EndCursor + `"`
		}
	}
	unacknowledged := 0
	for _, a := range attempts {
		in, there := kept[a.prediction]
		if a.prediction != "" && !there || a.labelled && in.Label == nil {
			t.Errorf("%+v was acknowledged: %+v", a, in)
		}
		again, _ := p.tryKey(t.Context(), a.key)
		if again == "" || a.prediction != "" && again != a.prediction {
			t.Errorf("%+v, and with its key again %q", a, again)
		}
		if a.prediction == "" {
			unacknowledged++
		}
	}
	var all struct{ Inputs struct{ TotalCount int } }
	p.query(t, `{ inputs { totalCount } }`, &all)
	if all.Inputs.TotalCount != len(attempts) {
		t.Errorf("%d inputs for %d keys", all.Inputs.TotalCount, len(attempts))
	}
	t.Logf("%d keys, %d of them not acknowledged, %d inputs kept", len(attempts), unacknowledged, len(kept))
}

// TestStopUnderLoad asks the server to stop while it predicts: what is in flight is answered, what comes then is
// refused as OVERLOADED, and the exit code is 0.
func TestStopUnderLoad(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p := startProcess(t, data)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(500*time.Millisecond, func() {
		if err := p.stop(t); err != nil {
			t.Errorf("the server ended with %v\n%s", err, p.logged())
		}
		cancel()
	})
	ids := load(ctx, p, 8, func(answer *result) {
		for _, err := range answer.Errors {
			if err.Extensions.Code != "OVERLOADED" || answer.Status != 503 {
				t.Errorf("got %d %+v", answer.Status, err)
			}
		}
	})
	found := storedPredictions(t, startProcess(t, data))
	if len(found) != len(ids) {
		t.Errorf("%d acknowledged, %d stored", len(ids), len(found))
	}
}

// TestDatabaseLost stops PostgreSQL under a running server: requests fail as UNAVAILABLE, and succeed again when it has
// been started again, which the server does by itself.
func TestDatabaseLost(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p := startProcess(t, data)
	if answer, err := p.predict(t.Context(), digit()); err != nil || len(answer.Errors) > 0 {
		t.Fatalf("%+v, %v", answer, err)
	}
	if err := syscall.Kill(p.databasePID(t), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(within)
	for again := 0; again < 20; {
		answer, err := p.predict(t.Context(), digit())
		switch {
		case err != nil:
			t.Fatal(err)
		case time.Now().After(deadline):
			t.Fatalf("the database does not come back: %+v\n%s", answer, p.logged())
		case len(answer.Errors) == 0:
			again++
		case answer.Errors[0].Extensions.Code != "UNAVAILABLE" || answer.Status != 503:
			t.Fatalf("got %+v", answer)
		}
	}
}

// processesOf are a process and its children.
func processesOf(t *testing.T, pid int) []int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	persistencetest.Need(t, "the children of a process in /proc", err == nil)
	pids := []int{pid}
	for field := range strings.FieldsSeq(string(text)) {
		child, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, child)
	}
	return pids
}

// TestDatabaseStopped stops PostgreSQL under load, by signals that let it go on later and in order: every request is
// answered all the while, the service comes back by itself, and what was acknowledged is there.
func TestDatabaseStopped(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p := startProcess(t, data, "--timeout", "1s")
	signal := func(pids []int, signal syscall.Signal) {
		for _, pid := range pids {
			_ = syscall.Kill(pid, signal) // a session may have ended
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stored, unavailable, unknown atomic.Int64
	loaded := make(chan []string, 1)
	go func() {
		loaded <- load(ctx, p, 8, func(answer *result) {
			switch code := answer.code(); {
			case code == "":
				stored.Add(1)
			case code == "UNAVAILABLE" && answer.Status == 503:
				unavailable.Add(1)
				if answer.Errors[0].Extensions.Stored == "unknown" {
					unknown.Add(1)
				}
			case code != "DEADLINE_EXCEEDED": // of a request that did not get as far as the database
				t.Errorf("got %+v", answer)
			}
		})
	}()
	more := func(what *atomic.Int64, n int64) {
		t.Helper()
		for n += what.Load(); what.Load() < n; time.Sleep(time.Millisecond) {
			if ctx.Err() != nil {
				t.Fatal(ctx.Err())
			}
		}
	}
	started := func() int { return strings.Count(p.logged(), "database started") }
	more(&stored, 20)
	stopped := processesOf(t, p.databasePID(t))
	signal(stopped, syscall.SIGSTOP)
	more(&unavailable, 20)
	signal(stopped, syscall.SIGCONT)
	more(&stored, 20)
	signal([]int{p.databasePID(t)}, syscall.SIGINT)
	for started() < 2 { // quickly enough, maybe, that no request fails
		time.Sleep(time.Millisecond)
	}
	more(&stored, 20)
	cancel()
	ids := <-loaded
	if err := p.stop(t); err != nil {
		t.Errorf("the server ended with %v\n%s", err, p.logged())
	}
	found := storedPredictions(t, startProcess(t, data)) // which has longer than a second for all that is stored
	for _, id := range ids {
		if !found[id] {
			t.Errorf("%s was acknowledged, but is not there", id)
		}
	}
	t.Logf("%d acknowledged, %d unavailable, %d of these unknown, %d stored", len(ids), unavailable.Load(), unknown.Load(), len(found))
}

// TestRefusals starts servers that must not start, each with one clear line.
func TestRefusals(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	startProcess(t, data)
	empty := t.TempDir()
	if err := os.MkdirAll(empty+"/broken/1", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(empty+"/broken/1/model.onnx", []byte("not a model"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		data      string
		arguments []string
	}{
		"a second server on the data directory": {data, nil},
		"no model that is READY":                {t.TempDir(), []string{"--models", empty}},
		"a repository that is not there":        {t.TempDir(), []string{"--models", "/nowhere"}},
		"an address that everybody reaches":     {t.TempDir(), []string{"--address", "0.0.0.0:0"}},
		"another kind of database":              {t.TempDir(), []string{"--database-url", "mysql://127.0.0.1/sibyl"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := launch(t, test.data, test.arguments...)
			select {
			case <-p.exited:
			case <-time.After(within):
				t.Fatalf("it still runs\n%s", p.logged())
			}
			var exit *exec.ExitError
			if !errors.As(p.err, &exit) || exit.ExitCode() == 0 {
				t.Errorf("it ended with %v", p.err)
			}
			t.Log(p.logged())
		})
	}
}

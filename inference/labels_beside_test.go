package inference_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"sibyl/inference"
)

// hugging is a config.json as Hugging Face's, with so many names that begin with the prefix.
func hugging(prefix, names string) string {
	var pairs []string
	for _, name := range strings.Split(names, "") {
		pairs = append(pairs, `"`+string('0'+rune(len(pairs)))+`": "`+prefix+name+`"`)
	}
	return `{"model_type": "vit", "id2label": {` + strings.Join(pairs, ", ") + `}, "label2id": {"x": 0}}`
}

func classNames(t *testing.T, e *inference.Engine, model string) string {
	t.Helper()
	v, err := e.Resolve(model, 0)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(v.ClassNames, " ")
}

func TestLabelsBeside(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		want  string
	}{
		"the version's": {
			map[string]string{"1/config.json": hugging("v", "abcde"), "config.json": hugging("m", "abcde")}, "va vb vc vd ve",
		},
		"the model's": {map[string]string{"config.json": hugging("m", "abcde")}, "ma mb mc md me"},
		"the version's do not fit": {
			map[string]string{"1/config.json": hugging("v", "abc"), "config.json": hugging("m", "abcde")}, "ma mb mc md me",
		},
		"none fit": {map[string]string{"config.json": hugging("m", "abcd")}, ""},
		"labels.txt": {
			map[string]string{"1/config.json": hugging("v", "abcde"), "labels.txt": "a\nb\nc\nd\ne"}, "a b c d e",
		},
		"no JSON":        {map[string]string{"config.json": `{"id2label": {"0": "a", "1": `}, ""},
		"none in it":     {map[string]string{"config.json": `{"id2label": null}`}, ""},
		"a text":         {map[string]string{"config.json": `{"id2label": "a,b,c,d,e"}`}, ""},
		"a list":         {map[string]string{"config.json": `["a", "b", "c", "d", "e"]`}, ""},
		"no file at all": {map[string]string{"config.json/id2label": "{}"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			add(t, dir, "m", 1, "nchw/1")
			for file, text := range test.files {
				write(t, filepath.Join(dir, "m", file), text)
			}
			if got := classNames(t, open(t, inference.Options{Repository: dir}), "m"); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestLabelsBesideARemoteModel holds that names are found for a model that another server runs, too.
func TestLabelsBesideARemoteModel(t *testing.T) {
	t.Parallel()
	dir := newPeer(t).repository(t, "")
	write(t, filepath.Join(dir, "m", "config.json"), hugging("m", "abc"))
	if got := classNames(t, open(t, inference.Options{Repository: dir}), "m"); got != "ma mb mc" {
		t.Errorf("got %q", got)
	}
}

// TestLabelsBesideChange holds that a change of either file is seen.
func TestLabelsBesideChange(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	add(t, dir, "m", 1, "nchw/1")
	e := open(t, inference.Options{Repository: dir})
	for _, step := range []struct{ file, prefix string }{{"config.json", "m"}, {"1/config.json", "v"}} {
		write(t, filepath.Join(dir, "m", step.file), hugging(step.prefix, "abcde"))
		if err := e.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := classNames(t, e, "m"); !strings.HasPrefix(got, step.prefix+"a ") {
			t.Errorf("%s: got %q", step.file, got)
		}
	}
}

// TestLabelsFoundLate holds that a version which has predicted without names goes on without, and that one which has
// predicted with others is refused.
func TestLabelsFoundLate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	add(t, dir, "m", 1, "nchw/1")
	var predicted string
	options := inference.Options{Repository: dir, Admit: func(_ context.Context, v *inference.ModelVersion) error {
		if predicted != "" && predicted != v.Fingerprint {
			return errors.New("use a new number")
		}
		predicted = v.Fingerprint
		return nil
	}}
	if got := classNames(t, open(t, options), "m"); got != "" {
		t.Fatalf("got %q before there are any", got)
	}
	var log strings.Builder
	options.Logger = slog.New(slog.NewTextHandler(&log, nil))
	write(t, filepath.Join(dir, "m", "config.json"), hugging("m", "abcde"))
	if got := classNames(t, open(t, options), "m"); got != "" || !strings.Contains(log.String(), "class names left out") {
		t.Errorf("got %q, log %s", got, log.String())
	}

	predicted = ""
	if got := classNames(t, open(t, options), "m"); got == "" {
		t.Fatal("no names found")
	}
	write(t, filepath.Join(dir, "m", "config.json"), hugging("n", "abcde"))
	if got := states(open(t, options), "m"); got != "1 FAILED" {
		t.Errorf("other names: %s", got)
	}
}

package inference

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestMetadataLabels(t *testing.T) {
	want := []string{"cat", "guinea pig", "dog's"}
	for name, metadata := range map[string]map[string]string{
		"JSON list":         {"labels": `["cat", "guinea pig", "dog's"]`},
		"JSON object":       {"class_names": `{"2": "dog's", "0": "cat", "1": "guinea pig"}`},
		"Python dictionary": {"names": `{0: 'cat', 1: 'guinea pig', 2: "dog's"}`},
		"escaped":           {"names": `{0: 'cat', 1: 'guinea pig', 2: 'dog\'s'}`},
		"lines":             {"classes": "cat\r\nguinea pig\r\ndog's\n"},
		"commas":            {"labels": "cat, guinea pig,dog's"},
		"Python list":       {"labels": `['cat', "guinea pig", "dog's"]`},
		"Python tuple":      {"Labels": `('cat', 'guinea pig', 'dog\'s')`},
		"by name":           {"class_to_idx": `{"dog's": 2, "cat": 0, "guinea pig": 1}`},
		"by name, Python":   {"label2id": `{"dog's": 2, 'cat': 0, 'guinea pig': 1}`},
		"Keras":             {"class_indices": `{'cat': 0, 'guinea pig': 1, "dog's": 2}`},
		"ordered":           {"names": `OrderedDict({1: 'guinea pig', 0: 'cat', 2: "dog's"})`},
		"ordered before":    {"names": `OrderedDict([(0, 'cat'), (1, 'guinea pig'), (2, "dog's")])`},
		"ordered by name":   {"class_to_idx": `OrderedDict([('cat', 0), ('guinea pig', 1), ("dog's", 2)])`},
		"NumPy's indices":   {"names": `{np.int64(0): 'cat', np.int64(1): 'guinea pig', np.int64(2): "dog's"}`},
		"NumPy's names":     {"names": `[np.str_('cat'), np.str_('guinea pig'), np.str_("dog's")]`},
		"NumPy's, by name":  {"class_indices": `{'cat': np.int64(0), 'guinea pig': np.int64(1), "dog's": np.int64(2)}`},
		"the second key":    {"labels": "of another thing", "names": "cat,guinea pig,dog's"},
	} {
		if got := metadataLabels(metadata, 3); !slices.Equal(got, want) {
			t.Errorf("%s: got %q", name, got)
		}
	}
	for name, text := range map[string]string{
		"twice": `{"a": 0, "b": 0, "c": 2}`, "beyond": `{0: 'a', 1: 'b', 99999999999999999999: 'c'}`,
		"too few": `["cat", "dog"]`, "a gap": `{0: 'a', 1: 'b', 3: 'c'}`, "empty": `["a", "", "c"]`,
		"NUL": "a,b\x00,c", "no text": "a,b,\xff", "nothing": "",
	} {
		if got := metadataLabels(map[string]string{"labels": text}, 3); got != nil {
			t.Errorf("%s: got %q, want none", name, got)
		}
	}
}

// TestNumbersAsNames holds that of names that are numbers the key tells which of a pair is the index.
func TestNumbersAsNames(t *testing.T) {
	for key, want := range map[string][]string{
		"class_to_idx": {"1", "2", "0"}, "class_indices": {"1", "2", "0"}, "names": {"2", "0", "1"},
	} {
		if got := metadataLabels(map[string]string{key: `{"0": 2, "1": 0, "2": 1}`}, 3); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
}

// TestLabelsOfTheModelItself loads a model whose metadata_props name its classes; labels.txt goes before them.
func TestLabelsOfTheModelItself(t *testing.T) {
	data, err := os.ReadFile("testdata/models/nchw/1/model.onnx")
	if err != nil {
		t.Fatal(err)
	}
	field := func(number byte, content string) string {
		return string(binary.AppendUvarint([]byte{number<<3 | 2}, uint64(len(content)))) + content
	}
	entry := field(14, field(1, "names")+field(2, "{0: 'a', 1: 'b', 2: 'c', 3: 'd', 4: 'e'}"))
	root := t.TempDir()
	write := func(name string, content []byte) {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("own/1/model.onnx", append(slices.Clone(data), entry...))
	write("named/1/model.onnx", append(slices.Clone(data), entry...))
	write("named/labels.txt", []byte("v\nw\nx\ny\nz\n"))
	engine, err := Open(t.Context(), Options{Repository: root})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = engine.Close() }()
	for model, want := range map[string]string{"own": "a", "named": "v"} {
		v, err := engine.Resolve(model, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(v.ClassNames) != 5 || v.ClassName(0) != want {
			t.Errorf("%s: %q", model, v.ClassNames)
		}
	}
}

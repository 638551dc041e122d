package inference

import (
	"bytes"
	"encoding/json"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// labelKeys are the metadata_props of an ONNX file in which exporters leave class names, the likeliest first: `names`
// is Ultralytics', `id2label` Hugging Face's, `class_to_idx` torchvision's, `class_indices` Keras's; the others are
// usual. Case is ignored.
var labelKeys = []string{
	"labels", "class_names", "classes", "names", "class_labels", "classlabels", "label_names", "categories",
	"id2label", "idx_to_class", "label2id", "class_to_idx", "class_indices",
}

// indexKeys are those of labelKeys that give indices by name: only they tell, where names are numbers too.
var indexKeys = []string{"label2id", "class_to_idx", "class_indices"}

// labels are the names of so many classes that the file itself tells, or else one beside it; nil where none does.
func (m *onnxModel) labels(classes int) []string {
	if labels := metadataLabels(m.metadata, classes); labels != nil {
		return labels
	}
	if areLabels(m.classifier.labels, classes) {
		return m.classifier.labels
	}
	for _, text := range m.beside {
		if labels := readLabels(text, classes, false); labels != nil {
			return labels
		}
	}
	return nil
}

// labelsBeside are the texts, the likeliest first, in which a config.json of Hugging Face's beside a version names its
// classes. That file is there for other things too, so that one that cannot be read is none.
func (r *repository) labelsBeside(model string, version int) (texts []string) {
	for _, dir := range []string{path.Join(model, strconv.Itoa(version)), model} {
		var config struct {
			Labels json.RawMessage `json:"id2label"`
		}
		data, err := r.read(path.Join(dir, "config.json"))
		if err == nil && json.Unmarshal(data, &config) == nil && bytes.HasPrefix(config.Labels, []byte("{")) {
			texts = append(texts, string(config.Labels))
		}
	}
	return texts
}

// metadataLabels finds the names of so many classes in a model's metadata_props; nil where there are none, or their
// number is another: nobody wrote them for this purpose, so that they are no reason to fail.
func metadataLabels(metadata map[string]string, classes int) []string {
	given := slices.Sorted(maps.Keys(metadata))
	for _, key := range labelKeys {
		for _, name := range given {
			if !strings.EqualFold(name, key) {
				continue
			}
			if labels := readLabels(strings.TrimSpace(metadata[name]), classes, slices.Contains(indexKeys, key)); labels != nil {
				return labels
			}
		}
	}
	return nil
}

// readLabels reads the names of so many classes in any of the usual forms; byName tells that indices stand by them.
func readLabels(text string, classes int, byName bool) []string {
	if text == "" {
		return nil
	}
	readers := []labelReader{lineLabels, commaLabels}
	if strings.ContainsAny(text[:1], "[{(") || strings.HasPrefix(text, orderedDict) {
		readers = []labelReader{jsonLabels, pythonLabels}
	}
	for _, read := range readers {
		labels, arePairs := read(text)
		if arePairs {
			labels = inOrder(labels, byName)
		}
		if areLabels(labels, classes) {
			return labels
		}
	}
	return nil
}

// labelReader gives names in order, or pairs of an index and a name, or of a name and an index.
type labelReader func(text string) (words []string, arePairs bool)

// areLabels tells whether there is a name for each of so many classes.
func areLabels(labels []string, classes int) bool {
	isNone := func(label string) bool {
		return label == "" || !utf8.ValidString(label) || strings.ContainsRune(label, 0)
	}
	return classes > 1 && len(labels) == classes && !slices.ContainsFunc(labels, isNone)
}

// jsonLabels reads a JSON array of names, or an object of names by index or of indices by name.
func jsonLabels(text string) (words []string, arePairs bool) {
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil {
		return nil, false
	}
	word := func(value any) string {
		switch value := value.(type) {
		case string:
			return value
		case json.Number:
			return value.String()
		}
		return ""
	}
	switch value := value.(type) {
	case []any:
		for i := range value {
			words = append(words, word(value[i]))
		}
	case map[string]any:
		arePairs = true
		for key := range value {
			words = append(words, key, word(value[key]))
		}
	}
	return words, arePairs
}

// orderedDict is how Python begins to print one: of a dictionary, or before 3.12 of a list of pairs.
const orderedDict = "OrderedDict("

// pythonWord is a string or a whole number as Python prints it, or a name, such as that of a number's type.
var pythonWord = regexp.MustCompile(`'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|(-?\d+)|[A-Za-z_][\w.]*`)

// pythonLabels reads, as Python prints them, a list or a tuple of names, or a dictionary as jsonLabels does. Types of
// NumPy's around them are left out.
func pythonLabels(text string) (words []string, arePairs bool) {
	for _, word := range pythonWord.FindAllStringSubmatchIndex(text, -1) {
		for group := 1; group <= 3; group++ {
			if from, to := word[2*group], word[2*group+1]; from >= 0 {
				words = append(words, unescapePython.Replace(text[from:to]))
			}
		}
	}
	return words, text[0] == '{' || strings.HasPrefix(text, orderedDict)
}

var unescapePython = strings.NewReplacer(`\'`, `'`, `\"`, `"`, `\\`, `\`)

// inOrder makes a list of names from pairs of an index and a name, or of a name and an index; nil where an index is
// missing. byName tells which of both is tried first.
func inOrder(pairs []string, byName bool) []string {
	for _, indexLast := range []bool{byName, !byName} {
		labels := make([]string, len(pairs)/2)
		for i := 0; i+1 < len(pairs); i += 2 {
			index, name := pairs[i], pairs[i+1]
			if indexLast {
				index, name = name, index
			}
			place, err := strconv.Atoi(index)
			if err != nil || place < 0 || place >= len(labels) {
				break
			}
			labels[place] = name
		}
		if !slices.Contains(labels, "") {
			return labels
		}
	}
	return nil
}

func lineLabels(text string) ([]string, bool) { return trimmedFields(text, "\n"), false }

func commaLabels(text string) ([]string, bool) { return trimmedFields(text, ","), false }

func trimmedFields(text, separator string) []string {
	labels := strings.Split(strings.TrimSpace(text), separator)
	for i, label := range labels {
		labels[i] = strings.TrimSpace(label)
	}
	return labels
}
